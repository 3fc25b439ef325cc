# SPDX-License-Identifier: MIT
"""Messages and progress: rank 0 speaks for all, on stderr and into log.txt."""

import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import IO, Any

__all__ = ["Log", "Progress", "drain", "duration", "say", "scaled"]


class Log:
    """Lines for the user and the run directory.

    Parameters
    ----------
    speaks : bool
        Whether this rank prints; others stay silent.
    level : int
        0 warnings only, 1 what happens, 2 details.
    """

    def __init__(self, speaks: bool = True, level: int = 1) -> None:
        self.speaks = speaks
        self.level = level
        self._file: IO[str] | None = None
        self._faulty = False
        self._kept: list[str] = []

    def open(self, path: str, keep: bool) -> None:
        """Write everything said, before and after, into a file too.

        Parameters
        ----------
        path : str
            The file.
        keep : bool
            Append to it instead of starting anew.
        """
        if self.speaks:
            mode = "a" if keep else "w"
            self._file = open(path, mode, encoding="utf-8")  # noqa: SIM115
            for line in self._kept:
                print(line, file=self._file, flush=True)
            self._kept.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file:
            try:
                self._file.close()
            except OSError as error:
                self._warn(error)
            self._file = None

    def detail(self, text: str) -> None:
        """Say something for those who ask for details."""
        self._say(text, 2)

    def info(self, text: str) -> None:
        """Say what happens."""
        self._say(text, 1)

    def warn(self, text: str) -> None:
        """Say what the user should know."""
        self._say(f"warning: {text}", 0)

    def record(self, text: str) -> None:
        """Write into the file only."""
        if self.speaks:
            self._record(text)

    def _say(self, text: str, level: int) -> None:
        if not self.speaks:
            return
        if level <= self.level:
            say(f"hpcapp: {text}")
        self._record(text)

    def _record(self, text: str) -> None:
        stamped = f"{datetime.now().isoformat(' ', 'seconds')} {text}"
        if self._file is None:
            self._kept.append(stamped)
            return
        try:
            print(stamped, file=self._file, flush=True)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        # a disk that is full for a moment must not end a computation; what could
        # not be written stays in the buffer and is tried again with the next line
        if self._file and not self._faulty:
            self._faulty = True
            say(
                f"hpcapp: warning: {self._file.name}: cannot be written: "
                f"{error.strerror}; the run goes on, lines may be missing there"
            )


def say(text: str, stream: IO[str] | None = None) -> str:
    """Print where that is possible: what is said must not change how a run ends.

    Parameters
    ----------
    text : str
        One line or several.
    stream : file, optional
        Where to; stderr by default.

    Returns
    -------
    str
        "" or why it could not be printed: the disk of a file that is full, a pipe
        whose reader has gone.
    """
    try:
        print(text, file=sys.stderr if stream is None else stream, flush=True)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def drain() -> None:
    """Give up what stdout and stderr cannot get rid of, at the end of the process.

    Python would try it once more, and end with a code of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        # None where the process was started without it
        if stream is not None and _flush(stream):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def _flush(stream: IO[str]) -> str:
    try:
        stream.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""


class Progress:
    """How far a run is: a bar on a terminal, lines in a batch log.

    Under mpirun isatty lies in both directions, so the launcher says which:
    ``HPCAPP_PROGRESS=bar|lines|off``; without it, lines.

    Parameters
    ----------
    log : Log
        Where lines go.
    environ : mapping
        The process environment.
    unit : str
        Of the work that `update` is told of.
    """

    LINE_SECONDS = 60.0
    LINE_SHARE = 0.1

    def __init__(self, log: Log, environ: Mapping[str, str], unit: str = "") -> None:
        self._unit = unit
        mode = environ.get("HPCAPP_PROGRESS", "lines")
        if not log.speaks or log.level < 1:
            mode = "off"
        self._log = log
        self._mode = mode
        self._bar: Any = None
        self._begun = self._said_at = self._first_at = time.monotonic()
        self._first = self._said = -1.0
        self._work = 0.0

    def update(self, fraction: float, note: str, work: float = 0.0) -> None:
        """Tell what share is done, a few words about it, and the work so far.

        Parameters
        ----------
        fraction : float
            Share of the whole run, 0 to 1.
        note : str
            Shown behind the numbers.
        work : float
            Done in this step, in the unit that was given; 0 where unknown.
        """
        if self._first < 0:
            self._first = self._said = fraction
            self._first_at = time.monotonic()
        else:
            self._work += work
        if self._mode == "bar":
            self._draw(fraction, note)
        elif self._mode == "lines":
            now = time.monotonic()
            # 0.3 - 0.2 is a little less than 0.1
            due = fraction - self._said >= self.LINE_SHARE - 1e-9
            if due or now - self._said_at >= self.LINE_SECONDS:
                self._said, self._said_at = fraction, now
                self._log.info(f"{self._line(fraction, now)} {note}".rstrip())

    def close(self) -> None:
        """Finish the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def eta(self, fraction: float, now: float) -> float | None:
        """Return the seconds that remain, None while unknown."""
        done = fraction - self._first
        if done <= 0:
            return None
        return (now - self._first_at) * (1 - fraction) / done

    def rate(self, now: float) -> float:
        """Return the work done in a second since the first step."""
        return self._work / max(now - self._first_at, 1e-9)

    def _line(self, fraction: float, now: float) -> str:
        left, rate = self.eta(fraction, now), self.rate(now)
        done = f"{100 * fraction:3.0f} % after {duration(now - self._begun)}"
        speed = f", {scaled(rate)}{self._unit}/s" if rate else ""
        return done + speed + ("" if left is None else f", {duration(left)} left,")

    def _draw(self, fraction: float, note: str) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=100.0,
                initial=round(100 * fraction, 1),
                bar_format="{l_bar}{bar}| [{elapsed}<{remaining}{postfix}]",
                leave=False,
                mininterval=0.2,
                file=sys.stderr,
                disable=False,
            )
        rate = self.rate(time.monotonic())
        speed = f"{scaled(rate)}{self._unit}/s " if rate else ""
        self._bar.set_postfix_str(f"{speed}{note}", refresh=False)
        self._bar.update(round(100 * fraction, 1) - self._bar.n)


def scaled(number: float) -> str:
    """Return a number with a prefix, such as ``2.47 G``, to be followed by a unit."""
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {prefix}"
    return f"{number:.3g} "


def duration(seconds: float) -> str:
    """Return a duration in a form to read.

    Parameters
    ----------
    seconds : float
        Seconds, >= 0.

    Returns
    -------
    str
        Such as ``12.3 s``, ``4 min 05 s`` or ``2 h 03 min``.

    Examples
    --------
    >>> duration(12.34), duration(245), duration(7380)
    ('12.3 s', '4 min 05 s', '2 h 03 min')
    """
    if seconds < 99.95:
        return f"{seconds:.1f} s" if seconds >= 0.995 else f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
