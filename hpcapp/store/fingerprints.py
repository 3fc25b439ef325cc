# SPDX-License-Identifier: MIT
"""SHA-256 of the files that a run has read, each by one rank."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["fingerprints"]

# bytes read at a time
PIECE = 1 << 22


def fingerprints(
    comm: "Comm", paths: Sequence[str], known: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Tell by what files can be recognised; collective, ranks take turns.

    Parameters
    ----------
    comm : Comm
        The ranks.
    paths : sequence of str
        The same on all ranks.
    known : sequence of mapping
        What was returned earlier, from other places perhaps: a file that has its
        bytes and its time of change still is not read again.

    Returns
    -------
    list of dict
        Of each file ``path``, ``bytes``, ``changed`` (when, ns since 1970) and
        ``sha256``, as ``sha256sum`` prints it; or ``path`` and ``fault`` if it cannot
        be read.
    """
    earlier = {entry["path"]: entry for entry in known if "changed" in entry}
    mine = [
        _look(path, earlier.get(path, {}), comm.clock.beat)
        for path in paths[comm.rank :: comm.size]
    ]
    found = comm.all(mine)
    return [
        {"path": path, **found[number % comm.size][number // comm.size]}
        for number, path in enumerate(paths)
    ]


def _look(
    path: str, known: Mapping[str, Any], beat: Callable[[], None]
) -> dict[str, Any]:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            facts = {"bytes": before.st_size, "changed": before.st_mtime_ns}
            if all(known.get(name) == value for name, value in facts.items()):
                return {**facts, "sha256": known["sha256"]}
            while data := stream.read(PIECE):
                digest.update(data)
                beat()
    except OSError as error:
        return {"fault": error.strerror or str(error)}
    return {**facts, "sha256": digest.hexdigest()}
