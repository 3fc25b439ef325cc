# SPDX-License-Identifier: MIT
"""Bare ways to write the blocks of a grid: what a script of ten lines reaches.

Each is called on all ranks with the communicator, the path of a new file, the shape of
the grid, the global start of the block, and the block, contiguous.
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["BARE", "available"]

# what makes MPICH's collective writing fast on one node, as hpcapp's own hints
HINTS = {"romio_cb_write": "disable", "romio_ds_write": "disable"}


def _mpi(comm: Any, path: str, shape: Any, start: Any, block: Any, verb: str) -> None:
    from mpi4py import MPI

    info = MPI.Info.Create()
    for key, value in HINTS.items():
        info.Set(key, value)
    file = MPI.File.Open(comm, path, MPI.MODE_WRONLY | MPI.MODE_CREATE, info)
    view = MPI.DOUBLE.Create_subarray(shape, block.shape, start).Commit()
    file.Set_view(0, MPI.DOUBLE, view)
    # counts are ints: pieces of rows
    rows = max(1, (1 << 27) // block.shape[1])
    for at in range(0, len(block), rows):
        getattr(file, verb)(block[at : at + rows])
    file.Sync()
    file.Close()


def write_all(comm: Any, path: str, shape: Any, start: Any, block: Any) -> None:
    """Write together through a view."""
    _mpi(comm, path, shape, start, block, "Write_all")


def write(comm: Any, path: str, shape: Any, start: Any, block: Any) -> None:
    """Write independently through a view."""
    _mpi(comm, path, shape, start, block, "Write")


def pwrite(comm: Any, path: str, shape: Any, start: Any, block: Any) -> None:
    """Write rows at their offsets without MPI."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    if block.shape[1] == shape[1]:
        _put(descriptor, block, 8 * start[0] * shape[1])
    else:
        for number, row in enumerate(block):
            at = (start[0] + number) * shape[1] + start[1]
            _put(descriptor, row, 8 * at)
    os.fsync(descriptor)
    os.close(descriptor)
    comm.Barrier()


def _put(descriptor: int, data: np.ndarray, offset: int) -> None:
    view = data.reshape(-1).view(np.uint8).data
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def h5py_mpio(comm: Any, path: str, shape: Any, start: Any, block: Any) -> None:
    """Write with h5py as its documentation shows."""
    import h5py

    with h5py.File(path, "w", driver="mpio", comm=comm) as file:
        u = file.create_dataset("u", shape, "f8")
        box = tuple(slice(a, a + n) for a, n in zip(start, block.shape, strict=True))
        with u.collective:
            u[box] = block
    _sync(comm, path)


def netcdf4_parallel(comm: Any, path: str, shape: Any, start: Any, block: Any) -> None:
    """Write with netCDF4 as its documentation shows."""
    import netCDF4

    with netCDF4.Dataset(path, "w", parallel=True, comm=comm) as file:
        for name, length in zip(("y", "x"), shape, strict=True):
            file.createDimension(name, length)
        u = file.createVariable("u", "f8", ("y", "x"), contiguous=True)
        u.set_collective(True)
        box = tuple(slice(a, a + n) for a, n in zip(start, block.shape, strict=True))
        u[box] = block
    _sync(comm, path)


def _sync(comm: Any, path: str) -> None:
    if comm.rank == 0:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    comm.Barrier()


BARE: dict[str, Callable[..., None]] = {
    "Write_all": write_all,
    "Write": write,
    "pwrite": pwrite,
    "bare h5py": h5py_mpio,
    "bare netCDF4": netcdf4_parallel,
}


def available() -> list[str]:
    """Return the names of the ways that this environment has."""
    from hpcapp.store.collective import missing

    lacking = {"bare h5py": missing("hdf5"), "bare netCDF4": missing("netcdf")}
    return [name for name in BARE if not lacking.get(name)]
