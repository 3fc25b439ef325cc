# SPDX-License-Identifier: MIT
"""Seconds by phase, and when they were spent; imports nothing of ours."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, time

__all__ = ["PHASES", "PIECES", "SHORTEST", "Clock", "Timeline"]

PHASES = ("setup", "compile", "compute", "halo", "reduce", "io")
NUMBERS = {name: number for number, name in enumerate(PHASES)}

PIECES = 512
"""Pieces of a timeline at most."""

SHORTEST = 1e-3
"""Seconds of a piece at first."""


class Timeline:
    """Seconds of each phase in pieces of time of one length, in bounded memory.

    Once there are `PIECES` of them neighbours are joined, two by two, and from then on
    pieces are twice as long: however long a run takes, this is all that is kept of it.

    Parameters
    ----------
    begin : float
        When the first piece begins, s, as `perf_counter` tells it.

    Attributes
    ----------
    width : float
        Length of a piece, s.
    end : float
        When the piece ends that is filled now, s.
    pieces : list of list of float
        Of each piece that is full, the seconds of each of `PHASES`.
    """

    def __init__(self, begin: float) -> None:
        self.width = SHORTEST
        self.end = begin + SHORTEST
        self.pieces: list[list[float]] = []
        self._begin = begin
        self._told = [0.0] * len(PHASES)

    def advance(self, seconds: Mapping[str, float], phase: str, now: float) -> None:
        """Fill the pieces that have ended.

        Parameters
        ----------
        seconds : mapping
            Of each phase from the beginning until now.
        phase : str
            The one that ran when the present piece ended, and until now.
        now : float
            As `perf_counter` tells it.
        """
        number, totals = NUMBERS[phase], list(seconds.values())
        whole = totals[number]
        while now >= self.end:
            # since the piece ended nothing but this phase has run
            totals[number] = whole - (now - self.end)
            self.pieces.append(self._new(totals))
            if len(self.pieces) == PIECES:
                pairs = zip(self.pieces[::2], self.pieces[1::2], strict=True)
                self.pieces = [
                    [a + b for a, b in zip(*pair, strict=True)] for pair in pairs
                ]
                self.width *= 2
            self.end = self._begin + (len(self.pieces) + 1) * self.width

    def table(self, seconds: Mapping[str, float]) -> list[list[float]]:
        """Return all pieces, the one that is filled now among them.

        Parameters
        ----------
        seconds : mapping
            Of each phase from the beginning until now.

        Returns
        -------
        list of list of float
            As in `pieces`, at most `PIECES` of them.
        """
        told = self._told
        last = [a - b for a, b in zip(seconds.values(), told, strict=True)]
        return [*self.pieces, last]

    def _new(self, totals: list[float]) -> list[float]:
        told, self._told = self._told, list(totals)
        return [max(0.0, a - b) for a, b in zip(totals, told, strict=True)]


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
    started : float
        When it was made: seconds since 1970, as clocks on walls tell it.
    waited : dict of str to float
        Of each phase, the seconds in which this rank waited for all others to come:
        part of the seconds of the phase.
    messages, sent : int
        Messages of halo exchanges that this rank has sent, and their bytes.
    timeline : Timeline
        When the seconds of the phases were spent.
    """

    def __init__(self, phase: str = "setup") -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.waited = dict.fromkeys(PHASES, 0.0)
        self.messages = self.sent = 0
        self.current = phase
        self.pulse = memoryview(bytearray(24)).cast("Q")
        self.started = time()
        self._since = perf_counter()
        self.timeline = Timeline(self._since)
        self._failure: tuple[BaseException | None, str] = (None, "")

    def enter(self, phase: str) -> str:
        """Switch to a phase and return the one that ran before."""
        now = perf_counter()
        before = self.current
        self.seconds[before] += now - self._since
        self._since = now
        # one comparison: this is called at each exchange
        if now >= self.timeline.end:
            self.timeline.advance(self.seconds, before, now)
        self.current = phase
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

    def count(self, messages: int, length: int) -> None:
        """Count messages that are sent, and their bytes."""
        self.messages += messages
        self.sent += length

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
        begun = perf_counter()
        try:
            yield
        finally:
            self.pulse[2] -= 1
            if not self.pulse[2]:
                self.waited[self.current] += perf_counter() - begun
            self.beat()

    def phase_of(self, error: BaseException) -> str:
        """Return the innermost phase that an error has ended."""
        return self._failure[1] if self._failure[0] is error else self.current

    def read(self) -> dict[str, float]:
        """Return the seconds of each phase until now."""
        self.enter(self.current)
        return dict(self.seconds)
