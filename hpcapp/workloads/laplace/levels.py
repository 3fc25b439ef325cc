# SPDX-License-Identifier: MIT
"""The levels of a multigrid cycle and who owns them: numbers only, no MPI."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hpcapp.decomposition import Layout
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.tiling import JOINED, Tiling, cut_axis

__all__ = ["LevelShape", "build_levels"]

# a level with so few cells along an axis is solved directly, if it is small
DIRECT_CELLS = 16
DIRECT_UNKNOWNS = 512

# where the spacings differ by more, only the finer one is coarsened
RATIO = math.sqrt(2)


@dataclass(frozen=True)
class LevelShape:
    """A level and its distribution.

    Parameters
    ----------
    axes : (Axis, Axis)
        Along y and x.
    tiling : Tiling
        Who computes on it.
    parts : Tiling
        Who has its points after restriction: `tiling`, or what was joined to it.
    """

    axes: tuple[Axis, Axis]
    tiling: Tiling
    parts: Tiling

    @property
    def unknowns(self) -> int:
        """Number of unknowns."""
        (ja, jb), (ia, ib) = self.axes[0].unknowns, self.axes[1].unknowns
        return (jb - ja) * (ib - ia)


def build_levels(
    axes: tuple[Axis, Axis],
    layout: Layout,
    least: int,
    workers: Sequence[int] | None = None,
) -> tuple[LevelShape, ...]:
    """Return the levels of a problem, the finest first; the last has one owner.

    Parameters
    ----------
    axes : (Axis, Axis)
        The finest level.
    layout : Layout
        Blocks of the finest level.
    least : int
        Extent of a block below which neighbouring ones are joined.
    workers : sequence of int or None
        The ranks that may own blocks, where they are fewer than the layout uses.

    Returns
    -------
    tuple of LevelShape
        At least one.
    """
    tiling = _tiling(layout, least)
    if workers is not None and len(workers) < layout.used:
        fewer = Layout.choose(layout.domain, len(workers))
        tiling = replace(_tiling(fewer, least), ranks=tuple(workers))
    levels = [LevelShape(axes, tiling, tiling)]
    while (coarse := _coarsened(levels[-1])) is not None:
        parts = levels[-1].tiling.coarser(levels[-1].axes, coarse)
        levels.append(LevelShape(coarse, parts.joined(least), parts))
    end = levels.pop()
    alone = end.parts.joined(1 << 62)
    parts = end.parts if levels else alone
    return (*levels, LevelShape(end.axes, alone, parts))


def _tiling(layout: Layout, least: int) -> Tiling:
    """Return blocks of the finest level, near to those of a layout."""
    ny, nx = layout.grid
    shape = layout.domain.shape
    rows, columns = cut_axis(shape[0], ny, least), cut_axis(shape[1], nx, least)
    steps = [1, 1]
    for axis, cuts in enumerate((rows, columns)):
        while -(-layout.grid[axis] // steps[axis]) > len(cuts) - 1:
            steps[axis] *= JOINED
    return Tiling((rows, columns), (ny, nx), (steps[0], steps[1]))


def _coarsened(level: LevelShape) -> tuple[Axis, Axis] | None:
    """Return the axes of the next level, None where this one is solved directly."""
    y, x = level.axes
    small = min(y.cells, x.cells) <= DIRECT_CELLS
    if small and level.unknowns <= DIRECT_UNKNOWNS:
        return None
    along_y, along_x = y.width <= RATIO * x.width, x.width <= RATIO * y.width
    if (along_y and not y.coarsens) or (along_x and not x.coarsens):
        return None
    return (y.coarser() if along_y else y, x.coarser() if along_x else x)
