# SPDX-License-Identifier: MIT
"""How the parts of distributed fields get into the file.

`direct`: every rank writes its own through MPI-IO. `hdf5`, `netcdf`: the same through
libraries that were built with MPI (`hpcapp.store.collective`). `gather`: rank 0 writes
all, in bounded pieces. All give the same data in the same layout.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.errors import ConfigError, RunDirectoryError
from hpcapp.fields import Part
from hpcapp.store.collective import missing, write_hdf5, write_netcdf
from hpcapp.store.target import Target, cut, inside, runs
from hpcapp.writeback import Writeback

if TYPE_CHECKING:
    from hpcapp.config import Output
    from hpcapp.mpi.comm import Comm

__all__ = [
    "PACKING",
    "WRITERS",
    "check_writer",
    "choose_writer",
    "write_direct",
    "write_gather",
]

# bytes of one message to rank 0
PIECE = 1 << 23

# ranks that a message names
NAMED = 4

# writers that can compress: the others write bytes at an offset
PACKING = ("hdf5", "netcdf", "gather")


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
        if target.offset is None:
            raise ValueError(f"{path}: {target.name}: lies at no one offset")
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
        rows = target.offset is not None
        pieces = [piece for part in parts for piece in cut(part, PIECE, rows)]
        blocks = comm.all([piece.block for piece in pieces])
        if sink is None:
            for piece in pieces:
                comm.send(np.ascontiguousarray(piece.array, target.dtype), 0)
            continue
        for piece in pieces:
            sink.write(target, piece.block, piece.array)
        for source in range(1, comm.size):
            for block in blocks[source]:
                buffer = np.empty(block.shape, target.dtype)
                comm.receive(buffer, source)
                sink.write(target, block, buffer)
                comm.clock.beat()
    fault = comm.broadcast("" if sink is None else sink.close())
    if fault:
        raise OSError(fault)


WRITERS = {
    "direct": write_direct,
    "hdf5": write_hdf5,
    "netcdf": write_netcdf,
    "gather": write_gather,
}


def check_writer(output: "Output") -> None:
    """Refuse a writer that the environment lacks, or that cannot do what is asked.

    Parameters
    ----------
    output : Output
        The section of that name.

    Raises
    ------
    ConfigError
        Saying how to get it, or which writers can.
    """
    fault = missing(output.writer)
    if fault:
        raise ConfigError(
            f"{fault}; launch/parallel-io makes an environment that has it; direct and "
            "gather work everywhere",
            key="output.writer",
        )
    if output.compression and output.writer not in (*PACKING, "auto"):
        raise ConfigError(
            f"must be 0 with the writer {output.writer}, which writes bytes at an "
            f"offset, got {output.compression}; writers that compress: "
            f"{', '.join(PACKING)}",
            key="output.compression",
        )


def choose_writer(
    comm: "Comm", wanted: str, directory: str, compression: int = 0
) -> tuple[str, str]:
    """Choose how to write into a directory; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    wanted : {"auto", "direct", "hdf5", "netcdf", "gather"}
        What the configuration asks for, accepted by `check_writer`.
    directory : str
        Where the file will be.
    compression : int
        Above 0 where the file is to be compressed.

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
    if not compression:
        return "direct", "MPI-IO works there"
    lacks = comm.on_root(lambda: missing("hdf5"))
    if lacks:
        return "gather", f"compression on all ranks {lacks}"
    return "hdf5", "MPI-IO works there, and compression needs the library"


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


class _Sink:
    """Where rank 0 puts the pieces; tells at the end whether it could.

    Bytes at an offset, or through the library where only that knows the place.

    Parameters
    ----------
    path : str
        A file whose layout stands.
    """

    def __init__(self, path: str) -> None:
        self._path, self._fault, self._descriptor = path, "", -1
        self._file: Any = None
        self._writeback = Writeback(path)
        self._guard(self._open)

    def write(self, target: Target, block: Block, array: np.ndarray) -> None:
        """Write a block, unless something went wrong before."""
        if not self._fault:
            self._guard(partial(self._put, target, block, array))

    def close(self) -> str:
        """Make the data durable; return what went wrong, or ""."""
        if self._file is not None:
            self._guard(self._file.close)
        if self._descriptor >= 0:
            self._guard(lambda: os.fsync(self._descriptor))
            os.close(self._descriptor)
        self._writeback.close()
        return self._fault

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR)

    def _put(self, target: Target, block: Block, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array, target.dtype)
        if target.offset is None:
            self._library()[target.name][inside(target, block)] = data
            return
        view = data.reshape(-1).view(np.uint8).data
        places = runs(target, block)
        for offset, first, length in places:
            _write_bytes(self._descriptor, view[first : first + length], offset)
        stop = places[-1][0] + places[-1][2]
        self._writeback.wrote(places[0][0], stop, data.nbytes)

    def _library(self) -> Any:
        if self._file is None:
            import h5py

            # room for the chunks that several pieces share: each is packed once
            self._file = h5py.File(self._path, "r+", rdcc_nbytes=4 * PIECE)
        return self._file

    def _guard(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, RuntimeError) as error:
            # the HDF5 library raises either where the disk is full
            reason = getattr(error, "strerror", None) or str(error)
            self._fault = self._fault or reason


def _write_bytes(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        offset += written
        view = view[written:]
