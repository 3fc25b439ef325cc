# SPDX-License-Identifier: MIT
"""What a rank needs on its GPU: numbers only, no GPU."""

from hpcapp.workloads.words.counting import WINDOW
from hpcapp.workloads.words.inputs import Book
from hpcapp.workloads.words.sampling import Sample

__all__ = ["GRID", "PIECE", "STRIP", "TASKS", "WIDTH", "needed_gpu_bytes"]

PIECE = 1 << 24
"""Numbers of words that are sent at a time, about: 64 MB."""

TASKS = 8
"""For a block that counts pairs: their sizes are estimates."""

STRIP = 128
"""Threads of a block that finds positions, at most: words that it writes together."""

WIDTH = 4096
"""Distances that a block counts at a time: 16 KB of its shared memory."""

GRID = 2048
"""Blocks of a GPU with 256 multiprocessors; there is no larger one."""

# arrays of a few numbers each
SMALL = 4096


def needed_gpu_bytes(
    book: Book, sample: Sample, ranks: int, top: int, lags: int, spread: bool
) -> int:
    """Return the bytes for a part of a window, at most.

    Parameters
    ----------
    book : Book
        The largest.
    sample : Sample
        Of it.
    ranks : int
        How many have a share.
    top : int
        Words whose positions are found.
    lags : int
        Distances at which pairs are counted.
    spread : bool
        Whether all positions of a word go to one rank: it may be the only one.

    Returns
    -------
    int
        The larger of what finding and counting need.
    """
    window = sample.density * min(book.size, WINDOW)
    words = window / ranks
    places = sample.chosen * (window if spread else words)
    reach = 4 * lags
    # numbers, tables of the words of two segments, cursors of blocks
    cursors = 4 * (top + 1) * (1 + min(GRID, 1 + words / STRIP))
    finding = 4 * min(words, PIECE) + 32 * sample.expect(words) + cursors
    tasks = min(places, TASKS * GRID) + top
    counting = 4 * places + reach + 24 * (tasks + top) + 8 * top * min(lags, WIDTH)
    return SMALL + int(4 * places + reach + max(finding, counting))
