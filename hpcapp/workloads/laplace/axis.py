# SPDX-License-Identifier: MIT
"""One axis of a level, and how its points follow from those of the next: numbers only.

An axis is coarsened by leaving out every other point. Where the number of cells is
odd, the last cell stays as it is, narrower than the others, beside a side with given
values: there it costs nothing, since its points hang on the side. Beside a side with
given flux they would hang on nothing: an already narrow cell is joined there with the
two before, so that the last cell has half the width of the others to 1.5 times it.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Axis"]


@dataclass(frozen=True)
class Axis:
    """Points of a level along one axis.

    Parameters
    ----------
    cells : int
        Number of cells, >= 2: the points are 0 .. cells.
    stride : int
        Width of a cell in cells of the finest level.
    last : int
        The same of the last cell, 1 <= last < 2 stride.
    spacing : float
        Width of a cell of the finest level.
    low, high : bool
        Whether the first, the last point is an unknown, since the flux is given.
    """

    cells: int
    stride: int
    last: int
    spacing: float
    low: bool = False
    high: bool = False

    @property
    def width(self) -> float:
        """Width of a cell that is not the last."""
        return self.stride * self.spacing

    @property
    def unknowns(self) -> tuple[int, int]:
        """First unknown, and one past the last."""
        return (0 if self.low else 1, self.cells + 1 if self.high else self.cells)

    @property
    def regular(self) -> tuple[int, int]:
        """First point with two cells of the usual width, one past the last."""
        return (1, self.cells if self.last == self.stride else self.cells - 1)

    @property
    def _end(self) -> int:
        """The last point, in cells of the finest level."""
        return (self.cells - 1) * self.stride + self.last

    @property
    def coarsens(self) -> bool:
        """Whether there are enough cells."""
        return self.cells >= 4

    def coarser(self) -> "Axis":
        """Return the axis of the next level."""
        cells = -(-self.cells // 2)
        if self.cells % 2 and self.high and self.last < self.stride:
            cells -= 1
        rest = self._end - (cells - 1) * 2 * self.stride
        return Axis(cells, 2 * self.stride, rest, self.spacing, self.low, self.high)

    def positions(self, index: np.ndarray) -> np.ndarray:
        """Return points of the finest level: int64[n], the nearest where outside."""
        inside = np.where(index < self.cells, index * self.stride, self._end)
        return _clip(inside, 0, self._end)

    def weights(self, start: int, stop: int) -> np.ndarray:
        """Return weights of the lower and upper neighbour in the second difference.

        Parameters
        ----------
        start, stop : int
            Points; may reach beyond the axis, where the weights are 0.

        Returns
        -------
        float64[stop - start, 2]
            Of a point on a side with given flux: of a mirrored neighbour.
        """
        index = np.arange(start, stop)
        lower, upper = self._cells_around(index)
        with np.errstate(divide="ignore", invalid="ignore"):
            down = 2 / ((lower + upper) * lower)
            up = 2 / ((lower + upper) * upper)
        found = np.stack([down, up], axis=1)
        for at, wide in ((0, self.width), (self.cells, self.last * self.spacing)):
            found[index == at] = (0, 2 / wide**2) if at == 0 else (2 / wide**2, 0)
        first, last = self.unknowns
        found[(index < first) | (index >= last)] = 0
        return found

    def volumes(self, index: np.ndarray) -> np.ndarray:
        """Return the lengths that points stand for: float64[n], 0 outside."""
        lower, upper = self._cells_around(index)
        return np.asarray(0.5 * (lower + upper))

    def _cells_around(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the widths of the cells below and above points; 0 outside."""

        def width(cell: np.ndarray) -> np.ndarray:
            wide = np.where(cell == self.cells - 1, self.last, self.stride)
            return np.where((cell < 0) | (cell >= self.cells), 0, wide) * self.spacing

        return width(index - 1), width(index)

    # --- transfer from and to the next level

    def restriction(self, coarse: "Axis", start: int, stop: int) -> np.ndarray:
        """Return the weights of this axis' points in coarse ones.

        Parameters
        ----------
        coarse : Axis
            The next level's: `self` where this axis is not coarsened.
        start, stop : int
            Coarse points; may reach beyond the axis, where the weights are 0.

        Returns
        -------
        float64[stop - start, 4]
            For coarse point J of the points factor J - 1 .. factor J + 2: the
            transpose of linear interpolation, over control volumes.
        """
        index = np.arange(start, stop)
        found = np.zeros((len(index), 4))
        low, high = coarse.unknowns
        if coarse == self:
            found[(index >= low) & (index < high), 1] = 1
            return found
        found[:] = (0.25, 0.5, 0.25, 0)
        # others only where a cell is of another width, or there is no unknown
        end = (index <= low) | (index >= coarse.cells - 1)
        if end.any():
            found[end] = self._end_weights(coarse, index[end])
        return found

    def _end_weights(self, coarse: "Axis", index: np.ndarray) -> np.ndarray:
        found = np.zeros((len(index), 4))
        first, last = self.unknowns
        whole = coarse.volumes(index)
        for k in range(4):
            fine = 2 * index - 1 + k
            share = self._hat(coarse, index, fine) * self.volumes(fine)
            found[:, k] = share / np.where(whole > 0, whole, 1)
            found[(fine < first) | (fine >= last), k] = 0
        low, high = coarse.unknowns
        found[(index < low) | (index >= high)] = 0
        return found

    def _hat(self, coarse: "Axis", index: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return the value at fine points of the coarse points' hat functions."""
        below, table = self._between(coarse, fine)
        upper = np.where(below + 1 == index, table[:, 1], 0.0)
        return np.where(below == index, table[:, 0], upper)

    def linear(
        self, coarse: "Axis", start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how points follow from coarse ones.

        Parameters
        ----------
        coarse : Axis
            As in `restriction`.
        start, stop : int
            Points; may reach beyond the axis, where nothing is meant.

        Returns
        -------
        below : int64[stop - start]
            The coarse point below.
        weights : float64[stop - start, 2]
            Of it and of the next.
        """
        index = np.arange(start, stop)
        if coarse == self:
            return index, np.stack([np.ones(len(index)), np.zeros(len(index))], axis=1)
        below, table = index // 2, np.array([[1, 0], [0.5, 0.5]])[index % 2]
        end = (index < 0) | (index >= 2 * (coarse.cells - 1))
        if end.any():
            below[end], table[end] = self._between(coarse, index[end])
        return below, table

    def _between(
        self, coarse: "Axis", index: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        below = _clip(index // 2, 0, coarse.cells - 1)
        left, right = coarse.positions(below), coarse.positions(below + 1)
        share = (self.positions(index) - left) / (right - left)
        return below, np.stack([1 - share, share], axis=1)

    def cubic(
        self, coarse: "Axis", start: int, stop: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how points follow from coarse ones by polynomials through four.

        Parameters
        ----------
        coarse, start, stop : object
            As in `linear`.

        Returns
        -------
        first : int64[stop - start]
            The first coarse point; one-sided at the ends.
        weights : float64[stop - start, 4]
            Of it and the next three, 0 where there are fewer.
        """
        index = np.arange(start, stop)
        if coarse == self:
            one = np.zeros((len(index), 4))
            one[:, 0] = 1
            return index, one
        middle = np.array([[0, 1, 0, 0], [-0.0625, 0.5625, 0.5625, -0.0625]])
        first, table = index // 2 - 1, middle[index % 2]
        end = (index < 2) | (index >= 2 * (coarse.cells - 2))
        if end.any():
            first[end], table[end] = self._through_four(coarse, index[end])
        return first, table

    def _through_four(
        self, coarse: "Axis", index: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        count = min(4, coarse.cells + 1)
        first = _clip(index // 2 - 1, 0, coarse.cells + 1 - count)
        at = self.positions(index)
        nodes = [coarse.positions(first + k) for k in range(count)]
        found = np.zeros((len(index), 4))
        for k in range(count):
            above = np.ones(len(index))
            below = np.ones(len(index))
            for other in range(count):
                if other != k:
                    above *= at - nodes[other]
                    below *= nodes[k] - nodes[other]
            found[:, k] = above / below
        return first, found


def _clip(values: np.ndarray, low: int, high: int) -> np.ndarray:
    # of a few numbers each time: np.clip takes ten times as long to begin
    return np.asarray(np.maximum(np.minimum(values, high), low))
