# SPDX-License-Identifier: MIT
"""A counter on rank 0 that any rank advances without rank 0's help."""

from typing import Any

import numpy as np
from mpi4py import MPI

from hpcapp.errors import LaunchError

__all__ = ["Claim"]


class Claim:
    """Hand out 0 .. total - 1, each number once over all ranks; collective.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The communicator.
    total : int
        How many numbers there are.

    Raises
    ------
    LaunchError
        If the MPI library has no one-sided communication here: Open MPI 4.1 has
        none between nodes without RDMA at `MPI_THREAD_MULTIPLE`.

    Notes
    -----
    One-sided fetch-and-add (MPI-4.1, section 12.3.4). Memory of the window is
    MPI's, so that ranks on a node reach it by an atomic instruction.
    """

    def __init__(self, raw: Any, total: int) -> None:
        self.total = total
        item = MPI.INT64_T.Get_size()
        size = item if raw.Get_rank() == 0 else 0
        try:
            self._window = MPI.Win.Allocate(size, item, comm=raw)
        except MPI.Exception as error:
            raise LaunchError(
                "work that is claimed needs one-sided communication, which this MPI "
                f"library does not offer between these nodes ({error}); use another "
                "schedule, such as cost, or another MPI: Open MPI 5, MPICH, or UCX"
            ) from None
        self._window.Lock_all()
        if size:
            counter: Any = self._window.tomemory()
            np.frombuffer(counter, np.int64)[0] = 0
            self._window.Sync()
        # nobody may draw before the counter stands at zero
        raw.Barrier()

    def next(self) -> int | None:
        """Return the next number, or None when all are taken."""
        one, drawn = np.ones(1, np.int64), np.empty(1, np.int64)
        self._window.Fetch_and_op(one, drawn, 0, 0, MPI.SUM)
        self._window.Flush(0)
        return int(drawn[0]) if drawn[0] < self.total else None

    def close(self) -> None:
        """Free the counter; collective."""
        self._window.Unlock_all()
        self._window.Free()
