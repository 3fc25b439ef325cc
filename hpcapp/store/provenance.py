# SPDX-License-Identifier: MIT
"""What a file says of its origin: CF and ACDD attributes, and our own."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import hpcapp
from hpcapp.store.layout import FORMAT

__all__ = ["Origin", "describe", "git_state", "installed", "versions"]

LIBRARIES = ("numpy", "numba", "mpi4py", "h5py", "netCDF4")

# what kernels on GPUs are made with, by CUDA's major version: named where it is there
CUDA = (
    *("numba-cuda", "cuda-bindings", "cuda-core", "nvidia-nvvm"),
    *("nvidia-cuda-nvrtc", "nvidia-nvjitlink", "nvidia-cuda-runtime"),
    *("nvidia-cuda-nvrtc-cu12", "nvidia-nvjitlink-cu12", "nvidia-cuda-runtime-cu12"),
)


@dataclass(frozen=True)
class Origin:
    """What is known of a run from its start.

    Parameters
    ----------
    workload, summary : str
        Its name and one line on what it computes.
    config : str
        The whole configuration as YAML.
    command : str
        The command line.
    mpi : str
        The MPI library.
    seed : int
        Seed of random workloads.
    layout : mapping
        Ranks, process grid, threads, hosts, cores of each host.
    device, writer, transport : str
        What was chosen, and for what reason.
    """

    workload: str
    summary: str
    config: str
    command: str
    mpi: str
    seed: int
    layout: Mapping[str, Any]
    device: str
    writer: str
    transport: str = "host"


def installed(mpi: str) -> dict[str, str]:
    """Return versions as installed, without importing the libraries.

    Parameters
    ----------
    mpi : str
        The MPI library.

    Returns
    -------
    dict of str to str
        Of program, Python, MPI and libraries; "missing" where no version is
        recorded. What only GPUs need is left out where it is not installed.
    """
    found = {"hpcapp": hpcapp.__version__, "Python": platform.python_version()}
    found["MPI"] = mpi
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            # some sites install without it; a result must not fail for that
            found[name] = "missing"
    for name in CUDA:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def versions(mpi: str) -> dict[str, str]:
    """Return the versions of everything that computes or writes."""
    import h5py

    return {**installed(mpi), "HDF5": h5py.version.hdf5_version}


def git_state() -> str:
    """Return the commit that hpcapp runs from, "-dirty" if changed, "" if none."""
    folder = os.path.dirname(os.path.abspath(hpcapp.__file__))
    if not os.path.exists(os.path.join(os.path.dirname(folder), ".git")):
        return ""
    command = ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def describe(
    origin: Origin,
    phases: Mapping[str, Mapping[str, float]],
    outcome: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the global attributes of a file.

    Parameters
    ----------
    origin : Origin
        The run.
    phases : mapping
        Seconds of each phase: min, mean and max over ranks.
    outcome : mapping
        Further attributes: ``converged``, ``hpcapp_state``.

    Returns
    -------
    dict
        Text and numbers. CF 1.11, section 2.6; ACDD 1.3.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    facts = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"hpcapp {origin.workload}: {origin.summary}",
        "summary": origin.summary,
        "keywords": f"hpcapp, {origin.workload}, MPI, HPC, Python",
        "source": f"hpcapp {hpcapp.__version__}",
        "history": f"{now}: {origin.command}",
        "date_created": now,
        "hpcapp_format": FORMAT,
        "hpcapp_workload": origin.workload,
        "hpcapp_config": origin.config,
        "hpcapp_versions": json.dumps(versions(origin.mpi)),
        "hpcapp_git": git_state(),
        "hpcapp_seed": str(origin.seed),
        "hpcapp_layout": json.dumps(origin.layout),
        "hpcapp_device": origin.device,
        "hpcapp_writer": origin.writer,
        "hpcapp_transport": origin.transport,
        "hpcapp_timings": json.dumps(phases),
    }
    return {**facts, **outcome}
