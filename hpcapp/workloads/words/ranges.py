# SPDX-License-Identifier: MIT
"""Who reads which bytes: ranges cut at blanks, read in chunks. No MPI.

A range of the book is first cut by bytes. Each end then moves forward to the next ASCII
blank of its file, or to the end of the file: both neighbours find the same place,
without a message. In UTF-8 such a byte is always a character of its own, so that no
letter, byte order mark, bad sequence or word is ever cut, and CR and LF may be.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.checksum import checksum_block
from hpcapp.errors import HpcappError
from hpcapp.workloads.words.inputs import Book

__all__ = ["CHUNK", "Chunk", "Piece", "Reader", "cut_pieces"]

# bytes read and translated at a time: they stay in the second-level cache
CHUNK = 1 << 20

# what str.split takes for a blank, in ASCII
BLANK = re.compile(rb"[\t-\r\x1c- ]")

MARK = b"\xef\xbb\xbf"

# bytes in which the next blank is looked for at once
LOOK = 1 << 16


@dataclass(frozen=True)
class Piece:
    """What one reader has of one file.

    Parameters
    ----------
    file : int
        Number of the file in the book.
    path : str
        Where it is.
    base : int
        Bytes of the book before the file.
    begin, end : int
        Bytes of the file whose words are counted.
    first, last : int
        Bytes of the file of which a checksum is taken; `first` is a multiple of 8, and
        so is `last` unless the file ends there.
    size : int
        Bytes of the file.
    """

    file: int
    path: str
    base: int
    begin: int
    end: int
    first: int
    last: int
    size: int


@dataclass(frozen=True)
class Chunk:
    """Bytes that were read, whole words.

    Parameters
    ----------
    data : uint8[size]
        A view of a buffer that the next chunk overwrites.
    base : int
        Where in the book it begins.
    """

    data: NDArray[np.uint8]
    base: int


def cut_pieces(book: Book, low: int, high: int) -> list[Piece]:
    """Return the pieces of files that are a range of a book.

    Parameters
    ----------
    book : Book
        The text.
    low, high : int
        Bytes of the book. Ranges that follow one another give pieces that do so.

    Returns
    -------
    list of Piece
        In the order of the text; without pieces that are empty.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    pieces, base = [], 0
    for number, file in enumerate(book.files):
        first, last = (
            max(0, at - base) // 8 * 8 if at - base < file.size else file.size
            for at in (low, high)
        )
        if first < last:
            with open(file.path, "rb", buffering=0) as stream:
                begin, end = (_cut(stream, at, file.size) for at in (first, last))
            pieces.append(
                Piece(number, file.path, base, begin, end, first, last, file.size)
            )
        base += file.size
    return pieces


def _cut(stream: Any, at: int, size: int) -> int:
    """Return the first blank from a byte on, or the end of the file."""
    while 0 < at < size:
        block = os.pread(stream.fileno(), LOOK, at)
        found = BLANK.search(block)
        if found:
            return int(at + found.start())
        if not block:
            break
        at += len(block)
    return min(at, size)


class Reader:
    """Reads pieces in chunks and takes their checksums.

    Parameters
    ----------
    pieces : list of Piece
        What to read.
    skip_mark : bool
        Whether a byte order mark at the start of a file is left out.
    chunk : int
        Bytes to read at a time; more where there is no blank among them.

    Attributes
    ----------
    sums : dict of int to int
        Checksum so far of what was read of each file: the sum of those of all readers
        is the `hpcapp.checksum` of the file, filled up with zeros to whole 64-bit
        words.
    """

    def __init__(self, pieces: list[Piece], skip_mark: bool, chunk: int) -> None:
        self.pieces, self.skip_mark = pieces, skip_mark
        # checksums are of 64-bit words
        self.chunk = -(-chunk // 8) * 8
        self.sums: dict[int, int] = {}
        self._buffer = np.empty(self.chunk, np.uint8)

    def chunks(self) -> Iterator[Chunk]:
        """Read all pieces.

        Yields
        ------
        Chunk
            The next bytes; they end at a blank or with the piece.

        Raises
        ------
        HpcappError
            If a file has become shorter.
        OSError
            If a file cannot be read.
        """
        for piece in self.pieces:
            with open(piece.path, "rb", buffering=0) as stream:
                # before the first word may be the end of one that another reader has
                begin = min(piece.begin // 8 * 8, piece.last)
                summed = self._sum_up_to(stream, piece, piece.first, begin)
                for chunk, cells in self._chunks(stream, piece):
                    summed = self._add_sum(piece, summed, cells)
                    yield chunk
                self._sum_up_to(stream, piece, summed, piece.last)

    def _chunks(self, stream: Any, piece: Piece) -> Iterator[tuple[Chunk, "_Cells"]]:
        at = piece.begin
        if at == 0 and self.skip_mark and os.pread(stream.fileno(), 3, 0) == MARK:
            at = min(len(MARK), piece.end)
        while at < piece.end:
            # reading begins at a 64-bit word of the file, for the checksum
            start = at // 8 * 8
            cells = self._read(stream, piece, start, piece.end)
            data = cells.data[at - start :]
            if start + cells.data.size < piece.end:
                data = data[: _after_blank(data)]
            if data.size == 0:
                self._buffer = np.empty(2 * self._buffer.size, np.uint8)
                continue
            yield Chunk(data, piece.base + at), cells
            at += data.size

    def _read(self, stream: Any, piece: Piece, at: int, end: int) -> "_Cells":
        """Read from a 64-bit word on: as much as there is room for, or up to an end."""
        data, have = self._buffer[: min(self._buffer.size, end - at)], 0
        while have < data.size:
            got = os.preadv(stream.fileno(), [data[have:].data], at + have)
            if got == 0:
                raise HpcappError(
                    f"{piece.path}: ends at byte {at + have}, had {piece.size} bytes "
                    "when the run started: do not change a file that is read"
                )
            have += got
        return _Cells(at, data)

    def _sum_up_to(self, stream: Any, piece: Piece, at: int, end: int) -> int:
        """Read what the checksum still lacks before a byte, and add it."""
        while at < end:
            at = self._add_sum(piece, at, self._read(stream, piece, at, end))
        return at

    def _add_sum(self, piece: Piece, at: int, cells: "_Cells") -> int:
        """Add whole 64-bit words from byte `at` on; return the byte after them."""
        end = min(cells.at + cells.data.size, piece.last)
        if end < piece.size:
            end = end // 8 * 8
        if at >= end:
            return at
        data = cells.data[at - cells.at : end - cells.at]
        if data.size % 8:
            # the file ends within a word: filled up with zeros
            data = np.concatenate((data, np.zeros(-data.size % 8, np.uint8)))
        whole = (piece.size + 7) // 8
        found = checksum_block(data.view(np.uint64), (at // 8,), (whole,))
        self.sums[piece.file] = self.sums.get(piece.file, 0) + found & 2**64 - 1
        return end


@dataclass(frozen=True)
class _Cells:
    """Bytes of a file from a 64-bit word on; a view of the buffer."""

    at: int
    data: NDArray[np.uint8]


def _after_blank(data: NDArray[np.uint8]) -> int:
    """Return the number of bytes up to the last blank, it included; 0 without one."""
    for size in (256, data.size):
        tail = data[-size:].tobytes()
        found = list(BLANK.finditer(tail))
        if found:
            return int(data.size - len(tail) + found[-1].end())
    return 0
