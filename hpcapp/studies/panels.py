# SPDX-License-Identifier: MIT
"""What of a result is worth a picture, read with a stride so that it stays small."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np

from hpcapp.studies.results import dimensions, variables

__all__ = ["Axis", "Curve", "Image", "choose_panels"]

# points along an axis that a picture can show
MOST = 1500

# rows of a table that are still readable as curves in one panel
ROWS = 10

# and of one whose workload asks for curves, whatever its rows
FEW = 6

NUMBERS = "biuf"

# a dimension of steps of which the last one is shown
SNAPSHOT = "snapshot"

# CF 1.11, sections 4.1 and 4.2
NORTH = ("degrees_north", "degree_north", "degree_N", "degrees_N")
EAST = ("degrees_east", "degree_east", "degree_E", "degrees_E")

VIEW = "hpcapp_view"
"""Attribute of a variable whose picture its workload has chosen; see `Field.view`."""


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Parameters
    ----------
    label : str
        Meaning and unit.
    units : str
        UDUNITS spelling; "" where the index itself is the axis.
    values : float64[n]
        Coordinates of the points that are shown.
    step : int
        Points from one that is shown to the next.
    """

    label: str
    units: str
    values: np.ndarray
    step: int = 1

    def edge(self, index: int) -> float:
        """Return where the cell of a point begins, halfway from the one before."""
        places = self.step * np.arange(len(self.values))
        at = np.clip(index - 0.5, 0, None)
        inside = float(np.interp(at, places, self.values))
        if 0 < index <= places[-1]:
            return inside
        # beyond the first or the last point by half a spacing
        ends = self.values[:2] if index == 0 else self.values[:-3:-1]
        spacing = (ends[1] - ends[0]) / self.step
        beyond = 0.5 if index == 0 else index - 0.5 - places[-1]
        return float(ends[0] - beyond * spacing)


@dataclass(frozen=True)
class Image:
    """A field over two axes.

    Parameters
    ----------
    name, label : str
        Of the variable; meaning and unit.
    x, y : Axis
        The last and the first dimension.
    values : masked float64[ny, nx]
        What is not finite is masked.
    whole : bool
        Whether the variable holds whole numbers.
    dims : (str, str)
        Names of the first and the last dimension.
    units : str
        UDUNITS spelling.
    point : (float, float) or None
        x and y of a place that other variables are at.
    """

    name: str
    label: str
    x: Axis
    y: Axis
    values: Any
    whole: bool
    dims: tuple[str, str] = ("y", "x")
    units: str = ""
    point: tuple[float, float] | None = None

    @property
    def is_map(self) -> bool:
        """Whether the axes are longitude and latitude."""
        return self.x.units in EAST and self.y.units in NORTH


@dataclass(frozen=True)
class Curve:
    """One or a few lines over one axis.

    Parameters
    ----------
    name, label : str
        Of the variable; meaning and unit.
    x : Axis
        Its last dimension.
    rows : masked float64[k, n]
        A line each.
    names : tuple of str
        Of the lines; () for a single one.
    errors : masked float64[k, n] or None
        Standard errors, from the variable of that name with ``_error`` at its end.
    bins : bool
        Whether these are counts in bins: the last dimension has the name ``bin``.
    power : bool
        Whether power laws are to be seen: logarithmic axes, a line through each row.
    """

    name: str
    label: str
    x: Axis
    rows: Any
    names: tuple[str, ...] = ()
    errors: Any = None
    bins: bool = False
    power: bool = False


def choose_panels(file: Any) -> list[Image | Curve]:
    """Choose and read what to show of an open file.

    Parameters
    ----------
    file : h5py.File
        A result, or any NetCDF-4 file.

    Returns
    -------
    list of Image or Curve
        What has the attribute ``hpcapp_view``, power laws first. Else the first
        field and the first curve; without a field, the first two curves that do
        not share their dimensions. Empty if there are only numbers and texts.
    """
    known = variables(file)
    views = sorted(((_text(known[n], VIEW), n) for n in known), reverse=True)
    wanted: list[Image | Curve] = []
    for view, name in views:
        curve = _curve(known, name, dimensions(known[name])) if view else None
        wanted += [curve] if curve and curve.rows.count() else []
    if wanted:
        return wanted[:2]
    images: list[Image | Curve] = []
    curves: dict[tuple[str, ...], Image | Curve] = {}
    for name, variable in known.items():
        dims = dimensions(variable)
        if variable.dtype.kind not in NUMBERS or dims == (name,):
            continue
        if not images and _is_field(known, variable, dims):
            image = _image(known, name, dims)
            images += [image] if image.values.count() else []
        elif _is_curve(variable) and dims not in curves and len(curves) < 2:
            curve = _curve(known, name, dims)
            curves.update({dims: curve} if curve.rows.count() else {})
    found = list(curves.values())
    return [*images, *found[:1]] if images else found


def _is_field(known: dict[str, Any], variable: Any, dims: tuple[str, ...]) -> bool:
    shape = variable.shape
    if dims[:1] == (SNAPSHOT,):
        shape, dims = shape[1:], dims[1:]
    if len(shape) != 2 or 0 in variable.shape or min(shape) < 2:
        return False
    return min(shape) > ROWS or all(_coordinate(known, dim) for dim in dims)


