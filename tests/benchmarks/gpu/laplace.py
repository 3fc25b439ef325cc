# SPDX-License-Identifier: MIT
"""Sweeps and cycles on a GPU.

Sweeps begin with sin(m pi x) sin(m pi y), which each of them multiplies by a known
number: every answer is compared with that, whatever the size. Rates count 16 bytes a
point and sweep (a value read, a value written), of sor twice that: what goes through
memory several sweeps at a time may be faster than a copy.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.benchmarks.gpu.peers import sweep_redblack
from tests.benchmarks.gpu.rungs import COURSE, OURS, Place, Rung, Task
from tests.benchmarks.report import Statement
from tests.benchmarks.rungs import sweep_jacobi_slices

__all__ = ["COPY", "check_bits", "cycles", "jacobi", "redblack"]

COPY = "copy on the device"
OMEGA = 1.9

# of answers, where max |u| = 1 at first
TOLERANCE = 1e-11

# bytes of a point and sweep
JACOBI, REDBLACK = 16, 32

# of what is taken through memory together on the CPU
LEVELS = 16

Get = Callable[[int], np.ndarray]


@dataclass
class Mode:
    """sin(m pi x) sin(m pi y) on a square, and what sweeps make of it.

    Parameters
    ----------
    n : int
        Points along an axis.
    """

    n: int
    number: int = field(init=False)
    factor: float = field(init=False)
    red: float = 1.0
    black: float = 1.0
    sweeps: int = 0

    def __post_init__(self) -> None:
        # waves of about 200 points, which die away slowly
        self.number = max(1, (self.n - 1) // 100)
        self.factor = float(np.cos(self.number * np.pi / (self.n - 1)))

    def line(self) -> np.ndarray:
        """Return the sine along an axis: float64[n]."""
        return np.sin(self.number * np.pi * np.arange(self.n) / (self.n - 1))

    def start(self) -> np.ndarray:
        """Return the first iterate: float64[n, n]."""
        u = np.outer(self.line(), self.line())
        u[0] = u[-1] = u[:, 0] = u[:, -1] = 0.0
        return u

    def jacobi(self, sweeps: int) -> None:
        """Note sweeps by Jacobi's method."""
        self.sweeps += sweeps
        self.red = self.black = self.factor**self.sweeps

    def redblack(self, sweeps: int) -> None:
        """Note sweeps of over-relaxation: a colour is what the other one makes it."""
        self.sweeps += sweeps
        for _ in range(sweeps):
            self.red += OMEGA * (self.factor * self.black - self.red)
            self.black += OMEGA * (self.factor * self.red - self.black)

    def check(self, name: str, row: Get) -> Statement:
        """Compare some rows with what is known of them.

        Parameters
        ----------
        name : str
            Who made them.
        row : callable
            Returns a row of the iterate, by its number.
        """
        line, worst = self.line(), 0.0
        for j in np.linspace(1, self.n - 2, 7).astype(int).tolist():
            colours = np.where((np.arange(self.n) + j) % 2, self.black, self.red)
            difference = row(j)[: self.n] - line[j] * line * colours
            worst = max(worst, float(np.abs(difference[1:-1]).max()))
        text = f"{name}: {self.sweeps} sweeps: off by {worst:.1e} (<= {TOLERANCE:.0e})"
        return Statement(text, worst <= TOLERANCE)


def jacobi(place: Place) -> Task:
    """Return Jacobi's method: one sweep a launch, four a pass, and others' ways."""
    sizes = place.sizes
    rungs = [
        _copy(place),
        _ours(place, "one sweep a launch", 1),
        _ours(place, "four sweeps a pass", 4),
        _course(place, False),
    ]
    for arrays in place.peers:
        ways = {"slices": sweep_jacobi_slices, **arrays.compiled()}
        for name, sweep in ways.items():
            rungs.append(_peer_jacobi(place, arrays, name, sweep))
        rungs.append(_peer_copy(place, arrays))
    rungs.append(_on_cpu(place, sizes.cpu_grid, False))
    return Task("laplace jacobi", "GB/s", rungs, COPY)


