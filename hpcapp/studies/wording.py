# SPDX-License-Identifier: MIT
"""JSON Schemas and values in words, for listings and starter files."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter

from hpcapp.config import Duration

__all__ = ["flow", "type_words"]

NOUNS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
    "object": "mapping",
}

BOUNDS = (
    ("exclusiveMinimum", ">"),
    ("minimum", ">="),
    ("exclusiveMaximum", "<"),
    ("maximum", "<="),
)


def type_words(schema: Mapping[str, Any]) -> str:
    """Return the type that a JSON Schema describes, in words.

    Parameters
    ----------
    schema : mapping
        With standard keywords.

    Returns
    -------
    str
        Such as ``whole number >= 3`` or ``number > 0 and < 2, or null``.

    Examples
    --------
    >>> type_words({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "auto"}]})
    'whole number >= 1, or auto'
    >>> type_words({"enum": ["jacobi", "sor"]})
    'jacobi | sor'
    """
    if "enum" in schema:
        # as the user thinks of them; only a file needs quotes
        return " | ".join(v if isinstance(v, str) else flow(v) for v in schema["enum"])
    if "const" in schema:
        return flow(schema["const"])
    if "anyOf" in schema:
        return _either(schema["anyOf"])
    if schema.get("type") == "array":
        return _list(schema)
    noun = NOUNS.get(schema.get("type", ""), "any value")
    bounds = [f"{sign} {_bound(schema[key])}" for key, sign in BOUNDS if key in schema]
    return f"{noun} {' and '.join(bounds)}" if bounds else noun


def _bound(value: float) -> str:
    """Return a bound, a long one as a power."""
    for base in (10, 2):
        for offset, text in ((0, ""), (-1, " - 1")):
            power = round(math.log(value - offset, base)) if value >= 1e6 else 0
            if power and base**power + offset == value:
                return f"{base}^{power}{text}"
    return flow(value)


def _either(options: Sequence[Mapping[str, Any]]) -> str:
    rest = list(options)
    words = []
    duration = TypeAdapter(Duration).json_schema()["anyOf"]
    if all(option in rest for option in duration):
        rest = [option for option in rest if option not in duration]
        words.append("duration")
    words += [type_words(option) for option in rest]
    if len(words) == 1:
        return words[0]
    # a comma where the words before it hold an "and" or a bound of their own
    comma = "," if any(" " in word for word in words[:-1]) else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def _list(schema: Mapping[str, Any]) -> str:
    items = schema.get("prefixItems")
    if items is None:
        inner = type_words(schema["items"]) if schema.get("items") else "any value"
        return f"list of {_plural(inner)}"
    kinds = [type_words(item) for item in items]
    if len(set(kinds)) == 1 and len(kinds) > 1:
        return f"{len(kinds)} {_plural(kinds[0])}"
    return f"list: {'; '.join(kinds)}"


def _plural(words: str) -> str:
    # "2 numbers" within a list: "2 lists of 2 numbers"
    if words[0].isdigit():
        return f"lists of {words}"
    return re.sub(r"^(whole number|number|text|duration|mapping|list)\b", r"\1s", words)


def flow(value: Any, inside: bool = False) -> str:
    """Return a plain value as YAML on one line.

    Parameters
    ----------
    value : object
        Of the types that JSON knows.
    inside : bool
        Whether it stands in a list or mapping, where braces need quotes.

    Returns
    -------
    str
        Without quotes where YAML needs none.

    Examples
    --------
    >>> flow([[0.0, 1.0], "sin(pi*x)", None, 1e-06, True])
    '[[0.0, 1.0], sin(pi*x), null, 1e-6, true]'
    >>> flow("no: text")
    '"no: text"'
    >>> flow("results/{name}"), flow(["results/{name}"])
    ('results/{name}', '["results/{name}"]')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(flow(item, True) for item in value)}]"
    if isinstance(value, dict):
        pairs = [f"{flow(key, True)}: {flow(value[key], True)}" for key in value]
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, float):
        return re.sub(r"e([+-])0*(\d)", r"e\1\2", repr(value)).replace("e+", "e")
    if isinstance(value, str) and _bare(value, inside):
        return value
    return json.dumps(value, ensure_ascii=False)


def _bare(text: str, inside: bool) -> bool:
    """Tell whether YAML reads a text as itself without quotes."""
    if not re.fullmatch(r"\d+ [a-z]+|[A-Za-z_][\w ()*+/.^{}-]*[\w()}]|[A-Za-z_]", text):
        return False
    if inside and "{" in text:
        return False
    # older readers of YAML take the last four for booleans
    return text.lower() not in ("null", "true", "false", "yes", "no", "on", "off")
