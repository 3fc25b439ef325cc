# SPDX-License-Identifier: MIT
"""Writing of a result by all ranks, against bare ways to write the same bytes.

Every line begins with nothing left to write (sync) and ends with the data on the disk
(fsync). The lines of a writer's name are the writer alone, into a file that is laid
out: what `Write_all`, `Write` (both with the hints that make them fast) and `pwrite` of
the same blocks are compared with; *hdf5* and *netcdf* with scripts of ten lines. *save*
is all of `hpcapp.store.save.save` with that writer: laying out the NetCDF-4 file, data,
checksum, attributes, fsync, rename; *save checkpoint* is direct with a manifest
of checksums. *tofile* is ``ndarray.tofile`` of one process;
*to_netcdf* is xarray's. Each file is new; the order of trials changes.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from hpcapp.checksum import checksum_array
from tests.benchmarks.jobs import ROOT, Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample, interleave, timed

__all__ = ["fill", "measure"]

HERE = Path(__file__).resolve().parent

# ranks that share cores, and the ways in which they write
CROWD, BARE = 16, ("direct", "Write_all", "Write", "pwrite")


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
    """Measure a grid of 2.1 GB, 8 MB if it must be quick.

    Parameters
    ----------
    quick : bool
        A small grid, 2 ranks.

    Returns
    -------
    Report
        Seconds and GB/s.
    """
    side, repeats, counts = (1000, 1, (2,)) if quick else (16384, 2, (2, 4, CROWD))
    size = 8 * side**2
    report = Report(
        "io",
        f"{side} x {side} float64, {size / 1e9:.2f} GB, to a new file, fsync included",
        ("how", "ranks", "median s", "GB/s", "best GB/s", "spread"),
    )
    # beside the results, on the disk that they go to, not in a file system in memory
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    found = {}
    with tempfile.TemporaryDirectory(dir=results) as folder:
        whole = fill((0, 0), (side, side), side)
        alone = interleave(_alone(whole, folder), repeats)
        for name, sample in alone.items():
            _row(report, name, 1, sample, size)
        expected = f"{checksum_array(whole):016x}"
        del whole
        # all numbers of ranks in turn: they are compared with one another
        seconds: dict[int, dict[str, list[float]]] = {ranks: {} for ranks in counts}
        for _ in range(repeats):
            for ranks in counts:
                _measure_ranks(seconds[ranks], ranks, folder, side)
                _check(report, ranks, folder, expected, seconds[ranks])
        for ranks, ways in seconds.items():
            found[ranks] = {name: Sample(tuple(ways[name])) for name in ways}
            for name, sample in found[ranks].items():
                _row(report, name, ranks, sample, size)
    if not quick:
        _require(report, found)
    return report


def _require(report: Report, found: dict[int, dict[str, Sample]]) -> None:
    """Compare with the best bare way, by best times: a shared machine adds to them."""
    for ranks in (2, 4):
        samples = found[ranks]
        bare = {name: samples[name].low for name in BARE[1:]}
        best = min(bare, key=lambda name: bare[name])
        pairs = [("direct", best, 0.9)]
        pairs += [("hdf5", "bare h5py", 0.8), ("netcdf", "bare netCDF4", 0.8)]
        for name, other, least in pairs:
            if name in samples and other in samples:
                share = samples[other].low / samples[name].low
                text = f"{name} on {ranks} ranks: {share:.2f} of {other}, >= {least}"
                report.requirements.append(Statement(text, share >= least))
    ratio = found[CROWD]["direct"].low / found[4]["direct"].low
    text = f"direct: 16 ranks take {ratio:.2f} times what 4 take, <= 1.3"
    report.requirements.append(Statement(text, ratio <= 1.3))


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
    seconds: dict[str, list[float]], ranks: int, folder: str, side: int
) -> None:
    """Write twice in each way, and add the seconds to those of earlier jobs."""
    ways = BARE if ranks == CROWD else ()
    script = [str(HERE / "writing_rank.py"), folder, str(side), "2", *ways]
    for name, entry in json.loads(Job(ranks, script).run()).items():
        seconds.setdefault(name, []).extend(entry)


def _check(
    report: Report, ranks: int, folder: str, expected: str, names: Iterable[str]
) -> None:
    """Read what was written back, and remove it."""
    import h5py

    for name in names:
        path = Path(folder, f"{name}.nc")
        if name.startswith("save "):
            with h5py.File(path) as file:
                read = f"{checksum_array(file['u'][...]):016x}"
                noted = file["u"].attrs["hpcapp_checksum"]
            noted = noted.decode() if isinstance(noted, bytes) else str(noted)
            text = f"{name} on {ranks} ranks: checksum as read {read}, as noted {noted}"
            report.checks.append(Statement(text, read == noted == expected))
        path.unlink()


def _row(report: Report, name: str, ranks: int, sample: Sample, size: int) -> None:
    rate, best = size / sample.median / 1e9, size / sample.low / 1e9
    report.rows.append((name, ranks, sample.median, rate, best, sample.spread))
