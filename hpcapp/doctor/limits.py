# SPDX-License-Identifier: MIT
"""What the machine can do at most, measured on the spot by all ranks at once.

A run is compared with these: bytes through memory, messages, bytes into files.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpcapp.doctor.trials import Exchange

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Limits", "measure_limits"]

# bytes of an array that is copied, beyond caches; how often
COPY, COPIES = 1 << 25, 4

# bytes that a rank writes at most, in what pieces, and seconds that this may take
FILE, PIECE, SECONDS = 1 << 25, 1 << 20, 2.0


@dataclass(frozen=True)
class Limits:
    """Rates of all ranks together.

    Parameters
    ----------
    memory : float
        Bytes read and written per second by copies of arrays beyond the caches.
    file : float
        Bytes per second into new files, one for each rank, fsync included; 0 where
        none can be written.
    create : float
        Seconds to make and remove an empty file.
    exchange : Exchange or None
        Messages between the first and the last rank; None for one rank.
    """

    memory: float
    file: float
    create: float
    exchange: Exchange | None


def measure_limits(
    comm: "Comm", directory: str, exchange: Exchange | None, writable: bool
) -> Limits:
    """Measure memory and files; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    directory : str
        Where to write.
    exchange : Exchange or None
        As measured.
    writable : bool
        Whether to try to write, the same on all ranks.

    Returns
    -------
    Limits
        The same on all ranks.
    """
    memory = sum(comm.all(_copy(comm)))
    if not writable:
        return Limits(memory, 0.0, 0.0, exchange)
    comm.barrier()
    written = comm.all(_write(directory, f".doctor-{os.getpid()}-{comm.rank}.part"))
    # the slowest ends it
    rate = sum(size for size, _ in written) / max(spent for _, spent in written)
    create = comm.broadcast(_create(directory) if comm.root else 0.0)
    return Limits(memory, rate, create, exchange)


def _copy(comm: "Comm") -> float:
    """Return this rank's bytes per second while all ranks copy."""
    source, target = np.ones(COPY // 8), np.zeros(COPY // 8)
    comm.barrier()
    begun = time.perf_counter()
    for _ in range(COPIES):
        np.copyto(target, source)
    return 2 * COPY * COPIES / max(time.perf_counter() - begun, 1e-9)


def _write(directory: str, name: str) -> tuple[int, float]:
    """Return the bytes that this rank has written, and the seconds that it took."""
    path, piece, size = os.path.join(directory, name), bytes(PIECE), 0
    begun = time.perf_counter()
    try:
        with open(path, "xb", buffering=0) as stream:
            while size < FILE and time.perf_counter() - begun < SECONDS:
                size += stream.write(piece)
            os.fsync(stream.fileno())
    except OSError:
        # a full disk: what was written counts
        pass
    spent = max(time.perf_counter() - begun, 1e-9)
    with suppress(OSError):
        os.unlink(path)
    return size, spent


def _create(directory: str) -> float:
    times = []
    for number in range(5):
        path = os.path.join(directory, f".doctor-{os.getpid()}-new-{number}.part")
        begun = time.perf_counter()
        try:
            with open(path, "xb"):
                pass
            os.unlink(path)
        except OSError:
            continue
        times.append(time.perf_counter() - begun)
    return float(np.median(times)) if times else 0.0
