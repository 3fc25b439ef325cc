# SPDX-License-Identifier: MIT
"""Messages and work of sweeps on any number of ranks: numbers only, no MPI."""

from dataclasses import dataclass

from hpcapp.decomposition import Layout, halo_sent
from hpcapp.workloads.laplace.grid import Grid

__all__ = ["PASS_LEVELS", "Sweeps", "sweeps_row", "sweeps_traffic"]

# levels that go through memory together where no neighbour sets the limit:
# 16 gave the most updates per second on 8192 x 8192 points (2.0 G/s, one level 1.0)
PASS_LEVELS = 16

# of a point that a level computes, without a source that is a field
FLOPS_JACOBI, FLOPS_REDBLACK = 6, 9


@dataclass(frozen=True)
class Sweeps:
    """What a rank does in the sweeps of a step, the residual after them included.

    Parameters
    ----------
    messages, bytes : int
        That it sends.
    exchanges : int
        Rounds in which it does.
    points : int
        That its levels compute, those of its neighbours included. A level of a
        red-black sweep computes both colours and keeps one.
    flops : int
        Of the levels.
    """

    messages: int
    bytes: int
    exchanges: int
    points: int
    flops: int


def sweeps_traffic(
    grid: Grid, layout: Layout, rank: int, depth: int, redblack: bool, count: int
) -> Sweeps:
    """Return what a rank sends and computes in a step.

    Parameters
    ----------
    grid : Grid
        Geometry.
    layout : Layout
        Blocks.
    rank : int
        The rank.
    depth : int
        Points that neighbours exchange.
    redblack : bool
        Whether a sweep has two levels, one for each colour.
    count : int
        Sweeps of the step.

    Returns
    -------
    Sweeps
        Exact; without the maximum over ranks that follows.
    """
    block = layout.block(rank)
    if block.empty:
        return Sweeps(0, 0, 0, 0, 0)
    alone = not any(n is not None for pair in layout.neighbours(rank) for n in pair)
    levels, points, groups = count * (2 if redblack else 1), 0, 0
    while levels:
        group = min(levels, PASS_LEVELS if alone else depth)
        for grow in range(group):
            ja, jb, ia, ib = grid.interior(block, grow)
            points += max(0, jb - ja) * max(0, ib - ia)
        levels -= group
        groups += 1
    # the residual's exchange is the next group's
    messages, size = halo_sent(layout, rank, 0 if alone else depth)
    exchanges = 0 if alone else groups
    flops = points * (FLOPS_REDBLACK if redblack else FLOPS_JACOBI)
    return Sweeps(messages * groups, size * groups, exchanges, points, flops)


def sweeps_row(
    grid: Grid, layout: Layout, depth: int, redblack: bool, count: int
) -> str:
    """Return a line about the sweeps of a step, for `plan`.

    Parameters
    ----------
    grid, layout, depth, redblack, count : object
        As in `sweeps_traffic`.
    """
    rows, columns = layout.grid
    # a corner, and a rank with neighbours on all sides
    parts = []
    for rank in sorted({0, rows // 2 * columns + columns // 2}):
        found = sweeps_traffic(grid, layout, rank, depth, redblack, count)
        parts.append(
            f"rank {rank} sends {found.messages} messages, {found.bytes / 1e3:.4g} kB "
            f"in {found.exchanges} exchanges, and computes "
            f"{found.points / 1e6:.4g} M points, {found.flops / 1e6:.4g} Mflop"
        )
    return "; ".join(parts)
