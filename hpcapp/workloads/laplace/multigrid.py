# SPDX-License-Identifier: MIT
"""Multigrid cycles on all ranks: full multigrid to start, V cycles to go on."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpcapp.workload import Context, Part
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.grid import first_broken
from hpcapp.workloads.laplace.level import MARGIN, POST, PRE, Level
from hpcapp.workloads.laplace.levels import LevelShape, build_levels
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.solver import Found
from hpcapp.workloads.laplace.transfer import Transfer

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "Cycles",
    "Multigrid",
    "broken_right_side",
    "largest_side",
]

# where full multigrid looks at the contraction: a sixteenth of the finest level's work
WATCHED = 2

# corrections may shrink faster for a while than errors do
LEAST_CONTRACTION = 0.1


class Cycles:
    """The levels of a problem and cycles over them.

    Parameters
    ----------
    ctx : Context
        Communicator, device and layout.
    problem : Poisson
        What is solved.
    joined : int
        Extent of a block below which neighbouring ones are joined.
    constant : float or None
        Right-hand side of the finest level where it is the same everywhere.
    workers : sequence of int or None
        The ranks that own blocks; None: those of the layout.

    Notes
    -----
    V(2,1) cycles with red-black Gauss-Seidel sweeps, full weighting and linear
    interpolation; full multigrid interpolates by cubics (Trottenberg, Oosterlee,
    Schueller, Multigrid, 2001, sections 2.5 and 2.6). The last level is solved
    directly by the rank that owns it.
    """

    def __init__(
        self,
        ctx: Context,
        problem: Poisson,
        joined: int,
        constant: float | None,
        workers: Sequence[int] | None = None,
    ) -> None:
        self._problem = problem
        least = max(joined, MARGIN)
        shapes = build_levels(problem.axes, ctx.layout, least, workers)
        # ranks with a core each need not sleep while they wait for one another
        self.comm = ctx.comm if workers is None else ctx.comm.at_work()
        self.levels, self.transfers = _build(ctx, self.comm, shapes, constant)
        self._direct = _Direct(self.levels[-1])

    def updates(self, number: int) -> float:
        """Return the updates of a cycle that begins on a level."""
        unknowns = [level.shape.unknowns for level in self.levels[number:]]
        return float((PRE + POST) * sum(unknowns[:-1]) + unknowns[-1])

    def start(self) -> float:
        """Solve on the last level, go up one by one, with a cycle on each.

        Returns
        -------
        float
            By what another cycle has made corrections smaller on the level
            `WATCHED`; 1/2 where there is none that deep.
        """
        contraction = 0.5
        for number in range(len(self.levels) - 1, -1, -1):
            level = self.levels[number]
            if number > 0:
                level.clear()
                level.load(self._problem)
            if number + 1 == len(self.levels):
                self._direct.solve()
                continue
            self.levels[number + 1].exchange_near()
            self.transfers[number].spread()
            self.transfers[number].prolong()
            level.exchange()
            self.cycle(number)
            if number == WATCHED:
                contraction = self._contraction(number)
        return contraction

    def _contraction(self, number: int) -> float:
        """Do another cycle on a level; return the ratio of the two corrections."""
        level, below = self.levels[number], self.levels[number + 1]
        before = below.largest()
        level.exchange()
        self.cycle(number)
        both = self.comm.max(np.concatenate([before, below.largest()]))
        first, second = both.view(np.float64).tolist()
        return second / first if first > 0 else 0.0

    def cycle(self, number: int = 0) -> None:
        """Improve a level's values, whose whole margin must be right."""
        if number + 1 == len(self.levels):
            self._direct.solve()
            return
        transfer, coarse = self.transfers[number], self.levels[number + 1]
        transfer.descend()
        coarse.clear()
        coarse.exchange_right_side()
        self.cycle(number + 1)
        coarse.exchange_near()
        transfer.spread()
        transfer.ascend()

    def close(self) -> None:
        """Free the requests of all exchanges."""
        for level in self.levels:
            level.close()
        for transfer in self.transfers:
            transfer.close()


