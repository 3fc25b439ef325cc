# SPDX-License-Identifier: MIT
"""What a scaling study runs, and what its runs told."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpcapp.errors import ConfigError
from hpcapp.problem import Problem
from hpcapp.session import SOLVING
from hpcapp.studies.scaling.watching import Watch

__all__ = ["Point", "Sample", "choose_points", "parse_counts", "read_sample"]


@dataclass(frozen=True)
class Point:
    """One number of cores.

    Parameters
    ----------
    ranks, threads : int
        Ranks, and threads of each.
    device : str
        As ``run.device``.
    factor : float
        Size of the problem relative to that of the configuration.
    settings : tuple of str
        ``KEY=VALUE`` that make it.
    """

    ranks: int
    threads: int
    device: str = "cpu"
    factor: float = 1.0
    settings: tuple[str, ...] = ()

    @property
    def cores(self) -> int:
        """What it uses: threads of all ranks."""
        return self.ranks * self.threads

    def __str__(self) -> str:
        """Return its name in words."""
        name = f"{self.ranks} rank{'s' * (self.ranks > 1)}"
        if self.threads > 1:
            name += f" x {self.threads} threads"
        return name if self.device == "cpu" else f"{name} on {self.device}"


@dataclass(frozen=True)
class Sample:
    """One run of a point.

    Parameters
    ----------
    seconds : float
        That the slowest rank computed and communicated.
    phases : mapping
        Seconds of each phase on the rank that spent most in it.
    job : float
        Seconds from the launch to the end, as a user waits.
    work : float
        Done by all ranks, in the workload's unit.
    checksum : str
        Of the result's data.
    watch : Watch
        What happened on this machine meanwhile.
    """

    seconds: float
    phases: Mapping[str, float]
    job: float
    work: float
    checksum: str
    watch: Watch


def parse_counts(text: str, option: str) -> tuple[int, ...]:
    """Read a list of numbers such as ``1,2,4``, each once, in the same order.

    Parameters
    ----------
    text : str
        As given.
    option : str
        Where, for the message.

    Returns
    -------
    tuple of int
        All > 0.

    Raises
    ------
    ConfigError
        If it is something else.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"{option}: must be numbers > 0, such as 1,2,4, got {text}")
    return tuple(dict.fromkeys(int(part) for part in parts))


def choose_points(
    problem: Problem,
    ranks: Sequence[int],
    threads: Sequence[int],
    devices: Sequence[str],
    weak: bool,
) -> list[Point]:
    """Return the points of a study; the first is what the others are compared with.

    Parameters
    ----------
    problem : Problem
        The configuration.
    ranks, threads : sequence of int
        All their combinations are points.
    devices : sequence of str
        Each with a series of points of its own.
    weak : bool
        Whether the problem grows with the cores.

    Returns
    -------
    list of Point
        The series of each device and number of threads one after the other.

    Raises
    ------
    ConfigError
        If the workload has no rule by which it grows, or none for such a size.
    """
    base = ranks[0] * threads[0]
    return [
        _point(problem, Point(count, width, device), base if weak else 0)
        for device in devices
        for width in threads
        for count in ranks
    ]


def _point(problem: Problem, point: Point, base: int) -> Point:
    if not base:
        return point
    factor = point.cores / base
    with problem.config.placing():
        rule = problem.workload.grown(factor)
    if rule is None:
        raise ConfigError(
            f"--weak: {problem.config.workload} has no rule for a larger problem: its "
            "size is that of its inputs; leave --weak out"
        )
    settings = tuple(f"parameters.{key}={json.dumps(rule[key])}" for key in rule)
    return Point(point.ranks, point.threads, point.device, factor, settings)


def read_sample(found: Mapping[str, Any], job: float, watch: Watch) -> Sample:
    """Return what a run told in its object (``--json``).

    Parameters
    ----------
    found : mapping
        The object.
    job : float
        Seconds from the launch to the end.
    watch : Watch
        Of the time in between.

    Returns
    -------
    Sample
        With the maximum over ranks of each phase.
    """
    phases = {name: times["max"] for name, times in found["phases"].items()}
    # the rate is over this sum
    work = found["rate"] * sum(phases[name] for name in SOLVING)
    return Sample(found["seconds"], phases, job, work, found["checksum"], watch)
