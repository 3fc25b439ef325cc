# SPDX-License-Identifier: MIT
"""One file from all ranks: lay out, write, sum up, describe, rename."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.checksum import checksum_block
from hpcapp.decomposition import Block, Domain
from hpcapp.errors import HpcappError
from hpcapp.fields import Field, Part, State
from hpcapp.store.bands import Bands, add_parts, add_zeros
from hpcapp.store.checkpoints import manifest_path
from hpcapp.store.entry import Entry
from hpcapp.store.layout import create, finish, set_attributes
from hpcapp.store.manifest import Table, measure, write_manifest
from hpcapp.store.sums import checksum_value
from hpcapp.store.target import Target
from hpcapp.store.writers import WRITERS

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Job", "save", "warm_up"]


@dataclass(frozen=True)
class Job:
    """What is to be saved and how.

    Parameters
    ----------
    path : str
        Final name; until it is whole the file is called ``.NAME.part``.
    fields : sequence of Field
        All those that the file will hold.
    domain : Domain
        Gives lengths to the domain's dimensions.
    writer : {"direct", "hdf5", "netcdf", "gather"}
        Who writes.
    attributes : callable
        Returns the global attributes from the clocks of all ranks; called on
        rank 0 when the data are written, since they hold the time it took.
    finished : bool
        Whether it is a result: every point of every field must be there. A
        checkpoint gets a manifest, with which it becomes one.
    compression : int
        0 for none, to 9 for the smallest files.
    """

    path: str
    fields: Sequence[Field]
    domain: Domain
    writer: str
    attributes: Callable[[list[dict[str, float]]], dict[str, Any]]
    finished: bool = True
    compression: int = 0


def save(comm: "Comm", job: Job, state: State) -> str:
    """Write one file; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    job : Job
        What and how.
    state : State
        Values and parts of all fields.

    Returns
    -------
    str
        Checksum of the published fields, 16 hexadecimal digits, which does
        not depend on layout or writer.

    Raises
    ------
    HpcappError
        If the file cannot be made, written, described or renamed, or the parts
        of a field do not make it up.
    """
    folder, name = os.path.split(job.path)
    temporary = os.path.join(folder, f".{name}.part")
    with comm.clock.phase("io"):
        try:
            return _write(comm, job, state, temporary)
        except BaseException:
            # what is left of it would fill the disk further
            if comm.root:
                with suppress(OSError):
                    os.unlink(temporary)
            raise


def _write(comm: "Comm", job: Job, state: State, temporary: str) -> str:
    parts = {
        field.name: _placed(comm, field, state)
        for field in job.fields
        if field.distributed
    }
    entries = _entries(comm, job, state, parts)
    offsets = comm.on_root(
        lambda: _guarded(temporary, lambda: create(temporary, entries, job.compression))
    )
    targets = {
        entry.path: Target(
            offsets[entry.path], entry.shape, entry.field.dtype, entry.path
        )
        for entry in entries
        if entry.path in offsets
    }
    spread = [entry for entry in entries if entry.path in offsets]
    work = [(targets[entry.path], parts[entry.field.name]) for entry in spread]
    try:
        WRITERS[job.writer](comm, temporary, work)
    except OSError as error:
        raise HpcappError(f"{job.path}: cannot be written: {error}") from None
    sums, bands = _checksums(comm, job, entries, parts)
    total = _total(entries, sums)
    clocks = comm.all(comm.clock.read())
    tables = {name: Table(target, bands[name]) for name, target in targets.items()}

    def complete() -> None:
        attributes = {**job.attributes(clocks), "hpcapp_checksum": total}
        set_attributes(temporary, attributes, sums)
        manifest = None if job.finished else measure(temporary, tables)
        if manifest is None:
            finish(temporary, job.path)
            return
        try:
            finish(temporary, job.path)
            write_manifest(job.path, manifest)
        except OSError:
            # without a manifest it is no checkpoint, and would fill the disk further
            for name in (manifest_path(job.path), job.path):
                with suppress(OSError):
                    os.unlink(name)
            raise

    comm.on_root(lambda: _guarded(job.path, complete))
    return total


def warm_up(fields: Sequence[Field]) -> None:
    """Compile what `save` needs for the types of distributed fields."""
    for dtype in {field.dtype for field in fields if field.distributed}:
        block = np.zeros((4, 4), dtype)
        checksum_block(block)
        checksum_block(block[1:3, 1:3])


def _guarded(path: str, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except (OSError, RuntimeError) as error:
        # the HDF5 libraries raise either where the disk is full
        reason = getattr(error, "strerror", None) or str(error)
        raise HpcappError(f"{path}: cannot be written: {reason}") from None


def _placed(comm: "Comm", field: Field, state: State) -> Sequence[Part]:
    """Return this rank's parts at their global indices."""
    parts = state.parts(field.name)
    if not field.listed:
        return parts
    before = comm.exclusive_sum(sum(part.block.size for part in parts))
    return [
        Part(
            Block((before + p.block.start[0],), (before + p.block.stop[0],)),
            p.array,
        )
        for p in parts
    ]


