# SPDX-License-Identifier: MIT
"""What a run will need, before it runs: blocks, halo, memory, output. No MPI."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hpcapp.decomposition import Layout, halo_sent
from hpcapp.device import cores, share_threads
from hpcapp.errors import ConfigError, PlanError
from hpcapp.fields import Field
from hpcapp.problem import Problem
from hpcapp.workload import Network

__all__ = [
    "BASELINE",
    "Plan",
    "check_memory",
    "estimate_save",
    "make_plan",
    "memory_limit",
    "show_bytes",
]

# resident bytes of a rank before it owns an array: Python, NumPy, Numba with
# compiled kernels, MPI: 200 MB measured, 235 MB on rank 0, which has HDF5
BASELINE = 220_000_000

# bytes per second that one node gets into a file at least: an old disk, a share of
# a busy file server. Local disks reached 1.6 GB/s. It holds until a checkpoint was
# written: too low a value ends a job early, too high a value loses its work.
SAVE_RATE = 100e6


@dataclass(frozen=True)
class Plan:
    """The shape of a run.

    Parameters
    ----------
    workload : str
        Its name.
    ranks, used : int
        Ranks in all, and those that own a block.
    dims, shape, grid : tuple
        Axes, global points and ranks along each.
    smallest, largest : tuple of int
        Extents of the smallest and largest block among those that own one.
    halo_depth : int
        Points exchanged with each neighbour; 0 without neighbours.
    halo_messages, halo_bytes : int
        What a rank sends in one exchange, at most.
    array_bytes : tuple of int
        Arrays of each rank.
    rank_bytes : int
        Peak of the largest rank, libraries included.
    output_bytes : int
        Size of the data in the result.
    threads : int
        Of each rank, if all ranks share this machine's cores.
    cores : int
        Of this machine that may be used.
    device : str
        As configured, and why it is not the GPU where that is known before a run.
    gpu_bytes, pinned_bytes : tuple of int
        Of each rank: arrays on its GPU, buffers of the host for messages from there;
        none where the kernels run on the CPU, 0 where the workload does not tell.
    more : tuple of (str, str)
        Names and texts that only this kind of workload has.
    """

    workload: str
    ranks: int
    used: int
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    grid: tuple[int, ...]
    smallest: tuple[int, ...]
    largest: tuple[int, ...]
    halo_depth: int
    halo_messages: int
    halo_bytes: int
    array_bytes: tuple[int, ...]
    rank_bytes: int
    output_bytes: int
    threads: int
    cores: int
    device: str
    gpu_bytes: tuple[int, ...] = ()
    pinned_bytes: tuple[int, ...] = ()
    more: tuple[tuple[str, str], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for ``--json``."""
        return asdict(self)

    def text(self) -> str:
        """Return the plan in a form to read."""
        grid = _times(self.grid)
        blocks = _times(self.smallest)
        if self.smallest != self.largest:
            blocks += f" to {_times(self.largest)}"
        idle = self.ranks - self.used
        rows = [
            ("workload", self.workload),
            ("domain", f"{_times(self.shape)} points ({', '.join(self.dims)})"),
            ("process grid", grid + (f", {idle} ranks own nothing" if idle else "")),
            ("blocks", blocks),
            (
                "halo",
                f"depth {self.halo_depth}; a rank sends at most {self.halo_messages} "
                f"messages, {show_bytes(self.halo_bytes)} in an exchange"
                if self.halo_depth
                else "none",
            ),
            (
                "memory",
                f"{show_bytes(max(self.array_bytes))} of arrays in the largest rank, "
                f"{show_bytes(self.rank_bytes)} with libraries; "
                f"{show_bytes(self.total_bytes)} in all",
            ),
            ("output", show_bytes(self.output_bytes)),
            (
                "threads",
                f"{self.threads} a rank on the {self.cores} cores of this machine",
            ),
            ("device", self.device),
            *self._gpu_rows(),
            *self.more,
        ]
        return "\n".join(f"{name:<13} {value}" for name, value in rows)

    def _gpu_rows(self) -> list[tuple[str, str]]:
        if not any(self.gpu_bytes):
            return []
        text = f"{show_bytes(max(self.gpu_bytes))} of arrays in the largest rank"
        if self.ranks > 1:
            total = show_bytes(sum(self.gpu_bytes))
            text += f", {total} in all; ranks that share a GPU add up"
        if any(self.pinned_bytes):
            text += f"; {show_bytes(max(self.pinned_bytes))} of buffers on the host"
        return [("GPU memory", text)]

    @property
    def total_bytes(self) -> int:
        """Peak of all ranks together."""
        return sum(self.array_bytes) + self.ranks * BASELINE


