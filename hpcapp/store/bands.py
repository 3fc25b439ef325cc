# SPDX-License-Identifier: MIT
"""Checksums of a distributed variable by bands of its rows.

The bands follow from the shape alone, so that their checksums are the same for every
layout, and any number of ranks can check a file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from hpcapp.checksum import checksum_array, checksum_block
from hpcapp.decomposition import Block
from hpcapp.fields import Part

__all__ = ["Bands", "add_parts", "add_zeros"]

# bytes of a band, and how many there may be: the table of checksums stays small
BAND = 1 << 23
MOST = 4096


@dataclass(frozen=True)
class Bands:
    """A variable cut along its first axis.

    Parameters
    ----------
    shape : tuple of int
        Of the whole variable; () is one band.
    itemsize : int
        Bytes of an element.
    """

    shape: tuple[int, ...]
    itemsize: int

    @property
    def rows(self) -> int:
        """Rows of each band but the last; at least 1."""
        width = max(1, self.itemsize * prod(self.shape[1:]))
        length = self.shape[0] if self.shape else 1
        return max(1, BAND // width, -(-length // MOST))

    @property
    def count(self) -> int:
        """How many there are; none of an empty variable."""
        if not prod(self.shape):
            return 0
        return -(-self.shape[0] // self.rows) if self.shape else 1

    def box(self, number: int) -> Block:
        """Return the global indices of a band."""
        if not self.shape:
            return Block((), ())
        first = number * self.rows
        last = min(first + self.rows, self.shape[0])
        zeros = (0,) * (len(self.shape) - 1)
        return Block((first, *zeros), (last, *self.shape[1:]))

    def first(self, number: int) -> int:
        """Return the index, in C order, of the first element of a band."""
        return number * self.rows * prod(self.shape[1:]) if self.shape else 0

    def cut(self, part: Part) -> list[tuple[int, Part]]:
        """Return the pieces of a part with the numbers of their bands."""
        if not self.shape:
            return [(0, part)]
        top, bottom = part.block.start[0], part.block.stop[0]
        found = []
        for number in range(top // self.rows, -(-bottom // self.rows)):
            low = max(top, number * self.rows)
            high = min(bottom, (number + 1) * self.rows)
            block = Block((low, *part.block.start[1:]), (high, *part.block.stop[1:]))
            found.append((number, Part(block, part.array[low - top : high - top])))
        return found


def add_parts(
    sums: np.ndarray, bands: Bands, parts: Sequence[Part], dtype: str, partial: bool
) -> None:
    """Add what this rank's parts contribute to the checksum of each band.

    Parameters
    ----------
    sums : uint64[count]
        One for each band; modified, mod 2**64.
    bands : Bands
        Of the variable.
    parts : sequence of Part
        This rank's, at their global indices.
    dtype : str
        NumPy dtype of the elements in the file.
    partial : bool
        Whether points may belong to no part: they are zeros in the file, and
        `add_zeros` counts all points as zeros first.
    """
    for part in parts:
        for number, piece in bands.cut(part):
            start = piece.block.start
            array = np.asarray(piece.array, dtype)
            value = checksum_block(array, start, bands.shape)
            if partial:
                value -= checksum_block(np.zeros_like(array), start, bands.shape)
            sums[number] = (int(sums[number]) + value) % 2**64


def add_zeros(
    sums: np.ndarray, bands: Bands, dtype: str, share: tuple[int, int]
) -> None:
    """Add the checksum of zeros in every point of this rank's share of the bands.

    Parameters
    ----------
    sums : uint64[count]
        One for each band; modified, mod 2**64.
    bands : Bands
        Of the variable.
    dtype : str
        NumPy dtype of the elements in the file.
    share : (int, int)
        Rank and number of ranks: they take turns.
    """
    for number in range(share[0], bands.count, share[1]):
        zeros = np.zeros(bands.box(number).shape, dtype)
        value = checksum_array(zeros, bands.first(number))
        sums[number] = (int(sums[number]) + value) % 2**64
