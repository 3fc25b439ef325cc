# SPDX-License-Identifier: MIT
"""The layout of a result or checkpoint file, made by one rank with serial libraries.

A checkpoint is a result that is not finished: published fields are variables of
the root group, fields that are only saved stand in the group `state`.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from hpcapp.store.entry import (
    ALIGNMENT,
    STATE_GROUP,
    Entry,
    chunks,
    describe_variable,
)
from hpcapp.store.hdf5_layout import SUFFIX, create_hdf5, set_hdf5_attributes

__all__ = ["FORMAT", "create", "finish", "set_attributes"]

# raised when an older program would misread the file; attribute hpcapp_format
FORMAT = 1


def create(
    path: str, entries: Sequence[Entry], compression: int = 0
) -> dict[str, int | None]:
    """Lay out a file and write the replicated fields.

    Distributed variables are contiguous, without fill values, their space
    allocated: all ranks then write at the returned offsets. Compressed ones are
    in chunks.

    Parameters
    ----------
    path : str
        A new file; one that stands there is replaced. With the suffix .h5 it is
        made without the NetCDF library.
    entries : sequence of Entry
        What it will hold.
    compression : int
        0 for none, to 9 for the smallest files: deflate after a shuffle of bytes.

    Returns
    -------
    dict of str to (int or None)
        From `Entry.path` of each distributed variable that holds anything to
        the byte at which it begins, None if it is compressed.
    """
    import h5py

    # the library says "permission denied" whatever the reason is
    with open(path, "wb"):
        pass
    if _is_plain_hdf5(path):
        create_hdf5(path, entries, compression)
    else:
        _create_netcdf(path, entries, compression)
    spread = [e for e in entries if e.field.distributed and np.prod(e.shape) > 0]
    with h5py.File(path, "r") as file:
        return {entry.path: file[entry.path].id.get_offset() for entry in spread}


def _is_plain_hdf5(path: str) -> bool:
    """Tell the format by the name, which may be that of a file in the making."""
    return path.removesuffix(".part").endswith(SUFFIX)


def _create_netcdf(path: str, entries: Sequence[Entry], compression: int) -> None:
    import netCDF4

    with (
        _aligned(netCDF4),
        netCDF4.Dataset(path, "w", format="NETCDF4", clobber=True) as file,
    ):
        for entry in entries:
            for name, length in zip(entry.field.dims, entry.shape, strict=True):
                if name not in file.dimensions:
                    file.createDimension(name, length)
        for entry in entries:
            group = file
            if not entry.field.published:
                group = file.createGroup(STATE_GROUP)
            _create_variable(group, entry, compression)


@contextmanager
def _aligned(library: Any) -> Iterator[None]:
    """Have large variables begin where pages of memory and stripes of disks do."""
    # since netcdf-c 4.9.0; with an older one all is right, and slower
    if not getattr(library, "__has_set_alignment__", False):
        yield
        return
    # 0 where nobody has set any, which cannot be set again: 1 means the same
    before = [max(1, number) for number in library.get_alignment()]
    library.set_alignment(*ALIGNMENT)
    try:
        yield
    finally:
        library.set_alignment(*before)


def _create_variable(group: Any, entry: Entry, compression: int) -> None:
    field = entry.field
    text = field.dtype == "str"
    filled = int(np.prod(entry.shape)) > 0
    packed = compression > 0 and field.distributed and filled and entry.shape != ()
    # a variable of no length cannot be contiguous
    contiguous = not text and not packed and filled
    packing: dict[str, Any] = {}
    if packed:
        chunk = chunks(entry.shape, np.dtype(field.dtype).itemsize)
        packing = {"zlib": True, "complevel": compression, "chunksizes": chunk}
    variable = group.createVariable(
        field.name,
        str if text else field.dtype,
        field.dims,
        contiguous=contiguous,
        fill_value=None if text else False,
        **packing,
    )
    variable.setncatts(describe_variable(field))
    if field.view:
        variable.setncattr("hpcapp_view", field.view)
    if entry.value is not None:
        variable[...] = np.asarray(entry.value, object if text else field.dtype)
    elif contiguous:
        # HDF5 allocates a contiguous variable whole when the first byte arrives
        variable[tuple(n - 1 for n in entry.shape)] = 0


def set_attributes(
    path: str, attributes: Mapping[str, Any], sums: Mapping[str, str]
) -> None:
    """Set global attributes, and the checksum of each variable.

    Through netCDF4, since h5py writes attributes as another HDF5 type.

    Parameters
    ----------
    path : str
        A file whose data are complete.
    attributes : mapping
        Global attributes: text, integers, floats.
    sums : mapping
        From `Entry.path` to the checksum's text.
    """
    if _is_plain_hdf5(path):
        set_hdf5_attributes(path, attributes, sums)
        return
    import netCDF4

    with netCDF4.Dataset(path, "a") as file:
        file.setncatts(dict(attributes))
        for name, checksum in sums.items():
            file[name].setncattr("hpcapp_checksum", checksum)


def finish(temporary: str, final: str) -> None:
    """Make a file durable and give it its final name, replacing an old one.

    Parameters
    ----------
    temporary, final : str
        Names in the same directory.
    """
    _sync(temporary)
    os.replace(temporary, final)
    _sync(os.path.dirname(final) or ".")


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
