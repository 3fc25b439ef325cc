# SPDX-License-Identifier: MIT
"""YAML text to plain values, keeping the line and the spelling of every key."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpcapp.errors import ConfigError

__all__ = ["Source", "Where", "parse_override", "parse_yaml", "read_yaml"]

Key = tuple[str, ...]

# a configuration is a page of text: more is a mistake or an attack
SIZE_LIMIT = 1_000_000
DEPTH_LIMIT = 30

COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")

# an unquoted * or & at the start of a value or of an item of a list
_REFERENCE = re.compile(r"((?:^|[\[,])\s*)([*&][^],\s]*)")


@dataclass(frozen=True)
class Where:
    """Where a value was written.

    Parameters
    ----------
    origin : str
        File and line, option or environment variable.
    text : str
        The value as the user wrote it.
    made : bool
        Whether it is a section that only an override inside of it made.
    """

    origin: str
    text: str
    made: bool = False


@dataclass
class Source:
    """A mapping as read, and where each of its keys was written.

    Parameters
    ----------
    name : str
        What errors about the whole call it: the path of the file.
    values : dict
        Plain Python values.
    places : dict
        From key path to `Where`.
    """

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, Where] = field(default_factory=dict)

    def where(self, key: Key) -> Where:
        """Return the place of a key, or of the nearest mapping around it."""
        for length in range(len(key), 0, -1):
            place = self.places.get(key[:length])
            if place and length == len(key):
                return place
            # who sets one key is no place for what is not set beside it
            if place and not place.made:
                return Where(place.origin, "")
        return Where(self.name, "")

    def override(self, key: Key, value: Any, places: Mapping[Key, Where]) -> None:
        """Set one value, with the sections above it made as needed."""
        section = self.values
        for length, part in enumerate(key[:-1], start=1):
            inner = section.get(part)
            if not isinstance(inner, dict):
                inner = section[part] = {}
                self.places[key[:length]] = Where(places[key].origin, "", made=True)
            section = inner
        section[key[-1]] = value
        for old in [place for place in self.places if place[: len(key)] == key]:
            del self.places[old]
        self.places.update(places)


def read_yaml(path: str) -> Source:
    """Read a YAML file.

    Parameters
    ----------
    path : str
        The file, named in messages as given.

    Returns
    -------
    Source
        Its values and their lines.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no YAML mapping, or has a duplicate key.
    """
    try:
        with Path(path).open("rb") as stream:
            raw = stream.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > SIZE_LIMIT:
        raise ConfigError(f"{path}: must be at most {SIZE_LIMIT} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: must be UTF-8 text, got byte {raw[error.start]:#04x} "
            f"at offset {error.start}"
        ) from None
    return parse_yaml(text, path)


def parse_yaml(text: str, name: str) -> Source:
    """Parse YAML 1.2 text, in which 1e-6 is a number and 010 is ten.

    Parameters
    ----------
    text : str
        The document.
    name : str
        What messages call it.

    Returns
    -------
    Source
        Its values and their lines.

    Raises
    ------
    ConfigError
        If the text is no YAML mapping, has a duplicate key, an alias or a tag.
    """
    node = _compose(text, name)
    source = Source(name)
    if node is None:
        return source
    if node.id != "mapping":
        raise ConfigError(f"{name}:{_line(node)}: must be a mapping of keys to values")
    _Reader(source).mapping(node, (), source.values)
    return source


def parse_override(setting: str, option: str) -> tuple[Key, Any, dict[Key, Where]]:
    """Parse ``KEY=VALUE`` of the command line; the value is YAML.

    Parameters
    ----------
    setting : str
        As given, such as ``parameters.tolerance=1e-6``.
    option : str
        The option, for messages.

    Returns
    -------
    key : tuple of str
        The path of the key.
    value : object
        The plain value.
    places : dict
        From the key, and the keys inside of the value, to `Where`.

    Raises
    ------
    ConfigError
        If there is no equals sign, no key, or the value is no YAML.
    """
    name, equals, text = setting.partition("=")
    key = tuple(part.strip() for part in name.split("."))
    if not equals or not all(key):
        raise ConfigError(f"{option} {setting}: must be KEY=VALUE, as in run.threads=2")
    try:
        node = _compose(text, f"{option} {name}")
    except ConfigError:
        if not _REFERENCE.search(text):
            raise
        quoted = _REFERENCE.sub(r'\1"\2"', text.strip())
        raise ConfigError(
            f"{option} {setting}: YAML takes a value that starts with * or & for a "
            f"reference; quote it: {name}='{quoted}'"
        ) from None
    inside = Source(option)
    value = None if node is None else _Reader(inside).value(node, key)
    places = {part: Where(option, at.text) for part, at in inside.places.items()}
    return key, value, {**places, key: Where(option, text.strip())}


def _compose(text: str, name: str) -> Any:
    # ruamel costs 25 ms: only the rank that reads pays for it
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{name}{line}: no valid YAML: {error.problem}") from None
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{name}: no valid YAML: {reason}") from None


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1


class _Reader:
    """Walk of a node tree, since a constructor would drop lines and spellings."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen: set[int] = set()

    def mapping(self, node: Any, key: Key, into: dict[str, Any]) -> None:
        for key_node, value_node in node.value:
            if key_node.id != "scalar" or id(key_node) in self.seen:
                raise self._error(key_node, key, "keys must be plain names")
            inner = (*key, self._text(key_node, key))
            if inner[-1] in into:
                raise self._error(key_node, inner, "duplicate key")
            self._remember(inner, key_node, value_node)
            into[inner[-1]] = self.value(value_node, inner)

    def value(self, node: Any, key: Key) -> Any:
        if id(node) in self.seen:
            # the node itself lies where its anchor is
            at = self.source.where(key[:-1] if key[-1].isdecimal() else key).origin
            name = ".".join(key)
            raise ConfigError(f"{at}: {name}: YAML aliases are not supported")
        self.seen.add(id(node))
        if len(key) > DEPTH_LIMIT:
            raise self._error(node, key[:3], f"nested deeper than {DEPTH_LIMIT} levels")
        if node.id != "scalar" and str(node.tag) not in COLLECTIONS:
            raise self._error(node, key, f"the YAML tag {node.tag} is not supported")
        if node.id == "mapping":
            inner: dict[str, Any] = {}
            self.mapping(node, key, inner)
            return inner
        if node.id == "sequence":
            items = []
            for index, item in enumerate(node.value):
                self._remember((*key, str(index)), item, item)
                items.append(self.value(item, (*key, str(index))))
            return items
        return self._scalar(node, key)

    def _remember(self, key: Key, at: Any, node: Any) -> None:
        text = str(node.value) if node.id == "scalar" else ""
        self.source.places[key] = Where(f"{self.source.name}:{_line(at)}", text)

    def _scalar(self, node: Any, key: Key) -> Any:
        kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
        text = self._text(node, key)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if kind in ("int", "float"):
            try:
                return _number(text)
            except ValueError:
                raise self._error(node, key, f"no number: {text}") from None
        if kind in ("str", "timestamp"):
            return text
        raise self._error(node, key, f"the YAML tag {node.tag} is not supported")

    def _text(self, node: Any, key: Key) -> str:
        text = str(node.value)
        # an escape such as "\ud800" can make half a character, which no file takes
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise self._error(node, key, "must be made of whole Unicode characters")
        return text

    def _error(self, node: Any, key: Key, rule: str) -> ConfigError:
        name = ".".join(key)
        place = f"{self.source.name}:{_line(node)}"
        return ConfigError(f"{place}: {name}: {rule}" if name else f"{place}: {rule}")


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    sign = -1 if plain.startswith("-") else 1
    digits = plain.lstrip("+-")
    bases = {"0x": 16, "0o": 8, "0b": 2}
    if digits[:2].lower() in bases:
        return sign * int(digits[2:], bases[digits[:2].lower()])
    if digits.isdecimal() and digits.isascii():
        # far beyond any count; int() of a longer text would refuse or crawl
        if len(digits) > 40:
            raise ValueError(text)
        return sign * int(digits)
    special = {".inf": float("inf"), ".nan": float("nan")}
    if digits.lower() in special:
        return sign * special[digits.lower()]
    return float(plain)
