# SPDX-License-Identifier: MIT
"""Where kernels run: the cores of a rank. No MPI."""

import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hpcapp.errors import ConfigError

__all__ = [
    "Device",
    "cache_fault",
    "cache_locked",
    "cores",
    "kernel_state",
    "load_compiler",
    "prepare_cache",
    "share_threads",
]


class Device:
    """CPU cores that run kernels, which release the GIL, in threads.

    Parameters
    ----------
    threads : int
        Threads of this rank, >= 1.
    note : str
        How the device was chosen, for log and result.

    Attributes
    ----------
    beat : callable
        Called after each kernel call, to show that this rank is alive.
    """

    name = "cpu"

    def __init__(self, threads: int = 1, note: str = "cpu") -> None:
        self.threads = threads
        self.note = note
        self.beat: Callable[[], None] = _nothing
        self._pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def launch(
        self, kernel: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """Call a kernel once for each set of arguments, in parallel.

        Parameters
        ----------
        kernel : callable
            A compiled function that releases the GIL.
        calls : sequence of tuple
            Arguments of independent calls.

        Returns
        -------
        list
            What the calls returned, in their order.
        """
        if self._pool is None or len(calls) < 2:
            return [self._call(kernel, arguments) for arguments in calls]
        others = [self._pool.submit(self._call, kernel, a) for a in calls[1:]]
        first = self._call(kernel, calls[0])
        return [first, *(other.result() for other in others)]

    def _call(self, kernel: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        found = kernel(*arguments)
        self.beat()
        return found

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _nothing() -> None:
    """Do nothing."""


def cores() -> tuple[int, ...]:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def share_threads(
    wanted: int | str, masks: Sequence[tuple[str, tuple[int, ...]]], rank: int
) -> int:
    """Return the threads of a rank.

    Parameters
    ----------
    wanted : int or "auto"
        As configured.
    masks : sequence of (str, tuple of int)
        Node and cores of every rank.
    rank : int
        The rank.

    Returns
    -------
    int
        For auto the cores in its mask over the ranks with the same mask,
        at least 1.
    """
    if wanted != "auto":
        return int(wanted)
    return max(1, len(masks[rank][1]) // masks.count(masks[rank]))


def prepare_cache(environ: dict[str, str] | os._Environ[str]) -> str:
    """Point Numba at a node-local cache, before it is imported.

    A file system shared by nodes is slow for thousands of ranks and its renames
    may not be atomic. Whether the folder can be used is told by `cache_fault`,
    when all ranks can hear of it.

    Parameters
    ----------
    environ : mapping
        The process environment; ``NUMBA_CACHE_DIR`` is set unless it is.

    Returns
    -------
    str
        The cache folder.
    """
    folder = environ.get("NUMBA_CACHE_DIR") or _own_cache(environ)
    environ["NUMBA_CACHE_DIR"] = folder
    return folder


def load_compiler() -> None:
    """Load all of Numba that its first kernel would, also one from the cache.

    Numba imports half of itself when a kernel is first called; ranks that wait for
    another one to compile have time for that.
    """
    from numba.core.registry import cpu_target

    cpu_target.target_context.refresh()


def cache_fault(environ: Mapping[str, str]) -> str:
    """Return why compiled kernels cannot be kept where they should, or "".

    Where Numba cannot write it goes elsewhere without a word, such as beside the
    source files: the user's wish, and the lock on the cache, would mean nothing.
    Compiled code is loaded by unpickling: a folder that hpcapp has chosen must be
    the user's own and closed to others.

    Parameters
    ----------
    environ : mapping
        The process environment after `prepare_cache`; where
        ``NUMBA_CACHE_DIR`` is not set Numba chooses.

    Returns
    -------
    str
        A message: variable, rule, value, reason; what to do.
    """
    folder = environ.get("NUMBA_CACHE_DIR", "")
    if not folder:
        return ""
    own = folder == _own_cache(environ)
    try:
        if own:
            reason = _open_to_others(os.path.dirname(folder))
            if reason:
                return _own_refusal(folder, reason)
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        reason = error.strerror or str(error)
        return _own_refusal(folder, reason) if own else _refusal(folder, reason)


@contextmanager
def cache_locked(environ: Mapping[str, str]) -> Iterator[None]:
    """Keep other processes from compiling into the cache meanwhile.

    Numba numbers the files of a kernel's variants by what it finds there. Of two
    processes that compile two variants at the same time, both take the same
    number: the index then leads to the other's machine code, and a later run
    computes nonsense. So whoever may compile holds this lock.

    Parameters
    ----------
    environ : mapping
        The process environment, with ``NUMBA_CACHE_DIR``.

    Raises
    ------
    ConfigError
        If nothing can be written there.
    """
    folder = environ.get("NUMBA_CACHE_DIR", "")
    if not folder:
        yield
        return
    try:
        os.makedirs(folder, exist_ok=True)
        file = open(os.path.join(folder, ".lock"), "w")  # noqa: SIM115
    except OSError as error:
        raise ConfigError(_refusal(folder, error.strerror or str(error))) from None
    with file:
        # a file system without locks is no reason not to compute
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _refusal(folder: str, reason: str) -> str:
    return (
        "NUMBA_CACHE_DIR: must be a folder where compiled kernels can be kept, got "
        f"{folder}: {reason}; correct it, or unset it to use the temporary folder"
    )


def _own_refusal(folder: str, reason: str) -> str:
    return (
        f"HPCAPP_CACHE: compiled kernels cannot be kept in {folder}: {reason}; set "
        "HPCAPP_CACHE to a folder on a disk of the node in which you may write"
    )


def _own_cache(environ: Mapping[str, str]) -> str:
    node_local = environ.get("SLURM_TMPDIR") or tempfile.gettempdir()
    base = environ.get("HPCAPP_CACHE") or node_local
    # a folder of our own inside: the base may be open to a group, or to all
    return os.path.join(base, f"hpcapp-{os.getuid()}", f"numba-{kernel_state()}")


def kernel_state() -> str:
    """Return 8 digits that change when a file with kernels does.

    Numba looks at the file of a kernel only, not at those of functions that are
    compiled into it: after an update it would run the old ones.
    """
    package = Path(__file__).parent
    digest = hashlib.blake2b(digest_size=4)
    for path in sorted(package.rglob("*kernels.py")):
        found = path.stat()
        name = path.relative_to(package)
        digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _open_to_others(folder: str) -> str:
    """Make a folder for this user alone; return why it is not that, or ""."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700)
    found = os.lstat(folder)
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISDIR(found.st_mode):
        return f"{folder} is no folder"
    if found.st_uid != os.getuid():
        return f"{folder} belongs to user {found.st_uid}"
    return f"{folder} is writable by others (mode {mode:o})" if mode & 0o022 else ""
