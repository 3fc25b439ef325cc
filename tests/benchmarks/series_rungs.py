# SPDX-License-Identifier: MIT
"""Sums of series as a course writes them: plain loops for Numba, and NumPy arrays."""

import math
from typing import Any

import numba
import numpy as np

__all__ = [
    "cosines_arrays",
    "cosines_dask",
    "cosines_loop",
    "kempner_arrays",
    "kempner_dask",
    "kempner_loop",
    "midpoint_arrays",
    "midpoint_dask",
    "midpoint_loop",
]

PIECE = 1 << 16  # of arrays: in cache, where NumPy is fastest
CHUNK = 1 << 20  # of Dask's arrays: a task costs it about a millisecond


@numba.njit(cache=True)
def kempner_loop(terms: int) -> float:
    """Add 1/k for the k without the digit 9, looking at one digit after the other."""
    total = 0.0
    for k in range(1, terms + 1):
        rest, left = k, True
        while rest > 0:
            if rest % 10 == 9:
                # twice as fast as with both conditions in the loop's head
                left = False
                break
            rest //= 10
        if left:
            total += 1.0 / k
    return total


@numba.njit(cache=True)
def cosines_loop(terms: int) -> float:
    """Add cos(k) / k."""
    total = 0.0
    for k in range(1, terms + 1):
        total += math.cos(k * 1.0) / k
    return total


@numba.njit(cache=True)
def midpoint_loop(terms: int) -> float:
    """Integrate x**1.5 from 0 to 1 by midpoints."""
    h, total = 1.0 / terms, 0.0
    for k in range(terms):
        total += ((k + 0.5) * h) ** 1.5
    return total * h


def kempner_arrays(terms: int) -> float:
    """Add 1/k for the k without the digit 9, a mask for each digit."""
    total = 0.0
    for first in range(1, terms + 1, PIECE):
        k = np.arange(first, min(first + PIECE, terms + 1))
        rest, good = k.copy(), np.ones(k.size, bool)
        while rest.any():
            good &= rest % 10 != 9
            rest //= 10
        total += float(np.sum(1.0 / k[good]))
    return total


def cosines_arrays(terms: int) -> float:
    """Add cos(k) / k with arrays."""
    total = 0.0
    for first in range(1, terms + 1, PIECE):
        k = np.arange(first, min(first + PIECE, terms + 1), dtype=float)
        total += float(np.sum(np.cos(k) / k))
    return total


def midpoint_arrays(terms: int) -> float:
    """Integrate x**1.5 from 0 to 1 by midpoints with arrays."""
    h, total = 1.0 / terms, 0.0
    for first in range(0, terms, PIECE):
        x = (np.arange(first, min(first + PIECE, terms)) + 0.5) * h
        total += float(np.sum(x**1.5))
    return total * h


def kempner_dask(terms: int) -> float:
    """Add 1/k for the k without the digit 9 with Dask, as its users write it."""
    import dask.array as da

    def reciprocals(k: np.ndarray) -> np.ndarray:
        rest, good = k.copy(), np.ones(k.size, bool)
        while rest.any():
            good &= rest % 10 != 9
            rest //= 10
        return np.where(good, 1.0 / k, 0.0)

    k = da.arange(1, terms + 1, chunks=CHUNK, dtype=np.int64)
    return _added(k.map_blocks(reciprocals, dtype=float))


def cosines_dask(terms: int) -> float:
    """Add cos(k) / k with Dask."""
    import dask.array as da

    k = da.arange(1, terms + 1, chunks=CHUNK, dtype=float)
    return _added(da.cos(k) / k)


def midpoint_dask(terms: int) -> float:
    """Integrate x**1.5 from 0 to 1 by midpoints with Dask."""
    import dask.array as da

    h = 1.0 / terms
    k = da.arange(0, terms, chunks=CHUNK, dtype=float)
    return _added(((k + 0.5) * h) ** 1.5) * h


def _added(array: Any) -> float:
    """Add on one core, as the other rungs do."""
    return float(array.sum().compute(scheduler="synchronous"))
