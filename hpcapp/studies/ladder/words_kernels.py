# SPDX-License-Identifier: MIT
"""Autocorrelation of words by plain loops, as a course writes it for Numba."""

import numba
import numpy as np

__all__ = ["correlate_cpu", "correlate_threads_cpu"]


@numba.njit(cache=True, nogil=True)
def correlate_cpu(ids: np.ndarray, word: int, lags: int) -> np.ndarray:
    """Count the pairs of equal words at each distance."""
    pairs = np.zeros(lags, np.int64)
    for t in range(lags):
        for i in range(ids.size - t):
            pairs[t] += (ids[i] == word) & (ids[i + t] == word)
    return pairs


@numba.njit(cache=True, parallel=True)
def correlate_threads_cpu(ids: np.ndarray, word: int, lags: int) -> np.ndarray:
    """Do the same with distances in threads: only `prange` is new."""
    pairs = np.zeros(lags, np.int64)
    for t in numba.prange(lags):
        found = 0
        for i in range(ids.size - t):
            found += (ids[i] == word) & (ids[i + t] == word)
        pairs[t] = found
    return pairs
