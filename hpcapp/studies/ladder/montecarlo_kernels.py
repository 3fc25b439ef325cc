# SPDX-License-Identifier: MIT
"""Samples in a circle by plain loops, in unsigned integers.

Products wrap at 64 bits. Those of signed integers must not: the compiler may assume
that they never do, and then finds all samples inside, in threads and not in one.
"""

import numba
import numpy as np

__all__ = ["count_inside_cpu", "count_inside_threads_cpu"]

LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
MULTIPLY = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@numba.njit(cache=True, nogil=True)
def _sample(k: int, key0: int, key1: int) -> tuple[np.uint64, np.uint64]:
    """Return sample k: two words of Philox4x32-10 of counter k div 2."""
    counter, u, v = np.uint64(k // 2), np.uint64(key0), np.uint64(key1)
    a, b, c, d = counter & LOW, counter >> HALF, np.uint64(0), np.uint64(0)
    for _ in range(10):
        p, q = MULTIPLY[0] * a, MULTIPLY[1] * c
        a, b = (q >> HALF) ^ b ^ u, q & LOW
        c, d = (p >> HALF) ^ d ^ v, p & LOW
        u, v = (u + WEYL[0]) & LOW, (v + WEYL[1]) & LOW
    return (a, b) if k % 2 == 0 else (c, d)


@numba.njit(cache=True, nogil=True)
def _is_inside(x: np.uint64, y: np.uint64) -> np.bool:
    """Tell whether x^2 + y^2 < 2^64: a sum that wraps is less than what it had."""
    square = x * x
    return square + y * y >= square


@numba.njit(cache=True, nogil=True)
def count_inside_cpu(first: int, last: int, key0: int, key1: int) -> int:
    """Count the samples `first` <= k < `last` that lie in the circle."""
    inside = 0
    for k in range(first, last):
        x, y = _sample(k, key0, key1)
        if _is_inside(x, y):
            inside += 1
    return inside


@numba.njit(cache=True, parallel=True)
def count_inside_threads_cpu(first: int, last: int, key0: int, key1: int) -> int:
    """Count them in threads: only `prange` is new."""
    inside = 0
    for k in numba.prange(first, last):
        x, y = _sample(k, key0, key1)
        if _is_inside(x, y):
            inside += 1
    return inside
