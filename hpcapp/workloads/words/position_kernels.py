# SPDX-License-Identifier: MIT
"""CPU kernels that write down where words stand and count pairs of them."""

import numpy as np
from numba import njit

__all__ = ["correlate_cpu", "locate_cpu"]

# runs that are looked at together
BLOCK = 1024


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
    near = np.empty(BLOCK, np.int64)
    for begin in range(0, ids.size, BLOCK):
        # first the few that matter, without a branch
        n = np.uint64(0)
        for i in range(begin, min(begin + BLOCK, ids.size)):
            near[n] = i
            n += np.uint64(place[np.uint64(ids[i])] != -1)
        for j in range(n):
            here = np.int64(place[np.uint64(ids[near[j]])])
            if here >= 0:
                positions[cursor[here]] = at + near[j]
                cursor[here] += 1
                continue
            # a run that is no word, or several, moves those behind it
            at -= 1
            for k in range(starts[-2 - here], starts[-1 - here]):
                at += 1
                if places[k] >= 0:
                    positions[cursor[places[k]]] = at + near[j]
                    cursor[places[k]] += 1
    return at + ids.size


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
