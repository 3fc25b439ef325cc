# SPDX-License-Identifier: MIT
"""Pixels and orbits on a GPU: what `Chunk` asks of the kernels there."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.device import Device

__all__ = ["ORBITS", "escape", "escape_there", "follow"]

ORBITS = 1 << 22
"""Pixels of one call, at most: 28 bytes each on the GPU."""

# blocks of a multiprocessor: enough to hide the latency of double precision, few enough
# for each thread to follow several orbits, so that all end at about the same time
WAVES = 4

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def escape(
    device: Any,
    counts: NDArray[np.int32],
    rows: Integers,
    view: Floats,
    rules: tuple[bool, bool],
    limits: tuple[int, int],
) -> tuple[Integers, Floats]:
    """Count the iterations of all pixels of some rows, up to a limit.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    counts : int32[r, nx]
        Written, contiguous.
    rows, view
        As in `escape_cpu`.
    rules : (bool, bool)
        Julia set or not; whether to look for points that never escape.
    limits : (int, int)
        Iterations at most; the count of what does not escape.

    Returns
    -------
    places : int64[p]
        Flat indices in `counts` of orbits that go on beyond the limit, ascending.
    z : float64[p, 2]
        Their z.
    """
    there = device.empty(counts.size, np.int32)
    left = escape_there(device, there, rows, view, rules, limits)
    device.from_device(there, counts.reshape(-1))
    return left


def escape_there(
    device: Any,
    counts: Any,
    rows: Integers,
    view: Floats,
    rules: tuple[bool, bool],
    limits: tuple[int, int],
) -> tuple[Integers, Floats]:
    """Do as `escape`, and leave the counts on the GPU.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    counts : device array, int32[r * nx]
        Written.
    rows, view, rules, limits
        As in `escape`.

    Returns
    -------
    places : int64[p]
        As in `escape`.
    z : float64[p, 2]
        As in `escape`.
    """
    from hpcapp.workloads.mandelbrot.cuda_kernels import FIRST, begin_cuda

    (julia, interior), (limit, never) = rules, limits
    size = counts.size
    nx = size // rows.size
    began = 0 if julia else 1
    first = began + FIRST if began + FIRST <= limit else began
    head = counts, device.to_device(rows), device.to_device(view), nx, julia
    places, z = device.empty(size, np.int64), device.empty((2, size))
    held = device.to_device(np.zeros(1, np.int64))
    rest = interior and not julia, first, never, places, z, held
    device.start(begin_cuda, device.cover(size), *head, *rest)
    waiting = int(device.from_device(held)[0])
    return _follow(device, (*head, interior, first, limit, waiting, places, z))


def follow(
    device: Device,
    counts: NDArray[np.int32],
    rows: Integers,
    view: Floats,
    rules: tuple[bool, bool],
    limits: tuple[int, int],
    orbits: tuple[Integers, Floats],
) -> tuple[Integers, Floats]:
    """Follow orbits that go on beyond a limit to a higher one.

    Parameters
    ----------
    device, counts, rows, view, rules
        As in `escape`; `counts` is written where an orbit escapes.
    limits : (int, int)
        Iterations done; iterations at most.
    orbits : (int64[p], float64[p, 2])
        Flat indices of the orbits, their z.

    Returns
    -------
    places : int64[p]
        As in `escape`.
    z : float64[p, 2]
        As in `escape`.
    """
    gpu: Any = device
    places, z = orbits
    on_gpu = gpu.to_device(counts.reshape(-1)), gpu.to_device(rows)
    arguments = (*on_gpu, gpu.to_device(view), counts.shape[1], *rules, *limits)
    queue = gpu.to_device(places), gpu.to_device(np.ascontiguousarray(z.T))
    left = _follow(gpu, (*arguments, places.size, *queue))
    gpu.from_device(on_gpu[0], counts.reshape(-1))
    return left


def _follow(device: Any, arguments: tuple[Any, ...]) -> tuple[Integers, Floats]:
    """Launch the kernel; return what goes on, in the order of pixels."""
    from hpcapp.workloads.mandelbrot.cuda_kernels import follow_cuda

    waiting = arguments[8]
    if not waiting:
        return np.empty(0, np.int64), np.empty((0, 2))
    left, left_z = device.empty(waiting, np.int64), device.empty((2, waiting))
    numbers = device.to_device(np.zeros(2, np.int64))
    grid = device.cover(waiting, waves=WAVES)
    device.start(follow_cuda, grid, *arguments, left, left_z, numbers)
    held = int(device.from_device(numbers)[1])
    if not held:
        return np.empty(0, np.int64), np.empty((0, 2))
    places = device.from_device(left)[:held]
    order = np.argsort(places)
    z = device.from_device(left_z)[:, :held]
    return places[order], np.ascontiguousarray(z[:, order].T)
