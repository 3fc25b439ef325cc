# SPDX-License-Identifier: MIT
"""A checkpoint of a large grid, against raw writes of the same bytes by the same ranks.

Each way begins with an empty queue of the disk (sync, then half a second) and ends with
the bytes on the disk (fsync): the raw ones fsync their file, a checkpoint also its
manifest and the folder. Every round has another order; the first does not count.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

from hpcapp.checksum import checksum_array
from tests.benchmarks.jobs import ROOT, Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample
from tests.benchmarks.writing import fill

__all__ = ["measure"]

RAW = ("Write_all", "Write", "pwrite")
SAVE = "save checkpoint"

# times the best raw write that a checkpoint may take
MOST = 1.3


def measure(quick: bool) -> Report:
    """Measure a grid of 0.54 GB on 2 ranks, 8 MB if it must be quick.

    Parameters
    ----------
    quick : bool
        A small grid.

    Returns
    -------
    Report
        Seconds and GB/s.
    """
    side, repeats = (1000, 1) if quick else (8192, 7)
    size = 8 * side**2
    report = Report(
        "checkpoint",
        f"{side} x {side} float64, {size / 1e9:.2f} GB, to a new file by 2 ranks, "
        "fsync included",
        ("how", "median s", "GB/s", "best s", "spread"),
    )
    script = str(Path(__file__).with_name("writing_rank.py"))
    results = ROOT / "results"
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results) as folder:
        job = Job(2, [script, folder, str(side), str(repeats), SAVE, *RAW])
        found = {name: Sample(tuple(s)) for name, s in json.loads(job.run()).items()}
        report.checks.append(_check(Path(folder, f"{SAVE}.nc"), side))
    for name, sample in found.items():
        rate = size / sample.median / 1e9
        report.rows.append((name, sample.median, rate, sample.low, sample.spread))
    if not quick:
        for word, seconds in (
            ("median", {name: found[name].median for name in found}),
            ("best", {name: found[name].low for name in found}),
        ):
            best = min(RAW, key=lambda name: seconds[name])
            share = seconds[SAVE] / seconds[best]
            text = f"by {word} times: {share:.2f} of {best}, <= {MOST}"
            report.requirements.append(Statement(text, share <= MOST))
    return report


def _check(path: Path, side: int) -> Statement:
    """Read the checkpoint back and compare it with what was to be written."""
    import h5py

    with h5py.File(path) as file:
        same = bool(np.array_equal(file["u"][...], fill((0, 0), (side, side), side)))
        noted = file["u"].attrs["hpcapp_checksum"]
    noted = noted.decode() if isinstance(noted, bytes) else str(noted)
    expected = f"{checksum_array(fill((0, 0), (side, side), side)):016x}"
    return Statement(
        f"every value is read back; checksum {noted}", same and noted == expected
    )
