# SPDX-License-Identifier: MIT
"""Values of expressions on a GPU, and their exact sums."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.gpu.device import CudaDevice
from hpcapp.postfix import Program

__all__ = ["PIECE", "add_values", "count_bytes", "evaluate"]

PIECE = 3 << 24
"""Values of one call: 403 MB an array; a multiple of 3.

Whatever the length, the host takes some milliseconds for a call: ten launches, a dozen
arrays and copies.
"""

# values that a thread may add, see `split_cuda`
MOST = 1 << 11

# shared memory of a block, and threads of it, at most
SHARED, THREADS = 48 * 1024, 256


def count_bytes(program: Program) -> int:
    """Return the bytes of a program on a GPU, and of what its values are added to."""
    words = len(program.opcodes) + len(program.operands) + len(program.constants)
    return 8 * words + 64


def evaluate(device: CudaDevice, program: Program, out: Any, x: Any) -> None:
    """Evaluate a program of one variable at points.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    program : Program
        The program.
    out, x : device array, float64[n]
        Values, written; points.
    """
    from hpcapp.gpu.expression_cuda_kernels import evaluate_cuda

    code = (
        device.to_device(np.array(program.opcodes, np.int64)),
        device.to_device(np.array(program.operands, np.int64)),
        # an array of no length cannot be sent
        device.to_device(np.array(program.constants or (0.0,), np.float64)),
    )
    level = 8 * (program.depth + 1)
    threads = max(32, min(THREADS, SHARED // level // 32 * 32))
    grid = device.cover(out.size, threads)
    size = level * grid[1]
    device.start(evaluate_cuda, grid, out, *code, x, shared=size)


def add_values(device: CudaDevice, limbs: NDArray[np.int64], values: Any) -> None:
    """Add all values to an accumulator, without any rounding.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    limbs : int64[LIMBS]
        Accumulator of `hpcapp.reduction`, changed in place, normalised.
    values : device array, float64[n]
        At most `PIECE`. Where their magnitudes differ by more than 2**50 or are not
        finite the CPU adds them.
    """
    from hpcapp.gpu.sum_cuda_kernels import find_largest_cuda, split_cuda

    largest = device.to_device(np.zeros(1, np.int64))
    grid = device.cover(values.size)
    device.start(find_largest_cuda, grid, largest, values)
    bits = int(device.from_device(largest)[0])
    exponent = bits >> 52
    if not bits:
        return
    if 64 <= exponent <= 2040:
        units = np.array([exponent + 2, exponent - 50], np.int64) << 52 | 1 << 51
        c, d = units.view(np.float64).tolist()
        sums = device.to_device(np.zeros(5, np.int64))
        # on a GPU of few multiprocessors its threads would have too many
        grid = max(grid[0], -(-values.size // (MOST * grid[1]))), grid[1]
        device.start(split_cuda, grid, sums, values, c, d)
        *parts, rest = device.from_device(sums).tolist()
        if not rest:
            high, low = (parts[k] + (parts[k + 1] << 32) for k in (0, 2))
            reduction.add_scaled(limbs, high, exponent + 1 - 1074)
            reduction.add_scaled(limbs, low, exponent - 51 - 1074)
            return
    reduction.add(limbs, device.from_device(values))
