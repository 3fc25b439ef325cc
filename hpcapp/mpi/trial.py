# SPDX-License-Identifier: MIT
"""Messages from memory that MPI may not know: tried, and their values looked at."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from mpi4py import MPI

from hpcapp.mpi.waiting import settle

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Memory", "library_text", "try_messages"]

# numbers of a message: one that goes at once, one that the receiver is asked for first
LENGTHS = (7, 1 << 18)

# a buffer must take new values after it was sent
TURNS = 3

# beside those of exchanges
TAG = 9


class Memory(Protocol):
    """Where arrays of messages are, such as a `CudaDevice`."""

    def to_device(self, array: np.ndarray) -> Any:
        """Return a copy there."""
        ...

    def put(self, into: Any, values: np.ndarray) -> None:
        """Copy values into an array there."""
        ...

    def from_device(self, found: Any) -> np.ndarray:
        """Return a copy of an array there."""
        ...

    def synchronise(self) -> None:
        """Wait until what was begun there is done."""
        ...


def library_text() -> str:
    """Return all that the MPI library says of itself and how it was built."""
    return str(MPI.Get_library_version())


def try_messages(comm: "Comm", memory: Memory) -> str:
    """Send arrays round all ranks, with the requests that exchanges use; collective.

    Parameters
    ----------
    comm : Comm
        The ranks; one sends to itself.
    memory : Memory
        Where the messages are.

    Returns
    -------
    str
        What is wrong with the values that arrived on this rank, or "". An MPI library
        that does not know the memory ends the process instead.
    """
    found = [_try_length(comm, memory, length) for length in LENGTHS]
    return "; ".join(filter(None, found))


def _try_length(comm: "Comm", memory: Memory, length: int) -> str:
    before, after = (comm.rank - 1) % comm.size, (comm.rank + 1) % comm.size
    out = memory.to_device(np.zeros(length))
    into = memory.to_device(np.zeros(length))
    requests: list[Any] = [
        comm.raw.Recv_init(into, before, TAG),
        comm.raw.Send_init(out, after, TAG),
    ]
    wrong = 0
    for turn in range(TURNS):
        memory.put(out, _values(comm.rank, turn, length))
        memory.synchronise()
        MPI.Prequest.Startall(requests)
        settle(requests, comm.crowded)
        found = memory.from_device(into)
        wrong += int((found != _values(before, turn, length)).sum())
    for request in requests:
        request.Free()
    if not wrong:
        return ""
    return f"{wrong} of {TURNS * length} numbers from rank {before} arrived wrong"


def _values(rank: int, turn: int, length: int) -> np.ndarray:
    """Return numbers that no other rank sends, and this one only in this turn."""
    return np.arange(length) + (1 + turn + TURNS * rank) * float(1 << 20)
