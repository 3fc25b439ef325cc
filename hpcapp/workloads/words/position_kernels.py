# SPDX-License-Identifier: MIT
"""CPU kernels that write down where words stand and count pairs of them."""

import numpy as np
from numba import njit

__all__ = ["correlate_cpu", "locate_cpu"]


@njit(cache=True, nogil=True, error_model="numpy")
def locate_cpu(
    positions: np.ndarray,
    cursor: np.ndarray,
    at: int,
    ids: np.ndarray,
    place: np.ndarray,
    starts: np.ndarray,
    places: np.ndarray,
) -> int:
    """Write down where in the text the chosen words stand.

    Parameters
    ----------
    positions : int64[n]
        Written, for each place from ``cursor[place]`` on.
    cursor : int64[top]
        Where the next position of each place goes; written.
    at : int
        Number of the text's first word.
    ids : int32[n]
        Entry of each run of bytes.
    place : int32[entries]
        Place of an entry's word, -1 if it has none; -2 - k if the run is the words
        ``places[starts[k] : starts[k + 1]]``.
    starts, places : int64[...]
        Places of those words, -1 for none.

    Returns
    -------
    int
        Number of the word after the last.
    """
    for i in range(ids.size):
        found = np.int64(place[ids[i]])
        if found >= 0:
            positions[cursor[found]] = at
            cursor[found] += 1
        if found >= -1:
            at += 1
            continue
        for k in range(starts[-2 - found], starts[-1 - found]):
            if places[k] >= 0:
                positions[cursor[places[k]]] = at
                cursor[places[k]] += 1
            at += 1
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def correlate_cpu(pairs: np.ndarray, positions: np.ndarray, before: int) -> None:
    """Count the pairs of equal words by their distance.

    The work is the number of pairs; positions far apart are never compared.

    Parameters
    ----------
    pairs : int64[lags]
        Added to: pairs at distance 0, 1, ...
    positions : int64[n]
        Of one word, ascending.
    before : int
        The second word of a pair is none of the first `before`.
    """
    lags, start = pairs.size, 0
    for b in range(before, positions.size):
        here = positions[b]
        while here - positions[start] >= lags:
            start += 1
        for a in range(start, b + 1):
            pairs[here - positions[a]] += 1
