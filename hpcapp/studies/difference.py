# SPDX-License-Identifier: MIT
"""How far two arrays are apart: by bits, or within a relative tolerance."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["Difference", "Rule"]


@dataclass(frozen=True)
class Difference:
    """What a comparison of two arrays has found.

    Parameters
    ----------
    compared, differing : int
        Pairs of values in all, and those that break the rule.
    index : tuple of int
        Of the first that differs, in C order.
    absolute, relative : float or None
        Largest difference of any pair of numbers, relative to the larger
        magnitude of the two; infinite where only one is a number; None where
        nothing was measured, as for equal bits and texts.
    worst : tuple of int
        Index of the first pair with the largest absolute difference; () where nothing
        was measured.
    """

    compared: int = 0
    differing: int = 0
    index: tuple[int, ...] = ()
    absolute: float | None = None
    relative: float | None = None
    worst: tuple[int, ...] = ()

    def plus(self, later: "Difference") -> "Difference":
        """Return what was found together with what a later piece has."""
        return Difference(
            self.compared + later.compared,
            self.differing + later.differing,
            self.index if self.differing else later.index,
            _larger(self.absolute, later.absolute),
            _larger(self.relative, later.relative),
            self.worst if self._farther(later) else later.worst,
        )

    def _farther(self, later: "Difference") -> bool:
        if self.absolute is None or later.absolute is None:
            return later.absolute is None
        return self.absolute >= later.absolute

    def moved(self, start: tuple[int, ...]) -> "Difference":
        """Return the same of a piece that starts at an index of the whole."""
        return replace(
            self, index=_plus(self.index, start), worst=_plus(self.worst, start)
        )


def _plus(index: tuple[int, ...], start: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a + b for a, b in zip(index, start, strict=False))


def _larger(a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return max(known, default=None)


@dataclass(frozen=True)
class Rule:
    """When two values are equal.

    Parameters
    ----------
    tolerance : float or None
        None: the same bits. A number t >= 0: abs(a - b) <= t max(abs(a), abs(b)),
        or both NaN.
    """

    tolerance: float | None = None

    def measure(self, a: np.ndarray, b: np.ndarray) -> Difference:
        """Compare two arrays.

        Parameters
        ----------
        a, b : ndarray
            Of one shape and dtype: truth values, numbers, or texts.

        Returns
        -------
        Difference
            Nothing is measured where all bits agree.
        """
        unequal = _bits_differ(a, b)
        if not unequal.any():
            return Difference(a.size)
        if a.dtype.kind not in "iufc":
            return _located(unequal)
        with np.errstate(all="ignore"):
            apart, relative = _distances(a, b)
        if self.tolerance is not None:
            unequal = relative > self.tolerance
        found = _located(unequal)
        largest = float(apart.max()), float(relative.max())
        at = np.unravel_index(int(apart.argmax()), apart.shape)
        worst = tuple(int(i) for i in at)
        return replace(found, absolute=largest[0], relative=largest[1], worst=worst)


def _located(unequal: np.ndarray) -> Difference:
    count = int(np.count_nonzero(unequal))
    if not count:
        return Difference(unequal.size)
    first = np.unravel_index(int(unequal.argmax()), unequal.shape)
    return Difference(unequal.size, count, tuple(int(i) for i in first))


def _bits_differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "OS":
        return np.asarray(a != b, bool)
    words: Any = f"u{a.dtype.itemsize}" if a.dtype.itemsize <= 8 else "u8"
    x = np.ascontiguousarray(a).reshape(*a.shape, 1).view(words)
    y = np.ascontiguousarray(b).reshape(*b.shape, 1).view(words)
    return np.asarray((x != y).any(axis=-1))


def _distances(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return absolute and relative distance of each pair, never NaN."""
    if a.dtype.kind in "iu":
        # exact, though a float could not hold the values; modulo 2**64 it is right
        high, low = np.maximum(a, b), np.minimum(a, b)
        apart = (high.astype(np.uint64) - low.astype(np.uint64)).astype(float)
        scale = np.maximum(np.abs(high.astype(float)), np.abs(low.astype(float)))
    else:
        apart = np.abs(a - b).astype(float)
        scale = np.maximum(np.abs(a), np.abs(b)).astype(float)
    same = (a == b) | ((a != a) & (b != b))
    apart = np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))
    relative = np.where(same, 0.0, apart / scale)
    # infinity against a number, or NaN against one
    return apart, np.where(np.isnan(relative), np.inf, relative)
