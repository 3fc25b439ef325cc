# SPDX-License-Identifier: MIT
"""Positions of words and pairs of them, on a GPU. Imports Numba's CUDA target.

What `position_kernels` does, in integers: no order of threads changes them. A block
has a share of the text, the shares one behind the other. First each block counts the
words in its share; then it is known where in the lists those of each share begin; then
each writes its own there, a strip of as many words as it has threads at a time, so that
the lists are in the order of the text.
"""

from typing import Any

import numpy as np
from numba import cuda

from hpcapp.gpu.kernels import inner, kernel
from hpcapp.workloads.words.gpu_bytes import STRIP, WIDTH

__all__ = [
    "SIGNATURES",
    "THREADS",
    "correlate_cuda",
    "count_places_cuda",
    "locate_cuda",
    "stack_cuda",
]

_TABLES = "int32[::1], int64[::1], int64[::1]"

SIGNATURES = {
    "count_places_cuda": f"void(int32[:, ::1], int32[::1], {_TABLES})",
    "stack_cuda": "void(int32[:, ::1], int32[::1])",
    "locate_cuda": "void(int32[::1], int32[::1], int64, int32[:, ::1], int32[::1], "
    f"{_TABLES})",
    "correlate_cuda": "void(int64[:, ::1], int32[::1], int32[::1], int32[::1], "
    "int64[:, ::1], int64[:, ::1], int64)",
}

THREADS = 256
"""Of a block that counts pairs, at most."""


@inner
def _words(run: int, starts: Any) -> int:
    """Return of how many words a run is."""
    count = 1
    if run < -1:
        count = starts[-1 - run] - starts[-2 - run]
    return count


@inner
def _times(run: int, word: int, starts: Any, places: Any) -> int:
    """Return how often a listed word stands in a run."""
    count = 0
    if run == word:
        count = 1
    elif run < -1:
        for k in range(starts[-2 - run], starts[-1 - run]):
            if places[k] == word:
                count += 1
    return count


@kernel
def count_places_cuda(
    cursors: Any, ids: Any, place: Any, starts: Any, places: Any
) -> None:
    """Count the words in the share of each block.

    Parameters
    ----------
    cursors : int32[blocks, top + 1]
        Written: how often each listed word occurs, and how many words there are.
    ids, place, starts, places
        As in `locate_cpu`.

    Notes
    -----
    Reads 4 bytes a run, and 4 from a table that stays in the second-level cache; an
    atomic operation for each listed word.
    """
    row, thread, width = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    top = cursors.shape[1] - 1
    for k in range(thread, top + 1, width):
        cursors[row, k] = 0
    cuda.syncthreads()
    share = (ids.size + cuda.gridDim.x - 1) // cuda.gridDim.x
    low, high = row * share, min(row * share + share, ids.size)
    words = 0
    for i in range(low + thread, high, width):
        run = place[ids[i]]
        words += _words(run, starts)
        if run >= 0:
            cuda.atomic.add(cursors, (row, run), 1)
        elif run < -1:
            for k in range(starts[-2 - run], starts[-1 - run]):
                if places[k] >= 0:
                    cuda.atomic.add(cursors, (row, places[k]), 1)
    cuda.atomic.add(cursors, (row, top), words)


@kernel
def stack_cuda(cursors: Any, after: Any) -> None:
    """Let the counts of blocks begin where those of the block before end.

    Parameters
    ----------
    cursors : int32[blocks, columns]
        Counts; then for each what comes before it.
    after : int32[columns]
        What comes before the first block; then what comes after the last.

    Notes
    -----
    A block takes a column, a thread some of its rows.
    """
    sums = cuda.shared.array(STRIP, np.int32)
    thread, width = cuda.threadIdx.x, cuda.blockDim.x
    rows, columns = cursors.shape
    share = (rows + width - 1) // width
    low, high = min(thread * share, rows), min(thread * share + share, rows)
    for column in range(cuda.blockIdx.x, columns, cuda.gridDim.x):
        total = 0
        for row in range(low, high):
            total += cursors[row, column]
        sums[thread] = total
        cuda.syncthreads()
        at = np.int64(after[column])
        for t in range(thread):
            at += sums[t]
        cuda.syncthreads()
        for row in range(low, high):
            count = cursors[row, column]
            cursors[row, column] = at
            at += count
        if thread == width - 1:
            after[column] = at


