# SPDX-License-Identifier: MIT
"""Peak resident memory of each rank of real runs, against what `hpcapp plan` says.

Peak is what the system counts (ru_maxrss, the same as VmHWM): all pages of a process
that were in memory at once, pages of libraries and of memory shared with other ranks
included. *plan* is the arrays of the largest rank plus `BASELINE`.
"""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.jobs import ROOT, SMALL, Job
from tests.benchmarks.report import Report, Statement

__all__ = ["measure"]

HERE = Path(__file__).resolve().parent
SETTINGS = ("parameters.tolerance=0", "parameters.max_iterations=4")


@dataclass(frozen=True)
class Case:
    """One run.

    Parameters
    ----------
    name : str
        What is special about it.
    ranks : int
        Number of ranks.
    shape : (int, int)
        Global points.
    settings : tuple of str
        ``KEY=VALUE`` besides.
    """

    name: str
    ranks: int
    shape: tuple[int, int]
    settings: tuple[str, ...] = ()

    def options(self) -> list[str]:
        """Return the options of `run` and `plan`."""
        shape = f"parameters.shape=[{self.shape[0]}, {self.shape[1]}]"
        settings = (*SETTINGS, "parameters.source=0", shape, *self.settings)
        return [part for setting in settings for part in ("--set", setting)]


def measure(quick: bool) -> Report:
    """Measure runs with blocks of 256 MB, 32 MB if it must be quick.

    Parameters
    ----------
    quick : bool
        Small blocks on 2 ranks.

    Returns
    -------
    Report
        Peaks of rank 0 and of the largest other rank.
    """
    report = Report(
        "memory",
        "peak resident memory of a rank, MB (10^6 bytes)",
        ("run", "ranks", "block MB", "rank 0", "others", "plan", "peak / plan"),
    )
    for case in _cases(2000, 2) if quick else _cases(5792, 4):
        _measure_case(report, case)
    return report


def _cases(side: int, ranks: int) -> list[Case]:
    down = math.isqrt(ranks)
    shape = (down * side, ranks // down * side)
    jacobi, sor = "parameters.method=jacobi", "parameters.method=sor"
    field = "parameters.source=sin(x)*y"
    return [
        Case("no arrays to speak of", ranks, (61, 47), (sor,)),
        Case(f"no arrays, {4 * ranks} ranks", 4 * ranks, (61, 47), (sor,)),
        Case("jacobi", ranks, shape, (jacobi,)),
        Case("sor", ranks, shape, (sor,)),
        Case("sor, source field", ranks, shape, (sor, field)),
        Case("sor, writer gather", ranks, shape, (sor, "output.writer=gather")),
    ]


def _measure_case(report: Report, case: Case) -> None:
    with tempfile.TemporaryDirectory() as folder:
        program = [str(HERE / "on_rank.py"), folder, "run", SMALL]
        options = ["-o", f"{folder}/run", "--json", *case.options()]
        Job(case.ranks, [*program, *options]).run()
        texts = [
            Path(folder, f"rank-{rank}.json").read_text(encoding="utf-8")
            for rank in range(case.ranks)
        ]
    peaks = [json.loads(text)["peak"] for text in texts]
    plan = _plan(case)
    need, top = plan["rank_bytes"], max(peaks)
    block = 8 * math.prod(plan["largest"])
    others = max(peaks[1:]) / 1e6
    sizes = (block / 1e6, peaks[0] / 1e6, others, need / 1e6)
    cells: Sequence[object] = [f"{size:.0f}" for size in sizes]
    report.rows.append((case.name, case.ranks, *cells, top / need))
    holds = abs(top / need - 1) <= 0.2
    text = f"{case.name}: the largest peak is within 20 % of the plan"
    report.checks.append(Statement(f"{text}: {top / need:.2f}", holds))
    whole = 8 * math.prod(case.shape)
    if whole > max(plan["array_bytes"]) and block > 1e8:
        beyond = top - max(plan["array_bytes"])
        text = f"{case.name}: no rank holds a global grid of {whole / 1e6:.0f} MB"
        more = f"{text}: {beyond / 1e6:.0f} MB besides its own arrays"
        report.checks.append(Statement(more, beyond < whole / 2))


def _plan(case: Case) -> dict:
    """Return what ``hpcapp plan --json`` says."""
    command = [sys.executable, "-m", "hpcapp", "plan", SMALL, "-n", str(case.ranks)]
    job = Job(1, [])
    out = subprocess.run(
        [*command, "--json", *case.options()],
        cwd=ROOT,
        env=job.environ,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return dict(json.loads(out))
