# SPDX-License-Identifier: MIT
"""The midpoint rule: values at the middle of equal intervals, times their width."""

import math

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.device import Device
from hpcapp.errors import HpcappError
from hpcapp.evaluation import evaluate_points
from hpcapp.expression import parse
from hpcapp.gpu import values
from hpcapp.workloads.series import on_gpu
from hpcapp.workloads.series.summation import Share, Summation

__all__ = ["Midpoint"]

# points and values of a piece stay in a second-level cache
PIECE = 1 << 16

# on a GPU: as long as memory is to be had for, with some for each rank in a step
GPU_PIECE = 1 << 26


class Midpoint(Summation):
    """Add the values of an integrand.

    Parameters
    ----------
    integrand : str or float
        Expression in x.
    bounds : (float, float)
        The interval.
    terms : int
        Into how many intervals it is cut.

    Notes
    -----
    Term k is f(a + (k - 1/2) h), h = (b - a) / terms; the sum is rounded once and
    then multiplied by h.
    """

    chunk, gpu_chunk = 1 << 27, 1 << 30
    memory = 2 * 8 * PIECE

    def __init__(
        self, integrand: str | float, bounds: tuple[float, float], terms: int
    ) -> None:
        self.integrand = integrand
        self.start = bounds[0]
        self.width = (bounds[1] - bounds[0]) / terms
        self._program = parse(integrand, ("x",))

    def add(self, device: Device, share: Share) -> NDArray[np.int64]:
        """Return the exact sum of a share of the terms."""
        if device.name == "cuda":
            return self._add_on_gpu(device, share)
        calls = [(part,) for part in share.split(device.threads)]
        total = reduction.zeros()
        for found in device.launch(self._add_share, calls):
            total = reduction.merge(total, found)
        return total

    def gpu_memory(self, terms: int) -> int:
        """Return bytes of a piece of points, which become values."""
        return 8 * min(terms, GPU_PIECE) + values.count_bytes(self._program)

    def _add_on_gpu(self, device: Device, share: Share) -> NDArray[np.int64]:
        total = reduction.zeros()
        for begin, end in share.pieces(GPU_PIECE):
            facts = self._program, begin - 1, self.start, self.width
            on_gpu.add_midpoints(device, total, *facts, count=end - begin)
        return total

    def _add_share(self, share: Share) -> NDArray[np.int64]:
        total = reduction.zeros()
        points, values = np.empty(PIECE), np.empty(PIECE)
        for begin, end in share.pieces(PIECE):
            count = end - begin
            self._evaluate(points[:count], values[:count], begin)
            reduction.add(total, values[:count])
        return total

    def _evaluate(
        self, points: NDArray[np.float64], values: NDArray[np.float64], begin: int
    ) -> None:
        from hpcapp.workloads.series.kernels import fill_midpoints_cpu

        fill_midpoints_cpu(points, begin - 1, self.start, self.width)
        evaluate_points(values, self._program, points)

    def value(self, total: NDArray[np.int64]) -> float:
        """Return the integral."""
        found = reduction.to_float(total)
        if not math.isfinite(found):
            raise HpcappError(
                f"series: parameters.integrand: the sum of its values must be below "
                f"1.8e308, got {found} for {self.integrand}; divide it by a number"
            )
        return self.width * found

    def refuse(self, share: Share) -> tuple[int, str] | None:
        """Return the first point of a share where the integrand is not finite."""
        points, values = np.empty(PIECE), np.empty(PIECE)
        for begin, end in share.pieces(PIECE):
            x, f = points[: end - begin], values[: end - begin]
            self._evaluate(x, f, begin)
            bad = np.flatnonzero(~np.isfinite(f))
            if bad.size:
                return begin + int(bad[0]), (
                    f"parameters.integrand: must be a finite number at all midpoints, "
                    f"got {self.integrand}, which is {f[bad[0]]} at x = {x[bad[0]]}"
                )
        return None

    def warm_up(self, device: Device) -> None:
        """Compile the kernels."""
        self.add(device, Share(1, 2, 0, 1))
