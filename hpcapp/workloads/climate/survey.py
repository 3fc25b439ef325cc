# SPDX-License-Identifier: MIT
"""Whether files belong together, found out on one rank before anything is written."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpcapp.errors import ConfigError
from hpcapp.workloads.climate.inputs import (
    KEY,
    Decoder,
    Header,
    Survey,
    opened,
    read_header,
)

__all__ = ["survey"]

# values looked at at a time in search of one that is not missing
PIECE = 1 << 22


def survey(paths: Sequence[str], name: str) -> Survey:
    """Look at all files, on one rank.

    Parameters
    ----------
    paths : sequence of str
        In the order of time.
    name : str
        The variable.

    Returns
    -------
    Survey
        Which times are in which file.

    Raises
    ------
    ConfigError
        If a file cannot be read, the files do not belong together, the time is not
        increasing, or no value is there at all.
    """
    first = read_header(paths[0], name)
    times, years, starts = [], [], [0]
    last = -np.inf
    for path in paths:
        header = first if path == first.path else read_header(path, name)
        _check_alike(first, header, name)
        time, found = _decode(first, header)
        steps = np.diff(time, prepend=last)
        if not (steps > 0).all():
            at = int(np.argmin(steps > 0))
            raise ConfigError(
                f"{path}: {header.dims[0]}: must increase, within files and from one "
                f"to the next, got {time[at]:g} {first.time_units} after "
                f"{time[at - 1] if at else last:g}",
                key=KEY,
            )
        last = time[-1]
        times.append(time)
        years.append(found)
        starts.append(starts[-1] + len(time))
    _check_values(paths, name)
    return Survey(
        tuple(paths), tuple(starts), np.concatenate(times), np.concatenate(years)
    )


def _check_alike(first: Header, other: Header, name: str) -> None:
    what = {
        "latitudes": np.array_equal(first.lat, other.lat),
        "longitudes": np.array_equal(first.lon, other.lon),
    }
    for axis, same in what.items():
        if not same:
            raise ConfigError(
                f"{other.path}: {name}: must be on the grid of {first.path}, but has "
                f"other {axis}",
                key=KEY,
            )
    pairs = {
        "calendar": (first.calendar, other.calendar),
        "units": (first.units, other.units),
    }
    for attribute, (wanted, got) in pairs.items():
        if _same(wanted) != _same(got):
            raise ConfigError(
                f"{other.path}: {name}: must have the {attribute} {wanted!r} as "
                f"{first.path}, got {got!r}",
                key=KEY,
            )


def _same(text: str) -> str:
    # CF 1.11, section 4.4.1: two names of one calendar
    return "standard" if text == "gregorian" else text


def _decode(
    first: Header, header: Header
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return times in the units of the first file, and their years."""
    import cftime

    try:
        dates = cftime.num2date(header.time, header.time_units, header.calendar)
        time = header.time
        if header.time_units != first.time_units:
            time = cftime.date2num(dates, first.time_units, first.calendar)
    except (ValueError, OverflowError) as error:
        raise ConfigError(
            f"{header.path}: {header.dims[0]}: cannot be decoded as CF time "
            f"({header.time_units!r}, calendar {header.calendar!r}): {error}",
            key=KEY,
        ) from None
    years = np.array([date.year for date in np.atleast_1d(dates)], np.int64)
    return np.asarray(time, np.float64), years


def _check_values(paths: Sequence[str], name: str) -> None:
    """Refuse files that end early, and a variable without any value."""
    something = False
    for path in paths:
        with opened(path) as file:
            variable = file[name]
            decoder = Decoder(variable)
            decoder(variable[-1:, -1:, -1:])
            times, *plane = variable.shape
            step = max(1, PIECE // (plane[0] * plane[1]))
            for at in range(0, 0 if something else times, step):
                if not np.isnan(decoder(variable[at : at + step])).all():
                    something = True
                    break
    if not something:
        raise ConfigError(
            f"{paths[0]}: {name}: has only missing values"
            + (f", as in the other {len(paths) - 1} files" if len(paths) > 1 else ""),
            key=KEY,
        )
