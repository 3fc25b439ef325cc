# SPDX-License-Identifier: MIT
"""Stalls: no rank of the job has shown a sign of life for too long.

The ranks of a node have their pulses in memory that all of them see; a thread in each
looks at all of them once a second. A rank that works may be silent for longer than one
that waits, and a rank that was stopped or has vanished for a short time only. The job
has stalled when every rank of every node has been silent for longer than it may: a
rank that waits for one that works has not. The nodes tell one another by files in the
run directory.
"""

import fcntl
import mmap
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcapp.clock import PHASES
from hpcapp.failure import Failure, advise, leave
from hpcapp.log import say

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["SIGNAL", "Board", "Post", "Rank", "Watchdog", "open_board"]

# asks a rank for its stack, which even one that is stuck in a library writes
SIGNAL = signal.SIGUSR2

# seconds between two looks
PERIOD = 1.0

# a kernel call, a compilation, a piece of a file may take so many times the limit
WORKING = 10.0

# seconds that a rank may be stopped or gone while all others wait
GONE = 4.0

# a slot of the board: beats, phase, waiting (see `Clock.pulse`), process
WORDS = 4


@dataclass(frozen=True)
class Rank:
    """What is seen of a rank on this node.

    Parameters
    ----------
    beats : int
        Signs of life so far.
    phase : str
        What it is at.
    waits : bool
        Whether it waits for other ranks in another phase than halo and reduce.
    pid : int
        Its process; 0 where ranks cannot see one another's.
    """

    beats: int
    phase: str
    waits: bool
    pid: int

    @property
    def idle(self) -> bool:
        """Whether it waits for other ranks."""
        return self.waits or self.phase in ("halo", "reduce")

    @property
    def gone(self) -> bool:
        """Whether its process was stopped or has ended."""
        if not self.pid:
            return False
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text()
        except OSError:
            return os.path.isdir("/proc/self")
        return stat.rpartition(") ")[2][:1] in ("T", "Z", "X")


