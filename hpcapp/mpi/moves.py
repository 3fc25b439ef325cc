# SPDX-License-Identifier: MIT
"""Pieces of arrays that go from ranks to others, the same ones again and again."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

from hpcapp.mpi.packing import ON_HOST, Packing
from hpcapp.mpi.waiting import settle

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Moves"]

# those of halo exchanges are smaller
TAG = 8

Piece = tuple[int, Any]


class Moves:
    """Copy pieces of arrays to other ranks.

    Parameters
    ----------
    comm : Comm
        The communicator.
    sends : sequence of (int, ndarray)
        Ranks and what they get; views are bound for the life of this object.
    receives : sequence of (int, ndarray)
        Ranks and where their pieces go; at most one for each rank.
    packing : Packing
        How pieces get into messages and out of them.

    Notes
    -----
    A piece for the rank itself is copied. Persistent requests, receives first.
    """

    def __init__(
        self,
        comm: "Comm",
        sends: Sequence[Piece],
        receives: Sequence[Piece],
        packing: Packing = ON_HOST,
    ) -> None:
        self._clock, self._crowded, self._packing = comm.clock, comm.crowded, packing
        own = comm.rank
        self._copies = [
            packing.pair(source, target)
            for there, source in sends
            if there == own
            for here, target in receives
            if here == own
        ]
        self._out = [packing.slot(piece) for rank, piece in sends if rank != own]
        self._in = [packing.slot(piece) for rank, piece in receives if rank != own]
        away = [rank for rank, _ in receives if rank != own]
        to = [rank for rank, _ in sends if rank != own]
        self._requests: list[Any] = [
            *(
                comm.raw.Recv_init(slot.message, rank, TAG)
                for rank, slot in zip(away, self._in, strict=True)
            ),
            *(
                comm.raw.Send_init(slot.message, rank, TAG)
                for rank, slot in zip(to, self._out, strict=True)
            ),
        ]

    @property
    def messages(self) -> int:
        """Messages that this rank sends each time."""
        return len(self._out)

    @property
    def bytes(self) -> int:
        """Bytes that this rank sends each time."""
        return sum(slot.bytes for slot in self._out)

    def run(self) -> None:
        """Send and receive all pieces."""
        if not (self._copies or self._requests):
            return
        with self._clock.phase("halo"):
            self._packing.begin()
            self._packing.pack(self._out)
            if self._requests:
                if not self._packing.prompt:
                    self._packing.wait()
                MPI.Prequest.Startall(self._requests)
            self._packing.copy(self._copies)
            if self._requests:
                settle(self._requests, self._crowded)
            self._packing.unpack(self._in)
            self._packing.finish()

    def close(self) -> None:
        """Free the requests."""
        for request in self._requests:
            request.Free()
        self._requests = []
