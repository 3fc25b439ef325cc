# SPDX-License-Identifier: MIT
"""Requests to stop: signals and the wall clock. Decides nothing, only remembers."""

import os
import signal
import time
from types import FrameType

from hpcapp.errors import Exit

__all__ = ["SIGNALS", "Stops"]

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)

# batch systems send a signal several times: only a later one is the user's
PATIENCE = 3.0


class Stops:
    """Wishes to stop, as seen by this rank.

    Parameters
    ----------
    wall_time : float or None
        Seconds that the job may take since `begun`.
    begun : float, optional
        `time.monotonic` at the start; now by default.
    """

    def __init__(
        self, wall_time: float | None = None, begun: float | None = None
    ) -> None:
        self.reason = ""
        self._wall_time = wall_time
        self._begun = time.monotonic() if begun is None else begun
        self._signalled: dict[int, float] = {}

    def listen(self) -> None:
        """Install handlers for SIGUSR1, SIGTERM and SIGINT; main thread only."""
        for number in SIGNALS:
            signal.signal(number, self._heard)

    def limit(self, wall_time: float | None) -> None:
        """Set the wall time, once the configuration is known."""
        self._wall_time = wall_time

    def request(self, reason: str) -> None:
        """Ask for a stop at the next step."""
        self.reason = self.reason or reason

    def wanted(self, margin: float) -> bool:
        """Tell whether this rank wants to stop.

        Parameters
        ----------
        margin : float
            Seconds that the next step and a checkpoint may take.

        Returns
        -------
        bool
            True after a signal or a request, or when the wall time would be
            over before a checkpoint is written.
        """
        if self._wall_time is not None:
            used = time.monotonic() - self._begun
            if used + margin >= self._wall_time:
                self.request(f"wall time of {self._wall_time:.0f} s")
        return bool(self.reason)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        first = self._signalled.setdefault(number, now)
        self.request(signal.Signals(number).name)
        if now - first > PATIENCE:
            # the same asked twice: give up the checkpoint; the one before stays
            # valid. Another signal is the batch system's next word on the first.
            os._exit(Exit.FAILED)
