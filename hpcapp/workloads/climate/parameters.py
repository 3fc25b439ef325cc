# SPDX-License-Identifier: MIT
"""Parameters of the workload `climate`."""

from typing import Annotated

from pydantic import Field

from hpcapp.config import Model, PathText, Real, parameter

__all__ = ["Parameters", "Point"]

Inputs = Annotated[tuple[PathText, ...], Field(min_length=1)]


class Point(Model):
    """A place on the globe."""

    lon: Real = parameter(
        18.1, "longitude, modulo 360", "degrees_east", ge=-360, le=360
    )
    lat: Real = parameter(59.3, "latitude", "degrees_north", ge=-90, le=90)


class Parameters(Model):
    """What is read and which means are taken."""

    inputs: Inputs = parameter(
        ("data/climate/tas*.nc",),
        "NetCDF files and globs of them, in the order of time",
        "",
    )
    variable: str = parameter(
        "tas", "a variable over time, latitude and longitude", "", min_length=1
    )
    point: Point = parameter(
        Point(), "place of point_series: the nearest grid point is taken", ""
    )
    units: str | None = parameter(
        None, "of the result, such as degC; null: as in the inputs", ""
    )
