# SPDX-License-Identifier: MIT
"""Sums of series on one core, against plain Numba loops and NumPy.

What is called hpcapp are the steps of its workload on a communicator of one rank with
one thread, from the first term to the last. Its sums are exact: a plain sum of n terms
may be off by n times 2**-53 of itself, which the checks of the others allow.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec

from tests.benchmarks import series_rungs
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import interleave, pin, timed

__all__ = ["measure"]

PLAIN, ARRAYS, DASK, OURS = "plain Numba", "NumPy", "Dask", "hpcapp"

# times the speed of plain Numba
WANTED = {"kempner": 6.5, "trigonometric": 3.0, "midpoint": 3.0}

# 1e8 denominators without 9 by the recursion of Schmelzer and Baillie (2008)
KEMPNER = 13.27760594985402346


@dataclass
class Rung:
    """One way to add a series.

    Parameters
    ----------
    compute : callable
        Returns the sum of so many terms.
    terms : int
        How many.
    """

    compute: Callable[[int], float]
    terms: int
    values: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Add the terms once and keep the sum."""
        self.values.append(self.compute(self.terms))


def measure(quick: bool) -> Report:
    """Measure all three series at 1e8 terms, NumPy and Dask at 1e7.

    Parameters
    ----------
    quick : bool
        A hundredth of the terms and few repeats: figures mean nothing then.

    Returns
    -------
    Report
        Terms per second of each rung.
    """
    terms, repeats = (10**6, 2) if quick else (10**8, 5)
    core = pin()
    report = Report(
        "series",
        f"{terms:.0e} terms (NumPy, Dask {terms // 10:.0e}), float64, one core{core}",
        ("series", "what", "G terms/s", "best", "spread", "times plain Numba"),
    )
    for name in WANTED:
        rungs = _rungs(name, terms)
        samples = interleave({k: timed(r.run) for k, r in rungs.items()}, repeats)
        plain = terms / samples[PLAIN].median
        for what, rung in rungs.items():
            sample = samples[what]
            rate = rung.terms / sample.median
            row = (rate / 1e9, rung.terms / sample.low / 1e9, sample.spread)
            report.rows.append((name, what, *row, rate / plain))
            report.checks.append(_check(name, what, rung))
        ratio = samples[PLAIN].median / samples[OURS].median
        text = f"{name}: {OURS} >= {WANTED[name]} x {PLAIN}: {ratio:.1f}"
        report.requirements.append(Statement(text, ratio >= WANTED[name]))
    report.notes.append(
        "kempner: 1/k without the digit 9; trigonometric: cos(k)/k; midpoint: x**1.5 "
        "on [0, 1]. A term of kempner is a denominator looked at."
    )
    if not find_spec("dask"):
        report.notes.append("Dask is not installed: left out")
    return report


def _rungs(name: str, terms: int) -> dict[str, Rung]:
    stem = {"trigonometric": "cosines"}.get(name, name)
    rungs = {ARRAYS: Rung(getattr(series_rungs, f"{stem}_arrays"), terms // 10)}
    if find_spec("dask"):
        rungs[DASK] = Rung(getattr(series_rungs, f"{stem}_dask"), terms // 10)
    return rungs | {
        PLAIN: Rung(getattr(series_rungs, f"{stem}_loop"), terms),
        OURS: Rung(_hpcapp(name), terms),
    }


def _hpcapp(name: str) -> Callable[[int], float]:
    """Return a function that does all steps of the workload on one rank."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mpi4py import MPI

    from hpcapp.device import Device
    from hpcapp.mpi.comm import Comm
    from hpcapp.problem import parse_problem
    from hpcapp.workload import Context

    def compute(terms: int) -> float:
        text = f"workload: series\nparameters: {{name: {name}, terms: {terms}}}\n"
        problem = parse_problem(text, "benchmark.yaml")
        context = Context(Comm(MPI.COMM_SELF), Device(1), problem.layout(1))
        for _ in problem.workload.steps(context):
            pass
        return float(context.state["value"])

    return compute


def _check(name: str, what: str, rung: Rung) -> Statement:
    """Compare the last sum with theory, and all repeats with one another."""
    value, n = rung.values[-1], rung.terms
    expected, bound = _expected(name, n)
    if what != OURS:
        bound += n * 2.0**-53 * abs(expected)
    error = abs(value - expected)
    text = f"{name}: {what} is off by {error:.1e} (<= {bound:.1e})"
    return Statement(text, error <= bound and len(set(rung.values)) == 1)


def _expected(name: str, terms: int) -> tuple[float, float]:
    """Return the sum by theory, and how far from it exact arithmetic may end."""
    if name == "kempner":
        if terms == 10**8:
            return KEMPNER, 2e-15
        left = (k for k in range(1, terms + 1) if "9" not in str(k))
        return math.fsum(1.0 / k for k in left), 0.0
    if name == "trigonometric":
        bound = 1 / ((terms + 1) * math.sin(0.5)) + 2e-14
        return -math.log(2 * math.sin(0.5)), bound
    # the error of the rule begins with -f'(1) h**2 / 24
    h = 1.0 / terms
    return 0.4 - 1.5 * h * h / 24, h**2 * 1e-2 + 2e-16
