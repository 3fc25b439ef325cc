# SPDX-License-Identifier: MIT
"""Checksums of arrays that do not depend on how the array is split among ranks.

The checksum of an array is the sum, mod 2**64, over its elements of
``mix64(bits + GOLDEN*(index + 1))``: `bits` are those of the element as an unsigned
integer, filled up with zeros to 64; `index` counts the elements in C order; mix64 is
the finaliser of splitmix64 and GOLDEN its increment. Hence the checksum of the whole
is the sum of those of the blocks of any partition (`MPI.SUM` of uint64 wraps as
wanted). It tells -0.0 from 0.0 and one NaN from another, and finds faults, not forgers.
Types of different size with the same values have different checksums. A complex array
counts as an array of floats with one axis of 2 more. No MPI; Numba is imported by the
first `checksum_block`.

References
----------
G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014, ACM SIGPLAN Notices 49 (10), 453-472 (mix64 as in its variant 13 of
D. Stafford, used by java.util.SplittableRandom and splitmix64).
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["checksum_array", "checksum_block"]

_Words = NDArray[np.unsignedinteger[Any]]

_GOLDEN = 0x9E3779B97F4A7C15
_FACTOR_1 = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR_2 = np.uint64(0x94D049BB133111EB)
_LOW_64 = (1 << 64) - 1

# Elements that the NumPy version works on at a time.
_PIECE = 1 << 16


def checksum_array(array: NDArray[Any], first: int = 0) -> int:
    """Compute the checksum of a whole array, or of some of its rows, with NumPy alone.

    This is the reference for `checksum_block`, and what a reader of a result can do
    without Numba. About 3 ns per element, in pieces of 512 KiB.

    Parameters
    ----------
    array : integers, floats, complex numbers or booleans [...]
        The whole array, of any shape; copied if it is not contiguous.
    first : int
        Index of its first element in C order, where it is a run of elements out of
        a larger array; real and imaginary parts count as two.

    Returns
    -------
    int
        Checksum, 0..2**64-1; 0 if the array is empty. Those of consecutive runs add
        up, mod 2**64, to that of the whole.

    Raises
    ------
    TypeError
        If the elements are no numbers or booleans of 1, 2, 4 or 8 bytes (complex: 16).
    """
    words = _to_words(array).reshape(-1)
    total = 0
    for at in range(0, words.size, _PIECE):
        bits = words[at : at + _PIECE].astype(np.uint64)
        low = first + at + 1
        index = np.arange(low, low + bits.size, dtype=np.uint64)
        z = bits + index * np.uint64(_GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * _FACTOR_1
        z = (z ^ (z >> np.uint64(27))) * _FACTOR_2
        z ^= z >> np.uint64(31)
        total += int(z.sum(dtype=np.uint64))
    return total & _LOW_64


def checksum_block(
    array: NDArray[Any],
    start: tuple[int, ...] | None = None,
    shape: tuple[int, ...] | None = None,
) -> int:
    """Compute what one block of a global array adds to the checksum of the whole.

    Parameters
    ----------
    array : integers, floats, complex numbers or booleans [...]
        The block; a view is read in place.
    start : tuple of int, optional
        Global index of its first element; default: zeros.
    shape : tuple of int, optional
        Shape of the global array; default: that of the block, which is then the whole.

    Returns
    -------
    int
        Checksum, 0..2**64-1. The sum over all blocks, mod 2**64, is the checksum of
        the global array.

    Raises
    ------
    TypeError
        As for `checksum_array`.
    ValueError
        If the block does not lie in the global array.

    Examples
    --------
    >>> whole = np.arange(12.0).reshape(3, 4)
    >>> parts = [checksum_block(whole[:, i : i + 2], (0, i), (3, 4)) for i in (0, 2)]
    >>> sum(parts) % 2**64 == checksum_array(whole)
    True
    """
    shape = array.shape if shape is None else tuple(shape)
    start = (0,) * array.ndim if start is None else tuple(start)
    _check_inside(array.shape, start, shape)
    words = _to_words(array)
    if words.ndim > array.ndim:
        start, shape = (*start, 0), (*shape, 2)
    if words.size == 0:
        return 0
    from hpcapp.checksum_kernels import checksum_block_cpu

    total = 0
    for part, first, row_stride in _slabs(words, start, shape):
        total += int(checksum_block_cpu(part, np.uint64(first), np.uint64(row_stride)))
    return total & _LOW_64


def _check_inside(
    block: tuple[int, ...], start: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    fits = len(block) == len(start) == len(shape) and all(
        low >= 0 and low + size <= limit
        for size, low, limit in zip(block, start, shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"start: block of shape {block} at {start} is not inside an array of "
            f"shape {shape}"
        )


def _to_words(array: NDArray[Any]) -> _Words:
    """View the elements as unsigned integers; complex ones get an axis of 2 more."""
    dtype = array.dtype
    parts = 2 if dtype.kind == "c" else 1
    size = dtype.itemsize // parts
    if dtype.kind not in "biufc" or size not in (1, 2, 4, 8):
        raise TypeError(
            f"array: must have numbers or booleans of 1, 2, 4 or 8 bytes, got {dtype}"
        )
    # Bits mean the value of the word, whatever the byte order of the file or machine.
    native = array.astype(dtype.newbyteorder("="), copy=False)
    if parts == 2:
        native = native[..., np.newaxis].view(f"f{size}")
    return native.view(f"u{size}")


def _slabs(
    words: _Words, start: tuple[int, ...], shape: tuple[int, ...]
) -> Iterator[tuple[_Words, int, int]]:
    """Cut a block into 2-D arrays; with each the index of its first element and row."""
    strides = [math.prod(shape[axis + 1 :]) for axis in range(words.ndim)]
    first = sum(low * stride for low, stride in zip(start, strides, strict=True))
    # Axes that the block spans and that follow one another in memory are one axis.
    while words.ndim > 1 and words.flags.c_contiguous and words.shape[-1] == shape[-1]:
        words = words.reshape(*words.shape[:-2], -1)
        shape = (*shape[:-2], shape[-2] * shape[-1])
        strides = [*strides[:-2], 1]
    if words.ndim < 2:
        yield words.reshape(1, -1), first, 1
        return
    for lead in np.ndindex(words.shape[:-2]):
        offset = sum(j * stride for j, stride in zip(lead, strides, strict=False))
        yield words[lead], first + offset, strides[-2]
