# SPDX-License-Identifier: MIT
"""Conjugate gradients, each residual prepared by a multigrid cycle."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hpcapp import reduction
from hpcapp.workload import Context, Part
from hpcapp.workloads.laplace.level import exchange_margin
from hpcapp.workloads.laplace.multigrid import Cycles, broken_right_side, largest_side
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.solver import Found
from hpcapp.workloads.laplace.vectors import open_vectors

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
        self._vectors = vectors = open_vectors(finest)
        self._x, self._p, self._q = (vectors.zeros() for _ in range(3))
        self._edge = largest_side(problem)
        self._comm = self._cycles.comm
        self._exchange = exchange_margin(
            self._comm, self._p, finest.shape.tiling, DEPTH, finest.packing
        )
        self._correction = float(ctx.state.get("correction", 0.0))
        self._split = True
        self._begin()

    def _begin(self) -> None:
        finest, state = self._finest, self._ctx.state
        self._rho = float(state.get("rho", 0.0))
        if state.resumed:
            for name, array in self._named():
                self._vectors.read(state, name, array)
            self._split = False
            return
        finest.load(self._problem)
        if finest.active:
            # the sides stand in z, which is their place no longer
            self._vectors.copy(self._x, finest.u)
            finest.clear()
            self._vectors.leave(finest.f, self._x, finest.f)

    def _named(self) -> list[tuple[str, Any]]:
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

    def _part(self, array: Any) -> list[Part]:
        return [self._vectors.part(array)] if self._finest.active else []

    def advance(self, count: int) -> float:
        """Do a number of iterations."""
        self._order(split=True)
        for _ in range(count):
            self._iterate()
        return count * self._cycles.updates(0)

    def _iterate(self) -> None:
        finest, vectors = self._finest, self._vectors
        if self._rho == 0:
            self._prepare()
            if finest.active:
                vectors.copy(self._p, finest.u)
            self._rho = self._inner(finest.f, finest.u)
        self._exchange.run()
        vectors.leave(self._q, self._p, np.zeros((0, 0, 0)))
        # q = -A p
        bend = -self._inner(self._p, self._q)
        alpha = self._rho / bend if bend != 0 else 0.0
        vectors.add_scaled(self._x, alpha, self._p)
        vectors.add_scaled(finest.f, alpha, self._q)
        self._prepare()
        # r' - r = alpha q
        beta = alpha * self._inner(finest.u, self._q) / self._rho if self._rho else 0.0
        vectors.scale_add(self._p, beta, finest.u)
        self._rho = self._inner(finest.f, finest.u)

    def _prepare(self) -> None:
        """Put into z what a cycle from 0 makes of r."""
        self._finest.exchange_right_side()
        self._finest.clear()
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
        self._vectors.order([array for _, array in self._named()], split)
        self._split = split

    def _inner(self, a: Any, b: Any) -> float:
        """Return the inner product over all ranks, an exact sum of the products."""
        limbs = reduction.zeros()
        self._vectors.add_products(limbs, a, b)
        total = self._comm.sum(limbs)
        return reduction.to_float(total)

    def broken_source(self) -> tuple[int, int] | None:
        """Return row and column of the first source that is no number, or None."""
        self._finest.load(self._problem)
        return broken_right_side(self._ctx, self._problem, self._finest)

    def close(self) -> None:
        """Free the requests of all exchanges."""
        self._exchange.close()
        self._cycles.close()
