# SPDX-License-Identifier: MIT
"""Blocks of a distributed array written through MPI-IO at a byte offset."""

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mpi4py import MPI

from hpcapp.decomposition import Block, runs
from hpcapp.writeback import Writeback

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["SharedFile", "blind_ranks", "probe"]

# bytes copied before they are written: bounds memory, keeps counts far below 2**31,
# and stays in the cache between the copy and the write
STAGE = 1 << 20

# each rank writes what it owns: no second copy of the data to aggregators, which
# cost a factor of three to ten on one node (MPICH's default), and no read-modify
HINTS = {
    "romio_cb_write": "disable",
    "romio_ds_write": "disable",
}


class SharedFile:
    """A file that all ranks write into; collective to open and to close.

    Parameters
    ----------
    comm : Comm
        The ranks.
    path : str
        An existing file.

    Raises
    ------
    OSError
        If MPI cannot open it.
    """

    def __init__(self, comm: "Comm", path: str) -> None:
        self._comm = comm
        self._path = path
        self._fault = ""
        info = MPI.Info.Create()
        for key, value in HINTS.items():
            info.Set(key, value)
        try:
            self._file = MPI.File.Open(comm.raw, path, MPI.MODE_WRONLY, info)
        except MPI.Exception as error:
            reason = _reason(error)
            raise OSError(f"{path}: MPI-IO cannot open it: {reason}") from None
        finally:
            info.Free()
        self._writeback = Writeback(path)

    def write(
        self,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        parts: Sequence[tuple[Block, np.ndarray]],
    ) -> None:
        """Write this rank's parts of one array; collective.

        A rank that cannot write takes part to the end; `close` tells all.

        Parameters
        ----------
        offset : int
            Byte at which the array begins in the file.
        shape : tuple of int
            Global shape, C order.
        dtype : dtype
            Of the elements.
        parts : sequence of (Block, ndarray)
            None empty; the arrays may be views.
        """
        for block, array in parts:
            self._guard(partial(self._write_part, offset, shape, dtype, block, array))

    def close(self) -> None:
        """Make the data durable and close; collective.

        Raises
        ------
        OSError
            On all ranks, if any of them could not write.
        """
        self._guard(self._file.Sync)
        # a rank that is done polls inside Close and takes the core from those that
        # still write: of 16 ranks on 2 cores, 0.6 s instead of 2.6 s with MPICH
        faults = [fault for fault in self._comm.all(self._fault) if fault]
        self._file.Close()
        # not before: closing a file gives up all locks that a process has on it
        self._writeback.close()
        if faults:
            raise OSError(f"{self._path}: MPI-IO failed: {faults[0]}")

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except MPI.Exception as error:
            self._fault = self._fault or f"rank {self._comm.rank}: {_reason(error)}"

    def _write_part(
        self,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        block: Block,
        array: np.ndarray,
    ) -> None:
        item = dtype.itemsize
        for piece, staged in _staged(block, array, dtype):
            data = staged.reshape(-1)
            found = runs(shape, piece)
            for at, first, length in found:
                run = data[first : first + length]
                self._file.Write_at(offset + item * at, [run, MPI.BYTE])
            start, stop = found[0][0], found[-1][0] + found[-1][2]
            self._writeback.wrote(
                offset + item * start, offset + item * stop, data.nbytes
            )
            self._comm.clock.beat()


def _reason(error: BaseException) -> str:
    """Return what a library says at the end of its error, which may be a stack."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[-1].rpartition(": ")[2].strip()


def blind_ranks(comm: "Comm", directory: str) -> tuple[tuple[int, ...], str]:
    """Find the ranks that do not see what rank 0 writes; collective.

    If one rank does not see a file, Open MPI waits for ever in opening it; and a
    relative path may mean another directory on each rank.

    Parameters
    ----------
    comm : Comm
        The ranks.
    directory : str
        Where rank 0 writes.

    Returns
    -------
    blind : tuple of int
        Those ranks; none where all is well.
    fault : str
        Why rank 0 cannot write there, or "". Both are the same on all ranks.
    """
    name, fault = comm.broadcast(_leave_token(directory) if comm.root else ("", ""))
    if fault:
        return (), fault
    token = os.path.join(directory, name)
    seen = comm.all(os.path.exists(token))
    if comm.root:
        with suppress(FileNotFoundError):
            os.unlink(token)
    return tuple(rank for rank, sees in enumerate(seen) if not sees), ""


def _leave_token(directory: str) -> tuple[str, str]:
    # a new name each time: no file server has an old answer about it
    name = f".seen-{secrets.token_hex(8)}.part"
    try:
        Path(directory, name).touch(exist_ok=False)
    except OSError as error:
        return "", error.strerror or str(error)
    return name, ""


def probe(comm: "Comm", directory: str) -> str:
    """Try MPI-IO in a directory; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    directory : str
        An existing directory.

    Returns
    -------
    str
        "" where every rank's bytes arrived, else what went wrong, the same on
        all ranks.
    """
    path, fault = comm.broadcast(_create(directory) if comm.root else ("", ""))
    if fault:
        return fault
    mine = np.full(1, comm.rank + 1, np.int64)
    try:
        shared = SharedFile(comm, path)
        block = Block((comm.rank,), (comm.rank + 1,))
        shared.write(0, (comm.size,), mine.dtype, [(block, mine)])
        shared.close()
    except OSError as error:
        fault = str(error)
    return comm.broadcast(_read_back(path, comm.size, fault) if comm.root else "")


def _create(directory: str) -> tuple[str, str]:
    try:
        descriptor, path = tempfile.mkstemp(".part", ".probe-", directory)
    except OSError as error:
        return "", f"{directory}: {error.strerror}"
    os.close(descriptor)
    return path, ""


def _read_back(path: str, size: int, fault: str) -> str:
    with open(path, "rb") as stream:
        found = np.frombuffer(stream.read(), np.int64)
    os.unlink(path)
    if not fault and not np.array_equal(found, np.arange(1, size + 1)):
        return f"{path}: bytes written through MPI-IO did not arrive"
    return fault


def _staged(
    block: Block, array: np.ndarray, dtype: np.dtype[Any]
) -> Iterator[tuple[Block, np.ndarray]]:
    """Cut a block into pieces of bounded size, long rows; with each its values."""
    if array.size * dtype.itemsize <= STAGE or array.size == 1:
        yield block, np.ascontiguousarray(array, dtype)
        return
    axis = next(k for k, extent in enumerate(array.shape) if extent > 1)
    width = array.size // array.shape[axis] * dtype.itemsize
    step = max(1, STAGE // width)
    for at in range(0, array.shape[axis], step):
        end = min(at + step, array.shape[axis])
        start, stop = list(block.start), list(block.stop)
        start[axis], stop[axis] = block.start[axis] + at, block.start[axis] + end
        inner = array[(*(slice(None),) * axis, slice(at, end))]
        yield from _staged(Block(tuple(start), tuple(stop)), inner, dtype)
