# SPDX-License-Identifier: MIT
"""Sums of series as a course writes them: plain loops for Numba, and NumPy arrays."""

import math

import numba
import numpy as np

__all__ = [
    "cosines_arrays",
    "cosines_loop",
    "kempner_arrays",
    "kempner_loop",
    "midpoint_arrays",
    "midpoint_loop",
]

PIECE = 1 << 16  # of arrays: in cache, where NumPy is fastest


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
