# SPDX-License-Identifier: MIT
"""Fields at several steps of a run: a file for each, one file of all at the end.

All files have a dimension `snapshot` and their coordinates. One of a single step is
complete as soon as it stands, so that a kill loses none, a resumption goes on behind
them, and xarray opens all of them as one dataset while the run goes on. At the end they
are copied into one file; their bytes are mapped, not read, so that no rank holds more
than the pieces that its writer sends.
"""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.decomposition import Block, Domain, part_of
from hpcapp.errors import HpcappError
from hpcapp.fields import Field, Part, State
from hpcapp.store.reader import Saved, load_saved

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = [
    "SNAPSHOTS",
    "Collection",
    "clear_snapshots",
    "collect",
    "find_snapshots",
    "single",
    "snapshot_fields",
    "snapshot_path",
]

SNAPSHOTS = "snapshots.nc"
FOLDER = "snapshots"
DIMENSION = "snapshot"

# of 32 bits: ncview knows no longer ones
AXIS = Field(DIMENSION, (DIMENSION,), "1", "steps done", "int32")


def snapshot_path(directory: str, number: int) -> str:
    """Return the name of the snapshot after a number of steps."""
    return os.path.join(directory, FOLDER, f"snapshot-{number:06d}.nc")


def find_snapshots(directory: str) -> list[tuple[int, str]]:
    """Return steps and path of each snapshot that stands, the first one first."""
    folder = os.path.join(directory, FOLDER)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    found = [(re.fullmatch(r"snapshot-(\d{6,})\.nc", name), name) for name in names]
    return sorted(
        (int(match[1]), os.path.join(folder, name)) for match, name in found if match
    )


def clear_snapshots(directory: str) -> None:
    """Remove the files of single snapshots.

    Parameters
    ----------
    directory : str
        The run directory.

    Raises
    ------
    HpcappError
        If they cannot be removed.
    """
    folder = os.path.join(directory, FOLDER)
    try:
        if os.path.isdir(folder):
            shutil.rmtree(folder)
    except OSError as error:
        raise HpcappError(f"{folder}: cannot be removed: {error.strerror}") from None


def snapshot_fields(fields: Sequence[Field], domain: Domain) -> list[Field]:
    """Return the fields that are whole and published at each step.

    Parameters
    ----------
    fields : sequence of Field
        The workload's.
    domain : Domain
        Its domain: other dimensions may grow from step to step.

    Returns
    -------
    list of Field
        Numbers that are saved and published, over the domain's axes or none.
    """
    return [
        field
        for field in fields
        if field.kind == "both"
        and field.dtype != "str"
        and not field.partial
        and set(field.dims) <= set(domain.dims)
        and (field.dims or not field.distributed)
    ]


@dataclass(frozen=True)
class Collection:
    """What is to be written into the one file.

    Parameters
    ----------
    fields : list of Field
        With the dimension `snapshot` first, and coordinates.
    domain : Domain
        The workload's, with that dimension.
    state : State
        Their values.
    """

    fields: list[Field]
    domain: Domain
    state: State


def single(
    number: int,
    state: State,
    fields: Sequence[Field],
    domain: Domain,
    coordinates: Sequence[tuple[Field, Any]],
) -> Collection:
    """Make a snapshot of the present state.

    Parameters
    ----------
    number : int
        Steps done.
    state : State
        Complete.
    fields : sequence of Field
        What is kept of it.
    domain : Domain
        The workload's.
    coordinates : sequence of (Field, object)
        Further variables, which do not change from step to step.

    Returns
    -------
    Collection
        Views of the state, of length 1 along the dimension `snapshot`.
    """
    kept = State({DIMENSION: np.array([number], np.int32)})
    for field in fields:
        if field.distributed:
            kept[field.name] = [
                Part(
                    Block((0, *part.block.start), (1, *part.block.stop)),
                    part.array[np.newaxis],
                )
                for part in state.parts(field.name)
            ]
        else:
            kept[field.name] = np.asarray(state[field.name])[np.newaxis]
    return _stacked(1, kept, fields, domain, coordinates)


def collect(
    comm: "Comm",
    directory: str,
    fields: Sequence[Field],
    domain: Domain,
    coordinates: Sequence[tuple[Field, Any]],
) -> Collection | None:
    """Put all snapshots behind one another; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    directory : str
        The run directory, with an older `snapshots.nc` if the run was extended.
    fields : sequence of Field
        Those of each snapshot.
    domain : Domain
        The workload's.
    coordinates : sequence of (Field, object)
        Further variables, which do not change from step to step.

    Returns
    -------
    Collection or None
        None where there is no snapshot.

    Raises
    ------
    ResultError
        If a snapshot cannot be read.
    """
    slices = comm.on_root(lambda: _slices(directory, fields))
    if not slices:
        return None
    state = State({DIMENSION: np.array([n for n, _, _ in slices], np.int32)})
    for field in fields:
        if field.distributed:
            state[field.name] = [
                part
                for at, (_, saved, index) in enumerate(slices)
                for part in _mapped(comm, saved, field.name, index, at)
            ]
        else:
            values = [saved.values[field.name][index] for _, saved, index in slices]
            state[field.name] = np.stack(values)
    return _stacked(len(slices), state, fields, domain, coordinates)


def _stacked(
    length: int,
    state: State,
    fields: Sequence[Field],
    domain: Domain,
    coordinates: Sequence[tuple[Field, Any]],
) -> Collection:
    found = [AXIS]
    for field in fields:
        found.append(replace(field, dims=(DIMENSION, *field.dims), kind="result"))
    for field, value in coordinates:
        found.append(replace(field, kind="result"))
        state[field.name] = value
    dims, shape = (DIMENSION, *domain.dims), (length, *domain.shape)
    return Collection(found, Domain(dims, shape), state)


def _slices(directory: str, fields: Sequence[Field]) -> list[tuple[int, Saved, int]]:
    """Return steps, file, and place in it of each snapshot, also of an earlier end."""
    earlier = os.path.join(directory, SNAPSHOTS)
    paths = [earlier] if os.path.exists(earlier) else []
    found: dict[int, tuple[Saved, int]] = {}
    for path in [*paths, *(path for _, path in find_snapshots(directory))]:
        saved = load_saved(path, [replace(AXIS, kind="both"), *fields])
        for index, number in enumerate(saved.values[DIMENSION].tolist()):
            found[number] = saved, index
    return [(number, *found[number]) for number in sorted(found)]


def _mapped(comm: "Comm", saved: Saved, name: str, index: int, at: int) -> list[Part]:
    """Return this rank's rows of a snapshot, in its place, without reading them."""
    target = saved.targets[name]
    shape = target.shape[1:]
    skip = index * np.dtype(target.dtype).itemsize * int(np.prod(shape))
    begin, end = part_of(shape[0], comm.size, comm.rank)
    if begin == end or 0 in shape:
        return []
    offset = (target.offset or 0) + skip
    # private, not read-only: kernels are compiled for arrays that can be written to
    array = np.memmap(saved.path, target.dtype, "c", offset, shape)
    start = (at, begin, *(0 for _ in shape[1:]))
    stop = (at + 1, end, *shape[1:])
    return [Part(Block(start, stop), np.asarray(array)[np.newaxis, begin:end])]
