# SPDX-License-Identifier: MIT
"""Who owns what: integer arithmetic on index spaces. No MPI, no arrays."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

__all__ = ["Block", "Domain", "Layout", "choose_grid", "part_of", "runs", "split"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Block:
    """A box of global indices; `stop` is excluded, as in a slice.

    Parameters
    ----------
    start, stop : tuple of int
        First index, and one past the last, along each axis.
    """

    start: Shape
    stop: Shape

    @property
    def shape(self) -> Shape:
        """Extent along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of points."""
        return prod(self.shape)

    @property
    def empty(self) -> bool:
        """Whether it holds no point."""
        return self.size == 0


@dataclass(frozen=True)
class Domain:
    """The global index space of a workload.

    Parameters
    ----------
    dims : tuple of str
        Names of its axes, the last one fastest.
    shape : tuple of int
        Global extent along each axis.
    halo : int
        Points that a rank needs from its neighbours on each side.
    cut : int or None
        How many axes, from the first on, may be divided; None: all.
    dealt : bool
        Whether the workload deals out its parts itself, so that blocks say only
        how much a rank gets on average.
    """

    dims: tuple[str, ...]
    shape: Shape
    halo: int = 0
    cut: int | None = None
    dealt: bool = False
    itemsize: int = 8


def split(length: int, parts: int) -> tuple[tuple[int, int], ...]:
    """Cut a range into parts whose lengths differ by at most one.

    Parameters
    ----------
    length : int
        Length of the range, >= 0.
    parts : int
        Number of parts, >= 1. The first ``length % parts`` are one longer.

    Returns
    -------
    tuple of (int, int)
        Start and stop of each part, in order; empty where `length < parts`.

    Examples
    --------
    >>> split(10, 4)
    ((0, 3), (3, 6), (6, 8), (8, 10))
    """
    return tuple(part_of(length, parts, index) for index in range(parts))


def part_of(length: int, parts: int, index: int) -> tuple[int, int]:
    """Return one part of `split` without the others.

    Parameters
    ----------
    length, parts : int
        As in `split`.
    index : int
        Which part, 0 <= index < parts.

    Returns
    -------
    (int, int)
        Its start and stop.

    Examples
    --------
    >>> part_of(10, 4, 1)
    (3, 6)
    """
    base, longer = divmod(length, parts)
    start = index * base + min(index, longer)
    return start, start + base + (index < longer)


def runs(shape: Shape, block: Block) -> list[tuple[int, int, int]]:
    """Return the contiguous runs of a block in an array in C order.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array.
    block : Block
        A non-empty box of it.

    Returns
    -------
    list of (int, int, int)
        First element in the whole, first one in the block, number of elements.

    Examples
    --------
    >>> runs((3, 8), Block((1, 2), (3, 6)))
    [(10, 0, 4), (18, 4, 4)]
    >>> runs((3, 8), Block((1, 0), (3, 8)))
    [(8, 0, 16)]
    """
    # trailing axes that the block spans whole join into one run
    axis = len(shape)
    while axis > 0 and block.shape[axis - 1] == shape[axis - 1]:
        axis -= 1
    axis = max(axis - 1, 0)
    length = prod(block.shape[axis:])
    strides = [prod(shape[k + 1 :]) for k in range(len(shape))]
    origin = sum(i * s for i, s in zip(block.start, strides, strict=True))
    skips = [0]
    for extent, stride in zip(block.shape[:axis], strides, strict=False):
        skips = [skip + stride * i for skip in skips for i in range(extent)]
    return [(origin + skip, k * length, length) for k, skip in enumerate(skips)]


def choose_grid(shape: Shape, ranks: int) -> Shape:
    """Return the process grid with the least halo area.

    As many ranks as possible get a block; where no grid of exactly `ranks`
    fits (seven ranks on 3 x 3 points), the last ranks own nothing.

    Parameters
    ----------
    shape : tuple of int
        Global extents, each >= 1.
    ranks : int
        Number of ranks, >= 1.

    Returns
    -------
    tuple of int
        Ranks along each axis. Of equals, the one that cuts the first axes
        more, since its blocks are longer runs in memory and in the file.

    Examples
    --------
    >>> choose_grid((1000, 1000), 16)
    (4, 4)
    >>> choose_grid((3, 3), 7)
    (3, 2)
    """
    for used in range(min(ranks, prod(shape)), 0, -1):
        fitting = [
            grid
            for grid in _factorisations(used, len(shape))
            if all(n <= extent for n, extent in zip(grid, shape, strict=True))
        ]
        if fitting:
            return min(
                fitting,
                key=lambda grid: (cut_area(shape, grid), tuple(-n for n in grid)),
            )
    raise ValueError(f"no process grid for {ranks} ranks on shape {shape}")


def cut_area(shape: Shape, grid: Shape) -> int:
    """Return the number of points along all cuts that a process grid makes."""
    return sum(
        (n - 1) * prod(shape[:axis] + shape[axis + 1 :]) for axis, n in enumerate(grid)
    )


def _factorisations(number: int, axes: int) -> Iterator[Shape]:
    if axes == 1:
        yield (number,)
        return
    for first in range(1, number + 1):
        if number % first == 0:
            for rest in _factorisations(number // first, axes - 1):
                yield (first, *rest)


@dataclass(frozen=True)
class Layout:
    """The blocks of all ranks.

    Parameters
    ----------
    domain : Domain
        What is divided.
    grid : tuple of int
        Ranks along each axis. Rank r has the grid position of r in C order;
        ranks beyond the grid own nothing.
    """

    domain: Domain
    grid: Shape

    @classmethod
    def choose(cls, domain: Domain, ranks: int, grid: Shape | None = None) -> "Layout":
        """Divide a domain.

        Parameters
        ----------
        domain : Domain
            What is divided.
        ranks : int
            Number of ranks.
        grid : tuple of int, optional
            The process grid, where it must not be chosen.

        Returns
        -------
        Layout
            The division.

        Raises
        ------
        ValueError
            If `grid` needs more ranks than there are or cuts an axis into
            more parts than it has points.
        """
        cut = len(domain.shape) if domain.cut is None else domain.cut
        if grid is None:
            whole = (1,) * (len(domain.shape) - cut)
            return cls(domain, choose_grid(domain.shape[:cut], ranks) + whole)
        if len(grid) != len(domain.shape):
            axes = len(domain.dims)
            raise ValueError(
                f"must have {axes} number{'s' * (axes > 1)} for the "
                f"{'axes' if axes > 1 else 'axis'} {', '.join(domain.dims)}, "
                f"got {_times(grid)}"
            )
        if any(n > 1 for n in grid[cut:]):
            raise ValueError(
                f"must be 1 for {', '.join(domain.dims[cut:])}, which is not divided, "
                f"got {_times(grid)}"
            )
        if prod(grid) > ranks:
            raise ValueError(
                f"must not need more than the {ranks} ranks that there are, "
                f"got {_times(grid)}"
            )
        if any(n > extent for n, extent in zip(grid, domain.shape, strict=True)):
            raise ValueError(
                f"must not cut an axis into more parts than it has points "
                f"({_times(domain.shape)}), got {_times(grid)}"
            )
        return cls(domain, tuple(grid))

    @property
    def used(self) -> int:
        """Number of ranks that own a block."""
        return prod(self.grid)

    @cached_property
    def halo(self) -> int:
        """Halo depth that neighbours alone can fill.

        The domain's, or the smallest extent of a block along a cut axis.
        """
        return min(self.domain.halo, self.thinnest)

    @property
    def thinnest(self) -> int:
        """Least extent of a block along a cut axis; the domain's if none is cut."""
        cut = [
            extent // n
            for n, extent in zip(self.grid, self.domain.shape, strict=True)
            if n > 1
        ]
        return min(cut or self.domain.shape)

    def block(self, rank: int) -> Block:
        """Return the block of a rank: all zeros where it owns nothing."""
        if rank >= self.used:
            nothing = (0,) * len(self.grid)
            return Block(nothing, nothing)
        bounds = [
            part_of(extent, n, position)
            for extent, n, position in zip(
                self.domain.shape, self.grid, self._position(rank), strict=True
            )
        ]
        return Block(tuple(a for a, _ in bounds), tuple(b for _, b in bounds))

    def neighbours(self, rank: int) -> tuple[tuple[int | None, int | None], ...]:
        """Return the ranks below and above along each axis, None at the edge."""
        if rank >= self.used:
            return ((None, None),) * len(self.grid)
        position = self._position(rank)
        pairs = []
        for axis, n in enumerate(self.grid):
            stride = prod(self.grid[axis + 1 :])
            below = rank - stride if position[axis] > 0 else None
            above = rank + stride if position[axis] < n - 1 else None
            pairs.append((below, above))
        return tuple(pairs)

    def owner(self, index: Shape) -> int:
        """Return the rank that owns a global index."""
        rank = 0
        for extent, n, i in zip(self.domain.shape, self.grid, index, strict=True):
            base, longer = divmod(extent, n)
            edge = longer * (base + 1)
            part = i // (base + 1) if i < edge else longer + (i - edge) // base
            rank = rank * n + part
        return rank

    def _position(self, rank: int) -> Shape:
        position = []
        for n in reversed(self.grid):
            rank, part = divmod(rank, n)
            position.append(part)
        return tuple(reversed(position))


def halo_sent(layout: Layout, rank: int, depth: int) -> tuple[int, int]:
    """Return messages and bytes that a rank sends in one exchange.

    Parameters
    ----------
    layout : Layout
        Blocks.
    rank : int
        The rank.
    depth : int
        Points that neighbours exchange.
    """
    extended = list(layout.block(rank).shape)
    messages = points = 0
    for axis, pair in enumerate(layout.neighbours(rank)):
        sides = sum(other is not None for other in pair)
        across = [n for other, n in enumerate(extended) if other != axis]
        messages += sides if depth else 0
        points += sides * depth * prod(across)
        # corners travel with the later axes, except at depth 1, which needs none
        extended[axis] += sides * depth if depth > 1 else 0
    return messages, layout.domain.itemsize * points


def _times(numbers: Shape) -> str:
    return " x ".join(str(n) for n in numbers)
