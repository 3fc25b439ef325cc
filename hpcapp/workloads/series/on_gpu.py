# SPDX-License-Identifier: MIT
"""Sums of shares of terms on a GPU, in the bins of `kernels`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.gpu.values import add_values, evaluate
from hpcapp.postfix import Program

__all__ = ["add_cosines", "add_midpoints", "add_reciprocals"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def add_reciprocals(
    device: Any, tables: tuple[NDArray[Any], ...], numbers: Integers
) -> Integers:
    """Return the bins of a share of the reciprocals.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    tables : tuple of arrays
        Offsets, counts and follow of `add_reciprocals_cpu`.
    numbers : int64[5]
        The share.

    Returns
    -------
    int64[BINS, 2]
        The bins.
    """
    from hpcapp.workloads.series.cuda_kernels import add_reciprocals_cuda
    from hpcapp.workloads.series.kernels import BINS

    bins = device.to_device(np.zeros((BINS, 2), np.int64))
    facts = [device.to_device(array) for array in (*tables, numbers)]
    _, end, length, first, distance = numbers.tolist()
    pieces = max(1, -(-(end - first * length) // (distance * length)))
    device.start(add_reciprocals_cuda, device.cover_blocks(pieces), bins, *facts)
    found: Integers = device.from_device(bins)
    return found


def add_cosines(
    device: Any, table: Floats, angles: Floats, numbers: Integers
) -> Integers:
    """Return the bins of a share of the cosines.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    table : float64[3, BLOCK]
        As for `add_cosines_cpu`.
    angles : float64[n, 2]
        Cosine and sine of each block.
    numbers : int64[5]
        The share.

    Returns
    -------
    int64[BINS, 2]
        The bins.
    """
    from hpcapp.workloads.series.cuda_kernels import add_cosines_cuda
    from hpcapp.workloads.series.kernels import BINS

    bins = np.zeros((BINS, 2), np.int64)
    if not len(angles):
        return bins
    on_gpu = device.to_device(bins)
    facts = [device.to_device(array) for array in (table, angles, numbers)]
    device.start(add_cosines_cuda, device.cover_blocks(len(angles)), on_gpu, *facts)
    found: Integers = device.from_device(on_gpu)
    return found


def add_midpoints(
    device: Any,
    limbs: Integers,
    program: Program,
    first: int,
    start: float,
    width: float,
    *,
    count: int,
) -> None:
    """Add the values of an integrand at the midpoints of consecutive intervals.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    limbs : int64[LIMBS]
        Accumulator, added to.
    program : Program
        Of the integrand.
    first : int
        Number of the first interval.
    start, width : float
        Where interval 0 begins, and the length of each.
    count : int
        Intervals, at most `hpcapp.gpu.values.PIECE`.
    """
    from hpcapp.workloads.series.cuda_kernels import fill_midpoints_cuda

    points = device.empty(count)
    grid = device.cover(count)
    device.start(fill_midpoints_cuda, grid, points, first, start, width)
    evaluate(device, program, points, points)
    add_values(device, limbs, points)
