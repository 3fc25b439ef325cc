# SPDX-License-Identifier: MIT
"""The kernels of `cuda_kernels` with the arguments and results of those of the CPU."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["advance_walkers", "count_inside", "count_strata"]

Integers = NDArray[np.int64]


def count_inside(device: Any, first: int, last: int, k0: int, k1: int) -> int:
    """Count the samples of a range in the quarter circle: `count_inside_cpu`."""
    from hpcapp.workloads.montecarlo.cuda_kernels import count_inside_cuda

    total = device.to_device(np.zeros(1, np.int64))
    grid = device.cover((last + 1) // 2 - first // 2)
    device.start(count_inside_cuda, grid, total, first, last, k0, k1)
    return int(device.from_device(total)[0])


def count_strata(
    device: Any, first: int, last: int, samples: int, k0: int, k1: int
) -> tuple[int, int]:
    """Count the samples inside, a cell for each: `count_strata_cpu`."""
    from hpcapp.workloads.montecarlo.cuda_kernels import count_strata_cuda

    totals = device.to_device(np.zeros(2, np.int64))
    grid = device.cover(-(-(last - first) // 3))
    numbers = first, last, samples, math.isqrt(samples)
    device.start(count_strata_cuda, grid, totals, *numbers, k0, k1)
    inside, squares = device.from_device(totals)
    return int(inside), int(squares)


def advance_walkers(
    device: Any, squares: Integers, ends: Integers, *numbers: int
) -> None:
    """Let walkers go all the way: `advance_walkers_cpu`."""
    from hpcapp.workloads.montecarlo.cuda_kernels import THREADS, advance_walkers_cuda

    tables = device.to_device(squares), device.to_device(ends)
    grid = device.cover(numbers[1] - numbers[0], THREADS)
    device.start(advance_walkers_cuda, grid, *tables, *numbers)
    for table, out in zip(tables, (squares, ends), strict=True):
        device.from_device(table, out)
