# SPDX-License-Identifier: MIT
"""Two results compared value by value, in bounded memory. No MPI."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcapp.errors import ConfigError, ResultError
from hpcapp.store.reader import open_file, read_attributes
from hpcapp.studies.difference import Difference, Rule
from hpcapp.studies.results import (
    Spread,
    dimensions,
    pieces,
    result_path,
    spread_of,
    variables,
)

__all__ = ["Comparison", "compare_results"]

# variables that are described one by one; more are only counted
SHOWN = 10

# what a text is taken to occupy, to bound what is read at a time
TEXT_BYTES = 256


@dataclass(frozen=True)
class Comparison:
    """The outcome of a comparison.

    Parameters
    ----------
    equal : bool
        Whether the results are the same by the rule that was asked for.
    text : str
        What was compared, or what differs first and by how much.
    """

    equal: bool
    text: str


@dataclass(frozen=True)
class _Side:
    """One of the two files, open."""

    path: str
    variables: dict[str, Any]
    spread: Spread | None

    @classmethod
    def of(cls, path: str, file: Any) -> "_Side":
        return cls(path, variables(file), spread_of(read_attributes(file)))

    def read(self, name: str, box: tuple[slice, ...]) -> np.ndarray:
        try:
            return np.asarray(self.variables[name][box])
        except OSError as error:
            raise ResultError(
                f"{self.path}: {name}: cannot be read: {error}: the file is damaged"
            ) from None

    def owner(self, name: str, index: tuple[int, ...]) -> str:
        """Name the rank that computed a value, where the file tells."""
        spread, variable = self.spread, self.variables[name]
        if spread is None or spread.dealt:
            return ""
        domain = spread.layout.domain
        if (dimensions(variable), variable.shape) != (domain.dims, domain.shape):
            return ""
        return f", rank {spread.layout.owner(index)} of {spread.ranks}"

    def border(self, name: str, index: tuple[int, ...]) -> str:
        """Name the place and the two ranks whose blocks meet there, or return ""."""
        if not self.owner(name, index) or self.spread is None:
            return ""
        layout = self.spread.layout
        rank = layout.owner(index)
        block, names = layout.block(rank), layout.domain.dims
        for axis, (low, high) in enumerate(layout.neighbours(rank)):
            at = index[axis]
            other = low if at == block.start[axis] else None
            if other is None and at == block.stop[axis] - 1:
                other = high
            if other is not None:
                two = " and ".join(str(n) for n in sorted((rank, other)))
                word = ("row", "column")[axis] if len(names) == 2 else names[axis]
                return f"{word} {at}, the border of ranks {two}"
        return ""


def compare_results(a: str, b: str, tolerance: float | None) -> Comparison:
    """Compare all variables of two results, coordinates included.

    Parameters
    ----------
    a, b : str
        Result files, or run directories.
    tolerance : float or None
        None: names, dimensions, shapes, types and every bit must agree; a NaN
        equals one of the same bits, and -0.0 is not 0.0. A number t >= 0: each
        pair of numbers must have abs(a - b) <= t max(abs(a), abs(b)); any two
        NaN are then equal, and so are -0.0 and 0.0. Texts and truth values
        must be the same in both cases. Attributes are not compared: they
        hold times and versions.

    Returns
    -------
    Comparison
        Whether they are equal, in words.

    Raises
    ------
    ConfigError
        If the tolerance is negative or no number.
    ResultError
        If a file is missing, foreign, damaged or holds no variable.
    """
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        raise ConfigError(f"--tolerance: must be a number >= 0, got {tolerance}")
    rule = Rule(tolerance)
    path_a, path_b = result_path(a), result_path(b)
    with open_file(path_a) as file_a, open_file(path_b) as file_b:
        sides = _Side.of(path_a, file_a), _Side.of(path_b, file_b)
        for side in sides:
            if not side.variables:
                raise ResultError(f"{side.path}: holds no variables to compare")
        return _compare(*sides, rule)


def _compare(a: _Side, b: _Side, rule: Rule) -> Comparison:
    faults = _missing(a, b)
    total = Difference()
    common = [name for name in a.variables if name in b.variables]
    for name in common:
        fault = _form(a.variables[name], b.variables[name])
        if fault:
            faults.append(f"{name}: {fault}")
            continue
        found = _data(a, b, name, rule)
        total = total.plus(found)
        if found.differing:
            faults.append(_described(a, b, name, found))
    if not faults:
        return Comparison(True, _equal(len(common), total, rule))
    more = len(faults) - SHOWN
    tail = [f"and {more} more variables"] if more > 0 else []
    head = f"different: A is {a.path}, B is {b.path}"
    return Comparison(False, "\n".join([head, *faults[:SHOWN], *tail]))


def _missing(a: _Side, b: _Side) -> list[str]:
    only_a = [f"{name}: only in A" for name in a.variables if name not in b.variables]
    only_b = [f"{name}: only in B" for name in b.variables if name not in a.variables]
    return only_a + only_b


def _form(a: Any, b: Any) -> str:
    """Return how two variables differ but for their values."""
    for what, x, y in (
        ("dimensions", _names(dimensions(a)), _names(dimensions(b))),
        ("shape", _names(a.shape), _names(b.shape)),
        ("type", _type(a), _type(b)),
    ):
        if x != y:
            return f"{what} {x} in A, {y} in B"
    return ""


def _names(items: Sequence[Any]) -> str:
    return f"({', '.join(map(str, items))})"


def _type(variable: Any) -> str:
    import h5py

    if h5py.check_string_dtype(variable.dtype) is not None:
        return "text"
    if variable.dtype.kind not in "biufcS":
        raise ResultError(
            f"{variable.file.filename}: {variable.name[1:]}: values of type "
            f"{variable.dtype} cannot be compared"
        )
    return str(variable.dtype.str)


def _data(a: _Side, b: _Side, name: str, rule: Rule) -> Difference:
    variable = a.variables[name]
    item = TEXT_BYTES if variable.dtype.kind == "O" else variable.dtype.itemsize
    total = Difference()
    for box in pieces(variable.shape, item):
        found = rule.measure(a.read(name, box), b.read(name, box))
        total = total.plus(found.moved(tuple(part.start for part in box)))
    return total


def _described(a: _Side, b: _Side, name: str, found: Difference) -> str:
    index = found.index
    place = f"[{', '.join(map(str, index))}]" if index else ""
    dims = dimensions(a.variables[name])
    axes = f" ({', '.join(dims)})" if dims else ""
    box = tuple(slice(i, i + 1) for i in index)
    value_a, value_b = (side.read(name, box).reshape(-1)[0] for side in (a, b))
    lines = [
        f"{name}{place}{axes} is the first to differ:",
        *_borders(a, b, name, found),
        f"  A  {show(value_a)}{a.owner(name, index)}",
        f"  B  {show(value_b)}{b.owner(name, index)}",
        f"  {_values(found.differing)} of {found.compared:,} differ{_amount(found)}",
    ]
    return "\n".join(lines)


def _borders(a: _Side, b: _Side, name: str, found: Difference) -> list[str]:
    """Say at which row or column that is, if two ranks meet there."""
    for word, index in (("first", found.index), ("most", found.worst)):
        for side in (b, a) if index else ():
            place = side.border(name, index)
            if place:
                return [f"  differs {word} at {place}"]
    return []


def _values(number: int) -> str:
    return f"{number:,} value{'s' * (number != 1)}"


def _amount(found: Difference) -> str:
    if found.relative is None:
        return ""
    return f", by at most {found.absolute:.3g} absolute, {found.relative:.3g} relative"


def _equal(count: int, total: Difference, rule: Rule) -> str:
    head = f"equal: {count} variable{'s' * (count != 1)}, {_values(total.compared)}, "
    if rule.tolerance is None:
        return head + "same bits"
    return head + f"within {rule.tolerance:g} relative{_amount(total)}"


def show(value: Any) -> str:
    """Return one value such that two that differ look different.

    Parameters
    ----------
    value : object
        An element of an array as h5py gives it.

    Returns
    -------
    str
        17 digits of a float, the bits of a NaN, a text in quotes.
    """
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "backslashreplace"))
    if isinstance(value, np.complexfloating):
        return f"{show(value.real)} + {show(value.imag)} i"
    if isinstance(value, np.floating):
        text = f"{value:.17g}"
        if np.isnan(value):
            bits = int(np.array(value).view(f"u{value.dtype.itemsize}"))
            return f"{text} (bits {bits:#x})"
        return text
    return str(value)
