# SPDX-License-Identifier: MIT
"""A small process on each node that outlives its ranks, to say what they cannot.

A rank that is killed, and under some launchers all ranks of the job with it, says
nothing. The witness waits for the ranks of its node to end; if they do so without a
goodbye, it writes what `hpcapp.failure` writes and says how to go on. Run as a script,
without NumPy and MPI: ``python -I -S witness.py``, facts as JSON on standard input.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

__all__ = ["Witness", "is_ending", "main"]


class Witness:
    """The process, as one rank of the node holds it.

    Parameters
    ----------
    directory : str
        The run directory.
    host : str
        This node.
    size : int
        Ranks of the job.
    ranks : sequence of (int, int)
        Rank and process of each rank on this node.
    first : int
        The process of rank 0, which has written status.json.
    """

    def __init__(
        self,
        directory: str,
        host: str,
        size: int,
        ranks: Sequence[tuple[int, int]],
        first: int,
    ) -> None:
        facts = {
            "directory": os.path.abspath(directory),
            "host": host,
            "size": size,
            "ranks": list(ranks),
            "first": first,
        }
        self._process: subprocess.Popen[bytes] | None = None
        # a node without a spare process computes all the same
        with suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", os.path.abspath(__file__)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._say(json.dumps(facts))

    def dismiss(self) -> None:
        """Say goodbye: the run has ended and has said so itself."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._say("goodbye")
            # what could not be said is tried once more
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _say(self, text: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(f"{text}\n".encode())
            self._process.stdin.flush()


def main() -> None:
    """Wait for the goodbye, or for the first rank that ends without it."""
    # no byte more: the goodbye may be in the pipe already
    with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as stream:
        line = stream.readline()
    if not line.strip():
        return
    facts = json.loads(line)
    ended = _wait(facts["ranks"])
    if ended is None:
        return
    # -I leaves out the folder of this script: hpcapp is found beside it
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    _report(facts, ended)


def _wait(ranks: Sequence[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """Return the ranks that were the first to end, None after a goodbye.

    A launcher may end the others as soon as the first closes its files, which a
    process does before its end can be seen: those that are ending count as well.
    """
    watched: dict[int, tuple[int, int]] = {}
    gone = []
    for rank, pid in ranks:
        # where the system cannot watch a process, the end of the pipe must do
        with suppress(OSError, AttributeError):
            try:
                watched[os.pidfd_open(pid)] = (rank, pid)
            except ProcessLookupError:
                # it ended while this process was being started
                gone.append((rank, pid))
    pipe = sys.stdin.fileno()
    ready, _, _ = select.select([pipe, *watched], [], [], 0 if gone else None)
    if pipe in ready and os.read(pipe, 64).startswith(b"goodbye"):
        return None
    for descriptor, (rank, pid) in watched.items():
        if descriptor in ready or is_ending(pid):
            gone.append((rank, pid))
    return gone or [(ranks[0][0], ranks[0][1])]


def is_ending(pid: int) -> bool:
    """Tell whether a process is on its way out.

    Parameters
    ----------
    pid : int
        A process of this node.

    Returns
    -------
    bool
        As the flag PF_EXITING of proc_pid_stat(5); False where that cannot be read.
    """
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(") ")[2].split()
    except OSError:
        return False
    return len(fields) > 6 and bool(int(fields[6]) & 0x4)


def _report(facts: dict[str, Any], ended: Sequence[tuple[int, int]]) -> None:
    import time

    from hpcapp.failure import Failure, advise, leave, read_status
    from hpcapp.log import say

    # a rank that aborts has said why before, or is about to
    time.sleep(0.2)
    known = read_status(facts["directory"])
    if known is None or known.get("state") != "running":
        return
    if known.get("pid") != facts["first"]:
        # another job has gone on there meanwhile
        return
    for rank, pid in ended:
        error = f"process {pid} was killed or ended without a word"
        failure = Failure(rank, facts["size"], facts["host"], pid, "unknown", error)
        leave(facts["directory"], failure)
        say(f"hpcapp: rank {rank} on {facts['host']}: {error}")
    say(f"hpcapp: {advise(facts['directory'], facts['size'])}")


if __name__ == "__main__":
    main()
