# SPDX-License-Identifier: MIT
"""Parameters of the workload `words`."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictBool, WithJsonSchema

from hpcapp.config import Count, Model, PathText, parameter

__all__ = ["Parameters"]


def _listed(value: Any) -> Any:
    # one path may stand without brackets
    return [value] if isinstance(value, str) else value


Inputs = Annotated[
    tuple[PathText, ...],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]


class Parameters(Model):
    """Which texts, what is a word, and how much to tell."""

    inputs: Inputs = parameter(
        ("data/corpus/*.txt",),
        "text files and patterns such as texts/*.txt; what one matches is sorted",
        "",
    )
    encoding: Literal["utf-8-sig", "utf-8"] = parameter(
        "utf-8-sig",
        "utf-8-sig: a byte order mark at the start of a file is no part of a word; "
        "utf-8: it is",
        "",
    )
    errors: Literal["strict", "replace"] = parameter(
        "strict",
        "bytes that are not UTF-8. strict: an error with file and offset; replace: "
        "counted, each a replacement character",
        "",
    )
    top: Count = parameter(16, "most frequent words to tell of each book", le=10_000)
    lags: Count = parameter(
        100, "distances of the autocorrelation: 0 to lags - 1 words", le=1_000_000
    )
    stem: Literal["none", "porter"] = parameter(
        "none", "porter: count distinct stems (Porter's, by NLTK)", ""
    )
    merge: StrictBool = parameter(
        False, "false: each file is a book; true: all files are one", ""
    )
    distribute: Literal["text", "words"] = parameter(
        "text",
        "the autocorrelation. text: each rank has a segment; words: each rank has "
        "some of the words in the whole text",
        "",
    )
    collect: Literal["gather", "p2p"] = parameter(
        "gather", "its counts to rank 0: by one collective, or by messages", ""
    )
