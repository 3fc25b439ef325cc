# SPDX-License-Identifier: MIT
"""Waiting for messages, with a core for each rank or without."""

import time
from collections.abc import Sequence
from typing import Any

from mpi4py import MPI

__all__ = ["IDLE", "LONG", "PATIENT", "PAUSE", "settle"]

# seconds between two looks at messages: exchanges depend on one another, so that
# longer pauses add up
PAUSE = 1e-4

PATIENT = 0.002
"""Longest pause of a rank that others wait for in turn."""

LONG = 0.005
"""Longest pause during set-up."""

IDLE = 0.01
"""Longest pause of a rank that has nothing to do, and that nobody waits for."""


def settle(requests: Sequence[Any], crowded: bool, longest: float = PAUSE) -> None:
    """Wait until all requests are complete.

    Parameters
    ----------
    requests : sequence of mpi4py.MPI.Request
        Under way.
    crowded : bool
        Whether ranks share cores. A library waits by looking again and again, which
        takes the core from the rank that is waited for; then this rank sleeps.
    longest : float
        Seconds between two looks, at most. It looks less and less often, so that it
        costs others little: the wait becomes an eighth longer.
    """
    if not crowded:
        MPI.Request.Waitall(requests)
        return
    begun = time.monotonic()
    while not MPI.Request.Testall(requests):
        time.sleep(min(PAUSE + (time.monotonic() - begun) / 8, longest))
