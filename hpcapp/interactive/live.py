# SPDX-License-Identifier: MIT
"""Showing a run while it goes on: HTML in a notebook, a bar on a terminal."""

import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from hpcapp.interactive.display import progress_html
from hpcapp.interactive.running import Progress, Run
from hpcapp.log import Log
from hpcapp.log import Progress as Bar

__all__ = ["follow", "watcher"]

# seconds between two pictures
PERIOD = 0.25


def watcher(running: Run, title: str) -> Callable[[], None]:
    """Return what shows a run each time that it is called.

    Parameters
    ----------
    running : Run
        Looked at.
    title : str
        What runs.

    Returns
    -------
    callable
        Without arguments; draws four times a second at most, and the end always.
    """
    if _in_notebook():
        return _Page(running, title).look
    if sys.stderr is not None and sys.stderr.isatty():
        return _Terminal(running).look
    return lambda: None


def follow(running: Run, title: str) -> None:
    """Show a run from a thread until it has ended; in a notebook only.

    Parameters
    ----------
    running : Run
        Looked at.
    title : str
        What runs.
    """
    if not _in_notebook():
        return
    look = _Page(running, title).look

    def watch() -> None:
        """Look until the end."""
        while not running.done:
            time.sleep(PERIOD)
            look()
        look()

    threading.Thread(target=watch, daemon=True, name="hpcapp-live").start()


def _in_notebook() -> bool:
    """Tell whether a kernel shows what is displayed; loads nothing for that."""
    found = sys.modules.get("IPython")
    shell = found.get_ipython() if found is not None else None
    return shell is not None and hasattr(shell, "kernel")


class _Paced(ABC):
    """Draws now and then."""

    def __init__(self, running: Run) -> None:
        self.running = running
        self._drawn_at = 0.0
        self._ended = False

    def look(self) -> None:
        """Draw if it is time to."""
        now, done = time.monotonic(), self.running.done
        if self._ended or (not done and now - self._drawn_at < PERIOD):
            return
        self._drawn_at, self._ended = now, done
        self.draw(self.running.progress)

    @abstractmethod
    def draw(self, progress: Progress) -> None:
        """Draw."""


class _Page(_Paced):
    """One place of a notebook, drawn again and again."""

    def __init__(self, running: Run, title: str) -> None:
        super().__init__(running)
        self._title = title
        self._handle: Any = None

    def draw(self, progress: Progress) -> None:
        """Replace what stands there."""
        from IPython.display import HTML, display

        page = HTML(progress_html(progress, self._title))
        if self._handle is None:
            self._handle = display(page, display_id=True)
        else:
            self._handle.update(page)


class _Terminal(_Paced):
    """A bar on a terminal."""

    def __init__(self, running: Run) -> None:
        super().__init__(running)
        self._bar = Bar(Log(), {"HPCAPP_PROGRESS": "bar"})

    def draw(self, progress: Progress) -> None:
        """Move the bar."""
        if self.running.done:
            self._bar.close()
        else:
            self._bar.update(progress.fraction, progress.note)
