# SPDX-License-Identifier: MIT
"""Results as lazy datasets, for notebooks and scripts."""

import os
from typing import TYPE_CHECKING, Any

from hpcapp.errors import ResultError
from hpcapp.store.snapshots import SNAPSHOTS, find_snapshots
from hpcapp.studies.results import result_path

if TYPE_CHECKING:
    import xarray

__all__ = ["open_result", "open_snapshots"]


def open_result(path: str, **options: Any) -> "xarray.Dataset":
    """Open a result without reading its data.

    Parameters
    ----------
    path : str
        Result file, or run directory.
    **options : object
        Passed on to `xarray.open_dataset`, such as ``chunks={}`` for Dask arrays.

    Returns
    -------
    xarray.Dataset
        Values are read when they are asked for; to be closed by the caller.

    Raises
    ------
    ResultError
        If there is no result, or it cannot be read.
    """
    import xarray

    file = result_path(str(path))
    try:
        return xarray.open_dataset(file, **options)
    except (OSError, ValueError) as error:
        raise ResultError(f"{file}: cannot be opened as NetCDF-4: {error}") from None


def open_snapshots(directory: str, **options: Any) -> "xarray.Dataset":
    """Open the snapshots of a run as one dataset without reading their data.

    Parameters
    ----------
    directory : str
        Of a run with `output.every` that goes on, was stopped, died or ended.
    **options : object
        Passed on to `xarray.open_dataset` or, for several files, `open_mfdataset`.

    Returns
    -------
    xarray.Dataset
        With a dimension `snapshot`: steps done. To be closed by the caller.

    Raises
    ------
    ResultError
        If there are none, they cannot be read, or there are several files and no Dask.
    """
    import xarray

    whole = os.path.join(directory, SNAPSHOTS)
    files = [whole] if os.path.exists(whole) else []
    files += [path for _, path in find_snapshots(str(directory))]
    if not files:
        raise ResultError(
            f"{directory}: has no snapshots: output.every of the run makes them"
        )
    try:
        if len(files) == 1:
            return xarray.open_dataset(files[0], **options)
        return xarray.open_mfdataset(
            files,
            combine="nested",
            concat_dim="snapshot",
            data_vars="minimal",
            coords="minimal",
            compat="override",
            combine_attrs="override",
            **options,
        )
    except ImportError:
        raise ResultError(
            f"{directory}: {len(files)} files are opened as one by Dask, which is not "
            "installed: pip install dask"
        ) from None
    except (OSError, ValueError) as error:
        raise ResultError(
            f"{directory}: snapshots cannot be opened as NetCDF-4: {error}"
        ) from None