def make_plan(problem: Problem, ranks: int, network: Network | None = None) -> Plan:
    """Work out what a run needs.

    Parameters
    ----------
    problem : Problem
        A valid configuration.
    ranks : int
        Number of ranks.
    network : Network, optional
        For modelled times on many ranks.

    Returns
    -------
    Plan
        Nothing was computed or communicated.

    Raises
    ------
    ConfigError
        If the process grid does not fit, or there is no model of times.
    """
    workload, layout = problem.workload, problem.layout(ranks)
    domain = layout.domain
    shapes = [layout.block(rank).shape for rank in range(layout.used)]
    depth = workload.halo(layout) if layout.used > 1 else 0
    senders = range(layout.used) if depth else ()
    sent = [halo_sent(layout, rank, depth) for rank in senders]
    arrays = tuple(workload.memory(layout, rank) for rank in range(ranks))
    mask = ("here", cores())
    config, gpu = problem.config, _gpu_memory(problem, layout, ranks)
    return Plan(
        workload=config.workload,
        ranks=ranks,
        used=layout.used,
        dims=domain.dims,
        shape=domain.shape,
        grid=layout.grid,
        smallest=min(shapes, key=prod),
        largest=max(shapes, key=prod),
        halo_depth=depth,
        halo_messages=max((count for count, _ in sent), default=0),
        halo_bytes=max((size for _, size in sent), default=0),
        array_bytes=arrays,
        rank_bytes=max(arrays) + BASELINE,
        output_bytes=_output_bytes(problem),
        threads=share_threads(config.run.threads, [mask] * ranks, 0),
        cores=len(mask[1]),
        device=_device(problem),
        gpu_bytes=tuple(there for there, _ in gpu),
        pinned_bytes=tuple(here for _, here in gpu),
        more=_more_rows(problem, layout, network),
    )


def _device(problem: Problem) -> str:
    wanted, reason = problem.config.run.device, problem.workload.without_gpu()
    if wanted == "cpu" or not reason:
        return wanted
    return f"{'cpu' if wanted == 'auto' else 'none'} ({wanted}: {reason})"


def _gpu_memory(problem: Problem, layout: Layout, ranks: int) -> list[tuple[int, int]]:
    if problem.config.run.device == "cpu" or problem.workload.without_gpu():
        return []
    return [problem.workload.gpu_memory(layout, rank) for rank in range(ranks)]


def _more_rows(
    problem: Problem, layout: Layout, network: Network | None
) -> tuple[tuple[str, str], ...]:
    plain = problem.workload.plan_rows(layout)
    if network is None:
        return plain
    rows = problem.workload.plan_rows(layout, network)
    if rows == plain:
        raise ConfigError(
            f"--network: {problem.config.workload} has no model of its times with "
            "these parameters; leave it out"
        )
    return rows


def _output_bytes(problem: Problem) -> int:
    return _bytes(problem, [f for f in problem.workload.fields() if f.published])


def _bytes(problem: Problem, fields: Sequence[Field]) -> int:
    domain = problem.workload.domain()
    lengths = dict(zip(domain.dims, domain.shape, strict=True))
    total = 0
    for field in fields:
        if field.dtype != "str":
            extents = [lengths.get(dim, 1) for dim in field.dims]
            total += np.dtype(field.dtype).itemsize * prod(extents)
    return total