def _is_curve(variable: Any) -> bool:
    if variable.ndim == 0 or variable.ndim > 2 or variable.shape[-1] < 2:
        return False
    return bool(variable.ndim == 1 or 1 <= variable.shape[0] <= ROWS)


def _coordinate(known: dict[str, Any], dim: str) -> Any:
    """Return a dimension's numeric coordinate variable, or None."""
    variable = known.get(dim)
    if variable is None or variable.dtype.kind not in NUMBERS or variable.ndim != 1:
        return None
    return variable


def _axis(known: dict[str, Any], dim: str, length: int) -> Axis:
    variable, step = _coordinate(known, dim), ceil(length / MOST)
    if variable is None:
        return Axis(dim, "", np.arange(0, length, step, dtype=float), step)
    values, units = np.asarray(variable[::step], float), _text(variable, "units")
    years = _years(values, units, _text(variable, "calendar"))
    if years is not None:
        return Axis("year", units, years, step)
    return Axis(_label(variable), units, values, step)


def _years(values: np.ndarray, units: str, calendar: str) -> np.ndarray | None:
    """Return times as years with a fraction, None if they are no times of CF."""
    if " since " not in units:
        return None
    import cftime

    try:
        dates = cftime.num2date(values, units, calendar or "standard")
    except (ValueError, OverflowError):
        return None
    return np.array([d.year + (d.dayofyr - 1 + d.hour / 24) / 365.25 for d in dates])


def _image(known: dict[str, Any], name: str, dims: tuple[str, ...]) -> Image:
    variable = known[name]
    *_, ny, nx = variable.shape
    down, across = ceil(ny / MOST), ceil(nx / MOST)
    values = np.empty((ceil(ny / down), ceil(nx / across)))
    for at, band in _bands(variable, down):
        # whole rows: a stride within a row reads the same pages of the disk, and
        # HDF5 is slow to pick single elements
        values[at : at + len(band)] = band[:, ::across]
    y, x = (_axis(known, dim, n) for dim, n in zip(dims[-2:], (ny, nx), strict=True))
    return Image(
        name,
        _label(variable),
        x,
        y,
        np.ma.masked_invalid(values),
        variable.dtype.kind != "f",
        (dims[-2], dims[-1]),
        _text(variable, "units"),
        _place(known),
    )


def _bands(variable: Any, down: int) -> Iterator[tuple[int, np.ndarray]]:
    """Give every `down`-th row of a field, or of its last snapshot, in pieces."""
    rows = variable.shape[-2]
    # a row of a chunk costs as much as the chunk: all that are wanted of it at once
    chunk = variable.chunks[-2] if variable.chunks else 1
    height = max(chunk, down if down > 1 else ceil(rows / 8))
    last = (-1,) if variable.ndim == 3 else ()
    for begin in range(0, rows, height):
        first = ceil(begin / down)
        wanted = range(first * down, min(begin + height, rows), down)
        if not wanted:
            continue
        if variable.chunks is None and down > 1:
            found = [variable[(*last, row)] for row in wanted]
            yield first, np.asarray(found)
        else:
            band = variable[(*last, slice(wanted[0], wanted[-1] + 1))]
            yield first, band[::down]


def _place(known: dict[str, Any]) -> tuple[float, float] | None:
    """Return longitude and latitude of a place that the file speaks of."""
    found = {}
    for variable in known.values():
        if variable.ndim == 0 and variable.dtype.kind == "f":
            found[_text(variable, "standard_name")] = float(variable[()])
    if {"longitude", "latitude"} <= set(found):
        return found["longitude"], found["latitude"]
    return None


def _curve(known: dict[str, Any], name: str, dims: tuple[str, ...]) -> Curve:
    variable = known[name]
    view = _text(variable, VIEW)
    power = view == "power law"
    step = ceil(variable.shape[-1] / MOST)
    axis = _axis(known, dims[-1], variable.shape[-1])
    names: tuple[str, ...] = ()
    rows = _rows(variable, step)[: FEW if view else ROWS]
    if variable.ndim == 2:
        names = tuple(_row_name(known, dims[0], row) for row in range(len(rows)))
    error, errors = known.get(f"{name}_error"), None
    if error is not None and error.dtype.kind in NUMBERS and dimensions(error) == dims:
        errors = _rows(error, step)
    # a stride leaves bins out: what remains is no histogram
    bins = dims[-1] == "bin" and step == 1 and variable.ndim == 1
    if power:
        rows = np.ma.masked_less_equal(rows, 0)
    return Curve(name, _label(variable), axis, rows, names, errors, bins, power)


def _rows(variable: Any, step: int) -> Any:
    # of a table with many rows the first ones
    few = variable[:ROWS, ::step] if variable.ndim == 2 else variable[::step]
    rows = np.atleast_2d(np.asarray(few, float))
    return np.ma.masked_invalid(rows)


def _row_name(known: dict[str, Any], dim: str, row: int) -> str:
    labels = known.get(dim)
    if labels is None or labels.ndim != 1:
        return f"{dim} {row}"
    value = labels[row]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _label(variable: Any) -> str:
    name = variable.name.rpartition("/")[2]
    label = _text(variable, "long_name") or name
    units = _text(variable, "units")
    return label if units in ("", "1") else f"{label} ({units})"


def _text(variable: Any, attribute: str) -> str:
    value = variable.attrs.get(attribute, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
