# SPDX-License-Identifier: MIT
"""Laws of a right sum: its beginning term by term, known limits, an integral."""

import math
from collections.abc import Iterator

import numpy as np

from hpcapp.evaluation import evaluate_line
from hpcapp.expression import parse
from hpcapp.validity import Check, Read, near
from hpcapp.workloads.series.parameters import Parameters

__all__ = ["check_sum"]

# terms that are added again, one by one
AGAIN = 100_000

BAILLIE = {"9": 22.92067661926415, "0": 23.10344790942054, "1": 16.17696952812344}
"""R. Baillie, "Sums of reciprocals of integers missing a given digit", American
Mathematical Monthly 86 (1979) 372-374."""


def check_sum(parameters: Parameters, read: Read) -> Iterator[Check]:
    """Compare a sum with what it must be.

    Parameters
    ----------
    parameters : Parameters
        Of the run.
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        Its beginning, and where it leads to.
    """
    p, terms = parameters, int(read("terms")[()])
    yield Check("terms", terms == p.terms, f"{terms} of {p.terms}")
    marks, partial = read("mark")[:], read("partial")[:]
    known = np.flatnonzero(marks <= AGAIN)
    if known.size:
        n = int(marks[known[-1]])
        found, expected = float(partial[known[-1]]), _add_again(p, n)
        name = f"first {n} terms"
        yield near(name, found, expected, 1e-13 * (1 + abs(expected)), "math.fsum")
    value = float(read("value")[()])
    if p.name == "midpoint":
        yield from _integral(p, value)
        return
    bound = float(read("error_bound")[()])
    if p.name == "trigonometric":
        limit = -math.log(2 * abs(math.sin(p.theta / 2)))
        yield near("limit", value, limit, bound, "-ln(2 |sin(theta / 2)|)")
        return
    if marks.size:
        # what is left out is positive
        low, most = float(partial[-1]), math.log(terms / int(marks[-1]))
        text = f"{value:.9g}: {low:.9g} at {marks[-1]}, at most {most:.4g} more"
        yield Check("terms after the last mark", low <= value <= low + most, text)
    if p.digits in BAILLIE:
        yield near("limit", value, BAILLIE[p.digits], bound, "Baillie 1979")


def _add_again(p: Parameters, n: int) -> float:
    if p.name == "kempner":
        return math.fsum(1 / k for k in range(1, n + 1) if p.digits not in str(k))
    if p.name == "trigonometric":
        return math.fsum(math.cos(k * p.theta) / k for k in range(1, n + 1))
    width = (p.bounds[1] - p.bounds[0]) / p.terms
    points = p.bounds[0] + (np.arange(n) + 0.5) * width
    return width * math.fsum(_values(p, points))


def _values(p: Parameters, points: np.ndarray) -> np.ndarray:
    program = parse(p.integrand, ("x",))
    if program.constant is not None:
        return np.full(len(points), program.constant)
    return evaluate_line(program, points)


def _integral(p: Parameters, value: float) -> Iterator[Check]:
    """Compare with Gauss's rule, by the inequality of Koksma for the midpoints."""
    a, b = p.bounds
    points, weights = np.polynomial.legendre.leggauss(400)
    f = _values(p, (a + b) / 2 + (b - a) / 2 * points)
    truth = float((b - a) / 2 * (weights @ f))
    # error <= (b - a) variation / (2 terms); Gauss's own error is far below that, or
    # the integrand has a pole that neither can know
    bound = (b - a) * float(np.abs(np.diff(f)).sum()) / (2 * p.terms)
    slack = 1e-5 * abs(truth) / 400
    if math.isfinite(truth):
        yield near("integral", value, truth, bound + slack, "Gauss, 400 points")
