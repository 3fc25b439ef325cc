# SPDX-License-Identifier: MIT
"""A rank's share of the picture: computing it in steps, saving and restoring it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.decomposition import Block, part_of
from hpcapp.device import Device
from hpcapp.workload import Context, Step
from hpcapp.workloads.mandelbrot.picture import (
    Chunk,
    Plane,
    chunk_parts,
    number_parts,
    predict_costs,
)
from hpcapp.workloads.mandelbrot.schedules import (
    band_rows,
    cut_bands,
    share_block,
    share_cost,
    share_cyclic,
)

__all__ = ["ROUND", "Painter", "step_count"]

ROUND = 1 << 17
"""Iterations that an orbit is followed in one step."""

# bands that a rank with a GPU claims at a time
BANDS = 32

# saved orbits that are read at a time
PIECE = 1 << 18

Rows = NDArray[np.int64]


def step_count(shape: tuple[int, int]) -> int:
    """Return the steps in which all rows are computed; of the shape alone."""
    return min(shape[0], 5 + (shape[0] * shape[1] >> 20))


class Painter:
    """The chunks of one rank.

    Parameters
    ----------
    plane : Plane
        Where pixels lie.
    device : Device
        Runs kernels.
    """

    def __init__(self, plane: Plane, device: Device) -> None:
        self.plane, self.device = plane, device
        self.parameters = plane.parameters
        self.chunks: list[Chunk] = []
        self.todo: Rows = np.arange(self.parameters.shape[0], dtype=np.int64)
        self.reached = min(self.parameters.max_iterations, ROUND)
        # a GPU is one worker, which many bands fill
        on_gpu = device.name == "cuda"
        self._threads = 1 if on_gpu else device.threads
        self._drawn = BANDS if on_gpu else device.threads

    # --- rows

    def paint(self, ctx: Context) -> Iterator[Step]:
        """Compute the rows that are not done, as the schedule says."""
        if not self.todo.size:
            return
        if self.parameters.schedule == "dynamic":
            yield from self._claim_bands(ctx)
            return
        mine = self._share(ctx)
        steps = self._steps()
        for number in range(steps):
            first, last = part_of(len(mine), steps, number)
            self.chunks += self.compute(mine[first:last], self.reached)
            yield self._row_step(ctx, number + 1, steps)

    def compute(self, bands: Sequence[Rows], limit: int) -> list[Chunk]:
        """Compute bands, dealt out to the threads in turn."""
        threads = min(self._threads, len(bands))
        calls = [
            (np.concatenate(bands[thread::threads]), self.plane, limit, self.device)
            for thread in range(threads)
        ]
        return self.device.launch(Chunk.compute, calls)

    def bands(self) -> list[Rows]:
        """Return what the schedules deal out: rows, mirrored ones in one band."""
        rows, height = self.todo, band_rows(self.parameters.shape)
        mirror = self.plane.mirror(rows)
        paired = (rows != mirror) & np.isin(mirror, rows)
        bands = cut_bands(rows[~paired], height)
        first = paired & (rows < mirror)
        pairs = np.stack([rows[first], mirror[first]], axis=1)
        step = -(-height // 2)
        cuts = range(0, len(pairs), step)
        return bands + [pairs[cut : cut + step].reshape(-1) for cut in cuts]

    def _steps(self) -> int:
        """Return the steps of the rows that are left, of a whole picture's size."""
        shape = self.parameters.shape
        return -(-step_count(shape) * self.todo.size // shape[0])

    def _row_step(self, ctx: Context, done: int, steps: int) -> Step:
        self._show(ctx)
        # where orbits go on after the rows, these are about half of the work
        whole = self.reached == self.parameters.max_iterations
        pixels = self.todo.size * self.parameters.shape[1] / steps
        return Step(done / steps * (1.0 if whole else 0.5), "rows", pixels)

    def _share(self, ctx: Context) -> list[Rows]:
        """Return this rank's bands under a schedule that needs no communication."""
        ranks, rank = ctx.comm.size, ctx.comm.rank
        if self.parameters.schedule == "block":
            height = band_rows(self.parameters.shape)
            whole = share_block(self.todo, ctx.layout.used, rank)
            return [band for rows in whole for band in cut_bands(rows, height)]
        bands = self.bands()
        if self.parameters.schedule == "cyclic":
            return share_cyclic(bands, ranks, rank)
        if ranks == 1:
            return bands
        costs = predict_costs(bands, self.plane, ranks, self.device)
        return share_cost(bands, costs, ranks, rank)

    def _claim_bands(self, ctx: Context) -> Iterator[Step]:
        """Compute the bands that no other rank has claimed yet.

        A step ends with the band of a fixed number: a rank that draws a later one
        keeps it for the next step, so that nobody waits for anybody.
        """
        bands = self.bands()
        steps = self._steps()
        # nobody may end up with the whole picture
        most = 2 * -(-len(bands) // ctx.comm.size)
        claim = ctx.comm.claim(len(bands))
        drawn: list[int] = []
        try:
            for number in range(steps):
                _, end = part_of(len(bands), steps, number)
                while True:
                    while len(drawn) < self._drawn and most > 0:
                        ticket = claim.next()
                        most = 0 if ticket is None else most - 1
                        drawn += [] if ticket is None else [ticket]
                    now = [ticket for ticket in drawn if ticket < end]
                    if not now:
                        break
                    drawn = drawn[len(now) :]
                    chosen = [bands[ticket] for ticket in now]
                    self.chunks += self.compute(chosen, self.reached)
                yield self._row_step(ctx, number + 1, steps)
        except GeneratorExit:
            # stopped at a yield, on all ranks: only then they close it together
            claim.close()
            raise
        claim.close()

    # --- orbits

    def go_on(self, ctx: Context) -> Iterator[Step]:
        """Follow the orbits that are neither out nor known to stay, then count."""
        most = self.parameters.max_iterations
        while self.reached < most and self._anyone(ctx):
            limit = min(most, self.reached + ROUND)
            calls = [
                (chunk, self.plane, self.reached, limit, self.device)
                for chunk in self.chunks
                if chunk.places.size
            ]
            self.device.launch(Chunk.follow, calls)
            self.reached = limit
            self._show(ctx)
            yield Step(limit / most, f"followed for {limit} iterations")
        self.reached = most
        self._show(ctx)
        inside = sum(int((chunk.counts == most).sum()) for chunk in self.chunks)
        ctx.state["inside"] = ctx.comm.sum(np.array([inside], np.int64))[0]

    def _anyone(self, ctx: Context) -> bool:
        going = sum(chunk.places.size for chunk in self.chunks)
        return bool(ctx.comm.max(np.array([going], np.int64))[0])

    # --- state

    def _show(self, ctx: Context) -> None:
        """Make the state complete."""
        state, nx = ctx.state, self.parameters.shape[1]
        chunks = self.chunks
        state["iterations"] = chunk_parts(chunks)
        state["row"] = number_parts([chunk.rows for chunk in chunks])
        state["orbit"] = number_parts(
            [
                chunk.rows[chunk.places // nx] * nx + chunk.places % nx
                for chunk in chunks
            ]
        )
        state["orbit_re"] = number_parts([chunk.z[:, 0] for chunk in chunks])
        state["orbit_im"] = number_parts([chunk.z[:, 1] for chunk in chunks])
        state["reached"] = np.int64(self.reached)
        state["never"] = np.int64(self.parameters.max_iterations)

    def restore(self, ctx: Context) -> None:
        """Take over a share of the rows that are done, and their orbits."""
        state = ctx.state
        done = np.empty(state.length("row"), np.int64)
        state.read("row", Block((0,), (done.size,)), done)
        done.sort()
        self.todo = np.setdiff1d(self.todo, done)
        self.reached = int(state["reached"])
        bands = cut_bands(done, band_rows(self.parameters.shape))
        mine = share_cyclic(bands, ctx.comm.size, ctx.comm.rank)
        # in as many chunks as there are threads, for `go_on`
        threads = max(1, min(self._threads, len(mine)))
        self.chunks = [
            self._restore_chunk(state, np.concatenate(mine[thread::threads]))
            for thread in range(threads)
            if mine
        ]

    def _restore_chunk(self, state: Any, rows: Rows) -> Chunk:
        counts = np.empty((rows.size, self.parameters.shape[1]), np.int32)
        chunk = Chunk(rows, counts, np.empty(0, np.int64), np.empty((0, 2)))
        for part in chunk_parts([chunk]):
            state.read("iterations", part.block, part.array)
        counts[counts == int(state["never"])] = self.parameters.max_iterations
        chunk.places, chunk.z = self._restore_orbits(state, rows)
        return chunk

    def _restore_orbits(self, state: Any, rows: Rows) -> tuple[Rows, Any]:
        """Read all saved orbits, in pieces, and keep those of some rows."""
        ny, nx = self.parameters.shape
        local = np.full(ny, -1, np.int64)
        local[rows] = np.arange(rows.size)
        places, z = [np.empty(0, np.int64)], [np.empty((0, 2))]
        for first in range(0, state.length("orbit"), PIECE):
            last = min(first + PIECE, state.length("orbit"))
            block = Block((first,), (last,))
            orbit = np.empty(last - first, np.int64)
            both = np.empty((2, last - first))
            state.read("orbit", block, orbit)
            state.read("orbit_re", block, both[0])
            state.read("orbit_im", block, both[1])
            own = local[orbit // nx] >= 0
            places.append(local[orbit[own] // nx] * nx + orbit[own] % nx)
            z.append(both[:, own].T)
        return np.concatenate(places), np.ascontiguousarray(np.concatenate(z))
