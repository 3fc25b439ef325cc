# SPDX-License-Identifier: MIT
"""Makes data/climate: three years of monthly temperatures that a formula gives.

``python data/make_climate.py`` in the top folder. Values are no climate: a mean that
falls from the equator, seasons, a wave, a trend. Some are missing, and the last file
counts its days from another date, as files from different sources do.
"""

from pathlib import Path

import cftime
import netCDF4
import numpy as np

FOLDER = Path(__file__).parent / "climate"
LAT = -90 + 180 / 16 * (np.arange(16) + 0.5)
LON = 360 / 32 * np.arange(32)
SINCE = {
    2001: "days since 1850-01-01",
    2002: "days since 1850-01-01",
    2003: "hours since 2000-01-01",
}


def temperature(year: int) -> np.ndarray:
    """Return kelvin over (time, lat, lon), float32, in steps of 1/32 K."""
    month = np.arange(12)[:, np.newaxis, np.newaxis]
    lat = np.deg2rad(LAT)[np.newaxis, :, np.newaxis]
    lon = np.deg2rad(LON)[np.newaxis, np.newaxis, :]
    season = -20 * np.sin(lat) * np.cos(2 * np.pi * (month - 0.5) / 12)
    value = 299 - 48 * np.sin(lat) ** 2 + season + 4 * np.cos(lat) * np.sin(2 * lon)
    value = value + 0.5 * (year - 2002)
    return (np.round(32 * value) / 32).astype(np.float32)


def write(year: int) -> None:
    """Write the file of a year."""
    values = temperature(year)
    # a station that starts late, and one that is never there
    if year == 2001:
        values[:5, 10, 7] = np.nan
    values[:, 3, 20] = np.nan
    dates = [cftime.datetime(year, m, 16, calendar="noleap") for m in range(1, 13)]
    with netCDF4.Dataset(FOLDER / f"tas{year}.nc", "w") as file:
        file.Conventions = "CF-1.11"
        file.title = "temperatures that a formula gives, for tests"
        file.createDimension("time", None)
        file.createDimension("lat", len(LAT))
        file.createDimension("lon", len(LON))
        time = file.createVariable("time", "f8", ("time",))
        time.units, time.calendar = SINCE[year], "noleap"
        time.standard_name, time.axis = "time", "T"
        for name, axis, standard, units, values_of in (
            ("lat", "Y", "latitude", "degrees_north", LAT),
            ("lon", "X", "longitude", "degrees_east", LON),
        ):
            variable = file.createVariable(name, "f8", (name,))
            variable.standard_name, variable.units = standard, units
            variable.axis = axis
            variable[:] = values_of
        tas = file.createVariable(
            "tas", "f4", ("time", "lat", "lon"), zlib=True, fill_value=1e20
        )
        tas.units, tas.standard_name = "K", "air_temperature"
        tas.long_name, tas.cell_methods = "near-surface air temperature", "time: mean"
        time[:] = cftime.date2num(dates, time.units, "noleap")
        tas[:] = np.ma.masked_invalid(values)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for number in SINCE:
        write(number)
