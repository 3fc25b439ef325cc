# SPDX-License-Identifier: MIT
"""CPU kernels that make words of bytes: translated, then cut where zeros are.

Neither has a branch that depends on the text: what a processor guesses wrong costs as
much as ten bytes.
"""

from typing import Any

import numpy as np
from numba import njit

from hpcapp.workloads.words.table import PADDING

__all__ = ["split_cpu", "translate_cpu"]

ONE, THREE, SEVEN = np.uint64(1), np.uint64(3), np.uint64(7)
LAST_BYTE, BYTE = np.uint64(56), np.uint64(255)

# every byte 127, and every byte 128
SEVENS, HIGHS = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)

# gathers the lowest bits of eight bytes in the highest byte, the first byte's lowest
GATHER = np.uint64(0x0102040810204080)

# where the bits of a byte are set, and how many are
BITS = np.array(
    [([j for j in range(8) if m >> j & 1] + 8 * [0])[:8] for m in range(256)], np.int64
)
SET = np.array([m.bit_count() for m in range(256)], np.uint64)


@njit(cache=True, nogil=True, error_model="numpy")
def translate_cpu(
    out: np.ndarray, data: np.ndarray, size: int, table: np.ndarray
) -> None:
    """Translate bytes one by one and put zeros behind them.

    Parameters
    ----------
    out : uint8[>= size + PADDING]
        Written.
    data : uint8[>= size]
        The bytes.
    size : int
        How many.
    table : uint8[256]
        What becomes of each.
    """
    for i in range(size):
        out[i] = table[data[i]]
    for i in range(size, size + PADDING):
        out[i] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def split_cpu(bounds: np.ndarray, words: np.ndarray, size: int) -> Any:
    """Write down where the words of a translated text begin and end.

    Eight bytes at a time: the bits of those where a word begins or ends make a number,
    and a table has their places. Eight places are written always; those too many are
    written over by the next.

    Parameters
    ----------
    bounds : int64[>= size + 16]
        Written: begin and end of each word, in bytes.
    words : uint64[n]
        The text, the first byte lowest, with `PADDING`.
    size : int
        Its bytes.

    Returns
    -------
    int
        Number of words.
    """
    n, within = np.uint64(0), np.uint64(0)
    for i in range((size >> 3) + 1):
        value = words[i]
        letters = ((value & SEVENS) + SEVENS | value) & HIGHS
        here = ((letters >> SEVEN) * GATHER) >> LAST_BYTE
        turns = (here ^ (here << ONE | within)) & BYTE
        within = here >> SEVEN
        for j in range(8):
            bounds[n + np.uint64(j)] = (i << 3) + BITS[turns, np.uint64(j)]
        n += SET[turns]
    return np.int64(n >> ONE)
