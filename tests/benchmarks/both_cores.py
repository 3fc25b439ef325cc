# SPDX-License-Identifier: MIT
"""Jacobi's sweeps on two cores: hpcapp on two ranks against plain Numba's two threads.

8192 x 8192 points are 537 MB an array: no cache holds them. Each way is a program of
its own that does 32 sweeps a few times and tells the seconds of each; programs take
turns. The values of one row of points tell whether the answers agree.
"""

import json

import numpy as np

from tests.benchmarks.jobs import Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.sweeps import SWEEPS, TOLERANCE
from tests.benchmarks.timing import Sample

__all__ = ["measure"]

RANK = "tests.benchmarks.both_cores_rank"
PLAIN, OURS = "plain Numba, 2 threads", "hpcapp, 2 ranks"
WANTED = 1.8


def measure(quick: bool) -> Report:
    """Measure 8192 x 8192 points, or 256 x 256 if it must be quick.

    Parameters
    ----------
    quick : bool
        Small, once: figures mean nothing then.

    Returns
    -------
    Report
        Updates per second of both.
    """
    n, rounds = (256, 1) if quick else (8192, 3)
    jobs = {
        PLAIN: Job(1, ["-m", RANK, str(n), "plain"]),
        OURS: Job(2, ["-m", RANK, str(n), "hpcapp"]),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    rows: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, job in jobs.items():
            found = json.loads(job.run().strip().splitlines()[-1])
            seconds[name] += found["seconds"]
            rows[name] = np.array(found["row"])
    report = Report(
        "twocores",
        f"jacobi, {n} x {n} points, float64, two cores, {SWEEPS} sweeps a repeat",
        ("what", "G updates/s", "best", "spread", "times plain Numba"),
    )
    samples = {name: Sample(tuple(taken)) for name, taken in seconds.items()}
    updates = (n - 2) ** 2 * SWEEPS / 1e9
    for name, sample in samples.items():
        rates = (updates / sample.median, updates / sample.low)
        ratio = samples[PLAIN].median / sample.median
        report.rows.append((name, *rates, sample.spread, ratio))
    difference = float(np.max(np.abs(rows[OURS] - rows[PLAIN])))
    text = f"values of a row of points differ by {difference:.1e} (<= {TOLERANCE:.0e})"
    moved = bool(np.any(rows[OURS] != 0))
    report.checks.append(Statement(text, difference <= TOLERANCE and moved))
    text = f"{OURS} >= {WANTED} x {PLAIN}: {ratio:.2f}"
    report.requirements.append(Statement(text, ratio >= WANTED))
    return report
