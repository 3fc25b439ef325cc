# SPDX-License-Identifier: MIT
"""A level of a multigrid cycle on one rank: its arrays, exchanges and norms."""

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.device import Device
from hpcapp.gpu.views import cut
from hpcapp.mpi.packing import ON_HOST, Packing
from hpcapp.workload import Part, State
from hpcapp.workloads.laplace.levels import LevelShape
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.tiling import Tiling

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "GROWN",
    "MARGIN",
    "POST",
    "PRE",
    "REACH",
    "Level",
    "exchange_margin",
    "join_rows",
    "load_right_side",
    "local_unknowns",
    "natural_view",
    "padded",
    "piece",
    "split_rows",
    "zeros",
]

Region = tuple[int, int, int, int]

# sweeps before the correction, and after it
PRE = 2
POST = 1

# points beyond a block that are still right after the sweeps before: those of the
# sweeps after, and at least the three that the residual next to them needs
GROWN = max(2 * POST, 3)

# points that an exchange before a cycle fills, so that it needs no other on its
# level; even, as columns travel in pairs
MARGIN = (2 * PRE + GROWN + 1) // 2 * 2

# coarse points beyond a block that corrections (2) and cubic interpolation (3) need
REACH = 4

# rows of a source that are evaluated at a time
ROWS = 64


