# SPDX-License-Identifier: MIT
"""Results as lazy datasets, for notebooks and scripts."""

from typing import TYPE_CHECKING, Any

from hpcapp.errors import ResultError
from hpcapp.studies.results import result_path

if TYPE_CHECKING:
    import xarray

__all__ = ["open_result"]


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
