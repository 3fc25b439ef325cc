# SPDX-License-Identifier: MIT
"""Vectors of conjugate gradients on a GPU."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from hpcapp.gpu.values import PIECE, add_values
from hpcapp.workload import Part, State
from hpcapp.workloads.laplace.cuda_level import CudaLevel
from hpcapp.workloads.laplace.vectors import Vectors, volumes

__all__ = ["CudaVectors"]


class CudaVectors(Vectors):
    """Vectors on the blocks of a level whose arrays are on a GPU; rows stay split.

    Parameters
    ----------
    level : CudaLevel
        Its arrays are vectors too.
    """

    level: CudaLevel

    def copy(self, out: Any, x: Any) -> None:
        """Copy x to out."""
        queue = self.level.queue
        queue.device.put(out, x, queue.stream)

    def order(self, arrays: Sequence[Any], split: bool) -> None:
        """Do nothing: rows are split."""

    def read(self, state: State, name: str, array: Any) -> None:
        """Set a vector to a saved field."""
        self.level.read(state, name, array)

    def part(self, array: Any) -> Part:
        """Return a vector as part of a field, to be copied when it is wanted."""
        return self.level.part_of(array)

    def leave(self, out: Any, u: Any, f: Any) -> None:
        """Write f - A u, with A the five-point stencil; f may be empty: 0."""
        from hpcapp.workloads.laplace.vector_cuda_kernels import leave_gpu

        if self.level.active:
            f = f if f.size else self._none
            head = (out, u, f, 0.0, *self.level.head()[3:])
            self._march(leave_gpu, self.level.region(), *head)

    def add_scaled(self, y: Any, factor: float, x: Any) -> None:
        """Add factor x to y."""
        from hpcapp.workloads.laplace.vector_cuda_kernels import add_scaled_gpu

        if self.level.active:
            self._march(add_scaled_gpu, self._rows(), y, float(factor), x)

    def scale_add(self, y: Any, factor: float, x: Any) -> None:
        """Multiply y by a factor and add x."""
        from hpcapp.workloads.laplace.vector_cuda_kernels import scale_add_gpu

        if self.level.active:
            self._march(scale_add_gpu, self._rows(), y, float(factor), x)

    def add_products(self, limbs: np.ndarray, a: Any, b: Any) -> None:
        """Add what an inner product is the sum of, in pieces of some rows."""
        from hpcapp.workloads.laplace.vector_cuda_kernels import multiply_gpu

        if not self.level.active:
            return
        first, last, _, width = self._rows()
        left, right = self.level.region()[2:]
        height = max(1, min(PIECE // width, last - first))
        products = self.level.queue.device.empty(height * width)
        for start in range(first, last, height):
            stop = min(start + height, last)
            head = (products, a, b, *self._volumes, start, (left, right))
            self._march(multiply_gpu, (start, stop, 0, width), *head)
            found = products[: (stop - start) * width]
            add_values(self.level.queue.device, limbs, found)

    def _rows(self) -> tuple[int, int, int, int]:
        """Return the rows of unknowns, whole."""
        first, last, _, _ = self.level.region()
        return (first, last, 0, 2 * self.level.u.shape[2])

    def _march(self, kernel: Any, region: Any, *arguments: Any) -> None:
        from hpcapp.workloads.laplace.cycle_cuda_kernels import HEIGHT

        queue = self.level.queue
        queue.march(kernel, region, *arguments, height=HEIGHT, width=2, align=2)

    @cached_property
    def _volumes(self) -> tuple[Any, Any]:
        rows, columns = volumes(self.level)
        device = self.level.queue.device
        return device.to_device(np.ascontiguousarray(rows)), device.to_device(columns)

    @cached_property
    def _none(self) -> Any:
        return self.level.queue.device.empty((0, 0, 0))
