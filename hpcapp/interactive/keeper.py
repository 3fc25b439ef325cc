# SPDX-License-Identifier: MIT
"""A small process that ends what a session has started, also when a notebook dies.

Run as ``python -m hpcapp.interactive.keeper TOKEN FOLDER``: once its standard input
ends, every process with TOKEN in its environment ends, and FOLDER is removed. So are
the files of shared memory that these processes have, and those that its input names.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["MARK", "Keeper", "find_marked", "find_segments", "main"]

# in the environment of everything that a session starts
MARK = "HPCAPP_SESSION"

# shared memory of MPI libraries: who is killed cannot remove it, and it is memory
SEGMENTS = ("mpich_shm_", "sm_segment.", "vader_segment.")

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

    def note(self, paths: Iterable[str]) -> None:
        """Let files be removed in the end, whoever lives then.

        Parameters
        ----------
        paths : iterable of str
            As `find_segments` has them.
        """
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(
                    "".join(f"{path}\n" for path in paths).encode()
                )
                self._process.stdin.flush()

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


def find_segments(pids: Iterable[int]) -> set[str]:
    """Return the files of shared memory that MPI libraries of processes have.

    Parameters
    ----------
    pids : iterable of int
        Processes of this user; those that have ended count for nothing.

    Returns
    -------
    set of str
        Paths; none where the system does not tell.
    """
    found = set()
    for pid in pids:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                path = line.partition("/dev/shm/")[2]
                if path.startswith(SEGMENTS) and "(deleted)" not in path:
                    found.add(f"/dev/shm/{path}")
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
    segments = set(sys.stdin.read().splitlines())
    left = find_marked(token)
    pids = {process.pid for process in left}
    segments |= find_segments(pids)
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
    for path in segments:
        with suppress(OSError):
            Path(path).unlink()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
