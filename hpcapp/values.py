# SPDX-License-Identifier: MIT
"""The types of values in a configuration: numbers, durations, paths.

A validation may have a context: `environ`, a mapping, for the variables in paths, and
`name`, a text, for what stands for ``{name}``.
"""

import math
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)

from hpcapp.expression import parse

__all__ = [
    "Count",
    "Duration",
    "FunctionOfX",
    "FunctionOfXY",
    "Grid",
    "Integer",
    "Interval",
    "NamedPath",
    "PathText",
    "Real",
    "Threads",
    "expand_path",
]


def _whole(value: object) -> object:
    # YAML reads 1e8 as a float; a count written so is meant as one
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


Integer = Annotated[int, BeforeValidator(_whole), Strict()]
Count = Annotated[Integer, Field(ge=1)]
Real = Annotated[float, Strict(), AfterValidator(_finite)]

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(value: object) -> object:
    """Seconds from ``600``, ``600 s``, ``2 h``, ``90 min``, ``1 d``, ``02:00:00``."""
    hint = "must be a duration such as 600 s, 2 h or 02:00:00"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(hint)
    if not isinstance(value, str):
        return float(value)
    clock = re.fullmatch(r"(\d{1,6}):([0-5]\d):([0-5]\d)", value.strip())
    if clock:
        hours, minutes, seconds = (int(part) for part in clock.groups())
        return 3600.0 * hours + 60.0 * minutes + seconds
    parts = re.fullmatch(r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*(\w+)", value.strip())
    if not parts or parts[2] not in _UNITS:
        raise ValueError(hint)
    return float(parts[1]) * _UNITS[parts[2]]


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    AfterValidator(_finite),
    Field(gt=0),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {
                    "type": "string",
                    "pattern": r"^\s*(\d+(\.\d*)?([eE][+-]?\d+)?\s*(s|min|h|d)"
                    r"|\d+:\d\d:\d\d)\s*$",
                },
            ]
        }
    ),
]


def _threads(value: object) -> object:
    whole = _whole(value)
    if whole == "auto" or (type(whole) is int and whole >= 1):
        return whole
    raise ValueError("must be auto or a whole number >= 1")


Threads = Annotated[
    int | Literal["auto"],
    BeforeValidator(_threads),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]}),
]


def expand_path(text: str, environ: Mapping[str, str]) -> str:
    """Expand ``~`` and ``${VAR}`` in a path.

    Parameters
    ----------
    text : str
        As written.
    environ : mapping
        The variables.

    Returns
    -------
    str
        The path; relative to the working directory, as ever.

    Raises
    ------
    ValueError
        If a variable is not set, or nothing is left that could be a path.
    """

    def variable(match: re.Match[str]) -> str:
        """Return the value of a variable."""
        if match[1] not in environ:
            raise ValueError(f"the environment variable {match[1]} is not set")
        return environ[match[1]]

    expanded = os.path.expanduser(re.sub(r"\$\{(\w+)\}", variable, text))
    if not expanded or "\0" in expanded:
        raise ValueError("must name a file or directory")
    return expanded


def _path(text: str, info: ValidationInfo) -> str:
    return expand_path(text, (info.context or {}).get("environ", os.environ))


def _name(text: object, info: ValidationInfo) -> object:
    name = (info.context or {}).get("name")
    return text.replace("{name}", name) if isinstance(text, str) and name else text


# a path as used: ~ and ${VAR} are expanded when the configuration is read
PathText = Annotated[str, AfterValidator(_path)]
# {name} too
NamedPath = Annotated[PathText, BeforeValidator(_name)]

# as many as the domain of the workload has axes, which is checked with that
Grid = Annotated[tuple[Count, ...], Field(min_length=1, max_length=3)]


def _increasing(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[1] <= ends[0]:
        raise ValueError("must go from a smaller to a larger number")
    if not 1e-100 <= ends[1] - ends[0] <= 1e100:
        # lengths and spacings are squared
        raise ValueError("must be from 1e-100 to 1e100 long")
    return ends


Interval = Annotated[tuple[Real, Real], AfterValidator(_increasing)]


def _function(*variables: str) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return what checks and describes a number or an expression."""

    def check(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            names = " and ".join(variables)
            raise ValueError(f"must be a number or an expression in {names}")
        parse(value, variables)
        return value

    schema = {
        "anyOf": [{"type": "number"}, {"type": "string"}],
        "description": f"number or expression in {', '.join(variables)}",
    }
    return BeforeValidator(check), WithJsonSchema(schema)


FunctionOfX = Annotated[Any, *_function("x")]
FunctionOfXY = Annotated[Any, *_function("x", "y")]
