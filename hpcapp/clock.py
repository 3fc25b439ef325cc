# SPDX-License-Identifier: MIT
"""Where a rank's time goes: exclusive seconds by phase. Imports nothing of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

__all__ = ["PHASES", "Clock"]

PHASES = ("setup", "compile", "compute", "halo", "reduce", "io")
NUMBERS = {name: number for number, name in enumerate(PHASES)}


class Clock:
    """A stop-watch with one running phase; an inner phase pauses the outer.

    Parameters
    ----------
    phase : str
        The phase that runs from the start.

    Attributes
    ----------
    pulse : memoryview of uint64[3]
        Signs of life: how many there were, the number of the phase, and whether this
        rank waits for others. A watchdog may put it into memory that others see.
    """

    def __init__(self, phase: str = "setup") -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.current = phase
        self.pulse = memoryview(bytearray(24)).cast("Q")
        self._since = perf_counter()
        self._failure: tuple[BaseException | None, str] = (None, "")

    def enter(self, phase: str) -> str:
        """Switch to a phase and return the one that ran before."""
        now = perf_counter()
        self.seconds[self.current] += now - self._since
        self._since = now
        before, self.current = self.current, phase
        self.pulse[1] = NUMBERS[phase]
        self.beat()
        return before

    def beat(self) -> None:
        """Show that something was done: a kernel call, a piece of a file."""
        self.pulse[0] = (self.pulse[0] + 1) % 2**64

    def show(self, pulse: memoryview) -> None:
        """Show the signs of life elsewhere from now on: uint64[3]."""
        pulse[:] = self.pulse
        self.pulse = pulse

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge what the block takes to a phase."""
        before = self.enter(name)
        try:
            yield
        except BaseException as error:
            if self._failure[0] is not error:
                self._failure = (error, name)
            raise
        finally:
            self.enter(before)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Show that this rank waits for others, whatever its phase."""
        self.pulse[2] += 1
        try:
            yield
        finally:
            self.pulse[2] -= 1
            self.beat()

    def phase_of(self, error: BaseException) -> str:
        """Return the innermost phase that an error has ended."""
        return self._failure[1] if self._failure[0] is error else self.current

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase until now."""
        self.enter(self.current)
        return dict(self.seconds)
