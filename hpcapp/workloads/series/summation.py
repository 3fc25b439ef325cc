# SPDX-License-Identifier: MIT
"""What a series must be able to do, and how its terms are dealt out."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpcapp import reduction
from hpcapp.device import Device

__all__ = ["Share", "Summation", "collect_bins"]

# bins, automata and a few numbers on a GPU
SMALL = 2048


@dataclass(frozen=True)
class Share:
    """Every so many pieces of a range of terms, which are numbered from 1.

    Pieces are numbered from 0, where the term 0, which does not exist, would be: piece
    p has the terms from p times length on. Dealt out in turn, the pieces of a rank
    differ little in cost from another's, whatever digits they have.

    Parameters
    ----------
    begin, end : int
        First term, and one past the last, 1 <= begin <= end.
    part, parts : int
        Which of how many shares.
    """

    begin: int
    end: int
    part: int
    parts: int

    def first(self, length: int) -> int:
        """Return the first piece of this share that is not before the range."""
        lowest = self.begin // length
        return lowest + (self.part - lowest) % self.parts

    def numbers(self, length: int) -> NDArray[np.int64]:
        """Return begin, end, length, first piece, distance of pieces: int64[5]."""
        facts = [self.begin, self.end, length, self.first(length), self.parts]
        return np.array(facts, np.int64)

    def pieces(self, length: int) -> Iterator[tuple[int, int]]:
        """Give the first term of each piece of this share, and one past its last."""
        for start in range(self.first(length) * length, self.end, self.parts * length):
            yield max(start, self.begin), min(start + length, self.end)

    def split(self, count: int) -> list["Share"]:
        """Cut it into shares for the threads of a rank."""
        return [
            Share(self.begin, self.end, self.part + n * self.parts, count * self.parts)
            for n in range(count)
        ]


class Summation(ABC):
    """One kind of series: its terms, and what is known of its limit.

    Attributes
    ----------
    chunk : int
        Terms of a step at most.
    gpu_chunk : int
        The same on a GPU.
    memory : int
        Bytes of tables and of arrays of a thread.
    """

    chunk: int
    gpu_chunk: int
    memory: int

    @abstractmethod
    def add(self, device: Device, share: Share) -> NDArray[np.int64]:
        """Return the exact sum of a share of the terms.

        Parameters
        ----------
        device : Device
            Launches kernels.
        share : Share
            The terms.

        Returns
        -------
        int64[LIMBS]
            Accumulator of `hpcapp.reduction`, normalised.
        """

    @abstractmethod
    def warm_up(self, device: Device) -> None:
        """Compile the kernels that `add` uses."""

    def gpu_memory(self, terms: int) -> int:  # noqa: ARG002
        """Return the bytes of arrays on a GPU, at most: tables, bins, a share.

        Parameters
        ----------
        terms : int
            Of the whole sum.
        """
        return self.memory + SMALL

    def value(self, total: NDArray[np.int64]) -> float:
        """Return the sum as a number, rounded once."""
        return reduction.to_float(total)

    def limit(self) -> float | None:
        """Return the sum of infinitely many terms, where it is known."""
        return None

    def error_bound(self, value: float, terms: int) -> float | None:  # noqa: ARG002
        """Return a bound of the distance of a value from the limit."""
        return None

    def refuse(self, share: Share) -> tuple[int, str] | None:  # noqa: ARG002
        """Return the first term of a share that is no finite number, and why."""
        return None


def collect_bins(bins: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """Return what is in the bins of `kernels` as an accumulator.

    Parameters
    ----------
    bins : int64[n, 2]
        Integers as low + 2**32 high; row j has the unit 2**-(j + shift).
    shift : int
        As said.

    Returns
    -------
    int64[LIMBS]
        Accumulator of `hpcapp.reduction`, normalised.
    """
    total = reduction.zeros()
    for j, (low, high) in enumerate(bins.tolist()):
        if low or high:
            reduction.add_scaled(total, (high << 32) + low, -(j + shift))
    return total
