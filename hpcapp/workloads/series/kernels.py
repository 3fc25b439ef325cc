# SPDX-License-Identifier: MIT
"""Sums of terms as integers. Imported in functions only: it imports Numba.

Terms of one binade of denominators are integers of one unit, so that their sum is an
integer too, which no order of addition changes: one integer addition a term, next to
which the division dominates. Bins hold these sums, one for each binade: bins[j, 0] the
lower 32 bits of what was added and bins[j, 1] the rest. One entry adds less than 2**32
to either, so that 2**31 entries fit.
"""

from typing import Any

import numba
import numpy as np

__all__ = ["BINS", "LAST_DIGITS", "add_reciprocals_cpu"]

BINS = 64
"""Binades of denominators below 2**63."""

LAST_DIGITS = 10_000
"""Consecutive integers whose leading digits are the same."""

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
