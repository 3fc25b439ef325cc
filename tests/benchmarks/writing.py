# SPDX-License-Identifier: MIT
"""Writing of a result by all ranks, against one process that writes the same bytes.

Every line ends with the data on the disk (fsync). *direct* and *gather* are
`hpcapp.store.save.save`, from the call to its return on the slowest rank: laying out
the NetCDF-4 file, data, checksum, attributes, fsync, rename. *tofile* is
``ndarray.tofile`` of one process; *to_netcdf* is xarray's, with its default engine and
an fsync after it. Each file is new.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.jobs import ROOT, Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample, interleave, timed

__all__ = ["fill", "measure"]

HERE = Path(__file__).resolve().parent


def fill(start: tuple[int, ...], stop: tuple[int, ...], side: int) -> np.ndarray:
    """Return a block of the grid that is written: every value is another.

    Parameters
    ----------
    start, stop : (int, int)
        Global indices.
    side : int
        Points along each axis.

    Returns
    -------
    float64[stop - start]
        side * j + i.
    """
    j = np.arange(start[0], stop[0], dtype=np.float64)
    i = np.arange(start[1], stop[1], dtype=np.float64)
    return side * j[:, np.newaxis] + i


def measure(quick: bool) -> Report:
    """Measure a grid of 0.54 GB, 8 MB if it must be quick.

    Parameters
    ----------
    quick : bool
        A small grid, 2 ranks.

    Returns
    -------
    Report
        Seconds and GB/s.
    """
    side, repeats, counts = (1000, 1, (2,)) if quick else (8192, 5, (2, 4))
    size = 8 * side**2
    report = Report(
        "io",
        f"{side} x {side} float64, {size / 1e9:.2f} GB, to a new file, fsync included",
        ("how", "ranks", "median s", "GB/s", "best GB/s", "spread"),
    )
    # beside the results, on the disk that they go to, not in a file system in memory
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results) as folder:
        whole = fill((0, 0), (side, side), side)
        alone = interleave(_alone(whole, folder), repeats)
        for name, sample in alone.items():
            _row(report, name, 1, sample, size)
        for ranks in counts:
            _measure_ranks(report, ranks, folder, whole, repeats)
    return report


def _alone(whole: np.ndarray, folder: str) -> dict[str, Callable[[], float]]:
    import xarray

    def to_file() -> None:
        path = os.path.join(folder, "bytes")
        with open(path, "wb") as file:
            whole.tofile(file)
            os.fsync(file.fileno())

    def to_netcdf() -> None:
        path = os.path.join(folder, "xarray.nc")
        xarray.Dataset({"u": (("y", "x"), whole)}).to_netcdf(path)
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)

    def fresh(name: str, action: Callable[[], None]) -> Callable[[], float]:
        def run() -> float:
            Path(folder, name).unlink(missing_ok=True)
            return timed(action)()

        return run

    return {
        "tofile": fresh("bytes", to_file),
        "to_netcdf": fresh("xarray.nc", to_netcdf),
    }


def _measure_ranks(
    report: Report, ranks: int, folder: str, whole: np.ndarray, repeats: int
) -> None:
    import h5py

    from hpcapp.checksum import checksum_array

    side = len(whole)
    script = [str(HERE / "writing_rank.py"), folder, str(side), str(repeats)]
    found = json.loads(Job(ranks, script).run())
    expected = f"{checksum_array(whole):016x}"
    for name, entry in found.items():
        sample = Sample(tuple(entry["seconds"]))
        _row(report, name, ranks, sample, whole.nbytes)
        with h5py.File(os.path.join(folder, f"{name}.nc")) as file:
            read = f"{checksum_array(file['u'][...]):016x}"
            noted = file["u"].attrs["hpcapp_checksum"]
        noted = noted.decode() if isinstance(noted, bytes) else str(noted)
        text = f"{name} on {ranks} ranks: checksum as read {read}, as noted {noted}"
        report.checks.append(Statement(text, read == noted == expected))


def _row(report: Report, name: str, ranks: int, sample: Sample, size: int) -> None:
    rate, best = size / sample.median / 1e9, size / sample.low / 1e9
    report.rows.append((name, ranks, sample.median, rate, best, sample.spread))
