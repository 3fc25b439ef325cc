# SPDX-License-Identifier: MIT
"""What of a result is worth a picture, read with a stride so that it stays small."""

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

NUMBERS = "biuf"


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
    """

    label: str
    units: str
    values: np.ndarray


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
    """

    name: str
    label: str
    x: Axis
    y: Axis
    values: Any
    whole: bool


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
    """

    name: str
    label: str
    x: Axis
    rows: Any
    names: tuple[str, ...] = ()
    errors: Any = None
    bins: bool = False


def choose_panels(file: Any) -> list[Image | Curve]:
    """Choose and read what to show of an open file.

    Parameters
    ----------
    file : h5py.File
        A result, or any NetCDF-4 file.

    Returns
    -------
    list of Image or Curve
        The first field and the first curve; without a field, the first two
        curves that do not share their dimensions. Empty if there are only
        numbers and texts.
    """
    known = variables(file)
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
    if variable.ndim != 2 or min(variable.shape) < 2:
        return False
    return min(variable.shape) > ROWS or all(_coordinate(known, dim) for dim in dims)


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
        return Axis(dim, "", np.arange(0, length, step, dtype=float))
    values = np.asarray(variable[::step], float)
    return Axis(_label(variable), _text(variable, "units"), values)


def _image(known: dict[str, Any], name: str, dims: tuple[str, ...]) -> Image:
    variable = known[name]
    (ny, nx), whole = variable.shape, variable.dtype.kind != "f"
    down, across = ceil(ny / MOST), ceil(nx / MOST)
    values = np.empty((ceil(ny / down), ceil(nx / across)))
    if down == across == 1:
        values[...] = variable[...]
    else:
        # whole rows: a stride within a row reads the same pages of the disk, and
        # HDF5 is slow to pick single elements
        for row in range(len(values)):
            values[row] = variable[row * down][::across]
    y, x = (_axis(known, dim, n) for dim, n in zip(dims, (ny, nx), strict=True))
    return Image(name, _label(variable), x, y, np.ma.masked_invalid(values), whole)


def _curve(known: dict[str, Any], name: str, dims: tuple[str, ...]) -> Curve:
    variable = known[name]
    step = ceil(variable.shape[-1] / MOST)
    axis = _axis(known, dims[-1], variable.shape[-1])
    names: tuple[str, ...] = ()
    rows = _rows(variable, step)
    if variable.ndim == 2:
        names = tuple(_row_name(known, dims[0], row) for row in range(len(rows)))
    error, errors = known.get(f"{name}_error"), None
    if error is not None and error.dtype.kind in NUMBERS and dimensions(error) == dims:
        errors = _rows(error, step)
    # a stride leaves bins out: what remains is no histogram
    bins = dims[-1] == "bin" and step == 1 and variable.ndim == 1
    return Curve(name, _label(variable), axis, rows, names, errors, bins)


def _rows(variable: Any, step: int) -> Any:
    rows = np.atleast_2d(np.asarray(variable[..., ::step], float))
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
