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
from hpcapp.workloads.words.table import PADDING

__all__ = ["Segment", "Text"]

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
        text = Text()
        reader = Reader(self.pieces, self.skip_mark, CHUNK)
        for chunk in reader.chunks():
            number = text.split(chunk.data, words)
            table = self.spelling.table
            self.ids.append(table.count(text.cells, text.bounds, number, chunk.base))
            self.spelling.resolve()
            if self.letters is not None:
                number = text.split(chunk.data, blanks)
                table = self.letters.table
                table.count(text.cells, text.bounds, number, chunk.base)
                self.letters.resolve()
        self.sums = reader.sums

    def release(self) -> list[NDArray[np.int32]]:
        """Return the ids and keep them no longer."""
        ids, self.ids = self.ids, []
        return ids


class Text:
    """Translated bytes and where words are in them; buffers that are used again.

    Attributes
    ----------
    cells : uint64[n]
        The text, the first byte lowest, with padding.
    bounds : int64[m]
        Begin and end of each word, in bytes.
    """

    def __init__(self) -> None:
        self.cells = np.zeros(0, np.uint64)
        self.bounds = np.zeros(0, np.int64)

    def split(self, data: Bytes, table: Bytes) -> int:
        """Translate bytes and find the words.

        Parameters
        ----------
        data : uint8[n]
            The bytes.
        table : uint8[256]
            From `word_table` or `blank_table`.

        Returns
        -------
        int
            How many words there are.
        """
        from hpcapp.workloads.words.text_kernels import split_cpu, translate_cpu

        if 8 * self.cells.size < data.size + PADDING:
            self.cells = np.zeros((data.size + PADDING + 7) // 8, np.uint64)
            # of which only as much is ever touched as there are words
            self.bounds = np.empty(data.size + 16, np.int64)
        translate_cpu(self.cells.view(np.uint8), data, data.size, table)
        return int(split_cpu(self.bounds, self.cells, data.size))
