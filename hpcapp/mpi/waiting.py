# SPDX-License-Identifier: MIT
"""Waiting for messages, with a core for each rank or without."""

import time
from collections.abc import Sequence
from typing import Any

from mpi4py import MPI

__all__ = ["settle"]

# seconds between two looks at messages: exchanges depend on one another, so that
# longer pauses add up
PAUSE = 1e-4

# an idle rank looks less and less often, so that it costs others little: its wait
# becomes an eighth longer, by 2 ms at most
LONGEST = 0.002


def settle(requests: Sequence[Any], crowded: bool, idle: bool = False) -> None:
    """Wait until all requests are complete.

    Parameters
    ----------
    requests : sequence of mpi4py.MPI.Request
        Under way.
    crowded : bool
        Whether ranks share cores. A library waits by looking again and again, which
        takes the core from the rank that is waited for; then this rank sleeps.
    idle : bool
        Whether this rank may have nothing to do for long, as before a reduction.
    """
    if not crowded:
        MPI.Request.Waitall(requests)
        return
    begun = time.monotonic()
    while not MPI.Request.Testall(requests):
        longer = (time.monotonic() - begun) / 8 if idle else 0.0
        time.sleep(min(PAUSE + longer, LONGEST))
