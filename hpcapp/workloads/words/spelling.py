# SPDX-License-Identifier: MIT
"""What runs of bytes are as words: in ASCII themselves, others by Python's rules."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hpcapp.workloads.words.table import Entries, Table

__all__ = [
    "NUL",
    "BadBytesError",
    "Places",
    "Spelling",
    "letters",
    "spell_letters",
    "spell_words",
]

Places = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]

NUL = "A"
"""What stands for the character of code 0 in words."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class BadBytesError(Exception):
    """Bytes that are not UTF-8.

    Parameters
    ----------
    byte : int
        Where in the book.
    reason : str
        What is wrong with it.
    """

    def __init__(self, byte: int, reason: str) -> None:
        super().__init__(byte, reason)
        self.byte, self.reason = byte, reason


def spell_words(text: str) -> list[str]:
    """Return the words of a run: between blanks, in lower case.

    In runs "A", which lower case leaves free, stands for the character of code 0.
    """
    blanks = text.replace(NUL, "\0").split()
    return [word.lower().replace("\0", NUL) for word in blanks]


def spell_letters(text: str) -> list[str]:
    """Return the words of a run: between blanks, letters only, empty ones dropped."""
    return [word for word in map(letters, text.split()) if word]


def letters(word: str) -> str:
    """Return the letters of a word, by `str.isalpha`."""
    return word if word.isalpha() else "".join(filter(str.isalpha, word))


class Spelling:
    """A table of runs of bytes, and what words the runs are.

    A run that is not ASCII is decoded by itself: the separators around it are
    characters of their own, so that it means the same as in the whole text. It may be
    no word or several, since there are blanks outside ASCII.

    Parameters
    ----------
    rule : callable
        The words of a run that was decoded: `spell_words` or `spell_letters`.
    errors : {"strict", "replace"}
        What to do with bytes that are not UTF-8.

    Attributes
    ----------
    words_of : dict of int to list of bytes
        The words of each run that is not ASCII.
    """

    def __init__(self, rule: Callable[[str], list[str]], errors: str) -> None:
        self.table = Table()
        self.rule, self.errors = rule, errors
        self.words_of: dict[int, list[bytes]] = {}
        self._replaced: dict[int, int] = {}
        self._seen = 0

    def resolve(self) -> None:
        """Find the words of the runs that are new.

        Raises
        ------
        BadBytesError
            At the first byte that is wrong, if errors are strict.
        """
        entries, seen = self.table.entries_from(self._seen), self._seen
        self._seen += entries.size
        for place in np.flatnonzero(entries.high()).tolist():
            run, first, number = (
                entries.text(place),
                int(entries.first[place]),
                seen + place,
            )
            try:
                text = run.decode("utf-8", self.errors)
            except UnicodeDecodeError as error:
                raise BadBytesError(first + error.start, error.reason) from None
            genuine = run.count(REPLACEMENT.encode())
            self._replaced[number] = text.count(REPLACEMENT) - genuine
            self.words_of[number] = [w.encode() for w in self.rule(text)]

    @property
    def replaced(self) -> int:
        """Replacement characters that bad bytes have become, repeated runs included."""
        counts = self.table.entries.count
        return sum(int(counts[run]) * n for run, n in self._replaced.items())

    def words(self) -> Entries:
        """Return the words of all runs with counts; one may stand there twice."""
        entries = self.table.entries
        easy = entries.pick(np.flatnonzero(~entries.high()))
        texts, counts, firsts = [], [], []
        for run, words in self.words_of.items():
            for place, word in enumerate(words):
                texts.append(word)
                counts.append(int(entries.count[run]))
                # of two words of a run the second comes later, and both before the next
                firsts.append(int(entries.first[run]) + place)
        return Entries.join([easy, Entries.pack(texts, counts, firsts)])

    def total(self) -> int:
        """Return the number of words, repetitions included."""
        counts = self.table.entries.count
        more = sum(
            int(counts[run]) * (len(words) - 1) for run, words in self.words_of.items()
        )
        return int(counts.sum()) + more

    def places(self, chosen: list[bytes]) -> Places:
        """Return where the words of each run stand in a list.

        Parameters
        ----------
        chosen : list of bytes
            Distinct words.

        Returns
        -------
        place : int32[runs]
            Of a run that is one word, -1 if it is not listed; else -2 - k.
        starts : int64[...]
            Where in `places` those of run k begin.
        places : int64[...]
            Of the words of such runs.
        """
        place = np.full(self.table.size, -1, np.int32)
        zeros = [0] * len(chosen)
        found = self.table.find(Entries.pack(chosen, zeros, zeros))
        for number, run in enumerate(found):
            if run >= 0:
                place[run] = number
        known = {word: number for number, word in enumerate(chosen)}
        starts, places = [0], []
        for run, words in self.words_of.items():
            if len(words) == 1:
                place[run] = known.get(words[0], -1)
                continue
            place[run] = -1 - len(starts)
            places += [known.get(word, -1) for word in words]
            starts.append(len(places))
        return place, np.array(starts, np.int64), np.array(places, np.int64)

    def count_places(self, where: Places, number: int) -> NDArray[np.int64]:
        """Return how often each listed word occurs.

        Parameters
        ----------
        where : tuple
            From `places`.
        number : int
            Words in the list.

        Returns
        -------
        int64[number]
            Occurrences.
        """
        place, starts, places = where
        found = np.zeros(number, np.int64)
        counts = self.table.entries.count
        single = np.flatnonzero(place >= 0)
        np.add.at(found, place[single], counts[single])
        for run in np.flatnonzero(place < -1):
            k = -2 - int(place[run])
            for listed in places[starts[k] : starts[k + 1]]:
                if listed >= 0:
                    found[listed] += counts[run]
        return found