def estimate_save(problem: Problem, streams: int) -> float:
    """Return the seconds to allow for a checkpoint before one was written.

    Parameters
    ----------
    problem : Problem
        What runs; a dimension that is still open counts as 1.
    streams : int
        Nodes that write at the same time, >= 1.

    Returns
    -------
    float
        At most a quarter of the wall time: twice that is kept free, and a run
        must get to compute, or a chain of jobs would never end.
    """
    saved = [field for field in problem.workload.fields() if field.saved]
    seconds = _bytes(problem, saved) / (SAVE_RATE * streams)
    wall_time = problem.config.run.wall_time
    return seconds if wall_time is None else min(seconds, wall_time / 4)


def check_memory(
    problem: Problem, plan: Plan, nodes: Sequence[str], limits: Mapping[str, int]
) -> str:
    """Tell whether a run fits into the memory of its nodes.

    Parameters
    ----------
    problem : Problem
        With ``run.memory``.
    plan : Plan
        With the bytes of each rank.
    nodes : sequence of str
        Node of each rank.
    limits : mapping
        Bytes that may be used on each node.

    Returns
    -------
    str
        "" if it fits, else the message, where `run.memory` is warn or off.

    Raises
    ------
    PlanError
        If it does not fit and `run.memory` is check.
    """
    ranks, needs = Counter(nodes), Counter[str]()
    for rank, node in enumerate(nodes):
        needs[node] += plan.array_bytes[rank] + BASELINE
    for node, limit in limits.items():
        need = needs[node]
        if need <= limit:
            continue
        message = (
            f"{problem.config.where('run', 'memory')}: run.memory: does not fit into "
            f"memory: the {ranks[node]} ranks on {node} need {show_bytes(need)}, "
            f"{show_bytes(limit)} may be used; use more nodes, a smaller problem, or "
            "run.memory: warn if the limit is misread"
        )
        if problem.config.run.memory == "check":
            raise PlanError(message)
        return message if problem.config.run.memory == "warn" else ""
    return ""


def memory_limit(
    environ: Mapping[str, str], root: str = "/", bound: int = 1 << 62
) -> int:
    """Return the bytes that the processes on this node may still use.

    The least of what the kernel, the control group and the batch system say.

    Parameters
    ----------
    environ : mapping
        The process environment.
    root : str
        Where ``proc`` and ``sys`` are, for tests.
    bound : int
        Returned where nothing is known.

    Returns
    -------
    int
        Bytes.
    """
    found = [bound]
    for line in _read(root, "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(1024 * int(line.split()[1]))
    for line in _read(root, "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            found += _group_limits(root, f"sys/fs/cgroup{group}", CGROUP_2)
        elif "memory" in controllers.split(","):
            found += _group_limits(root, f"sys/fs/cgroup/memory{group}", CGROUP_1)
    allotted = environ.get("SLURM_MEM_PER_NODE", "")
    if allotted.isdecimal() and int(allotted) > 0:
        found.append(int(allotted) << 20)
    return min(found)


# limit, usage and the prefix of what memory.stat says of the whole group below
CGROUP_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
CGROUP_2 = ("memory.max", "memory.current", "")


def _group_limits(root: str, folder: str, names: tuple[str, str, str]) -> list[int]:
    # any group above may hold the limit that counts
    found = []
    base = "sys/fs/cgroup"
    while folder.startswith(base):
        most, used = (_read(root, f"{folder}/{name}").strip() for name in names[:2])
        if most.isdecimal() and used.isdecimal():
            cached = _cached_files(_read(root, f"{folder}/memory.stat"), names[2])
            found.append(max(0, int(most) - max(0, int(used) - cached)))
        folder = os.path.dirname(folder.rstrip("/"))
    return found


def _cached_files(stat: str, prefix: str) -> int:
    # the usage counts cached files too, which the kernel drops when memory is short
    wanted = (f"{prefix}active_file", f"{prefix}inactive_file")
    pairs = [line.split() for line in stat.splitlines()]
    return sum(int(pair[1]) for pair in pairs if pair[0] in wanted)


def _read(root: str, name: str) -> str:
    try:
        return Path(root, name).read_text()
    except OSError:
        return ""


def show_bytes(number: float) -> str:
    """Return a number of bytes in a form to read, such as ``8.4 MB``."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 999.5 or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise ValueError("unreachable")


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(str(n) for n in numbers)
