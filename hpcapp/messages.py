# SPDX-License-Identifier: MIT
"""Validation errors as messages: where, what rule, what value, what to do."""

import difflib
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from hpcapp.yaml_source import Source

__all__ = ["explain", "nearest", "shown"]

# more lines than this help nobody
LIMIT = 50

# pydantic's error types -> this program's words; {x} are pydantic's own facts
RULES = {
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text",
    "bool_type": "must be true or false",
    "literal_error": "must be one of {expected}",
    "missing": "is required",
    "model_type": "must be a section of keys and values",
    "model_attributes_type": "must be a section of keys and values",
    "dict_type": "must be a section of keys and values",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "none_required": "must be null",
    "rule": "{rule}",
}


def explain(error: ValidationError, model: type[BaseModel], source: Source) -> str:
    """Return one line for each fault.

    Parameters
    ----------
    error : ValidationError
        What pydantic found.
    model : type of BaseModel
        The model of the whole document, for the known keys.
    source : Source
        Where the values were written.

    Returns
    -------
    str
        Lines ``file:line: key: rule, got value``.
    """
    faults = error.errors(include_url=False)
    lines = {_line(fault, model, source): None for fault in faults[:LIMIT]}
    if len(faults) > LIMIT:
        lines[f"{source.name}: {len(faults) - LIMIT} more faults"] = None
    return "\n".join(lines)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'tolerance'?`` or, with no near word, the list."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f", did you mean '{close[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""


def shown(value: object) -> str:
    """Return a value as the user wrote it, on one line and not too long."""
    text = "null" if value is None else str(value)
    if isinstance(value, bool):
        text = text.lower()
    parts = (char if char.isprintable() else repr(char)[1:-1] for char in text[:61])
    text = "".join(parts)
    return text if len(text) <= 60 else text[:57] + "..."


def _line(fault: Any, model: type[BaseModel], source: Source) -> str:
    facts = fault.get("ctx", {})
    key = _path(fault, source)
    if "key" in facts:
        key = (*key, *str(facts["key"]).split("."))
    name = shown(".".join(key))
    place = source.where(key)
    prefix = f"{place.origin}: {name}: " if name else f"{place.origin}: "
    if fault["type"] == "extra_forbidden":
        return prefix + "unknown key" + nearest(key[-1], _keys(model, key[:-1]))
    if fault["type"] == "missing" and isinstance(fault["loc"][-1], int):
        prefix = f"{place.origin}: {shown('.'.join(key[:-1]))}: "
        rule = f"item {key[-1]} of the list is missing (they count from 0)"
        whole = source.where(key[:-1]).text
        return f"{prefix}{rule}, got {shown(whole or fault['input'])}"
    if fault["type"] == "missing":
        return prefix + "is required"
    got = shown(place.text or fault["input"])
    if "key" in facts and not place.text:
        got = ""
    rule = _rule(fault, facts)
    return f"{prefix}{rule}, got {got}" if got else prefix + rule


def _path(fault: Any, source: Source) -> tuple[str, ...]:
    # pydantic adds the branches of a union to the path: keep what was written
    key: tuple[str, ...] = ()
    loc = fault["loc"]
    for part in loc:
        step = (*key, str(part))
        if isinstance(part, int) or step in source.places or part == loc[-1]:
            key = step
    if fault["type"] == "missing":
        # what is missing was not written, and is no branch
        return key
    if len(key) > 1 and key not in source.places and key[:-1] in source.places:
        whole = source.places[key[:-1]]
        if whole.text:
            return key[:-1]
    return key


def _rule(fault: Any, facts: dict[str, Any]) -> str:
    kind = fault["type"]
    if kind in RULES:
        return RULES[kind].format(**facts)
    if kind == "value_error":
        return str(facts["error"])
    if kind in ("too_long", "too_short"):
        short = kind == "too_short"
        bound = facts["min_length" if short else "max_length"]
        items = "an item" if bound == 1 else f"{bound} items"
        return f"must have at {'least' if short else 'most'} {items}"
    message = str(fault["msg"])
    return message[:1].lower() + message[1:]


def _keys(model: type[BaseModel], section: tuple[str, ...]) -> list[str]:
    current: Any = model
    for name in section:
        field = current.model_fields.get(name)
        current = getattr(field, "annotation", None)
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            return []
    return list(current.model_fields)
