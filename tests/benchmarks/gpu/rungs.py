# SPDX-License-Identifier: MIT
"""Ways to do a task on a GPU, taken in turn and timed there; all answers looked at.

Seconds on the GPU are those between two events: one recorded before the work is queued,
one after it; the host's copies and waits in between count. In Numba's simulator, and
for rungs on the CPU, they are the host's.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.report import Statement

__all__ = [
    "COURSE",
    "FULL",
    "OURS",
    "SMALL",
    "TINY",
    "Place",
    "Rung",
    "Sizes",
    "Taken",
    "Task",
    "take_turns",
]

OURS, COURSE = "hpcapp", "course"
"""What the names of rungs begin with."""


@dataclass(frozen=True)
class Sizes:
    """How large the tasks are.

    Parameters
    ----------
    name : str
        Of the set.
    grid, cpu_grid : int
        Points along an axis, of sweeps; on the CPU.
    sweeps : int
        Of a repeat, a multiple of 4.
    cycles, cpu_cycles : int
        Points along an axis, of multigrid; on the CPU.
    goal : float
        Relative residual that cycles end with.
    pixels, few_pixels : int
        Along an axis of a picture; of rungs that take long.
    samples, few_samples : int
        Random samples of hpcapp; of rungs that take long.
    walkers, steps : int
        Of random walks.
    terms, few_terms : int
        Of series; of rungs that take long.
    array : int
        Elements of an array of a library: what is longer comes in pieces.
    rounds : int
        Of the kernel that issues operations of double precision.
    repeats : int
        How often each rung is timed, after one round that is not.
    """

    name: str
    grid: int
    cpu_grid: int
    sweeps: int
    cycles: int
    cpu_cycles: int
    goal: float
    pixels: int
    few_pixels: int
    samples: int
    few_samples: int
    walkers: int
    steps: int
    terms: int
    few_terms: int
    array: int
    rounds: int
    repeats: int


FULL = Sizes(
    name="full",
    grid=16384,
    cpu_grid=4096,
    sweeps=16,
    cycles=8193,
    cpu_cycles=2049,
    goal=1e-8,
    pixels=8192,
    few_pixels=1024,
    samples=10**11,
    few_samples=10**9,
    walkers=10**7,
    steps=1000,
    terms=10**9,
    few_terms=10**8,
    array=10**8,
    rounds=20_000,
    repeats=7,
)
SMALL = Sizes(
    name="quick",
    grid=4096,
    cpu_grid=512,
    sweeps=8,
    cycles=1025,
    cpu_cycles=257,
    goal=1e-8,
    pixels=512,
    few_pixels=128,
    samples=10**8,
    few_samples=10**7,
    walkers=10**4,
    steps=200,
    terms=10**7,
    few_terms=10**6,
    array=10**6,
    rounds=1000,
    repeats=2,
)
TINY = Sizes(
    name="simulator",
    grid=12,
    cpu_grid=12,
    sweeps=4,
    cycles=18,
    cpu_cycles=33,
    goal=1e-2,
    pixels=8,
    few_pixels=8,
    samples=500,
    few_samples=300,
    walkers=12,
    steps=40,
    terms=700,
    few_terms=700,
    array=400,
    rounds=64,
    repeats=1,
)


@dataclass(frozen=True)
class Place:
    """Where rungs run.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    sizes : Sizes
        How large the tasks are.
    peers : sequence of object
        Array libraries, as `tests.benchmarks.gpu.peers` finds them.
    """

    device: Any
    sizes: Sizes
    peers: Sequence[Any] = ()

    @property
    def cpu(self) -> Any:
        """The cores of this process as a device."""
        from hpcapp.device import Device

        return Device(self.device.threads)


@dataclass(frozen=True)
class Rung:
    """One way to do a task.

    Parameters
    ----------
    name : str
        Who does it, and how.
    size : str
        How large it is, to be printed.
    work : float
        Units of one run.
    run : callable
        Does it, or queues it.
    check : callable
        Returns what is found out about the answer of the last run.
    prepare : callable
        What comes before each run and does not count.
    host : bool
        Whether it runs on the CPU.
    optional : bool
        Whether it may fail: the code of a library that is not ours.
    """

    name: str
    size: str
    work: float
    run: Callable[[], object]
    check: Callable[[], Statement]
    prepare: Callable[[], object] = lambda: None
    host: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Task:
    """What several rungs do.

    Parameters
    ----------
    name, unit : str
        What it is; billions of what in a second its rates are.
    rungs : sequence of Rung
        In the order of the table.
    limit : str
        Name of the rung that no other one can be faster than, "" if there is none.
    """

    name: str
    unit: str
    rungs: Sequence[Rung]
    limit: str = ""


@dataclass
class Taken:
    """What was found out about a rung.

    Parameters
    ----------
    first : float
        Host's seconds of the first round, compilation included.
    seconds, host : list of float
        Of the other rounds: on the GPU, on the host.
    checks : list of Statement
        Of every round.
    failure : str
        Why an optional rung did not do it, "" if it did.
    """

    first: float = 0.0
    seconds: list[float] = field(default_factory=list)
    host: list[float] = field(default_factory=list)
    checks: list[Statement] = field(default_factory=list)
    failure: str = ""

    @property
    def median(self) -> float:
        """Seconds on the GPU."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Largest minus smallest, relative to the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median

    def statement(self) -> Statement:
        """Return the first check that does not hold, or the last one."""
        wrong = [check for check in self.checks if not check.holds]
        return (wrong or self.checks[-1:])[0]


def take_turns(place: Place, task: Task) -> dict[str, Taken]:
    """Run every rung in turn, several times, and look at every answer.

    Parameters
    ----------
    place : Place
        The GPU and the number of repeats.
    task : Task
        What to do.

    Returns
    -------
    dict of str to Taken
        By the names of rungs, in their order.
    """
    found = {rung.name: Taken() for rung in task.rungs}
    for turn in range(place.sizes.repeats + 1):
        for rung in task.rungs:
            taken = found[rung.name]
            if taken.failure:
                continue
            try:
                on_gpu, on_host = _time(place.device, rung)
                check = rung.check()
            except Exception as error:
                if not rung.optional:
                    raise
                text = str(error).strip().partition("\n")[0]
                taken.failure = f"{type(error).__name__}: {text}"
                continue
            taken.checks.append(check)
            if turn == 0:
                taken.first = on_host
            else:
                taken.seconds.append(on_gpu)
                taken.host.append(on_host)
    return found


def _time(device: Any, rung: Rung) -> tuple[float, float]:
    """Return seconds on the GPU and on the host."""
    rung.prepare()
    device.synchronise()
    if rung.host or device.simulated:
        seconds = _run(device, rung)
        return seconds, seconds
    from numba import cuda

    # in the stream that waits for all others, and that all others wait for
    first, last = cuda.event(), cuda.event()
    first.record()
    on_host = _run(device, rung, last.record)
    return cuda.event_elapsed_time(first, last) / 1e3, on_host


def _run(device: Any, rung: Rung, after: Callable[[], object] = lambda: None) -> float:
    begun = time.perf_counter()
    rung.run()
    after()
    device.synchronise()
    return time.perf_counter() - begun
