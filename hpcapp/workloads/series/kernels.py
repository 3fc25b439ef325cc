# SPDX-License-Identifier: MIT
"""Sums of terms as integers. Imported in functions only: it imports Numba.

Terms of one binade of denominators are integers of one unit, so that their sum is an
integer too, which no order of addition changes: one integer addition a term, next to
which the division dominates. Bins hold these sums, one for each binade: bins[j, 0] the
lower 32 bits of what was added and bins[j, 1] the rest. One entry adds less than 2**32
to either, so that 2**31 entries fit.
"""

import math
from typing import Any

import numba
import numpy as np

__all__ = [
    "BINS",
    "BLOCK",
    "LAST_DIGITS",
    "TURN_BITS",
    "add_cosines_cpu",
    "add_reciprocals_cpu",
    "fill_angles_cpu",
    "fill_midpoints_cpu",
]

BINS = 64
"""Binades of denominators below 2**63."""

LAST_DIGITS = 10_000
"""Consecutive integers whose leading digits are the same."""

BLOCK = 256
"""Consecutive angles that a table reaches from the first of them."""

TURN_BITS = 62
"""Bits of each half of an angle, a fixed-point fraction of a turn."""

_LOW_32 = (1 << 32) - 1
_FRACTION = 52

# Values between two entries into a bin: integers below 2**53 stay below 2**63 in sum.
_CHUNK = 1024

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")
_inner = numba.njit(error_model="numpy")


# --- reciprocals


@_jit
def add_reciprocals_cpu(
    bins: np.ndarray,
    offsets: np.ndarray,
    counts: np.ndarray,
    follow: np.ndarray,
    share: np.ndarray,
) -> None:
    """Add 1/k for the denominators of a share that do not contain a string of digits.

    The term is the double nearest to 1/k: with 2**(j-1) < k <= 2**j it is m 2**-(j+52),
    2**52 <= m < 2**53 (or m = 2**52 for k = 2**j; the largest k is below 2**53, so none
    rounds up to the next power of two). The sum of the m goes to bins[j]. 0.7 ns per
    term, the time of a division, and about 50 ns for each block of 10,000 integers;
    tables of 80 kB; free of races between calls with different bins.

    Parameters
    ----------
    bins : int64[BINS, 2]
        Sums, added to.
    offsets : float64[states + 1, LAST_DIGITS]
        Row s: what the last four digits may be after leading digits that leave the
        automaton in state s, ascending; last row: the whole integers below 10,000.
    counts : int64[states + 1]
        Used entries of each row.
    follow : int64[states, 10]
        Next state after a digit; -1 where the string is complete.
    share : int64[5]
        First and one past the last denominator, both in 1..2**53; length of a piece
        (piece p has the integers from p times length on), first piece, and distance
        of pieces.
    """
    begin, end, length, first, distance = share
    for start in range(first * length, end, distance * length):
        low, high = max(start, begin), min(start + length, end)
        lead = low // LAST_DIGITS
        while lead * LAST_DIGITS < high:
            state, after = _read_digits(follow, lead)
            if state >= 0:
                base = lead * LAST_DIGITS
                row = offsets[state, : counts[state]]
                a, b = _find(row, low - base), _find(row, high - base)
                _add_block(bins, row[a:b], base)
            lead = after


@_inner
def _read_digits(follow: np.ndarray, lead: int) -> tuple[int, int]:
    """Return the state after leading digits and the next ones worth looking at.

    The state is -1 if they contain the string.
    """
    if lead == 0:
        return follow.shape[0], 1
    unit = 1
    while unit * 10 <= lead:
        unit *= 10
    state, rest = 0, lead
    while unit > 0:
        digit = rest // unit
        rest -= digit * unit
        state = follow[state, digit]
        if state < 0:
            # the same first digits would only complete the string again
            return -1, lead - rest + unit
        unit //= 10
    return state, lead + 1


@_inner
def _find(row: np.ndarray, value: int) -> int:
    """Return the number of entries below a value."""
    if value <= 0:
        return 0
    if value >= LAST_DIGITS:
        return row.size
    return int(np.searchsorted(row, float(value)))


@_inner
def _add_block(bins: np.ndarray, row: np.ndarray, base: int) -> None:
    """Add 1 / (base + offset) for ascending offsets, binade by binade."""
    a, j = 0, 0
    while a < row.size:
        while (1 << j) < base + int(row[a]):
            j += 1
        b = _find(row, (1 << j) - base + 1)
        # bits of 2**-j less those of the hidden bit
        exponent = (1023 - j - 1) << _FRACTION
        for first in range(a, b, _CHUNK):
            part = row[first : min(first + _CHUNK, b)]
            total = 0
            for i in range(part.size):
                bits: Any = np.float64(1.0 / (base + part[i])).view(np.int64)
                total += bits - exponent
            bins[j, 0] += total & _LOW_32
            bins[j, 1] += total >> 32
        a = b


# --- cosines

_LOW_TURN = (1 << TURN_BITS) - 1
_QUARTER = 1 << (TURN_BITS - 2)
_RADIANS = 2.0 * math.pi / 2.0**TURN_BITS


