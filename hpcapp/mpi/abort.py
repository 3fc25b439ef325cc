# SPDX-License-Identifier: MIT
"""The end of a job in which a rank has failed."""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, NoReturn

__all__ = ["abort", "leave_at_once"]

# seconds that a library may take
STUCK = 2.0


def leave_at_once(code: int) -> NoReturn:
    """End this process without what libraries do at its end; collective.

    Parameters
    ----------
    code : int
        Exit code.
    """
    from mpi4py import MPI

    _flush()
    _end_soon(code)
    MPI.Finalize()
    os._exit(code)


def abort(raw: Any, code: int) -> NoReturn:
    """End all ranks of the job at once; does not return.

    Parameters
    ----------
    raw : mpi4py.MPI.Intracomm
        The ranks.
    code : int
        Exit code of the job.
    """
    _flush()
    # what was just said must pass through the launcher before it tears down
    time.sleep(0.5)
    _end_soon(code)
    try:
        raw.Abort(code)
    finally:
        # MPICH comes back from Abort while the launcher is still at work
        os._exit(code)


def _end_soon(code: int) -> None:
    # a library that is stuck may not come back
    last = threading.Timer(STUCK, os._exit, (code,))
    last.daemon = True
    last.start()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        # a full disk, a reader that has gone, or no such stream at all
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
