# SPDX-License-Identifier: MIT
"""A segment of a book, read and counted by one thread."""

import numpy as np
from numpy.typing import NDArray

from hpcapp.workloads.words.ranges import CHUNK, Piece, Reader
from hpcapp.workloads.words.spelling import (
    NUL,
    Spelling,
    spell_letters,
    spell_words,
)

__all__ = ["Segment"]

DELIMITERS = b".,;:?$@^<>#%`!*-=()[]{}/\"'"
"""The characters that become blanks."""

BLANKS = b" \t\n\r\v\f\x1c\x1d\x1e\x1f"
"""What str.split takes for a blank, in ASCII."""

Bytes = NDArray[np.uint8]


def word_table() -> Bytes:
    """Return what becomes of each byte: lower case, and 0 for what separates words."""
    table = np.arange(256, dtype=np.uint8)
    table[ord("A") : ord("Z") + 1] += 32
    table[0] = ord(NUL)
    table[list(DELIMITERS + BLANKS)] = 0
    return table


def blank_table() -> Bytes:
    """Return what becomes of each byte where blanks alone separate words."""
    table = np.arange(256, dtype=np.uint8)
    # a character that is no letter, as it is itself
    table[0] = 1
    table[list(BLANKS)] = 0
    return table


class Segment:
    """Words of some pieces of a book, in their order.

    A run is what lies between separators. Those in ASCII are words; what the others
    are says their `Spelling`, once for each that is distinct.

    Parameters
    ----------
    pieces : list of Piece
        Its bytes.
    encoding, errors : str
        As configured.
    stems : bool
        Whether the words between blanks alone are wanted too.

    Attributes
    ----------
    ids : list of int32[n]
        The run, by its number in the table, of each run of the text.
    spelling : Spelling
        The runs between separators.
    letters : Spelling or None
        Those between blanks.
    sums : dict of int to int
        Checksums of what was read, by the number of the file; see `Reader`.
    """

    def __init__(
        self, pieces: list[Piece], encoding: str, errors: str, stems: bool
    ) -> None:
        self.pieces, self.skip_mark = pieces, encoding == "utf-8-sig"
        self.ids: list[NDArray[np.int32]] = []
        self.spelling = Spelling(spell_words, errors)
        self.letters = Spelling(spell_letters, errors) if stems else None
        self.sums: dict[int, int] = {}

    def count(self) -> None:
        """Read and count all of it.

        Raises
        ------
        BadBytesError
            If there are bytes that are not UTF-8 and none are to be replaced.
        OSError, HpcappError
            If a file cannot be read as far as it should.
        """
        words, blanks = word_table(), blank_table()
        text = np.zeros(0, np.uint8)
        reader = Reader(self.pieces, self.skip_mark, CHUNK)
        for chunk in reader.chunks():
            size = chunk.data.size
            if text.size < size + 16:
                text = np.zeros((size + 23) // 8 * 8, np.uint8)
            translate(text, chunk.data, words)
            self.ids.append(self.spelling.table.scan(text, size, chunk.base))
            self.spelling.resolve()
            if self.letters is not None:
                translate(text, chunk.data, blanks)
                self.letters.table.scan(text, size, chunk.base)
                self.letters.resolve()
        self.sums = reader.sums

    def release(self) -> list[NDArray[np.int32]]:
        """Return the ids and keep them no longer."""
        ids, self.ids = self.ids, []
        return ids


def translate(text: Bytes, data: Bytes, table: Bytes) -> None:
    """Write translated bytes and zeros behind them.

    Parameters
    ----------
    text : uint8[>= n + 16]
        Written.
    data : uint8[n]
        The bytes.
    table : uint8[256]
        From `word_table` or `blank_table`.
    """
    from hpcapp.workloads.words.table_kernels import translate_cpu

    translate_cpu(text, data, data.size, table)
