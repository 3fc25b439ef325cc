# SPDX-License-Identifier: MIT
"""One step of the work on a book: count a window, tell the book, correlate a window."""

from typing import TYPE_CHECKING, Any

import numpy as np

from hpcapp.device import Device
from hpcapp.fields import State
from hpcapp.workloads.words.correlation import Tail, count_pairs
from hpcapp.workloads.words.counting import count_window, count_windows
from hpcapp.workloads.words.inputs import Book
from hpcapp.workloads.words.measures import add_book, set_acf
from hpcapp.workloads.words.segment import Segment
from hpcapp.workloads.words.stemming import add_letters, count_stems
from hpcapp.workloads.words.table import Entries, Table
from hpcapp.workloads.words.vocabulary import (
    counts_of_counts,
    highest,
    keep,
    restore,
    share_out,
)
from hpcapp.workloads.words.zipf import fit_zipf

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm
    from hpcapp.workloads.words.parameters import Parameters

__all__ = ["Reading"]


class Reading:
    """The way through the books on one rank; all methods are collective.

    A book is first counted, window by window; then its numbers are known, and which
    words are the most frequent; then these are correlated, window by window. What was
    read once is kept, as numbers of words, until it is correlated; after a resumption
    it is read again.

    Parameters
    ----------
    comm : Comm
        The ranks.
    device : Device
        Threads.
    parameters : Parameters
        Of the workload.
    state : State
        Complete after each step.
    """

    def __init__(
        self, comm: "Comm", device: Device, parameters: "Parameters", state: State
    ) -> None:
        self.comm, self.device = comm, device
        self.parameters, self.state = parameters, state
        self.stems = parameters.stem == "porter"
        self._kept: dict[int, list[Segment]] = {}
        self._words, self._letters = Table(), Table()
        if state.resumed:
            self._words = restore(comm, state, "vocabulary")
            self._letters = restore(comm, state, "letters")
        self._keep_tables()

    def count(self, book: Book) -> None:
        """Count the next window of a book."""
        window = int(self.state["counted"])
        if window == 0:
            self.state["sums"] = np.zeros(2, np.int64)
            self.state["checksums"] = np.zeros(len(book.files), np.uint64)
        segments = self._read(book, window, self.stems)
        # not kept here: it is let go as soon as it is shared out
        met = (segment.spelling.words() for segment in segments)
        share_out(self.comm, self._words, Entries.join(list(met)))
        for segment in segments:
            if segment.letters is not None:
                add_letters(self.comm, self._letters, segment.letters.words())
                segment.letters = None
        self._kept[window] = segments
        self._add_sums(segments)
        self._keep_tables()
        self.state["counted"] = np.int64(window + 1)

    def tell(self, book: Book) -> None:
        """Append a book that is counted to what is told."""
        top = highest(self.comm, self._words, self.parameters.top)
        histogram = counts_of_counts(self.comm, self._words)
        # on one rank, so that all have the same
        exponent, error = self.comm.on_root(
            lambda: fit_zipf(*histogram) if histogram else ([], [])
        )
        distinct = self.comm.sum(np.array([self._words.size], np.int64))
        total, replaced = self.state["sums"].tolist()
        found = {
            "book": book.name,
            "occurrences": top.counts,
            "total": total,
            "distinct": int(distinct[0]),
            "stems": count_stems(self.comm, self._letters) if self.stems else -1,
            "zipf_exponent": exponent,
            "zipf_exponent_error": error,
            "replaced": replaced,
            "file": [file.path for file in book.files],
            "file_bytes": [file.size for file in book.files],
            "file_checksum": [f"{n:016x}" for n in self.state["checksums"].tolist()],
        }
        self.state["pairs"] = np.zeros_like(self.state["pairs"])
        add_book(self.state, found, [word.decode() for word in top.words])
        self._words, self._letters = Table(), Table()
        self._keep_tables()
        self._set_tail(Tail(0, np.zeros(0, np.int32), np.zeros(0, np.int64)))
        self.state["counted"], self.state["correlated"] = np.int64(0), np.int64(0)

    def correlate(self, book: Book) -> None:
        """Correlate the next window of the last book that was told."""
        state, window = self.state, int(self.state["correlated"])
        segments = self._kept.pop(window, None) or self._read(book, window, False)
        chosen = [word.encode() for word in state["chosen"] if word]
        tail = Tail(int(state["before"]), state["tail_place"], state["tail_at"])
        pairs, tail = count_pairs(
            self.comm, self.device, self.parameters, segments, chosen, tail
        )
        total = state["pairs"].copy()
        total[: len(chosen)] += pairs
        state["pairs"] = total
        self._set_tail(tail)
        set_acf(state)
        last = window + 1 == count_windows(book)
        state["correlated"] = np.int64(-1 if last else window + 1)

    def _read(self, book: Book, window: int, stems: bool) -> list[Segment]:
        return count_window(
            self.comm, self.device, self.parameters, book, window, stems
        )

    def _add_sums(self, segments: list[Segment]) -> None:
        spellings = [segment.spelling for segment in segments]
        mine = [sum(s.total() for s in spellings), sum(s.replaced for s in spellings)]
        self.state["sums"] = self.state["sums"] + self.comm.sum(np.array(mine))
        read = [0] * len(self.state["checksums"])
        for segment in segments:
            for file, value in segment.sums.items():
                read[file] = (read[file] + value) % 2**64
        found = self.comm.sum(np.array(read, np.uint64))
        self.state["checksums"] = self.state["checksums"] + found

    def _keep_tables(self) -> None:
        keep(self.state, "vocabulary", self._words)
        keep(self.state, "letters", self._letters)

    def _set_tail(self, tail: Tail) -> None:
        values: dict[str, Any] = {
            "before": np.int64(tail.words),
            "tail_place": tail.place,
            "tail_at": tail.at,
        }
        for name, value in values.items():
            self.state[name] = value
