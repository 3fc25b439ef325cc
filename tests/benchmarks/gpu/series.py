# SPDX-License-Identifier: MIT
"""Sums of series on a GPU, as in `tests.benchmarks.series`.

hpcapp's sums are exact: on the GPU they must be those of the CPU, bit by bit, but for
the midpoint rule, whose powers of 3/2 are the same too. Plain sums of n terms may be
off by n 2**-53 of themselves.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.gpu.peers import kempner_terms
from tests.benchmarks.gpu.rungs import COURSE, OURS, Place, Rung, Task
from tests.benchmarks.gpu.runs import run_steps
from tests.benchmarks.report import Statement

__all__ = ["NAMES", "series"]

NAMES = ("kempner", "trigonometric", "midpoint")
KERNELS = {
    "kempner": "add_reciprocals_course",
    "trigonometric": "add_cosines_course",
    "midpoint": "add_midpoints_course",
}
FACTS = {"midpoint": ", integrand: x**1.5, bounds: [0, 1]"}


def series(place: Place, name: str) -> Task:
    """Return the ways to add one of the series.

    Parameters
    ----------
    place : Place
        The GPU.
    name : str
        One of `NAMES`.
    """
    sizes = place.sizes
    sums = {n: _sum(place.cpu, name, n) for n in {sizes.terms, sizes.few_terms}}
    rungs = [
        _ours(place, name, sizes.terms, sums),
        _course(place, name, sizes.terms, sums),
    ]
    rungs += [_peer(place, arrays, name, sums) for arrays in place.peers]
    rungs.append(_ours(place, name, sizes.few_terms, sums, on_cpu=True))
    return Task(f"series {name}", "G terms/s", rungs)


def _sum(device: Any, name: str, terms: int) -> float:
    text = f"{{name: {name}, terms: {terms}{FACTS.get(name, '')}}}"
    return float(run_steps(device, "series", text)["value"])


def _check(name: str, who: str, terms: int, found: float, right: float) -> Statement:
    """Compare a sum with the exact one, whose own check is theory."""
    exact = who.startswith(OURS)
    limit, bound = _theory(name, terms)
    error, allowed = abs(found - right), terms * 2.0**-53 * abs(right)
    holds = error == 0.0 if exact else error <= allowed
    holds = holds and abs(found - limit) <= bound + allowed
    least = "equal to that of the CPU" if exact else f"off by {error:.1e}"
    told = "" if exact else f" (<= {allowed:.1e})"
    text = f"{name}, {who}: the sum of {terms:.0e} terms is {least}{told}"
    return Statement(text, holds)


def _theory(name: str, terms: int) -> tuple[float, float]:
    """Return what the sum tends to, and how far from it it may be."""
    if name == "kempner":
        # of the denominators with m digits 8 * 9**(m - 1) are left, each at least
        # 10**(m - 1): what comes after them is at most 80 (9/10)**m
        digits = len(str(terms)) - 1
        return 22.920676619264150, 80.0 * 0.9**digits
    if name == "trigonometric":
        rest = 1.0 / ((terms + 1) * math.sin(0.5))
        return -math.log(2 * math.sin(0.5)), rest + 1e-13
    h = 1.0 / terms
    return 0.4 - 1.5 * h * h / 24, 0.01 * h * h + 1e-15


def _ours(
    place: Place, name: str, terms: int, sums: dict[int, float], on_cpu: bool = False
) -> Rung:
    """Return the steps of a run."""
    who, found = f"{OURS}, CPU" if on_cpu else OURS, [0.0]
    device = place.cpu if on_cpu else place.device

    def run() -> None:
        found[0] = _sum(device, name, terms)

    check = lambda: _check(name, who, terms, found[0], sums[terms])  # noqa: E731
    return Rung(who, f"{float(terms):.0e}", terms, run, check, host=on_cpu)


def _course(place: Place, name: str, terms: int, sums: dict[int, float]) -> Rung:
    """Return a sum in every thread, and one atomic addition."""
    from tests.benchmarks.gpu import course_cuda_kernels

    kernel = getattr(course_cuda_kernels, KERNELS[name])
    who, device, found = f"{COURSE}, atomic sum", place.device, [0.0]
    grid = device.cover(terms)

    def run() -> None:
        total = device.to_device(np.zeros(1))
        device.start(kernel, grid, total, terms)
        found[0] = float(device.from_device(total)[0])
        if name == "midpoint":
            found[0] /= terms

    check = lambda: _check(name, who, terms, found[0], sums[terms])  # noqa: E731
    return Rung(who, f"{float(terms):.0e}", terms, run, check)


def _peer(place: Place, arrays: Any, name: str, sums: dict[int, float]) -> Rung:
    """Return sums of arrays, in pieces."""
    terms, piece = place.sizes.few_terms, place.sizes.array
    who, found = f"{arrays.name}, arrays", [0.0]

    def cosines(first: int, last: int) -> Any:
        k = arrays.count_up(first, last)
        return arrays.xp.cos(k) / k

    def midpoints(first: int, last: int) -> Any:
        x = (arrays.count_up(first, last) - 0.5) / terms
        return x**1.5 / terms

    def reciprocals(first: int, last: int) -> Any:
        return kempner_terms(arrays, first, last)

    ways: tuple[Callable[[int, int], Any], ...] = (reciprocals, cosines, midpoints)
    make = dict(zip(NAMES, ways, strict=True))[name]

    def run() -> None:
        found[0] = 0.0
        for first in range(1, terms + 1, piece):
            found[0] += float(make(first, min(first + piece, terms + 1)).sum())

    check = lambda: _check(name, who, terms, found[0], sums[terms])  # noqa: E731
    return Rung(who, f"{float(terms):.0e}", terms, run, check, optional=True)
