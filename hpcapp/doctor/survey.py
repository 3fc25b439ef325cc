# SPDX-License-Identifier: MIT
"""What each rank sees of its machine, gathered on all ranks."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcapp.device import cache_fault, cores
from hpcapp.doctor.trials import file_system, shared, visible_gpus
from hpcapp.gpu.choice import find_gpu
from hpcapp.gpu.hardware import Gpu
from hpcapp.mpi import world
from hpcapp.planning import memory_limit
from hpcapp.store.provenance import installed

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Rank", "look_around"]


@dataclass(frozen=True)
class Rank:
    """One rank's view; plain data that travels.

    Parameters
    ----------
    host : str
        Name of its node.
    cores, allowed : tuple of int
        Cores that it is bound to, and those that it could be bound to.
    memory : int
        Bytes that may be used on its node.
    versions : mapping
        Of the program and its libraries; "missing" where there is none.
    start_seconds, numba_seconds : float
        Import and start of MPI, and import of Numba; the latter -1 if it fails.
    cache : str
        Folder of compiled kernels.
    cache_fault : str
        Why kernels cannot be kept there, and what to do; or "".
    cache_shared : str
        The file system of that folder if nodes share it, else "".
    gpus, visible : tuple of str
        UUIDs of the node's GPUs, and of those that this rank sees.
    gpu : str
        The GPU that this rank would use, with its driver; "" where it cannot use one.
    gpu_fault : str
        Why it cannot, where its node has GPUs, and what to do; else "".
    """

    host: str
    cores: tuple[int, ...]
    allowed: tuple[int, ...]
    memory: int
    versions: Mapping[str, str]
    start_seconds: float
    numba_seconds: float
    cache: str
    cache_fault: str
    cache_shared: str
    gpus: tuple[str, ...] = ()
    visible: tuple[str, ...] = ()
    gpu: str = ""
    gpu_fault: str = ""


def look_around(
    comm: "Comm", start_seconds: float, gpus: tuple[str, ...] = ()
) -> list[Rank]:
    """Return what all ranks see; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    start_seconds : float
        What import and start of MPI took on this rank.
    gpus : tuple of str
        UUIDs of this node's.

    Returns
    -------
    list of Rank
        In rank order, on all ranks.
    """
    cache = os.environ.get("NUMBA_CACHE_DIR", "")
    gpu = find_gpu(os.environ) if gpus else Gpu()
    mine = Rank(
        host=world.host(),
        cores=cores(),
        allowed=_allowed(),
        memory=memory_limit(os.environ),
        versions=installed(world.library()),
        start_seconds=start_seconds,
        numba_seconds=_time_numba(),
        cache=cache,
        cache_fault=cache_fault(os.environ),
        cache_shared=shared(file_system(cache)),
        gpus=gpus,
        visible=visible_gpus(gpus, os.environ),
        gpu="" if gpu.fault else gpu.text,
        gpu_fault=gpu.fault,
    )
    return comm.all(mine)


def _allowed() -> tuple[int, ...]:
    """Return the cores that the control group leaves to this process."""
    mine = cores()
    if not hasattr(os, "sched_setaffinity"):
        return mine
    try:
        # the kernel cuts the wish down to what is allowed, and tells
        os.sched_setaffinity(0, range(os.sysconf("SC_NPROCESSORS_CONF")))
        return cores()
    except (OSError, ValueError):
        return mine
    finally:
        os.sched_setaffinity(0, mine)


def _time_numba() -> float:
    begun = time.perf_counter()
    try:
        import numba  # noqa: F401
    except ImportError:
        return -1.0
    return time.perf_counter() - begun
