# SPDX-License-Identifier: MIT
"""Parameters of the workload `series`."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, WithJsonSchema

from hpcapp.config import Count, Model, parameter

__all__ = ["LONGEST", "MOST_TERMS", "Parameters"]

LONGEST = 18
"""Digits of a string: no denominator has more."""

MOST_TERMS = 10**15
"""All denominators are then exact as doubles."""


def _digits(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(
            'must be digits in quotes, such as "010": without them YAML reads that as 8'
        )
    if not re.fullmatch("[0-9]+", value):
        raise ValueError("must consist of the digits 0 to 9")
    if len(value) > LONGEST:
        raise ValueError(f"must have at most {LONGEST} digits")
    return value


Digits = Annotated[
    str,
    BeforeValidator(_digits),
    WithJsonSchema({"type": "string", "pattern": f"^[0-9]{{1,{LONGEST}}}$"}),
]


class Parameters(Model):
    """Which series, and how many terms of it."""

    name: Literal["kempner"] = parameter(
        "kempner",
        "kempner: 1/k without the k that contain a string of digits",
        "",
    )
    terms: Count = parameter(
        100_000_000,
        "terms; for kempner the denominators looked at, 1 to terms",
        le=MOST_TERMS,
    )
    digits: Digits = parameter(
        "9", "kempner: the string that no denominator may contain, in quotes", ""
    )
