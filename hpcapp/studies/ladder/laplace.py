# SPDX-License-Identifier: MIT
"""Rungs of Laplace's equation: as many sweeps as hpcapp does, of the same kind."""

import math
from typing import Any

import numpy as np

from hpcapp.evaluation import evaluate_grid
from hpcapp.expression import parse
from hpcapp.studies.ladder.rungs import Read, Rung, Task, absent

__all__ = ["Sweeps", "make", "sweep_jacobi_slices", "sweep_redblack_slices"]


def mean_of_neighbours(u: np.ndarray, g: np.ndarray, cy: float, cx: float) -> Any:
    """Return what the interior would be at once."""
    mean = cy * (u[:-2, 1:-1] + u[2:, 1:-1]) + cx * (u[1:-1, :-2] + u[1:-1, 2:])
    return mean - g[1:-1, 1:-1]


def sweep_jacobi_slices(
    new: np.ndarray, u: np.ndarray, g: np.ndarray, cy: float, cx: float
) -> None:
    """Do a sweep with slices of NumPy: writes the interior of `new`."""
    new[1:-1, 1:-1] = mean_of_neighbours(u, g, cy, cx)


def sweep_redblack_slices(
    u: np.ndarray, g: np.ndarray, cy: float, cx: float, omega: float
) -> None:
    """Over-relax the points of even j + i, then the others, with slices, in place."""
    j, i = np.ogrid[1 : u.shape[0] - 1, 1 : u.shape[1] - 1]
    inner = u[1:-1, 1:-1]
    for colour in range(2):
        mean = mean_of_neighbours(u, g, cy, cx)
        inner[:] = np.where(
            (j + i) % 2 == colour, inner + omega * (mean - inner), inner
        )


MEAN = "cy * (n + s) + cx * (w + e) - g"


def neighbours(u: np.ndarray, g: np.ndarray, cy: float, cx: float) -> dict[str, Any]:
    """Return the names of a formula for NumExpr."""
    found: dict[str, Any] = {"n": u[:-2, 1:-1], "s": u[2:, 1:-1], "w": u[1:-1, :-2]}
    return {**found, "e": u[1:-1, 2:], "g": g[1:-1, 1:-1], "cy": cy, "cx": cx}


def sweep_jacobi_numexpr(
    new: np.ndarray, u: np.ndarray, g: np.ndarray, cy: float, cx: float
) -> None:
    """Do a sweep with NumExpr: no array for each operation, and its threads."""
    import numexpr

    new[1:-1, 1:-1] = numexpr.evaluate(MEAN, neighbours(u, g, cy, cx))


def sweep_redblack_numexpr(
    u: np.ndarray, g: np.ndarray, cy: float, cx: float, omega: float
) -> None:
    """Over-relax with NumExpr, a colour at a time, in place."""
    import numexpr

    j, i = np.ogrid[1 : u.shape[0] - 1, 1 : u.shape[1] - 1]
    inner = u[1:-1, 1:-1]
    names = {**neighbours(u, g, cy, cx), "u": inner, "omega": omega}
    for colour in range(2):
        names["there"] = (j + i) % 2 == colour
        text = f"where(there, u + omega * ({MEAN} - u), u)"
        inner[:] = numexpr.evaluate(text, names)


class Sweeps(Task):
    """The first sweeps of a run, by Jacobi's method or red-black over-relaxation.

    Parameters
    ----------
    parameters : Model
        Of the workload.
    read : callable
        Returns a variable of hpcapp's result.
    """

    unit = "sweeps"
    # sums of four numbers in another order, at each of thousands of sweeps
    tolerance = 1e-10

    def __init__(self, parameters: Any, read: Read) -> None:
        x, y, u = read("x"), read("y"), read("u")
        self.units = max(1, int(read("iteration")[-1]))
        ry, rx = 1 / (y[1] - y[0]) ** 2, 1 / (x[1] - x[0]) ** 2
        diagonal = 2 * (ry + rx)
        self.weights = (ry / diagonal, rx / diagonal)
        # the sides, which no sweep changes; 0 inside
        self.start = np.array(u)
        self.start[1:-1, 1:-1] = 0.0
        self.g = np.empty_like(u)
        evaluate_grid(self.g, parse(parameters.source, ("x", "y")), y, x)
        self.g /= diagonal
        self.method = parameters.method
        self.omega = parameters.relaxation or best_omega(u.shape, *self.weights)

    def settings(self, part: int) -> tuple[str, ...]:
        """Let hpcapp do as many sweeps."""
        if part == self.units:
            return ()
        exactly = ("parameters.accuracy=null", "parameters.tolerance=0")
        return (*exactly, f"parameters.max_iterations={part}")

    def expected(self, read: Read, part: int) -> Any:  # noqa: ARG002
        """Return the solution."""
        return read("u")

    def rungs(self, cores: int) -> list[Rung]:
        """Return plain Python, NumPy, NumExpr and Numba."""
        from hpcapp.studies.ladder import laplace_kernels as kernels

        # loops, loops in threads, slices, NumExpr
        ways: tuple[Any, ...] = (
            kernels.sweep_redblack_cpu,
            kernels.sweep_redblack_threads_cpu,
            sweep_redblack_slices,
            sweep_redblack_numexpr,
        )
        march = self._redblack
        if self.method == "jacobi":
            ways = (
                kernels.sweep_jacobi_cpu,
                kernels.sweep_jacobi_threads_cpu,
                sweep_jacobi_slices,
                sweep_jacobi_numexpr,
            )
            march = self._jacobi
        loops, threads, slices, numexpr = ways
        return [
            # the very function that Numba compiles
            Rung("plain Python", lambda part: march(loops.py_func, part)),
            Rung("NumPy", lambda part: march(slices, part)),
            Rung(
                "NumExpr", lambda part: march(numexpr, part), cores, absent("numexpr")
            ),
            Rung("Numba", lambda part: march(loops, part)),
            Rung("Numba, prange", lambda part: march(threads, part), cores),
        ]

    def _jacobi(self, sweep: Any, part: int) -> np.ndarray:
        u, new = self.start.copy(), self.start.copy()
        for _ in range(part):
            sweep(new, u, self.g, *self.weights)
            u, new = new, u
        return u

    def _redblack(self, sweep: Any, part: int) -> np.ndarray:
        u = self.start.copy()
        for _ in range(part):
            sweep(u, self.g, *self.weights, self.omega)
        return u


def best_omega(shape: tuple[int, ...], cy: float, cx: float) -> float:
    """Return the best factor of over-relaxation (Young, 1954)."""
    along_y, along_x = (math.cos(math.pi / (n - 1)) for n in shape)
    radius = 2 * (cy * along_y + cx * along_x)
    return 2 / (1 + math.sqrt(1 - radius**2))


def make(parameters: Any, seed: int, read: Read) -> Task | str:  # noqa: ARG001
    """Return the task of a configuration, or why there is none."""
    if parameters.method not in ("jacobi", "sor"):
        return "there are rungs for method: jacobi and sor only"
    return Sweeps(parameters, read)
