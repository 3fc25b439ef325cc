# SPDX-License-Identifier: MIT
"""Several sweeps in one pass on a GPU. Imported in `steps` and `warm_up` only."""

from typing import Any

import numpy as np
from numba import cuda, float64, uint64

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub
from hpcapp.workloads.laplace.cuda_kernels import at, average

__all__ = ["DEEP", "JACOBI", "SIGNATURES", "TALL", "WIDE", "relax_tile_gpu"]

# levels of a pass: four need 4 bytes of memory traffic a point and level, and as many
# bytes of shared memory as one does. Written out below, so another number is more work
DEEP = 4

# threads of a block, one a column: of 256 columns 8 are computed by neighbours too
WIDE = 256
PADDED = WIDE + 2

# rows that a block writes: 8 more are read
TALL = 128

# instead of a colour: all points of a level are written
JACOBI = -1

_ARRAY = "float64[:,::1]"
SIGNATURES = {
    "relax_tile_gpu": (
        f"void({_ARRAY}, {_ARRAY}, {_ARRAY}, UniTuple(float64, 5), int64, "
        "UniTuple(int64, 16))"
    ),
}


@inner
def _has_column(regions: tuple[int, ...], level: int, column: int) -> bool:
    return regions[4 * level + 2] <= column < regions[4 * level + 3]


@inner
def _next(
    line: np.ndarray,
    old: int,
    level: int,
    thread: int,
    active: bool,
    above: float,
    here: float,
    below: float,
    f: np.ndarray,
    weights: tuple[float, ...],
    colour: int,
    regions: tuple[int, ...],
    step: int,
    column: int,
) -> Any:
    """Return a level's value: a new one in its region, elsewhere the one before."""
    row = step - level - 1
    if not active or row < regions[4 * level] or row >= regions[4 * level + 1]:
        return here
    beside = add(line[old, level, thread], line[old, level, thread + 2])
    around = add(mul(weights[0], add(above, below)), mul(weights[1], beside))
    new = average(around, f, weights, row, column)
    if colour == JACOBI:
        return new
    return add(here, mul(weights[4], sub(new, here)))


@inner
def _load(u: np.ndarray, row: int, column: int) -> Any:
    if 0 <= row < u.shape[0] and 0 <= column < u.shape[1]:
        return at(u, row, column)
    return 0.0


@kernel
def relax_tile_gpu(
    out: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    weights: tuple[float, ...],
    colour: int,
    regions: tuple[int, ...],
) -> None:
    """Do `DEEP` sweeps by Jacobi's method, or over-relax so many colours in turn.

    Parameters
    ----------
    out : float64[ny, nx]
        Written in the last region.
    u, f : object
        As `relax_jacobi_gpu` takes them.
    weights : tuple of 5 float
        Its stencil, and the relaxation factor.
    colour : int
        `JACOBI`, or 0 or 1: the first level writes points whose local row + column +
        colour is even, the second the others, ...
    regions : tuple of 16 int
        What each level writes, as in `relax_jacobi_cpu`: rows and columns of the
        first, of the second, ...

    Notes
    -----
    A block goes down a strip of columns, a row at a time, and each level follows a row
    behind the one before (the streaming of Nguyen et al., 3.5-D blocking, SC 2010,
    with one axis of space less). What lies above and below a point stands in registers
    of its thread; what lies beside it, in shared memory: the row of each level of the
    last step, while those of this step are written beside. So all levels share one
    barrier. A colour needs of its neighbours what the level before has left, as a
    Jacobi sweep does: they are of the other colour.

    20 bytes of memory traffic a point of four levels (16, and what strips and blocks
    read twice), or 24 to 52 with a source field; 24 bytes of shared memory traffic a
    point and level. In the rows before its own and the columns beside, a block
    computes what it does not need, in part from nothing: no point that it writes
    depends on that.
    """
    line = cuda.shared.array((2, DEEP, PADDED), float64)
    thread = cuda.threadIdx.x
    for level in range(DEEP):
        line[0, level, thread + 1] = line[1, level, thread + 1] = 0.0
        if thread < 2:
            edge = thread * (cuda.blockDim.x + 1)
            line[0, level, edge] = line[1, level, edge] = 0.0
    cuda.syncthreads()
    i = regions[14] - DEEP + cuda.blockIdx.x * (cuda.blockDim.x - 2 * DEEP) + thread
    first = regions[12] + cuda.blockIdx.y * TALL
    last = min(first + TALL, regions[13])
    mine = DEEP <= thread < cuda.blockDim.x - DEEP and _has_column(regions, 3, i)
    has_0, has_1 = _has_column(regions, 0, i), _has_column(regions, 1, i)
    has_2, has_3 = _has_column(regions, 2, i), _has_column(regions, 3, i)
    # of each level, in this thread's column: the value two rows up, and one row up
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
    coming, after = _load(u, first - DEEP, i), _load(u, first - DEEP + 1, i)
    old, new = 1, 0
    for row in range(first - DEEP, last + DEEP):
        c0, coming = coming, after
        after = _load(u, row + 2, i)
        # a level is a row behind and of the other colour: all take turns together
        turn = colour == JACOBI or (row + i + colour) & 1 == 1
        now_0, now_1 = turn and has_0, turn and has_1
        now_2, now_3 = turn and has_2, turn and has_3
        c1 = _next(
            line, old, 0, thread, now_0, a0, b0, c0, f, weights, colour, regions, row, i
        )
        c2 = _next(
            line, old, 1, thread, now_1, a1, b1, c1, f, weights, colour, regions, row, i
        )
        c3 = _next(
            line, old, 2, thread, now_2, a2, b2, c2, f, weights, colour, regions, row, i
        )
        c4 = _next(
            line, old, 3, thread, now_3, a3, b3, c3, f, weights, colour, regions, row, i
        )
        if mine and first <= row - DEEP < last:
            out[uint64(row - DEEP), uint64(i)] = c4
        line[new, 0, thread + 1] = c0
        line[new, 1, thread + 1] = c1
        line[new, 2, thread + 1] = c2
        line[new, 3, thread + 1] = c3
        a0, a1, a2, a3 = b0, b1, b2, b3
        b0, b1, b2, b3 = c0, c1, c2, c3
        old, new = new, old
        cuda.syncthreads()
