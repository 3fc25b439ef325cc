# SPDX-License-Identifier: MIT
"""Philox on a GPU and what is counted with it. Imports Numba's CUDA target.

The same numbers as in `kernels`, whose docstrings say what they are: each thread makes
its blocks in registers. All that is added up are integers: first in a thread, then in a
block, then by one atomic operation for each block.
"""

from typing import Any

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import add, inner, kernel, mul, sub, widen

__all__ = [
    "SIGNATURES",
    "THREADS",
    "advance_walkers_cuda",
    "bend_cuda",
    "centre_cuda",
    "count_inside_cuda",
    "count_strata_cuda",
    "fill_uniform_cuda",
    "place_cuda",
    "square_cuda",
]

SIGNATURES = {
    "count_inside_cuda": "void(int64[::1], int64, int64, int64, int64)",
    "count_strata_cuda": "void(int64[::1], int64, int64, int64, int64, int64, int64)",
    "advance_walkers_cuda": "void(int64[::1], int64[::1], int64, int64, int64, int64)",
    "fill_uniform_cuda": "void(float64[::1], int64, int64, int64)",
    "place_cuda": "void(float64[::1], int64, int64, float64, float64, float64)",
    "centre_cuda": "void(float64[::1], float64, float64)",
    "square_cuda": "void(float64[::1])",
    "bend_cuda": "void(float64[::1], float64[::1])",
}

