# SPDX-License-Identifier: MIT
"""A small process that ends what a session has started, also when a notebook dies.

Run as ``python -m hpcapp.interactive.keeper TOKEN FOLDER``: once its standard input
ends, every process with TOKEN in its environment ends, and FOLDER is removed.
"""

import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

__all__ = ["MARK", "Keeper", "find_marked", "main"]

# in the environment of everything that a session starts
MARK = "HPCAPP_SESSION"

# seconds that processes have to end by themselves
POLITE = 3.0

# seconds that all of it may take
LIMIT = 20.0


class Keeper:
    """The process, as the session holds it.

    Parameters
    ----------
    token : str
        Value of `MARK` in the environment of what is to end.
    folder : str
        To be removed.
    """

    def __init__(self, token: str, folder: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hpcapp.interactive.keeper", token, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Let everything end, and wait for it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LIMIT)


def find_marked(token: str) -> list[Any]:
    """Return the processes of a session that live.

    Parameters
    ----------
    token : str
        Of the session.

    Returns
    -------
    list of psutil.Process
        Those whose environment this user may read.
    """
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == token:
                found.append(process)
    return found


def main(token: str, folder: str) -> None:
    """Wait for the end of the standard input, then end everything.

    Parameters
    ----------
    token, folder : str
        As for `Keeper`.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while sys.stdin.buffer.read(4096):
        pass
    left = find_marked(token)
    pids = {process.pid for process in left}
    for process in left:
        # launchers end what they have started
        with suppress(Exception):
            if process.ppid() not in pids:
                process.terminate()
    until = time.monotonic() + POLITE
    while find_marked(token) and time.monotonic() < until:
        time.sleep(0.05)
    for process in find_marked(token):
        with suppress(Exception):
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
