# SPDX-License-Identifier: MIT
"""Who computes which rows. Pure but for the coarse picture of `cost`."""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpcapp.decomposition import part_of

__all__ = ["band_rows", "cut_bands", "share_block", "share_cost", "share_cyclic"]

Rows = NDArray[np.int64]


def band_rows(shape: tuple[int, int]) -> int:
    """Return the rows of a band: at most 2^15 pixels, and at least 256 bands.

    Parameters
    ----------
    shape : (int, int)
        Pixels along both axes.

    Returns
    -------
    int
        At least 1; depends on the shape alone.
    """
    ny, nx = shape
    return max(1, min((1 << 15) // nx, ny // 256))


def cut_bands(rows: Rows, height: int) -> list[Rows]:
    """Cut rows into bands of some height, the last one may be lower."""
    return [rows[first : first + height] for first in range(0, rows.size, height)]


def share_block(rows: Rows, ranks: int, rank: int) -> list[Rows]:
    """Return one contiguous piece of the rows."""
    first, last = part_of(rows.size, ranks, rank)
    return [rows[first:last]] if last > first else []


def share_cyclic(bands: Sequence[Rows], ranks: int, rank: int) -> list[Rows]:
    """Return every so many-th band."""
    return list(bands[rank::ranks])


def share_cost(
    bands: Sequence[Rows], costs: NDArray[np.float64], ranks: int, rank: int
) -> list[Rows]:
    """Return the bands of a rank where each goes to the least loaded rank so far.

    Parameters
    ----------
    bands : sequence of int64[n]
        What is shared out.
    costs : float64[bands]
        Predicted costs, equal on all ranks.
    ranks, rank : int
        How many, and which one.

    Returns
    -------
    list of int64[n]
        The longest first (R. L. Graham, "Bounds on multiprocessing timing
        anomalies", SIAM J. Appl. Math. 17 (1969) 416-429: the largest load is at
        most 4/3 of the best).
    """
    loads = [(0.0, other) for other in range(ranks)]
    mine = []
    # equal costs in the order of rows, so that all ranks agree
    for number in np.argsort(-costs, kind="stable"):
        load, target = heapq.heappop(loads)
        heapq.heappush(loads, (load + float(costs[number]), target))
        if target == rank:
            mine.append(bands[number])
    return mine
