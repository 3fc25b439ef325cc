# SPDX-License-Identifier: MIT
"""Modelled times of cycles on many ranks with the same share: numbers only, no MPI."""

import math
from collections.abc import Sequence
from dataclasses import replace

from hpcapp.decomposition import Domain, Layout
from hpcapp.workload import Network
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.level import MARGIN
from hpcapp.workloads.laplace.levels import LevelShape, build_levels
from hpcapp.workloads.laplace.traffic import (
    FLOPS,
    Traffic,
    cycle_row,
    level_traffic,
    rise_traffic,
)

__all__ = ["RANKS", "cycle_rows", "cycle_seconds", "levels_on", "start_seconds"]

RANKS = (100, 1000, 10_000, 100_000)


def cycle_rows(
    axes: tuple[Axis, Axis], layout: Layout, joined: int, network: Network | None
) -> tuple[tuple[str, str], ...]:
    """Return lines about cycles, for `plan`.

    Parameters
    ----------
    axes : (Axis, Axis)
        The finest level.
    layout : Layout
        Blocks of the finest level.
    joined : int
        Extent of a block below which neighbouring ones are joined.
    network : Network or None
        With one, also modelled times for `RANKS` ranks with as many points each.
    """
    rows = [("a cycle", cycle_row(axes, layout, joined))]
    if network is not None:
        for ranks in RANKS:
            levels = levels_on(axes, layout, joined, ranks)
            cycle = cycle_seconds(levels, ranks, network)
            start = start_seconds(levels, ranks, network)
            ny, nx = (axis.cells + 1 for axis in levels[0].axes)
            text = (
                f"{ny} x {nx} points, {len(levels)} levels: a cycle "
                f"{_shown(cycle)}, full multigrid {_shown(start)}"
            )
            rows.append((f"{ranks} ranks", text))
    return tuple(rows)


def levels_on(
    axes: tuple[Axis, Axis], layout: Layout, joined: int, ranks: int
) -> tuple[LevelShape, ...]:
    """Return the levels of a problem with as many points for each of more ranks.

    Parameters
    ----------
    axes, layout, joined : object
        As in `cycle_rows`: what a rank has.
    ranks : int
        How many there are to be.
    """
    rows = next(n for n in range(math.isqrt(ranks), 0, -1) if ranks % n == 0)
    grid = (rows, ranks // rows)
    more = [
        replace(axis, cells=max(1, round(axis.cells / now)) * then)
        for axis, now, then in zip(axes, layout.grid, grid, strict=True)
    ]
    shape = tuple(axis.cells + 1 for axis in more)
    domain = Domain(layout.domain.dims, shape, layout.domain.halo)
    wide = Layout.choose(domain, ranks, grid)
    return build_levels((more[0], more[1]), wide, max(joined, MARGIN))


def cycle_seconds(levels: Sequence[LevelShape], ranks: int, network: Network) -> float:
    """Return the modelled time of a cycle from the finest level, and of its norms.

    Parameters
    ----------
    levels : sequence of LevelShape
        The finest first.
    ranks : int
        How many there are.
    network : Network
        What messages and updates cost.

    Notes
    -----
    Levels come one after the other; on each counts the slower of the first rank,
    which owns the last level, and of one with neighbours on all sides. A maximum over
    ranks takes two messages for each doubling of their number.
    """
    maximum = 2 * math.ceil(math.log2(ranks)) * network.latency
    return _cycle(levels, network) + maximum


def start_seconds(levels: Sequence[LevelShape], ranks: int, network: Network) -> float:
    """Return the modelled time of full multigrid: a cycle from each level in turn.

    Parameters
    ----------
    levels, ranks, network : object
        As in `cycle_seconds`.
    """
    samples = _samples(levels[0])
    maximum = 2 * math.ceil(math.log2(ranks)) * network.latency
    total = _direct(levels[-1]) / network.rate + maximum
    for number in range(len(levels) - 1):
        total += _cycle(levels[number:], network)
        below = levels[number + 1]
        total += max(_seconds(rise_traffic(below, rank), network) for rank in samples)
    return total


def _cycle(levels: Sequence[LevelShape], network: Network) -> float:
    samples = _samples(levels[0])
    total = _direct(levels[-1]) / network.rate
    for number in range(len(levels)):
        sent = [level_traffic(levels, number, rank) for rank in samples]
        total += max(_seconds(one, network) for one in sent)
    return total


def _samples(finest: LevelShape) -> tuple[int, int]:
    rows, columns = finest.tiling.grid
    return (0, rows // 2 * columns + columns // 2)


def _seconds(traffic: Traffic, network: Network) -> float:
    return (
        traffic.messages * network.latency
        + traffic.bytes / network.bandwidth
        + traffic.updates / network.rate
    )


def _direct(level: LevelShape) -> float:
    """Return the updates that take as many flops as the solution of a level."""
    extents = [b - a for a, b in (axis.unknowns for axis in level.axes)]
    return 4 * math.prod(extents) * min(extents) / FLOPS


def _shown(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms"
