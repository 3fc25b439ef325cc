# SPDX-License-Identifier: MIT
"""Sums of terms as integers, on a GPU. Imports Numba's CUDA target.

The terms of `kernels`, added to the same bins: integers, so that no order changes them.
"""

from typing import Any

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import add, bits_of, inner, kernel, mul, sub
from hpcapp.workloads.series.kernels import BLOCK, LAST_DIGITS

__all__ = [
    "SIGNATURES",
    "add_cosines_cuda",
    "add_reciprocals_cuda",
    "fill_midpoints_cuda",
]

SIGNATURES = {
    "add_reciprocals_cuda": "void(int64[:, ::1], float64[:, ::1], int64[::1], "
    "int64[:, ::1], int64[::1])",
    "fill_midpoints_cuda": "void(float64[::1], int64, float64, float64)",
    "add_cosines_cuda": "void(int64[:, ::1], float64[:, ::1], float64[:, ::1], "
    "int64[::1])",
}

_LOW_32 = (1 << 32) - 1
_FRACTION = 52


@inner
def _state(follow: Any, lead: int) -> Any:
    """Return the state after leading digits, -1 if they contain the string."""
    state = follow.shape[0]
    if lead > 0:
        state, rest, unit = 0, lead, 1
        while unit * 10 <= lead:
            unit *= 10
        while unit > 0 and state >= 0:
            digit = rest // unit
            rest -= digit * unit
            state = follow[state, digit]
            unit //= 10
    return state


@inner
def _find(offsets: Any, state: int, count: int, value: int) -> int:
    """Return the number of entries of a row below a value."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if offsets[state, middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def add_reciprocals_cuda(
    bins: Any, offsets: Any, counts: Any, follow: Any, share: Any
) -> None:
    """Add 1/k for the denominators of a share that do not contain a string of digits.

    Parameters
    ----------
    bins, offsets, counts, follow, share
        As in `add_reciprocals_cpu`.

    Notes
    -----
    A block of threads takes a piece, and its threads the allowed last digits in turn:
    a division and an integer addition for a term. Sums stay in a thread until the
    binade changes; then two atomic operations on bins of the block.
    """
    own = cuda.shared.array((64, 2), np.int64)
    thread, width = cuda.threadIdx.x, cuda.blockDim.x
    for j in range(thread, 64, width):
        own[j, 0], own[j, 1] = 0, 0
    cuda.syncthreads()
    begin, end, length, first, distance = (
        share[0],
        share[1],
        share[2],
        share[3],
        share[4],
    )
    j, sum_low, sum_high = 0, np.int64(0), np.int64(0)
    start = (first + cuda.blockIdx.x * distance) * length
    while start < end:
        low, high = max(start, begin), min(start + length, end)
        for lead in range(low // LAST_DIGITS, (high - 1) // LAST_DIGITS + 1):
            state = _state(follow, lead)
            if state < 0:
                continue
            base = lead * LAST_DIGITS
            at = _find(offsets, state, counts[state], low - base) + thread
            stop = _find(offsets, state, counts[state], high - base)
            while at < stop:
                k = base + np.int64(offsets[state, at])
                if k > np.int64(1) << j:
                    cuda.atomic.add(own, (j, 0), sum_low)
                    cuda.atomic.add(own, (j, 1), sum_high)
                    sum_low, sum_high = np.int64(0), np.int64(0)
                    while k > np.int64(1) << j:
                        j += 1
                bits = bits_of(1.0 / np.float64(k))
                term = bits - (np.int64(1022 - j) << _FRACTION)
                sum_low += term & _LOW_32
                sum_high += term >> 32
                at += width
        start += cuda.gridDim.x * distance * length
    cuda.atomic.add(own, (j, 0), sum_low)
    cuda.atomic.add(own, (j, 1), sum_high)
    cuda.syncthreads()
    for j in range(thread, 64, width):
        cuda.atomic.add(bins, (j, 0), own[j, 0])
        cuda.atomic.add(bins, (j, 1), own[j, 1])


@kernel
def add_cosines_cuda(bins: Any, table: Any, angles: Any, share: Any) -> None:
    """Add cos(k theta) / k for the k of a share from `BLOCK` on.

    Parameters
    ----------
    bins, table
        As in `add_cosines_cpu`.
    angles : float64[n, 2]
        Cosine and sine of each block of the share, in its order: from the C library
        of the host, since that of the GPU has other bits.
    share : int64[5]
        As in `add_cosines_cpu`.

    Notes
    -----
    Two products, two sums, a division and an integer addition for a term; 16 bytes for
    256 terms. A thread has one place in all blocks, whose table stays in registers.
    """
    own = cuda.shared.array((64, 2), np.int64)
    thread, width = cuda.threadIdx.x, cuda.blockDim.x
    for j in range(thread, 64, width):
        own[j, 0], own[j, 1] = 0, 0
    cuda.syncthreads()
    begin, end, length, first, distance = (
        share[0],
        share[1],
        share[2],
        share[3],
        share[4],
    )
    blocks = length // BLOCK
    for m in range(thread, BLOCK, width):
        cosine, sine, number = table[0, m], table[1, m], table[2, m]
        j, sum_low, sum_high = 0, np.int64(0), np.int64(0)
        for q in range(cuda.blockIdx.x, angles.shape[0], cuda.gridDim.x):
            block = (first + q // blocks * distance) * length + q % blocks * BLOCK
            k = block + m
            if k < begin or k < BLOCK or k >= end:
                continue
            if np.int64(2) << j <= block:
                cuda.atomic.add(own, (j, 0), sum_low)
                cuda.atomic.add(own, (j, 1), sum_high)
                sum_low, sum_high = np.int64(0), np.int64(0)
                while np.int64(2) << j <= block:
                    j += 1
            shift = 3.0 / np.float64(np.int64(1) << j)
            zero = bits_of(shift)
            term = sub(mul(angles[q, 0], cosine), mul(angles[q, 1], sine))
            term = term / add(np.float64(block), number)
            bits = bits_of(add(term, shift)) - zero
            sum_low += bits & _LOW_32
            sum_high += bits >> 32
        cuda.atomic.add(own, (j, 0), sum_low)
        cuda.atomic.add(own, (j, 1), sum_high)
    cuda.syncthreads()
    for j in range(thread, 64, width):
        cuda.atomic.add(bins, (j, 0), own[j, 0])
        cuda.atomic.add(bins, (j, 1), own[j, 1])


@kernel
def fill_midpoints_cuda(points: Any, first: int, start: float, width: float) -> None:
    """Write the midpoints of consecutive intervals.

    Parameters
    ----------
    points, first, start, width
        As in `fill_midpoints_cpu`.
    """
    for k in range(cuda.grid(1), points.size, cuda.gridsize(1)):
        points[k] = add(start, mul(add(np.float64(first + k), 0.5), width))
