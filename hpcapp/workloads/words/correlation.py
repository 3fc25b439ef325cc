# SPDX-License-Identifier: MIT
"""Autocorrelation of the chosen words: pairs counted by distance, on all ranks.

A pair belongs to the segment of its second word. What a segment must know of the words
before it, its halo, comes from its left neighbours, of which there may be several, and
from the window before: the tail, which all ranks hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpcapp.device import Device
from hpcapp.workloads.words.positions import (
    Lists,
    Located,
    Part,
    Positions,
    hold,
    locate,
)
from hpcapp.workloads.words.segment import Segment

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm
    from hpcapp.workloads.words.parameters import Parameters

__all__ = ["Tail", "count_pairs"]


@dataclass(frozen=True)
class Tail:
    """What is known of the text before a window.

    Parameters
    ----------
    words : int
        How many there are.
    place : int32[n]
        Which chosen word stands at each of the last ones, where there is one.
    at : int64[n]
        Where: the number of the word, ascending.
    """

    words: int
    place: NDArray[np.int32]
    at: NDArray[np.int64]


def count_pairs(
    comm: "Comm",
    device: Device,
    parameters: "Parameters",
    segments: Sequence[Segment],
    chosen: list[bytes],
    tail: Tail,
) -> tuple[NDArray[np.int64], Tail]:
    """Count pairs of equal words in a window, by distance; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    device : Device
        A GPU, or threads.
    parameters : Parameters
        Lags, and who does what.
    segments : sequence of Segment
        This rank's part of the window, counted; their ids are released.
    chosen : list of bytes
        The words.
    tail : Tail
        Of the text before.

    Returns
    -------
    int64[words, lags], Tail
        Pairs whose second word lies in the window, on all ranks, and what is known
        before the next one. Integers: neither layout nor distribution changes them.
    """
    reach = parameters.lags - 1
    words = comm.all(sum(segment.spelling.total() for segment in segments))
    starts = tail.words + np.cumsum([0, *words])
    part = Part(int(starts[comm.rank]), words[comm.rank], reach)
    located = locate(device, segments, chosen, part)
    after = _next_tail(comm, located, tail, int(starts[-1]), reach)
    positions: Positions = located
    before = np.stack((tail.place.astype(np.int64), tail.at), axis=1)
    if parameters.distribute == "text":
        left = _from_left(comm, located, starts, reach)
        before = np.concatenate((before[tail.at >= part.at - reach], left))
    else:
        part = Part(tail.words, sum(words), reach)
        positions = hold(device, _whole_words(comm, located.lists()), part)
    pairs = positions.count(_by_place(before, len(chosen)), parameters.lags)
    collect = _gather if parameters.collect == "gather" else _send
    return collect(comm, pairs), after


def _from_left(
    comm: "Comm", positions: Located, starts: NDArray[np.int64], reach: int
) -> NDArray[np.int64]:
    """Return place and position in the last words before this rank's, of others."""
    nothing = np.zeros(0, np.int64)
    parts = [
        positions.near(int(starts[rank]) - reach).ravel()
        if rank > comm.rank
        else nothing
        for rank in range(comm.size)
    ]
    # in the order of ranks, and so in that of the text
    return np.concatenate(comm.deal(parts)).reshape(-1, 2)


def _next_tail(
    comm: "Comm", positions: Located, tail: Tail, end: int, reach: int
) -> Tail:
    old = np.stack((tail.place.astype(np.int64), tail.at), axis=1)
    new = comm.all(positions.near(end - reach))
    both = np.concatenate([old[tail.at >= end - reach], *new])
    both = both[np.argsort(both[:, 1])]
    return Tail(end, both[:, 0].astype(np.int32), np.ascontiguousarray(both[:, 1]))


def _by_place(pairs: NDArray[np.int64], words: int) -> Lists:
    """Return the positions of each word, in their order, of places and positions."""
    order = np.argsort(pairs[:, 0], kind="stable")
    places, at = pairs[order].T
    bounds = np.searchsorted(places, np.arange(words + 1)).tolist()
    return [at[a:b] for a, b in pairwise(bounds)]


def _whole_words(comm: "Comm", lists: Lists) -> Lists:
    """Give each rank all positions of some of the words, in turn."""
    whole: Lists = [np.zeros(0, np.int64)] * len(lists)
    for first in range(0, len(lists), comm.size):
        group = lists[first : first + comm.size]
        parts = [*group, *[np.zeros(0, np.int64)] * (comm.size - len(group))]
        received = np.concatenate(comm.deal(parts))
        if first + comm.rank < len(lists):
            whole[first + comm.rank] = received
    return whole


def _gather(comm: "Comm", pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Collect by one collective; return the sum on all ranks."""
    tables = comm.stack(pairs)
    return comm.broadcast(pairs if tables is None else tables.sum(axis=0))


def _send(comm: "Comm", pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Collect by a message from each rank; return the sum on all ranks."""
    if not comm.root:
        comm.send(pairs, 0)
        return comm.broadcast(pairs)
    total, received = pairs.copy(), np.empty_like(pairs)
    for source in range(1, comm.size):
        comm.receive(received, source)
        total += received
    return comm.broadcast(total)
