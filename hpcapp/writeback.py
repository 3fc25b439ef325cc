# SPDX-License-Identifier: MIT
"""Has the disk begin with what is in a file while the rest of it is still written.

A system keeps what is written in memory until there is too much of it, or a sync asks
for it: until then the disk is idle. Imports nothing of the package.
"""

import os
from contextlib import suppress

__all__ = ["Writeback"]

# bytes from which on the disk is told: few calls, and little left for the sync
SHARE = 1 << 23


class Writeback:
    """Tells the system about bytes that one process has written into a file.

    It is advice: where the file cannot be opened, or the system takes no advice, all
    is on the disk after a sync just the same.

    Parameters
    ----------
    path : str
        An existing file.
    """

    def __init__(self, path: str) -> None:
        self._low = self._high = self._bytes = 0
        self._descriptor = -1
        # Linux alone begins to write out what it is told that nobody needs
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                self._descriptor = os.open(path, os.O_WRONLY)

    def wrote(self, start: int, stop: int, size: int) -> None:
        """Count bytes that are in the file; begin to write them out if it is time.

        Parameters
        ----------
        start, stop : int
            The first of them in the file, and one past the last.
        size : int
            How many of those between are this process's.
        """
        self._low = min(self._low, start) if self._bytes else start
        self._high = max(self._high, stop) if self._bytes else stop
        self._bytes += size
        if self._bytes >= SHARE:
            self._begin()
            self._bytes = 0

    def close(self) -> None:
        """Let go of the file; it begins nothing more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _begin(self) -> None:
        if self._descriptor < 0:
            return
        # pages that are not on the disk yet stay in memory
        with suppress(OSError):
            os.posix_fadvise(
                self._descriptor,
                self._low,
                self._high - self._low,
                os.POSIX_FADV_DONTNEED,
            )
