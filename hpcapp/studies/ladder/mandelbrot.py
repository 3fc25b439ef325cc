# SPDX-License-Identifier: MIT
"""Rungs of the Mandelbrot set: rows of escape times. All counts are exact."""

from typing import Any

import numpy as np

from hpcapp.studies.ladder.rungs import Read, Rung, Task, cut, shared_out

__all__ = ["Rows", "count_piece", "count_plain", "count_slices", "make"]

# pixels of NumPy's arrays at a time: in cache, where it is fastest
PIECE = 1 << 15


def count_plain(
    re: Any, im: Any, most: int, julia: bool, cr: float, ci: float
) -> list[list[int]]:
    """Count with loops of plain Python."""
    counts = []
    for y in im:
        row = []
        for x in re:
            zr, zi = (x, y) if julia else (0.0, 0.0)
            kr, ki = (cr, ci) if julia else (x, y)
            n = 0
            while n < most and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + kr, 2 * zr * zi + ki
                n += 1
            row.append(n)
        counts.append(row)
    return counts


def count_slices(
    re: np.ndarray, im: np.ndarray, most: int, julia: bool, cr: float, ci: float
) -> np.ndarray:
    """Count with NumPy: all pixels at a time, those that are out left behind."""
    x, y = (axis.ravel() for axis in np.meshgrid(re, im))
    counts, index = np.full(x.size, most, np.int32), np.arange(x.size)
    zr, zi = (x, y) if julia else (0 * x, 0 * y)
    kr, ki = (cr + 0 * x, ci + 0 * y) if julia else (x, y)
    for n in range(most):
        zr2, zi2 = zr * zr, zi * zi
        out = zr2 + zi2 > 4.0
        if out.any():
            counts[index[out]] = n
            stay = ~out
            index, zr2, zi2 = index[stay], zr2[stay], zi2[stay]
            zr, zi, kr, ki = zr[stay], zi[stay], kr[stay], ki[stay]
        zi = 2 * zr * zi + ki
        zr = zr2 - zi2 + kr
    return counts.reshape(im.size, re.size)


def count_piece(*arguments: Any) -> Any:
    """Count with Numba, wherever this is called: in a thread or another process."""
    from hpcapp.studies.ladder.mandelbrot_kernels import count_rows_cpu

    return count_rows_cpu(*arguments)


class Rows(Task):
    """Rows of a picture; a part has rows from all over it.

    Parameters
    ----------
    parameters : Model
        Of the workload.
    read : callable
        Returns a variable of hpcapp's result.
    """

    unit = "rows"

    def __init__(self, parameters: Any, read: Read) -> None:
        self.re, self.im = read("re"), read("im")
        self.units = self.im.size
        julia = parameters.julia or (0.0, 0.0)
        most = parameters.max_iterations
        self.rest = (most, parameters.julia is not None, *map(float, julia))

    def chosen(self, part: int) -> np.ndarray:
        """Return the numbers of the rows of a part."""
        return (np.arange(part) * self.units + self.units // 2) // part

    def expected(self, read: Read, part: int) -> Any:
        """Return hpcapp's counts of these rows."""
        return read("iterations")[self.chosen(part)]

    def rungs(self, cores: int) -> list[Rung]:
        """Return plain Python, NumPy, Numba, and ways to share its rows out."""
        return [
            Rung("plain Python", self._plain),
            Rung("NumPy", self._numpy),
            Rung("Numba", lambda part: count_piece(*self._arguments(part))),
            Rung("Numba, prange", self._threads, cores),
            *shared_out(count_piece, self._pieces, np.concatenate, cores),
        ]

    def _arguments(self, part: int) -> tuple[Any, ...]:
        return (self.re, self.im[self.chosen(part)], *self.rest)

    def _plain(self, part: int) -> Any:
        re, im = self.re.tolist(), self.im[self.chosen(part)].tolist()
        return count_plain(re, im, *self.rest)

    def _numpy(self, part: int) -> Any:
        im = self.im[self.chosen(part)]
        few = max(1, PIECE // self.re.size)
        rows = [im[j : j + few] for j in range(0, im.size, few)]
        return np.concatenate([count_slices(self.re, y, *self.rest) for y in rows])

    def _threads(self, part: int) -> Any:
        from hpcapp.studies.ladder.mandelbrot_kernels import count_rows_threads_cpu

        return count_rows_threads_cpu(*self._arguments(part))

    def _pieces(self, part: int) -> list[tuple[Any, ...]]:
        im = self.im[self.chosen(part)]
        # many more than cores: their costs differ
        return [(self.re, im[a:b], *self.rest) for a, b in cut(im.size, 32)]


def make(parameters: Any, seed: int, read: Read) -> Task | str:  # noqa: ARG001
    """Return the task of a configuration."""
    return Rows(parameters, read)
