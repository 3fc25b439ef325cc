# SPDX-License-Identifier: MIT
"""Maxima on a GPU. Imported in `steps` and `warm_up` only.

The twins of `residual_cpu`, `norm_cpu` and `largest_cpu`. A maximum does not depend on
the order in which it is taken: each block finds its own in shared memory and one of
its threads compares it with the others'.
"""

from typing import Any

import numpy as np
from numba import cuda, float64, int64

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub
from hpcapp.workloads.laplace.cuda_kernels import ROWS, at, bits
from hpcapp.workloads.laplace.cycle_cuda_kernels import residual_at

__all__ = ["SIGNATURES", "THREADS", "largest_gpu", "norm_gpu", "residual_gpu"]

# threads of a block; a power of two
THREADS = 128

_FLAT, _SPLIT, _TABLE = "float64[:,::1]", "float64[:,:,::1]", "float64[:,::1]"
_REGION = "UniTuple(int64, 4)"
SIGNATURES = {
    "largest_gpu": f"void(int64[::1], {_SPLIT}, {_REGION})",
    "norm_gpu": (
        f"void(int64[::1], {_SPLIT}, {_SPLIT}, float64, {_TABLE}, {_TABLE}, float64, "
        f"UniTuple(int64, 3), {_REGION})"
    ),
    "residual_gpu": (
        f"void(int64[::1], {_FLAT}, {_FLAT}, float64, float64, float64, {_REGION})"
    ),
}

Region = tuple[int, int, int, int]
Place = tuple[int, int, int]


@inner
def _largest_of_block(scratch: np.ndarray, value: int, thread: int, count: int) -> Any:
    """Return the largest value of the threads of a block, to its first thread.

    Parameters
    ----------
    scratch : int64[THREADS]
        Shared memory.
    value : int
        Of this thread.
    thread, count : int
        Its number, and how many there are: a power of two.
    """
    scratch[thread] = value
    cuda.syncthreads()
    half = count >> 1
    while half > 0:
        if thread < half:
            scratch[thread] = max(scratch[thread], scratch[thread + half])
        cuda.syncthreads()
        half >>= 1
    found = scratch[0]
    # nobody may write the next value before all have read this one
    cuda.syncthreads()
    return found


@kernel
def residual_gpu(
    largest: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    ry: float,
    rx: float,
    region: Region,
) -> None:
    """Find the largest residual and the largest value of a region.

    Parameters
    ----------
    largest : int64[2]
        Modified: bit patterns of max |(N + S - 2u) ry + (E + W - 2u) rx - f| and of
        max |u|, if they are larger than what stands there. They order like the
        numbers, with NaN above all.
    u, f : float64[ny, nx] or float32[ny, nx]
        See the top of `cuda_kernels`.
    constant : float
        The constant source.
    ry, rx : float
        1 / dy**2 and 1 / dx**2.
    region : tuple of int
        Where.

    Notes
    -----
    8 bytes of memory traffic a point, 16 with a source field; 10 flops. A maximum
    does not depend on the order in which it is taken. Blocks are one thread high.
    """
    scratch = cuda.shared.array(THREADS, int64)
    thread = cuda.threadIdx.x
    i = region[2] // 16 * 16 + cuda.blockIdx.x * cuda.blockDim.x + thread
    residual, value = int64(0), int64(0)
    first = region[0] + cuda.blockIdx.y * ROWS
    last = min(first + ROWS, region[1])
    if region[2] <= i < region[3] and first < last:
        # of float32 too the residual is computed in float64
        above, here = float64(at(u, first - 1, i)), float64(at(u, first, i))
        for row in range(first, last):
            below = float64(at(u, row + 1, i))
            twice = mul(2.0, here)
            across = mul(sub(add(above, below), twice), ry)
            beside = add(float64(at(u, row, i + 1)), float64(at(u, row, i - 1)))
            left = add(across, mul(sub(beside, twice), rx))
            left = sub(left, constant if f.size == 0 else float64(at(f, row, i)))
            residual = max(residual, bits(abs(left)))
            value = max(value, bits(abs(here)))
            above, here = here, below
    residual = _largest_of_block(scratch, residual, thread, cuda.blockDim.x)
    value = _largest_of_block(scratch, value, thread, cuda.blockDim.x)
    if thread == 0:
        cuda.atomic.max(largest, 0, residual)
        cuda.atomic.max(largest, 1, value)


@kernel
def norm_gpu(
    largest: np.ndarray,
    u: np.ndarray,
    f: np.ndarray,
    constant: float,
    rows: np.ndarray,
    columns: np.ndarray,
    across: float,
    place: Place,
    region: Region,
) -> None:
    """Find the largest residual and the largest value of a level's unknowns.

    Parameters
    ----------
    largest : int64[2]
        Modified: their bit patterns, if they are larger than what stands there.
    u, f, constant, rows, columns, across, place : object
        See the top of `cycle_cuda_kernels`.
    region : tuple of int
        Rows and columns, all of them unknowns.

    Notes
    -----
    8 bytes of memory traffic a point, 16 with a field `f`.
    """
    scratch = cuda.shared.array(THREADS, int64)
    thread = cuda.threadIdx.x
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + thread
    residual, value = int64(0), int64(0)
    first = region[0] + cuda.blockIdx.y * ROWS
    head = (u, f, constant, rows, columns, across, place)
    for row in range(first, min(first + ROWS, region[1])):
        for p in range(2):
            i = 2 * k + p
            if region[2] <= i < region[3]:
                residual = max(residual, bits(abs(residual_at(head, row, i))))
                value = max(value, bits(abs(u[row, p, k])))
    residual = _largest_of_block(scratch, residual, thread, cuda.blockDim.x)
    value = _largest_of_block(scratch, value, thread, cuda.blockDim.x)
    if thread == 0:
        cuda.atomic.max(largest, 0, residual)
        cuda.atomic.max(largest, 1, value)


@kernel
def largest_gpu(largest: np.ndarray, u: np.ndarray, region: Region) -> None:
    """Find the largest absolute value of a region.

    Parameters
    ----------
    largest : int64[1]
        Modified: its bit pattern, if it is larger than what stands there.
    u : float64[ny, 2, nx / 2]
        Values.
    region : tuple of int
        Rows and columns.

    Notes
    -----
    8 bytes of memory traffic a point.
    """
    scratch = cuda.shared.array(THREADS, int64)
    thread = cuda.threadIdx.x
    k = (region[2] >> 1) + cuda.blockIdx.x * cuda.blockDim.x + thread
    value = int64(0)
    first = region[0] + cuda.blockIdx.y * ROWS
    for row in range(first, min(first + ROWS, region[1])):
        for p in range(2):
            if region[2] <= 2 * k + p < region[3]:
                value = max(value, bits(abs(u[row, p, k])))
    value = _largest_of_block(scratch, value, thread, cuda.blockDim.x)
    if thread == 0:
        cuda.atomic.max(largest, 0, value)
