# SPDX-License-Identifier: MIT
"""Numerical work that people learn HPC Python on, run as a real MPI application."""

# as typing has it, which must not be loaded either
TYPE_CHECKING = False
if TYPE_CHECKING:
    import xarray

__all__ = ["__version__", "open"]

__version__ = "0.1.0"


def open(path: str, **options: object) -> "xarray.Dataset":  # noqa: A001
    """Open a result as a lazy `xarray.Dataset`; see `hpcapp.studies.opening`.

    Parameters
    ----------
    path : str
        Result file, or run directory.
    **options : object
        Passed on to `xarray.open_dataset`, such as ``chunks={}`` for Dask arrays.

    Returns
    -------
    xarray.Dataset
        Values are read when they are asked for.
    """
    # here, since an import of hpcapp must load nothing
    from hpcapp.studies.opening import open_result

    return open_result(path, **options)
