# SPDX-License-Identifier: MIT
"""Where chosen words stand in a part of a text, and pairs of them; here on cores."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hpcapp.device import Device
from hpcapp.workloads.words.segment import Segment
from hpcapp.workloads.words.spelling import Places

__all__ = ["CpuPositions", "Lists", "Located", "Part", "Positions", "hold", "locate"]

# of each chosen word where it stands in the book, ascending
Lists = list[NDArray[np.int64]]


@dataclass(frozen=True)
class Part:
    """A part of a text, in words.

    Parameters
    ----------
    at : int
        Number of its first word in the book.
    words : int
        How many there are.
    reach : int
        How many words before a word the other one of a pair may stand.
    """

    at: int
    words: int
    reach: int


class Positions(Protocol):
    """Positions of the chosen words in a part of the text."""

    def count(self, before: Lists, lags: int) -> NDArray[np.int64]:
        """Count the pairs whose second word stands in the part, by their distance.

        Parameters
        ----------
        before : list of int64[n]
            Positions of each word before the part, at most `reach` words away.
        lags : int
            Distances: 0 to lags - 1, which is at most `reach`.

        Returns
        -------
        int64[words, lags]
            The pairs.
        """
        ...


class Located(Positions, Protocol):
    """Positions that were found in a text, and that others may need."""

    def near(self, begin: int) -> NDArray[np.int64]:
        """Return place and position of those from a position on.

        Parameters
        ----------
        begin : int
            At most `reach` words before the end of the part.

        Returns
        -------
        int64[n, 2]
            Those of one word in ascending order.
        """
        ...

    def lists(self) -> Lists:
        """Return all of them."""
        ...


class CpuPositions:
    """Positions in lists, and the cores of the rank; see `Located`.

    Parameters
    ----------
    device : Device
        Its threads.
    lists : list of int64[n]
        The positions of each word.
    """

    def __init__(self, device: Device, lists: Lists) -> None:
        self._device, self._lists = device, lists

    def near(self, begin: int) -> NDArray[np.int64]:
        """Return place and position of those from a position on."""
        pairs = [np.zeros((0, 2), np.int64)]
        for place, part in enumerate(self._lists):
            found = part[np.searchsorted(part, begin) :]
            pairs.append(np.stack((np.full(found.size, place), found), axis=1))
        return np.concatenate(pairs)

    def lists(self) -> Lists:
        """Return all of them."""
        return self._lists

    def count(self, before: Lists, lags: int) -> NDArray[np.int64]:
        """Count the pairs whose second word stands in the part, by their distance."""
        from hpcapp.workloads.words.position_kernels import correlate_cpu

        calls, pairs = [], np.zeros((len(self._lists), lags), np.int64)
        for found, old, own in zip(pairs, before, self._lists, strict=True):
            if own.size:
                calls.append((found, np.concatenate((old, own)), old.size))
        self._device.launch(correlate_cpu, calls)
        return pairs


def locate(
    device: Device, segments: Sequence[Segment], chosen: list[bytes], part: Part
) -> Located:
    """Find the positions of words.

    Parameters
    ----------
    device : Device
        Where they stay: a GPU, or threads that have a segment each.
    segments : sequence of Segment
        The part of the text, counted; their ids are released.
    chosen : list of bytes
        The words.
    part : Part
        Which part that is.

    Returns
    -------
    Located
        In the order of `chosen`.
    """
    if device.name == "cuda":
        from hpcapp.workloads.words.on_gpu import locate_on_gpu

        return locate_on_gpu(device, segments, chosen, part)
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
    calls, at = [], part.at
    for segment, where, cursor in zip(segments, places, cursors, strict=True):
        calls.append((segment, found, cursor, at, where))
        at += segment.spelling.total()
    device.launch(_locate_segment, calls)
    bounds = [0, *ends[:, -1].tolist()]
    return CpuPositions(device, [found[a:b] for a, b in pairwise(bounds)])


def hold(device: Device, lists: Lists, part: Part) -> Positions:
    """Take positions that are known.

    Parameters
    ----------
    device : Device
        Where they will stay.
    lists : list of int64[n]
        The positions of each word.
    part : Part
        The part of the text in which they stand.

    Returns
    -------
    Positions
        Of the same words.
    """
    if device.name == "cuda":
        from hpcapp.workloads.words.on_gpu import hold_on_gpu

        return hold_on_gpu(device, lists, part)
    return CpuPositions(device, lists)


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
