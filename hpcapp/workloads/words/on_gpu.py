# SPDX-License-Identifier: MIT
"""Positions of words in the memory of a GPU, and the pairs counted there."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.workloads.words.gpu_bytes import PIECE, STRIP, TASKS, WIDTH
from hpcapp.workloads.words.positions import Lists, Located, Part, Positions
from hpcapp.workloads.words.segment import Segment

__all__ = ["hold_on_gpu", "locate_on_gpu"]

Integers = NDArray[np.int64]


class GpuPositions:
    """Positions on a GPU: one array, that of one word behind that of another.

    They are 32-bit numbers, counted from `reach` words before the part of the text.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    part : Part
        The part.
    found : device array, int32[n]
        The positions.
    bounds : int64[words + 1]
        Where in it those of each word begin.
    """

    def __init__(self, device: Any, part: Part, found: Any, bounds: Integers) -> None:
        self._device, self._part = device, part
        self._found, self._bounds = found, bounds
        self._zero = part.at - part.reach

    def count(self, before: Lists, lags: int) -> Integers:
        """Count the pairs whose second word stands in the part, by their distance."""
        from hpcapp.workloads.words.cuda_kernels import THREADS, correlate_cuda

        device, own = self._device, np.diff(self._bounds)
        pairs = np.zeros((own.size, lags), np.int64)
        pairs[:, 0] = own
        if lags == 1 or not own.any():
            return pairs
        sizes = np.array([old.size for old in before])
        halo = np.concatenate(before) - self._zero
        lists = np.stack((self._bounds[:-1], np.cumsum(sizes) - sizes, sizes), axis=1)
        # no two are farther apart
        lags = min(lags, self._part.words + (self._part.reach if halo.size else 0))
        tasks = self._tasks(device.cover_blocks(1 << 30, THREADS), min(lags, WIDTH))
        grid = device.cover_blocks(len(tasks), THREADS)
        reached = device.empty(self._found.size, np.int32)
        facts = (
            self._found,
            _send(device, halo, np.int32),
            *map(device.to_device, (lists, tasks)),
        )
        for first in range(0, lags, WIDTH):
            width = min(WIDTH, lags - first)
            table = device.to_device(np.zeros((own.size, width), np.int64))
            device.start(correlate_cuda, grid, table, reached, *facts, first)
            pairs[:, first : first + width] += device.from_device(table)
        return pairs

    def _tasks(self, grid: tuple[int, int], lags: int) -> Integers:
        """Cut the lists into tasks of about the same number of pairs."""
        own = np.diff(self._bounds)
        # a position is looked at, and has as many pairs as there are words in its reach
        cost = 1 + own * (min(lags, self._part.words) / self._part.words)
        blocks, threads = grid
        size = (own * cost).sum() / (TASKS * blocks) / cost
        size = np.maximum(threads, size).astype(np.int64)
        pieces = -(-own // size)
        word = np.repeat(np.arange(own.size), pieces)
        number = np.arange(word.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        low = self._bounds[word] + number * size[word]
        high = np.minimum(low + size[word], self._bounds[word + 1])
        return np.stack((word, low, high), axis=1)


class LocatedOnGpu(GpuPositions):
    """Those that were found in a text.

    Parameters
    ----------
    *facts : Any
        As of `GpuPositions`.
    last : int32[reach]
        Place of the word at each of the last positions of the part, -1 for none.
    """

    def __init__(self, *facts: Any, last: NDArray[np.int32]) -> None:
        super().__init__(*facts)
        at = np.flatnonzero(last >= 0)
        found = last[at].astype(np.int64), at + self._zero + self._part.words
        self._near: Integers = np.stack(found, axis=1)

    def near(self, begin: int) -> Integers:
        """Return place and position of those from a position on."""
        return self._near[self._near[:, 1] >= begin]

    def lists(self) -> Lists:
        """Return a copy of all of them."""
        found = self._device.from_device(self._found) + np.int64(self._zero)
        return [found[a:b] for a, b in pairwise(self._bounds.tolist())]


def hold_on_gpu(device: Any, lists: Lists, part: Part) -> Positions:
    """Send positions that are known; see `hold`."""
    bounds = np.cumsum([0, *(positions.size for positions in lists)])
    found = np.concatenate([np.zeros(0, np.int64), *lists]) - (part.at - part.reach)
    return GpuPositions(device, part, _send(device, found, np.int32), bounds)


def locate_on_gpu(
    device: Any, segments: Sequence[Segment], chosen: list[bytes], part: Part
) -> Located:
    """Find the positions of words; see `locate`.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    segments : sequence of Segment
        The part of the text, counted; their ids are released.
    chosen : list of bytes
        The words.
    part : Part
        Which part that is.

    Returns
    -------
    Located
        They stay on the GPU; those in the last words of the part are here, too.

    Raises
    ------
    GpuError
        If its memory does not do: 4 bytes for each chosen word of the part, and some
        tens of megabytes.
    """
    places = [segment.spelling.places(chosen) for segment in segments]
    counts = [
        segment.spelling.count_places(where, len(chosen))
        for segment, where in zip(segments, places, strict=True)
    ]
    bounds = np.append(0, np.cumsum(np.sum(counts, axis=0), dtype=np.int64))
    found = device.empty(max(1, int(bounds[-1])), np.int32)
    # the number of the first word is the last cursor
    after = _send(device, np.append(bounds[:-1], part.reach), np.int32)
    last = device.to_device(np.full(max(1, part.reach), -1, np.int32))
    sizes = [ids.size for segment in segments for ids in segment.ids]
    room = min(sum(sizes), max(PIECE, *sizes, 0))
    buffer = device.empty(max(1, room), np.int32)
    for segment, (place, starts, listed) in zip(segments, places, strict=True):
        tables = [
            _send(device, place, np.int32),
            _send(device, starts, np.int64),
            _send(device, listed, np.int64),
        ]
        for ids in _send_ids(device, buffer, segment.release()):
            _add_ids(device, (found, last, part.words), after, ids, tables)
    return LocatedOnGpu(
        device, part, found, bounds, last=device.from_device(last)[: part.reach]
    )


def _send(device: Any, values: NDArray[Any], kind: Any) -> Any:
    # an array of no length cannot be sent
    return device.to_device((values if values.size else np.zeros(1)).astype(kind))


def _send_ids(device: Any, buffer: Any, ids: list[NDArray[np.int32]]) -> Iterator[Any]:
    """Yield numbers of words on the GPU, as many at a time as there is room for."""
    ids.reverse()
    while ids:
        size = 0
        while ids and size + ids[-1].size <= buffer.size:
            # each chunk of them is let go when it is there
            chunk = ids.pop()
            if chunk.size:
                device.put(buffer[size : size + chunk.size], chunk)
            size += chunk.size
        if size:
            yield buffer[:size]


def _add_ids(
    device: Any, out: tuple[Any, Any, int], after: Any, ids: Any, tables: list[Any]
) -> None:
    """Write down where words stand in a piece of the text, behind those before it."""
    from hpcapp.workloads.words.cuda_kernels import (
        count_places_cuda,
        locate_cuda,
        stack_cuda,
    )

    grid, columns = device.cover(ids.size, STRIP), after.size
    cursors = device.empty((grid[0], columns), np.int32)
    device.start(count_places_cuda, grid, cursors, ids, *tables)
    device.start(stack_cuda, device.cover_blocks(columns, STRIP), cursors, after)
    device.start(locate_cuda, grid, *out, cursors, ids, *tables)
