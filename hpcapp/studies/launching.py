# SPDX-License-Identifier: MIT
"""Runs of hpcapp started from a command that is itself not under MPI."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hpcapp.device import cores
from hpcapp.errors import HpcappError, LaunchError

__all__ = ["find_launcher", "launch", "launch_environ", "make_folder"]


def find_launcher(environ: Mapping[str, str], ranks: int) -> list[str]:
    """Return the command that starts some ranks.

    Parameters
    ----------
    environ : mapping
        The process environment.
    ranks : int
        How many.

    Returns
    -------
    list of str
        The mpirun beside this Python, else the one on PATH, else, inside of a Slurm
        job, srun.

    Raises
    ------
    LaunchError
        If there is none.
    """
    beside = Path(sys.executable).with_name("mpirun")
    path = environ.get("PATH", "")
    found = str(beside) if beside.exists() else shutil.which("mpirun", path=path)
    if found is not None:
        return [found, "-np", str(ranks)]
    srun = shutil.which("srun", path=path)
    if srun is not None and environ.get("SLURM_JOB_ID"):
        return [srun, "-n", str(ranks)]
    raise LaunchError(
        "launch: there is no mpirun beside this Python or on PATH, and no srun in a "
        "Slurm job; install one, for example with: pip install 'hpcapp[mpich]'"
    )


def launch_environ(environ: Mapping[str, str], ranks: int) -> dict[str, str]:
    """Return the environment in which mpirun starts some ranks on this machine.

    Parameters
    ----------
    environ : mapping
        The process environment, whose own settings stay.
    ranks : int
        How many.

    Returns
    -------
    dict of str to str
        With what Open MPI wants as root, and for more ranks than cores where no
        batch system shares out the cores.
    """
    wanted: dict[str, str] = {}
    if os.getuid() == 0:
        wanted["OMPI_ALLOW_RUN_AS_ROOT"] = "1"
        wanted["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    batch = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")
    if ranks > len(cores()) and not any(environ.get(name) for name in batch):
        wanted["OMPI_MCA_rmaps_base_oversubscribe"] = "1"
        wanted["OMPI_MCA_mpi_yield_when_idle"] = "1"
        wanted["PRTE_MCA_rmaps_default_mapping_policy"] = ":oversubscribe"
    return {**wanted, **environ}


def launch(
    ranks: int,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    launcher: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run hpcapp on some ranks, and wait for it.

    Parameters
    ----------
    ranks : int
        How many.
    arguments : sequence of str
        Of hpcapp.
    environ : mapping
        The process environment.
    launcher : sequence of str
        The command that starts the ranks; by default that of `find_launcher`.

    Returns
    -------
    subprocess.CompletedProcess
        With what it said.

    Raises
    ------
    LaunchError
        If there is no launcher.
    """
    launcher = launcher or find_launcher(environ, ranks)
    command = [*launcher, sys.executable, "-m", "hpcapp"]
    return subprocess.run(
        [*command, *arguments],
        env=launch_environ(environ, ranks),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def make_folder(directory: str, purpose: str) -> str:
    """Make an empty folder for results beside a run directory.

    Parameters
    ----------
    directory : str
        The run directory, which need not exist.
    purpose : str
        Such as ``verify``: part of the name.

    Returns
    -------
    str
        The folder.

    Raises
    ------
    HpcappError
        If nothing can be written there.
    """
    base = os.path.normpath(directory)
    parent = os.path.dirname(base)
    try:
        if parent:
            os.makedirs(parent, exist_ok=True)
        name = f"{os.path.basename(base)}.{purpose}-"
        return tempfile.mkdtemp(prefix=name, dir=parent or ".")
    except OSError as error:
        raise HpcappError(
            f"{parent or '.'}: the results to compare cannot be written there: "
            f"{error.strerror}"
        ) from None
