# SPDX-License-Identifier: MIT
"""Sweeps by plain loops: what Numba compiles is what plain Python runs."""

import numba
import numpy as np

__all__ = [
    "sweep_jacobi_cpu",
    "sweep_jacobi_threads_cpu",
    "sweep_redblack_cpu",
    "sweep_redblack_threads_cpu",
]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep_jacobi_cpu(
    new: np.ndarray, u: np.ndarray, g: np.ndarray, cy: float, cx: float
) -> None:
    """Write the interior of `new`: the weighted mean of the neighbours, less g."""
    ny, nx = u.shape
    for j in range(1, ny - 1):
        for i in range(1, nx - 1):
            mean = cy * (u[j - 1, i] + u[j + 1, i]) + cx * (u[j, i - 1] + u[j, i + 1])
            new[j, i] = mean - g[j, i]


@numba.njit(cache=True, parallel=True, error_model="numpy")
def sweep_jacobi_threads_cpu(
    new: np.ndarray, u: np.ndarray, g: np.ndarray, cy: float, cx: float
) -> None:
    """Do the same with rows in threads: only `prange` is new."""
    ny, nx = u.shape
    for j in numba.prange(1, ny - 1):
        for i in range(1, nx - 1):
            mean = cy * (u[j - 1, i] + u[j + 1, i]) + cx * (u[j, i - 1] + u[j, i + 1])
            new[j, i] = mean - g[j, i]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep_redblack_cpu(
    u: np.ndarray, g: np.ndarray, cy: float, cx: float, omega: float
) -> None:
    """Over-relax the points of even j + i, then the others, in place."""
    ny, nx = u.shape
    for colour in range(2):
        for j in range(1, ny - 1):
            for i in range(1 + (j + 1 + colour) % 2, nx - 1, 2):
                mean = cy * (u[j - 1, i] + u[j + 1, i])
                mean += cx * (u[j, i - 1] + u[j, i + 1]) - g[j, i]
                u[j, i] += omega * (mean - u[j, i])


@numba.njit(cache=True, parallel=True, error_model="numpy")
def sweep_redblack_threads_cpu(
    u: np.ndarray, g: np.ndarray, cy: float, cx: float, omega: float
) -> None:
    """Do the same with rows in threads: points of one colour need none of it."""
    ny, nx = u.shape
    for colour in range(2):
        for j in numba.prange(1, ny - 1):
            for i in range(1 + (j + 1 + colour) % 2, nx - 1, 2):
                mean = cy * (u[j - 1, i] + u[j + 1, i])
                mean += cx * (u[j, i - 1] + u[j, i + 1]) - g[j, i]
                u[j, i] += omega * (mean - u[j, i])
