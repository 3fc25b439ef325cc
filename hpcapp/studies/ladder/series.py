# SPDX-License-Identifier: MIT
"""Rungs of slowly converging series. Their sums are rounded at each term."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from hpcapp.studies.ladder.rungs import Read, Rung, Task, absent, cut, shared_out

__all__ = ["Cosines", "Kempner", "make"]

# terms of NumPy's arrays at a time: in cache, where it is fastest
PIECE = 1 << 15


def kempner_plain(first: int, last: int, digits: str) -> float:
    """Add 1/k for the k without a string of digits, as one says it."""
    return sum(1.0 / k for k in range(first, last) if digits not in str(k))


def kempner_arrays(first: int, last: int, digits: str) -> float:
    """Add them with arrays of NumPy, a mask for each digit."""
    number, unit = int(digits), 10 ** len(digits)
    k = np.arange(first, last)
    rest, good = k.copy(), np.ones(k.size, bool)
    while (10 * rest >= unit).any():
        good &= (rest % unit != number) | (10 * rest < unit)
        rest //= 10
    return float(np.sum(1.0 / k[good]))


def kempner_piece(first: int, last: int, digits: str) -> float:
    """Add them with Numba, wherever this is called: in a thread or another process."""
    from hpcapp.studies.ladder.series_kernels import add_kempner_cpu

    return float(add_kempner_cpu(first, last, int(digits), 10 ** len(digits)))


def kempner_threads(first: int, last: int, digits: str) -> float:
    """Add them with Numba in threads."""
    from hpcapp.studies.ladder.series_kernels import add_kempner_threads_cpu

    return float(add_kempner_threads_cpu(first, last, int(digits), 10 ** len(digits)))


def cosines_plain(first: int, last: int, theta: float) -> float:
    """Add cos(k theta) / k."""
    return sum(math.cos(k * theta) / k for k in range(first, last))


def cosines_arrays(first: int, last: int, theta: float) -> float:
    """Add them with arrays of NumPy."""
    k = np.arange(first, last, dtype=float)
    return float(np.sum(np.cos(k * theta) / k))


def cosines_numexpr(first: int, last: int, theta: float) -> float:
    """Add them with NumExpr: no array for each operation, and its threads."""
    import numexpr

    names = {"k": np.arange(first, last, dtype=float), "theta": theta}
    return float(numexpr.evaluate("sum(cos(k * theta) / k)", names))


def cosines_piece(first: int, last: int, theta: float) -> float:
    """Add them with Numba, wherever this is called: in a thread or another process."""
    from hpcapp.studies.ladder.series_kernels import add_cosines_cpu

    return float(add_cosines_cpu(first, last, theta))


def cosines_threads(first: int, last: int, theta: float) -> float:
    """Add them with Numba in threads."""
    from hpcapp.studies.ladder.series_kernels import add_cosines_threads_cpu

    return float(add_cosines_threads_cpu(first, last, theta))


class _Terms(Task):
    """The first terms of a series; hpcapp's sums are exact.

    Parameters
    ----------
    terms : int
        Of the whole sum.
    what : object
        What the series is of.
    """

    unit = "terms"
    # rounded at each of up to 1e10 terms, by sums of arrays or threads
    tolerance = 1e-9
    plain: Callable[..., float]
    arrays: Callable[..., float]
    piece: Callable[..., float]
    threads: Callable[..., float]

    def __init__(self, terms: int, what: Any) -> None:
        self.units, self.what = terms, what

    def settings(self, part: int) -> tuple[str, ...]:
        """Let hpcapp add as many terms."""
        return () if part == self.units else (f"parameters.terms={part}",)

    def expected(self, read: Read, part: int) -> Any:  # noqa: ARG002
        """Return the sum."""
        return float(read("value"))

    def rungs(self, cores: int) -> list[Rung]:
        """Return plain Python, NumPy, Numba, and ways to share its terms out."""
        own = type(self)
        return [
            Rung("plain Python", lambda part: own.plain(1, part + 1, self.what)),
            Rung("NumPy", lambda part: self._by_pieces(own.arrays, part)),
            *self._more(cores),
            Rung("Numba", lambda part: own.piece(1, part + 1, self.what)),
            Rung(
                "Numba, prange",
                lambda part: own.threads(1, part + 1, self.what),
                cores,
            ),
            *shared_out(own.piece, self._pieces, math.fsum, cores),
        ]

    def _more(self, cores: int) -> list[Rung]:  # noqa: ARG002
        return []

    def _by_pieces(
        self, add: Callable[..., float], part: int, piece: int = PIECE
    ) -> float:
        starts = range(1, part + 1, piece)
        return sum(add(a, min(a + piece, part + 1), self.what) for a in starts)

    def _pieces(self, part: int) -> list[tuple[Any, ...]]:
        return [(a + 1, b + 1, self.what) for a, b in cut(part, 32)]


class Kempner(_Terms):
    """1/k without the k that contain a string of digits."""

    plain = staticmethod(kempner_plain)
    arrays = staticmethod(kempner_arrays)
    piece = staticmethod(kempner_piece)
    threads = staticmethod(kempner_threads)


class Cosines(_Terms):
    """The trigonometric series."""

    plain = staticmethod(cosines_plain)
    arrays = staticmethod(cosines_arrays)
    piece = staticmethod(cosines_piece)
    threads = staticmethod(cosines_threads)

    def _more(self, cores: int) -> list[Rung]:
        # larger pieces: NumExpr cuts them itself, and pays for each call
        return [
            Rung(
                "NumExpr",
                lambda part: self._by_pieces(cosines_numexpr, part, 1 << 20),
                cores,
                absent("numexpr"),
            )
        ]


def make(parameters: Any, seed: int, read: Read) -> Task | str:  # noqa: ARG001
    """Return the task of a configuration, or why there is none."""
    if parameters.name == "kempner":
        return Kempner(parameters.terms, parameters.digits)
    if parameters.name == "trigonometric":
        return Cosines(parameters.terms, parameters.theta)
    return "there are rungs for name: kempner and trigonometric only"
