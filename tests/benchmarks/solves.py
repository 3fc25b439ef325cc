# SPDX-License-Identifier: MIT
"""Whole solves of Laplace's equation on two cores, against what users take else.

n x n points, 0 on three sides and sin(pi x) on the top, from zero. Each program
solves twice (pyamg once) in a process of its own, tells the seconds of the last solve
and its distance to the exact solution of the discrete equations; programs take turns.
hpcapp's seconds hold everything from the configuration on, arrays and levels
included; PETSc and pyamg leave their set-up out. Residuals are each program's own:
hpcapp's in the maximum norm, the others' in the Euclidean one. ``launch/peers``
makes the peers; those that are not there are left out.
"""

import glob
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.jobs import ROOT, Job, open_mpi
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample, interleave, timed

__all__ = ["measure"]

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PYAMG = ROOT / ".venv-peers" / "bin" / "python"
SYSTEM = "/usr/bin/python3"
# Debian keeps petsc4py beside its PETSc; the newest
PETSC = sorted(glob.glob("/usr/lib/petscdir/petsc*/*-real/lib/python3/dist-packages"))[
    -1:
]
DIRECT = "scipy sine transform, 2 workers"
FINE, CLOSE = "hpcapp multigrid, accuracy", "hpcapp multigrid, residual 1e-8"
SMOOTHER = (
    *("-pc_type", "mg", "-pc_mg_galerkin", "both"),
    *("-mg_levels_ksp_type", "richardson", "-mg_levels_pc_type", "sor"),
    *("-ksp_rtol", "1e-8"),
)

Program = Callable[[], dict[str, float]]


def measure(quick: bool) -> Report:
    """Measure 4097 x 4097 points, or 257 x 257 if it must be quick.

    Parameters
    ----------
    quick : bool
        Small, once; without the peers.

    Returns
    -------
    Report
        Seconds and errors of each program.
    """
    n, repeats = (257, 1) if quick else (4097, 5)
    # of the discrete equations against the differential one, for this problem
    discretisation = _discretisation_error(n)
    programs = _programs(n, discretisation, quick)
    answers: dict[str, dict[str, float]] = {}
    samples = _take_turns(programs, answers, repeats)
    report = Report(
        "solves",
        f"{n} x {n} points, two ranks or workers, median of {repeats}",
        ("what", "seconds", "best", "spread", "error", "residual", "times scipy"),
    )
    for name, sample in samples.items():
        found = answers[name]
        ratio = sample.median / samples[DIRECT].median
        report.rows.append(
            (
                name,
                *(sample.median, sample.low, sample.spread),
                *(found["error"], found["residual"], ratio),
            )
        )
        report.checks.append(_checked(name, found, discretisation))
    report.notes = [
        f"discretisation error, max norm: {discretisation:.2e}; error: distance to "
        "the exact solution of the discrete equations",
        *_copy_note(n),
    ]
    for name, limit in ((FINE, 0.5), (CLOSE, 0.9)):
        ratio = samples[name].median / samples[DIRECT].median
        text = f"{name} <= {limit} x {DIRECT}: {ratio:.2f}"
        report.requirements.append(Statement(text, ratio <= limit))
    rivals = [name for name in samples if name.startswith("PETSc")]
    if rivals:
        best = min(samples[name].median for name in rivals)
        ratio = best / samples[CLOSE].median
        text = f"{CLOSE}: at least 12 times as fast as PETSc's best: {ratio:.1f}"
        report.requirements.append(Statement(text, ratio >= 12))
    return report


def _discretisation_error(n: int) -> float:
    from tests.benchmarks.peers.problem import discrete_rows

    middle = (n - 1) // 2
    worst = 0.0
    for row in range(1, n - 1, max(1, n // 64)):
        exact = np.sinh(np.pi * row / (n - 1)) / np.sinh(np.pi)
        worst = max(worst, abs(exact - discrete_rows(n, row, row + 1)[0, middle]))
    return float(worst)


def _programs(n: int, discretisation: float, quick: bool) -> dict[str, Program]:
    def hpcapp(method: str, goal: str) -> Program:
        arguments = [str(HERE / "solve_rank.py"), str(n), method, goal]
        job = Job(2, arguments)
        return lambda: _last_line(job.run())

    found = {
        DIRECT: _command([sys.executable, str(PEERS / "dst_solve.py"), str(n)]),
        FINE: hpcapp("multigrid", f"accuracy: {discretisation:.3e}"),
        CLOSE: hpcapp("multigrid", "tolerance: 1e-8"),
        "hpcapp cg, residual 1e-8": hpcapp("cg", "tolerance: 1e-8"),
    }
    if quick:
        return found
    if PYAMG.exists():
        line = [str(PYAMG), str(PEERS / "pyamg_solve.py"), str(n), "1e-8"]
        found["pyamg Ruge-Stueben, cg, residual 1e-8"] = _command(line)
    if PETSC:
        mpirun = ["/usr/bin/mpirun.openmpi", "-np", "2", SYSTEM]
        line = [*mpirun, str(PEERS / "petsc_solve.py"), str(n), *SMOOTHER]
        full = ("-pc_mg_type", "full", "-ksp_type", "richardson")
        levels = ("-pc_mg_levels", str(max(2, (n - 1).bit_length() - 4)))
        found["PETSc full multigrid"] = _command([*line, *levels, *full])
        found["PETSc cg, multigrid"] = _command([*line, *levels, "-ksp_type", "cg"])
    return found


def _command(line: list[str]) -> Program:
    def run() -> dict[str, float]:
        environ = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **open_mpi()}
        environ["PYTHONPATH"] = "".join(PETSC)
        done = subprocess.run(
            line, env=environ, capture_output=True, text=True, timeout=600
        )
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(line)}: failed\n{done.stderr[-3000:]}")
        return _last_line(done.stdout)

    return run


def _last_line(text: str) -> dict[str, float]:
    found: dict[str, float] = json.loads(text.strip().splitlines()[-1])
    return found


def _take_turns(
    programs: dict[str, Program], answers: dict[str, dict[str, float]], repeats: int
) -> dict[str, Sample]:
    """Run the programs in turn; a program has solved once before what it tells.

    The peers take minutes with their set-up: every second round is theirs too.
    """
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(repeats):
        for name, program in programs.items():
            if turn % 2 and not name.startswith(("hpcapp", "scipy")):
                continue
            answers[name] = program()
            seconds[name].append(answers[name]["seconds"])
            print(f"{turn + 1}: {name}: {seconds[name][-1]:.3f} s", file=sys.stderr)
    return {name: Sample(tuple(taken)) for name, taken in seconds.items()}


def _checked(name: str, found: dict[str, float], discretisation: float) -> Statement:
    """Compare an answer with the exact solution of the discrete equations."""
    limit = discretisation if name in (FINE, DIRECT) else 1e-4
    text = f"{name}: error {found['error']:.1e} (<= {limit:.1e})"
    return Statement(text, found["error"] <= limit)


def _copy_note(n: int) -> list[str]:
    source, target = np.ones((n, n)), np.zeros((n, n))
    copy = interleave({"copy": timed(lambda: np.copyto(target, source))}, 5)["copy"]
    rate = 2 * source.nbytes / copy.median / 1e9
    return [
        f"copy of the grid on one core: {copy.median * 1e3:.1f} ms, {rate:.1f} GB/s"
    ]