class Board:
    """The pulses of the ranks of a node, and a place for their stacks.

    Parameters
    ----------
    pulses, stacks : int
        Descriptors of files that all ranks of the node have open.
    slot, size : int
        Number of this rank on its node, and how many there are.
    pid : int, optional
        This process, 0 where others cannot see it.
    """

    def __init__(
        self, pulses: int, stacks: int, slot: int, size: int, pid: int | None = None
    ) -> None:
        self.stacks = stacks
        self.slot, self.size = slot, size
        self._pulses = pulses
        self._memory = memoryview(mmap.mmap(pulses, 8 * WORDS * size)).cast("Q")
        self._memory[WORDS * slot + 3] = os.getpid() if pid is None else pid

    @property
    def pulse(self) -> memoryview:
        """Where this rank shows that it lives: uint64[3], for `Clock.pulse`."""
        return self._memory[WORDS * self.slot : WORDS * self.slot + 3]

    def close(self) -> None:
        """Give the files back, once nobody shows or looks any more."""
        self._memory.release()
        os.close(self._pulses)
        os.close(self.stacks)

    def read(self) -> list[Rank]:
        """Return what is seen of all ranks of the node."""
        words = self._memory.tolist()
        slots = [words[at : at + WORDS] for at in range(0, len(words), WORDS)]
        return [Rank(b, PHASES[p], w > 0, pid) for b, p, w, pid in slots]

    def claim(self) -> bool:
        """Tell whether this rank is the one of its node to speak."""
        try:
            fcntl.flock(self._pulses, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def stack(self, rank: Rank, patience: float = 1.0) -> str:
        """Ask a rank for its stack.

        Parameters
        ----------
        rank : Rank
            One that may speak.
        patience : float
            Seconds to wait for it.

        Returns
        -------
        str
            As `faulthandler` writes it; "" from one that cannot speak.
        """
        if not rank.pid:
            return ""
        before = os.fstat(self.stacks).st_size
        with suppress(OSError):
            os.kill(rank.pid, SIGNAL)
        seen, until = before, time.monotonic() + patience
        while time.monotonic() < until:
            time.sleep(0.02)
            size = os.fstat(self.stacks).st_size
            if size == seen > before:
                break
            seen = size
        return os.pread(self.stacks, seen - before, before).decode(errors="replace")


def open_board(node: "Comm", pid: int) -> Board | str:
    """Open the board of a node; collective over its ranks.

    Parameters
    ----------
    node : Comm
        The ranks of one node.
    pid : int
        This process, 0 where the others cannot see it.

    Returns
    -------
    Board or str
        Whose files have no name any more: nothing is left of them after a kill; or why
        its ranks do not share such files, the same on all of them.
    """
    folder, fault = node.broadcast(_make_board(node.size) if node.root else ("", ""))
    descriptors = []
    if not fault:
        try:
            for name, flags in (("pulses", 0), ("stacks", os.O_APPEND)):
                path = os.path.join(folder, name)
                descriptors.append(os.open(path, os.O_RDWR | flags))
        except OSError as error:
            # such as a container of each rank's own
            fault = f"{folder}: {error.strerror}"
    fault = next((found for found in node.all(fault) if found), "")
    if node.root and folder:
        shutil.rmtree(folder, ignore_errors=True)
    return fault or Board(descriptors[0], descriptors[1], node.rank, node.size, pid)


def _make_board(size: int) -> tuple[str, str]:
    """Return the folder with the files, or why there is none."""
    try:
        folder = tempfile.mkdtemp(prefix="hpcapp-board-")
        Path(folder, "pulses").write_bytes(bytes(8 * WORDS * size))
        Path(folder, "stacks").touch()
    except OSError as error:
        return "", f"{error.filename or tempfile.gettempdir()}: {error.strerror}"
    return folder, ""


@dataclass(frozen=True)
class Post:
    """What a node is responsible for.

    Parameters
    ----------
    directory : str
        The run directory; "" while it is not known.
    host : str
        The node.
    ranks : tuple of int
        The job's numbers of the ranks on it.
    nodes, size : int
        How many nodes and ranks the job has; no nodes while others cannot be asked.
    job : str
        Tells this job from those before it in the same directory.
    """

    directory: str
    host: str
    ranks: tuple[int, ...]
    nodes: int
    size: int
    job: str = ""

    @property
    def mark(self) -> Path:
        """The file that tells the other nodes that all ranks of this one are silent."""
        return Path(self.directory, f".stall-{self.job}-{self.host}.part")


class Watchdog:
    """Looks at the ranks of this node from a thread of its own.

    Parameters
    ----------
    board : Board
        The pulses.
    post : Post
        Whose they are.
    limit : float
        Seconds for which all ranks may wait for one another.
    end : callable
        Ends the job; called from the thread, after everything was said.
    """

    def __init__(
        self, board: Board, post: Post, limit: float, end: Callable[[], Any]
    ) -> None:
        self._board, self._post, self._limit, self._end = board, post, limit, end
        self._beats = [-1] * board.size
        self._silent = [0.0] * board.size
        self._looked_at = time.monotonic()
        self._marked = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start to look."""
        self._thread.start()

    def move(self, post: Post, limit: float) -> None:
        """Go on with what is known now of the job.

        Parameters
        ----------
        post : Post
            Of the same ranks.
        limit : float
            Seconds, as in the beginning.
        """
        self._post, self._limit = post, limit

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()
        self._set_mark("")

    def look(self, now: float) -> bool:
        """Look at all ranks once.

        Parameters
        ----------
        now : float
            `time.monotonic`.

        Returns
        -------
        bool
            Whether the job has stalled.
        """
        # while the whole node was suspended nobody could show anything
        passed = min(now - self._looked_at, 2 * PERIOD)
        self._looked_at = now
        ranks = self._board.read()
        for number, rank in enumerate(ranks):
            moved = rank.beats != self._beats[number]
            self._silent[number] = 0.0 if moved else self._silent[number] + passed
            self._beats[number] = rank.beats
        if min(self._silent) < min(self._limit, GONE):
            self._set_mark("")
            return False
        gone = [rank.gone for rank in ranks]
        elsewhere = self._others()
        lost = any(gone) or "gone" in elsewhere
        for rank, is_gone, silent in zip(ranks, gone, self._silent, strict=True):
            if silent < self._allowed(rank, is_gone, lost):
                self._set_mark("")
                return False
        if self._post.nodes == 0:
            # ranks that only wait may do so for one that works elsewhere
            return any(gone) or not all(rank.idle for rank in ranks)
        self._set_mark("gone" if any(gone) else "silent")
        return len(elsewhere) == self._post.nodes - 1

    def _allowed(self, rank: Rank, gone: bool, lost: bool) -> float:
        """Return the seconds for which a rank may be silent."""
        # where files are written one cannot tell who waits inside of the library
        if gone or (lost and (rank.idle or rank.phase == "io")):
            return min(self._limit, GONE)
        return self._limit if rank.idle else WORKING * self._limit

    def _set_mark(self, text: str) -> None:
        """Tell the other nodes that all ranks of this one are silent, or are not."""
        if self._post.nodes < 2 or bool(text) == self._marked:
            return
        with suppress(OSError):
            if text:
                self._post.mark.write_text(text)
            else:
                self._post.mark.unlink()
            self._marked = bool(text)

    def _others(self) -> list[str]:
        """Return what the other nodes say that are silent."""
        if self._post.nodes < 2:
            return []
        with suppress(OSError):
            pattern = f".stall-{self._post.job}-*.part"
            marks = set(Path(self._post.directory).glob(pattern)) - {self._post.mark}
            return [mark.read_text() for mark in marks]
        return []

    def _watch(self) -> None:
        while not self._over.wait(PERIOD):
            if self.look(time.monotonic()):
                try:
                    if self._board.claim():
                        self.report(sys.stderr)
                    else:
                        # the rank that speaks ends us; should it fail, we do
                        time.sleep(2 * PERIOD + len(self._post.ranks))
                finally:
                    self._end()
                return

    def report(self, stream: Any) -> None:
        """Say what all ranks of this node are at, here and in the run directory.

        Parameters
        ----------
        stream : file
            Where to say it.
        """
        post = self._post
        lines = [f"hpcapp: {post.host}: no rank of the job goes on"]
        seen = [
            (number, rank, rank.gone, f"{silent:.0f} s")
            for number, rank, silent in zip(
                post.ranks, self._board.read(), self._silent, strict=True
            )
        ]
        # the one for which the others wait is the failure that status.json names
        for number, rank, gone, silent in sorted(seen, key=lambda one: not one[2]):
            state = "waits for others" if rank.idle else "works"
            state = "was stopped or has ended" if gone else state
            error = f"stalled: {state}, silent for {silent}"
            stack = "" if gone else self._board.stack(rank)
            failure = Failure(
                number, post.size, post.host, rank.pid, rank.phase, error, stack
            )
            if post.directory:
                leave(post.directory, failure)
            lines.append(f"rank {number}, phase {rank.phase}: {error}")
            lines.append(stack.rstrip() or "  (it cannot say where)")
        if post.directory:
            lines.append(f"hpcapp: {advise(post.directory, post.size)}")
        say("\n".join(lines), stream)
