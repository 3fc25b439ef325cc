# SPDX-License-Identifier: MIT
"""Point-to-point halo exchange with persistent requests."""

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mpi4py import MPI

from hpcapp.mpi.packing import ON_HOST, Packing, Slot
from hpcapp.mpi.waiting import settle

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Halo", "Neighbours"]

Region = tuple[slice, ...]


class Neighbours(Protocol):
    """What tells the ranks beside a rank, such as a `Layout`."""

    def neighbours(self, rank: int) -> tuple[tuple[int | None, int | None], ...]:
        """Return the ranks below and above along each axis, None at the edge."""
        ...


@dataclass(frozen=True)
class _Side:
    """One neighbour: what goes to it and what comes, with their buffers."""

    outgoing: Slot
    incoming: Slot


class Halo:
    """Fill the margin of a block with the neighbours' points.

    Axis by axis over the slab that earlier axes have extended, so that corners
    arrive without messages of their own; with depth 1 a five-point stencil
    needs no corners and all axes travel at once.

    Parameters
    ----------
    comm : Comm
        The communicator.
    array : ndarray
        The block with a margin of `margin` points on every side; bound for the
        life of the exchange. What it is made of, `packing` knows.
    neighbours : sequence of (int or None, int or None)
        Ranks below and above along each axis.
    margin : int
        Points of margin that the array has.
    depth : int
        Points exchanged, 1 <= depth <= margin, and at most what the thinnest
        neighbour owns.
    packing : Packing
        How points get into messages and out of them.

    Notes
    -----
    Order of one exchange: `start`, work on the interior, `finish`, work on the
    rim. Receives are started before sends. Bytes sent by a rank: depth times
    the area of its sides times the item size. Requests that `close` has not freed
    are freed once nobody holds the exchange: where a run is stopped, its steps end
    without a word.
    """

    def __init__(
        self,
        comm: "Comm",
        array: Any,
        neighbours: tuple[tuple[int | None, int | None], ...],
        margin: int,
        depth: int,
        packing: Packing = ON_HOST,
    ) -> None:
        self._packing = packing
        self._clock, self._crowded = comm.clock, comm.crowded
        self._stages: list[tuple[list[_Side], list[Any]]] = []
        extended: list[slice] = [slice(margin, n - margin) for n in array.shape]
        together: tuple[list[_Side], list[Any]] = ([], [])
        for axis, pair in enumerate(neighbours):
            stage = together if depth == 1 else ([], [])
            _add_axis(stage, comm, _Cutter(array, packing), axis, pair, extended, depth)
            if depth > 1:
                self._stages.append(stage)
                low = depth if pair[0] is not None else 0
                high = depth if pair[1] is not None else 0
                old = extended[axis]
                extended[axis] = slice(old.start - low, old.stop + high)
        if depth == 1:
            self._stages.append(together)
        self._stages = [stage for stage in self._stages if stage[0]]
        self._volumes = [
            sum(s.outgoing.bytes for s in stage[0]) for stage in self._stages
        ]
        requests = [request for stage in self._stages for request in stage[1]]
        self._free = weakref.finalize(self, _free, requests)
        # MPI has been finalised by then
        self._free.atexit = False

    @property
    def messages(self) -> int:
        """Messages that this rank sends in one exchange."""
        return sum(len(sides) for sides, _ in self._stages)

    @property
    def bytes(self) -> int:
        """Bytes that this rank sends in one exchange."""
        return sum(self._volumes)

    def start(self) -> None:
        """Begin with the first axis; the margin is undefined until `finish`."""
        if self._stages:
            with self._clock.phase("halo"):
                self._packing.begin()
                self._pack(0)

    def finish(self) -> None:
        """Wait for the margin, exchanging the remaining axes."""
        if not self._stages:
            return
        with self._clock.phase("halo"):
            for index, (sides, requests) in enumerate(self._stages):
                if index > 0:
                    self._pack(index)
                if not self._packing.prompt:
                    self._packing.wait()
                    self._send(index)
                settle(requests, self._crowded)
                self._packing.unpack([side.incoming for side in sides])
            self._packing.finish()

    def exchange(self) -> None:
        """Start and finish, with nothing in between."""
        self.start()
        self.finish()

    def close(self) -> None:
        """Free the requests."""
        self._free()
        self._stages = []

    def _pack(self, index: int) -> None:
        self._packing.pack([side.outgoing for side in self._stages[index][0]])
        if self._packing.prompt:
            self._send(index)

    def _send(self, index: int) -> None:
        sides, requests = self._stages[index]
        MPI.Prequest.Startall(requests)
        self._clock.count(len(sides), self._volumes[index])


@dataclass(frozen=True)
class _Cutter:
    """Makes slots of an array's regions."""

    array: Any
    packing: Packing

    def slot(self, region: list[slice]) -> Slot:
        return self.packing.slot(self.packing.cut(self.array, tuple(region)))


def _free(requests: list[Any]) -> None:
    if not MPI.Is_finalized():
        for request in requests:
            request.Free()


def _add_axis(
    stage: tuple[list[_Side], list[Any]],
    comm: "Comm",
    cutter: _Cutter,
    axis: int,
    pair: tuple[int | None, int | None],
    extended: list[slice],
    depth: int,
) -> None:
    first, last = extended[axis].start, extended[axis].stop
    strips = (
        (slice(first, first + depth), slice(first - depth, first)),
        (slice(last - depth, last), slice(last, last + depth)),
    )
    sides, requests = stage
    receives, sends = [], []
    for direction, (rank, (inner, outer)) in enumerate(zip(pair, strips, strict=True)):
        if rank is None:
            continue
        cut = [*extended[:axis], inner, *extended[axis + 1 :]]
        rim = [*extended[:axis], outer, *extended[axis + 1 :]]
        side = _Side(cutter.slot(cut), cutter.slot(rim))
        sides.append(side)
        # the tag is the direction of travel, so that two ranks that are
        # neighbours on both sides cannot mix up their messages
        coming, going = 2 * axis + 1 - direction, 2 * axis + direction
        receives.append(comm.raw.Recv_init(side.incoming.message, rank, coming))
        sends.append(comm.raw.Send_init(side.outgoing.message, rank, going))
    requests.extend([*receives, *sends])
