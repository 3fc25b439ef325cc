# SPDX-License-Identifier: MIT
"""Parameters of the workload `series`."""

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema, model_validator

from hpcapp.config import Count, Model, Real, parameter, rule_broken
from hpcapp.values import FunctionOfX, Interval

__all__ = ["LONGEST", "MOST_TERMS", "Parameters"]

LONGEST = 18
"""Digits of a string: no denominator has more."""

MOST_TERMS = 10**15
"""All denominators are then exact as doubles."""

# |sin(theta / 2)| below this, the sum needs more terms than anyone adds
NEAREST = 1e-6


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


def _angle(value: float) -> float:
    if abs(value) > 1e6:
        raise ValueError("must be from -1e6 to 1e6")
    if abs(math.sin(value / 2)) < NEAREST:
        raise ValueError(
            f"must not be a multiple of 2 pi, where the series diverges: "
            f"|sin(theta / 2)| must be >= {NEAREST:g}"
        )
    return value


# which series a parameter belongs to
OWNERS = {
    "digits": "kempner",
    "theta": "trigonometric",
    "integrand": "midpoint",
    "bounds": "midpoint",
}


class Parameters(Model):
    """Which series, and how many terms of it."""

    name: Literal["kempner", "trigonometric", "midpoint"] = parameter(
        "kempner",
        "kempner: 1/k without the k that contain a string of digits; trigonometric: "
        "cos(k theta)/k; midpoint: the midpoint rule for an integral",
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
    theta: Annotated[Real, AfterValidator(_angle)] = parameter(
        1.0, "trigonometric: the angle", "radian"
    )
    integrand: FunctionOfX = parameter("x**1.5", "midpoint: what to integrate, in x")
    bounds: Interval = parameter((0.0, 1.0), "midpoint: [a, b], the interval")

    @model_validator(mode="after")
    def _of_this_series(self) -> "Parameters":
        for key, owner in OWNERS.items():
            default = type(self).model_fields[key].default
            if owner != self.name and getattr(self, key) != default:
                raise rule_broken(key, f"is for name: {owner} only")
        return self
