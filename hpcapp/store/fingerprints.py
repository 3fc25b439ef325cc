# SPDX-License-Identifier: MIT
"""SHA-256 of the files that a run has read, each by one rank."""

import hashlib
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["fingerprints"]

# bytes read at a time
PIECE = 1 << 22


def fingerprints(comm: "Comm", paths: Sequence[str]) -> list[dict[str, Any]]:
    """Tell by what files can be recognised; collective, ranks take turns.

    Parameters
    ----------
    comm : Comm
        The ranks.
    paths : sequence of str
        The same on all ranks.

    Returns
    -------
    list of dict
        Of each file ``path``, ``bytes`` and ``sha256``, as ``sha256sum`` prints it; or
        ``path`` and ``fault`` if it cannot be read any more: what was made of it stays
        valid.
    """
    mine = [_look(path, comm.clock.beat) for path in paths[comm.rank :: comm.size]]
    found = comm.all(mine)
    return [
        {"path": path, **found[number % comm.size][number // comm.size]}
        for number, path in enumerate(paths)
    ]


def _look(path: str, beat: Callable[[], None]) -> dict[str, Any]:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:
            while data := stream.read(PIECE):
                digest.update(data)
                beat()
            size = os.fstat(stream.fileno()).st_size
    except OSError as error:
        return {"fault": error.strerror or str(error)}
    return {"bytes": size, "sha256": digest.hexdigest()}
