# SPDX-License-Identifier: MIT
"""Exact sums of doubles on a GPU, as integers. Imports Numba's CUDA target."""

from typing import Any

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import add, bits_of, kernel, sub

__all__ = ["SIGNATURES", "find_largest_cuda", "split_cuda"]

SIGNATURES = {
    "find_largest_cuda": "void(int64[::1], float64[::1])",
    "split_cuda": "void(int64[::1], float64[::1], float64, float64)",
}

_LOW_32 = (1 << 32) - 1


@kernel
def find_largest_cuda(largest: Any, values: Any) -> None:
    """Find the largest magnitude.

    Parameters
    ----------
    largest : int64[1]
        The bits of the largest so far, made larger; NaN is larger than all.
    values : float64[n]
        Read: 8 bytes each.
    """
    found = cuda.shared.array(1, np.int64)
    if cuda.threadIdx.x == 0:
        found[0] = 0
    cuda.syncthreads()
    most = np.int64(0)
    for k in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        most = max(most, bits_of(abs(values[k])))
    cuda.atomic.max(found, 0, most)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        cuda.atomic.max(largest, 0, found[0])


@kernel
def split_cuda(sums: Any, values: Any, c: float, d: float) -> None:
    """Add values split into integers of two units, as `hpcapp.reduction_kernels` does.

    Parameters
    ----------
    sums : int64[5]
        Added to: sums of the high integers and of the low ones, as low + 2**32 high
        each; how many values have bits below both units.
    values : float64[n]
        Finite; at most 2**11 for each thread.
    c, d : float
        1.5 * 2**52 times the units.

    Notes
    -----
    With |x| < 2**51 u and c = 1.5 * 2**52 u the sum x + c rounds x to a multiple of u;
    the difference of the bits of x + c and c is the integer (Rump, Ogita, Oishi 2008).
    """
    found = cuda.shared.array(5, np.int64)
    for n in range(cuda.threadIdx.x, 5, cuda.blockDim.x):
        found[n] = 0
    cuda.syncthreads()
    high, low, rest = np.int64(0), np.int64(0), np.int64(0)
    high_zero, low_zero = bits_of(c), bits_of(d)
    for k in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        rounded = add(values[k], c)
        left = sub(values[k], sub(rounded, c))
        moved = add(left, d)
        high += bits_of(rounded) - high_zero
        low += bits_of(moved) - low_zero
        if left != sub(moved, d):
            rest += 1
    cuda.atomic.add(found, 0, high & _LOW_32)
    cuda.atomic.add(found, 1, high >> 32)
    cuda.atomic.add(found, 2, low & _LOW_32)
    cuda.atomic.add(found, 3, low >> 32)
    cuda.atomic.add(found, 4, rest)
    cuda.syncthreads()
    for n in range(cuda.threadIdx.x, 5, cuda.blockDim.x):
        cuda.atomic.add(sums, n, found[n])
