# SPDX-License-Identifier: MIT
"""What is told of a book, and what the state holds between two steps."""

import math
from typing import Any

import numpy as np

from hpcapp.fields import Field, State
from hpcapp.workloads.words.parameters import Parameters
from hpcapp.workloads.words.spelling import NUL
from hpcapp.workloads.words.vocabulary import table_fields
from hpcapp.workloads.words.zipf import METHODS

__all__ = ["FIELDS", "add_book", "begin", "set_acf"]

BOOK, WORD, FILE, FIT = ("book",), ("book", "place"), ("file",), ("book", "method")

TOLD = (
    Field("book", BOOK, "1", "book", "str", "both"),
    Field("place", ("place",), "1", "place by frequency", "int32", "both"),
    Field("lag", ("lag",), "1", "distance in words", "int32", "both"),
    Field("method", ("method",), "1", "method of the fit", "str", "both"),
    Field("word", WORD, "1", "most frequent words", "str", "both"),
    Field(
        "occurrences",
        WORD,
        "1",
        "occurrences of the word",
        "int64",
        "both",
        view="power law",
    ),
    Field("acf", (*WORD, "lag"), "1", "autocorrelation of the word", kind="both"),
    Field(
        "mean_acf",
        ("book", "lag"),
        "1",
        "mean autocorrelation of the most frequent words",
        kind="both",
        view="curves",
    ),
    Field("total", BOOK, "1", "words", "int64", "both"),
    Field("distinct", BOOK, "1", "distinct words", "int64", "both"),
    Field("stems", BOOK, "1", "distinct stems, -1 if not asked for", "int64", "both"),
    Field("zipf_exponent", FIT, "1", "exponent of Zipf's law", kind="both"),
    Field("zipf_exponent_error", FIT, "1", "its standard error", kind="both"),
    Field("replaced", BOOK, "1", "replacements of bad bytes", "int64", "both"),
    Field("file", FILE, "1", "file", "str", "both"),
    Field("file_bytes", FILE, "byte", "size of the file", "int64", "both"),
    Field("file_checksum", FILE, "1", "hpcapp checksum of its bytes", "str", "both"),
)

# of the book that is being counted, and of the last one, while it is correlated
BETWEEN = (
    Field("counted", (), "1", "windows counted of the next book", "int64", "state"),
    Field("sums", ("sum",), "1", "words and replacements in them", "int64", "state"),
    Field("checksums", ("part",), "1", "checksums of its files", "uint64", "state"),
    *table_fields("vocabulary", "its words so far"),
    *table_fields("letters", "its words of letters only so far"),
    Field("correlated", (), "1", "windows correlated, -1: all", "int64", "state"),
    Field("chosen", ("place",), "1", "words that are correlated", "str", "state"),
    Field("pairs", ("place", "lag"), "1", "pairs of equal words", "int64", "state"),
    Field("before", (), "1", "words before the next window", "int64", "state"),
    Field("tail_place", ("tail",), "1", "chosen words at the end", "int32", "state"),
    Field("tail_at", ("tail",), "1", "where they stand", "int64", "state"),
)

FIELDS = (*TOLD, *BETWEEN)


def begin(state: State, parameters: Parameters) -> None:
    """Fill a fresh state: no books, and the coordinates."""
    lengths = {
        "place": parameters.top,
        "lag": parameters.lags,
        "method": len(METHODS),
        "sum": 2,
    }
    for field in FIELDS:
        shape = tuple(lengths.get(dim, 0) for dim in field.dims)
        empty = np.zeros(shape, _dtype(field))
        if field.dtype == "str":
            empty[...] = ""
        state[field.name] = [] if field.distributed else empty
    state["place"] = np.arange(1, parameters.top + 1, dtype=np.int32)
    state["lag"] = np.arange(parameters.lags, dtype=np.int32)
    state["method"] = np.array(METHODS, object)
    state["counted"], state["correlated"] = np.int64(0), np.int64(-1)
    state["before"] = np.int64(0)


def add_book(state: State, found: dict[str, Any], words: list[str]) -> None:
    """Append a book to what is told; its autocorrelation is still to come.

    Parameters
    ----------
    state : State
        Its fields become one book longer.
    found : dict
        Of each other field the entry of the book, or the entries of its files.
    words : list of str
        The most frequent ones, with `NUL` in them; places beyond are left empty.
    """
    top, lags = state["pairs"].shape
    missing = top - len(words)
    counts = [*found["occurrences"], *[0] * missing]
    # no text of NetCDF can hold the character of code 0: its picture stands for it
    shown = [word.replace(NUL, "\N{SYMBOL FOR NULL}") for word in words]
    found = {
        **found,
        "word": [*shown, *[""] * missing],
        "occurrences": counts,
        "acf": np.zeros((top, lags)),
        "mean_acf": np.zeros(lags),
    }
    for field in TOLD:
        if field.name in found:
            more = found[field.name]
            array = np.asarray(more if field.dims == FILE else [more], _dtype(field))
            state[field.name] = np.concatenate((state[field.name], array))
    chosen = np.empty(top, object)
    chosen[:] = [*words, *[""] * missing]
    state["chosen"] = chosen


def set_acf(state: State) -> None:
    """Divide the pairs of the last book by the occurrences: once each."""
    counts = state["occurrences"][-1]
    there = counts > 0
    acf = np.full(state["pairs"].shape, math.nan)
    acf[there] = state["pairs"][there] / counts[there, None].astype(np.float64)
    columns = acf[there].T
    mean = [math.fsum(c) / len(c) if len(c) else math.nan for c in columns]
    state["acf"] = np.concatenate((state["acf"][:-1], acf[None]))
    state["mean_acf"] = np.concatenate((state["mean_acf"][:-1], [mean]))


def _dtype(field: Field) -> Any:
    return object if field.dtype == "str" else field.dtype
