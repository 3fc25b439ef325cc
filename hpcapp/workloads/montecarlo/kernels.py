# SPDX-License-Identifier: MIT
"""Philox and what is counted with it. Imported in steps and warm-up only: Numba.

Philox4x32-10 turns a counter of four words of 32 bits and a key of two into four
random words, so that any sample can be made without those before it. Blocks are made
`_LANES` at a time, in arrays, so that the compiler vectorises over counters.

References
----------
J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy
as 1, 2, 3", SC11 (2011), section 3.3; constants and test vectors: Random123,
include/Random123/philox.h and tests/kat_vectors.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "advance_walkers_cpu",
    "count_inside_cpu",
    "count_strata_cpu",
    "fill_uniform_cpu",
    "fill_words_cpu",
    "trace_walkers_cpu",
]

# Blocks made together: 16 KiB of words, which stay in the first cache. All loops over
# them have this fixed length; 1024 is as fast as 2048, and 256 slower by a tenth.
_LANES = 1024

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLY_0, _MULTIPLY_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)

# streams: the third word of the counter
_PI, _INTEGRAL, _WALK, _STRATA = 0, 1, 2, 3

# Parts of the kernels, compiled into them: they stand in one file since Numba notices
# changes of a kernel's own file only.
_inner = njit(error_model="numpy")
_jit = njit(cache=True, nogil=True, error_model="numpy")


@_inner
def _round(
    c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any
) -> tuple[Any, Any, Any, Any]:
    p0, p1 = _MULTIPLY_0 * c0, _MULTIPLY_1 * c2
    c0, c2 = (p1 >> _HALF) ^ c1 ^ (k0 & _LOW), (p0 >> _HALF) ^ c3 ^ (k1 & _LOW)
    return c0, p1 & _LOW, c2, p0 & _LOW


@_inner
def _five_rounds(a: Any, b: Any, c: Any, d: Any, k0: Any, k1: Any) -> Any:
    two, three, four = np.uint64(2), np.uint64(3), np.uint64(4)
    a, b, c, d = _round(a, b, c, d, k0, k1)
    a, b, c, d = _round(a, b, c, d, k0 + _WEYL_0, k1 + _WEYL_1)
    a, b, c, d = _round(a, b, c, d, k0 + two * _WEYL_0, k1 + two * _WEYL_1)
    a, b, c, d = _round(a, b, c, d, k0 + three * _WEYL_0, k1 + three * _WEYL_1)
    return _round(a, b, c, d, k0 + four * _WEYL_0, k1 + four * _WEYL_1)


@_inner
def _fill(
    words: NDArray[np.uint32], first: int, stream: int, fourth: int, k0: int, k1: int
) -> None:
    """Make the blocks of counters (b low, b high, stream, fourth), b from first on.

    Five rounds at a time: ten in one loop are not vectorised. Words of 32 bits in
    memory tell the compiler that a product needs only one multiplication of 32 bits.
    """
    key0, key1, five = np.uint64(k0), np.uint64(k1), np.uint64(5)
    begin = np.uint64(first)
    for i in range(_LANES):
        words[0, i] = np.uint32((begin + np.uint64(i)) & _LOW)
    if first >> 32 == (first + _LANES - 1) >> 32:
        high = begin >> _HALF
        _start(words, high, np.uint64(stream), np.uint64(fourth), key0, key1)
    else:
        for i in range(_LANES):
            words[1, i] = np.uint32((begin + np.uint64(i)) >> _HALF)
            words[2, i], words[3, i] = np.uint32(stream), np.uint32(fourth)
        _go_on(words, key0, key1)
    _go_on(words, key0 + five * _WEYL_0, key1 + five * _WEYL_1)


@_inner
def _start(
    words: NDArray[np.uint32], b: Any, c: Any, d: Any, key0: Any, key1: Any
) -> None:
    """Do half of the rounds where only the first word differs from lane to lane.

    What follows from the other three alone, two products of ten, is worked out once.
    """
    # rows of their own: the compiler sees that they are apart
    row0, row1, row2, row3 = words[0], words[1], words[2], words[3]
    for i in range(_LANES):
        a = np.uint64(row0[i])
        w0, w1, w2, w3 = _five_rounds(a, b, c, d, key0, key1)
        row0[i], row1[i] = np.uint32(w0), np.uint32(w1)
        row2[i], row3[i] = np.uint32(w2), np.uint32(w3)


@_inner
def _go_on(words: NDArray[np.uint32], key0: Any, key1: Any) -> None:
    """Do half of the rounds on whatever the words are."""
    row0, row1, row2, row3 = words[0], words[1], words[2], words[3]
    for i in range(_LANES):
        a, b = np.uint64(row0[i]), np.uint64(row1[i])
        c, d = np.uint64(row2[i]), np.uint64(row3[i])
        a, b, c, d = _five_rounds(a, b, c, d, key0, key1)
        row0[i], row1[i] = np.uint32(a), np.uint32(b)
        row2[i], row3[i] = np.uint32(c), np.uint32(d)


@_jit
def fill_words_cpu(
    out: NDArray[np.uint32], first: int, stream: int, fourth: int, k0: int, k1: int
) -> None:
    """Make random blocks, as they are: for tests and for work of another kind.

    Parameters
    ----------
    out : uint32[n, 4]
        Row i is the block of counter (b mod 2^32, b div 2^32, stream, fourth) with
        b = first + i; written.
    first, stream, fourth : int
        See there; first < 2^63, the others < 2^32.
    k0, k1 : int
        The key: seed mod 2^32 and seed div 2^32.
    """
    words = np.empty((4, _LANES), np.uint32)
    for start in range(0, len(out), _LANES):
        _fill(words, first + start, stream, fourth, k0, k1)
        for i in range(min(_LANES, len(out) - start)):
            for word in range(4):
                out[start + i, word] = words[word, i]


@_inner
def _inside(x: np.uint32, y: np.uint32) -> Any:
    wide_x, wide_y = np.uint64(x), np.uint64(y)
    square = wide_x * wide_x
    # the sum wraps where x^2 + y^2 >= 2^64: exact
    return np.int64(square + wide_y * wide_y >= square)


@_jit
def count_inside_cpu(first: int, last: int, k0: int, k1: int) -> int:
    """Count the samples of a range that lie in the quarter circle.

    Parameters
    ----------
    first, last : int
        The range of samples, `last` excluded.
    k0, k1 : int
        The key.

    Returns
    -------
    int
        Samples k with x^2 + y^2 < 2^64, x and y being words 0, 1 (even k) or 2, 3
        (odd k) of block k div 2 of stream 0.

    Notes
    -----
    Reads and writes nothing but 16 KiB of its own. 0.85 G samples/s on one core.
    """
    words = np.empty((4, _LANES), np.uint32)
    row0, row1, row2, row3 = words[0], words[1], words[2], words[3]
    inside = 0
    for number in range(first // 2, (last + 1) // 2, _LANES):
        _fill(words, number, _PI, 0, k0, k1)
        if 2 * number >= first and 2 * (number + _LANES) <= last:
            for i in range(_LANES):
                inside += _inside(row0[i], row1[i]) + _inside(row2[i], row3[i])
            continue
        # an end of the range, which may be odd
        for k in range(max(first, 2 * number), min(last, 2 * (number + _LANES))):
            i, word = k // 2 - number, 2 * (k % 2)
            inside += _inside(words[word, i], words[word + 1, i])
    return inside


@_inner
def _uniform(high: np.uint32, low: np.uint32) -> float:
    """Make a double of 53 bits in [0, 1): 27 of the first word, 26 of the second."""
    upper, lower = np.int32(high >> np.uint32(5)), np.int32(low >> np.uint32(6))
    # exact; as 32-bit integers, which all vector units convert
    return (np.float64(upper) * 67108864.0 + np.float64(lower)) * 2.0**-53


@_jit
def fill_uniform_cpu(out: NDArray[np.float64], first: int, k0: int, k1: int) -> None:
    """Make uniform numbers in [0, 1) of stream 1.

    Parameters
    ----------
    out : float64[n]
        Numbers `first`, first + 1, ...; written. Number k is
        ((w div 2^5) 2^26 + v div 2^6) / 2^53 with (w, v) the words 0, 1 (even k) or
        2, 3 (odd k) of block k div 2.
    first : int
        The first number.
    k0, k1 : int
        The key.

    Notes
    -----
    Writes 8 bytes a number; 1 to 2 ns each on a core.
    """
    words = np.empty((4, _LANES), np.uint32)
    row0, row1, row2, row3 = words[0], words[1], words[2], words[3]
    last = first + len(out)
    for number in range(first // 2, (last + 1) // 2, _LANES):
        _fill(words, number, _INTEGRAL, 0, k0, k1)
        if 2 * number >= first and 2 * (number + _LANES) <= last:
            part = out[2 * number - first : 2 * (number + _LANES) - first]
            for i in range(_LANES):
                part[2 * i] = _uniform(row0[i], row1[i])
                part[2 * i + 1] = _uniform(row2[i], row3[i])
            continue
        for k in range(max(first, 2 * number), min(last, 2 * (number + _LANES))):
            i, word = k // 2 - number, 2 * (k % 2)
            out[k - first] = _uniform(words[word, i], words[word + 1, i])


@_jit
def count_strata_cpu(
    first: int, last: int, samples: int, k0: int, k1: int
) -> tuple[int, int]:
    """Count the samples inside the circle where each has a cell of its own.

    Parameters
    ----------
    first, last : int
        The range of samples, `last` excluded; `first` is a multiple of 3.
    samples : int
        All samples, which is the number of cells.
    k0, k1 : int
        The key.

    Returns
    -------
    inside : int
        Samples with x^2 + y^2 <= 1, in double arithmetic. The shifts in cell k are
        made of words 0, 1 (x) and 2, 3 (y) of block k of stream 3, as in
        `fill_uniform_cpu`.
    squares : int
        Sum of (f0 - 2 f1 + f2)^2 over the whole triples of the range, f being 1
        inside and 0 outside.

    Notes
    -----
    isqrt(n) rows of nearly equal numbers of cells; the height of a row is its share
    of all cells, so that all cells have area 1/n. Odd rows run backwards: samples
    that follow one another lie side by side.
    """
    words = np.empty((4, _LANES), np.uint32)
    rows = _root(samples)
    base, longer = samples // rows, samples % rows
    inside, squares, f0, f1 = 0, 0, 0, 0
    for start in range(first, last, _LANES):
        _fill(words, start, _STRATA, 0, k0, k1)
        for k in range(start, min(last, start + _LANES)):
            row = k // (base + 1)
            if row >= longer:
                row = longer + (k - longer * (base + 1)) // base
            begin, width = row * base + min(row, longer), base + (row < longer)
            column = k - begin
            if row % 2 == 1:
                column = width - 1 - column
            i = k - start
            x = (column + _uniform(words[0, i], words[1, i])) / width
            y = (begin + width * _uniform(words[2, i], words[3, i])) / samples
            f2 = 1 if x * x + y * y <= 1.0 else 0
            inside += f2
            if k % 3 == 2:
                squares += (f0 - 2 * f1 + f2) ** 2
            f0, f1 = f1, f2
    return inside, squares


@_inner
def _root(n: int) -> int:
    root = int(np.sqrt(np.float64(n)))
    while root * root > n:
        root -= 1
    while (root + 1) * (root + 1) <= n:
        root += 1
    return root


@_jit
def advance_walkers_cpu(
    squares: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: int,
    last: int,
    k0: int,
    k1: int,
) -> None:
    """Let walkers go from 0, a step of +1 or -1 at a time, all the way.

    Parameters
    ----------
    squares : int64[steps + 1]
        Sum of x^2 over walkers after each number of steps, added to.
    ends : int64[steps + 1]
        Walkers that end at x = 2 i - steps, added to.
    first, last : int
        The range of walkers, `last` excluded.
    k0, k1 : int
        The key.

    Notes
    -----
    Step t of walker k goes up where bit t mod 32 of word (t div 32) mod 4 is set, in
    the block of counter (k mod 2^32, k div 2^32, 2, t div 128).
    """
    steps = len(squares) - 1
    words = np.empty((4, _LANES), np.uint32)
    place = np.empty(_LANES, np.int32)
    for number in range(first, last, _LANES):
        place[:] = 0
        count = min(_LANES, last - number)
        for t in range(steps):
            if t % 128 == 0:
                _fill(words, number, _WALK, t // 128, k0, k1)
            squares[t + 1] += _step(place[:count], words[(t // 32) % 4], t % 32)
        for i in range(count):
            ends[(place[i] + steps) // 2] += 1


@_inner
def _step(place: NDArray[np.int32], words: NDArray[np.uint32], bit: int) -> Any:
    """Move walkers by a bit of their words; return the sum of their x^2."""
    shift, total = np.uint32(bit), np.int64(0)
    for i in range(place.size):
        up = np.int32((words[i] >> shift) & np.uint32(1))
        x = np.int32(place[i] + np.int32(2) * up - np.int32(1))
        place[i] = x
        total += np.int64(x) * np.int64(x)
    return total


@_jit
def trace_walkers_cpu(path: NDArray[np.int64], k0: int, k1: int) -> None:
    """Write down the whole paths of the first walkers.

    Parameters
    ----------
    path : int64[n, steps + 1]
        Position of each walker after each number of steps, written; few walkers.
    k0, k1 : int
        The key.
    """
    words = np.empty((4, _LANES), np.uint32)
    place = np.empty(_LANES, np.int32)
    for number in range(0, len(path), _LANES):
        place[:] = 0
        count = min(_LANES, len(path) - number)
        path[number : number + count, 0] = 0
        for t in range(path.shape[1] - 1):
            if t % 128 == 0:
                _fill(words, number, _WALK, t // 128, k0, k1)
            _step(place[:count], words[(t // 32) % 4], t % 32)
            path[number : number + count, t + 1] = place[:count]
