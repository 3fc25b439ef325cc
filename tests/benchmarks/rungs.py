# SPDX-License-Identifier: MIT
"""Laplace sweeps as a course writes them: NumPy slices, and plain loops for Numba."""

import numba
import numpy as np

__all__ = ["sweep_jacobi_loops", "sweep_jacobi_slices", "sweep_redblack_loops"]


def sweep_jacobi_slices(u: np.ndarray, new: np.ndarray) -> None:
    """Do one Jacobi sweep with NumPy slices: writes the interior of `new`."""
    new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])


@numba.njit(cache=True)
def sweep_jacobi_loops(u: np.ndarray, new: np.ndarray) -> None:
    """Do one Jacobi sweep with two loops: writes the interior of `new`."""
    ny, nx = u.shape
    for j in range(1, ny - 1):
        for i in range(1, nx - 1):
            new[j, i] = 0.25 * (u[j - 1, i] + u[j + 1, i] + u[j, i - 1] + u[j, i + 1])


@numba.njit(cache=True)
def sweep_redblack_loops(u: np.ndarray, omega: float) -> None:
    """Over-relax the points of even j + i, then the others, in place."""
    ny, nx = u.shape
    for colour in range(2):
        for j in range(1, ny - 1):
            for i in range(1 + (j + 1 + colour) % 2, nx - 1, 2):
                average = 0.25 * (u[j - 1, i] + u[j + 1, i] + u[j, i - 1] + u[j, i + 1])
                u[j, i] += omega * (average - u[j, i])
