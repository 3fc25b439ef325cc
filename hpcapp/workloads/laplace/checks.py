# SPDX-License-Identifier: MIT
"""Laws of a right solution: residual, boundary, maximum principle, a direct solver."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.expression import parse
from hpcapp.validity import Check, Read
from hpcapp.workloads.laplace.grid import Grid, Lines, boundary_lines, source_block

__all__ = ["check_solution"]

# points that the direct solver is asked for at most: seconds, and some copies
DIRECT = 1 << 22

# values of the solution that are looked at together
BAND = 1 << 21

EPS = 2.0**-52


def check_solution(parameters: Any, grid: Grid, read: Read) -> Iterator[Check]:
    """Compare a solution with what it must be.

    Parameters
    ----------
    parameters : Parameters
        Of the run.
    grid : Grid
        Its points.
    read : callable
        Returns a variable of the result.

    Yields
    ------
    Check
        Each law that applies: with given fluxes there are fewer.
    """
    u = read("u")
    lines = boundary_lines(grid, parameters.boundary)
    fluxes = parameters.boundary.fluxes
    yield _residual(parameters.source, grid, read)
    yield _boundary(u, {n: line for n, line in lines.items() if n not in fluxes})
    if fluxes:
        return
    bound = float(read("error_bound")[()])
    constant = parse(parameters.source, ("x", "y")).constant
    if constant == 0:
        yield _between(u, lines, bound)
    if u.shape[0] * u.shape[1] <= DIRECT:
        yield _direct(np.asarray(u[:], np.float64), grid, parameters.source, bound)


def _residual(source: Any, grid: Grid, read: Read) -> Check:
    """Compute the residual anew, with NumPy, band by band."""
    u = read("u")
    (ny, nx), worst, largest, most = u.shape, 0.0, 0.0, 0.0
    rows = max(1, BAND // nx)
    for first in range(1, ny - 1, rows):
        last = min(first + rows, ny - 1)
        v = np.asarray(u[first - 1 : last + 1], np.float64)
        r = (v[2:, 1:-1] - 2 * v[1:-1, 1:-1] + v[:-2, 1:-1]) / grid.dy**2
        r += (v[1:-1, 2:] - 2 * v[1:-1, 1:-1] + v[1:-1, :-2]) / grid.dx**2
        field, constant = source_block(source, grid, (first, last, 1, nx - 1))
        f = field if field.size else np.full(1, constant)
        r -= f
        most = max(most, float(np.abs(f).max()))
        worst = max(worst, float(np.abs(r).max()))
        largest = max(largest, float(np.abs(v).max()))
    told = float(read("residual")[-1]) * float(read("state/initial_residual")[()])
    rounding = 8 * EPS * largest * (2 / grid.dy**2 + 2 / grid.dx**2)
    # the source is rounded to the type of u
    rounding += float(np.finfo(u.dtype).eps) * most
    text = f"{worst:.3g} by NumPy inside, the run says {told:.3g}"
    return Check("residual", worst <= told * (1 + 1e-6) + rounding, text)


def _boundary(u: Any, lines: Lines) -> Check:
    sides = {
        "bottom": u[0, :],
        "top": u[u.shape[0] - 1, :],
        "left": u[:, 0],
        "right": u[:, u.shape[1] - 1],
    }
    wrong = [
        name
        for name, line in lines.items()
        if (sides[name] != line.astype(sides[name].dtype)).any()
    ]
    if wrong:
        text = f"not those of the configuration: {', '.join(wrong)}"
        return Check("boundary values", False, text)
    return Check("boundary values", True, f"as configured on {len(lines)} sides")


def _between(u: Any, lines: Lines, bound: float) -> Check:
    """Check that a harmonic function has its extremes on the boundary."""
    low = min(float(line.min()) for line in lines.values())
    high = max(float(line.max()) for line in lines.values())
    least, most = np.inf, -np.inf
    rows = max(1, BAND // u.shape[1])
    for first in range(0, u.shape[0], rows):
        band = u[first : first + rows]
        least, most = min(least, float(band.min())), max(most, float(band.max()))
    # given values are rounded to the type of u
    bound += float(np.finfo(band.dtype).eps) * max(abs(low), abs(high))
    passed = low - bound <= least and most <= high + bound
    text = f"{least:.6g} to {most:.6g}, on the boundary {low:.6g} to {high:.6g}"
    return Check("maximum principle", passed, text)


def _direct(u: NDArray[np.float64], grid: Grid, source: Any, bound: float) -> Check:
    """Compare with the solution by scipy's fast sine transform."""
    from scipy.fft import dstn, idstn

    ny, nx = u.shape
    field, constant = source_block(source, grid, (1, ny - 1, 1, nx - 1))
    f = np.array(field) if field.size else np.full((ny - 2, nx - 2), constant)
    f[0] -= u[0, 1:-1] / grid.dy**2
    f[-1] -= u[-1, 1:-1] / grid.dy**2
    f[:, 0] -= u[1:-1, 0] / grid.dx**2
    f[:, -1] -= u[1:-1, -1] / grid.dx**2
    eigenvalues = _eigenvalues(ny, grid.dy)[:, None] + _eigenvalues(nx, grid.dx)
    exact = idstn(dstn(f, type=1) / eigenvalues, type=1)
    apart = float(np.abs(u[1:-1, 1:-1] - exact).max())
    scale = max(1e-300, float(np.abs(u).max()), float(np.abs(exact).max()))
    allowed = bound + 1e4 * EPS * scale
    text = (
        f"at most {apart:.2g} from the solution by scipy's sine transform, allowed "
        f"{allowed:.2g}"
    )
    return Check("direct solution", apart <= allowed, text)


def _eigenvalues(points: int, spacing: float) -> NDArray[np.float64]:
    angles = np.arange(1, points - 1) * (np.pi / (2 * (points - 1)))
    return np.asarray(-((2 / spacing * np.sin(angles)) ** 2))
