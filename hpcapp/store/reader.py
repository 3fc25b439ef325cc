# SPDX-License-Identifier: MIT
"""Saved fields read back: small ones whole, distributed ones block by block.

Distributed variables that are not compressed lie contiguous in the file, so any rank
reads any block by plain reads at offsets, on any number of ranks.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.decomposition import Block
from hpcapp.errors import ResultError
from hpcapp.fields import Field
from hpcapp.store.entry import STATE_GROUP
from hpcapp.store.layout import FORMAT
from hpcapp.store.target import Target, inside, runs

__all__ = [
    "Saved",
    "load_attributes",
    "load_saved",
    "open_file",
    "read_attributes",
]

# bytes read before they are copied to where they belong
STAGE = 1 << 23


@dataclass(frozen=True)
class Saved:
    """What a checkpoint or result holds; plain data that travels between ranks.

    Parameters
    ----------
    path : str
        The file.
    attributes : dict
        Its global attributes.
    values : dict
        Replicated fields, whole.
    targets : dict of str to Target
        Where distributed fields lie.
    sums : dict of str to str
        The checksum of each field that the file has noted, 16 hexadecimal digits.
    """

    path: str
    attributes: dict[str, Any]
    values: dict[str, Any]
    targets: dict[str, Target]
    sums: dict[str, str]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the global shape of a distributed field."""
        return self.targets[name].shape

    def read(self, name: str, block: Block, out: np.ndarray) -> None:
        """Fill an array with a block of a distributed field.

        Parameters
        ----------
        name : str
            The field.
        block : Block
            Global indices, not empty.
        out : ndarray
            Of the block's shape; written, may be a view.

        Raises
        ------
        ResultError
            If the file ends early or cannot be read.
        """
        target = self.targets[name]
        if target.offset is None:
            self._read_chunks(target, block, out)
            return
        try:
            self._read_bytes(target, block, out)
        except OSError as error:
            raise ResultError(
                f"{self.path}: cannot be read: {error.strerror}"
            ) from None

    def _read_bytes(self, target: Target, block: Block, out: np.ndarray) -> None:
        rows = max(1, STAGE // max(1, out[:1].nbytes)) if out.ndim else 1
        with open(self.path, "rb", buffering=0) as stream:
            if out.ndim == 0:
                self._fill(stream.fileno(), target, block, out.reshape(1)[:1])
                return
            for at in range(0, out.shape[0], rows):
                piece = out[at : at + rows]
                start, stop = list(block.start), list(block.stop)
                start[0] = block.start[0] + at
                stop[0] = start[0] + piece.shape[0]
                band = Block(tuple(start), tuple(stop))
                self._fill(stream.fileno(), target, band, piece)

    def _read_chunks(self, target: Target, block: Block, out: np.ndarray) -> None:
        with _reading(self.path) as file:
            dataset, places = file[target.name], inside(target, block)
            rows = max(1, STAGE // max(1, out[:1].nbytes))
            for at in range(0, out.shape[0], rows):
                first = slice(places[0].start + at, places[0].start + at + rows)
                first = slice(first.start, min(first.stop, places[0].stop))
                out[at : at + rows] = dataset[(first, *places[1:])]

    def _fill(
        self, descriptor: int, target: Target, block: Block, out: np.ndarray
    ) -> None:
        data = np.empty(out.shape, target.dtype)
        view = data.reshape(-1).view(np.uint8).data
        for offset, first, length in runs(target, block):
            while length:
                got = os.preadv(descriptor, [view[first : first + length]], offset)
                if got == 0:
                    raise ResultError(f"{self.path}: ends before its data: damaged")
                offset, first, length = offset + got, first + got, length - got
        out[...] = data


def open_file(path: str) -> Any:
    """Open a NetCDF-4 file for reading with h5py.

    Parameters
    ----------
    path : str
        The file.

    Returns
    -------
    h5py.File
        To be closed by the caller.

    Raises
    ------
    ResultError
        If it is missing or no such file.
    """
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        # "Unable to synchronously open file (reason)"
        reason = str(error).partition("(")[2].rstrip(")") or str(error)
        reason = os.strerror(error.errno) if error.errno else reason
        raise ResultError(f"{path}: cannot be opened as NetCDF-4: {reason}") from None


@contextmanager
def _reading(path: str) -> Iterator[Any]:
    with open_file(path) as file:
        try:
            yield file
        except (KeyError, OSError, RuntimeError, UnicodeError) as error:
            # what h5py raises for a part of the file that it cannot read
            reason = " ".join(str(error.args[0] if error.args else error).split())
            raise ResultError(f"{path}: damaged: {reason}") from None


def read_attributes(file: Any) -> dict[str, Any]:
    """Return the global attributes of an open file as plain values.

    Parameters
    ----------
    file : h5py.File
        The file; one of another program has no `hpcapp_format`.

    Returns
    -------
    dict
        Plain values by name.

    Raises
    ------
    ResultError
        If a newer hpcapp wrote it.
    """
    found = {}
    for name, value in file.attrs.items():
        if name.startswith("_NC"):
            continue
        plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
        if isinstance(plain, list) and len(plain) == 1:
            plain = plain[0]
        found[name] = plain.decode() if isinstance(plain, bytes) else plain
    version = found.get("hpcapp_format", FORMAT)
    if not isinstance(version, int) or version > FORMAT:
        raise ResultError(
            f"{file.filename}: hpcapp_format: must be <= {FORMAT}, got {version}: "
            "written by a newer hpcapp"
        )
    return found


def load_attributes(path: str) -> dict[str, Any]:
    """Return the global attributes of a file.

    Parameters
    ----------
    path : str
        A result or checkpoint.

    Returns
    -------
    dict
        Plain values by name.

    Raises
    ------
    ResultError
        If it is missing, no such file, or written by a newer hpcapp.
    """
    with _reading(path) as file:
        return read_attributes(file)


def load_saved(path: str, fields: Sequence[Field]) -> Saved:
    """Read what a resumption needs, on one rank.

    Parameters
    ----------
    path : str
        A checkpoint or result.
    fields : sequence of Field
        The workload's.

    Returns
    -------
    Saved
        For `State`; distributed fields stay in the file.

    Raises
    ------
    ResultError
        If the file cannot be opened, lacks a field, or is from a newer hpcapp.
    """
    values: dict[str, Any] = {}
    targets: dict[str, Target] = {}
    sums: dict[str, str] = {}
    with _reading(path) as file:
        attributes = read_attributes(file)
        for field in fields:
            if not field.saved:
                continue
            name = field.name if field.published else f"{STATE_GROUP}/{field.name}"
            if name not in file:
                raise ResultError(f"{path}: has no {name}: it cannot be resumed from")
            dataset = file[name]
            sums[field.name] = _text(dataset.attrs.get("hpcapp_checksum", ""))
            if not field.distributed:
                text = field.dtype == "str"
                values[field.name] = dataset.asstr()[()] if text else dataset[()]
                continue
            offset = dataset.id.get_offset()
            if dataset.size == 0:
                offset = 0
            targets[field.name] = Target(offset, dataset.shape, dataset.dtype.str, name)
    return Saved(path, attributes, values, targets, sums)


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
