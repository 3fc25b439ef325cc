# SPDX-License-Identifier: MIT
"""The loop of the exact sum of `hpcapp.reduction`, on the CPU. Imports Numba."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["add_cpu"]

# Values between two emptyings of the bins. One value adds less than 2**32 to the low
# and 2**21 to the high half of a bin: 2**20 values stay below 2**52 and 2**41.
_CHUNK = 1 << 20

# Values that are split against one power of two: 2**10 integers of at most 2**51.
_BLOCK = 1 << 10

_BINS = 1 << 12
_HIDDEN = 1 << 52
_LOW_32 = (1 << 32) - 1
_LOW_52 = (1 << 52) - 1
_LOW_63 = (1 << 63) - 1

_inner = njit(error_model="numpy")


@njit(cache=True, nogil=True, error_model="numpy")
def add_cpu(limbs: NDArray[np.int64], words: NDArray[np.int64], last: int) -> None:
    """Add doubles to an accumulator, exactly, and normalise it.

    Blocks of 1024 values whose exponents differ by at most 50 are split into two
    integers a value, of one unit each, whose sums go to the limbs (`_add_block`). In
    other blocks each mantissa is added to one of 4096 integer bins, by sign and
    exponent (the large superaccumulator of Neal, 2015, with two halves per bin in
    place of a counter); the bins go to the limbs every 2**20 values. 0.5 ns per value
    in cache on one core, 1.5 where exponents differ more, and 1 us per call; one pass
    through memory, 8 bytes per value; 64 KiB of bins where they are needed. Free of
    races between calls with different limbs.

    Parameters
    ----------
    limbs : int64[last + 3]
        Accumulator, read and written; any state whose limbs are below 2**63 - 2**31.
    words : int64[n]
        The bits of the values.
    last : int
        Number of limbs; the counters of +inf, -inf and NaN follow them.
    """
    bins = np.zeros((0, 2), np.int64)
    _carry(limbs, last)
    for first in range(0, words.size, _CHUNK):
        chunk = words[first : first + _CHUNK]
        filled = False
        for start in range(0, chunk.size, _BLOCK):
            block = chunk[start : start + _BLOCK]
            if _add_block(limbs, block):
                continue
            if bins.size == 0:
                bins = np.zeros((_BINS, 2), np.int64)
            _fill(bins, block)
            filled = True
        if filled:
            # The hidden bit makes the high half of a bin in use larger than 0.
            if bins[2047, 1] + bins[4095, 1] > 0:
                _count_special(limbs[last:], chunk)
            _empty(bins, limbs)
        _carry(limbs, last)


@_inner
def _add_block(limbs: NDArray[np.int64], words: NDArray[np.int64]) -> bool:
    """Add up to 1024 values by splitting each; False, and nothing done, if it cannot.

    With |x| < 2**51 u and c = 1.5 * 2**52 u the sum x + c rounds x to a multiple of u,
    a u, and a is the difference of the bits of x + c and c. What is left of x, at most
    u / 2, is a double too and is split again with u / 2**52; if then something is left
    of any value, which is 2**50 times smaller than the largest, it is the bins' turn
    (S. M. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation part I", SIAM
    Journal on Scientific Computing 31 (2008) 189-224, section 3). The loops have no
    branch and vectorise.
    """
    largest = 0
    for k in range(words.size):
        largest = max(largest, words[k] & _LOW_63)
    exponent = largest >> 52
    # c and u / 2**52 must be neither infinite nor subnormal
    if exponent < 64 or exponent > 2040:
        return False
    half = 1 << 51
    high_zero, low_zero = ((exponent + 2) << 52) | half, ((exponent - 50) << 52) | half
    c: Any = np.int64(high_zero).view(np.float64)
    d: Any = np.int64(low_zero).view(np.float64)
    values: Any = words.view(np.float64)
    high: Any = 0
    low: Any = 0
    rest: Any = 0
    for k in range(words.size):
        rounded = values[k] + c
        left = values[k] - (rounded - c)
        moved = left + d
        high += np.float64(rounded).view(np.int64) - high_zero
        low += np.float64(moved).view(np.int64) - low_zero
        rest |= np.float64(left - (moved - d)).view(np.int64)
    if rest:
        return False
    _add_integer(limbs, high, exponent + 1)
    _add_integer(limbs, low, exponent - 51)
    return True


@_inner
def _add_integer(limbs: NDArray[np.int64], number: int, position: int) -> None:
    """Add an integer below 2**62 in units of 2**(position - 1074) to the limbs."""
    limb, shift = position >> 5, position & 31
    sign = 1 if number >= 0 else -1
    number = abs(number)
    rest = 0
    for piece in (number & _LOW_32, number >> 32):
        # piece < 2**32, shift < 32 and rest < 2**31: below 2**63.
        moved = (piece << shift) + rest
        limbs[limb] += sign * (moved & _LOW_32)
        rest = moved >> 32
        limb += 1
    limbs[limb] += sign * rest


@_inner
def _carry(limbs: NDArray[np.int64], last: int) -> None:
    """Bring all limbs but the highest into 0..2**32-1."""
    carry = 0
    for k in range(last - 1):
        limb = limbs[k] + carry
        limbs[k] = limb & _LOW_32
        carry = limb >> 32
    limbs[last - 1] += carry


@_inner
def _fill(bins: NDArray[np.int64], words: NDArray[np.int64]) -> None:
    """Add the two halves of each mantissa to the bin of its sign and exponent."""
    for k in range(words.size):
        index = (words[k] >> 52) & (_BINS - 1)
        mantissa = words[k] & _LOW_52
        if index & 2047:
            mantissa |= _HIDDEN
        bins[index, 0] += mantissa & _LOW_32
        bins[index, 1] += mantissa >> 32


@_inner
def _count_special(counters: NDArray[np.int64], words: NDArray[np.int64]) -> None:
    """Count +inf, -inf and NaN."""
    for k in range(words.size):
        if (words[k] >> 52) & 2047 == 2047:
            if words[k] & _LOW_52:
                counters[2] += 1
            elif words[k] > 0:
                counters[0] += 1
            else:
                counters[1] += 1


@_inner
def _empty(bins: NDArray[np.int64], limbs: NDArray[np.int64]) -> None:
    """Move the bins of finite numbers to the limbs; all bins become 0.

    A bin changes at most four limbs, each by less than 2**32: with 4096 bins the
    limbs, normalised before and changed by 1024 blocks, stay below 2**46.
    """
    for index in range(_BINS):
        low, high = bins[index, 0], bins[index, 1]
        bins[index, 0] = 0
        bins[index, 1] = 0
        exponent = index & 2047
        if low | high == 0 or exponent == 2047:
            continue
        # Subnormals (exponent 0) have the unit of exponent 1, bit 0 of limb 0.
        position = max(exponent, 1) - 1
        limb, shift = position >> 5, position & 31
        sign = 1 if index < 2048 else -1
        high += low >> 32
        rest = 0
        for piece in (low & _LOW_32, high & _LOW_32, high >> 32):
            # piece < 2**32, shift < 32 and rest < 2**31: below 2**63.
            moved = (piece << shift) + rest
            limbs[limb] += sign * (moved & _LOW_32)
            rest = moved >> 32
            limb += 1
        limbs[limb] += sign * rest
