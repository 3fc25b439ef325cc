# SPDX-License-Identifier: MIT
"""Speed-up, efficiency and serial fraction, with what the repeats leave open."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from hpcapp.studies.scaling.points import Point, Sample

__all__ = ["Figures", "Spread", "derive", "serial_fraction", "spread_of"]


@dataclass(frozen=True)
class Spread:
    """Repeats of one number.

    Parameters
    ----------
    median, low, high : float
        The middle one, the smallest and the largest.
    """

    median: float
    low: float
    high: float

    @property
    def relative(self) -> float:
        """Largest less smallest, over the median."""
        return (self.high - self.low) / self.median if self.median else 0.0

    def meets(self, other: "Spread") -> bool:
        """Tell whether two sets of repeats may be of the same thing: they overlap."""
        return self.low <= other.high and other.low <= self.high


def spread_of(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Figures:
    """What a study says of one point.

    Parameters
    ----------
    point : Point
        The point.
    seconds : Spread
        Computing and communicating, on the slowest rank.
    speedup : Spread
        Over the first point: of time where the problem is the same, of work per time
        where it grows. Taken round by round: a slow minute hits both.
    cores : float
        How many times those of the first point.
    serial : float or None
        Share that is not divided among cores; None for the first point.
    faults : tuple of str
        Why this is not valid; empty where it is.
    """

    point: Point
    seconds: Spread
    speedup: Spread
    cores: float
    serial: float | None
    faults: tuple[str, ...] = ()

    @property
    def efficiency(self) -> float:
        """Speed-up for each core."""
        return self.speedup.median / self.cores


def derive(
    point: Point,
    samples: Sequence[Sample],
    base: tuple[Point, Sequence[Sample]],
    faults: Sequence[str],
) -> Figures:
    """Return the figures of a point.

    Parameters
    ----------
    point : Point
        The point.
    samples : sequence of Sample
        Its repeats, round by round.
    base : (Point, sequence of Sample)
        The first point of the study.
    faults : sequence of str
        Why they are not valid.

    Returns
    -------
    Figures
        Of the medians.
    """
    first, reference = base
    ratios = [
        (sample.work / sample.seconds) / (other.work / other.seconds)
        if point.factor != first.factor
        else other.seconds / sample.seconds
        for sample, other in zip(samples, reference, strict=True)
    ]
    speedup, cores = spread_of(ratios), point.cores / first.cores
    weak = point.factor != first.factor
    serial = serial_fraction(speedup.median, cores, weak) if cores > 1 else None
    seconds = spread_of([sample.seconds for sample in samples])
    return Figures(point, seconds, speedup, cores, serial, tuple(faults))


def serial_fraction(speedup: float, cores: float, weak: bool) -> float:
    """Return the share of the time that is not divided among cores.

    Parameters
    ----------
    speedup : float
        Measured.
    cores : float
        How many times those of the base, > 1.
    weak : bool
        Whether the problem grew with the cores.

    Returns
    -------
    float
        (1/S - 1/n) / (1 - 1/n) of Karp and Flatt, of the time on one core; or
        (n - S) / (n - 1), from S = n - s (n - 1), of the time on n. Negative where
        the speed-up is more than n.

    References
    ----------
    A. H. Karp, H. P. Flatt, "Measuring parallel processor performance", Commun. ACM
    33 (1990) 539; J. L. Gustafson, "Reevaluating Amdahl's law", Commun. ACM 31 (1988)
    532.

    Examples
    --------
    >>> round(serial_fraction(2.5, 4, False), 3), serial_fraction(2.5, 4, True)
    (0.2, 0.5)
    """
    if weak:
        return (cores - speedup) / (cores - 1)
    return (1 / speedup - 1 / cores) / (1 - 1 / cores)