def _build(
    ctx: Context, comm: "Comm", shapes: Sequence[LevelShape], constant: float | None
) -> tuple[list[Level], list[Transfer]]:
    """Return the levels and the ways between them, where the device has them."""
    constants = [constant, *(None for _ in shapes[1:])]
    if ctx.device.name == "cuda":
        from hpcapp.workloads.laplace.cuda_level import build_on_gpu

        return build_on_gpu(ctx, shapes, constants)
    levels = [
        Level(comm, ctx.device, shape, number)
        for shape, number in zip(shapes, constants, strict=True)
    ]
    return levels, [Transfer(comm, *pair) for pair in pairwise(levels)]


class Multigrid:
    """The solver of `method: multigrid` on one rank.

    Parameters
    ----------
    ctx : Context
        Communicator, device, layout and state.
    problem : Poisson
        What is solved.
    joined : int
        Extent of a block below which neighbouring ones are joined.
    workers : sequence of int or None
        The ranks that own blocks; None: those of the layout.
    """

    def __init__(
        self,
        ctx: Context,
        problem: Poisson,
        joined: int,
        workers: Sequence[int] | None = None,
    ) -> None:
        self._ctx, self._problem = ctx, problem
        constant = problem.constant
        self._cycles = Cycles(ctx, problem, joined, constant, workers)
        self._finest = finest = self._cycles.levels[0]
        finest.load(problem)
        # the last correction; before there is one nothing is known of the error
        self._correction = float(ctx.state.get("correction", 0.0))
        self._contraction = 1.0
        self._started = ctx.state.resumed and len(ctx.state["iteration"]) > 1
        # split rows, and a margin that fits the block
        self._split, self._fresh = True, False
        if finest.restore(ctx.state):
            self._split = False
        self._edge = largest_side(problem)

    @property
    def parts(self) -> list[Part]:
        """The values that this rank has, after `measure`."""
        finest = self._finest
        return [finest.part()] if finest.active else []

    def more_parts(self) -> dict[str, Any]:
        """Return what else the state holds: nothing."""
        return {}

    def advance(self, count: int) -> float:
        """Do a full multigrid solve the first time, and cycles."""
        work = 0.0
        for _ in range(count):
            self._prepare()
            if self._started:
                self._cycles.cycle()
                work += self._cycles.updates(0)
            else:
                self._contraction = self._cycles.start()
                work += sum(map(self._cycles.updates, range(len(self._cycles.levels))))
            self._started, self._fresh = True, False
        return work

    def _prepare(self) -> None:
        if not self._started and self._finest.f.size == 0:
            # the first solve writes all values but those of the sides
            self._finest.load_sides(self._problem)
            self._split = self._fresh = True
        if not self._split:
            self._finest.split()
            self._split = True
        if not self._fresh:
            self._finest.exchange()
            self._fresh = True

    def measure(self) -> Found:
        """Return norms and the estimated error; rows are in natural order then.

        Notes
        -----
        A cycle leaves q times the error, and its correction is what it has taken
        away. q is the last correction over the one before; after the first solve,
        what was seen on a coarser level. Linear interpolation keeps the largest
        value of a correction, so the level below the finest tells it.
        """
        finest = self._finest
        self._prepare()
        if self._started or finest.f.size:
            norms = finest.norms(join=True)
        else:
            norms = finest.rim_norms()
            finest.load_sides(self._problem, natural=True)
        norms = np.maximum(norms, self._edge)
        self._split = False
        below = self._cycles.levels[1:2]
        change = below[0].largest() if below else np.zeros(1, np.int64)
        found = self._cycles.comm.max(np.concatenate([norms, change]))
        residual, value, correction = found.view(np.float64).tolist()
        return self._judged(residual, value, correction)

    def _judged(self, residual: float, value: float, correction: float) -> Found:
        if not self._started or len(self._cycles.levels) == 1:
            return Found(residual, value)
        if self._correction > 0:
            self._contraction = correction / self._correction
        self._correction = correction
        q = max(self._contraction, LEAST_CONTRACTION)
        estimate = correction * q / (1 - q) if q < 1 else math.inf
        return Found(residual, value, correction, estimate)

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        return broken_right_side(self._ctx, self._problem, self._finest)

    def close(self) -> None:
        """Free the requests of all exchanges."""
        self._cycles.close()


