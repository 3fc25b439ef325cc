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

# a rank with nothing to do looks less and less often, so that it costs others nothing:
# a wait becomes a sixteenth longer
LONGEST = 0.01


def settle(requests: Sequence[Any], crowded: bool) -> None:
    """Wait until all requests are complete.

    Parameters
    ----------
    requests : sequence of mpi4py.MPI.Request
        Under way.
    crowded : bool
        Whether ranks share cores. A library waits by looking again and again, which
        takes the core from the rank that is waited for; then this rank sleeps.
    """
    if not crowded:
        MPI.Request.Waitall(requests)
        return
    begun = time.monotonic()
    while not MPI.Request.Testall(requests):
        time.sleep(min(PAUSE + (time.monotonic() - begun) / 16, LONGEST))
