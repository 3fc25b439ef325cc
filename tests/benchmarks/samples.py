# SPDX-License-Identifier: MIT
"""Monte Carlo estimates of pi on one core, against what a course writes.

What is called hpcapp are the steps of its workload on a communicator of one rank.
Each rung has random numbers of its own; an answer is right within 4 standard errors
of pi, and hpcapp's count must be that of its own definition in plain Python.
"""

import importlib.util
import math
import os
from collections.abc import Callable

import numba
import numpy as np

from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import interleave, pin, timed

__all__ = ["measure"]

LOOP = "plain Numba, random.uniform"
BATCH = 1_000_000  # of NumPy: 24 MB of arrays, as a course writes it
WANTED = 15.0  # times the plain loop

# samples of which the count is compared with plain Python
CHECKED = 2000

CONFIG = """
workload: montecarlo
parameters:
  estimator: {estimator}
  samples: {samples}
"""


@numba.njit(cache=True)
def count_loop(samples: int) -> int:
    """Count samples in the circle in one loop, as a course writes it."""
    inside = 0
    for _ in range(samples):
        x = np.random.uniform(0.0, 1.0)  # noqa: NPY002
        y = np.random.uniform(0.0, 1.0)  # noqa: NPY002
        if x * x + y * y <= 1.0:
            inside += 1
    return inside


def count_arrays(samples: int, rng: np.random.Generator) -> int:
    """Count samples in the circle with arrays of a million."""
    inside = 0
    for first in range(0, samples, BATCH):
        count = min(BATCH, samples - first)
        x, y = rng.random(count), rng.random(count)
        inside += int(np.count_nonzero(x * x + y * y <= 1.0))
    return inside


def measure(quick: bool) -> Report:
    """Measure pi from 2e8 samples and the other estimators.

    Parameters
    ----------
    quick : bool
        Few samples and repeats: figures mean nothing then.

    Returns
    -------
    Report
        Samples per second of each rung.
    """
    samples, repeats = (200_000, 2) if quick else (200_000_000, 5)
    core = pin()
    report = Report(
        "montecarlo",
        f"pi and other estimates, one core{core}",
        ("what", "samples", "G samples/s", "best", "spread", "of random.uniform"),
    )
    rungs, estimates = _rungs(samples, report)
    measurements = {name: timed(action) for name, (_, action) in rungs.items()}
    found = interleave(measurements, repeats)
    base = rungs[LOOP][0] / found[LOOP].median
    for name, (count, _) in rungs.items():
        rate, best = count / found[name].median, count / found[name].low
        ratio = rate / base if name in estimates else None
        row = (name, count, rate / 1e9, best / 1e9, found[name].spread, ratio)
        report.rows.append(row)
    for name, estimate in estimates.items():
        _check(report, name, estimate(), rungs[name][0])
    _check_count(report)
    ratio = samples / found["hpcapp"].median / base
    text = f"hpcapp >= {WANTED} x {LOOP}: {ratio:.1f}"
    report.requirements.append(Statement(text, ratio >= WANTED))
    return report


Rungs = dict[str, tuple[int, Callable[[], object]]]


def _rungs(samples: int, report: Report) -> tuple[Rungs, dict[str, Callable]]:
    """Return samples and action of each rung, and the estimates of pi."""
    few = max(samples // 10, 10_000)
    rng, counts = np.random.default_rng(1), {}

    def keep(name: str, count: int, action: Callable[[], int]) -> Callable[[], None]:
        def act() -> None:
            counts[name] = 4 * action() / count

        return act

    rungs: Rungs = {
        LOOP: (few, keep(LOOP, few, lambda: count_loop(few))),
        "NumPy": (few, keep("NumPy", few, lambda: count_arrays(few, rng))),
    }
    if importlib.util.find_spec("dask"):
        rungs["Dask"] = (few, keep("Dask", few, lambda: _count_dask(few)))
    else:
        report.notes.append("Dask is not installed: left out")
    walkers = max(samples // 100_000, 10)
    rungs["hpcapp"] = (samples, keep("hpcapp", 4, lambda: _hpcapp("pi", samples)))
    others = {
        "hpcapp, integral of sqrt(1 - x**2)": ("integral", few, ()),
        "hpcapp, pi, stratified": ("pi", few, ("parameters.sampling=stratified",)),
    }
    for name, (kind, count, settings) in others.items():
        rungs[name] = (count, lambda k=kind, n=count, s=settings: _hpcapp(k, n, s))
    # of 1000 steps, each of which counts as a sample
    walk = 20 * walkers
    rungs["hpcapp, steps of walks"] = (1000 * walk, lambda: _hpcapp("walk", walk))
    names = [LOOP, "NumPy", "Dask", "hpcapp"]
    chosen = {n: (lambda n=n: counts[n]) for n in names if n in rungs}
    return rungs, chosen


def _count_dask(samples: int) -> int:
    import dask
    import dask.array

    with dask.config.set(scheduler="synchronous"):
        rng = dask.array.random.default_rng(1)
        x = rng.random(samples, chunks=BATCH)
        y = rng.random(samples, chunks=BATCH)
        return int((x * x + y * y <= 1.0).sum().compute())


def _hpcapp(estimator: str, samples: int, settings: tuple[str, ...] = ()) -> float:
    """Return the estimate of a run's steps on one rank with one thread."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mpi4py import MPI

    from hpcapp.device import Device
    from hpcapp.mpi.comm import Comm
    from hpcapp.problem import parse_problem
    from hpcapp.workload import Context

    text = CONFIG.format(estimator=estimator, samples=samples)
    problem = parse_problem(text, "benchmark.yaml", settings)
    context = Context(Comm(MPI.COMM_SELF), Device(1), problem.layout(1))
    for _ in problem.workload.steps(context):
        pass
    return float(context.state["estimate"])


def _check(report: Report, name: str, estimate: float, samples: int) -> None:
    error = math.sqrt(math.pi * (4 - math.pi) / samples)
    off = abs(estimate - math.pi) / error
    text = f"{name}: {estimate:.6f} is {off:.1f} standard errors from pi (<= 4)"
    report.checks.append(Statement(text, off <= 4))


def _check_count(report: Report) -> None:
    """Compare a count with the definition, by integers of any size."""
    inside = 0
    for k in range(CHECKED):
        words = _philox(k // 2)
        x, y = words[2:] if k % 2 else words[:2]
        inside += x * x + y * y < 2**64
    found = round(_hpcapp("pi", CHECKED) * CHECKED / 4)
    text = f"hpcapp: {found} of the first {CHECKED} inside, by plain Python {inside}"
    report.checks.append(Statement(text, found == inside))


def _philox(number: int) -> tuple[int, int, int, int]:
    """Return block `number` of stream 0 of seed 0."""
    ones = 2**32 - 1
    c0, c1, c2, c3 = number, 0, 0, 0
    k0, k1 = 0, 0
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = p1 >> 32 ^ c1 ^ k0, p1 & ones, p0 >> 32 ^ c3 ^ k1, p0 & ones
        k0, k1 = (k0 + 0x9E3779B9) & ones, (k1 + 0xBB67AE85) & ones
    return c0, c1, c2, c3