def redblack(place: Place) -> Task:
    """Return red-black over-relaxation."""
    rungs = [_copy(place), _ours_redblack(place), _course(place, True)]
    rungs += [_peer_redblack(place, arrays) for arrays in place.peers]
    rungs.append(_on_cpu(place, place.sizes.cpu_grid, True))
    return Task("laplace sor", "GB/s", rungs, COPY)


def _size(n: int, sweeps: int) -> str:
    return f"{n}^2, {sweeps} sweeps"


def _copy(place: Place) -> Rung:
    """Return a copy of the grid as the driver does it: the limit."""
    n, device = place.sizes.grid, place.device
    source = device.to_device(Mode(n).start())
    target = device.empty((n, n))

    def check() -> Statement:
        same = bool(
            (target[n // 2].copy_to_host() == source[n // 2].copy_to_host()).all()
        )
        return Statement(f"{COPY}: a row of the copy is the row", same)

    def run() -> None:
        target.copy_to_device(source)

    return Rung(COPY, f"{n}^2", JACOBI * n**2, run, check)


def _peer_copy(place: Place, arrays: Any) -> Rung:
    n, name = place.sizes.grid, f"{arrays.name}, {COPY}"
    source = arrays.put(np.ones((n, n)))
    target = arrays.zeros((n, n))

    def check() -> Statement:
        right = bool((arrays.get(target[n // 2]) == 1.0).all())
        return Statement(f"{name}: a row of the copy is the row", right)

    run = lambda: arrays.copy(target, source)  # noqa: E731
    return Rung(name, f"{n}^2", JACOBI * n**2, run, check, optional=True)


def _interior(n: int) -> tuple[int, int, int, int]:
    return (1, n - 1, 1, n - 1)


# weights of neighbours along y, along x, of the source and of a constant source
STENCIL = np.array([0.25, 0.25, 0.0, 0.0])


def _ours(place: Place, way: str, levels: int) -> Rung:
    """Return hpcapp's sweeps: so many a pass."""
    from hpcapp.workloads.laplace.engine import open_engine

    n, sweeps = place.sizes.grid, place.sizes.sweeps
    engine, mode = open_engine(place.device), Mode(n)
    first, name = mode.start(), f"{OURS}, {way}"
    arrays = [engine.array(first), engine.array(first, again=True)]
    none = engine.array(np.empty((0, 0)))

    def run() -> None:
        for _ in range(sweeps // levels):
            passes = engine.jacobi(*arrays, none, STENCIL, [_interior(n)] * levels)
            if passes != 1:
                raise RuntimeError(f"{name}: {passes} passes for {levels} sweeps")
            arrays.reverse()

    def check() -> Statement:
        mode.jacobi(sweeps)
        return mode.check(name, lambda j: arrays[0][j].copy_to_host())

    return Rung(name, _size(n, sweeps), JACOBI * (n - 2) ** 2 * sweeps, run, check)


def _ours_redblack(place: Place) -> Rung:
    from hpcapp.workloads.laplace.engine import open_engine

    n, sweeps = place.sizes.grid, place.sizes.sweeps
    engine, mode = open_engine(place.device), Mode(n)
    u, none = engine.array(mode.start()), engine.array(np.empty((0, 0)))

    def run() -> None:
        engine.redblack(u, none, STENCIL, OMEGA, 0, [_interior(n)] * (2 * sweeps))

    def check() -> Statement:
        mode.redblack(sweeps)
        return mode.check(OURS, lambda j: u[j].copy_to_host())

    return Rung(OURS, _size(n, sweeps), REDBLACK * (n - 2) ** 2 * sweeps, run, check)


def _course(place: Place, colours: bool) -> Rung:
    """Return sweeps with one thread for a point."""
    from tests.benchmarks.gpu.course_cuda_kernels import jacobi_course, redblack_course

    n, sweeps, device = place.sizes.grid, place.sizes.sweeps, place.device
    mode, name = Mode(n), f"{COURSE}, one thread a point"
    block = (4, 2) if device.simulated else (32, 8)
    grid = (-(-n // block[0]), -(-n // block[1])), block
    first = device.to_device(mode.start())
    arrays = [first] if colours else [first, device.to_device(mode.start())]

    def run() -> None:
        for _ in range(sweeps):
            if colours:
                for colour in range(2):
                    device.start(redblack_course, grid, first, OMEGA, colour)
            else:
                device.start(jacobi_course, grid, arrays[1], arrays[0])
                arrays.reverse()

    def check() -> Statement:
        (mode.redblack if colours else mode.jacobi)(sweeps)
        return mode.check(name, lambda j: arrays[0][j].copy_to_host())

    work = (REDBLACK if colours else JACOBI) * (n - 2) ** 2 * sweeps
    return Rung(name, _size(n, sweeps), work, run, check)


def _peer_jacobi(place: Place, arrays: Any, way: str, sweep: Any) -> Rung:
    n, sweeps = place.sizes.grid, place.sizes.sweeps
    mode, name = Mode(n), f"{arrays.name}, {way}"
    pair = [arrays.put(mode.start()), arrays.put(mode.start())]

    def run() -> None:
        for _ in range(sweeps):
            sweep(pair[0], pair[1])
            pair.reverse()

    def check() -> Statement:
        mode.jacobi(sweeps)
        return mode.check(name, lambda j: arrays.get(pair[0][j]))

    work = JACOBI * (n - 2) ** 2 * sweeps
    return Rung(name, _size(n, sweeps), work, run, check, optional=True)


def _peer_redblack(place: Place, arrays: Any) -> Rung:
    n, sweeps = place.sizes.grid, place.sizes.sweeps
    mode, name = Mode(n), f"{arrays.name}, slices"
    u = arrays.put(mode.start())

    def run() -> None:
        for _ in range(sweeps):
            sweep_redblack(u, OMEGA)

    def check() -> Statement:
        mode.redblack(sweeps)
        return mode.check(name, lambda j: arrays.get(u[j]))

    work = REDBLACK * (n - 2) ** 2 * sweeps
    return Rung(name, _size(n, sweeps), work, run, check, optional=True)


def _on_cpu(place: Place, n: int, colours: bool) -> Rung:
    """Return hpcapp's sweeps on the cores of this process."""
    from hpcapp.workloads.laplace.engine import open_engine

    sweeps, mode = LEVELS, Mode(n)
    engine = open_engine(place.cpu)
    first, name = mode.start(), f"{OURS}, CPU"
    arrays, none = [first, first.copy()], np.empty((0, 0))

    def run() -> None:
        if colours:
            regions = [_interior(n)] * (2 * sweeps)
            engine.redblack(arrays[0], none, STENCIL, OMEGA, 0, regions)
        else:
            # an even number of sweeps ends in the array that it began with
            engine.jacobi(*arrays, none, STENCIL, [_interior(n)] * sweeps)

    def check() -> Statement:
        (mode.redblack if colours else mode.jacobi)(sweeps)
        return mode.check(name, lambda j: arrays[0][j])

    work = (REDBLACK if colours else JACOBI) * (n - 2) ** 2 * sweeps
    return Rung(name, _size(n, sweeps), work, run, check, host=True)


def check_bits(place: Place) -> Iterator[Statement]:
    """Compare sweeps of random values on the GPU with those on the CPU, bit by bit."""
    from hpcapp.workloads.laplace.engine import open_engine

    n, sweeps = place.sizes.cpu_grid, 4
    first = np.random.default_rng(1).standard_normal((n, n))
    found: dict[str, list[bytes]] = {}
    for engine in (open_engine(place.cpu), open_engine(place.device)):
        none = engine.array(np.empty((0, 0)))
        for levels in (1, sweeps):
            pair = [engine.array(first.copy()), engine.array(first, again=True)]
            for _ in range(sweeps // levels):
                regions = [_interior(n)] * levels
                if engine.jacobi(*pair, none, STENCIL, regions) % 2:
                    pair.reverse()
            values = np.ascontiguousarray(engine.fetch(pair[0])[:, :n])
            found.setdefault(f"jacobi, {levels} a pass", []).append(values.tobytes())
        u = engine.array(first.copy())
        engine.redblack(u, none, STENCIL, OMEGA, 0, [_interior(n)] * 4)
        values = np.ascontiguousarray(engine.fetch(u)[:, :n])
        found.setdefault("sor", []).append(values.tobytes())
    for name, (cpu, gpu) in found.items():
        text = f"{name}: random values on {n} x {n} points: the bits of the CPU"
        yield Statement(text, cpu == gpu)


# --- cycles


def cycles(place: Place) -> Task:
    """Return whole solves by multigrid, levels and arrays made beforehand."""
    sizes = place.sizes
    rungs = [
        _cycles(place.device, sizes.cycles, sizes.goal, OURS),
        _cycles(place.cpu, sizes.cpu_cycles, sizes.goal, f"{OURS}, CPU", host=True),
    ]
    return Task("laplace multigrid", "G unknowns/s", rungs)


def _cycles(device: Any, n: int, goal: float, name: str, host: bool = False) -> Rung:
    solver: list[Any] = []
    found: dict[str, float] = {}

    def prepare() -> None:
        for old in solver:
            old.close()
        solver[:] = [_solver(device, n)]
        found["first"] = solver[0].measure().residual

    def run() -> None:
        found["residual"], found["cycles"] = found["first"], 0
        while found["residual"] > goal * found["first"] and found["cycles"] < 20:
            solver[0].advance(1)
            found["residual"] = solver[0].measure().residual
            found["cycles"] += 1

    def check() -> Statement:
        return _check_solution(name, n, goal, solver[0], found)

    size = f"{n}^2 to {goal:.0e}"
    return Rung(name, size, (n - 2) ** 2, run, check, prepare, host=host)


def _solver(device: Any, n: int) -> Any:
    """Return a solver of zeros with sin(pi x) on the top side."""
    from mpi4py import MPI

    from hpcapp.decomposition import Domain, Layout
    from hpcapp.mpi.comm import Comm
    from hpcapp.workload import Context
    from hpcapp.workloads.laplace.grid import Grid, boundary_lines
    from hpcapp.workloads.laplace.multigrid import Multigrid
    from hpcapp.workloads.laplace.parameters import Boundary
    from hpcapp.workloads.laplace.poisson import Poisson

    grid = Grid((n, n), 0.0, 1.0, 0.0, 1.0)
    problem = Poisson(grid, boundary_lines(grid, Boundary()), 0.0)
    layout = Layout.choose(Domain(("y", "x"), (n, n), 1), 1)
    return Multigrid(Context(Comm(MPI.COMM_SELF), device, layout), problem, 64)


def _check_solution(
    name: str, n: int, goal: float, solver: Any, found: dict[str, float]
) -> Statement:
    """Compare with the exact solution of the discrete equations."""
    from tests.benchmarks.peers.problem import discrete_rows

    relative, worst = found["residual"] / found["first"], 0.0
    values = solver.parts[0].array
    for row in range(1, n - 1, max(1, n // 16)):
        exact = discrete_rows(n, row, row + 1)[0]
        worst = max(worst, float(np.abs(values[row] - exact)[1:-1].max()))
    # a residual bounds the error: L**2 / 8 times it
    bound = found["residual"] / 8 + 1e-12
    text = (
        f"{name}: {n}^2, {found['cycles']} cycles (the first is full multigrid): "
        f"relative residual {relative:.1e} (<= {goal:.0e}), off by {worst:.1e} "
        f"(<= {bound:.1e})"
    )
    return Statement(text, relative <= goal and worst <= bound)
