# SPDX-License-Identifier: MIT
"""NetCDF input: what files say of a variable, and blocks of its values.

Files are opened by each rank that reads with the ordinary serial library, which needs
no MPI and reads NetCDF-4 and classic NetCDF.
"""

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcapp.errors import ConfigError
from hpcapp.workloads.climate.classic import classic_length

__all__ = [
    "KEY",
    "Decoder",
    "Header",
    "Survey",
    "find_files",
    "opened",
    "read_block",
    "read_header",
]

KEY = "parameters.inputs"

# CF 1.11, sections 4.1 and 4.2
NORTH = ("degrees_north", "degree_north", "degree_N", "degrees_N", "degreeN")
EAST = ("degrees_east", "degree_east", "degree_E", "degrees_E", "degreeE")


@dataclass(frozen=True)
class Header:
    """What a file says of the variable, without its values.

    Parameters
    ----------
    path : str
        The file.
    dims : tuple of str
        Names of time, latitude and longitude there.
    lat, lon : float64[n]
        Coordinates, degrees.
    time : float64[t]
        As stored.
    time_units, calendar : str
        Of the time.
    units, long_name, standard_name : str
        Of the variable; "" if not given.
    """

    path: str
    dims: tuple[str, ...]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    time: NDArray[np.float64]
    time_units: str
    calendar: str
    units: str
    long_name: str
    standard_name: str


@dataclass(frozen=True)
class Survey:
    """All files one behind the other; plain data that travels between ranks.

    Parameters
    ----------
    paths : tuple of str
        In order of time.
    starts : tuple of int
        Index of the first time of each file, and the number of times.
    time : float64[t]
        In the units of the first file.
    years : int64[t]
        Calendar year of each time.
    """

    paths: tuple[str, ...]
    starts: tuple[int, ...]
    time: NDArray[np.float64]
    years: NDArray[np.int64]


def find_files(patterns: Sequence[str]) -> list[str]:
    """Return the files that names and globs mean; globs are sorted.

    Parameters
    ----------
    patterns : sequence of str
        Paths, in which ``*``, ``?`` and ``[...]`` stand for other characters.

    Returns
    -------
    list of str
        In the order given.

    Raises
    ------
    ConfigError
        If a glob matches nothing, or a file stands there twice.
    """
    found: list[str] = []
    for pattern in patterns:
        names = sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
        if not names:
            raise ConfigError(f"no file matches {pattern}", key=KEY)
        found += names
    for name in found:
        if found.count(name) > 1:
            raise ConfigError(f"must name each file once, got {name} twice", key=KEY)
    return found


@contextmanager
def opened(path: str) -> Iterator[Any]:
    """Open a file for reading stored values; an error of the library names it.

    Parameters
    ----------
    path : str
        The file.

    Yields
    ------
    netCDF4.Dataset
        Gives values as they are stored.

    Raises
    ------
    ConfigError
        If it is no NetCDF file, or what is read from it is damaged.
    """
    import netCDF4

    if not os.path.exists(path):
        raise ConfigError(f"{path}: no such file", key=KEY)
    try:
        file = netCDF4.Dataset(path)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read as NetCDF, foreign or truncated: "
            f"{error.strerror or error}",
            key=KEY,
        ) from None
    try:
        file.set_auto_maskandscale(False)
        if file.data_model.startswith("NETCDF3"):
            missing = classic_length(path) - os.path.getsize(path)
            if missing > 0:
                raise OSError(f"{missing} bytes are missing at its end")
        yield file
    except (OSError, RuntimeError) as error:
        # what the library says of values that it cannot read
        raise ConfigError(f"{path}: damaged or truncated: {error}", key=KEY) from None
    finally:
        file.close()


