# SPDX-License-Identifier: MIT
"""Laplace's and Poisson's equation on a rectangle, five-point stencil."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from hpcapp.config import Model, Run
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import Device
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.expression import parse
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, Network, State, Step, Workload
from hpcapp.workloads.laplace.cg import ConjugateGradients
from hpcapp.workloads.laplace.checks import check_solution
from hpcapp.workloads.laplace.gpu_bytes import (
    count_cycle_bytes,
    count_sweep_bytes,
    count_vector_bytes,
)
from hpcapp.workloads.laplace.grid import Grid, Lines, boundary_lines, no_start
from hpcapp.workloads.laplace.groups import PASS_LEVELS, sweeps_row
from hpcapp.workloads.laplace.level import MARGIN
from hpcapp.workloads.laplace.multigrid import Multigrid
from hpcapp.workloads.laplace.parameters import CYCLES, Parameters, rounding_floor
from hpcapp.workloads.laplace.poisson import Poisson
from hpcapp.workloads.laplace.scaling import cycle_rows
from hpcapp.workloads.laplace.solver import Found, Solver
from hpcapp.workloads.laplace.sweeps import Sweeper, padded_shape
from hpcapp.workloads.laplace.traffic import count_bytes
from hpcapp.workloads.laplace.variables import list_fields
from hpcapp.workloads.laplace.warm_up import warm_up_method

__all__ = ["Laplace"]


class Laplace(Workload):
    """Solve u_xx + u_yy = source with values or fluxes on the sides of a rectangle.

    Parameters
    ----------
    parameters : Parameters
        Validated.
    run : Run
        Threads.

    Notes
    -----
    Residual of an iterate: max over interior points of
    |(u[N] + u[S] - 2u) / dy^2 + (u[E] + u[W] - 2u) / dx^2 - source|. The error
    against the discrete solution is at most L^2 / 8 times that, L the shorter
    side: compare with the parabola x (L - x) / 2 by the maximum principle
    (Hackbusch, Elliptic Differential Equations, section 4.4).
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "Laplace and Poisson equation on a rectangle"
    unit: ClassVar[str] = "updates"
    watched: ClassVar[str] = "residual"
    traffic: ClassVar[float] = 16.0
    tuning: ClassVar[frozenset[str]] = frozenset(
        {"halo_depth", "join_below", "share_cores"}
    )

    def __init__(self, parameters: Any, run: Run) -> None:
        super().__init__(parameters, run)
        (x0, x1), (y0, y1) = parameters.domain
        self.grid = Grid(parameters.shape, x0, x1, y0, y1)
        # a value read, a value written
        self.traffic = 2.0 * self._kind.itemsize  # type: ignore[misc]

    def domain(self) -> Domain:
        """Return the grid points, boundary included."""
        depth = self.parameters.halo_depth or PASS_LEVELS
        size = self._kind.itemsize
        return Domain(("y", "x"), self.parameters.shape, depth, itemsize=size)

    def fields(self) -> tuple[Field, ...]:
        """Return solution, coordinates, history of the residual and bound."""
        return list_fields(self.parameters.method, self._kind)

    def halo(self, layout: Layout) -> int:
        """Return the depth: as configured, or deep while few points are done twice.

        A sweep of a block takes less time than a message, so an exchange for many
        levels pays; points computed by both neighbours stay near a tenth.
        """
        if layout.used == 1:
            return 1
        if self._cycles:
            return MARGIN
        if self.parameters.halo_depth is not None:
            return layout.halo
        return min(layout.halo, max(2, layout.thinnest // 32))

    def check(self) -> None:
        """Refuse boundary values that are no finite numbers."""
        boundary_lines(self.grid, self.parameters.boundary)

    def extendable(self) -> frozenset[str]:
        """Return the bound of sweeps and the goal."""
        return frozenset({"max_iterations", "tolerance", "accuracy"})

    def check_extension(self, before: Mapping[str, Any]) -> None:
        """Refuse fewer sweeps, a looser goal, and a goal of another kind.

        With those a straight run stops before that state, or may have.
        """
        self.refuse_less("max_iterations", before.get("max_iterations"))
        old, now = before.get("tolerance"), self._tolerance
        if now == 0:
            # never met, so never met earlier
            return
        name = "accuracy" if now is None else "tolerance"
        if (old is None) != (now is None):
            other = "tolerance" if now is None else "accuracy"
            raise ConfigError(
                f"must not replace {other} when a run goes on, since it may have been "
                "met earlier; start another run, or use tolerance: 0",
                key=f"parameters.{name}",
            )
        if old is None or now is None:
            old, now = self._goal(before.get("accuracy")), self._accuracy
        if now > old:
            raise ConfigError(
                f"must not become looser when a run goes on, was {old}, got {now}; "
                "start another run",
                key=f"parameters.{name}",
            )

    def grown(self, factor: float) -> Mapping[str, Any]:
        """Return the same rectangle with a finer grid."""
        finer = math.sqrt(factor)
        return {"shape": [round((n - 1) * finer) + 1 for n in self.parameters.shape]}

    def memory(self, layout: Layout, rank: int) -> int:
        """Return bytes of a block's arrays; for cycles, of those of all levels."""
        if self._cycles:
            axes = self._problem({}).axes
            arrays = 5 if self.parameters.method == "cg" else 2 - self._plain_source
            return count_bytes(axes, layout, rank, self._joined, arrays)
        shape = layout.block(rank).shape
        padded = math.prod(padded_shape(shape, max(1, self.halo(layout))))
        count = 2 if self.parameters.method == "jacobi" else 1
        return self._kind.itemsize * (count + (not self._plain_source)) * padded

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:
        """Return bytes of arrays and messages on a GPU, and of pinned buffers."""
        plain, depth = self._plain_source, max(1, self.halo(layout))
        if self._cycles:
            cg = self.parameters.method == "cg"
            facts = self._problem({}).axes, layout, rank, self._joined
            gpu, pinned = count_cycle_bytes(*facts, plain and not cg)
            more = count_vector_bytes(*facts) if cg else (0, 0)
            return gpu + more[0], pinned + more[1]
        jacobi = self.parameters.method == "jacobi"
        # passes of several levels over-relax from one array to another
        another = not jacobi and self._kind == np.float64
        without_halo = int(not plain) + int(another)
        return count_sweep_bytes(layout, rank, depth, 1 + jacobi, without_halo)

    def plan_rows(
        self, layout: Layout, network: Network | None = None
    ) -> tuple[tuple[str, str], ...]:
        """Return messages and work of a step or a cycle; modelled times of cycles."""
        if not self._cycles:
            p, depth = self.parameters, max(1, self.halo(layout))
            twice = p.method == "sor"
            row = sweeps_row(self.grid, layout, depth, twice, p.check_every)
            return ((f"{p.check_every} sweeps", row),)
        return cycle_rows(self._problem({}).axes, layout, self._joined, network)

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare with residual, boundary, maximum principle and a direct solver."""
        return check_solution(self.parameters, self.grid, read)

    def without_gpu(self) -> str:
        """Return "": all methods have kernels for a GPU."""
        return ""

    def warm_up(self, device: Device) -> None:
        """Compile the kernels of the method, and of a source that is a field."""
        p = self.parameters
        warm_up_method(device, p.method, p.source, self._kind)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Go on until the criterion holds, `check_every` sweeps or a cycle a step."""
        # evaluated once: no other rank has to load what evaluates expressions
        sides = self.parameters.boundary
        lines = ctx.comm.on_root(lambda: boundary_lines(self.grid, sides))
        solver = self._solver(ctx, lines)
        try:
            yield from self._march(ctx, solver)
        finally:
            solver.close()

    def _solver(self, ctx: Context, lines: Lines) -> Solver:
        p = self.parameters
        if self._cycles:
            solver = ConjugateGradients if p.method == "cg" else Multigrid
            workers = None if p.share_cores else ctx.comm.workers
            return solver(ctx, self._problem(lines), self._joined, workers)
        omega = None
        if p.method == "sor":
            omega = p.relaxation or self.grid.optimal_omega()
        depth = max(1, self.halo(ctx.layout))
        return Sweeper(ctx, self.grid, lines, p.source, omega, depth, self._kind)

    def _march(self, ctx: Context, solver: Solver) -> Iterator[Step]:
        p, state = self.parameters, ctx.state
        iterations, residuals = self._history(state)
        if not iterations:
            found = solver.measure()
            if not math.isfinite(found.residual):
                at = solver.broken_source()
                raise no_start(self.grid, p.source, found.residual, at)
            state["initial_residual"] = np.float64(found.residual)
            iterations, residuals = [0], [1.0 if found.residual > 0 else 0.0]
            self._record(ctx, solver, iterations, residuals, found)
        state["x"], state["y"] = self.grid.x(0, p.shape[1]), self.grid.y(0, p.shape[0])
        self._put(state, solver)
        while not self._done(state):
            done = iterations[-1]
            every = 1 if self._cycles else p.check_every
            count = min(every - done % every, p.max_iterations - done)
            if done % every:
                # the odd residual at the end of a run that is now extended
                iterations, residuals = iterations[:-1], residuals[:-1]
            work = solver.advance(count)
            found = solver.measure()
            iterations = [*iterations, done + count]
            relative = found.residual / float(state["initial_residual"])
            residuals = [*residuals, relative]
            self._record(ctx, solver, iterations, residuals, found)
            note = f"residual {relative:.2e}"
            yield Step(self._fraction(state), note, work, relative)

    def answer(self, state: State) -> Answer:
        """Return residual, error bound and sweeps."""
        residual = float(state["residual"][-1])
        done, unit = int(state["iteration"][-1]), "cycles" if self._cycles else "sweeps"
        bound, about = float(state["error_bound"]), "at most"
        if self._cycles and float(state["error_estimate"]) < bound:
            bound, about = float(state["error_estimate"]), "about"
        converged = self._converged(state)
        goal = "tolerance" if self._tolerance is not None else "accuracy"
        warning = ""
        if converged is False:
            warning = (
                f"laplace: {goal} not met after max_iterations = {done} {unit} "
                f"(relative residual {residual:.2e}); raise it and resume"
            )
        return Answer(
            text=(
                f"relative residual {residual:.3e} after {done} {unit}, distance "
                f"to the discrete solution {about} {bound:.2e}"
            ),
            values={"residual": residual, "error_bound": bound, "iterations": done},
            converged=converged,
            warning=warning,
        )

    @property
    def _cycles(self) -> bool:
        return self.parameters.method in CYCLES

    @property
    def _kind(self) -> np.dtype[Any]:
        single = self.parameters.precision == "single"
        return np.dtype(np.float32 if single else np.float64)

    @property
    def _joined(self) -> int:
        return int(self.parameters.join_below)

    @property
    def _plain_source(self) -> bool:
        return parse(self.parameters.source, ("x", "y")).constant is not None

    def _problem(self, lines: Lines) -> Poisson:
        p = self.parameters
        return Poisson(self.grid, lines, p.source, p.boundary.fluxes)

    @property
    def _tolerance(self) -> float | None:
        return self.parameters.tolerance  # type: ignore[no-any-return]

    @property
    def _accuracy(self) -> float:
        return self._goal(self.parameters.accuracy)

    def _goal(self, accuracy: float | None) -> float:
        # the default must not ask for more than rounding allows
        p = self.parameters
        default = max(1e-6, rounding_floor(p.shape, p.precision))
        return float(accuracy or default)

    def _history(self, state: State) -> tuple[list[int], list[float]]:
        if not state.resumed:
            return [], []
        return state["iteration"].tolist(), state["residual"].tolist()

    def _record(
        self,
        ctx: Context,
        solver: Solver,
        iterations: list[int],
        residuals: list[float],
        found: Found,
    ) -> None:
        """Make the state complete for the next yield."""
        state = ctx.state
        absolute = residuals[-1] * float(state["initial_residual"])
        if not math.isfinite(absolute):
            raise HpcappError(
                f"laplace: the iteration diverged at sweep {iterations[-1]}: the "
                f"residual is {absolute}; use a smaller relaxation"
            )
        state["iteration"] = np.array(iterations, np.int64)
        state["residual"] = np.array(residuals)
        state["error_bound"] = np.float64(absolute * self._height())
        state["largest"] = np.float64(found.largest)
        if self._cycles:
            state["error_estimate"] = np.float64(found.estimate)
            state["correction"] = np.float64(found.correction)
        self._put(state, solver)

    @staticmethod
    def _put(state: State, solver: Solver) -> None:
        state["u"] = solver.parts
        for name, value in solver.more_parts().items():
            state[name] = value

    def _height(self) -> float:
        """Return the largest value of a parabola that bends by 1 between the sides."""
        axes = self._problem({}).axes
        lengths = (self.grid.y1 - self.grid.y0, self.grid.x1 - self.grid.x0)
        # a side with given flux is a mirror
        heights = [
            length**2 / (2 if axis.low or axis.high else 8)
            for axis, length in zip(axes, lengths, strict=True)
            if not (axis.low and axis.high)
        ]
        return min(heights)

    def _converged(self, state: State) -> bool | None:
        if float(state["initial_residual"]) == 0:
            return True
        residual = float(state["residual"][-1])
        if self._tolerance is None:
            return self._error(state) <= self._accuracy * float(state["largest"])
        return residual <= self._tolerance if self._tolerance > 0 else None

    def _error(self, state: State) -> float:
        bound = float(state["error_bound"])
        return min(bound, float(state["error_estimate"])) if self._cycles else bound

    def _done(self, state: State) -> bool:
        out_of_sweeps = int(state["iteration"][-1]) >= self.parameters.max_iterations
        return out_of_sweeps or self._converged(state) is True

    def _fraction(self, state: State) -> float:
        share = int(state["iteration"][-1]) / self.parameters.max_iterations
        residual = float(state["residual"][-1])
        if self._tolerance is None:
            goal = self._accuracy * float(state["largest"])
            start = self._error(state) / residual if residual else 1.0
        else:
            goal, start = self._tolerance, 1.0
        if residual > 0 and 0 < goal < start:
            share = max(share, math.log(residual) / math.log(goal / start))
        return float(min(max(share, 0.0), 1.0))
