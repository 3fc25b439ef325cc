# SPDX-License-Identifier: MIT
"""Requests to stop: signals and the wall clock. Decides nothing, only remembers."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType

from hpcapp.errors import Exit

__all__ = ["SIGNALS", "Stops", "job_end"]

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)

# batch systems send a signal several times: only a later one is the user's
PATIENCE = 3.0

# seconds that a batch system may take to answer
ANSWER = 10.0


class Stops:
    """Wishes to stop, as seen by this rank.

    Parameters
    ----------
    wall_time : float or None
        Seconds that the job may take since `begun`.
    begun : float, optional
        `time.monotonic` at the start; now by default.

    Attributes
    ----------
    reason : str
        Why, "" while there is no wish.
    at_once : callable
        Called with a few words before a second signal ends the process.
    """

    def __init__(
        self, wall_time: float | None = None, begun: float | None = None
    ) -> None:
        self.reason = ""
        self.at_once: Callable[[str], object] = str
        self._begun = time.monotonic() if begun is None else begun
        self._limits: list[tuple[float, str]] = []
        self._signalled: dict[int, float] = {}
        self.limit(wall_time)

    def listen(self) -> None:
        """Hear SIGUSR1, SIGTERM and SIGINT from now on; main thread only.

        A thread hears them, so that a second one counts even where the main thread
        is inside a kernel or waits in the MPI library.
        """
        heard, told = socket.socketpair()
        told.setblocking(False)
        for number in SIGNALS:
            signal.signal(number, _leave_to_thread)
            # what is under way is not interrupted, such as the write of a file
            signal.siginterrupt(number, False)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        # one that came before anybody listened
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        # both ends live as long as the process
        listener = threading.Thread(
            target=self._hear, args=(heard, told), daemon=True, name="signals"
        )
        listener.start()

    def leave(self) -> None:
        """Hear nothing more: all ranks have agreed on the end and its code.

        ``srun -K`` sends SIGTERM to all ranks when the first ends with another code
        than 0, as with 75. Python takes its handlers away before a process ends, but
        not this.
        """
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def limit(self, wall_time: float | None) -> None:
        """Set the wall time, once the configuration is known.

        Parameters
        ----------
        wall_time : float or None
            Seconds that the job may take since its start.
        """
        if wall_time is not None:
            reason = f"wall time of {wall_time:.0f} s"
            self._limits.append((self._begun + wall_time, reason))

    def limit_until(self, end: float | None) -> None:
        """Set the end that the batch system has set.

        Parameters
        ----------
        end : float or None
            `time.time` of it; None where it is not known.
        """
        if end is not None:
            at = time.monotonic() + end - time.time()
            self._limits.append((at, "end of the batch job"))

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
        now = time.monotonic()
        for end, reason in self._limits:
            if now + margin >= end:
                self.request(reason)
        return bool(self.reason)

    def _hear(self, heard: socket.socket, _told: socket.socket) -> None:
        while True:
            for number in heard.recv(16):
                if number in SIGNALS:
                    self._heard(number)

    def _heard(self, number: int) -> None:
        now = time.monotonic()
        first = self._signalled.setdefault(number, now)
        name = signal.Signals(number).name
        self.request(name)
        if now - first > PATIENCE:
            # the same asked twice: give up the checkpoint; the one before stays
            # valid. Another signal is the batch system's next word on the first.
            with suppress(Exception):
                self.at_once(f"ended at once by a second {name}")
            os._exit(Exit.FAILED)


def _leave_to_thread(number: int, frame: FrameType | None) -> None:
    """Do nothing: the thread that listens has the number already."""


def job_end(environ: Mapping[str, str]) -> float | None:
    """Return when the batch system will end this job.

    Slurm says so in the environment since version 23.02, before on request.

    Parameters
    ----------
    environ : mapping
        The process environment.

    Returns
    -------
    float or None
        As `time.time` counts; None outside of a job, or where nobody tells.
    """
    job = environ.get("SLURM_JOB_ID", "")
    if not job:
        return None
    end = environ.get("SLURM_JOB_END_TIME", "")
    if end.isdecimal():
        return float(end)
    with suppress(OSError, subprocess.SubprocessError, ValueError):
        # "7:00", "1-02:03:04": what is left, whatever clock and zone it has
        command = ["squeue", "-h", "-j", job, "-o", "%L"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER, check=True
        )
        return time.time() + _seconds(done.stdout.strip())
    return None


def _seconds(text: str) -> float:
    """Read Slurm's [days-][[hours:]minutes:]seconds; UNLIMITED is a ValueError."""
    days, _, rest = text.rpartition("-")
    total = 0
    for number in rest.split(":"):
        total = 60 * total + int(number)
    return float(86400 * int(days or 0) + total)
