# SPDX-License-Identifier: MIT
"""Start-up: from the launch of mpirun to the end of the first step.

*hpcapp*: ``mpirun -np N python -m hpcapp run configs/small/laplace.yaml`` cut to one
sweep. The clock starts just before mpirun is started and stops on rank 0 when the
first step is done, that is when one sweep and the residual that follows it, a
reduction over all ranks, are done. So it holds the launcher, Python, MPI, imports,
reading and checking of the configuration, the run directory, loading of the cached
kernels, the first exchange; but not the writing of the result.

*reference*: N ranks that import mpi4py.MPI, NumPy and Numba and then, in the same
order, every module that the same rank of such a run had imported in the end (the
standard library's, Numba's and NumPy's late ones, pydantic; on rank 0 also h5py,
netCDF4, ruamel.yaml; none of hpcapp's own), call one cached trivial kernel and meet in
a barrier, after which rank 0 stops the clock. It is what cannot be saved without other
libraries.

Both load kernels from a warm cache; the first round, which fills it, does not count.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks.jobs import ROOT, SMALL, Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample, interleave

__all__ = ["measure"]

ONE_SWEEP = (
    "--set",
    "parameters.tolerance=0",
    "--set",
    "parameters.max_iterations=1",
)
HERE = Path(__file__).resolve().parent
LIMIT = 1.3


def measure(quick: bool) -> Report:
    """Measure 16 ranks, or 2 if it must be quick.

    Parameters
    ----------
    quick : bool
        Fewer ranks and repeats.

    Returns
    -------
    Report
        Medians and their ratio.
    """
    ranks, repeats = (2, 1) if quick else (16, 7)
    with tempfile.TemporaryDirectory() as folder:
        _record_modules(folder)
        job = Job(
            ranks,
            ["-m", "hpcapp", *_run(folder, "tests.benchmarks.first_step")],
            **_variables(folder),
        )
        reference = Job(
            ranks, [str(HERE / "reference_rank.py"), folder], **_variables(folder)
        )
        said: list[str] = []
        samples = interleave(
            {
                "hpcapp": _to_mark(job, folder, said),
                "reference": _to_mark(reference, folder, []),
            },
            repeats,
        )
    return _report(samples, json.loads(said[-1]), ranks)


def _run(folder: str, workload: str) -> list[str]:
    return [
        *("run", SMALL, "-o", f"{folder}/run", "--force", "--json"),
        *ONE_SWEEP,
        *("--set", f"workload={workload}"),
    ]


def _variables(folder: str) -> dict[str, str]:
    return {
        "NUMBA_CACHE_DIR": f"{folder}/cache",
        "BENCHMARK_MARK": f"{folder}/mark",
    }


def _record_modules(folder: str) -> None:
    """Write the lists of modules that the reference imports."""
    script = [str(HERE / "on_rank.py"), folder]
    Job(2, [*script, *_run(folder, "laplace")], **_variables(folder)).run()
    for rank in (0, 1):
        path = Path(folder, f"rank-{rank}.json")
        names = json.loads(path.read_text(encoding="utf-8"))["modules"]
        wanted = [name for name in names if name not in ("__main__", "__mp_main__")]
        Path(folder, f"modules-{rank}").write_text("\n".join(wanted), encoding="utf-8")


def _to_mark(job: Job, folder: str, said: list[str]) -> Callable[[], float]:
    """Return a function that starts a job and returns the seconds to its mark."""
    mark = Path(folder, "mark")

    def seconds() -> float:
        mark.unlink(missing_ok=True)
        begun = time.time()
        said.append(job.run())
        return float(mark.read_text(encoding="utf-8")) - begun

    return seconds


def _report(
    samples: Mapping[str, Sample], summary: Mapping[str, dict], ranks: int
) -> Report:
    ratio = samples["hpcapp"].median / samples["reference"].median
    lowest = samples["hpcapp"].low / samples["reference"].low
    report = Report(
        "startup",
        f"{ranks} ranks, launch to the end of the first step, {SMALL_NAME}",
        ("what", "median s", "least s", "spread", "repeats"),
    )
    for name, sample in samples.items():
        count = len(sample.seconds)
        report.rows.append((name, sample.median, sample.low, sample.spread, count))
    report.rows.append(("ratio", ratio, lowest, None, None))
    phases = summary["phases"]
    report.notes = [
        "phases of the last run, mean over ranks: "
        + ", ".join(f"{name} {phases[name]['mean']:.2f} s" for name in phases),
    ]
    report.checks = [
        Statement(
            f"one sweep on {summary['ranks']} of {ranks} ranks, checksum "
            f"{summary['checksum']}",
            summary["ranks"] == ranks and summary["checksum"] == _expected(),
        )
    ]
    text = f"hpcapp / reference <= {LIMIT}: {ratio:.2f}"
    report.requirements = [Statement(text, ratio <= LIMIT)]
    return report


SMALL_NAME = str(Path(SMALL).relative_to(ROOT))


def _expected() -> str:
    """Return the checksum of the same run on one rank, without a launcher."""
    with tempfile.TemporaryDirectory() as folder:
        out = Job(1, ["-m", "hpcapp", *_run(folder, "laplace")]).run()
    return str(json.loads(out)["checksum"])
