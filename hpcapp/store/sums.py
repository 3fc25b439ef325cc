# SPDX-License-Identifier: MIT
"""Values read back against the checksums beside them: how a result is checked.

A result has no manifest: what goes on from it uses its saved fields and nothing else,
and each of those has its checksum as an attribute.
"""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.checksum import checksum_array
from hpcapp.errors import ResultError
from hpcapp.fields import Field
from hpcapp.store.bands import Bands
from hpcapp.store.reader import Saved

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["check_sums", "checksum_value"]


def checksum_value(value: Any, dtype: str) -> int:
    """Return the checksum of a replicated field.

    Parameters
    ----------
    value : array_like
        The whole of it.
    dtype : str
        Of the field: of NumPy, or "str", whose texts are digested one after the other.

    Returns
    -------
    int
        Checksum, 0..2**64-1.
    """
    if dtype == "str":
        text = "\0".join(np.asarray(value, object).ravel().tolist())
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "little")
    return checksum_array(np.asarray(value, dtype))


def check_sums(comm: "Comm", saved: Saved, fields: Sequence[Field]) -> str:
    """Compare all saved fields with the checksums in their file; collective.

    Parameters
    ----------
    comm : Comm
        The ranks, any number: they share the bands of distributed fields.
    saved : Saved
        What was read, the same on all ranks.
    fields : sequence of Field
        The workload's.

    Returns
    -------
    str
        "" if they are as they were written, else what is wrong; the same on all ranks.
    """
    known = [field for field in fields if field.saved]
    mine = np.zeros(len(known), np.uint64)
    fault = ""
    for number, field in enumerate(known):
        try:
            mine[number] = _share(comm, saved, field)
        except (OSError, ResultError) as error:
            fault = f"{field.name}: cannot be read: {error}"
    fault = next((found for found in comm.all(fault) if found), "")
    for field, found in zip(known, comm.sum(mine).tolist(), strict=True):
        if not fault and f"{found:016x}" != saved.sums.get(field.name):
            fault = f"{field.name}: its values are not those that were written"
    return fault


def _share(comm: "Comm", saved: Saved, field: Field) -> int:
    """Return what this rank's share of a field adds to its checksum."""
    if not field.distributed:
        value = saved.values[field.name]
        return checksum_value(value, field.dtype) if comm.root else 0
    target, total = saved.targets[field.name], 0
    bands = Bands(target.shape, np.dtype(target.dtype).itemsize)
    for number in range(comm.rank, bands.count, comm.size):
        comm.clock.beat()
        box = bands.box(number)
        data = np.empty(box.shape, target.dtype)
        saved.read(field.name, box, data)
        total += checksum_array(data, bands.first(number))
    return total % 2**64
