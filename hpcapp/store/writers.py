# SPDX-License-Identifier: MIT
"""How the parts of distributed fields get into the file.

`direct`: every rank writes its own through MPI-IO. `gather`: rank 0 writes all,
in bounded pieces. Both give the same bytes.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.errors import RunDirectoryError
from hpcapp.fields import Part

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["WRITERS", "Target", "choose_writer", "write_direct", "write_gather"]

# bytes of one message to rank 0
PIECE = 1 << 23

# ranks that a message names
NAMED = 4


@dataclass(frozen=True)
class Target:
    """Where a distributed variable lies in the file.

    Parameters
    ----------
    offset : int
        Its first byte.
    shape : tuple of int
        Global shape.
    dtype : str
        NumPy dtype of the elements in the file.
    """

    offset: int
    shape: tuple[int, ...]
    dtype: str


def write_direct(
    comm: "Comm", path: str, targets: Sequence[tuple[Target, Sequence[Part]]]
) -> None:
    """Write all ranks' parts through MPI-IO; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    path : str
        A file whose layout stands.
    targets : sequence of (Target, sequence of Part)
        The same targets on all ranks, each with this rank's parts.

    Raises
    ------
    OSError
        If the file system refuses.
    """
    from hpcapp.mpi.files import SharedFile

    file = SharedFile(comm, path)
    for target, parts in targets:
        pairs = [(part.block, part.array) for part in parts]
        file.write(target.offset, target.shape, np.dtype(target.dtype), pairs)
    file.close()


def write_gather(
    comm: "Comm", path: str, targets: Sequence[tuple[Target, Sequence[Part]]]
) -> None:
    """Send all parts to rank 0, which writes them; collective.

    Rank 0 holds one piece of at most 8 MiB beside its own data.

    Parameters
    ----------
    comm : Comm
        The ranks.
    path : str
        A file whose layout stands.
    targets : sequence of (Target, sequence of Part)
        The same targets on all ranks, each with this rank's parts.

    Raises
    ------
    OSError
        On all ranks, if rank 0 cannot write.
    """
    sink = _Sink(path) if comm.root else None
    for target, parts in targets:
        pieces = [piece for part in parts for piece in _pieces(part)]
        blocks = comm.all([block for block, _ in pieces])
        if sink is None:
            for _, array in pieces:
                comm.send(np.ascontiguousarray(array, target.dtype), 0)
            continue
        for block, array in pieces:
            sink.write(target, block, array)
        for source in range(1, comm.size):
            for block in blocks[source]:
                buffer = np.empty(block.shape, target.dtype)
                comm.receive(buffer, source)
                sink.write(target, block, buffer)
                comm.clock.beat()
    fault = comm.broadcast("" if sink is None else sink.close())
    if fault:
        raise OSError(fault)


class _Sink:
    """A file that takes everything, and tells at the end whether it could."""

    def __init__(self, path: str) -> None:
        self._fault, self._descriptor = "", -1
        self._guard(lambda: self._open(path))

    def write(self, target: Target, block: Block, array: np.ndarray) -> None:
        """Write a block, unless something went wrong before."""
        if not self._fault:
            rows = partial(_write_rows, self._descriptor, target, block, array)
            self._guard(rows)

    def close(self) -> str:
        """Make the data durable; return what went wrong, or ""."""
        if self._descriptor >= 0:
            self._guard(lambda: os.fsync(self._descriptor))
            os.close(self._descriptor)
        return self._fault

    def _open(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY)

    def _guard(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            self._fault = self._fault or error.strerror or str(error)


WRITERS = {"direct": write_direct, "gather": write_gather}


def choose_writer(comm: "Comm", wanted: str, directory: str) -> tuple[str, str]:
    """Choose how to write into a directory; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    wanted : {"auto", "direct", "gather"}
        What the configuration asks for.
    directory : str
        Where the file will be.

    Returns
    -------
    name, reason : str
        The writer, and why.

    Raises
    ------
    RunDirectoryError
        On all ranks, if one of them does not see the directory of rank 0.
    """
    if comm.size > 1:
        _check_seen(comm, directory)
    if wanted != "auto":
        return wanted, "as configured"
    if comm.size == 1:
        return "gather", "one rank needs no MPI-IO"
    from hpcapp.mpi.files import probe

    fault = probe(comm, directory)
    if fault:
        return "gather", f"MPI-IO does not work there: {fault}"
    return "direct", "MPI-IO works there"


def _check_seen(comm: "Comm", directory: str) -> None:
    """Refuse a directory that is not the same one for all ranks."""
    from hpcapp.mpi.files import blind_ranks
    from hpcapp.mpi.world import host

    blind, fault = blind_ranks(comm, directory)
    if fault:
        raise RunDirectoryError(f"{directory}: cannot be written to: {fault}")
    if not blind:
        return
    places = comm.all(f"on {host()} ({os.path.abspath(directory)})")
    named = [f"rank {rank} {places[rank]}" for rank in blind[:NAMED]]
    if len(blind) > NAMED:
        named.append(f"{len(blind) - NAMED} more")
    raise RunDirectoryError(
        f"{directory}: must be one directory for all ranks, but what rank 0 "
        f"{places[0]} writes is not seen by {', '.join(named)}; use a file system that "
        "all nodes share, and an absolute path where ranks start in different folders"
    )


def _pieces(part: Part) -> list[tuple[Block, np.ndarray]]:
    """Cut a part along its axes until each piece is small."""
    if part.array.nbytes <= PIECE or part.array.ndim == 0:
        return [(part.block, part.array)]
    axis = int(np.argmax(part.array.shape))
    half = part.array.shape[axis] // 2
    start, stop = list(part.block.start), list(part.block.stop)
    start[axis] += half
    stop[axis] = start[axis]
    lower, upper = np.split(part.array, [half], axis)
    low = Part(Block(part.block.start, tuple(stop)), lower)
    high = Part(Block(tuple(start), part.block.stop), upper)
    return _pieces(low) + _pieces(high)


def _write_rows(
    descriptor: int, target: Target, block: Block, array: np.ndarray
) -> None:
    data = np.ascontiguousarray(array, target.dtype)
    for offset, first, length in runs(target, block):
        view = data.reshape(-1).view(np.uint8).data[first : first + length]
        while view:
            written = os.pwrite(descriptor, view, offset)
            offset += written
            view = view[written:]


def runs(target: Target, block: Block) -> list[tuple[int, int, int]]:
    """Return the contiguous runs of a block in its file.

    Parameters
    ----------
    target : Target
        Where the whole variable lies.
    block : Block
        A non-empty box of it.

    Returns
    -------
    list of (int, int, int)
        Byte in the file, byte in the block's C-ordered data, length in bytes.
    """
    item = np.dtype(target.dtype).itemsize
    shape = target.shape
    # trailing axes that the block spans whole join into one run
    axis = len(shape)
    while axis > 0 and block.shape[axis - 1] == shape[axis - 1]:
        axis -= 1
    axis = max(axis - 1, 0)
    length = item * prod(block.shape[axis:])
    strides = [item * prod(shape[k + 1 :]) for k in range(len(shape))]
    origin = target.offset + sum(
        i * s for i, s in zip(block.start, strides, strict=True)
    )
    found: list[tuple[int, int, int]] = []
    for number, index in enumerate(np.ndindex(*block.shape[:axis])):
        skip = sum(i * s for i, s in zip(index, strides[:axis], strict=True))
        found.append((origin + skip, number * length, length))
    return found
