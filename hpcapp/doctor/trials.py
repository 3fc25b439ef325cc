# SPDX-License-Identifier: MIT
"""What is tried on all ranks: writing into a directory, messages; what they see."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Exchange",
    "Trial",
    "file_system",
    "ping_pong",
    "shared",
    "try_directory",
    "visible_gpus",
]

# shared by nodes: slow for many small files, and renames may not be atomic
SHARED = ("nfs", "lustre", "gpfs", "beegfs", "ceph", "cifs", "afs", "panfs", "wekafs")

SMALL, LARGE = 8, 1 << 20


@dataclass(frozen=True)
class Trial:
    """What came of writing into a directory.

    Parameters
    ----------
    directory : str
        As given.
    fault : str
        Why rank 0 cannot write there, or "".
    blind : tuple of int
        Ranks that do not see what rank 0 wrote.
    direct : str
        Why MPI-IO does not work there, or "".
    system : str
        Type of the file system, "" if unknown.
    """

    directory: str
    fault: str
    blind: tuple[int, ...]
    direct: str
    system: str


@dataclass(frozen=True)
class Exchange:
    """Messages to and fro between rank 0 and the last rank.

    Parameters
    ----------
    latency : float
        Seconds for 8 bytes one way, median.
    rate : float
        Bytes per second of 1 MiB messages, median.
    """

    latency: float
    rate: float


def try_directory(comm: "Comm", directory: str) -> Trial:
    """Write into a directory in all ways that a run might; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    directory : str
        Where results are to go.

    Returns
    -------
    Trial
        The same on all ranks.
    """
    from hpcapp.mpi.files import blind_ranks, probe

    system = comm.broadcast(file_system(directory))
    blind, fault = blind_ranks(comm, directory)
    direct = "" if blind or fault else probe(comm, directory)
    return Trial(directory, fault, blind, direct, system)


def ping_pong(comm: "Comm") -> Exchange | None:
    """Time messages between the first and the last rank; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.

    Returns
    -------
    Exchange or None
        The same on all ranks; None for one rank.
    """
    if comm.size == 1:
        return None
    small = _half_round_trip(comm, np.zeros(SMALL, np.uint8), 40)
    large = _half_round_trip(comm, np.zeros(LARGE, np.uint8), 8)
    return comm.broadcast(Exchange(small, LARGE / large))


def _half_round_trip(comm: "Comm", data: np.ndarray, repeats: int) -> float:
    # without what shows that a rank waits: that takes as long as a small message
    last, times, raw = comm.size - 1, [], comm.raw
    # the first ones pay for the connection
    for _ in range(repeats + 2):
        begun = time.perf_counter()
        if comm.root:
            raw.Ssend(data, last)
            raw.Recv(data, last)
        elif comm.rank == last:
            raw.Recv(data, 0)
            raw.Ssend(data, 0)
        times.append((time.perf_counter() - begun) / 2)
    # ranks that take no part measure nothing: rank 0's value counts
    return max(float(np.median(times[2:])), 1e-9)


def file_system(path: str, mounts: str = "/proc/self/mounts") -> str:
    """Return the type of the file system that holds a path.

    Parameters
    ----------
    path : str
        It need not exist.
    mounts : str
        The kernel's table, for tests.

    Returns
    -------
    str
        Such as ``ext4`` or ``nfs4``; "" where the system does not tell.
    """
    real = os.path.realpath(path)
    longest, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                fields = line.split()
                place = fields[1].replace("\\040", " ")
                inside = place == "/" or real == place or real.startswith(place + "/")
                if inside and len(place) >= len(longest):
                    longest, kind = place, fields[2]
    except (OSError, IndexError):
        return ""
    return kind


def shared(system: str) -> str:
    """Return a type of file system if nodes share it, else ""."""
    return system if system.removeprefix("fuse.").startswith(SHARED) else ""


def visible_gpus(gpus: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the GPUs that ``CUDA_VISIBLE_DEVICES`` leaves to a rank.

    Parameters
    ----------
    gpus : sequence of str
        UUIDs of the node's.
    environ : mapping
        The rank's environment.

    Returns
    -------
    tuple of str
        In its order; as CUDA does, nothing after the first that does not exist.
    """
    wanted = environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is None:
        return tuple(gpus)
    found: list[str] = []
    for name in filter(None, (part.strip() for part in wanted.split(","))):
        if name.isdecimal():
            match = [gpus[int(name)]] if int(name) < len(gpus) else []
        else:
            match = [gpu for gpu in gpus if gpu.startswith(name)]
        if len(match) != 1:
            break
        found += match
    return tuple(found)
