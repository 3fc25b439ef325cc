# SPDX-License-Identifier: MIT
"""CPU kernels for words in arrays, such as those of a table; see `table_kernels`."""

import numpy as np
from numba import njit

__all__ = ["has_high_bytes_cpu", "owners_cpu", "pick_words_cpu"]

# as in `table_kernels`
ZERO, HIGHS = np.uint64(0), np.uint64(0x8080808080808080)

# golden ratio of 64 bits, and a factor of splitmix64
GOLDEN, FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
HALF = np.uint64(32)


@njit(cache=True, nogil=True, error_model="numpy")
def has_high_bytes_cpu(
    found: np.ndarray, arena: np.ndarray, begin: np.ndarray, length: np.ndarray
) -> None:
    """Tell which words are not ASCII.

    Parameters
    ----------
    found : bool[k]
        Written.
    arena, begin, length
        Of the words.
    """
    for k in range(begin.size):
        bits = ZERO
        for cell in range(begin[k], begin[k] + ((length[k] + 7) >> 3)):
            bits |= arena[cell]
        found[k] = bits & HIGHS != ZERO


@njit(cache=True, nogil=True, error_model="numpy")
def owners_cpu(
    owner: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    ranks: int,
) -> None:
    """Compute the rank that each word belongs to, from its text alone.

    Parameters
    ----------
    owner : int64[k]
        Written.
    arena, begin, length
        Of the words.
    ranks : int
        How many there are.
    """
    for k in range(begin.size):
        hashed = GOLDEN
        for cell in range(begin[k], begin[k] + ((length[k] + 7) >> 3)):
            hashed = (hashed ^ arena[cell]) * FACTOR
            hashed ^= hashed >> HALF
        hashed *= GOLDEN
        owner[k] = np.int64((hashed >> HALF) % np.uint64(ranks))


@njit(cache=True, nogil=True, error_model="numpy")
def pick_words_cpu(
    out: np.ndarray,
    places: np.ndarray,
    arena: np.ndarray,
    begin: np.ndarray,
    length: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """Copy the text of chosen words, one behind the other.

    Parameters
    ----------
    out : uint64[n]
        Written.
    places : int64[k]
        Where each goes in `out`.
    arena, begin, length
        Of all words.
    chosen : int64[k]
        Which to copy.
    """
    for k in range(chosen.size):
        number = chosen[k]
        for cell in range((length[number] + 7) >> 3):
            out[places[k] + cell] = arena[begin[number] + cell]
