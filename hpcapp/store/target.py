# SPDX-License-Identifier: MIT
"""Where parts of an array go in a file: boxes of variables, runs of bytes."""

from dataclasses import dataclass

import numpy as np

from hpcapp import decomposition
from hpcapp.decomposition import Block
from hpcapp.fields import Part

__all__ = ["Target", "cut", "inside", "runs"]


@dataclass(frozen=True)
class Target:
    """Where a distributed variable, or a box of it, lies in the file.

    Parameters
    ----------
    offset : int or None
        Its first byte; None where only a library knows, since it is in chunks.
    shape : tuple of int
        Global shape.
    dtype : str
        NumPy dtype of the elements in the file.
    name : str
        Of the variable within the file, with its group.
    corner : tuple of int
        Where the box begins in the variable, along its first axes; () at 0. A
        variable has as many axes more than the box as the corner is longer.
    """

    offset: int | None
    shape: tuple[int, ...]
    dtype: str
    name: str = ""
    corner: tuple[int, ...] = ()


def inside(target: Target, block: Block) -> tuple[slice, ...]:
    """Return the place of a block in its variable, as slices along all axes.

    Parameters
    ----------
    target : Target
        Where the box lies.
    block : Block
        Indices within the box.

    Returns
    -------
    tuple of slice
        One for each axis of the variable.
    """
    more = max(0, len(target.corner) - len(target.shape))
    start, stop = (0,) * more + block.start, (1,) * more + block.stop
    corner = target.corner + (0,) * (len(start) - len(target.corner))
    return tuple(
        slice(c + a, c + b) for c, a, b in zip(corner, start, stop, strict=True)
    )


def cut(part: Part, limit: int, rows: bool = False) -> list[Part]:
    """Cut a part in halves along its longest axes until each piece is small.

    Parameters
    ----------
    part : Part
        Any.
    limit : int
        Bytes of a piece at most, unless it is one element.
    rows : bool
        Whether to cut the first axes first: rows stay whole, and so few runs
        of bytes make up a piece in a file. Chunks are better served by halves.

    Returns
    -------
    list of Part
        Views that make it up.
    """
    if part.array.nbytes <= limit or part.array.size <= 1:
        return [part]
    shape = part.array.shape
    longest = int(np.argmax(shape))
    axis = next(k for k, n in enumerate(shape) if n > 1) if rows else longest
    half = part.array.shape[axis] // 2
    start, stop = list(part.block.start), list(part.block.stop)
    start[axis] += half
    stop[axis] = start[axis]
    lower, upper = np.split(part.array, [half], axis)
    low = Part(Block(part.block.start, tuple(stop)), lower)
    high = Part(Block(tuple(start), part.block.stop), upper)
    return cut(low, limit, rows) + cut(high, limit, rows)


def runs(target: Target, block: Block) -> list[tuple[int, int, int]]:
    """Return the contiguous runs of a block in its file.

    Parameters
    ----------
    target : Target
        Where the whole box lies, at an offset.
    block : Block
        A non-empty box of it.

    Returns
    -------
    list of (int, int, int)
        Byte in the file, byte in the block's C-ordered data, length in bytes.
    """
    item, begin = np.dtype(target.dtype).itemsize, target.offset or 0
    return [
        (begin + item * at, item * first, item * length)
        for at, first, length in decomposition.runs(target.shape, block)
    ]
