# SPDX-License-Identifier: MIT
"""The manifest beside a checkpoint: without one, or if it does not fit, it is not used.

It holds the checksum of each band of each distributed variable, as the ranks had the
values in memory, and one digest of all other bytes of the file, so that no damage to
any byte goes unnoticed. Written last, and sealed by a digest of its own.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.checksum import checksum_array
from hpcapp.errors import ResultError
from hpcapp.store.bands import Bands
from hpcapp.store.checkpoints import manifest_path
from hpcapp.store.target import Target, runs

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm

__all__ = ["Manifest", "Table", "check", "measure", "write_manifest"]

# raised when an older program would misread it
FORMAT = 1

# bytes read at a time
PIECE = 1 << 20


@dataclass(frozen=True)
class Table:
    """Checksums of one distributed variable.

    Parameters
    ----------
    target : Target
        Where it lies in the file.
    sums : tuple of str
        Of each band, 16 hexadecimal digits.
    """

    target: Target
    sums: tuple[str, ...]

    @property
    def bands(self) -> Bands:
        """The bands that the checksums are of."""
        return Bands(self.target.shape, np.dtype(self.target.dtype).itemsize)

    @property
    def start(self) -> int:
        """First byte of the variable; those of checkpoints lie at an offset."""
        return self.target.offset or 0

    @property
    def end(self) -> int:
        """First byte behind the variable."""
        item = np.dtype(self.target.dtype).itemsize
        return self.start + item * prod(self.target.shape)


@dataclass(frozen=True)
class Manifest:
    """What a whole file is known by.

    Parameters
    ----------
    bytes : int
        Length of the file.
    rest : str
        BLAKE2b-128 of all bytes outside of the tables' variables, in their order.
    tables : dict of str to Table
        By the variable's name in the file.
    """

    bytes: int
    rest: str
    tables: dict[str, Table]

    def text(self) -> str:
        """Return it as JSON, with its seal."""
        document = {"format": FORMAT, **asdict(self)}
        return json.dumps({**document, "seal": _seal(document)}, indent=1) + "\n"


def measure(path: str, tables: Mapping[str, Table]) -> Manifest:
    """Describe a file whose bytes are final.

    Parameters
    ----------
    path : str
        The file; read but for the variables of the tables.
    tables : mapping
        By the variable's name.

    Returns
    -------
    Manifest
        To be written.
    """
    with open(path, "rb") as stream:
        length = os.fstat(stream.fileno()).st_size
        return Manifest(length, _digest(stream, length, tables), dict(tables))


def write_manifest(path: str, manifest: Manifest) -> None:
    """Write a manifest durably, under its final name in one step.

    Parameters
    ----------
    path : str
        The file that it is of.
    manifest : Manifest
        What to write.

    Raises
    ------
    OSError
        If that is refused; nothing half-written is left.
    """
    final = manifest_path(path)
    folder, name = os.path.split(final)
    temporary = os.path.join(folder, f".{name}.part")
    try:
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(manifest.text())
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, final)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    descriptor = os.open(folder or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check(comm: "Comm", path: str) -> str:
    """Look at every byte of a checkpoint; collective.

    Parameters
    ----------
    comm : Comm
        The ranks, any number: they share the bands.
    path : str
        The checkpoint.

    Returns
    -------
    str
        "" if it is whole, else what is wrong with it; the same on all ranks.

    Raises
    ------
    ResultError
        If a newer hpcapp wrote it.
    """
    manifest, fault = comm.on_root(lambda: _look(path))
    if manifest is None:
        return fault
    mine = _check_bands(comm, path, manifest)
    return next((found for found in comm.all(mine) if found), "")


def _look(path: str) -> tuple[Manifest | None, str]:
    """Return the manifest if all but the bands is right, else what is wrong."""
    try:
        manifest, fault = _load(manifest_path(path))
        if manifest is None:
            return None, fault
        with open(path, "rb") as stream:
            length = os.fstat(stream.fileno()).st_size
            if length != manifest.bytes:
                return None, f"has {length} bytes instead of {manifest.bytes}"
            if _digest(stream, length, manifest.tables) != manifest.rest:
                return None, "its header or its small variables have changed"
    except FileNotFoundError as error:
        missing = os.path.basename(str(error.filename))
        return None, f"{missing} is missing: it was not completed"
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"
    return manifest, ""


def _load(path: str) -> tuple[Manifest | None, str]:
    document: Any = None
    with suppress(ValueError):
        document = json.loads(Path(path).read_bytes())
    if not isinstance(document, dict):
        return None, "its manifest is damaged"
    seal = document.pop("seal", None)
    if seal != _seal(document):
        return None, "its manifest is damaged"
    if document["format"] > FORMAT:
        raise ResultError(
            f"{path}: format: must be <= {FORMAT}, got {document['format']}: written "
            "by a newer hpcapp"
        )
    tables = {
        name: Table(
            Target(
                table["target"]["offset"],
                tuple(table["target"]["shape"]),
                table["target"]["dtype"],
            ),
            tuple(table["sums"]),
        )
        for name, table in document["tables"].items()
    }
    return Manifest(document["bytes"], document["rest"], tables), ""


def _seal(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _digest(stream: Any, length: int, tables: Mapping[str, Table]) -> str:
    """Return the digest of the bytes that belong to no table."""
    digest = hashlib.blake2b(digest_size=16)
    for start, stop in _gaps(length, tables):
        stream.seek(start)
        while start < stop:
            data = stream.read(min(PIECE, stop - start))
            if not data:
                break
            digest.update(data)
            start += len(data)
    return digest.hexdigest()


def _gaps(length: int, tables: Mapping[str, Table]) -> Iterator[tuple[int, int]]:
    at = 0
    for table in sorted(tables.values(), key=lambda table: table.start):
        yield at, table.start
        at = table.end
    yield at, length


def _check_bands(comm: "Comm", path: str, manifest: Manifest) -> str:
    """Return what is wrong in this rank's share of the bands."""
    work = [
        (name, table, number)
        for name, table in manifest.tables.items()
        for number in range(len(table.sums))
    ]
    try:
        with open(path, "rb", buffering=0) as stream:
            for name, table, number in work[comm.rank :: comm.size]:
                comm.clock.beat()
                found = _band_sum(stream.fileno(), table, number)
                if found != table.sums[number]:
                    box = table.bands.box(number)
                    return (
                        f"{name}: the values from index {list(box.start)} to "
                        f"{[n - 1 for n in box.stop]} have changed"
                    )
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""


def _band_sum(descriptor: int, table: Table, number: int) -> str:
    bands, target = table.bands, table.target
    box = bands.box(number)
    data = np.zeros(box.shape, target.dtype)
    view = data.reshape(-1).view(np.uint8).data
    for offset, first, length in runs(target, box):
        done = 0
        while done < length:
            piece = view[first + done : first + length]
            got = os.preadv(descriptor, [piece], offset + done)
            if got == 0:
                return ""
            done += got
    return f"{checksum_array(data, bands.first(number)):016x}"
