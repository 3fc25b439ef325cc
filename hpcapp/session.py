# SPDX-License-Identifier: MIT
"""What a run works with and how it ends: plain descriptions, no crank."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hpcapp.clock import PHASES
from hpcapp.device import cache_fault, cores
from hpcapp.errors import ConfigError, Exit, PlanError
from hpcapp.gpu.choice import Choice, choose, find_gpu
from hpcapp.gpu.hardware import Gpu
from hpcapp.gpu.room import lacking_room
from hpcapp.gpu.transport import Transport, find_transport
from hpcapp.log import Log
from hpcapp.planning import Plan, check_memory, make_plan, memory_limit
from hpcapp.problem import Problem
from hpcapp.run_directory import RunDirectory
from hpcapp.stops import Stops
from hpcapp.store.reader import Saved
from hpcapp.workload import Answer, Step

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Finished",
    "Machine",
    "Outcome",
    "Phases",
    "Session",
    "check",
    "solve_seconds",
    "survey",
    "tabulate",
]

Phases = dict[str, dict[str, float]]

# the phases in which a problem is solved: no set-up, no compiler, no files
SOLVING = ("compute", "halo", "reduce")


@dataclass(frozen=True)
class Machine:
    """Where the ranks are.

    Parameters
    ----------
    nodes : tuple of str
        Node of each rank.
    masks : tuple of (str, tuple of int)
        Node and cores of each rank.
    limits : mapping
        Bytes that may be used on each node.
    mpi : str
        The MPI library.
    cache_fault : str
        Why a rank cannot keep compiled kernels, or "".
    gpus : tuple of Gpu
        Of each rank, where the run may use them.
    choice : Choice
        Whether it does.
    transport : Transport
        How messages between GPUs travel.
    """

    nodes: tuple[str, ...]
    masks: tuple[tuple[str, tuple[int, ...]], ...]
    limits: Mapping[str, int]
    mpi: str
    cache_fault: str = ""
    gpus: tuple[Gpu, ...] = ()
    choice: Choice = field(default_factory=Choice)
    transport: Transport = field(default_factory=Transport)

    def cores(self) -> dict[str, int]:
        """Return how many cores the ranks of each node may use together."""
        found: dict[str, set[int]] = {}
        for node, mask in self.masks:
            found.setdefault(node, set()).update(mask)
        return {node: len(mask) for node, mask in found.items()}

    @cached_property
    def workers(self) -> tuple[int, ...]:
        """Ranks that can have a core each: of a node as many as it has cores."""
        free = self.cores()
        chosen = []
        for rank, (node, _) in enumerate(self.masks):
            if free[node]:
                free[node] -= 1
                chosen.append(rank)
        return tuple(chosen)


@dataclass
class Session:
    """What one run works with; the same on all ranks but for the marked.

    Parameters
    ----------
    comm : Comm
        The ranks.
    problem : Problem
        What to compute.
    machine : Machine
        Where.
    directory : str
        The run directory.
    saved : Saved or None
        What to go on from.
    held : RunDirectory or None
        The lock; on rank 0 only.
    log : Log
        Speaks on rank 0 only.
    stops : Stops
        Wishes to stop as this rank sees them.
    environ : mapping
        The process environment.
    command : str
        For the history of the file.
    inputs : list of dict
        What the input files can be recognised by, as of the start.
    on_step : callable or None
        Told each step of this rank.
    """

    comm: "Comm"
    problem: Problem
    machine: Machine
    directory: str
    saved: Saved | None
    held: RunDirectory | None
    log: Log
    stops: Stops
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    command: str = ""
    inputs: list[dict[str, Any]] = field(default_factory=list)
    on_step: Callable[[Step], object] | None = None


@dataclass(frozen=True)
class Finished:
    """A run that ended earlier, of which nothing new is asked.

    Parameters
    ----------
    directory : str
        The run directory.
    path : str
        Its result.
    attributes : mapping
        The global attributes of the result.
    """

    directory: str
    path: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Parameters
    ----------
    code : Exit
        `DONE` or `STOPPED`.
    answer : Answer or None
        None for a run that was stopped.
    phases : dict
        Seconds of each phase: min, mean, max over ranks.
    path : str
        The result, or the checkpoint.
    threads : int
        Of each rank, at most.
    reason : str
        Why it was stopped.
    checksum : str
        Of the result's data.
    work : float
        Done since this start, by all ranks.
    unit : str
        Of the work.
    seconds : float
        That the slowest rank computed and communicated; 0 where that is not known.
    """

    code: Exit
    answer: Answer | None
    phases: Phases
    path: str
    threads: int
    reason: str = ""
    checksum: str = ""
    work: float = 0.0
    unit: str = ""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Work per second of computing and communicating, 0 if none was done."""
        spent = sum(self.phases[name]["max"] for name in SOLVING)
        return self.work / spent if spent else 0.0


def survey(comm: "Comm", environ: Mapping[str, str], problem: Problem) -> Machine:
    """Find out where the ranks are, and choose their devices; collective.

    Raises
    ------
    ConfigError
        If GPUs, or messages from their memory, are asked for and a rank has none; on
        all ranks alike.
    """
    from hpcapp.mpi.world import host, library

    fault = cache_fault(environ)
    place = f"rank {comm.rank} on {host()}: {fault}" if fault else ""
    wanted, reason = problem.config.run.device, problem.workload.without_gpu()
    gpu = None if wanted == "cpu" or reason else find_gpu(environ)
    everyone = comm.all((host(), cores(), memory_limit(environ), place, gpu))
    limits: dict[str, int] = {}
    for node, _, limit, *_ in everyone:
        limits[node] = min(limit, limits.get(node, limit))
    nodes = tuple(node for node, *_ in everyone)
    gpus = tuple(gpu for *_, gpu in everyone if gpu is not None)
    with problem.config.placing():
        choice = choose(wanted, reason, gpus, nodes)
        how = problem.config.run.transport
        exchanges = _exchanges(problem, comm.size)
        transport = find_transport(comm, environ, how, choice, gpus, nodes, exchanges)
    return Machine(
        nodes=nodes,
        masks=tuple((node, mask) for node, mask, *_ in everyone),
        limits=limits,
        mpi=library(),
        cache_fault=next((place for *_, place, _ in everyone if place), ""),
        gpus=gpus if choice.cuda else (),
        choice=choice,
        transport=transport,
    )


def _exchanges(problem: Problem, ranks: int) -> bool:
    """Tell whether ranks exchange arrays."""
    layout = problem.layout(ranks)
    return layout.used > 1 and problem.workload.halo(layout) > 0


def check(problem: Problem, machine: Machine) -> str:
    """Refuse what does not fit into this machine, before any file is touched.

    Parameters
    ----------
    problem : Problem
        A valid configuration.
    machine : Machine
        Where it is to run.

    Returns
    -------
    str
        A warning, or "".

    Raises
    ------
    ConfigError
        If kernels cannot be kept.
    PlanError
        If the memory of a node or of a GPU does not do.
    """
    if machine.cache_fault:
        raise ConfigError(machine.cache_fault)
    plan = make_plan(problem, len(machine.nodes))
    warning = check_memory(problem, plan, machine.nodes, machine.limits)
    return warning or _check_gpu_memory(problem, plan, machine)


def _check_gpu_memory(problem: Problem, plan: Plan, machine: Machine) -> str:
    fault = lacking_room(plan.gpu_bytes, machine.gpus, machine.nodes)
    mode = problem.config.run.memory
    if not fault or mode == "off":
        return ""
    message = f"{problem.config.where('run', 'memory')}: run.memory: {fault}"
    if mode == "check":
        raise PlanError(message)
    return message


def tabulate(clocks: Sequence[Mapping[str, float]]) -> Phases:
    """Return min, mean and max over ranks of the seconds of each phase."""
    table = {}
    for name in PHASES:
        values = [clock[name] for clock in clocks]
        mean = sum(values) / len(values)
        table[name] = {"min": min(values), "mean": mean, "max": max(values)}
    return table


def solve_seconds(clocks: Sequence[Mapping[str, float]]) -> float:
    """Return the seconds that the slowest rank computed and communicated.

    Not the sum of the maxima of these phases: one rank waits while another computes.
    """
    return max(sum(clock[name] for name in SOLVING) for clock in clocks)
