# SPDX-License-Identifier: MIT
"""The layout of a result in HDF5 without the NetCDF library: `output.format: hdf5`.

The same variables, dimensions and attributes as `hpcapp.store.layout` makes, through
h5netcdf, which needs h5py alone: dimensions are HDF5's scales, so that h5py, h5dump,
MATLAB or Julia read it as plain HDF5, and xarray as a dataset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hpcapp.store.entry import (
    ALIGNMENT,
    STATE_GROUP,
    Entry,
    chunks,
    describe_variable,
)

__all__ = ["SUFFIX", "create_hdf5", "set_hdf5_attributes"]

SUFFIX = ".h5"


def create_hdf5(path: str, entries: Sequence[Entry], compression: int) -> None:
    """Lay out a file and write the replicated fields.

    Parameters
    ----------
    path : str
        A new file; one that stands there is replaced.
    entries : sequence of Entry
        What it will hold.
    compression : int
        0 for none, to 9 for the smallest files.
    """
    import h5netcdf

    least, multiple = ALIGNMENT
    with h5netcdf.File(
        path, "w", alignment_threshold=least, alignment_interval=multiple
    ) as file:
        for entry in entries:
            for name, length in zip(entry.field.dims, entry.shape, strict=True):
                if name not in file.dimensions:
                    file.dimensions[name] = length
        for entry in entries:
            group = file
            if not entry.field.published:
                found = STATE_GROUP in file.groups
                group = file[STATE_GROUP] if found else file.create_group(STATE_GROUP)
            _create_variable(group, entry, compression)


def _create_variable(group: Any, entry: Entry, compression: int) -> None:
    import h5py

    field, options = entry.field, {}
    text, filled = field.dtype == "str", int(np.prod(entry.shape)) > 0
    dtype = h5py.string_dtype() if text else np.dtype(field.dtype)
    if compression and field.distributed and filled and entry.shape != ():
        options = {"compression": "gzip", "compression_opts": compression}
        options |= {"shuffle": True, "chunks": chunks(entry.shape, dtype.itemsize)}
    variable = group.create_variable(field.name, field.dims, dtype, **options)
    variable.attrs.update(describe_variable(field))
    if entry.value is not None:
        if filled:
            variable[...] = np.asarray(entry.value, object if text else field.dtype)
    elif filled and not options:
        # HDF5 allocates a contiguous variable whole when the first byte arrives
        variable[tuple(n - 1 for n in entry.shape)] = 0


def set_hdf5_attributes(
    path: str, attributes: Mapping[str, Any], sums: Mapping[str, str]
) -> None:
    """Set global attributes, and the checksum of each variable.

    Parameters
    ----------
    path : str
        A file whose data are complete.
    attributes : mapping
        Global attributes: text, integers, floats.
    sums : mapping
        From `Entry.path` to the checksum's text.
    """
    import h5netcdf

    with h5netcdf.File(path, "a") as file:
        file.attrs.update(dict(attributes))
        for name, checksum in sums.items():
            file[name].attrs["hpcapp_checksum"] = checksum