@_jit
def add_cosines_cpu(
    bins: np.ndarray, table: np.ndarray, turns: np.ndarray, share: np.ndarray
) -> None:
    """Add cos(k theta) / k for the k of a share from `BLOCK` on.

    With k = K + m, K a multiple of `BLOCK`, it is
    (cos(K theta) cos(m theta) - sin(K theta) sin(m theta)) / k, computed as written and
    rounded to a multiple of 2**-(j+51), 2**j <= K < 2**(j+1); their sum goes to
    bins[j]. The angle K theta is a fixed-point fraction of a turn: exact to 2**-64,
    however large K is. One addition of 3 * 2**-j rounds: the bits of the sum less
    those of 3 * 2**-j are the integer. 0.7 ns per term; free of races between calls
    with different bins.

    Parameters
    ----------
    bins : int64[BINS, 2]
        Sums, added to.
    table : float64[3, BLOCK]
        cos(m theta), sin(m theta) and m.
    turns : int64[3, 2]
        High and low half of the fraction of a turn of (first piece) * length * theta,
        BLOCK * theta, and distance * length * theta.
    share : int64[5]
        As for `add_reciprocals_cpu`; the length a multiple of `BLOCK`.
    """
    begin, end, length, first, distance = share
    high, low = turns[0, 0], turns[0, 1]
    j = 0
    for start in range(first * length, end, distance * length):
        at_high, at_low = high, low
        for block in range(start, min(start + length, end), BLOCK):
            a, b = max(block, begin, BLOCK), min(block + BLOCK, end)
            if a < b:
                while (2 << j) <= block:
                    j += 1
                cosine, sine = _cosine_sine(at_high)
                total = _add_angles(
                    table[0][a - block : b - block],
                    table[1][a - block : b - block],
                    table[2][a - block : b - block],
                    (cosine, sine, float(block), 3.0 / (1 << j)),
                )
                bins[j, 0] += total & _LOW_32
                bins[j, 1] += total >> 32
            at_high, at_low = _turn(at_high, at_low, turns[1])
        high, low = _turn(high, low, turns[2])


@_jit
def fill_angles_cpu(
    angles: np.ndarray, turns: np.ndarray, start: int, blocks: int
) -> None:
    """Write cosine and sine of each block's first angle, for a GPU to go on from.

    Parameters
    ----------
    angles : float64[n, 2]
        Written: those of the blocks of some pieces, one piece after the other. About
        40 ns a block; free of races between calls with different parts.
    turns : int64[3, 2]
        As for `add_cosines_cpu`.
    start : int
        Piece of the share that the first block belongs to, counted from 0.
    blocks : int
        Of a piece.
    """
    high, low = turns[0, 0], turns[0, 1]
    for _ in range(start):
        high, low = _turn(high, low, turns[2])
    for first in range(0, len(angles), blocks):
        at_high, at_low = high, low
        for n in range(first, min(first + blocks, len(angles))):
            angles[n, 0], angles[n, 1] = _cosine_sine(at_high)
            at_high, at_low = _turn(at_high, at_low, turns[1])
        high, low = _turn(high, low, turns[2])


@_inner
def _turn(high: int, low: int, by: np.ndarray) -> tuple[int, int]:
    """Add fractions of a turn."""
    low += by[1]
    high += by[0] + (low >> TURN_BITS)
    return high & _LOW_TURN, low & _LOW_TURN


@_inner
def _cosine_sine(turn: int) -> tuple[float, float]:
    """Return cosine and sine of a fraction of a turn, from within an eighth of 0."""
    quarter = (turn + (_QUARTER >> 1)) >> (TURN_BITS - 2)
    angle = float(turn - quarter * _QUARTER) * _RADIANS
    cosine, sine = math.cos(angle), math.sin(angle)
    if quarter & 1:
        cosine, sine = -sine, cosine
    if quarter & 2:
        cosine, sine = -cosine, -sine
    return cosine, sine


@_inner
def _add_angles(
    cosines: np.ndarray,
    sines: np.ndarray,
    numbers: np.ndarray,
    block: tuple[float, float, float, float],
) -> int:
    """Return the sum of terms as integers: 256 of at most 2**51 stay below 2**60."""
    cosine, sine, base, shift = block
    zero: Any = np.float64(shift).view(np.int64)
    total = 0
    for i in range(cosines.size):
        term = (cosine * cosines[i] - sine * sines[i]) / (base + numbers[i])
        bits: Any = np.float64(term + shift).view(np.int64)
        total += bits - zero
    return total


# --- midpoints


@_jit
def fill_midpoints_cpu(
    points: np.ndarray, first: int, start: float, width: float
) -> None:
    """Write the midpoints of consecutive intervals.

    Parameters
    ----------
    points : float64[n]
        Written: start + (first + i + 1/2) width. 8 bytes a point; free of races.
    first : int
        Number of the first interval, below 2**52.
    start, width : float
        Where interval 0 begins, and the length of each.
    """
    for i in range(points.size):
        points[i] = start + ((first + i) + 0.5) * width
