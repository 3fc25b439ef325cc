# SPDX-License-Identifier: MIT
"""Files for the workloads that read some: enough for runs of some seconds."""

from pathlib import Path

import numpy as np

from tests.benchmarks.jobs import ROOT

__all__ = ["make_inputs"]

# books, and months of a grid
BOOKS = 200
SHAPE = (9600, 48, 96)


def make_inputs(name: str, folder: Path) -> None:
    """Write what a workload reads.

    Parameters
    ----------
    name : str
        Of the workload; most read nothing.
    folder : Path
        Is made where there is anything to write.
    """
    if name == "words":
        folder.mkdir()
        _write_books(folder)
    if name == "climate":
        folder.mkdir()
        _write_months(folder / "tas.nc")


def _write_books(folder: Path) -> None:
    """Write books that are different pieces of one."""
    lines = (ROOT / "data" / "corpus" / "one.txt").read_text("utf-8").splitlines()
    for book in range(BOOKS):
        text = "\n".join([*lines[3 * book :], f"book{book}"])
        (folder / f"{book:03d}.txt").write_text(text, "utf-8")


def _write_months(path: Path) -> None:
    """Write monthly temperatures without a law, so that every sum is another."""
    import netCDF4

    times, lats, lons = SHAPE
    dice = np.random.default_rng(1)
    with netCDF4.Dataset(path, "w") as file:
        axes = {
            "time": (30.0 * np.arange(times), "days since 1800-01-01"),
            "lat": (-90 + 180 / lats * (np.arange(lats) + 0.5), "degrees_north"),
            "lon": (360 / lons * np.arange(lons), "degrees_east"),
        }
        for axis, (values, units) in axes.items():
            file.createDimension(axis, len(values))
            variable = file.createVariable(axis, "f8", (axis,))
            variable.units, variable[:] = units, values
        file["time"].calendar = "360_day"
        tas = file.createVariable("tas", "f4", ("time", "lat", "lon"))
        tas.units = "K"
        tas[:] = 280 + 20 * dice.random(SHAPE, np.float32)
