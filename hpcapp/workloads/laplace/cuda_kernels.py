# SPDX-License-Identifier: MIT
"""Sweeps of the five-point stencil on a GPU. Imported in `steps` and `warm_up` only.

The twins of `kernels`, with the same formulas: each product and each sum is rounded
once (`mul`, `add`, `sub`), so a point gets the bits that it gets on the CPU. A thread
marches down a piece of a column, and the threads of a warp read neighbouring points.
The values above and here stay in registers, so a point is loaded from memory once:
its neighbours in the row are in the cache of the multiprocessor. Arrays and weights are
float64, or all of them float32: then so is each operation.

Arguments that the kernels share:

u : float64[ny, nx]
    A block with a margin.
f : float64[ny, nx] or float64[0, 0]
    Source; empty where it is constant.
stencil : (float, float, float, float)
    Weight of the y neighbours, of the x neighbours, of the source, and weight times
    value of a constant source.
region : (int, int, int, int)
    First row, last row, first column, last column; last excluded.
"""

from typing import Any

import numpy as np
from numba import cuda, uint64
from numba.cuda import libdevice

from hpcapp.gpu.kernels import SIMULATED, add, inner, kernel, mul, sub

__all__ = [
    "COLUMNS",
    "ROWS",
    "SIGNATURES",
    "at",
    "average",
    "bits",
    "relax_jacobi_gpu",
    "relax_redblack_gpu",
]

# rows that a thread marches down: of 16 rows 18 are read, two of them from the cache
ROWS = 16

# threads of a block
COLUMNS = 128

_ARRAY, _NUMBERS = "float64[:,::1]", "UniTuple(float64, 4)"
_REGION = "UniTuple(int64, 4)"
SIGNATURES = {
    "relax_jacobi_gpu": f"void({_ARRAY}, {_ARRAY}, {_ARRAY}, {_NUMBERS}, {_REGION})",
    "relax_redblack_gpu": (
        f"void({_ARRAY}, {_ARRAY}, {_NUMBERS}, float64, int64, {_REGION})"
    ),
}

Numbers = tuple[float, float, float, float]
Region = tuple[int, int, int, int]


@inner
def at(u: np.ndarray, row: int, column: int) -> Any:
    """Return a value; unsigned indices need no test for being counted from the end."""
    return u[uint64(row), uint64(column)]


def _bits(value: float) -> Any:
    return np.float64(value).view(np.int64)


# of a number that is not negative, as integers they order like the numbers
bits = _bits if SIMULATED else libdevice.double_as_longlong


@inner
def average(
    around: float, f: np.ndarray, stencil: Numbers, row: int, column: int
) -> Any:
    """Take the source from what the neighbours weigh."""
    if f.size == 0:
        return sub(around, stencil[3])
    return sub(around, mul(stencil[2], at(f, row, column)))


@kernel
def relax_jacobi_gpu(
    out: np.ndarray, u: np.ndarray, f: np.ndarray, stencil: Numbers, region: Region
) -> None:
    """Do one sweep by Jacobi's method.

    Parameters
    ----------
    out : float64[ny, nx]
        Written in the region.
    u, f, stencil, region : object
        See the top of the module.

    Notes
    -----
    16 bytes of memory traffic a point, 24 with a source field; 6 flops, or 7. Four
    rows are loaded before the first of them is stored, so that each thread waits for
    four loads at a time.
    """
    cy, cx = stencil[0], stencil[1]
    i = region[2] // 16 * 16 + cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    first = region[0] + (cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y) * ROWS
    row, last = first, min(first + ROWS, region[1])
    if i < region[2] or i >= region[3] or row >= last:
        return
    above, here = at(u, row - 1, i), at(u, row, i)
    while row + 4 <= last:
        p, q = at(u, row + 1, i), at(u, row + 2, i)
        r, s = at(u, row + 3, i), at(u, row + 4, i)
        beside_0 = add(at(u, row, i - 1), at(u, row, i + 1))
        beside_1 = add(at(u, row + 1, i - 1), at(u, row + 1, i + 1))
        beside_2 = add(at(u, row + 2, i - 1), at(u, row + 2, i + 1))
        beside_3 = add(at(u, row + 3, i - 1), at(u, row + 3, i + 1))
        around_0 = add(mul(cy, add(above, p)), mul(cx, beside_0))
        around_1 = add(mul(cy, add(here, q)), mul(cx, beside_1))
        around_2 = add(mul(cy, add(p, r)), mul(cx, beside_2))
        around_3 = add(mul(cy, add(q, s)), mul(cx, beside_3))
        out[uint64(row), uint64(i)] = average(around_0, f, stencil, row, i)
        out[uint64(row + 1), uint64(i)] = average(around_1, f, stencil, row + 1, i)
        out[uint64(row + 2), uint64(i)] = average(around_2, f, stencil, row + 2, i)
        out[uint64(row + 3), uint64(i)] = average(around_3, f, stencil, row + 3, i)
        above, here = r, s
        row += 4
    while row < last:
        below = at(u, row + 1, i)
        beside = add(at(u, row, i - 1), at(u, row, i + 1))
        around = add(mul(cy, add(above, below)), mul(cx, beside))
        out[uint64(row), uint64(i)] = average(around, f, stencil, row, i)
        above, here = here, below
        row += 1


@kernel
def relax_redblack_gpu(
    u: np.ndarray,
    f: np.ndarray,
    stencil: Numbers,
    omega: float,
    parity: int,
    region: Region,
) -> None:
    """Over-relax the points of one colour, in place.

    Parameters
    ----------
    u : float64[ny, nx]
        Modified.
    f, stencil : object
        See the top of the module.
    omega : float
        Relaxation factor, 0 < omega < 2.
    parity : int
        0 or 1: points whose local row + column + parity is even are written.
    region : tuple of int
        Where.

    Notes
    -----
    A thread has two columns side by side, of which each row has one of the colour.
    16 bytes of memory traffic for each point of either colour; 9 flops for one that
    is written, 10 with a source field. Points of a colour do not depend on each other.
    """
    cy, cx = stencil[0], stencil[1]
    thread = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    left = region[2] // 16 * 16 + 2 * thread
    first = region[0] + (cuda.blockIdx.y * cuda.blockDim.y + cuda.threadIdx.y) * ROWS
    for row in range(first, min(first + ROWS, region[1])):
        i = left + ((row + left + parity) & 1)
        if region[2] <= i < region[3]:
            old = at(u, row, i)
            around = mul(cy, add(at(u, row - 1, i), at(u, row + 1, i)))
            beside = add(at(u, row, i - 1), at(u, row, i + 1))
            new = average(add(around, mul(cx, beside)), f, stencil, row, i)
            u[uint64(row), uint64(i)] = add(old, mul(omega, sub(new, old)))
