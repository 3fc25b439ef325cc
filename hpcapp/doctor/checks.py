# SPDX-License-Identifier: MIT
"""The command `doctor`, under the real launcher or alone."""

import os
from typing import TYPE_CHECKING

from hpcapp.doctor import findings as check
from hpcapp.doctor.findings import Finding
from hpcapp.doctor.gpus import check_gpus, node_gpus
from hpcapp.doctor.limits import measure_limits
from hpcapp.doctor.report import Report, tabulate
from hpcapp.doctor.survey import Rank, look_around
from hpcapp.doctor.trials import ping_pong, try_directory
from hpcapp.errors import Exit, LaunchError
from hpcapp.mpi import world
from hpcapp.store.provenance import installed

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["report_launch", "run_doctor"]

HINT = "; hpcapp doctor tells more"


def run_doctor(
    comm: "Comm", directory: str, as_json: bool, start_seconds: float = 0.0
) -> int:
    """Check the machine and report on rank 0; collective.

    Parameters
    ----------
    comm : Comm
        All ranks.
    directory : str
        Where results are to go.
    as_json : bool
        One object instead of text.
    start_seconds : float
        What import and start of MPI took on this rank.

    Returns
    -------
    int
        `Exit.FAILED` if there is a fault, the same on all ranks.
    """
    gpus = node_gpus(comm)
    ranks = look_around(comm, start_seconds, gpus)
    trial = try_directory(comm, directory)
    exchange = ping_pong(comm)
    good = not (trial.fault or trial.blind)
    limits = measure_limits(comm, directory, exchange, good)
    found = [
        _launcher(comm.size, ranks[0]),
        *check.check_versions(ranks),
        *check.check_cores(ranks),
        *check.check_memory(ranks),
        *check.check_directory(trial, comm.size),
        *check.check_messages(exchange, ranks),
        *check.check_limits(limits, trial),
        *check_gpus(ranks),
        *check.check_imports(ranks),
        *check.check_cache(ranks),
    ]
    code = Exit.DONE
    if comm.root:
        shown, fault = _with_formats(dict(ranks[0].versions))
        if fault:
            found.append(fault)
        report = Report(comm.size, shown, tabulate(ranks), found, limits)
        print(report.as_json() if as_json else report.text(), flush=True)
        code = Exit.FAILED if report.faults else Exit.DONE
    return int(comm.broadcast(code))


def report_launch(error: LaunchError, as_json: bool) -> int:
    """Report that MPI cannot be used as it was started.

    Parameters
    ----------
    error : LaunchError
        From `world.start`.
    as_json : bool
        One object instead of text.

    Returns
    -------
    int
        `Exit.FAILED`. Only the launcher's first process prints.
    """
    launch = world.find_launch(os.environ)
    if launch.rank == 0:
        message = str(error).removeprefix("launch: ").removesuffix(HINT)
        text, _, fix = message.partition("; ")
        found = [Finding("fault", "launcher", text, fix)]
        report = Report(launch.size, installed(_library()), (), found)
        print(report.as_json() if as_json else report.text(), flush=True)
    return Exit.FAILED


def _library() -> str:
    try:
        return world.library()
    except (ImportError, RuntimeError):
        return "missing"


def _launcher(size: int, first: Rank) -> Finding:
    library = first.versions["MPI"]
    launcher = world.find_launch(os.environ).launcher
    if launcher:
        text = f"{launcher} started {size} ranks, {library} sees as many"
        return Finding("ok", "launcher", text)
    fix = "to check more, start it as you start runs: mpirun -n 4 hpcapp doctor"
    return Finding("ok", "launcher", f"none: one rank, {library}", fix)


def _with_formats(found: dict[str, str]) -> tuple[dict[str, str], Finding | None]:
    """Add the versions of HDF5 and NetCDF, which only the loaded libraries tell."""
    try:
        import h5py
        import netCDF4
    except ImportError as error:
        fix = "install h5py and netCDF4 from wheels, or both from the site's modules"
        return found, Finding("fault", "formats", f"cannot be loaded: {error}", fix)
    found["HDF5"] = h5py.version.hdf5_version
    found["netCDF-C"] = str(netCDF4.__netcdf4libversion__)
    return found, None
