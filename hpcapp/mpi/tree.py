# SPDX-License-Identifier: MIT
"""Reductions and broadcasts where ranks share cores."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hpcapp.mpi.waiting import IDLE, PATIENT, settle

__all__ = ["LARGEST", "Tree", "family"]

TAG = 34

LARGEST = 1 << 16
"""Bytes of an array up to which a tree is used; a library cuts longer ones up."""


def family(
    rank: int, size: int, workers: Sequence[int]
) -> tuple[int | None, tuple[int, ...]]:
    """Return where a rank's values go, and the ranks whose values come to it.

    Rank 0 and workers form a binomial tree; the others are its leaves, in equal shares.

    Parameters
    ----------
    rank, size : int
        This rank, and how many there are.
    workers : sequence of int
        Ascending.

    Returns
    -------
    (int or None, tuple of int)
        Parent, None at the root, rank 0; children.
    """
    busy = {0, *workers}
    workers, count = sorted(busy), len(busy)
    others = [other for other in range(size) if other not in busy]
    if rank not in busy:
        return workers[others.index(rank) * count // len(others)], ()
    place = workers.index(rank)
    # the lowest bit of a place leads up, those below it lead down
    lowest = place & -place or 1 << count.bit_length()
    below = [1 << bit for bit in range(lowest.bit_length() - 1)]
    children = [workers[place + step] for step in below if place + step < count]
    leaves = [
        other for k, other in enumerate(others) if k * count // len(others) == place
    ]
    return workers[place & (place - 1)] if place else None, (*children, *leaves)


class Tree:
    """The way of values to rank 0, and from there to all.

    A rank that has no core of its own sends one message and waits for one, looking
    seldom: a library makes it take part in many rounds (in a reduction; in a broadcast
    of a long message, which goes round in pieces), and all wait for who sleeps.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The ranks.
    workers : sequence of int
        Those with a core each.
    alone : bool
        Whether only they have values: they wait for nobody else in reductions.
    """

    def __init__(self, raw: Any, workers: Sequence[int], alone: bool = False) -> None:
        self._raw, rank = raw, raw.Get_rank()
        self._parent, self._children = family(rank, raw.Get_size(), workers)
        busy = {0, *workers}
        self._heard = [child for child in self._children if child in busy or not alone]
        self._silent = alone and rank not in busy
        # whoever waits for this rank loses what it oversleeps
        self._longest = PATIENT if rank in busy else IDLE

    def broadcast(self, data: np.ndarray | None) -> np.ndarray:
        """Return rank 0's bytes on all ranks; collective.

        Parameters
        ----------
        data : uint8[n] or None
            On rank 0; None elsewhere.
        """
        if data is None:
            length = np.empty(1, np.int64)
            settle([self._raw.Irecv(length, self._parent, TAG)], True, self._longest)
            data = np.empty(length[0], np.uint8)
            settle([self._raw.Irecv(data, self._parent, TAG)], True, self._longest)
        messages = (np.array([data.size], np.int64), data)
        sends = [
            self._raw.Isend(message, child, TAG)
            for child in self._children
            for message in messages
        ]
        settle(sends, True, self._longest)
        return data

    def reduce(self, values: np.ndarray, combine: np.ufunc) -> np.ndarray:
        """Return the reduction over all ranks; collective.

        Parameters
        ----------
        values : ndarray[n]
            This rank's, contiguous; of one length and dtype on all.
        combine : ufunc
            Whose result does not depend on the order.

        Returns
        -------
        ndarray[n]
            The same on all ranks.
        """
        total = values.copy()
        theirs = [np.empty_like(total) for _ in self._heard]
        arriving = [
            self._raw.Irecv(part, child, TAG)
            for part, child in zip(theirs, self._heard, strict=True)
        ]
        settle(arriving, True, self._longest)
        for part in theirs:
            combine(total, part, out=total)
        if self._parent is not None:
            result = np.empty_like(total)
            passing = [self._raw.Irecv(result, self._parent, TAG)]
            if not self._silent:
                passing.append(self._raw.Isend(total, self._parent, TAG))
            settle(passing, True, self._longest)
            total = result
        settle(
            [self._raw.Isend(total, child, TAG) for child in self._children],
            True,
            self._longest,
        )
        return total
