# SPDX-License-Identifier: MIT
"""What all ranks agree on while they go on with their work."""

import time
from typing import Any

import numpy as np
from mpi4py import MPI

from hpcapp.mpi.waiting import settle

__all__ = ["Agreement", "arrives"]


class Agreement:
    """A maximum over ranks that is under way.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The communicator.
    flags : int64[n]
        This rank's values.
    crowded : bool
        Whether ranks share cores.
    """

    def __init__(self, raw: Any, flags: np.ndarray, crowded: bool = False) -> None:
        self._crowded = crowded
        self._mine = np.array(flags, np.int64)
        self._all = np.empty_like(self._mine)
        self._request = raw.Iallreduce(self._mine, self._all, MPI.MAX)

    def result(self) -> np.ndarray:
        """Wait and return the maxima: int64[n], the same on all ranks."""
        settle([self._request], self._crowded)
        return self._all

    def arrives(self, seconds: float) -> bool:
        """Wait for all ranks, but not for ever; tell whether they came."""
        return arrives(self._request, seconds)


def arrives(request: Any, seconds: float) -> bool:
    """Wait for a request, but not for ever; tell whether it is complete.

    Parameters
    ----------
    request : mpi4py.MPI.Request
        Under way.
    seconds : float
        Waited at most.

    Returns
    -------
    bool
        False if the time was over first.
    """
    until = time.monotonic() + seconds
    while not request.Test():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True
