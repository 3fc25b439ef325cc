# SPDX-License-Identifier: MIT
"""Blocks of a level, their owners, and what these exchange: integers, no MPI."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

from hpcapp.decomposition import Block, part_of
from hpcapp.workloads.laplace.axis import Axis

__all__ = ["JOINED", "Strip", "Tiling", "cut_axis"]

# ranks along an axis whose blocks are joined when they become thin
JOINED = 4


@dataclass(frozen=True)
class Strip:
    """What travels between a rank and a neighbour, in global indices.

    Parameters
    ----------
    rank : int
        The neighbour.
    sent, received : Block
        Of this rank's block, of the neighbour's.
    """

    rank: int
    sent: Block
    received: Block


def cut_axis(points: int, parts: int, least: int) -> tuple[int, ...]:
    """Cut an axis so that coarse levels keep even starts while blocks are thick.

    Parameters
    ----------
    points : int
        Its points.
    parts : int
        Blocks wanted, >= 1.
    least : int
        Least extent of a block.

    Returns
    -------
    tuple of int
        The starts of the blocks, and the end; fewer blocks where `parts` of them
        would be too thin: `parts` divided by a power of `JOINED`, rounded up.
    """
    while parts > 1:
        halvings = max(0, (points // parts // least).bit_length() - 1)
        step = 4 << halvings
        starts = [part_of(points, parts, i)[0] for i in range(parts)]
        cuts = [*((start + step // 2) // step * step for start in starts), points]
        if min(b - a for a, b in pairwise(cuts)) >= least:
            return tuple(cuts)
        parts = -(-parts // JOINED)
    return (0, points)


@dataclass(frozen=True)
class Tiling:
    """Blocks of a level and the ranks that own them.

    Parameters
    ----------
    cuts : tuple of tuple of int
        For each axis the starts of the blocks, and the end.
    grid : (int, int)
        Ranks of the whole run along each axis, numbered row by row.
    steps : (int, int)
        Each so many of them along an axis own a block.
    ranks : tuple of int or None
        The rank of each number in the grid; None: the number itself.
    """

    cuts: tuple[tuple[int, ...], tuple[int, ...]]
    grid: tuple[int, int]
    steps: tuple[int, int] = (1, 1)
    ranks: tuple[int, ...] | None = None

    @cached_property
    def counts(self) -> tuple[int, int]:
        """Blocks along each axis."""
        return (len(self.cuts[0]) - 1, len(self.cuts[1]) - 1)

    @property
    def used(self) -> Sequence[int]:
        """The ranks that own a block, row by row."""
        rows, columns = self.counts
        return [self._rank((j, i)) for j in range(rows) for i in range(columns)]

    def _rank(self, place: tuple[int, int]) -> int:
        number = place[0] * self.steps[0] * self.grid[1] + place[1] * self.steps[1]
        return number if self.ranks is None else self.ranks[number]

    def _place(self, rank: int) -> tuple[int, int] | None:
        if self.ranks is not None and rank not in self.ranks:
            return None
        number = rank if self.ranks is None else self.ranks.index(rank)
        (j, y), (i, x) = (
            divmod(at, step)
            for at, step in zip(divmod(number, self.grid[1]), self.steps, strict=True)
        )
        inside = y == x == 0 and j < self.counts[0] and i < self.counts[1]
        return (j, i) if inside else None

    def _at(self, place: tuple[int, int]) -> Block:
        (j, i), (rows, columns) = place, self.cuts
        return Block((rows[j], columns[i]), (rows[j + 1], columns[i + 1]))

    def block(self, rank: int) -> Block:
        """Return the block of a rank; all zeros where it owns nothing."""
        place = self._place(rank)
        return Block((0, 0), (0, 0)) if place is None else self._at(place)

    def strips(self, rank: int, depth: int) -> list[Strip]:
        """Return what an exchange of a halo sends and receives, corners included.

        Parameters
        ----------
        rank : int
            The rank.
        depth : int
            Points of the halo.

        Returns
        -------
        list of Strip
            Of up to eight neighbours; none where the rank owns nothing.
        """
        place = self._place(rank)
        if place is None:
            return []
        mine = self._at(place)
        found = []
        for way in product((-1, 0, 1), repeat=2):
            beside = (place[0] + way[0], place[1] + way[1])
            inside = all(0 <= at < n for at, n in zip(beside, self.counts, strict=True))
            if way != (0, 0) and inside:
                theirs = self._at(beside)
                back = (-way[0], -way[1])
                found.append(
                    Strip(
                        self._rank(beside),
                        _rim(mine, way, depth),
                        _rim(theirs, back, depth),
                    )
                )
        return found

    def overlaps(self, region: Block) -> list[tuple[int, Block]]:
        """Return the owners of a region and what each has of it."""
        spans = []
        for cuts, start, stop in zip(self.cuts, region.start, region.stop, strict=True):
            low, high = max(start, cuts[0]), min(stop, cuts[-1])
            first = bisect_right(cuts, low) - 1
            last = bisect_right(cuts, high - 1) - 1
            spans.append(
                [
                    (at, max(low, cuts[at]), min(high, cuts[at + 1]))
                    for at in range(first, last + 1)
                ]
            )
        return [
            (self._rank((j, i)), Block((ja, ia), (jb, ib)))
            for (j, ja, jb), (i, ia, ib) in product(*spans)
        ]

    def coarser(self, fine: Sequence[Axis], coarse: Sequence[Axis]) -> "Tiling":
        """Return the coarse points of each block, with the same owners."""

        def cut(at: int, old: Axis, new: Axis) -> int:
            """Return the number of coarse points below a fine one."""
            if old == new or at == 0:
                return at
            if at == old.cells + 1:
                return new.cells + 1
            return min(-(-at // 2), new.cells)

        cuts = tuple(
            tuple(cut(at, old, new) for at in axis)
            for axis, old, new in zip(self.cuts, fine, coarse, strict=True)
        )
        return replace(self, cuts=(cuts[0], cuts[1]))

    def joined(self, least: int) -> "Tiling":
        """Return a tiling without blocks that are too thin to go on with.

        Parameters
        ----------
        least : int
            Along an axis with a block thinner than this, or whose starts would
            become odd on the next level, `JOINED` neighbours become one.

        Returns
        -------
        Tiling
            This one where nothing is too thin.
        """
        cuts, steps = list(self.cuts), list(self.steps)
        for axis in range(2):
            old = cuts[axis]
            thin = min(b - a for a, b in pairwise(old)) < least
            if len(old) > 2 and (thin or any(at % 4 for at in old[:-1])):
                wanted = -(-(len(old) - 1) // JOINED)
                cuts[axis] = cut_axis(old[-1], wanted, least)
                while -(-self.grid[axis] // steps[axis]) > len(cuts[axis]) - 1:
                    steps[axis] *= JOINED
        if tuple(cuts) == self.cuts:
            return self
        return replace(self, cuts=(cuts[0], cuts[1]), steps=(steps[0], steps[1]))


def _rim(block: Block, way: Sequence[int], depth: int) -> Block:
    """Return the points of a block next to a side or a corner."""
    start, stop = list(block.start), list(block.stop)
    for axis, side in enumerate(way):
        if side < 0:
            stop[axis] = start[axis] + depth
        elif side > 0:
            start[axis] = stop[axis] - depth
    return Block((start[0], start[1]), (stop[0], stop[1]))
