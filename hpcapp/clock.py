# SPDX-License-Identifier: MIT
"""Where a rank's time goes: exclusive seconds by phase. Imports nothing of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

__all__ = ["PHASES", "Clock"]

PHASES = ("setup", "compile", "compute", "halo", "reduce", "io")


class Clock:
    """A stop-watch with one running phase; an inner phase pauses the outer.

    Parameters
    ----------
    phase : str
        The phase that runs from the start.
    """

    def __init__(self, phase: str = "setup") -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.current = phase
        self._since = perf_counter()

    def enter(self, phase: str) -> str:
        """Switch to a phase and return the one that ran before."""
        now = perf_counter()
        self.seconds[self.current] += now - self._since
        self._since = now
        before, self.current = self.current, phase
        return before

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what the block takes to a phase."""
        before = self.enter(name)
        try:
            yield
        finally:
            self.enter(before)

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase until now."""
        self.enter(self.current)
        return dict(self.seconds)
