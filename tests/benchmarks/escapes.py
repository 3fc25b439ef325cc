# SPDX-License-Identifier: MIT
"""Escape times on one core against plain code, and the balance of the schedules.

Three views: an edge without interior (the tests for interior points off), and the
whole set with 256 and 5000 iterations (on). 'Iterations' are those that the definition
counts, whether a rung does them or not: so a rung that recognises interior points
shows more per second. Seconds are those of the whole picture.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from hpcapp.workloads.mandelbrot.picture import Chunk
from tests.benchmarks.jobs import Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import interleave, pin, timed

__all__ = ["measure"]

PLAIN = "plain Numba"

# The C library gives nothing back between rounds: otherwise some ranks meet fresh pages
# in each round and others their old ones, as chance has laid out their heaps; a page
# takes the system as long as a fifth of its pixels take the kernel.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_TOP_PAD_": "100000000",
}


@dataclass(frozen=True)
class View:
    """A picture and the ratio to plain Numba that is aimed at."""

    name: str
    center: tuple[float, float]
    extent: float
    most: int
    interior: bool
    wanted: float


VIEWS = (
    View("edge, 1024", (-1.1195, 0.2718), 0.005, 1024, False, 3.2),
    View("set, 256", (-0.8, 0.0), 3.0, 256, True, 20.0),
    View("set, 5000", (-0.8, 0.0), 3.0, 5000, True, 40.0),
)


def measure(quick: bool) -> Report:
    """Measure the views on one core, then the schedules on 8 ranks.

    Parameters
    ----------
    quick : bool
        Small pictures: figures mean nothing then.

    Returns
    -------
    Report
        Iterations per second of each rung, imbalance of each schedule.
    """
    n, repeats = (64, 1) if quick else (1024, 5)
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else None
    pin()
    report = Report(
        "mandelbrot",
        f"{n} x {n} pixels, float64, one core; schedules on 8 ranks",
        ("view", "what", "G iterations/s", "seconds", "spread", "x plain Numba"),
    )
    for view in VIEWS:
        _measure_view(report, view, n, repeats)
    if cores:
        os.sched_setaffinity(0, cores)
    _measure_balance(report, *((128, 1) if quick else (8192, 8)))
    if find_spec("dask") is None:
        report.notes.append("dask is not installed: its rung is left out")
    return report


def _measure_view(report: Report, view: View, n: int, repeats: int) -> None:
    rungs = _rungs(view, n)
    pictures: dict[str, Any] = {}

    def keep(name: str, rung: Callable[[], Any]) -> Callable[[], object]:
        return lambda: pictures.__setitem__(name, rung())

    samples = interleave(
        {name: timed(keep(name, rung)) for name, rung in rungs.items()}, repeats
    )
    # a run writes its rows to their places in the file
    ours = pictures["hpcapp"]
    pictures["hpcapp"] = ours.counts[np.argsort(ours.rows)]
    plain = samples[PLAIN].median
    work = float(pictures[PLAIN].sum(dtype=np.int64))
    for name, sample in samples.items():
        seconds = sample.median
        ratio = plain / seconds
        row = (view.name, name, work / seconds / 1e9, seconds, sample.spread, ratio)
        report.rows.append(row)
        wrong = int((pictures[name] != pictures[PLAIN]).sum())
        text = f"{view.name}: {name}: {wrong} counts differ from {PLAIN}"
        report.checks.append(Statement(text, wrong == 0))
    ratio = plain / samples["hpcapp"].median
    text = f"{view.name}: hpcapp >= {view.wanted} x {PLAIN}: {ratio:.2f}"
    report.requirements.append(Statement(text, ratio >= view.wanted))


def _rungs(view: View, n: int) -> dict[str, Callable[[], Any]]:
    from tests.benchmarks.escape_rungs import (
        plain_picture,
        points,
        sliced_picture,
    )

    s = view.extent / n
    c = points(n, view.center, s)
    found: dict[str, Callable[[], Any]] = {
        PLAIN: lambda: plain_picture(c, view.most),
        "NumPy": lambda: sliced_picture(c, view.most),
        "hpcapp": _ours(view, n),
    }
    if find_spec("dask") is not None:
        import dask.array as da

        parts = da.from_array(c, chunks=(max(1, n // 8), n))
        picture = parts.map_blocks(plain_picture, view.most, dtype=np.int32)
        found["Dask of plain Numba"] = lambda: picture.compute(scheduler="threads")
    return found


def _ours(view: View, n: int) -> Callable[[], Chunk]:
    from hpcapp.device import Device
    from hpcapp.workloads.mandelbrot.painting import Painter
    from hpcapp.workloads.mandelbrot.parameters import Parameters
    from hpcapp.workloads.mandelbrot.picture import Plane

    p = Parameters(
        shape=(n, n),
        center=view.center,
        extent=(view.extent, view.extent),
        max_iterations=view.most,
        interior=view.interior,
    )

    def paint() -> Chunk:
        painter = Painter(Plane(p), Device())
        (chunk,) = painter.compute(painter.bands(), view.most)
        return chunk

    return paint


def _measure_balance(report: Report, n: int, rounds: int) -> None:
    program = ["-m", "tests.benchmarks.balance_rank", str(n), str(rounds)]
    found = json.loads(Job(8, program, **KEEP_MEMORY).run().splitlines()[-1])
    sums = {name: one["checksum"] for name, one in found.items()}
    same = len(set(sums.values())) == 1
    report.checks.append(
        Statement(f"schedules on 8 ranks: the same counts {n}^2", same)
    )
    for name, one in found.items():
        text = f"schedule {name}: max / mean of CPU time in kernels {one['ratio']:.3f}"
        if name in ("cost", "dynamic"):
            report.requirements.append(
                Statement(f"{text} (< 1.05)", one["ratio"] < 1.05)
            )
        else:
            report.notes.append(text)