THREADS = 256
"""Of a block, at most: walkers that wait for one another."""

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
_MULTIPLY_0, _MULTIPLY_1 = np.uint32(0xD2511F53), np.uint32(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

# streams: the third word of the counter
_PI, _INTEGRAL, _WALK, _STRATA = 0, 1, 2, 3

# steps that a word of random bits gives
_BITS = 32


@inner
def _philox(number: Any, stream: int, fourth: int, k0: int, k1: int) -> Any:
    """Return the four words of a block, as uint32."""
    b = np.uint64(number)
    w0, w1 = np.uint32(b & _LOW), np.uint32(b >> _HALF)
    w2, w3 = np.uint32(stream), np.uint32(fourth)
    key0, key1 = np.uint32(k0), np.uint32(k1)
    for _ in range(10):
        p0, p1 = widen(w0, _MULTIPLY_0), widen(w2, _MULTIPLY_1)
        w0 = np.uint32(np.uint32(p1 >> _HALF) ^ w1 ^ key0)
        w2 = np.uint32(np.uint32(p0 >> _HALF) ^ w3 ^ key1)
        w1, w3 = np.uint32(p1 & _LOW), np.uint32(p0 & _LOW)
        key0 = np.uint32((np.uint64(key0) + _WEYL_0) & _LOW)
        key1 = np.uint32((np.uint64(key1) + _WEYL_1) & _LOW)
    return w0, w1, w2, w3


@inner
def _inside(x: Any, y: Any) -> Any:
    # x^2 + y^2 < 2^64, without a carry
    return np.int64(widen(y, y) <= widen(x, x) ^ _FULL)


@inner
def _uniform(high: Any, low: Any) -> float:
    upper, lower = np.float64(high >> np.uint32(5)), np.float64(low >> np.uint32(6))
    return mul(add(mul(upper, 67108864.0), lower), 2.0**-53)


@kernel
def count_inside_cuda(total: Any, first: int, last: int, k0: int, k1: int) -> None:
    """Count the samples of a range that lie in the quarter circle.

    Parameters
    ----------
    total : int64[1]
        Added to.
    first, last, k0, k1 : int
        As in `count_inside_cpu`.

    Notes
    -----
    A block of two samples: 20 products of 32 bits and about 40 other operations for its
    words, 4 products for the squares. Touches no memory but the sum.
    """
    found = cuda.shared.array(1, np.int64)
    if cuda.threadIdx.x == 0:
        found[0] = 0
    cuda.syncthreads()
    inside = np.int64(0)
    for number in range(first // 2 + cuda.grid(1), (last + 1) // 2, cuda.gridsize(1)):
        w0, w1, w2, w3 = _philox(number, _PI, 0, k0, k1)
        if 2 * number >= first:
            inside += _inside(w0, w1)
        if 2 * number + 1 < last:
            inside += _inside(w2, w3)
    cuda.atomic.add(found, 0, inside)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(total, 0, found[0])


@kernel
def fill_uniform_cuda(out: Any, first: int, k0: int, k1: int) -> None:
    """Make uniform numbers in [0, 1) of stream 1.

    Parameters
    ----------
    out : float64[n]
        Written.
    first, k0, k1 : int
        As in `fill_uniform_cpu`.

    Notes
    -----
    Writes 8 bytes a number.
    """
    last = first + out.size
    for number in range(first // 2 + cuda.grid(1), (last + 1) // 2, cuda.gridsize(1)):
        w0, w1, w2, w3 = _philox(number, _INTEGRAL, 0, k0, k1)
        if 2 * number >= first:
            out[2 * number - first] = _uniform(w0, w1)
        if 2 * number + 1 < last:
            out[2 * number + 1 - first] = _uniform(w2, w3)


@kernel
def place_cuda(
    x: Any, first: int, cells: int, start: float, width: float, end: float
) -> None:
    """Turn uniform numbers into points of an interval, in place.

    Parameters
    ----------
    x : float64[n]
        Numbers in [0, 1), then points.
    first : int
        Number of the first sample.
    cells : int
        Into how many cells the interval is cut, 0 for one.
    start, width, end : float
        Of the interval.
    """
    for k in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        u = x[k]
        if cells > 0:
            u = add(u, np.float64(first + k)) / np.float64(cells)
        # rounding may lead beyond the end
        x[k] = min(add(mul(u, width), start), end)


@kernel
def centre_cuda(f: Any, centre: float, scale: float) -> None:
    """Replace f by (f - centre) scale.

    Parameters
    ----------
    f : float64[n]
        Changed in place.
    centre, scale : float
        As said.
    """
    for k in range(cuda.grid(1), f.size, cuda.gridsize(1)):
        f[k] = mul(sub(f[k], centre), scale)


@kernel
def square_cuda(f: Any) -> None:
    """Replace f by its square.

    Parameters
    ----------
    f : float64[n]
        Changed in place.
    """
    for k in range(cuda.grid(1), f.size, cuda.gridsize(1)):
        f[k] = mul(f[k], f[k])


@kernel
def bend_cuda(d: Any, f: Any) -> None:
    """Write the squared second differences of threes.

    Parameters
    ----------
    d : float64[n // 3]
        Written: (f[3 k] - 2 f[3 k + 1] + f[3 k + 2])^2.
    f : float64[n]
        Read.
    """
    for k in range(cuda.grid(1), d.size, cuda.gridsize(1)):
        bend = add(sub(f[3 * k], mul(2.0, f[3 * k + 1])), f[3 * k + 2])
        d[k] = mul(bend, bend)


@inner
def _in_cell(k: Any, samples: int, rows: int, k0: int, k1: int) -> Any:
    """Return 1 where the sample of a cell lies in the circle, else 0."""
    base, longer = samples // rows, samples % rows
    w0, w1, w2, w3 = _philox(k, _STRATA, 0, k0, k1)
    row = k // (base + 1)
    if row >= longer:
        row = longer + (k - longer * (base + 1)) // base
    begin = row * base + min(row, longer)
    width = base + 1 if row < longer else base
    column = k - begin
    if row % 2 == 1:
        column = width - 1 - column
    x = add(np.float64(column), _uniform(w0, w1)) / np.float64(width)
    y = add(np.float64(begin), mul(np.float64(width), _uniform(w2, w3)))
    y = y / np.float64(samples)
    return np.int64(add(mul(x, x), mul(y, y)) <= 1.0)


@kernel
def count_strata_cuda(
    totals: Any, first: int, last: int, samples: int, rows: int, k0: int, k1: int
) -> None:
    """Count the samples inside the circle where each has a cell of its own.

    Parameters
    ----------
    totals : int64[2]
        Added to: what `count_strata_cpu` returns.
    first, last, samples : int
        As there.
    rows : int
        Integer square root of `samples`.
    k0, k1 : int
        The key.

    Notes
    -----
    A thread takes three samples that follow one another.
    """
    found = cuda.shared.array(2, np.int64)
    if cuda.threadIdx.x == 0:
        found[0], found[1] = 0, 0
    cuda.syncthreads()
    inside, squares = np.int64(0), np.int64(0)
    start, step = first + 3 * cuda.grid(1), 3 * cuda.gridsize(1)
    for k in range(start, last, step):
        f0, f1, f2 = _in_cell(k, samples, rows, k0, k1), np.int64(0), np.int64(0)
        if k + 1 < last:
            f1 = _in_cell(k + 1, samples, rows, k0, k1)
        if k + 2 < last:
            f2 = _in_cell(k + 2, samples, rows, k0, k1)
            bend = f0 - 2 * f1 + f2
            squares += bend * bend
        inside += f0 + f1 + f2
    cuda.atomic.add(found, 0, inside)
    cuda.atomic.add(found, 1, squares)
    cuda.syncthreads()
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(totals, 0, found[0])
        cuda.atomic.add(totals, 1, found[1])


@kernel
def advance_walkers_cuda(
    squares: Any, ends: Any, first: int, last: int, k0: int, k1: int
) -> None:
    """Let walkers go from 0, a step of +1 or -1 at a time, all the way.

    Parameters
    ----------
    squares, ends : int64[steps + 1]
        Added to, as in `advance_walkers_cpu`.
    first, last, k0, k1 : int
        As there.

    Notes
    -----
    A thread leads a walker through 32 steps, which are the bits of a word. Then the
    threads change roles: each takes one of the 32 steps and adds up the squares of
    the block's walkers there, whose places follow from the bits so far. 7 operations
    a step; for 32 steps of a block 32 atomic operations.
    """
    places = cuda.shared.array(THREADS, np.int64)
    words = cuda.shared.array(THREADS, np.uint32)
    sums = cuda.shared.array(_BITS, np.int64)
    thread, width = cuda.threadIdx.x, cuda.blockDim.x
    steps = squares.size - 1
    groups = max(1, width // _BITS)
    base = first + cuda.blockIdx.x * width
    while base < last:
        count = min(width, last - base)
        x = np.int64(0)
        w0, w1, w2, w3 = np.uint32(0), np.uint32(0), np.uint32(0), np.uint32(0)
        for t in range(0, steps, _BITS):
            if t % 128 == 0:
                w0, w1, w2, w3 = _philox(base + thread, _WALK, t // 128, k0, k1)
            places[thread], words[thread] = x, w0
            for bit in range(thread, _BITS, width):
                sums[bit] = 0
            cuda.syncthreads()
            for item in range(thread, _BITS * groups, width):
                bit, total = item % _BITS, np.int64(0)
                mask = np.uint32((np.int64(2) << bit) - 1)
                for walker in range(item // _BITS, count, groups):
                    ups = np.int64(cuda.popc(np.uint32(words[walker] & mask)))
                    at = places[walker] + 2 * ups - bit - 1
                    total += at * at
                cuda.atomic.add(sums, bit, total)
            cuda.syncthreads()
            for bit in range(thread, min(_BITS, steps - t), width):
                cuda.atomic.add(squares, t + bit + 1, sums[bit])
            done = min(_BITS, steps - t)
            mask = np.uint32((np.int64(1) << done) - 1)
            x += 2 * np.int64(cuda.popc(np.uint32(w0 & mask))) - done
            # the next word
            w0, w1, w2, w3 = w1, w2, w3, w0
            cuda.syncthreads()
        if base + thread < last:
            cuda.atomic.add(ends, (x + steps) // 2, 1)
        base += cuda.gridsize(1)
