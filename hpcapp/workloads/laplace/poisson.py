# SPDX-License-Identifier: MIT
"""The problem on any level: boundary values, fluxes and source at its points."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.expression import parse
from hpcapp.workloads.laplace.axis import Axis
from hpcapp.workloads.laplace.grid import Grid, Lines

__all__ = ["Poisson"]

# axis, end and name of the sides
SIDES = ((0, 0, "bottom"), (0, 1, "top"), (1, 0, "left"), (1, 1, "right"))


@dataclass(frozen=True)
class Poisson:
    """u_xx + u_yy = source with values or fluxes on the sides.

    Parameters
    ----------
    grid : Grid
        The finest level.
    lines : dict of str to float64[n]
        Values, or outward fluxes, of the sides at its points.
    source : float or str
        Number or expression.
    fluxes : frozenset of str
        The sides where the flux is given.
    """

    grid: Grid
    lines: Lines
    source: Any
    fluxes: frozenset[str] = frozenset()

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """The axes of the finest level."""
        (ny, nx), given = self.grid.shape, self.fluxes
        return (
            Axis(ny - 1, 1, 1, self.grid.dy, "bottom" in given, "top" in given),
            Axis(nx - 1, 1, 1, self.grid.dx, "left" in given, "right" in given),
        )

    @property
    def constant(self) -> float | None:
        """The right-hand side where it is the same at all unknowns, else None."""
        if any(self.lines[name].any() for name in self.fluxes):
            return None
        found = parse(self.source, ("x", "y")).constant
        return None if found is None else float(found)

    def sides(
        self, axes: tuple[Axis, Axis], start: tuple[int, int], shape: tuple[int, int]
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Return the given values of a level's boundary points.

        Parameters
        ----------
        axes : (Axis, Axis)
            Of the level.
        start : (int, int)
            Global index of the first row and column wanted; may be negative.
        shape : (int, int)
            Rows and columns wanted.

        Yields
        ------
        axis, at : int
            0 for a row, 1 for a column, and its number.
        values : float64[n]
            Of its points; where it reaches beyond the domain, of the corner.
        """
        for axis, end, name in SIDES:
            other = 1 - axis
            at = (axes[axis].cells if end else 0) - start[axis]
            if name not in self.fluxes and 0 <= at < shape[axis]:
                index = np.arange(shape[other]) + start[other]
                yield axis, at, self.lines[name][axes[other].positions(index)]

    def write_right_side(
        self, f: np.ndarray, axes: tuple[Axis, Axis], start: tuple[int, int]
    ) -> None:
        """Write source and fluxes at a level's points.

        Parameters
        ----------
        f : float64[ny, nx]
            Modified; where it reaches beyond the domain nothing is meant.
        axes, start : object
            As in `sides`.
        """
        rows, columns = (
            axis.positions(np.arange(count) + first)
            for axis, count, first in zip(axes, f.shape, start, strict=True)
        )
        program = parse(self.source, ("x", "y"))
        if program.constant is not None:
            f[:] = program.constant
        else:
            from hpcapp.evaluation import evaluate_grid

            y, x = self.grid.y_at(rows), self.grid.x_at(columns)
            evaluate_grid(f, program, y, x)
        for axis, end, name in SIDES:
            if name not in self.fluxes:
                continue
            at = (axes[axis].cells if end else 0) - start[axis]
            if 0 <= at < f.shape[axis]:
                cell = axes[axis].last if end else axes[axis].stride
                width = cell * axes[axis].spacing
                line = f[at] if axis == 0 else f[:, at]
                # the mirrored neighbour is 2 width flux higher than the inner one
                line -= 2 * self.lines[name][columns if axis == 0 else rows] / width
