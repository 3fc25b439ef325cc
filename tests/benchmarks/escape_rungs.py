# SPDX-License-Identifier: MIT
"""Escape times as a course writes them: a loop for Numba, masks for NumPy."""

import numba
import numpy as np

__all__ = ["plain_picture", "points", "sliced_picture"]


def points(n: int, center: tuple[float, float], s: float) -> np.ndarray:
    """Return the pixels as complex numbers, by hpcapp's definition."""
    offset = (np.arange(n) - n // 2) * s
    return (center[0] + offset)[np.newaxis, :] + 1j * (center[1] + offset)[
        :, np.newaxis
    ]


@numba.njit(cache=True)
def escape_time(c: complex, most: int) -> int:
    """Count the iterations of one pixel."""
    z = 0j
    for n in range(most):
        if z.real * z.real + z.imag * z.imag > 4.0:
            return n
        z = z * z + c
    return most


@numba.njit(cache=True)
def plain_picture(c: np.ndarray, most: int) -> np.ndarray:
    """Count the iterations of all pixels, one after the other."""
    ny, nx = c.shape
    counts = np.empty((ny, nx), np.int32)
    for j in range(ny):
        for i in range(nx):
            counts[j, i] = escape_time(c[j, i], most)
    return counts


def sliced_picture(c: np.ndarray, most: int) -> np.ndarray:
    """Count with NumPy: all pixels at a time, those that are out left behind."""
    counts = np.full(c.size, most, np.int32)
    index, c = np.arange(c.size), c.ravel()
    zr, zi = np.zeros(c.size), np.zeros(c.size)
    for n in range(most):
        zr2, zi2 = zr * zr, zi * zi
        out = zr2 + zi2 > 4.0
        counts[index[out]] = n
        if out.any():
            stay = ~out
            index, c, zr, zi = index[stay], c[stay], zr[stay], zi[stay]
            zr2, zi2 = zr2[stay], zi2[stay]
        zi = 2 * zr * zi + c.imag
        zr = zr2 - zi2 + c.real
    side = round(counts.size**0.5)
    return counts.reshape(side, side)
