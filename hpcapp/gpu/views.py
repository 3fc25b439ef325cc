# SPDX-License-Identifier: MIT
"""Views of arrays, wherever they are. No MPI."""

from typing import Any

__all__ = ["cut"]


def cut(array: Any, index: tuple[slice, ...]) -> Any:
    """Return a view of an array.

    Numba goes over all rows of a view that is not contiguous, one by one in Python, to
    find out where it begins and ends: 11 ms here for a column of 8192 points. That
    follows from shape and strides as well, in 0.09 ms.

    Parameters
    ----------
    array : array
        On the host, on a GPU or in the simulator.
    index : tuple of slice
        One for each axis, with steps of 1.

    Returns
    -------
    array
        Of the same kind.
    """
    if not hasattr(array, "gpu_data"):
        return array[index]
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    ranges = [s.indices(n)[:2] for s, n in zip(index, array.shape, strict=True)]
    shape = tuple(max(0, stop - start) for start, stop in ranges)
    if 0 in shape:
        return array[index]
    steps = list(zip(ranges, shape, array.strides, strict=True))
    first = sum(start * stride for (start, _), _, stride in steps)
    last = first + sum((n - 1) * stride for _, n, stride in steps)
    data = array.gpu_data.view(first, last + array.dtype.itemsize)
    return DeviceNDArray(shape, array.strides, array.dtype, gpu_data=data)
