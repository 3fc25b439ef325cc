# SPDX-License-Identifier: MIT
"""What else happens on this machine while something is measured. Linux; no MPI."""

import hashlib
import os
import platform
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hpcapp.device import cores

__all__ = [
    "Glance",
    "Watch",
    "calibrate",
    "cpu_model",
    "glance",
    "quota",
    "siblings",
    "watch",
]

# the calibration kernel: this many times the hash of a megabyte, which stays in cache;
# about 15 ms where the processor has instructions for it, five times that elsewhere
HASHES = 24
BLOCK = bytes(1 << 20)


@dataclass(frozen=True)
class Glance:
    """Counters of the kernel at one time; 0 where there is none.

    Parameters
    ----------
    at : float
        The time, s.
    busy, stolen : float
        Seconds that our cores worked, and that the hypervisor gave to others.
    own : float
        Seconds of our children that have ended.
    throttled : float
        Seconds that the control group kept us waiting at its CPU limit.
    pressed : int
        Times that it has reached its memory limit.
    swapped : int
        Pages swapped in and out on this machine.
    """

    at: float
    busy: float
    stolen: float
    own: float
    throttled: float
    pressed: int
    swapped: int


@dataclass(frozen=True)
class Watch:
    """What happened between two glances.

    Parameters
    ----------
    elapsed : float
        Seconds.
    others : float
        Cores that other programs kept busy, on average, among those we may use.
    stolen : float
        Cores that the hypervisor took.
    throttled : float
        Cores that the control group took at its CPU limit.
    pressed, swapped : int
        See `Glance`.
    slowness : float
        Time of the calibration kernel just before and after, over its best of the
        study; 1 where it was not measured.
    """

    elapsed: float
    others: float = 0.0
    stolen: float = 0.0
    throttled: float = 0.0
    pressed: int = 0
    swapped: int = 0
    slowness: float = 1.0


def calibrate(threads: int) -> float:
    """Do fixed work on several cores at the same time; return the slowest's seconds.

    Parameters
    ----------
    threads : int
        Cores, >= 1.

    Returns
    -------
    float
        Longer where clocks are lower or other programs run.
    """
    if threads == 1:
        return _hash_blocks()
    with ThreadPoolExecutor(threads) as pool:
        return max(pool.map(lambda _: _hash_blocks(), range(threads)))


def _hash_blocks() -> float:
    begun = time.perf_counter()
    for _ in range(HASHES):
        hashlib.sha256(BLOCK, usedforsecurity=False).digest()
    return time.perf_counter() - begun


def glance(root: str = "/") -> Glance:
    """Read the counters.

    Parameters
    ----------
    root : str
        Where ``proc`` and ``sys`` are, for tests.

    Returns
    -------
    Glance
        As of now.
    """
    busy, stolen = _core_seconds(root)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    swaps = [
        int(line.split()[1])
        for line in _read(root, "proc/vmstat").splitlines()
        if line.startswith(("pswpin ", "pswpout "))
    ]
    throttled, pressed = 0.0, 0
    for folder in _groups(root):
        throttled += _throttled(root, folder)
        pressed += _pressed(root, folder)
    return Glance(
        at=time.monotonic(),
        busy=busy,
        stolen=stolen,
        own=children.ru_utime + children.ru_stime,
        throttled=throttled,
        pressed=pressed,
        swapped=sum(swaps),
    )


def watch(before: Glance, after: Glance, slowness: float = 1.0) -> Watch:
    """Return what happened between two glances.

    Parameters
    ----------
    before, after : Glance
        In this order.
    slowness : float
        Of the calibration kernel.

    Returns
    -------
    Watch
        Rates in cores.
    """
    elapsed = max(after.at - before.at, 1e-9)
    own = after.own - before.own
    return Watch(
        elapsed=elapsed,
        others=max(0.0, after.busy - before.busy - own) / elapsed,
        stolen=max(0.0, after.stolen - before.stolen) / elapsed,
        throttled=max(0.0, after.throttled - before.throttled) / elapsed,
        pressed=max(0, after.pressed - before.pressed),
        swapped=max(0, after.swapped - before.swapped),
        slowness=slowness,
    )


def _core_seconds(root: str) -> tuple[float, float]:
    """Return busy and stolen seconds of the cores that we may use; proc(5)."""
    mine = {f"cpu{core}" for core in cores()}
    busy = stolen = 0
    for line in _read(root, "proc/stat").splitlines():
        name, *texts = line.split()
        if name in mine:
            user, nice, system, _, _, irq, soft, steal = map(int, texts[:8])
            busy += user + nice + system + irq + soft
            stolen += steal
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, stolen / tick


def quota(root: str = "/") -> float:
    """Return the cores' worth of time that the control group allows, or infinity."""
    found = [float("inf")]
    for folder in _groups(root):
        limit, *period = (_read(root, f"{folder}/cpu.max") or "max").split()
        if limit.isdecimal() and period:
            found.append(int(limit) / int(period[0]))
        allowed = _read(root, f"{folder}/cpu.cfs_quota_us").strip()
        every = _read(root, f"{folder}/cpu.cfs_period_us").strip()
        if allowed.isdecimal() and every.isdecimal():
            found.append(int(allowed) / int(every))
    return min(found)


def _throttled(root: str, folder: str) -> float:
    # version 2 counts in microseconds, version 1 in nanoseconds
    units = {"throttled_usec": 1e-6, "throttled_time": 1e-9}
    pairs = [line.split() for line in _read(root, f"{folder}/cpu.stat").splitlines()]
    return sum(int(pair[1]) * units[pair[0]] for pair in pairs if pair[0] in units)


def _pressed(root: str, folder: str) -> int:
    lines = _read(root, f"{folder}/memory.events").splitlines()
    pairs = [line.split() for line in lines]
    events = [int(pair[1]) for pair in pairs if pair[0] in ("high", "max", "oom")]
    failures = _read(root, f"{folder}/memory.failcnt").strip()
    return sum(events) + (int(failures) if failures.isdecimal() else 0)


def _groups(root: str) -> Iterator[str]:
    """Return the folders of our control groups and of all above them."""
    base = "sys/fs/cgroup"
    for line in _read(root, "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        names = controllers.split(",")
        wanted = [name for name in ("cpu", "memory") if name in names]
        tops = [f"{base}/{name}" for name in wanted]
        for top in tops if controllers else [base]:
            folder = f"{top}{group}".rstrip("/")
            while folder.startswith(top):
                yield folder
                folder = os.path.dirname(folder)


def siblings(root: str = "/") -> dict[int, int]:
    """Return a physical core for each core that the system counts.

    Parameters
    ----------
    root : str
        Where ``sys`` is, for tests.

    Returns
    -------
    dict of int to int
        The first of those that share it; only of this machine, and empty where it
        does not tell.
    """
    found = {}
    for core in cores():
        name = f"sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list"
        first = _read(root, name).replace("-", ",").split(",")[0].strip()
        if first.isdecimal():
            found[core] = int(first)
    return found


def cpu_model(root: str = "/") -> str:
    """Return the processor's name as the system tells it."""
    for line in _read(root, "proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def _read(root: str, name: str) -> str:
    try:
        return Path(root, name).read_text()
    except OSError:
        return ""
