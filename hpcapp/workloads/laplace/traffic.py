# SPDX-License-Identifier: MIT
"""Messages, work and memory of multigrid on any number of ranks: numbers only."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hpcapp.decomposition import Block, Layout
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.level import (
    GROWN,
    MARGIN,
    POST,
    PRE,
    REACH,
    padded,
)
from hpcapp.workloads.laplace.levels import LevelShape, build_levels
from hpcapp.workloads.laplace.tiling import Tiling
from hpcapp.workloads.laplace.transfer import common_part, grown

__all__ = [
    "Traffic",
    "count_bytes",
    "cycle_row",
    "cycle_traffic",
    "level_traffic",
    "rise_traffic",
]


# of an update by `relax_row_cpu` where the right-hand side is the same everywhere
FLOPS = 7


@dataclass(frozen=True)
class Traffic:
    """What a rank does in a cycle.

    Parameters
    ----------
    messages, bytes : int
        That it sends.
    rounds : int
        Exchanges and moves, one after the other, in which it sends or receives.
    updates : int
        Points that its half-sweeps compute, those of its neighbours included.
    """

    messages: int = 0
    bytes: int = 0
    rounds: int = 0
    updates: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        """Return the sum."""
        return Traffic(
            self.messages + other.messages,
            self.bytes + other.bytes,
            self.rounds + other.rounds,
            self.updates + other.updates,
        )


def cycle_traffic(levels: Sequence[LevelShape], rank: int) -> Traffic:
    """Return what a rank sends and computes in one cycle from the finest level.

    Parameters
    ----------
    levels : sequence of LevelShape
        The finest first.
    rank : int
        The rank.

    Returns
    -------
    Traffic
        Exact; without the maximum over ranks that follows a cycle.
    """
    total = Traffic()
    for number in range(len(levels)):
        total += level_traffic(levels, number, rank)
    return total


def level_traffic(levels: Sequence[LevelShape], number: int, rank: int) -> Traffic:
    """Return the part of one level in `cycle_traffic`; that of the finest is number 0.

    Parameters
    ----------
    levels : sequence of LevelShape
        The finest first.
    number : int
        The level.
    rank : int
        The rank.
    """
    level = levels[number]
    total = _exchange(level.tiling, rank, MARGIN)
    if number + 1 < len(levels):
        total += Traffic(updates=_updates(level, rank))
    if number > 0:
        total += _exchange(level.tiling, rank, REACH)
        if level.parts != level.tiling:
            total += _joined(level, rank)
    return total


def rise_traffic(level: LevelShape, rank: int) -> Traffic:
    """Return what a rank does to bring a level's solution to the next finer one.

    Parameters
    ----------
    level : LevelShape
        The coarser of the two.
    rank : int
        The rank.
    """
    total = _exchange(level.tiling, rank, REACH)
    if level.parts != level.tiling:
        total += _spread(level, rank)
    return total


def cycle_row(axes: tuple[Axis, Axis], layout: Layout, joined: int) -> str:
    """Return a line about a cycle, for `plan`.

    Parameters
    ----------
    axes : (Axis, Axis)
        The finest level.
    layout : Layout
        Blocks of the finest level.
    joined : int
        Extent of a block below which neighbouring ones are joined.
    """
    levels = build_levels(axes, layout, max(joined, MARGIN))
    rows, columns = layout.grid
    # the owner of the last level, and a rank with neighbours on all sides
    middle = rows // 2 * columns + columns // 2
    parts = []
    for rank in sorted({0, middle}):
        found = cycle_traffic(levels, rank)
        parts.append(
            f"rank {rank} sends {found.messages} messages, {found.bytes / 1e3:.4g} kB "
            f"in {found.rounds} exchanges, for {found.updates / 1e6:.4g} M updates "
            f"of {FLOPS} flops"
        )
    return f"{len(levels)} levels; " + "; ".join(parts)


def _exchange(tiling: Tiling, rank: int, depth: int) -> Traffic:
    strips = tiling.strips(rank, depth)
    return _sent([strip.sent for strip in strips], bool(strips))


def _joined(level: LevelShape, rank: int) -> Traffic:
    """Return the traffic of a joined level: right-hand sides there, values back."""
    total = Traffic()
    part, whole = level.parts.block(rank), level.tiling.block(rank)
    if not part.empty:
        to = [block for other, block in level.tiling.overlaps(part) if other != rank]
        total += _sent(to, bool(to))
    total += _spread(level, rank)
    # who only receives waits too
    return total + Traffic(rounds=0 if part.empty or not whole.empty else 1)


def _spread(level: LevelShape, rank: int) -> Traffic:
    """Return the traffic of a joined level's values on their way back."""
    whole = level.tiling.block(rank)
    if whole.empty:
        return Traffic()
    wanted = [
        common_part(grown(level.parts.block(other)), whole)
        for other, _ in level.parts.overlaps(grown(whole))
        if other != rank
    ]
    back = [block for block in wanted if not block.empty]
    return _sent(back, bool(back))


def count_bytes(
    axes: tuple[Axis, Axis],
    layout: Layout,
    rank: int,
    joined: int,
    arrays: int,
) -> int:
    """Return the bytes of a rank's arrays on all levels; pure.

    Parameters
    ----------
    axes : (Axis, Axis)
        The finest level.
    layout : Layout
        Blocks of the finest level.
    rank : int
        The rank.
    joined : int
        As in `Multigrid`.
    arrays : int
        On the finest level; values and right-hand side elsewhere.
    """
    total = 0
    for number, shape in enumerate(build_levels(axes, layout, max(joined, MARGIN))):
        tilings = [shape.tiling]
        if shape.parts != shape.tiling:
            tilings.append(shape.parts)
        for tiling in tilings:
            block = tiling.block(rank)
            if not block.empty:
                total += 8 * (2 if number else arrays) * math.prod(padded(block))
    return total


def _sent(blocks: Iterable[Block], active: bool) -> Traffic:
    messages = size = 0
    for block in blocks:
        rows, (first, last) = block.shape[0], (block.start[1], block.stop[1])
        # columns travel in pairs
        size += 8 * rows * 2 * ((last + 1) // 2 - first // 2)
        messages += 1
    return Traffic(messages, size, int(active))


def _updates(level: LevelShape, rank: int) -> int:
    block = level.tiling.block(rank)
    if block.empty:
        return 0
    grows = [*range(GROWN, GROWN + 2 * PRE), *range(2 * POST)]
    total = 0
    for grow in grows:
        points = 1
        for axis, start, stop in zip(level.axes, block.start, block.stop, strict=True):
            low, high = axis.unknowns
            points *= min(stop + grow, high) - max(start - grow, low)
        # one colour of two
        total += points // 2
    return total
