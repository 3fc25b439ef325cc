# SPDX-License-Identifier: MIT
"""Vectors of conjugate gradients on a GPU. Imported in `steps` and `warm_up` only.

The twins of `cg_kernels`, with the same formulas; arrays and the arguments from `u` to
`place` as in `cycle_cuda_kernels`.
"""

import numpy as np
from numba import cuda, uint64

from hpcapp.gpu.kernels import add, kernel, mul
from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT, entry, get, residual_at

__all__ = [
    "SIGNATURES",
    "add_scaled_gpu",
    "leave_gpu",
    "multiply_gpu",
    "scale_add_gpu",
]

_SPLIT, _TABLE, _LINE = "float64[:,:,::1]", "float64[:,::1]", "float64[::1]"
_REGION = "UniTuple(int64, 4)"
SIGNATURES = {
    "leave_gpu": (
        f"void({_SPLIT}, {_SPLIT}, {_SPLIT}, float64, {_TABLE}, {_TABLE}, float64, "
        f"UniTuple(int64, 3), {_REGION})"
    ),
    "multiply_gpu": (
        f"void({_LINE}, {_SPLIT}, {_SPLIT}, {_LINE}, {_TABLE}, int64, "
        f"UniTuple(int64, 2), {_REGION})"
    ),
    "add_scaled_gpu": f"void({_SPLIT}, float64, {_SPLIT}, {_REGION})",
    "scale_add_gpu": f"void({_SPLIT}, float64, {_SPLIT}, {_REGION})",
}

Region = tuple[int, int, int, int]


@kernel
def leave_gpu(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    rows: np.ndarray,
    columns: np.ndarray,
    across: float,
    place: tuple[int, int, int],
    region: Region,
) -> None:
    """Write f - A u, with A the five-point stencil.

    Parameters
    ----------
    out : float64[ny, 2, nx / 2]
        Modified in the region; may be `f`.
    u, f, constant, rows, columns, across, place : object
        See the top of the module.
    region : tuple of int
        Rows and columns, all of them unknowns.

    Notes
    -----
    16 bytes of memory traffic a point, 24 with a field `f`.
    """
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    head = (u, f, constant, rows, columns, across, place)
    for row in range(top, min(top + HEIGHT, region[1])):
        for p in range(2):
            i = 2 * k + p
            if region[2] <= i < region[3]:
                value = residual_at(head, row, i)
                out[uint64(row), uint64(p), uint64(k)] = value


@kernel
def multiply_gpu(
    out: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    first: int,
    inside: tuple[int, int],
    region: Region,
) -> None:
    """Write the products whose sum is the inner product of some rows.

    Parameters
    ----------
    out : float64[n]
        Written, a row of the region after the other: 0 beyond the unknowns.
    a, b : float64[ny, 2, nx / 2]
        Vectors.
    rows, columns : float64[ny], float64[2, nx / 2]
        What a row and a column weigh: 1, or 1/2 on a side with given flux.
    first : int
        Row where `out` begins.
    inside : (int, int)
        First column of unknowns, and one past the last.
    region : tuple of int
        Whole rows.

    Notes
    -----
    24 bytes of memory traffic a point.
    """
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    half = a.shape[2]
    for row in range(top, min(top + HEIGHT, region[1])):
        for p in range(2):
            if 2 * k + p < region[3]:
                value = 0.0
                if inside[0] <= 2 * k + p < inside[1]:
                    weight = mul(rows[uint64(row)], entry(columns, p, k))
                    value = mul(mul(weight, get(a, row, p, k)), get(b, row, p, k))
                out[uint64((2 * (row - first) + p) * half + k)] = value


@kernel
def add_scaled_gpu(y: np.ndarray, factor: float, x: np.ndarray, region: Region) -> None:
    """Add factor x to rows of y.

    Parameters
    ----------
    y : float64[ny, 2, nx / 2]
        Modified.
    factor : float
        The factor.
    x : float64[ny, 2, nx / 2]
        Vector.
    region : tuple of int
        Whole rows.

    Notes
    -----
    24 bytes of memory traffic a point.
    """
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    for row in range(top, min(top + HEIGHT, region[1])):
        for p in range(2):
            if 2 * k + p < region[3]:
                value = add(get(y, row, p, k), mul(factor, get(x, row, p, k)))
                y[uint64(row), uint64(p), uint64(k)] = value


@kernel
def scale_add_gpu(y: np.ndarray, factor: float, x: np.ndarray, region: Region) -> None:
    """Multiply rows of y by a factor and add x.

    Parameters
    ----------
    y : float64[ny, 2, nx / 2]
        Modified.
    factor : float
        The factor.
    x : float64[ny, 2, nx / 2]
        Vector.
    region : tuple of int
        Whole rows.

    Notes
    -----
    24 bytes of memory traffic a point.
    """
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    for row in range(top, min(top + HEIGHT, region[1])):
        for p in range(2):
            if 2 * k + p < region[3]:
                value = add(mul(factor, get(y, row, p, k)), get(x, row, p, k))
                y[uint64(row), uint64(p), uint64(k)] = value
