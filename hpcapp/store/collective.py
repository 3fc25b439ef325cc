# SPDX-License-Identifier: MIT
"""Writing through HDF5 and NetCDF libraries that were built with MPI.

All ranks open the file together and write in collective transfers: also a rank that
has nothing takes part in each of them.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.fields import Part
from hpcapp.store.target import Target, cut, inside

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["missing", "write_hdf5", "write_netcdf"]

# bytes of one transfer of a rank: far below the 2 GB that MPI-IO counts reach, and
# little memory for the copy that takes a block out of its margin
PIECE = 1 << 26


def missing(writer: str) -> str:
    """Tell why a writer cannot work in this environment.

    Parameters
    ----------
    writer : str
        Any of the names that `output.writer` may have.

    Returns
    -------
    str
        "" if it can.
    """
    if writer == "hdf5":
        import h5py

        if not h5py.get_config().mpi:
            return f"needs h5py built with MPI, and h5py {h5py.__version__} here is not"
    if writer == "netcdf":
        import netCDF4

        if not getattr(netCDF4, "__has_parallel4_support__", False):
            version = netCDF4.__version__
            return f"needs netCDF4 built with MPI, and netCDF4 {version} here is not"
    return ""


def write_hdf5(
    comm: "Comm", path: str, targets: Sequence[tuple[Target, Sequence[Part]]]
) -> None:
    """Write all ranks' parts through h5py; collective.

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
        If the library or the file system refuses; perhaps on this rank only.
    """
    import h5py
    from h5py import h5fd, h5p, h5s

    together = h5p.create(h5p.DATASET_XFER)
    together.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE)
    # not closed after an error: that is collective, and the others are elsewhere; the
    # traceback keeps it open until the job is ended
    file = h5py.File(path, "r+", driver="mpio", comm=comm.raw)
    for target, parts in targets:
        dataset = file[target.name].id
        for data, place in _rounds(comm, target, parts):
            space, memory = dataset.get_space(), h5s.create_simple((data.size,))
            if not data.size:
                space.select_none()
            elif place:
                start = tuple(s.start for s in place)
                space.select_hyperslab(start, tuple(s.stop - s.start for s in place))
            dataset.write(memory, space, data.reshape(-1), dxpl=together)
            comm.clock.beat()
    file.close()


def write_netcdf(
    comm: "Comm", path: str, targets: Sequence[tuple[Target, Sequence[Part]]]
) -> None:
    """Write all ranks' parts through netCDF4; collective.

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
        If the library or the file system refuses; perhaps on this rank only.
    """
    for target, parts in targets:
        # the library leaves a rank without data out of a transfer, and the others
        # would wait for it: only those that have some open the file
        some = comm.split(0 if parts else None)
        if some is not None:
            _write_together(some, path, target, parts)
            some.free()
        comm.barrier()


def _write_together(
    comm: "Comm", path: str, target: Target, parts: Sequence[Part]
) -> None:
    import netCDF4

    pieces = _pieces(target, parts)
    try:
        # not closed after an error, as above
        file = netCDF4.Dataset(path, "r+", parallel=True, comm=comm.raw)
        file.set_auto_maskandscale(False)
        variable = file[target.name]
        variable.set_collective(True)
        for number in range(_most(comm, len(pieces))):
            # a rank that is done writes its last piece again
            piece = pieces[min(number, len(pieces) - 1)]
            place = inside(target, piece.block)
            variable[place] = _shaped(piece, target, place)
        file.close()
    except RuntimeError as error:
        # what netCDF4 raises for an error of its library
        raise OSError(f"netCDF4: {error}") from None


def _pieces(target: Target, parts: Sequence[Part]) -> list[Part]:
    rows = target.offset is not None
    return [piece for part in parts for piece in cut(part, PIECE, rows)]


def _most(comm: "Comm", count: int) -> int:
    return int(comm.max(np.array([count], np.int64))[0])


def _shaped(piece: Part, target: Target, place: tuple[slice, ...]) -> np.ndarray:
    data = np.ascontiguousarray(piece.array, target.dtype)
    return data.reshape([s.stop - s.start for s in place])


def _rounds(
    comm: "Comm", target: Target, parts: Sequence[Part]
) -> Iterator[tuple[np.ndarray, Any]]:
    """Give data and their place, as often on each rank: some get nothing to write."""
    pieces = _pieces(target, parts)
    axes = max(len(target.shape), len(target.corner))
    nothing = np.empty((0,) * axes, target.dtype)
    for number in range(_most(comm, len(pieces))):
        if number < len(pieces):
            place = inside(target, pieces[number].block)
            yield _shaped(pieces[number], target, place), place
        else:
            yield nothing, (slice(0, 0),) * axes
