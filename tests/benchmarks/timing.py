# SPDX-License-Identifier: MIT
"""Repeated measurements in turn, so that a slow minute of the machine hits all."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Sample", "interleave", "pin", "timed"]


@dataclass(frozen=True)
class Sample:
    """Seconds of the repeats of one measurement.

    Parameters
    ----------
    seconds : tuple of float
        In the order in which they were taken; at least one.
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one: what tables show."""
        return statistics.median(self.seconds)

    @property
    def low(self) -> float:
        """The smallest: the least disturbed."""
        return min(self.seconds)

    @property
    def spread(self) -> float:
        """Largest minus smallest, relative to the median."""
        return (max(self.seconds) - self.low) / self.median


def timed(action: Callable[[], object]) -> Callable[[], float]:
    """Return a function that does an action and returns the seconds it took."""

    def measure() -> float:
        begun = time.perf_counter()
        action()
        return time.perf_counter() - begun

    return measure


def interleave(
    measurements: Mapping[str, Callable[[], float]], repeats: int
) -> dict[str, Sample]:
    """Take every measurement in turn, several times.

    Parameters
    ----------
    measurements : mapping
        Functions that return seconds, by name.
    repeats : int
        How often, >= 1; one round more comes first and does not count: it
        compiles, fills caches and touches memory.

    Returns
    -------
    dict of str to Sample
        In the same order.
    """
    rounds = [
        {name: measure() for name, measure in measurements.items()}
        for _ in range(repeats + 1)
    ]
    return {
        name: Sample(tuple(one[name] for one in rounds[1:])) for name in measurements
    }


def pin() -> str:
    """Stay on one core from now on; return which, for a title."""
    if not hasattr(os, "sched_setaffinity"):
        return ""
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return f" (pinned to {core})"
