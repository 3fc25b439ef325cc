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
from hpcapp.workloads.words.segment import Segment
from hpcapp.workloads.words.spelling import Places

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm
    from hpcapp.workloads.words.parameters import Parameters

__all__ = ["Tail", "count_pairs"]

# of each chosen word where it stands in the book, ascending
Positions = list[NDArray[np.int64]]


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
        Its threads.
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
    positions = _locate(device, segments, chosen, int(starts[comm.rank]))
    after = _next_tail(comm, positions, tail, int(starts[-1]), reach)
    if parameters.distribute == "text":
        near = _from_left(comm, positions, starts, reach)
    else:
        positions = _whole_words(comm, positions)
        near = [np.zeros(0, np.int64)] * len(chosen)
    here = int(starts[comm.rank]) if parameters.distribute == "text" else tail.words
    calls, pairs = [], np.zeros((len(chosen), parameters.lags), np.int64)
    for place, own in enumerate(positions):
        old = tail.at[(tail.place == place) & (tail.at >= here - reach)]
        joined = np.concatenate((old, near[place], own))
        if own.size:
            calls.append((pairs[place], joined, joined.size - own.size))
    from hpcapp.workloads.words.position_kernels import correlate_cpu

    device.launch(correlate_cpu, calls)
    collect = _gather if parameters.collect == "gather" else _send
    return collect(comm, pairs), after


def _locate(
    device: Device, segments: Sequence[Segment], chosen: list[bytes], at: int
) -> Positions:
    """Return the positions of each word on this rank, whose first word is `at`."""
    places = [segment.spelling.places(chosen) for segment in segments]
    counts = np.array(
        [
            segment.spelling.count_places(where, len(chosen))
            for segment, where in zip(segments, places, strict=True)
        ]
    )
    # a row of positions a word, in it those of one segment behind another
    ends = np.cumsum(counts.T).reshape(counts.T.shape)
    cursors = np.ascontiguousarray((ends - counts.T).T)
    found = np.empty(int(counts.sum()), np.int64)
    calls = []
    for segment, where, cursor in zip(segments, places, cursors, strict=True):
        calls.append((segment, found, cursor, at, where))
        at += segment.spelling.total()
    device.launch(_locate_segment, calls)
    bounds = [0, *ends[:, -1].tolist()]
    return [found[a:b] for a, b in pairwise(bounds)]


def _locate_segment(
    segment: Segment,
    found: NDArray[np.int64],
    cursor: NDArray[np.int64],
    at: int,
    where: Places,
) -> None:
    from hpcapp.workloads.words.position_kernels import locate_cpu

    ids = segment.release()
    ids.reverse()
    while ids:
        # each chunk of them is let go when it is done
        at = locate_cpu(found, cursor, at, ids.pop(), *where)


def _flat(positions: Positions, begin: int) -> NDArray[np.int64]:
    """Return pairs of place and position, one behind another, from a position on."""
    pairs = []
    for place, part in enumerate(positions):
        near = part[np.searchsorted(part, begin) :]
        pairs.append(np.stack((np.full(near.size, place), near), axis=1))
    return np.concatenate([np.zeros((0, 2), np.int64), *pairs]).ravel()


def _from_left(
    comm: "Comm", positions: Positions, starts: NDArray[np.int64], reach: int
) -> Positions:
    """Return the positions in the last words before this rank's, from other ranks."""
    nothing = np.zeros(0, np.int64)
    parts = [
        _flat(positions, int(starts[rank]) - reach) if rank > comm.rank else nothing
        for rank in range(comm.size)
    ]
    # in the order of ranks, and so in that of the text
    halo = np.concatenate(comm.deal(parts)).reshape(-1, 2)
    return [halo[halo[:, 0] == place, 1] for place in range(len(positions))]


def _next_tail(
    comm: "Comm", positions: Positions, tail: Tail, end: int, reach: int
) -> Tail:
    old = np.stack((tail.place.astype(np.int64), tail.at), axis=1)
    new = [part.reshape(-1, 2) for part in comm.all(_flat(positions, end - reach))]
    both = np.concatenate([old[tail.at >= end - reach], *new])
    both = both[np.argsort(both[:, 1])]
    return Tail(end, both[:, 0].astype(np.int32), np.ascontiguousarray(both[:, 1]))


def _whole_words(comm: "Comm", positions: Positions) -> Positions:
    """Give each rank all positions of some of the words, in turn."""
    whole: Positions = [np.zeros(0, np.int64)] * len(positions)
    for first in range(0, len(positions), comm.size):
        group = positions[first : first + comm.size]
        parts = [*group, *[np.zeros(0, np.int64)] * (comm.size - len(group))]
        received = np.concatenate(comm.deal(parts))
        if first + comm.rank < len(positions):
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
