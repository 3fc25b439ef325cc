# SPDX-License-Identifier: MIT
"""Escape times by plain loops: what Numba compiles is what plain Python runs."""

import numba
import numpy as np

__all__ = ["count_rows_cpu", "count_rows_threads_cpu"]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _count_pixel(zr: float, zi: float, cr: float, ci: float, most: int) -> int:
    for n in range(most):
        zr2, zi2 = zr * zr, zi * zi
        if zr2 + zi2 > 4.0:
            return n
        zi = 2 * zr * zi + ci
        zr = zr2 - zi2 + cr
    return most


@numba.njit(cache=True, nogil=True, error_model="numpy")
def count_rows_cpu(
    re: np.ndarray, im: np.ndarray, most: int, julia: bool, cr: float, ci: float
) -> np.ndarray:
    """Count the iterations of the pixels (im[j], re[i])."""
    counts = np.empty((im.size, re.size), np.int32)
    for j in range(im.size):
        for i in range(re.size):
            if julia:
                counts[j, i] = _count_pixel(re[i], im[j], cr, ci, most)
            else:
                counts[j, i] = _count_pixel(0.0, 0.0, re[i], im[j], most)
    return counts


@numba.njit(cache=True, parallel=True, error_model="numpy")
def count_rows_threads_cpu(
    re: np.ndarray, im: np.ndarray, most: int, julia: bool, cr: float, ci: float
) -> np.ndarray:
    """Count them with a row at a time in each thread: only `prange` is new."""
    counts = np.empty((im.size, re.size), np.int32)
    for j in numba.prange(im.size):
        for i in range(re.size):
            if julia:
                counts[j, i] = _count_pixel(re[i], im[j], cr, ci, most)
            else:
                counts[j, i] = _count_pixel(0.0, 0.0, re[i], im[j], most)
    return counts
