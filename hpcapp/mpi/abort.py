# SPDX-License-Identifier: MIT
"""The end of a job in which a rank has failed."""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

__all__ = ["abort"]

# seconds that a library may take
STUCK = 2.0


def abort(raw: Any, code: int) -> NoReturn:
    """End all ranks of the job at once; does not return.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The ranks.
    code : int
        Exit code of the job.
    """
    for stream in (sys.stdout, sys.stderr):
        # a full disk, a reader that has gone, or no such stream at all
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    # what was just said must pass through the launcher before it tears down
    time.sleep(0.5)
    # a library that is stuck may not come back from it
    last = threading.Timer(STUCK, os._exit, (code,))
    last.daemon = True
    last.start()
    try:
        raw.Abort(code)
    finally:
        # MPICH comes back from Abort while the launcher is still at work
        os._exit(code)
