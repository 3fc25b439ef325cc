# SPDX-License-Identifier: MIT
"""A communicator with the verbs that a workload, the store and the driver use."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from mpi4py import MPI

from hpcapp.clock import Clock
from hpcapp.errors import HpcappError
from hpcapp.mpi.abort import abort
from hpcapp.mpi.agreement import Agreement, arrives
from hpcapp.mpi.claim import Claim
from hpcapp.mpi.halo import Halo, Neighbours
from hpcapp.mpi.moves import Moves
from hpcapp.mpi.packing import ON_HOST, Packing
from hpcapp.mpi.tree import LARGEST, Tree
from hpcapp.mpi.waiting import LONG, PATIENT, settle

__all__ = ["Comm"]

T = TypeVar("T")

# pieces of point-to-point transfers: far below the 2 GB that MPI-3 counts reach
PIECE = 1 << 28


class Comm:
    """Ranks that compute together.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The communicator; not freed here.
    clock : Clock
        Waiting in `max` and `sum` is charged to "reduce", in halo exchanges
        to "halo".
    crowded : bool
        Whether ranks share cores, the same on all: then a wait sleeps. Exchanges take
        it over when they are made.
    """

    def __init__(
        self, raw: Any, clock: Clock | None = None, crowded: bool = False
    ) -> None:
        self.raw = raw
        self.rank: int = raw.Get_rank()
        self.size: int = raw.Get_size()
        self.clock, self.crowded = clock or Clock(), crowded
        self.workers: Sequence[int] = range(self.size)
        self._tree = Tree(raw, self.workers) if crowded else None

    @property
    def root(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def place(self, workers: Sequence[int]) -> None:
        """Take note of the ranks that have a core each, the same on all ranks."""
        self.workers, self.crowded = tuple(workers), len(workers) < self.size
        self._tree = Tree(self.raw, self.workers) if self.crowded else None

    def at_work(self) -> "Comm":
        """Return the same ranks for work in which only `workers` have a part.

        They do not sleep in exchanges, nor wait for others in reductions, to which
        only their values contribute.
        """
        comm = Comm(self.raw, self.clock)
        comm._tree = Tree(self.raw, self.workers, alone=True)
        return comm

    # --- set-up: a wait leaves the core to the rank that works

    def on_root(self, function: Callable[[], T]) -> T:
        """Call a function on rank 0 alone; all ranks get its value or its error.

        Parameters
        ----------
        function : callable
            Called without arguments.

        Returns
        -------
        object
            What it returned, pickled to the other ranks.

        Raises
        ------
        HpcappError
            The one it raised, on every rank. Another exception is raised on
            rank 0 only: a defect, on which the caller aborts the job.
        """
        outcome: tuple[bool, Any] = (False, None)
        if self.root:
            try:
                outcome = (True, function())
            except HpcappError as error:
                outcome = (False, error)
        good, value = self.broadcast(outcome)
        if not good:
            raise value
        return value  # type: ignore[no-any-return]

    def broadcast(self, value: T) -> T:
        """Return rank 0's value on all ranks."""
        data = np.frombuffer(pickle.dumps(value), np.uint8) if self.root else None
        if self._tree is not None:
            with self.clock.waiting():
                data = self._tree.broadcast(data)
        else:
            length = np.array([0 if data is None else data.size], np.int64)
            self._wait(self.raw.Ibcast(length))
            data = np.empty(length[0], np.uint8) if data is None else data
            self._wait(self.raw.Ibcast(data))
        return value if self.root else pickle.loads(data.tobytes())

    def barrier(self) -> None:
        """Wait for all ranks without keeping a core busy."""
        self._wait(self.raw.Ibarrier())

    def all(self, value: T) -> list[T]:
        """Return the small values of all ranks, in rank order."""
        mine = pickle.dumps(value)
        lengths = np.empty(self.size, np.int64)
        self._wait(self.raw.Iallgather(np.array([len(mine)], np.int64), lengths))
        data = np.empty(int(lengths.sum()), np.uint8)
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        layout = [data, lengths.tolist(), starts.tolist(), MPI.BYTE]
        self._wait(self.raw.Iallgatherv(np.frombuffer(mine, np.uint8), layout))
        ends = starts + lengths
        return [
            pickle.loads(data[a:b].tobytes()) for a, b in zip(starts, ends, strict=True)
        ]

    def meet(self, seconds: float) -> bool:
        """Wait for all ranks, but not for ever; tell whether they came."""
        return arrives(self.raw.Ibarrier(), seconds)

    def duplicate(self) -> "Comm":
        """Return the same ranks with message traffic of their own; collective."""
        other = Comm(self.raw.Dup(), self.clock, self.crowded)
        other.workers = self.workers
        return other

    def free(self) -> None:
        """Give one of the some 2000 contexts of a library back; collective."""
        self.raw.Free()

    def node(self) -> "Comm":
        """Return the communicator of the ranks that share this node's memory."""
        node = self.raw.Split_type(MPI.COMM_TYPE_SHARED)
        return Comm(node, self.clock, self.crowded)

    def split(self, colour: int | None) -> "Comm | None":
        """Return the communicator of the ranks with the same colour.

        Parameters
        ----------
        colour : int or None
            None for a rank that takes no part.

        Returns
        -------
        Comm or None
            With a clock of its own; None for a rank that takes no part.
        """
        raw = self.raw.Split(MPI.UNDEFINED if colour is None else colour, self.rank)
        return None if raw == MPI.COMM_NULL else Comm(raw)

    # --- compute

    def max(self, values: np.ndarray) -> np.ndarray:
        """Return the elementwise maximum over ranks.

        Parameters
        ----------
        values : int64[n] or float64[n]
            This rank's. NaN in floats gives an undefined result: compare bit
            patterns of non-negative floats as int64 instead, where NaN is largest.

        Returns
        -------
        int64[n] or float64[n]
            The maximum, the same on all ranks.
        """
        return self._reduce(values, np.maximum, MPI.MAX)

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Return the elementwise sum of integers over ranks, hence exact.

        Parameters
        ----------
        values : int64[n] or uint64[n]
            This rank's: counts, or the limbs of `hpcapp.reduction`.

        Returns
        -------
        int64[n] or uint64[n]
            The sum modulo 2**64, the same on all ranks.

        Raises
        ------
        TypeError
            If the values are floats, whose sum would depend on the layout.
        """
        if values.dtype.kind not in "iu":
            raise TypeError("sum takes integers; add floats with hpcapp.reduction")
        return self._reduce(values, np.add, MPI.SUM)

    def exclusive_sum(self, value: int) -> int:
        """Return the sum of an integer over the ranks before this one."""
        total = np.zeros(1, np.int64)
        with self.clock.phase("reduce"):
            self.raw.Exscan(np.array([value], np.int64), total, MPI.SUM)
        return 0 if self.root else int(total[0])

    def halo(
        self,
        array: Any,
        layout: Neighbours,
        margin: int,
        depth: int,
        packing: Packing = ON_HOST,
    ) -> Halo:
        """Return the halo exchange of one array; see `Halo`."""
        around = layout.neighbours(self.rank)
        return Halo(self, array, around, margin, depth, packing)

    def moves(
        self,
        sends: Sequence[tuple[int, Any]],
        receives: Sequence[tuple[int, Any]],
        packing: Packing = ON_HOST,
    ) -> Moves:
        """Return the copying of pieces of arrays between ranks; see `Moves`."""
        return Moves(self, sends, receives, packing)

    def claim(self, total: int) -> Claim:
        """Return a shared counter that hands out 0 .. total - 1; collective."""
        return Claim(self.raw, total)

    def agree(self, flags: np.ndarray) -> "Agreement":
        """Post a maximum over ranks without waiting for it.

        Parameters
        ----------
        flags : int64[n]
            This rank's wishes, 0 for none.

        Returns
        -------
        Agreement
            To be waited for later.
        """
        return Agreement(self.raw, flags, self.crowded)

    # --- small tables

    def gather(self, values: np.ndarray, piece: int = PIECE) -> list[np.ndarray] | None:
        """Collect the 1-D arrays of all ranks on rank 0.

        Parameters
        ----------
        values : ndarray[n]
            This rank's, contiguous; its length may differ from rank to rank.
        piece : int
            Bytes of one message at most.

        Returns
        -------
        list of ndarray or None
            In rank order on rank 0, None elsewhere.
        """
        sizes = self.all(values.size)
        if not self.root:
            for part in _pieces(values, piece):
                self.send(part, 0)
            return None
        collected = [np.empty(size, values.dtype) for size in sizes]
        collected[0][:] = values
        for source in range(1, self.size):
            for part in _pieces(collected[source], piece):
                self.receive(part, source)
        return collected

    def scatter(
        self, parts: Sequence[np.ndarray] | None, piece: int = PIECE
    ) -> np.ndarray:
        """Send each rank its 1-D array from rank 0.

        Parameters
        ----------
        parts : sequence of ndarray
            One contiguous array a rank, of one dtype; None elsewhere.
        piece : int
            Bytes of one message at most.

        Returns
        -------
        ndarray[n]
            This rank's.
        """
        if parts is not None:
            self.broadcast([(part.size, part.dtype.str) for part in parts])
            for target in range(1, self.size):
                for part in _pieces(np.ascontiguousarray(parts[target]), piece):
                    self.send(part, target)
            return np.array(parts[0])
        size, dtype = self.broadcast([(0, "")])[self.rank]
        mine = np.empty(size, dtype)
        for part in _pieces(mine, piece):
            self.receive(part, 0)
        return mine

    def stack(self, values: np.ndarray) -> np.ndarray | None:
        """Collect the arrays of all ranks, of one shape, in one collective.

        Parameters
        ----------
        values : ndarray[...]
            This rank's, contiguous.

        Returns
        -------
        ndarray[ranks, ...] or None
            On rank 0; None elsewhere.
        """
        shape = (self.size, *values.shape)
        collected = np.empty(shape, values.dtype) if self.root else None
        with self.clock.phase("reduce"):
            self.raw.Gather(values, collected)
        return collected

    def deal(self, parts: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Send each rank its 1-D array, and return those that all have sent here.

        Parameters
        ----------
        parts : sequence of ndarray
            One for each rank, of one dtype and of any length.

        Returns
        -------
        list of ndarray
            In rank order.
        """
        sizes = np.array([part.size for part in parts], np.int64)
        theirs = np.empty_like(sizes)
        outgoing = np.concatenate(parts)
        with self.clock.phase("reduce"):
            self.raw.Alltoall(sizes, theirs)
            incoming = np.empty(int(theirs.sum()), outgoing.dtype)
            starts, ends = np.cumsum(sizes) - sizes, np.cumsum(theirs)
            self.raw.Alltoallv(
                [outgoing, (sizes.tolist(), starts.tolist())],
                [incoming, (theirs.tolist(), (ends - theirs).tolist())],
            )
        return np.split(incoming, ends[:-1])

    def send(self, part: np.ndarray, target: int) -> None:
        """Send a contiguous array; returns when the target has taken it."""
        with self.clock.waiting():
            self.raw.Ssend(part, target)

    def receive(self, part: np.ndarray, source: int) -> None:
        """Receive into a contiguous array."""
        with self.clock.waiting():
            self.raw.Recv(part, source)

    def abort(self, code: int) -> NoReturn:
        """End all ranks of the job at once; does not return."""
        abort(self.raw, code)

    def _wait(self, request: Any) -> None:
        # a blocking wait spins: with more ranks than cores it starves the one that
        # works
        with self.clock.waiting():
            settle([request], True, LONG)

    def _reduce(
        self, values: np.ndarray, combine: np.ufunc, operation: Any
    ) -> np.ndarray:
        result = np.empty_like(values)
        with self.clock.phase("reduce"):
            if self._tree is not None and values.nbytes <= LARGEST:
                result = self._tree.reduce(values, combine)
            elif self.crowded:
                request = self.raw.Iallreduce(values, result, operation)
                settle([request], True, PATIENT)
            else:
                self.raw.Allreduce(values, result, operation)
        return result


def _pieces(values: np.ndarray, piece: int) -> list[np.ndarray]:
    step = max(1, piece // values.dtype.itemsize)
    return [values[at : at + step] for at in range(0, values.size, step)]
