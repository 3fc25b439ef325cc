# SPDX-License-Identifier: MIT
"""What conjugate gradients do with vectors on a level; here on the cores of a rank."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpcapp import reduction
from hpcapp.workload import Part, State
from hpcapp.workloads.laplace.level import (
    ROWS,
    Level,
    join_rows,
    natural_view,
    split_rows,
)

__all__ = ["Vectors", "open_vectors", "volumes"]


class Vectors:
    """Vectors on the blocks of a level.

    Parameters
    ----------
    level : Level
        Its arrays are vectors too. Where it has no block nothing is done.
    """

    def __init__(self, level: Level) -> None:
        self.level = level

    def zeros(self) -> Any:
        """Return a vector."""
        level = self.level
        return level.zeros(level.block) if level.active else np.zeros((0, 0, 0))

    def copy(self, out: Any, x: Any) -> None:
        """Copy x to out."""
        np.copyto(out, x)

    def order(self, arrays: Sequence[Any], split: bool) -> None:
        """Bring rows into the order of the kernels, or into the natural one.

        Parameters
        ----------
        arrays : sequence of array
            Whose rows are in the other order.
        split : bool
            Whether the order of the kernels is wanted.
        """
        for array in arrays:
            (split_rows if split else join_rows)(self.level, array)

    def read(self, state: State, name: str, array: Any) -> None:
        """Set a vector, in natural order, to a saved field."""
        state.read(name, self.level.block, natural_view(array, self.level.block))

    def part(self, array: Any) -> Part:
        """Return a vector, in natural order, as part of a field."""
        return Part(self.level.block, natural_view(array, self.level.block))

    def leave(self, out: Any, u: Any, f: Any) -> None:
        """Write f - A u, with A the five-point stencil; f may be empty: 0."""
        from hpcapp.workloads.laplace.cg_kernels import leave_cpu

        level = self.level
        if level.active:
            bands = level.bands(level.region())
            head = (out, u, f, 0.0, level.place)
            level.device.launch(leave_cpu, [(*head, band) for band in bands])

    def add_scaled(self, y: Any, factor: float, x: Any) -> None:
        """Add factor x to y."""
        from hpcapp.workloads.laplace.cg_kernels import add_scaled_cpu

        self._combine(add_scaled_cpu, y, factor, x)

    def scale_add(self, y: Any, factor: float, x: Any) -> None:
        """Multiply y by a factor and add x."""
        from hpcapp.workloads.laplace.cg_kernels import scale_add_cpu

        self._combine(scale_add_cpu, y, factor, x)

    def _combine(self, kernel: Any, y: Any, factor: float, x: Any) -> None:
        level = self.level
        if level.active:
            bands = level.bands(level.region())
            calls = [(y, factor, x, first, last) for first, last, _, _ in bands]
            level.device.launch(kernel, calls)

    def add_products(self, limbs: np.ndarray, a: Any, b: Any) -> None:
        """Add what an inner product is the sum of, exactly.

        Parameters
        ----------
        limbs : int64[LIMBS]
            Accumulator of `hpcapp.reduction`, added to.
        a, b : array
            The vectors.
        """
        from hpcapp.workloads.laplace.cg_kernels import multiply_cpu

        level = self.level
        if not level.active:
            return
        weights = volumes(level)
        first, last, *columns = level.region()
        buffer = np.empty((ROWS, *a.shape[1:]))
        for start in range(first, last, ROWS):
            stop = min(start + ROWS, last)
            region = (start, stop, *columns)
            multiply_cpu(buffer, a, b, weights, start, region)
            reduction.add(limbs, buffer[: stop - start])


def open_vectors(level: Level) -> Vectors:
    """Return the vectors of a level, where its arrays are."""
    if level.device.name == "cuda":
        from hpcapp.workloads.laplace.cuda_level import CudaLevel
        from hpcapp.workloads.laplace.cuda_vectors import CudaVectors

        # a level that is solved directly stays on the host
        if isinstance(level, CudaLevel):
            return CudaVectors(level)
    return Vectors(level)


def volumes(level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Return what rows and columns weigh: 1/2 at a mirror.

    Parameters
    ----------
    level : Level
        With a block.

    Returns
    -------
    rows : float64[ny]
        Of the block and its margin.
    columns : float64[2, nx / 2]
        The same, split.
    """
    ny, _, half = level.u.shape
    rows, columns = (
        axis.volumes(np.arange(count) + start) / axis.width
        for axis, count, start in zip(
            level.shape.axes, (ny, 2 * half), level.start, strict=True
        )
    )
    return rows, np.ascontiguousarray(columns.reshape((half, 2)).T)