class Level:
    """Arrays of a block of one level.

    Parameters
    ----------
    comm : Comm
        The ranks.
    device : Device
        Launches kernels.
    shape : LevelShape
        The level.
    constant : float or None
        Right-hand side where it is the same everywhere: needs no array.

    Attributes
    ----------
    packing : Packing
        How pieces of its arrays travel.

    Notes
    -----
    Arrays are float64[ny, 2, nx / 2], with split rows (see `row_kernels`).
    """

    packing: Packing = ON_HOST

    def __init__(
        self, comm: "Comm", device: Device, shape: LevelShape, constant: float | None
    ) -> None:
        self.shape, self.device = shape, device
        self.block = block = shape.tiling.block(comm.rank)
        self.active = not block.empty
        self.u: Any = np.zeros((0, 0, 0))
        self.f: Any = np.zeros((0, 0, 0))
        self.constant = 0.0 if constant is None else constant
        self._exchanges: list[Any] = []
        if not self.active:
            return
        self.u = self.zeros(block)
        if constant is None:
            self.f = self.zeros(block)
        self.start = (block.start[0] - MARGIN, block.start[1] - MARGIN)
        self.place = self._place()
        pairs = [(self.u, MARGIN), (self.u, REACH)]
        if constant is None:
            pairs.append((self.f, MARGIN))
        self._exchanges = [
            exchange_margin(comm, array, shape.tiling, depth, self.packing)
            for array, depth in pairs
        ]

    def _place(self) -> tuple[Any, ...]:
        axes, block = self.shape.axes, self.block
        rows, columns = (
            axis.weights(start - MARGIN, stop + MARGIN)
            for axis, start, stop in zip(axes, block.start, block.stop, strict=True)
        )
        first, last = (at - self.start[1] for at in axes[1].regular)
        across = 1 / axes[1].width ** 2
        return (rows, columns, across, first, last, block.start[0] % 2)

    @property
    def natural(self) -> np.ndarray:
        """The block's values while rows are in natural order: a view."""
        return natural_view(self.u, self.block)

    def zeros(self, block: Block) -> Any:
        """Return the array of a block and its margin, in the memory of the level."""
        return zeros(block)

    def fetch(self, array: Any) -> np.ndarray:
        """Return the values of an array."""
        found: np.ndarray = array
        return found

    def restore(self, state: State) -> bool:
        """Set the block's values to saved ones, in natural order, if there are any."""
        return state.read("u", self.block, self.natural)

    def part(self) -> Part:
        """Return the block's values, while rows are in natural order."""
        return Part(self.block, self.natural)

    def split(self) -> None:
        """Bring rows from natural order into that of the kernels."""
        split_rows(self, self.u)

    def clear(self) -> None:
        """Set all values to 0."""
        self.u.fill(0.0)

    # --- exchanges

    def exchange(self) -> None:
        """Fill the whole margin of the values."""
        self._run(0)

    def exchange_near(self) -> None:
        """Fill what a finer level needs of the margin."""
        self._run(1)

    def exchange_right_side(self) -> None:
        """Fill the margin of the right-hand side."""
        self._run(2)

    def _run(self, number: int) -> None:
        if self.active:
            self._exchanges[number].run()

    def close(self) -> None:
        """Free the requests of the exchanges."""
        for exchange in self._exchanges:
            exchange.close()

    # --- values

    def load(self, problem: Poisson) -> None:
        """Set right-hand side and given boundary values; nothing else is meant."""
        if not self.active:
            return
        load_right_side(self.f, problem, self.shape.axes, self.start)
        self.load_sides(problem)

    def load_sides(self, problem: Poisson, natural: bool = False) -> None:
        """Set the given boundary values of an array that is zero inside.

        Parameters
        ----------
        problem : Poisson
            With the values.
        natural : bool
            Whether rows are to be in natural order. What was set in the other
            order is taken back.
        """
        if not self.active:
            return
        flat = self.u.reshape((len(self.u), -1))
        sides = list(problem.sides(self.shape.axes, self.start, flat.shape))
        # a column of one order is another column of the other
        for axis, at, _ in sides:
            if axis == 0:
                self.u[at] = 0.0
            else:
                flat[:, at] = self.u[:, at % 2, at // 2] = 0.0
        for axis, at, values in sides:
            if axis == 0:
                order = values if natural else (values[0::2], values[1::2])
                self.u[at] = np.reshape(order, self.u[at].shape)
            elif natural:
                flat[:, at] = values
            else:
                self.u[:, at % 2, at // 2] = values

    # --- regions

    def region(self, grow: int = 0) -> Region:
        """Return the unknowns of the block, grown into its neighbours, local."""
        return local_unknowns(self.shape.axes, self.block, grow)

    def limits(self) -> Region:
        """Return where there are unknowns at all, local."""
        (ja, jb), (ia, ib) = self.shape.axes[0].unknowns, self.shape.axes[1].unknowns
        j, i = self.start
        return (ja - j, jb - j, ia - i, ib - i)

    def bands(self, region: Region) -> list[Region]:
        """Cut rows into one piece for each thread."""
        first, last, start, stop = region
        threads = min(self.device.threads, max(1, last - first))
        cuts = [first + (last - first) * t // threads for t in range(threads + 1)]
        return [(a, b, start, stop) for a, b in pairwise(cuts)]

    def head(self) -> tuple[Any, ...]:
        """Return the arguments that the kernels begin with."""
        return (self.u, self.f, self.constant, self.place)

    # --- norms

    def norms(self, join: bool = False) -> np.ndarray:
        """Return bit patterns of the largest residual and value: int64[2].

        Parameters
        ----------
        join : bool
            Whether to bring rows into natural order on the way.
        """
        from hpcapp.workloads.laplace.row_kernels import norm_cpu

        if not self.active:
            return np.zeros(2, np.int64)
        bands = self.bands(self.region())
        rows = (0, len(self.u) if join and len(bands) == 1 else 0)
        calls = [(*self.head(), band, rows) for band in bands]
        found = np.array(np.max(self.device.launch(norm_cpu, calls), axis=0), np.int64)
        if join and len(bands) > 1:
            join_rows(self, self.u)
        return found

    def rim_norms(self) -> np.ndarray:
        """Return `norms` of values that are zero but for the sides.

        Where the right-hand side is the same everywhere, the residual is too, but
        for the unknowns next to the sides.
        """
        from hpcapp.workloads.laplace.row_kernels import norm_cpu

        found = [np.zeros(2, np.int64)]
        if self.active:
            ja, jb, ia, ib = self.region()
            edges = [
                (ja, min(ja + 1, jb), ia, ib),
                (max(jb - 1, ja), jb, ia, ib),
                (ja, jb, ia, min(ia + 1, ib)),
                (ja, jb, max(ib - 1, ia), ib),
            ]
            calls = [(*self.head(), edge, (0, 0)) for edge in edges]
            found += self.device.launch(norm_cpu, calls)
            found.append(np.array([abs(self.constant), 0.0]).view(np.int64))
        return np.array(np.max(found, axis=0), np.int64)

    def largest(self) -> np.ndarray:
        """Return the bit pattern of the largest value: int64[1]."""
        return self.largest_of(self.u)

    def largest_of(self, array: np.ndarray) -> np.ndarray:
        """Return `largest` of another array of the block."""
        from hpcapp.workloads.laplace.row_kernels import largest_cpu

        if not self.active:
            return np.zeros(1, np.int64)
        calls = [(array, band) for band in self.bands(self.region())]
        return np.array([max(self.device.launch(largest_cpu, calls))], np.int64)


def load_right_side(
    f: np.ndarray, problem: Poisson, axes: Any, corner: tuple[int, int]
) -> None:
    """Write a level's right-hand side: `f` has split rows and begins at a corner."""
    for start in range(0, len(f), ROWS):
        rows = f[start : start + ROWS]
        found = np.empty((len(rows), 2 * rows.shape[2]))
        problem.write_right_side(found, axes, (corner[0] + start, corner[1]))
        rows[:, 0], rows[:, 1] = found[:, 0::2], found[:, 1::2]


def split_rows(level: Level, array: np.ndarray) -> None:
    """Bring rows of a block's array from natural order into that of the kernels."""
    from hpcapp.workloads.laplace.row_kernels import split_rows_cpu

    bands = level.bands((0, len(array), 0, 0))
    level.device.launch(split_rows_cpu, [(array, a, b) for a, b, _, _ in bands])


def join_rows(level: Level, array: np.ndarray) -> None:
    """Bring rows of a block's array into natural order."""
    from hpcapp.workloads.laplace.row_kernels import join_rows_cpu

    bands = level.bands((0, len(array), 0, 0))
    level.device.launch(join_rows_cpu, [(array, a, b) for a, b, _, _ in bands])


def natural_view(array: np.ndarray, block: Block) -> np.ndarray:
    """Return the block's values while rows are in natural order: a view."""
    if block.empty:
        return np.zeros((0, 0))
    ny, nx = block.shape
    flat = array.reshape((len(array), -1))
    found: np.ndarray = flat[MARGIN : MARGIN + ny, MARGIN : MARGIN + nx]
    return found


def zeros(block: Block) -> np.ndarray:
    """Return the array of a block and its margin, with split rows."""
    return np.zeros(padded(block))


def padded(block: Block) -> tuple[int, int, int]:
    """Return the shape of the array of a block and its margin."""
    ny, nx = block.shape
    return (ny + 2 * MARGIN, 2, (nx + 2 * MARGIN + 1) // 2)


def piece(array: Any, whole: Block, part: Block) -> Any:
    """Return the points of `part`, which begins at an even column, as a view.

    Parameters
    ----------
    array : float64[ny, 2, nx / 2]
        Array of the block `whole`.
    whole, part : Block
        Global indices.
    """
    j, i = (a - b + MARGIN for a, b in zip(part.start, whole.start, strict=True))
    ny, nx = part.shape
    columns = slice(i // 2, (i + nx + 1) // 2)
    return cut(array, (slice(j, j + ny), slice(None), columns))


def local_unknowns(axes: Any, block: Block, grow: int = 0) -> Region:
    """Return the unknowns of a block, grown into its neighbours, local."""
    found: list[int] = []
    for axis, first, last in zip(axes, block.start, block.stop, strict=True):
        low, high = axis.unknowns
        start = first - MARGIN
        found += [max(first - grow, low) - start, min(last + grow, high) - start]
    return (found[0], found[1], found[2], found[3])


def exchange_margin(
    comm: "Comm",
    array: Any,
    tiling: Tiling,
    depth: int,
    packing: Packing = ON_HOST,
) -> Any:
    """Return the exchange of a margin, corners included, in one round.

    Parameters
    ----------
    comm : Comm
        The ranks.
    array : float64[ny, 2, nx / 2]
        Array of this rank's block.
    tiling : Tiling
        The blocks.
    depth : int
        Points of the margin, even.
    packing : Packing
        How pieces of the array travel.
    """
    whole, strips = tiling.block(comm.rank), tiling.strips(comm.rank, depth)
    return comm.moves(
        [(strip.rank, piece(array, whole, strip.sent)) for strip in strips],
        [(strip.rank, piece(array, whole, strip.received)) for strip in strips],
        packing,
    )
