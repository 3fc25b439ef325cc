# SPDX-License-Identifier: MIT
"""Words of texts: counts, Zipf's law, stems and autocorrelation."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from hpcapp.config import Model
from hpcapp.decomposition import Domain, Layout
from hpcapp.device import Device, cores
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.validity import Check, Read
from hpcapp.workload import Answer, Context, Field, State, Step, Workload
from hpcapp.workloads.words.checks import check_counts
from hpcapp.workloads.words.counting import WINDOW, count_windows
from hpcapp.workloads.words.course import course_files
from hpcapp.workloads.words.gpu_bytes import needed_gpu_bytes
from hpcapp.workloads.words.inputs import Book, find_files, make_books
from hpcapp.workloads.words.measures import FIELDS, begin
from hpcapp.workloads.words.parameters import Parameters
from hpcapp.workloads.words.reading import Reading
from hpcapp.workloads.words.sampling import Sample, needed_bytes, take_sample
from hpcapp.workloads.words.stemming import check_stemmer
from hpcapp.workloads.words.warming import warm_up

__all__ = ["Words"]


class Words(Workload):
    """Count the words of books, one book at a time, each on all ranks.

    Notes
    -----
    Counts and pairs are integers, and what is divided is divided once: no layout
    changes a bit. A book is read in windows of fixed size; a checkpoint holds what was
    counted of the book that is being read.
    """

    Parameters: ClassVar[type[Model]] = Parameters
    summary: ClassVar[str] = "words of texts: counts, Zipf's law, autocorrelation"
    unit: ClassVar[str] = "bytes"
    traffic: ClassVar[float] = 1.0
    tuning: ClassVar[frozenset[str]] = frozenset({"distribute", "collect"})

    def domain(self) -> Domain:
        """Return the bytes of all books; each book is dealt out to all ranks."""
        size = sum(book.size for book in self._books)
        return Domain(("byte",), (size,), dealt=True)

    def fields(self) -> tuple[Field, ...]:
        """Return what is told of each book and file."""
        return FIELDS

    def without_gpu(self) -> str:
        """Return "": positions and pairs have CUDA kernels; the rest stays on cores."""
        return ""

    def extendable(self) -> frozenset[str]:
        """Return the inputs, where a book is a file."""
        return frozenset(() if self.parameters.merge else {"inputs"})

    def check_extension(self, before: Mapping[str, Any]) -> None:
        """Let further inputs follow those of before."""
        old, now = list(before.get("inputs", ())), list(self.parameters.inputs)
        if now[: len(old)] != old:
            raise ConfigError(
                "must begin with those of before when a run goes on, was "
                f"{', '.join(old)}, got {', '.join(now)}; start another run",
                key="parameters.inputs",
            )

    def check(self) -> None:
        """Look for the files, and for the stemmer."""
        find_files(self.parameters.inputs)
        if self.parameters.stem == "porter":
            check_stemmer()

    def input_files(self) -> list[str]:
        """Return the files in order."""
        return [file.path for book in self._books for file in book.files]

    @cached_property
    def _books(self) -> list[Book]:
        return make_books(find_files(self.parameters.inputs), self.parameters.merge)

    @cached_property
    def _largest(self) -> Book:
        return max(self._books, key=lambda book: book.size)

    @cached_property
    def _sample(self) -> Sample:
        return take_sample(self._largest, self.parameters.top)

    def grown(self, factor: float) -> Mapping[str, Any]:
        """Return the same texts several times."""
        times = round(factor)
        if times < 1 or abs(factor - times) > 1e-9:
            raise ConfigError(
                f"a text can be read a whole number of times, got {factor:g} times; "
                "take counts that are multiples of the first",
                key="parameters.inputs",
            )
        return {"inputs": [*self.parameters.inputs] * times}

    def memory(self, layout: Layout, rank: int) -> int:
        """Return the bytes of numbers, positions and tables of the largest book.

        The words of some megabytes tell how many there may be.
        """
        p, threads = self.parameters, max(1, len(cores()) // layout.used)
        # pairs by word and distance: of a window, before and after; acf of all books
        tables = 3 + 2 * len(self._books)
        if rank == 0 and p.collect == "gather":
            tables += layout.used
        found = needed_bytes(self._largest, self._sample, layout.used, threads)
        return found + int(8 * tables * p.top * p.lags)

    def gpu_memory(self, layout: Layout, rank: int) -> tuple[int, int]:  # noqa: ARG002
        """Return the bytes on a GPU of positions and tables of a window."""
        p = self.parameters
        spread = p.distribute == "words"
        facts = (self._largest, self._sample, layout.used, p.top, p.lags, spread)
        return needed_gpu_bytes(*facts), 0

    @classmethod
    def tables(cls, read: Callable[[str], Any]) -> Iterator[tuple[str, Iterable[str]]]:
        """Return the files of the course's word count."""
        return course_files(read)

    def checks(self, read: Read) -> Iterator[Check]:
        """Compare with a recount, and acf(0) with 1."""
        return check_counts(self.parameters, read)

    def warm_up(self, device: Device) -> None:
        """Compile the kernels."""
        warm_up(device)

    def steps(self, ctx: Context) -> Iterator[Step]:
        """Measure book after book."""
        state = ctx.state
        # one rank looks at the files: all have the same, whatever becomes of them
        books = ctx.comm.on_root(lambda: self._books)
        if not state.resumed:
            begin(state, self.parameters)
        ctx.comm.on_root(lambda: _refuse_others(books, state))
        reading = Reading(ctx.comm, ctx.device, self.parameters, state)
        while state["correlated"] >= 0 or len(state["book"]) < len(books):
            done, counted, work = len(state["book"]), int(state["counted"]), 0
            book = books[done - 1 if state["correlated"] >= 0 else done]
            if state["correlated"] >= 0:
                reading.correlate(book)
            elif counted < count_windows(book):
                work = min(WINDOW, book.size - counted * WINDOW)
                reading.count(book)
            else:
                reading.tell(book)
            yield Step(_fraction(books, state), book.name, float(work))

    def answer(self, state: State) -> Answer:
        """Return how many words there are, and the most frequent one."""
        books, words = len(state["book"]), int(state["total"].sum())
        text = f"{words} words in {books} book{'s' * (books > 1)}"
        values: dict[str, float] = {"books": books, "words": words}
        if books == 1:
            exponent, error = (
                float(state[name][0, -1])
                for name in ("zipf_exponent", "zipf_exponent_error")
            )
            text += (
                f", {int(state['distinct'][0])} distinct, most often "
                f'"{state["word"][0, 0]}" ({int(state["occurrences"][0, 0])} times), '
                f"Zipf exponent {exponent:.4f} +- {error:.4f}"
            )
            values |= {"distinct": int(state["distinct"][0]), "zipf_exponent": exponent}
        replaced = int(state["replaced"].sum())
        values["replaced"] = replaced
        warning = ""
        if replaced:
            warning = f"{replaced} replacement characters for bytes that are not UTF-8"
        return Answer(text, values, warning=warning)


def _refuse_others(books: list[Book], state: State) -> None:
    """Refuse to go on if the books that are done are not the first ones."""
    files = [file for book in books[: len(state["book"])] for file in book.files]
    now = [(file.path, file.size) for file in files]
    then = zip(state["file"], state["file_bytes"].tolist(), strict=True)
    for place, (path, size) in enumerate(then):
        if place >= len(now) or now[place] != (path, size):
            found = "{} of {} bytes".format(*now[place]) if place < len(now) else "none"
            raise HpcappError(
                f"words: file {place + 1} must be {path} of {size} bytes, as it was "
                f"when it was counted, got {found}; start another run"
            )


def _fraction(books: list[Book], state: State) -> float:
    """Return the share of the work that is done; counting is most of it."""
    done = len(state["book"])
    reached = float(sum(book.size for book in books[:done]))
    if state["correlated"] >= 0:
        last = books[done - 1]
        left = 1 - int(state["correlated"]) / count_windows(last)
        reached -= 0.2 * left * last.size
    elif done < len(books):
        book = books[done]
        reached += 0.8 * int(state["counted"]) / count_windows(book) * book.size
    return reached / sum(book.size for book in books)
