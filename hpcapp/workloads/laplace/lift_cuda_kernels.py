# SPDX-License-Identifier: MIT
"""From a coarse level to a fine one on a GPU. Imported in `steps` and `warm_up` only.

The twins of what `ascend_cpu` does first, and of `prolong_cpu`; arrays as in
`cycle_cuda_kernels`.
"""

from typing import Any

import numpy as np
from numba import cuda, uint64

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub
from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT, entry, get

__all__ = ["SIGNATURES", "correct_gpu", "prolong_gpu"]

_SPLIT, _TABLE = "float64[:,:,::1]", "float64[:,::1]"
_INDEX, _REGION = "int64[::1]", "UniTuple(int64, 4)"
_WAYS = f"{_INDEX}, {_TABLE}, {_INDEX}, {_TABLE}"
SIGNATURES = {
    "correct_gpu": (
        f"void({_SPLIT}, {_SPLIT}, {_WAYS}, UniTuple(int64, 3), int64, {_REGION})"
    ),
    "prolong_gpu": f"void({_SPLIT}, {_SPLIT}, {_WAYS}, {_REGION}, {_REGION})",
}

Place = tuple[int, int, int]
Region = tuple[int, int, int, int]


@inner
def _blended(coarse: np.ndarray, low: int, w0: float, w1: float, i: int) -> Any:
    """Return a column of a coarse row, or of a mean of two."""
    here = get(coarse, low, i & 1, i >> 1)
    if w1 == 0.0:
        return here
    return add(mul(w0, here), mul(w1, get(coarse, low + 1, i & 1, i >> 1)))


@kernel
def correct_gpu(
    u: np.ndarray,
    coarse: np.ndarray,
    below: np.ndarray,
    weights: np.ndarray,
    index: np.ndarray,
    table: np.ndarray,
    ways: Place,
    shift: int,
    region: Region,
) -> None:
    """Add the interpolated correction to black points.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Modified.
    coarse : float64[my, 2, mx / 2]
        The correction on the coarse level.
    below, weights : int64[ny], float64[ny, 2]
        For each row the coarse row below and the weights of it and the next.
    index, table : int64[nx], float64[nx, 2]
        The same for columns.
    ways : tuple of 3 int
        Factor and offset of columns, and where the tables begin to hold.
    shift : int
        The last of `place`.
    region : tuple of int
        Where.

    Notes
    -----
    10 bytes of memory traffic a point of either colour.
    """
    factor, offset, special = ways
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    top = region[0] + cuda.blockIdx.y * HEIGHT
    for row in range(top, min(top + HEIGHT, region[1])):
        p = (row + shift + 1) & 1
        i = 2 * k + p
        if region[2] <= i < region[3]:
            low = below[uint64(row)]
            w0, w1 = entry(weights, row, 0), entry(weights, row, 1)
            n = k - (offset >> 1)
            if factor == 1:
                value = _blended(coarse, low, w0, w1, i)
            elif i >= special:
                n = index[uint64(i)]
                value = mul(entry(table, i, 0), _blended(coarse, low, w0, w1, n))
                other = _blended(coarse, low, w0, w1, n + 1)
                value = add(value, mul(entry(table, i, 1), other))
            elif p == 0:
                value = _blended(coarse, low, w0, w1, n)
            else:
                other = _blended(coarse, low, w0, w1, n + 1)
                value = mul(0.5, add(_blended(coarse, low, w0, w1, n), other))
            old = get(u, row, p, k)
            u[uint64(row), uint64(p), uint64(k)] = add(old, value)


@inner
def _mixed(coarse: np.ndarray, low: int, weights: np.ndarray, row: int, i: int) -> Any:
    """Return a column of four coarse rows, weighted."""
    value = 0.0
    for n in range(4):
        weight = entry(weights, row, n)
        if weight != 0.0:
            value = add(value, mul(weight, get(coarse, low + n, i & 1, i >> 1)))
    return value


@kernel
def prolong_gpu(
    u: np.ndarray,
    coarse: np.ndarray,
    below: np.ndarray,
    weights: np.ndarray,
    index: np.ndarray,
    table: np.ndarray,
    ways: Region,
    region: Region,
) -> None:
    """Interpolate a solution by cubics: the start of full multigrid.

    Parameters
    ----------
    u : float64[ny, 2, nx / 2]
        Written in `region`.
    coarse : float64[my, 2, mx / 2]
        The solution on the coarse level.
    below, weights : int64[ny], float64[ny, 4]
        For each row the first of four coarse rows and their weights.
    index, table : int64[nx], float64[nx, 4]
        The same for columns.
    ways : tuple of 4 int
        Factor and offset of columns, first and last between which all weights are
        (-1, 9, 9, -1)/16.
    region : tuple of int
        Where.
    """
    factor, offset, first, last = ways
    i = region[2] + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    row = region[0] + cuda.blockIdx.y
    if i >= region[3] or row >= region[1]:
        return
    low, n = below[uint64(row)], (i >> 1) - (offset >> 1)
    if factor != 2 or i < first or i >= last:
        value = 0.0
        for m in range(4):
            weight = entry(table, i, m)
            if weight != 0.0:
                found = _mixed(coarse, low, weights, row, index[uint64(i)] + m)
                value = add(value, mul(weight, found))
    elif i & 1 == 0:
        value = _mixed(coarse, low, weights, row, n)
    else:
        near = add(
            _mixed(coarse, low, weights, row, n),
            _mixed(coarse, low, weights, row, n + 1),
        )
        far = add(
            _mixed(coarse, low, weights, row, n - 1),
            _mixed(coarse, low, weights, row, n + 2),
        )
        value = sub(mul(0.5625, near), mul(0.0625, far))
    u[uint64(row), uint64(i & 1), uint64(i >> 1)] = value
