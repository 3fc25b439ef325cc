# SPDX-License-Identifier: MIT
"""Numerical work that people learn HPC Python on, run as a real MPI application."""

# as typing has it, which must not be loaded either
TYPE_CHECKING = False
if TYPE_CHECKING:
    import xarray

    from hpcapp.interactive.session import Session as Session

__all__ = ["__version__", "open", "open_snapshots"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Load what only notebooks use, when it is asked for."""
    if name == "Session":
        from hpcapp.interactive.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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


def open_snapshots(directory: str, **options: object) -> "xarray.Dataset":
    """Open the snapshots of a run as one lazy dataset; see `hpcapp.studies.opening`.

    Parameters
    ----------
    directory : str
        Of a run with `output.every` that goes on, was stopped, died or ended.
    **options : object
        Passed on to xarray.

    Returns
    -------
    xarray.Dataset
        With a dimension `snapshot`: steps done.
    """
    from hpcapp.studies.opening import open_snapshots as opened

    return opened(directory, **options)
