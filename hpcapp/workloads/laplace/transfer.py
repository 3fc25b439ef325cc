# SPDX-License-Identifier: MIT
"""The way from a level of a multigrid cycle to the next one and back, on one rank."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.level import (
    GROWN,
    MARGIN,
    POST,
    PRE,
    REACH,
    Level,
    local_unknowns,
    piece,
)

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Transfer"]

Region = tuple[int, int, int, int]

NOWHERE = (0, 0, 0, 0)


class Transfer:
    """The way from a level to the next one and back.

    Parameters
    ----------
    comm : Comm
        The ranks.
    fine, coarse : Level
        Neighbouring levels. Where blocks are joined between them, coarse points
        travel to the ranks that own the joined blocks, and back.
    """

    def __init__(self, comm: "Comm", fine: Level, coarse: Level) -> None:
        self._fine = fine
        self._axes = coarse.shape.axes
        shape = coarse.shape
        self._block = block = shape.parts.block(comm.rank)
        # the coarse points of this rank's fine ones
        self._u, self._f = coarse.u, coarse.f
        self._rest: tuple[Any, ...] = ()
        self._lift: tuple[Any, ...] = ()
        self._rise: tuple[Any, ...] = ()
        self._moves: list[Any] = []
        # other blocks, or other memory
        if shape.parts != shape.tiling or fine.packing is not coarse.packing:
            self._u, self._f = np.zeros((0, 0, 0)), np.zeros((0, 0, 0))
            if not block.empty:
                self._u, self._f = fine.zeros(block), fine.zeros(block)
            self._join(comm, coarse)
        if fine.active:
            self._tables(fine.shape.axes, shape.axes)

    def _join(self, comm: "Comm", coarse: Level) -> None:
        tiling, parts = coarse.shape.tiling, coarse.shape.parts
        collect_out, spread_in = [], []
        if not self._block.empty:
            for rank, common in tiling.overlaps(self._block):
                collect_out.append((rank, piece(self._f, self._block, common)))
            for rank, common in tiling.overlaps(grown(self._block)):
                spread_in.append((rank, piece(self._u, self._block, common)))
        collect_in, spread_out = [], []
        if coarse.active:
            whole = coarse.block
            for rank, common in parts.overlaps(whole):
                collect_in.append((rank, piece(coarse.f, whole, common)))
            for rank, _ in parts.overlaps(grown(whole)):
                wanted = common_part(grown(parts.block(rank)), whole)
                if not wanted.empty:
                    spread_out.append((rank, piece(coarse.u, whole, wanted)))
        self._moves = [
            comm.moves(collect_out, collect_in, self._fine.packing),
            comm.moves(spread_out, spread_in, self._fine.packing),
        ]

    def _tables(self, fine: tuple[Axis, Axis], coarse: tuple[Axis, Axis]) -> None:
        """Set the weights of restriction, correction and cubic interpolation."""
        rest, lift, rise, offsets = [], [], [], []
        for axis in range(2):
            old, new = fine[axis], coarse[axis]
            first, last = self._block.start[axis], self._block.stop[axis]
            low, high = self._fine.block.start[axis], self._fine.block.stop[axis]
            here, there = low - MARGIN, first - MARGIN
            offsets.append(((1 if old == new else 2), here, there))
            rest.append(old.restriction(new, there, last + MARGIN))
            below, table = old.linear(new, here, high + MARGIN)
            lift += [below - there, table]
            four, table = old.cubic(new, here, high + MARGIN)
            rise += [four - there, table]
        (fy, here_y, there_y), (fx, here, there) = offsets
        offset, cells = fx * there - here, coarse[1].cells
        # weights differ where a cell on either side does; not coarsened, nowhere
        first, last = 1 - there, min(coarse[1].regular[1], cells - 1) - there
        columns = (fx, offset, first, max(first, last))
        self._rest = (*rest, (fy, fy * there_y - here_y), columns)
        end = max(2, 2 * (cells - 2))
        self._lift = (*lift, (fx, offset, 2 * (cells - 1) - here))
        self._rise = (*rise, (fx, offset, 2 - here, end - here))
        if fx == 1:
            self._rise = (*rise, (1, offset, 0, 0))

    def descend(self) -> None:
        """Sweep on the fine level and restrict what is left to the coarse one."""
        from hpcapp.workloads.laplace.multigrid_kernels import descend_cpu

        fine = self._fine
        if fine.active:
            grows = range(GROWN + 2 * PRE - 1, GROWN - 1, -1)
            regions = self._sweep([fine.region(grow) for grow in grows])
            head, limits = (*fine.head(), regions, self._f, self._rest), fine.limits()
            areas = fine.bands(local_unknowns(self._axes, self._block))
            fine.device.launch(descend_cpu, [(*head, area, limits) for area in areas])
        if self._moves:
            self._moves[0].run()

    def ascend(self) -> None:
        """Correct the fine level by the coarse one and sweep."""
        from hpcapp.workloads.laplace.multigrid_kernels import ascend_cpu

        fine = self._fine
        if not fine.active:
            return
        regions = [fine.region(grow) for grow in range(2 * POST - 1, -1, -1)]
        split = fine.device.threads > 1
        head = (*fine.head(), _table([] if split else regions), self._u, self._lift)
        bands = fine.bands(fine.region(2 * POST))
        fine.device.launch(ascend_cpu, [(*head, band) for band in bands])
        if split:
            self._sweep(regions)

    def _sweep(self, regions: list[Region]) -> np.ndarray:
        """Do half-sweeps one by one in all threads; return those left to a pass."""
        from hpcapp.workloads.laplace.multigrid_kernels import descend_cpu

        fine = self._fine
        if fine.device.threads == 1:
            return _table(regions)
        for stage, region in enumerate(regions):
            place = (*fine.place[:-1], fine.place[-1] + stage)
            head = (fine.u, fine.f, fine.constant, place)
            tail = (self._f, self._rest, NOWHERE, NOWHERE)
            fine.device.launch(
                descend_cpu,
                [(*head, _table([band]), *tail) for band in fine.bands(region)],
            )
        return _table([])

    def spread(self) -> None:
        """Bring coarse values, with the margin that is needed, to the fine blocks."""
        if self._moves:
            self._moves[1].run()

    def prolong(self) -> None:
        """Interpolate the coarse solution to the fine level by cubics."""
        from hpcapp.workloads.laplace.multigrid_kernels import prolong_cpu

        fine = self._fine
        if fine.active:
            head = (fine.u, self._u, self._rise)
            bands = fine.bands(fine.region())
            fine.device.launch(prolong_cpu, [(*head, band) for band in bands])

    def close(self) -> None:
        """Free the requests."""
        for moves in self._moves:
            moves.close()


def grown(block: Block) -> Block:
    """Return a block and the points around it that a finer level needs."""
    (ja, ia), (jb, ib) = block.start, block.stop
    return Block((ja - REACH, ia - REACH), (jb + REACH, ib + REACH))


def common_part(a: Block, b: Block) -> Block:
    """Return what two blocks share; of size 0 or less where that is nothing."""
    starts = tuple(max(p, q) for p, q in zip(a.start, b.start, strict=True))
    stops = tuple(
        max(start, min(p, q))
        for start, p, q in zip(starts, a.stop, b.stop, strict=True)
    )
    return Block(starts, stops)


def _table(regions: list[Region]) -> np.ndarray:
    return np.array(regions, np.int64).reshape((len(regions), 4))