@kernel
def locate_cuda(
    positions: Any,
    last: Any,
    near: int,
    cursors: Any,
    ids: Any,
    place: Any,
    starts: Any,
    places: Any,
) -> None:
    """Write down where in the text the listed words stand.

    Parameters
    ----------
    positions : int32[n]
        Written: the lists, one behind the other.
    last : int32[reach]
        Written: which listed word stands at position ``near + k``, where there is one.
    near : int
        Where the last words of the text begin.
    cursors : int32[blocks, top + 1]
        Where in `positions` those of each block go, and the number of its first word;
        changed.
    ids, place, starts, places
        As in `locate_cpu`; as many ids as were counted, by as many blocks.

    Notes
    -----
    Reads 4 bytes a run and 4 from a table in the cache, writes 4 a listed word. A
    thread with a listed word looks at those before it in the strip, 64 on average,
    in shared memory. No two threads write the same place.
    """
    strip = cuda.shared.array(STRIP, np.int32)
    row, thread, width = cuda.blockIdx.x, cuda.threadIdx.x, cuda.blockDim.x
    top = cursors.shape[1] - 1
    share = (ids.size + cuda.gridDim.x - 1) // cuda.gridDim.x
    low, high = row * share, min(row * share + share, ids.size)
    for start in range(low, high, width):
        run = np.int32(-1)
        if start + thread < high:
            run = place[ids[start + thread]]
        strip[thread] = run
        cuda.syncthreads()
        # of a run that is several words those are looked at in turn
        first, stop = np.int64(0), np.int64(run >= 0)
        if run < -1:
            first, stop = starts[-2 - run], starts[-1 - run]
        for k in range(first, stop):
            word = np.int64(run) if run >= 0 else places[k]
            if word < 0:
                continue
            number, slot = cursors[row, top] + k - first, np.int64(cursors[row, word])
            for t in range(thread):
                number += _words(strip[t], starts)
                slot += _times(strip[t], word, starts, places)
            for q in range(first, k):
                if places[q] == word:
                    slot += 1
            positions[slot] = number
            if number >= near:
                last[number - near] = word
        cuda.syncthreads()
        # words of the next strip stand behind these
        if thread == 0:
            cuda.atomic.add(cursors, (row, top), min(width, high - start))
        if run >= 0:
            cuda.atomic.add(cursors, (row, run), 1)
        elif run < -1:
            cuda.atomic.add(cursors, (row, top), stop - first - 1)
            for k in range(first, stop):
                if places[k] >= 0:
                    cuda.atomic.add(cursors, (row, places[k]), 1)
        cuda.syncthreads()


@inner
def _look_back(
    found: Any, listed: Any, a: int, begin: int, here: int, lags: int
) -> int:
    """Count those of a list that are near, from one on back; return the next one."""
    while a >= begin:
        # unsigned: as an index it needs no look at its sign
        distance = np.uint32(here - listed[np.uint64(a)])
        if distance >= lags:
            break
        cuda.atomic.add(found, distance, 1)
        a -= 1
    return a


@kernel
def correlate_cuda(
    pairs: Any,
    reached: Any,
    positions: Any,
    halo: Any,
    lists: Any,
    tasks: Any,
    first: int,
) -> None:
    """Count the pairs of equal words whose distance lies in a range.

    Parameters
    ----------
    pairs : int64[words, lags]
        Added to: pairs at distance first, first + 1, ...; at most `WIDTH` lags.
    reached : int32[n]
        For each position the first one before it that is farther away than the lags of
        the call before; written for the next one. Not read where first is 0.
    positions : int32[n]
        Lists, one behind the other, each ascending.
    halo : int32[m]
        What comes before each list.
    lists : int64[words, 3]
        Of each list where it begins, where in `halo` what comes before it does, and how
        much that is.
    tasks : int64[tasks, 3]
        Word, begin and end of the positions that a block takes at a time.
    first : int
        Lowest distance. That of a word from itself is not counted.

    Notes
    -----
    The work is the number of pairs: an atomic operation in shared memory for each, and
    4 bytes of a list in which neighbouring threads read neighbouring places. Then one
    in the GPU's memory for each distance of a task.
    """
    found = cuda.shared.array(WIDTH, np.int32)
    thread, width, lags = cuda.threadIdx.x, cuda.blockDim.x, pairs.shape[1]
    for n in range(cuda.blockIdx.x, tasks.shape[0], cuda.gridDim.x):
        for k in range(thread, lags, width):
            found[k] = 0
        cuda.syncthreads()
        word, low, high = tasks[n, 0], tasks[n, 1], tasks[n, 2]
        begin, front = lists[word, 0], lists[word, 1]
        # before the first of the list stands the last of what comes before it
        shift = front + lists[word, 2] - begin
        for b in range(low + thread, high, width):
            here = positions[b] - first
            a = np.int64(reached[b] if first > 0 else b - 1)
            a = _look_back(found, positions, a, begin, here, lags)
            if a < begin:
                a = _look_back(found, halo, a + shift, front, here, lags) - shift
            reached[b] = a
        cuda.syncthreads()
        for k in range(thread, lags, width):
            if found[k] > 0:
                cuda.atomic.add(pairs, (word, k), np.int64(found[k]))
        cuda.syncthreads()
