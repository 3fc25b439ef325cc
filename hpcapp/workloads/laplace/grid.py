# SPDX-License-Identifier: MIT
"""Geometry of the problem, and its values on the blocks of a rank."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.evaluation import evaluate_line, evaluate_number
from hpcapp.expression import parse

__all__ = [
    "Grid",
    "Lines",
    "boundary_lines",
    "first_broken",
    "no_start",
    "source_block",
    "write_boundary",
]

Lines = dict[str, np.ndarray]


@dataclass(frozen=True)
class Grid:
    """A uniform grid, boundary points included.

    Parameters
    ----------
    shape : (int, int)
        Points along y and x, each >= 3.
    x0, x1, y0, y1 : float
        The rectangle.
    """

    shape: tuple[int, int]
    x0: float
    x1: float
    y0: float
    y1: float

    @property
    def dy(self) -> float:
        """Spacing along y."""
        return (self.y1 - self.y0) / (self.shape[0] - 1)

    @property
    def dx(self) -> float:
        """Spacing along x."""
        return (self.x1 - self.x0) / (self.shape[1] - 1)

    @property
    def shorter(self) -> float:
        """The shorter side of the rectangle."""
        return min(self.x1 - self.x0, self.y1 - self.y0)

    def y(self, start: int, stop: int) -> np.ndarray:
        """Return coordinates of rows: float64[stop - start]."""
        return self.y_at(np.arange(start, stop))

    def x(self, start: int, stop: int) -> np.ndarray:
        """Return coordinates of columns: float64[stop - start]."""
        return self.x_at(np.arange(start, stop))

    def y_at(self, index: np.ndarray) -> np.ndarray:
        """Return coordinates of rows: float64[n], for int64[n]."""
        return _points(self.y0, self.y1, self.shape[0], index)

    def x_at(self, index: np.ndarray) -> np.ndarray:
        """Return coordinates of columns: float64[n], for int64[n]."""
        return _points(self.x0, self.x1, self.shape[1], index)

    def weights(self) -> tuple[float, float, float]:
        """Return the weights of y neighbours, x neighbours and source."""
        ry, rx = 1 / self.dy**2, 1 / self.dx**2
        diagonal = 2 * (ry + rx)
        return ry / diagonal, rx / diagonal, 1 / diagonal

    def optimal_omega(self) -> float:
        """Return the best factor for over-relaxation.

        Notes
        -----
        2 / (1 + sqrt(1 - rho^2)) with rho the spectral radius of Jacobi's
        method on this grid (Young, 1954; Hackbusch, Iterative Solution of
        Large Sparse Systems, 2nd ed., theorem 4.27). 1 - rho is computed by
        1 - cos(t) = 2 sin(t/2)^2: on long grids rho itself rounds to 1.
        """
        wy, wx, _ = self.weights()
        ny, nx = self.shape
        gap = 4 * wy * math.sin(math.pi / (2 * (ny - 1))) ** 2
        gap += 4 * wx * math.sin(math.pi / (2 * (nx - 1))) ** 2
        return 2 / (1 + math.sqrt(gap * (2 - gap)))

    def interior(self, block: Block, grow: int = 0) -> tuple[int, int, int, int]:
        """Return the interior points of a block, grown into its neighbours.

        Parameters
        ----------
        block : Block
            Global indices, not empty.
        grow : int
            Points added on each side, as far as the interior goes.

        Returns
        -------
        tuple of int
            First and last row, first and last column; global, last excluded.
        """
        rows = (
            max(block.start[0] - grow, 1),
            min(block.stop[0] + grow, self.shape[0] - 1),
        )
        columns = (
            max(block.start[1] - grow, 1),
            min(block.stop[1] + grow, self.shape[1] - 1),
        )
        return (*rows, *columns)


def _points(low: float, high: float, count: int, index: np.ndarray) -> np.ndarray:
    # from the nearer end, so that both ends are met exactly
    index = index.astype(np.float64)
    step = (high - low) / (count - 1)
    return np.where(
        2 * index < count, low + index * step, high - (count - 1 - index) * step
    )


def boundary_lines(grid: Grid, sides: Any) -> Lines:
    """Evaluate the four sides, corners included as means of their two sides.

    Parameters
    ----------
    grid : Grid
        Geometry.
    sides : object
        Expressions `left`, `right`, `bottom`, `top`; ``{"flux": expression}`` where
        the outward flux is given.

    Returns
    -------
    dict of str to float64[n]
        Values or fluxes along each side, in the order of its coordinate.

    Raises
    ------
    ConfigError
        If a value is not a finite number.
    """
    ny, nx = grid.shape
    y, x = grid.y(0, ny), grid.x(0, nx)
    points = {
        "left": (np.full(ny, grid.x0), y),
        "right": (np.full(ny, grid.x1), y),
        "bottom": (x, np.full(nx, grid.y0)),
        "top": (x, np.full(nx, grid.y1)),
    }
    lines = {
        name: _along(name, getattr(sides, name), *at) for name, at in points.items()
    }
    given = {name for name in lines if not isinstance(getattr(sides, name), dict)}
    for row, row_end in (("bottom", 0), ("top", -1)):
        for column, column_end in (("left", 0), ("right", -1)):
            here, there = lines[row][column_end], lines[column][row_end]
            if {row, column} <= given:
                here = there = 0.5 * (here + there)
            # a corner belongs to a side with values, not to one with a flux
            if row in given:
                lines[row][column_end] = here
            if column in given:
                lines[column][row_end] = there
    return lines


def _along(name: str, side: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    text = side["flux"] if isinstance(side, dict) else side
    program = parse(text, ("x", "y"))
    if program.constant is not None:
        return np.full(len(x), program.constant)
    values = evaluate_line(program, x, y)
    broken = np.flatnonzero(~np.isfinite(values))
    if broken.size:
        at = broken[0]
        raise ConfigError(
            f"must be a finite number on the whole side, got {text}, which is none at "
            f"x = {x[at]:g}, y = {y[at]:g}",
            key=f"parameters.boundary.{name}",
        )
    return values


def write_boundary(u: np.ndarray, grid: Grid, block: Block, lines: Lines) -> None:
    """Write the boundary values that a block holds.

    Parameters
    ----------
    u : float64[block.shape]
        Modified along the boundary of the domain.
    grid : Grid
        Geometry.
    block : Block
        Global indices of `u`, not empty.
    lines : dict of str to float64[n]
        Values of the sides, from `boundary_lines`.
    """
    (ja, ia), (jb, ib) = block.start, block.stop
    ny, nx = grid.shape
    for name, row in (("bottom", 0), ("top", ny - 1)):
        if ja <= row < jb:
            u[row - ja] = lines[name][ia:ib]
    for name, column in (("left", 0), ("right", nx - 1)):
        if ia <= column < ib:
            u[:, column - ia] = lines[name][ja:jb]


def source_block(
    source: Any, grid: Grid, region: tuple[int, int, int, int]
) -> tuple[np.ndarray, float]:
    """Evaluate the source.

    Parameters
    ----------
    source : float or str
        Number or expression.
    grid : Grid
        Geometry.
    region : tuple of int
        Rows and columns, global; may reach beyond the domain.

    Returns
    -------
    field : float64[rows, columns] or float64[0, 0]
        Empty where the source is constant.
    constant : float
        Its value then, else 0.
    """
    from hpcapp.evaluation import evaluate_grid

    program = parse(source, ("x", "y"))
    if program.constant is not None:
        return np.empty((0, 0)), program.constant
    ja, jb, ia, ib = region
    field = np.empty((jb - ja, ib - ia))
    evaluate_grid(field, program, grid.y(ja, jb), grid.x(ia, ib))
    return field, 0.0


def first_broken(
    comm: Any, shape: tuple[int, int], values: np.ndarray, corner: tuple[int, int]
) -> tuple[int, int] | None:
    """Return where the first value is that is no finite number; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    shape : (int, int)
        Of the grid.
    values : float64[rows, columns]
        This rank's; may be empty.
    corner : (int, int)
        Global row and column of its first.

    Returns
    -------
    (int, int) or None
        Global row and column, the same on all ranks; None if there is none.
    """
    index = none = shape[0] * shape[1]
    for row, line in enumerate(values):
        wrong = np.flatnonzero(~np.isfinite(line))
        if wrong.size:
            index = (corner[0] + row) * shape[1] + corner[1] + int(wrong[0])
            break
    index = -int(comm.max(np.array([-index]))[0])
    return None if index == none else (index // shape[1], index % shape[1])


def no_start(
    grid: Grid, source: float | str, residual: float, at: tuple[int, int] | None
) -> HpcappError:
    """Say why the initial guess has no finite residual.

    Parameters
    ----------
    grid : Grid
        Geometry.
    source : float or str
        As configured.
    residual : float
        What came out.
    at : (int, int) or None
        Row and column of the first source that is no number, from `first_broken`.

    Returns
    -------
    HpcappError
        To be raised.
    """
    if at is None:
        return HpcappError(
            f"laplace: parameters.boundary: the residual of the initial guess must "
            f"be finite, got {residual}: the values are too large for the spacing"
        )
    x, y = float(grid.x(at[1], at[1] + 1)[0]), float(grid.y(at[0], at[0] + 1)[0])
    value = evaluate_number(parse(source, ("x", "y")), x, y)
    return HpcappError(
        f"laplace: parameters.source: must be a finite number at all points "
        f"inside, got {source}, which is {value} at x = {x:g}, y = {y:g}"
    )
