# SPDX-License-Identifier: MIT
"""Geometry of the problem, and its values on the blocks of a rank."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.expression import parse

__all__ = ["Grid", "source_block", "write_boundary"]


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
        return _points(self.y0, self.y1, self.shape[0], start, stop)

    def x(self, start: int, stop: int) -> np.ndarray:
        """Return coordinates of columns: float64[stop - start]."""
        return _points(self.x0, self.x1, self.shape[1], start, stop)

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


def _points(low: float, high: float, count: int, start: int, stop: int) -> np.ndarray:
    # from the nearer end, so that both ends are met exactly
    index = np.arange(start, stop, dtype=np.float64)
    step = (high - low) / (count - 1)
    return np.where(
        2 * index < count, low + index * step, high - (count - 1 - index) * step
    )


def _along(expression: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    from hpcapp.evaluation import evaluate_points

    program = parse(expression, ("x", "y"))
    out = np.empty(len(x))
    evaluate_points(out, program, x, y)
    return out


def write_boundary(u: np.ndarray, grid: Grid, block: Block, sides: Any) -> None:
    """Write the boundary values that a block holds.

    Parameters
    ----------
    u : float64[block.shape]
        Modified along the boundary of the domain.
    grid : Grid
        Geometry.
    block : Block
        Global indices of `u`, not empty.
    sides : object
        Expressions `left`, `right`, `bottom`, `top`.

    Notes
    -----
    A corner is the mean of its two sides.
    """
    (ja, ia), (jb, ib) = block.start, block.stop
    ny, nx = grid.shape
    y, x = grid.y(ja, jb), grid.x(ia, ib)
    rows = {"bottom": (0, grid.y0), "top": (ny - 1, grid.y1)}
    columns = {"left": (0, grid.x0), "right": (nx - 1, grid.x1)}
    for name, (row, at) in rows.items():
        if ja <= row < jb:
            u[row - ja] = _along(getattr(sides, name), x, np.full(len(x), at))
    for name, (column, at) in columns.items():
        if ia <= column < ib:
            u[:, column - ia] = _along(getattr(sides, name), np.full(len(y), at), y)
    for row_name, (row, y_at) in rows.items():
        for column_name, (column, x_at) in columns.items():
            if ja <= row < jb and ia <= column < ib:
                ends = [
                    _along(getattr(sides, name), np.array([x_at]), np.array([y_at]))[0]
                    for name in (row_name, column_name)
                ]
                u[row - ja, column - ia] = 0.5 * (ends[0] + ends[1])


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
