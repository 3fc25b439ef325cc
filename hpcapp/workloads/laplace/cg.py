# SPDX-License-Identifier: MIT
"""Conjugate gradients, each residual prepared by a multigrid cycle."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hpcapp import reduction
from hpcapp.workload import Context, Part
from hpcapp.workloads.laplace.level import (
    ROWS,
    Level,
    exchange_margin,
    join_rows,
    natural_view,
    split_rows,
    zeros,
)
from hpcapp.workloads.laplace.multigrid import Cycles, broken_right_side, largest_side
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.solver import Found

__all__ = ["ConjugateGradients"]

# columns travel in pairs; the stencil needs one
DEPTH = 2

# a cycle leaves less than half of the error
LEFT = 0.5


class ConjugateGradients:
    """The solver of `method: cg` on one rank.

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

    Notes
    -----
    With the factor beta = <z', r' - r> / <z, r>, which allows for a preconditioner
    that is not quite symmetric (Golub, Ye, SIAM J. Sci. Comput. 21 (1999) 1305).
    Inner products are exact sums, rounded once. r is the residual by recursion; the
    right-hand side of the finest level is its home, and that level's values are the
    prepared residual z, which is nearly the error.
    """

    def __init__(
        self,
        ctx: Context,
        problem: Poisson,
        joined: int,
        workers: Sequence[int] | None = None,
    ) -> None:
        self._ctx, self._problem = ctx, problem
        self._cycles = Cycles(ctx, problem, joined, None, workers)
        self._finest = finest = self._cycles.levels[0]
        block = finest.block
        shape = (0, 0, 0) if block.empty else None
        self._x, self._p, self._q = (
            zeros(block) if shape is None else np.zeros(shape) for _ in range(3)
        )
        self._edge = largest_side(problem)
        self._comm = self._cycles.comm
        self._exchange = exchange_margin(
            self._comm, self._p, finest.shape.tiling, DEPTH
        )
        self._correction = float(ctx.state.get("correction", 0.0))
        self._split = True
        self._begin()

    def _begin(self) -> None:
        finest, state = self._finest, self._ctx.state
        self._rho = float(state.get("rho", 0.0))
        if state.resumed:
            for name, array in self._named():
                state.read(name, finest.block, natural_view(array, finest.block))
            self._split = False
            return
        finest.load(self._problem)
        if finest.active:
            # the sides stand in z, which is their place no longer
            np.copyto(self._x, finest.u)
            finest.u.fill(0.0)
            self._leave(finest.f, self._x, finest.f)

    def _named(self) -> list[tuple[str, np.ndarray]]:
        return [("u", self._x), ("r", self._finest.f), ("p", self._p)]

    @property
    def parts(self) -> list[Part]:
        """The values that this rank has, after `measure`."""
        return self._part(self._x)

    def more_parts(self) -> dict[str, Any]:
        """Return what else the state holds, by name, after `measure`."""
        return {
            "r": self._part(self._finest.f),
            "p": self._part(self._p),
            "rho": np.float64(self._rho),
        }

    def _part(self, array: np.ndarray) -> list[Part]:
        block = self._finest.block
        return [] if block.empty else [Part(block, natural_view(array, block))]

    def advance(self, count: int) -> float:
        """Do a number of iterations."""
        self._order(split=True)
        for _ in range(count):
            self._iterate()
        return count * self._cycles.updates(0)

    def _iterate(self) -> None:
        finest = self._finest
        if self._rho == 0:
            self._prepare()
            np.copyto(self._p, finest.u)
            self._rho = self._inner(finest.f, finest.u)
        self._exchange.run()
        self._leave(self._q, self._p, np.zeros((0, 0, 0)))
        # q = -A p
        bend = -self._inner(self._p, self._q)
        alpha = self._rho / bend if bend != 0 else 0.0
        self._combine("add", self._x, alpha, self._p)
        self._combine("add", finest.f, alpha, self._q)
        self._prepare()
        # r' - r = alpha q
        beta = alpha * self._inner(finest.u, self._q) / self._rho if self._rho else 0.0
        self._combine("scale", self._p, beta, finest.u)
        self._rho = self._inner(finest.f, finest.u)

    def _prepare(self) -> None:
        """Put into z what a cycle from 0 makes of r."""
        self._finest.exchange_right_side()
        self._finest.u.fill(0.0)
        self._cycles.cycle()

    def measure(self) -> Found:
        """Return norms and the estimated error; rows are in natural order then.

        Notes
        -----
        z differs from the error by what a cycle leaves of it, less than half: twice
        max |z| is more than the error.
        """
        self._order(split=True)
        finest = self._finest
        values = [finest.largest_of(v) for v in (finest.f, self._x, finest.u)]
        found = np.concatenate(values)
        found[:2] = np.maximum(found[:2], self._edge)
        found = self._comm.max(found)
        residual, value, correction = found.view(np.float64).tolist()
        self._order(split=False)
        if self._rho == 0 and not self._ctx.state.resumed and correction == 0:
            return Found(residual, value, 0.0, math.inf if residual > 0 else 0.0)
        return Found(residual, value, correction, correction / (1 - LEFT))

    def _order(self, split: bool) -> None:
        if split == self._split:
            return
        for _, array in self._named():
            (split_rows if split else join_rows)(self._finest, array)
        self._split = split

    def _leave(self, out: np.ndarray, u: np.ndarray, f: np.ndarray) -> None:
        from hpcapp.workloads.laplace.cg_kernels import leave_cpu

        finest = self._finest
        if finest.active:
            bands = finest.bands(finest.region())
            head = (out, u, f, 0.0, finest.place)
            finest.device.launch(leave_cpu, [(*head, band) for band in bands])

    def _combine(self, how: str, y: np.ndarray, factor: float, x: np.ndarray) -> None:
        from hpcapp.workloads.laplace.cg_kernels import add_scaled_cpu, scale_add_cpu

        finest = self._finest
        if finest.active:
            kernel = add_scaled_cpu if how == "add" else scale_add_cpu
            bands = finest.bands(finest.region())
            calls = [(y, factor, x, first, last) for first, last, _, _ in bands]
            finest.device.launch(kernel, calls)

    def _inner(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the inner product over all ranks, an exact sum of the products."""
        limbs = reduction.zeros()
        if self._finest.active:
            self._add_products(limbs, a, b)
        total = self._comm.sum(limbs)
        return reduction.to_float(total)

    def _add_products(self, limbs: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
        from hpcapp.workloads.laplace.cg_kernels import multiply_cpu

        finest = self._finest
        volumes = _volumes(finest)
        first, last, *columns = finest.region()
        buffer = np.empty((ROWS, *a.shape[1:]))
        for start in range(first, last, ROWS):
            stop = min(start + ROWS, last)
            region = (start, stop, *columns)
            multiply_cpu(buffer, a, b, volumes, start, region)
            reduction.add(limbs, buffer[: stop - start])

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        self._finest.load(self._problem)
        return broken_right_side(self._ctx, self._problem, self._finest)

    def close(self) -> None:
        """Free the requests of all exchanges."""
        self._exchange.close()
        self._cycles.close()


def _volumes(level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Return what rows and columns weigh: 1/2 at a mirror."""
    ny, _, half = level.u.shape
    rows, columns = (
        axis.volumes(np.arange(count) + start) / axis.width
        for axis, count, start in zip(
            level.shape.axes, (ny, 2 * half), level.start, strict=True
        )
    )
    return rows, np.ascontiguousarray(columns.reshape((half, 2)).T)
