# SPDX-License-Identifier: MIT
"""Vectors of conjugate gradients. Imported in `steps` and `warm_up` only.

Arrays have split rows, and `place` is as in `row_kernels`. Threads may work on
disjoint rows.
"""

from typing import Any

import numba
import numpy as np

from hpcapp.workloads.laplace.row_kernels import residual_row_cpu

__all__ = ["add_scaled_cpu", "leave_cpu", "multiply_cpu", "scale_add_cpu"]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def leave_cpu(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    place: Any,
    region: tuple[int, ...],
) -> None:
    """Write f - A u, with A the five-point stencil.

    Parameters
    ----------
    out : float64[ny, 2, nx / 2]
        Modified in `region`; may be `f`.
    u, f, constant, place : object
        See `row_kernels`.
    region : tuple of int
        Rows and columns, all of them unknowns.

    Notes
    -----
    24 bytes of memory traffic and 10 flops a point.
    """
    ja, jb, ia, ib = region
    for row in range(ja, jb):
        for p in range(2):
            residual_row_cpu(out[row, p : p + 1], u, f, constant, place, p, row, ia, ib)


@_jit
def multiply_cpu(
    out: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    volumes: tuple[np.ndarray, np.ndarray],
    first: int,
    region: tuple[int, ...],
) -> None:
    """Write the products whose sum is the inner product of some rows.

    Parameters
    ----------
    out : float64[rows, 2, nx / 2]
        Modified: the products, 0 beyond the columns of `region`.
    a, b : float64[ny, 2, nx / 2]
        Vectors.
    volumes : (float64[ny], float64[2, nx / 2])
        What a row and a column weigh: 1, or 1/2 on a side with given flux.
    first : int
        Row that goes to row 0 of `out`.
    region : tuple of int
        Rows, from `first` on, and columns.
    """
    ja, jb, ia, ib = region
    for row in range(ja, jb):
        target = out[row - first]
        target[:] = 0.0
        weight = volumes[0][row]
        for p in range(2):
            lo, hi = (ia - p + 1) >> 1, (ib - p + 1) >> 1
            here, left, right = target[p, lo:hi], a[row, p, lo:hi], b[row, p, lo:hi]
            share = volumes[1][p, lo:hi]
            for i in range(here.size):
                here[i] = weight * share[i] * left[i] * right[i]


@_jit
def add_scaled_cpu(
    y: np.ndarray, factor: float, x: np.ndarray, first: int, last: int
) -> None:
    """Add factor x to rows of y.

    Parameters
    ----------
    y : float64[ny, 2, nx / 2]
        Modified.
    factor : float
        The factor.
    x : float64[ny, 2, nx / 2]
        Vector.
    first, last : int
        Rows.
    """
    for row in range(first, last):
        for p in range(2):
            target, source = y[row, p], x[row, p]
            for i in range(target.size):
                target[i] += factor * source[i]


@_jit
def scale_add_cpu(
    y: np.ndarray, factor: float, x: np.ndarray, first: int, last: int
) -> None:
    """Multiply rows of y by a factor and add x.

    Parameters
    ----------
    y : float64[ny, 2, nx / 2]
        Modified.
    factor : float
        The factor.
    x : float64[ny, 2, nx / 2]
        Vector.
    first, last : int
        Rows.
    """
    for row in range(first, last):
        for p in range(2):
            target, source = y[row, p], x[row, p]
            for i in range(target.size):
                target[i] = factor * target[i] + source[i]
