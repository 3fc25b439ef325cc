# SPDX-License-Identifier: MIT
"""Sweeps of one rank's block: when to exchange, what to compute, in what order."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpcapp.workload import Context, Part
from hpcapp.workloads.laplace.engine import Engine, Region, open_engine
from hpcapp.workloads.laplace.grid import (
    Grid,
    Lines,
    first_broken,
    source_block,
    write_boundary,
)
from hpcapp.workloads.laplace.groups import PASS_LEVELS
from hpcapp.workloads.laplace.solver import Found

__all__ = ["Sweeper", "padded_shape"]


def padded_shape(shape: Sequence[int], margin: int) -> tuple[int, int]:
    """Return the shape of a block's array with its margin; zeros if it is empty."""
    if 0 in shape:
        return (0, 0)
    return (shape[0] + 2 * margin, shape[1] + 2 * margin)


class Sweeper:
    """The arrays of a block and the sweeps over them.

    Parameters
    ----------
    ctx : Context
        Communicator, device, layout and state.
    grid : Grid
        Geometry.
    lines : dict of str to float64[n]
        Values of the sides.
    source : float or str
        Number or expression.
    omega : float or None
        Relaxation factor of red-black sweeps; None for Jacobi's method.
    depth : int
        Points exchanged with neighbours, >= 1.
    kind : dtype
        float64 or float32: of all values, and of each operation of a sweep.

    Notes
    -----
    A level is what needs the neighbours' points once: a Jacobi sweep, or one
    colour of a red-black sweep. With a halo of depth d, d levels follow one
    exchange, on regions that shrink by a point a level; the outermost are
    computed by both neighbours, with the same bits.
    """

    def __init__(
        self,
        ctx: Context,
        grid: Grid,
        lines: Lines,
        source: Any,
        omega: float | None,
        depth: int,
        kind: np.dtype[Any],
    ) -> None:
        self._ctx, self._grid, self._kind = ctx, grid, kind
        # a number of that type, or kernels would compute in another one
        self._omega = None if omega is None else kind.type(omega)
        self._engine: Engine = open_engine(ctx.device)
        self._block = block = ctx.block
        self._margin = margin = depth
        self._levels_a_sweep = 1 if omega is None else 2
        neighbours = ctx.layout.neighbours(ctx.comm.rank)
        self._sides = [other is not None for pair in neighbours for other in pair]
        self._alone = not any(self._sides)
        self._shape = padded_shape(block.shape, margin)
        first = np.zeros(self._shape, kind)
        if not block.empty:
            self._fill(self._own(first), lines)
        count = 2 if omega is None else 1
        self._arrays = [self._engine.array(first, again=k > 0) for k in range(count)]
        region = _grown(block, margin)
        field, self._constant = source_block(
            source, grid, (0, 0, 0, 0) if block.empty else region
        )
        self._source = self._engine.array(field.astype(kind, copy=False))
        wy, wx, ws = grid.weights()
        self._stencil = np.array([wy, wx, ws, ws * self._constant], kind)
        self._halos = [
            ctx.comm.halo(
                self._engine.window(array, self._shape),
                ctx.layout,
                margin,
                margin,
                self._engine.packing,
            )
            if not block.empty
            else None
            for array in self._arrays
        ]
        # a level that grows into the margin also reads the domain's boundary there,
        # in either array
        for halo in self._halos:
            if halo is not None:
                halo.exchange()
        # bit patterns of the residual and of |u| where they cannot be smaller
        edge = max(float(np.abs(line).max()) for line in lines.values())
        self._least = np.array([0.0, kind.type(edge)], np.float64).view(np.int64)
        self._level = 0
        self._fresh = True

    @property
    def parts(self) -> list[Part]:
        """The block's values now."""
        return [self._engine.part(self._block, self._current, self._own)]

    def more_parts(self) -> dict[str, Any]:
        """Return what else the state holds: nothing."""
        return {}

    def advance(self, count: int) -> float:
        """Do a number of sweeps; return the updates of all ranks."""
        levels = count * self._levels_a_sweep
        while levels:
            group = min(levels, PASS_LEVELS if self._alone else self._margin)
            self._group(group)
            levels -= group
        ny, nx = self._grid.shape
        return float((ny - 2) * (nx - 2) * count)

    def measure(self) -> Found:
        """Return max |residual| and max |u|, boundary included; collective."""
        if not self._fresh:
            self._exchange()
        largest = self._least
        if not self._block.empty:
            ry, rx = 1 / self._grid.dy**2, 1 / self._grid.dx**2
            head = (self._current, self._source, self._constant, ry, rx)
            region = self._local(self._grid.interior(self._block))
            found = self._engine.residual(*head, region)
            largest = np.maximum(largest, found)
        residual, value = self._ctx.comm.max(largest).view(np.float64).tolist()
        return Found(residual, value)

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        field = self._engine.fetch(self._source)
        first, last, start, stop = (0, 0, 0, 0)
        corner = (0, 0)
        if not self._block.empty and field.size:
            rows = self._grid.interior(self._block)
            first, last, start, stop = self._local(rows)
            corner = (rows[0], rows[2])
        return first_broken(
            self._ctx.comm, self._grid.shape, field[first:last, start:stop], corner
        )

    def close(self) -> None:
        """Free the requests of the exchange."""
        for halo in self._halos:
            if halo is not None:
                halo.close()

    # --- arrays

    @property
    def _current(self) -> Any:
        return self._arrays[self._level % len(self._arrays)]

    def _own(self, array: np.ndarray) -> np.ndarray:
        if self._block.empty:
            return array
        m, (ny, nx) = self._margin, self._shape
        return array[m : ny - m, m : nx - m]

    def _fill(self, own: np.ndarray, lines: Lines) -> None:
        # a fresh start is zero inside; a resumed one brings its boundary along
        if not self._ctx.state.read("u", self._block, own):
            write_boundary(own, self._grid, self._block, lines)

    # --- exchange and levels

    def _exchange(self) -> None:
        halo = self._halos[self._level % len(self._halos)]
        if halo is not None:
            halo.exchange()
        self._fresh = True

    def _group(self, levels: int) -> None:
        """Do as many levels as the halo allows, after one exchange."""
        halo = self._halos[self._level % len(self._halos)]
        if halo is None:
            self._level += levels
            return
        regions = [
            self._local(self._grid.interior(self._block, levels - 1 - level))
            for level in range(levels)
        ]
        if not self._alone:
            first, regions = regions[0], regions[1:]
            if not self._fresh:
                # the first level's interior needs no halo: it hides the exchange
                halo.start()
                inner = self._inner(first)
                self._relax([inner])
                halo.finish()
                for strip in _rim(first, inner):
                    self._relax([strip])
            else:
                self._relax([first])
            self._level += 1
        if regions:
            self._level += self._relax(regions)
        self._fresh = False

    def _relax(self, regions: list[Region]) -> int:
        """Compute levels without changing their count; return what to add to it.

        That is less than their number where several together have taken values from
        one array to the other.
        """
        if self._omega is None:
            now = self._level % 2
            pair = (self._arrays[now], self._arrays[1 - now])
            return self._engine.jacobi(*pair, self._source, self._stencil, regions)
        start = self._block.start
        parity = (start[0] + start[1] + self._level) % 2
        head = (self._current, self._source, self._stencil)
        return self._engine.redblack(*head, self._omega, parity, regions)

    # --- regions

    def _local(self, region: Region) -> Region:
        j = self._margin - self._block.start[0]
        i = self._margin - self._block.start[1]
        return (region[0] + j, region[1] + j, region[2] + i, region[3] + i)

    def _inner(self, outer: Region) -> Region:
        """Return what of a region can be computed while the exchange is under way."""
        own = self._local(self._grid.interior(self._block))
        # no neighbour's point reaches further than one; in place, what a later
        # axis of the exchange has still to send must not change either
        rim = 1 if self._omega is None else self._margin
        below, above, left, right = (rim * side for side in self._sides)
        rows = (own[0] + below, own[1] - above)
        columns = (own[2] + left, own[3] - right)
        if rows[0] >= rows[1] or columns[0] >= columns[1]:
            return (outer[0], outer[0], outer[2], outer[2])
        return (*rows, *columns)


def _grown(block: Any, margin: int) -> Region:
    (ja, ia), (jb, ib) = block.start, block.stop
    return (ja - margin, jb + margin, ia - margin, ib + margin)


def _rim(outer: Region, inner: Region) -> list[Region]:
    """Return the strips between two regions: below, above, left, right."""
    strips = [
        (outer[0], inner[0], outer[2], outer[3]),
        (inner[1], outer[1], outer[2], outer[3]),
        (inner[0], inner[1], outer[2], inner[2]),
        (inner[0], inner[1], inner[3], outer[3]),
    ]
    return [s for s in strips if s[0] < s[1] and s[2] < s[3]]
