# SPDX-License-Identifier: MIT
"""Sweeps of one rank's block: when to exchange, what to compute, in what order."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from hpcapp.workload import Context, Part
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

Region = tuple[int, int, int, int]


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
    ) -> None:
        self._ctx, self._grid, self._omega = ctx, grid, omega
        self._block = block = ctx.block
        self._margin = margin = depth
        self._levels_a_sweep = 1 if omega is None else 2
        neighbours = ctx.layout.neighbours(ctx.comm.rank)
        self._sides = [other is not None for pair in neighbours for other in pair]
        self._alone = not any(self._sides)
        shape = padded_shape(block.shape, margin)
        count = 2 if omega is None else 1
        self._arrays = [np.zeros(shape) for _ in range(count)]
        for array in self._arrays:
            if not block.empty:
                self._fill(self._own(array), lines)
        region = _grown(block, margin)
        self._source, self._constant = source_block(
            source, grid, (0, 0, 0, 0) if block.empty else region
        )
        wy, wx, ws = grid.weights()
        self._stencil = np.array([wy, wx, ws, ws * self._constant])
        self._halos = [
            ctx.comm.halo(array, ctx.layout, margin, margin)
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
        self._least = np.array([0.0, edge]).view(np.int64)
        self._level = 0
        self._fresh = True

    @property
    def parts(self) -> list[Part]:
        """The block's values now, a view."""
        return [Part(self._block, self._own(self._current))]

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
        from hpcapp.workloads.laplace.kernels import residual_cpu

        if not self._fresh:
            self._exchange()
        largest = self._least
        if not self._block.empty:
            ry, rx = 1 / self._grid.dy**2, 1 / self._grid.dx**2
            head = (self._current, self._source, self._constant, ry, rx)
            bands = self._bands(self._local(self._grid.interior(self._block)))
            found = self._ctx.device.launch(
                residual_cpu, [(*head, np.array(band)) for band in bands]
            )
            largest = np.max([largest, *found], axis=0).astype(np.int64)
        residual, value = self._ctx.comm.max(largest).view(np.float64).tolist()
        return Found(residual, value)

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        field = self._source
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
    def _current(self) -> np.ndarray:
        return self._arrays[self._level % len(self._arrays)]

    def _own(self, array: np.ndarray) -> np.ndarray:
        if self._block.empty:
            return array
        m = self._margin
        return array[m : array.shape[0] - m, m : array.shape[1] - m]

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
        done = 0
        if not self._alone:
            if not self._fresh:
                # the first level's interior needs no halo: it hides the exchange
                halo.start()
                inner = self._inner(regions[0])
                self._relax([inner])
                halo.finish()
                for strip in _rim(regions[0], inner):
                    self._relax([strip])
            else:
                self._relax([regions[0]])
            self._level += 1
            done = 1
        if done < levels:
            self._relax(regions[done:])
            self._level += levels - done
        self._fresh = False

    def _relax(self, regions: list[Region]) -> None:
        """Compute levels without changing the count of levels."""
        if self._ctx.device.threads == 1:
            self._launch([regions])
            return
        for offset, region in enumerate(regions):
            self._level += offset
            self._launch([[band] for band in self._bands(region)])
            self._level -= offset

    def _launch(self, groups: list[list[Region]]) -> None:
        from hpcapp.workloads.laplace.kernels import (
            relax_jacobi_cpu,
            relax_redblack_cpu,
        )

        device = self._ctx.device
        levels = [np.array(group, np.int64) for group in groups if group]
        if self._omega is None:
            even, odd = self._current, self._arrays[(self._level + 1) % 2]
            device.launch(
                relax_jacobi_cpu,
                [(even, odd, self._source, self._stencil, level) for level in levels],
            )
            return
        start = self._block.start
        parity = (start[0] + start[1] + self._level) % 2
        head = (self._current, self._source, self._stencil, self._omega, parity)
        device.launch(relax_redblack_cpu, [(*head, level) for level in levels])

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

    def _bands(self, region: Region) -> list[Region]:
        first, last, start, stop = region
        threads = min(self._ctx.device.threads, max(1, last - first))
        cuts = [first + (last - first) * t // threads for t in range(threads + 1)]
        return [(a, b, start, stop) for a, b in pairwise(cuts)]


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