def largest_side(problem: Poisson) -> np.ndarray:
    """Return bit patterns of 0 and of the largest given value: int64[2]."""
    given = [line for name, line in problem.lines.items() if name not in problem.fluxes]
    return np.array([0.0, max(np.abs(line).max() for line in given)]).view(np.int64)


def broken_right_side(
    ctx: Context, problem: Poisson, finest: Level
) -> tuple[int, int] | None:
    """Return row and column of the first source that is no number; collective."""
    values, corner = np.zeros((0, 0)), (0, 0)
    if finest.active and finest.f.size:
        ja, jb, ia, ib = finest.region()
        values = in_order(finest.fetch(finest.f))[ja:jb, ia:ib]
        corner = (finest.start[0] + ja, finest.start[1] + ia)
    return first_broken(ctx.comm, problem.grid.shape, values, corner)


class _Direct:
    """The last level, solved by one rank."""

    def __init__(self, level: Level) -> None:
        self._level = level
        if level.active:
            self._band = _band(level.shape.axes)
            self._factored = False

    def solve(self) -> None:
        """Solve for the level's right-hand side and boundary values."""
        level = self._level
        if not level.active:
            return
        from hpcapp.workloads.laplace.band_kernels import (
            factor_band_cpu,
            solve_band_cpu,
        )

        if not self._factored:
            factor_band_cpu(self._band)
            self._factored = True
        ja, jb, ia, ib = level.region()
        values = in_order(level.u)
        left = _residual(level, values)
        order: Literal["C", "F"] = "F" if left.shape[0] < left.shape[1] else "C"
        x = np.negative(left).reshape(-1, order=order)
        solve_band_cpu(self._band, x)
        values[ja:jb, ia:ib] += x.reshape(left.shape, order=order)
        level.u[:, 0], level.u[:, 1] = values[:, 0::2], values[:, 1::2]


def in_order(array: np.ndarray) -> np.ndarray:
    """Return a copy of a small array with split rows in natural order."""
    return array.transpose((0, 2, 1)).reshape((len(array), -1))


def _residual(level: Level, u: np.ndarray) -> np.ndarray:
    """Return the residual of a small level: float64[unknowns along y, x]."""
    ja, jb, ia, ib = level.region()
    rows, columns = level.place[0][ja:jb], level.place[1][ia:ib]
    here = u[ja:jb, ia:ib]
    total = rows[:, :1] * (u[ja - 1 : jb - 1, ia:ib] - here)
    total += rows[:, 1:] * (u[ja + 1 : jb + 1, ia:ib] - here)
    total += columns[:, 0] * (u[ja:jb, ia - 1 : ib - 1] - here)
    total += columns[:, 1] * (u[ja:jb, ia + 1 : ib + 1] - here)
    right = in_order(level.f)[ja:jb, ia:ib] if level.f.size else level.constant
    return np.asarray(right - total)


def _band(axes: tuple[Axis, Axis]) -> np.ndarray:
    """Return the matrix of minus the stencil, the shorter axis first in memory."""
    tables = [axis.weights(*axis.unknowns) for axis in axes]
    if len(tables[0]) < len(tables[1]):
        tables.reverse()
    slow, fast = tables
    m, n = len(fast), len(slow) * len(fast)
    band = np.zeros((n, 2 * m + 1))
    around = slow.sum(axis=1)[:, np.newaxis] + fast.sum(axis=1)
    band[:, m] = around.reshape(-1)
    # where m is 1 both kinds of neighbours could not be told apart
    inner_low, inner_high = fast.copy()[:, 0], fast.copy()[:, 1]
    inner_low[0] = inner_high[-1] = 0
    outer_low, outer_high = slow.copy()[:, 0], slow.copy()[:, 1]
    outer_low[0] = outer_high[-1] = 0
    if m > 1:
        band[:, m - 1] = -np.tile(inner_low, len(slow))
        band[:, m + 1] = -np.tile(inner_high, len(slow))
    band[:, 0] = -np.repeat(outer_low, m)
    band[:, 2 * m] = -np.repeat(outer_high, m)
    return band
