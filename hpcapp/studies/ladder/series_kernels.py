# SPDX-License-Identifier: MIT
"""Sums of series by plain loops: what Numba compiles is what plain Python would run."""

import math

import numba

__all__ = [
    "add_cosines_cpu",
    "add_cosines_threads_cpu",
    "add_kempner_cpu",
    "add_kempner_threads_cpu",
]


@numba.njit(cache=True, nogil=True)
def _contains(k: int, number: int, unit: int) -> bool:
    """Tell whether k contains a string of digits; `unit` is 10 to their count."""
    while 10 * k >= unit:
        if k % unit == number:
            return True
        k //= 10
    return False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_kempner_cpu(first: int, last: int, number: int, unit: int) -> float:
    """Add 1/k for first <= k < last without a string of digits."""
    total = 0.0
    for k in range(first, last):
        if not _contains(k, number, unit):
            total += 1.0 / k
    return total


@numba.njit(cache=True, parallel=True, error_model="numpy")
def add_kempner_threads_cpu(first: int, last: int, number: int, unit: int) -> float:
    """Add them in threads: only `prange` is new."""
    total = 0.0
    for k in numba.prange(first, last):
        if not _contains(k, number, unit):
            total += 1.0 / k
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def add_cosines_cpu(first: int, last: int, theta: float) -> float:
    """Add cos(k theta) / k for first <= k < last."""
    total = 0.0
    for k in range(first, last):
        total += math.cos(k * theta) / k
    return total


@numba.njit(cache=True, parallel=True, error_model="numpy")
def add_cosines_threads_cpu(first: int, last: int, theta: float) -> float:
    """Add them in threads: only `prange` is new."""
    total = 0.0
    for k in numba.prange(first, last):
        total += math.cos(k * theta) / k
    return total
