# SPDX-License-Identifier: MIT
"""Start and end of MPI, and the check that launcher and library agree."""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpcapp.clock import Clock
from hpcapp.errors import LaunchError

__all__ = [
    "Launch",
    "check_family",
    "check_launch",
    "find_launch",
    "host",
    "library",
    "start",
    "started",
]

# size and rank as each launcher tells its processes, the most specific first
LAUNCHERS = (
    ("Open MPI's mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("MVAPICH's mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
    ("MPICH's mpirun or a PMI launcher", "PMI_SIZE", "PMI_RANK"),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)


@dataclass(frozen=True)
class Launch:
    """What the launcher says of this process.

    Parameters
    ----------
    launcher : str
        In words; "" without a launcher.
    size, rank : int
        Processes started together, and the number of this one.
    """

    launcher: str
    size: int
    rank: int


def find_launch(environ: Mapping[str, str]) -> Launch:
    """Read size and rank from a launcher's environment variables.

    Parameters
    ----------
    environ : mapping
        The process environment.

    Returns
    -------
    Launch
        Of size 1 where no launcher is seen.
    """
    for launcher, size_name, rank_name in LAUNCHERS:
        size, rank = environ.get(size_name, ""), environ.get(rank_name, "0")
        if size.isdecimal() and rank.isdecimal():
            # a batch script itself is "step" 4294967291 of one task
            return Launch(launcher, int(size), int(rank))
    return Launch("", 1, 0)


def check_launch(launch: Launch, size: int, name: str, prefix: str = "") -> None:
    """Refuse to run where the launcher started more ranks than MPI sees.

    Parameters
    ----------
    launch : Launch
        What the launcher says.
    size : int
        Size of MPI's world.
    name : str
        The MPI library's name and version.
    prefix : str
        Where that library's launcher should be, for the advice.

    Raises
    ------
    LaunchError
        If MPI sees fewer: 16 runs of one rank would overwrite each other.
    """
    # more are fine: not every launcher is known by its variables
    if launch.size > size:
        raise LaunchError(
            f"launch: {launch.launcher} started {launch.size} processes, but {name} "
            f"sees a world of {size}: launcher and MPI library do not match; "
            f"{_advice(prefix)}"
        )


def check_family(launch: Launch, vendor: str, prefix: str = "") -> None:
    """Refuse to start MPI under the launcher of another family.

    Parameters
    ----------
    launch : Launch
        What the launcher says.
    vendor : str
        The MPI library's name, such as ``MPICH``.
    prefix : str
        Where that library's launcher should be, for the advice.

    Raises
    ------
    LaunchError
        If Open MPI's mpirun has started a library that is not Open MPI.
    """
    if launch.launcher == LAUNCHERS[0][0] and vendor != "Open MPI":
        raise LaunchError(
            f"launch: {launch.launcher} started {launch.size} processes, but the MPI "
            f"library is {vendor}: launcher and MPI library do not match; "
            f"{_advice(prefix)}"
        )


def _advice(prefix: str) -> str:
    hint = f"{prefix}/bin/mpirun" if prefix else "the mpirun of that library"
    return (
        f"start with {hint}, or with srun --mpi=pmix or pmi2 as the library needs; "
        "hpcapp doctor tells more"
    )


def start(clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> Any:
    """Initialise MPI and return the world's `Comm`.

    Parameters
    ----------
    clock : Clock, optional
        To charge waiting to.
    environ : mapping, optional
        The process environment, for the launcher's variables.

    Returns
    -------
    Comm
        The world.

    Raises
    ------
    LaunchError
        If MPI is missing, or launcher and library disagree.
    """
    environ = os.environ if environ is None else environ
    launch = find_launch(environ)
    try:
        import mpi4py

        # the library names itself before it is started: a launcher of another
        # family makes the start itself fail, with a message that helps nobody
        mpi4py.rc.initialize = False
        mpi4py.rc.finalize = True
        from mpi4py import MPI

        check_family(launch, MPI.get_vendor()[0], _prefix())
        # one thread talks to MPI, but only at this level does MPICH yield the core
        # while it waits: an Allreduce of 16 ranks on 2 cores took 0.2 ms instead
        # of 67 ms
        if not MPI.Is_initialized():
            MPI.Init_thread(MPI.THREAD_MULTIPLE)
        from hpcapp.mpi.comm import Comm
    except (ImportError, RuntimeError) as error:
        raise LaunchError(
            f"launch: no MPI library can be loaded ({error}); install one, for "
            "example with: pip install 'hpcapp[mpich]'"
        ) from None
    world = Comm(MPI.COMM_WORLD, clock)
    check_launch(launch, world.size, library(), _prefix())
    return world


def started() -> tuple[int, int] | None:
    """Return rank and size in MPI's world, without starting MPI.

    Returns
    -------
    (int, int) or None
        None where this process has not started it.
    """
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized():
        return None
    return mpi.COMM_WORLD.Get_rank(), mpi.COMM_WORLD.Get_size()


def library() -> str:
    """Return the MPI library's name and version, such as ``MPICH 5.0.2``."""
    from mpi4py import MPI

    name, version = MPI.get_vendor()
    return f"{name} {'.'.join(str(part) for part in version)}"


def host() -> str:
    """Return the short name of this node."""
    return socket.gethostname().partition(".")[0]


def _prefix() -> str:
    mpirun = os.path.join(sys.prefix, "bin", "mpirun")
    return sys.prefix if os.path.exists(mpirun) else ""