def _entries(
    comm: "Comm", job: Job, state: State, parts: Mapping[str, Sequence[Part]]
) -> list[Entry]:
    lengths = dict(zip(job.domain.dims, job.domain.shape, strict=True))
    entries = []
    for field in job.fields:
        if not field.distributed:
            value = state[field.name]
            entries.append(Entry(field, np.shape(value), value))
            continue
        stops = [part.block.stop for part in parts[field.name]]
        reach = np.zeros(len(field.dims), np.int64)
        for stop in stops:
            reach = np.maximum(reach, stop)
        if any(dim not in lengths for dim in field.dims):
            reach = comm.max(reach)
        shape = tuple(
            lengths.get(dim, int(extent))
            for dim, extent in zip(field.dims, reach, strict=True)
        )
        entries.append(Entry(field, shape))
    return entries


def _checksums(
    comm: "Comm",
    job: Job,
    entries: Sequence[Entry],
    parts: Mapping[str, Sequence[Part]],
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return the checksum of each variable, and those of the bands of some."""
    # the points of each entry, then the checksums of its bands, in one reduction
    rows = [_contribution(comm, job, entry, parts) for entry in entries]
    mine = np.concatenate([row for row in rows if row.size] or [np.zeros(0, np.uint64)])
    everything = comm.sum(mine)
    sums, bands, at = {}, {}, 0
    for entry, row in zip(entries, rows, strict=True):
        points, *found = everything[at : at + row.size].tolist()
        at += row.size
        _check_points(job, entry, points)
        sums[entry.path] = f"{sum(found) % 2**64:016x}"
        if entry.field.distributed:
            bands[entry.path] = tuple(f"{value:016x}" for value in found)
    return sums, bands


def _contribution(
    comm: "Comm", job: Job, entry: Entry, parts: Mapping[str, Sequence[Part]]
) -> np.ndarray:
    """Return this rank's points of an entry, and its part of their checksums."""
    if not entry.field.distributed:
        whole = (0, 0)
        if comm.root:
            value = checksum_value(entry.value, entry.field.dtype)
            whole = (prod(entry.shape), value)
        return np.array(whole, np.uint64)
    own, dtype = parts[entry.field.name], entry.field.dtype
    bands = Bands(entry.shape, np.dtype(dtype).itemsize)
    row = np.zeros(1 + bands.count, np.uint64)
    row[0] = sum(part.block.size for part in own)
    partial = entry.field.partial and not job.finished
    add_parts(row[1:], bands, own, dtype, partial)
    if partial:
        add_zeros(row[1:], bands, dtype, (comm.rank, comm.size))
    return row


def _check_points(job: Job, entry: Entry, found: int) -> None:
    # a gap would be zeros in the file, and an overlap whatever came last
    expected = prod(entry.shape)
    may_lack = entry.field.partial and not job.finished
    if found > expected or (found < expected and not may_lack):
        raise HpcappError(
            f"{job.path}: {entry.field.name}: the parts of all ranks must hold each of "
            f"its {expected} points once, got {found}; a defect of the workload: it "
            f"must set state[{entry.field.name!r}] to parts that tile the field"
        )


def _total(entries: Sequence[Entry], sums: dict[str, str]) -> str:
    published = sorted(entry.path for entry in entries if entry.field.published)
    text = "".join(f"{name}={sums[name]}\n" for name in published)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