def read_header(path: str, name: str) -> Header:
    """Read what a file says of a variable.

    Parameters
    ----------
    path : str
        The file.
    name : str
        The variable.

    Returns
    -------
    Header
        Everything but the values.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks the variable, or the variable is not over
        time, latitude and longitude as CF describes them.
    """
    with opened(path) as file:
        if name not in file.variables:
            numeric = [n for n, v in file.variables.items() if v.ndim == 3]
            raise ConfigError(
                f"{path}: has no variable {name}; those of three dimensions: "
                f"{', '.join(numeric) or 'none'}",
                key="parameters.variable",
            )
        variable = file[name]
        if variable.ndim != 3 or not _is_number(variable):
            raise ConfigError(
                f"{path}: {name}: must be numbers over (time, lat, lon), got "
                f"{variable.dtype} over ({', '.join(variable.dimensions)})",
                key="parameters.variable",
            )
        time, lat, lon = (_coordinate(file, path, d) for d in variable.dimensions)
        _check_axes(path, time, lat, lon)
        return Header(
            path=path,
            dims=variable.dimensions,
            lat=np.asarray(lat[:], np.float64),
            lon=np.asarray(lon[:], np.float64),
            time=np.asarray(time[:], np.float64),
            time_units=_text(time, "units"),
            calendar=_text(time, "calendar") or "standard",
            units=_text(variable, "units"),
            long_name=_text(variable, "long_name"),
            standard_name=_text(variable, "standard_name"),
        )


def _is_number(variable: Any) -> bool:
    return isinstance(variable.dtype, np.dtype) and variable.dtype.kind in "iuf"


def _text(variable: Any, attribute: str) -> str:
    return str(getattr(variable, attribute, "")).strip()


def _coordinate(file: Any, path: str, dim: str) -> Any:
    found = file.variables.get(dim)
    if found is None or found.ndim != 1 or not _is_number(found) or not len(found):
        raise ConfigError(
            f"{path}: {dim}: must have values, and a coordinate variable of that name",
            key=KEY,
        )
    return found


def _check_axes(path: str, time: Any, lat: Any, lon: Any) -> None:
    rules = (
        (time, re.search(r"\bsince\b", _text(time, "units")), "days since 1850-01-01"),
        (lat, _is_axis(lat, "latitude", NORTH), NORTH[0]),
        (lon, _is_axis(lon, "longitude", EAST), EAST[0]),
    )
    for variable, good, example in rules:
        if not good:
            raise ConfigError(
                f"{path}: {variable.name}: must have CF units such as {example!r} "
                f"(dimensions in the order time, latitude, longitude), got "
                f"{_text(variable, 'units')!r}",
                key=KEY,
            )


def _is_axis(variable: Any, standard: str, units: Sequence[str]) -> bool:
    return (
        _text(variable, "units") in units
        or _text(variable, "standard_name") == standard
    )


class Decoder:
    """From what is stored to float64, NaN where missing; CF 1.11, sections 2.5.1, 8.1.

    Parameters
    ----------
    variable : netCDF4.Variable
        Packed or not.
    """

    def __init__(self, variable: Any) -> None:
        marks = (getattr(variable, n, None) for n in ("_FillValue", "missing_value"))
        self._missing = [
            m for mark in marks if mark is not None for m in np.ravel(mark)
        ]
        self._factor = float(getattr(variable, "scale_factor", 1.0))
        self._offset = float(getattr(variable, "add_offset", 0.0))

    def __call__(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values."""
        values = np.asarray(stored, np.float64)
        if self._factor != 1 or self._offset != 0:
            values = values * self._factor + self._offset
        for mark in self._missing:
            values[stored == mark] = np.nan
        return values


def read_block(
    known: Survey, name: str, times: tuple[int, int], box: tuple[slice, ...]
) -> NDArray[np.float64]:
    """Read some times of a part of the grid, across files.

    Parameters
    ----------
    known : Survey
        Which times are where.
    name : str
        The variable.
    times : (int, int)
        First time, and one past the last.
    box : (slice, slice)
        Latitudes and longitudes.

    Returns
    -------
    float64[times, lat, lon]
        NaN where a value is missing.

    Raises
    ------
    ConfigError
        If a file is damaged.
    """
    begin, end = times
    shape = (end - begin, *(s.stop - s.start for s in box))
    values = np.empty(shape)
    for path, start, stop in zip(
        known.paths, known.starts, known.starts[1:], strict=False
    ):
        a, b = max(begin, start), min(end, stop)
        if a < b:
            with opened(path) as file:
                variable = file[name]
                stored = variable[(slice(a - start, b - start), *box)]
                values[a - begin : b - begin] = Decoder(variable)(stored)
    return values
