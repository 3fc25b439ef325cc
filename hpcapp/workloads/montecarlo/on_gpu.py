# SPDX-License-Identifier: MIT
"""The kernels of `cuda_kernels` with the arguments and results of those of the CPU."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.gpu.values import add_values, evaluate
from hpcapp.postfix import Program

__all__ = ["add_samples", "advance_walkers", "count_inside", "count_strata"]

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


def add_samples(
    device: Any,
    sums: Integers,
    program: Program,
    place: tuple[int, int, float, float, float],
    norm: tuple[float, float],
    key: tuple[int, int],
    count: int,
) -> None:
    """Add f, and what its error is made of, at some samples.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    sums : int64[3, LIMBS]
        Sums of f, d and d^2, added to.
    program : Program
        Of f.
    place : (int, int, float, float, float)
        First sample, cells (0: random samples), start, width and end of the interval.
    norm : (float, float)
        c and s of d = (f - c) s; of cells, d is the second difference.
    key : (int, int)
        Of the random numbers.
    count : int
        Samples, at most `PIECE`.
    """
    from hpcapp.workloads.montecarlo.cuda_kernels import (
        bend_cuda,
        centre_cuda,
        fill_uniform_cuda,
        place_cuda,
        square_cuda,
    )

    first, cells, *_ = place
    f, grid = device.empty(count), device.cover(count)
    device.start(fill_uniform_cuda, grid, f, first, *key)
    device.start(place_cuda, grid, f, *place)
    evaluate(device, program, f, f)
    add_values(device, sums[0], f)
    device.start(centre_cuda, grid, f, *norm)
    if cells:
        if count < 3:
            return
        d = device.empty(count // 3)
        device.start(bend_cuda, grid, d, f)
        add_values(device, sums[2], d)
        return
    add_values(device, sums[1], f)
    device.start(square_cuda, grid, f)
    add_values(device, sums[2], f)


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
