# SPDX-License-Identifier: MIT
"""A variable of a file to be: its shape, value, chunks and attributes."""

from dataclasses import dataclass
from math import prod
from typing import Any

from hpcapp.fields import Field

__all__ = ["ALIGNMENT", "STATE_GROUP", "Entry", "chunks", "describe_variable"]

STATE_GROUP = "state"

# variables of so many bytes begin at a multiple of so many: whole pages, and stripes of
# parallel file systems, belong to one rank
ALIGNMENT = (1 << 22, 1 << 20)

# bytes of a chunk of a compressed variable: what the caches of HDF5 hold by default
CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One variable to be written.

    Parameters
    ----------
    field : Field
        What it is.
    shape : tuple of int
        Its global shape.
    value : ndarray or None
        The whole of a replicated field; None for a distributed one.
    """

    field: Field
    shape: tuple[int, ...]
    value: Any = None

    @property
    def path(self) -> str:
        """Name within the file."""
        name = self.field.name
        return name if self.field.published else f"{STATE_GROUP}/{name}"


def chunks(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    """Return the shape of a chunk of about 1 MiB, much like the whole.

    Parameters
    ----------
    shape : tuple of int
        Of a variable; no extent is 0.
    item : int
        Bytes of an element.

    Returns
    -------
    tuple of int
        The last axes are kept longest: they are contiguous in memory.

    Examples
    --------
    >>> chunks((8192, 8192), 8)
    (256, 512)
    """
    chunk = list(shape)
    while prod(chunk) * item > CHUNK:
        # the first of the longest axes
        axis = chunk.index(max(chunk))
        chunk[axis] = -(-chunk[axis] // 2)
    return tuple(chunk)


def describe_variable(field: Field) -> dict[str, str]:
    """Return the attributes of a variable; CF 1.11, section 3, and ACDD 1.3.

    Parameters
    ----------
    field : Field
        What it holds.

    Returns
    -------
    dict of str to str
        By name; a text has no units.
    """
    coordinate = field.dims == (field.name,)
    found = {
        "units": field.units,
        "long_name": field.long_name,
        "coverage_content_type": "coordinate" if coordinate else "modelResult",
        **field.attributes,
    }
    if field.dtype == "str":
        del found["units"]
    return found
