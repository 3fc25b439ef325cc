# SPDX-License-Identifier: MIT
"""Sweeps of Laplace's equation on one core, against plain code and the memory.

All rungs start from zeros with sin(pi x) on the top side and do the same number of
sweeps, 32 at a time; updates per second count interior points times sweeps. What is
called hpcapp are the steps of its workload on a communicator of one rank, as a run
turns them: 32 sweeps, then the residual and the state. 'in cache' is a grid that
stays in the core's cache: what the arithmetic allows, on rows that are short.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import Sample, interleave, pin, timed

__all__ = ["CONFIG", "SWEEPS", "TOLERANCE", "first_iterate", "measure"]

SWEEPS = 32  # between two residuals: the default of check_every
TOLERANCE = 1e-12  # of answers, relative to max |u| = 1
IN_CACHE = 256  # two arrays of 256 x 256 points are 1 MB
TIMES = 20  # there a repeat is that many times 32 sweeps: one is too short
OMEGA = 1.9

PLAIN = "plain Numba"
INSIDE = ", in cache"

CONFIG = """
workload: laplace
parameters:
  shape: [{n}, {n}]
  boundary: {{left: 0, right: 0, bottom: 0, top: sin(pi*x)}}
  method: {method}
  tolerance: 0
  max_iterations: 1000000000
"""


@dataclass
class Rung:
    """One way to do the sweeps.

    Parameters
    ----------
    advance : callable
        Does 32 sweeps.
    values : callable
        Returns the iterate, float64[n, n].
    """

    advance: Callable[[], object]
    values: Callable[[], np.ndarray]


def measure(quick: bool) -> Report:
    """Measure Jacobi's method and over-relaxation on 4096 x 4096 points.

    Parameters
    ----------
    quick : bool
        256 x 256 points and few repeats: figures mean nothing then.

    Returns
    -------
    Report
        Updates per second of each rung.
    """
    n, repeats = (256, 2) if quick else (4096, 5)
    core = pin()
    report = Report(
        "laplace",
        f"{n} x {n} points, float64, one core{core}, {SWEEPS} sweeps a repeat",
        ("method", "what", "G updates/s", "best", "spread", "share of limit"),
    )
    copy = _measure_copy(n, repeats)
    limit = copy / 16
    _measure_method(report, "jacobi", _jacobi_rungs(n), repeats, limit)
    _measure_method(report, "sor", _redblack_rungs(n), repeats, limit)
    report.notes += [
        f"copy of {n} x {n} doubles: {copy / 1e9:.1f} GB/s, read and write counted",
        f"limit of one sweep per pass through memory: {limit / 1e9:.2f} G updates/s, "
        "from 16 bytes an update (each value read and written once) at that rate; "
        "hpcapp does 16 levels a pass, 1 byte an update: there the arithmetic is the "
        "limit, see 'in cache'",
    ]
    return report


def _measure_copy(n: int, repeats: int) -> float:
    """Return bytes read and written per second by copying an array."""
    source, target = np.ones((n, n)), np.zeros((n, n))
    measurement = timed(lambda: np.copyto(target, source))
    sample = interleave({"copy": measurement}, max(5, repeats))["copy"]
    return 2 * source.nbytes / sample.median


def _measure_method(
    report: Report, method: str, rungs: dict[str, Rung], repeats: int, limit: float
) -> None:
    samples = interleave({k: timed(r.advance) for k, r in rungs.items()}, repeats)
    for name, rung in rungs.items():
        _row(report, (method, name), samples[name], rung, limit)
    _check_answers(report, method, rungs)
    wanted = {PLAIN: 1.0, "NumPy slices": 4.5}
    for name, factor in wanted.items():
        if name in rungs:
            ratio = samples[name].median / samples["hpcapp"].median
            text = f"{method}: hpcapp >= {factor} x {name}: {ratio:.2f}"
            report.requirements.append(Statement(text, ratio >= factor))


def _row(
    report: Report, head: tuple[str, str], sample: Sample, rung: Rung, limit: float
) -> None:
    inside = head[1].endswith(INSIDE)
    side = rung.values().shape[0] - 2
    updates = side**2 * SWEEPS * (TIMES if inside else 1)
    rate, best = updates / sample.median, updates / sample.low
    share = None if inside else rate / limit
    report.rows.append((*head, rate / 1e9, best / 1e9, sample.spread, share))


def _check_answers(report: Report, method: str, rungs: dict[str, Rung]) -> None:
    """Compare each rung with plain Numba on the same grid."""
    for name, rung in rungs.items():
        plain = PLAIN + INSIDE if name.endswith(INSIDE) else PLAIN
        if name == plain:
            continue
        difference = float(np.max(np.abs(rung.values() - rungs[plain].values())))
        text = f"{method}: {name} differs from {plain} by {difference:.1e}"
        if difference == 0:
            text = f"{method}: {name} has the bits of {plain}"
        # a NaN is not within the tolerance
        holds = difference <= TOLERANCE
        report.checks.append(Statement(f"{text} (<= {TOLERANCE:.0e})", holds))


# --- rungs


def first_iterate(n: int) -> np.ndarray:
    """Return the first iterate, with the boundary of `CONFIG`."""
    u = np.zeros((n, n))
    u[-1] = np.sin(np.pi * np.arange(n) / (n - 1))
    # corners are the mean of their sides
    u[-1, 0], u[-1, -1] = 0.5 * u[-1, 0], 0.5 * u[-1, -1]
    return u


def _jacobi_rungs(n: int) -> dict[str, Rung]:
    from tests.benchmarks.rungs import sweep_jacobi_loops, sweep_jacobi_slices

    return {
        "NumPy slices": _two_arrays(sweep_jacobi_slices, n),
        PLAIN: _two_arrays(sweep_jacobi_loops, n),
        "hpcapp": _hpcapp(n, "jacobi"),
        PLAIN + INSIDE: _often(_two_arrays(sweep_jacobi_loops, IN_CACHE)),
        "hpcapp" + INSIDE: _often(_hpcapp(IN_CACHE, "jacobi")),
    }


def _redblack_rungs(n: int) -> dict[str, Rung]:
    from tests.benchmarks.rungs import sweep_redblack_loops

    return {
        PLAIN: _one_array(sweep_redblack_loops, n),
        "hpcapp": _hpcapp(n, "sor"),
        PLAIN + INSIDE: _often(_one_array(sweep_redblack_loops, IN_CACHE)),
        "hpcapp" + INSIDE: _often(_hpcapp(IN_CACHE, "sor")),
    }


def _often(rung: Rung) -> Rung:
    def advance() -> None:
        for _ in range(TIMES):
            rung.advance()

    return Rung(advance, rung.values)


def _one_array(sweep: Callable[[np.ndarray, float], None], n: int) -> Rung:
    u = first_iterate(n)

    def advance() -> None:
        for _ in range(SWEEPS):
            sweep(u, OMEGA)

    return Rung(advance, lambda: u)


def _two_arrays(sweep: Callable[[np.ndarray, np.ndarray], None], n: int) -> Rung:
    u = first_iterate(n)
    arrays = [u, u.copy()]

    def advance() -> None:
        for _ in range(SWEEPS):
            sweep(arrays[0], arrays[1])
            arrays.reverse()

    return Rung(advance, lambda: arrays[0])


def _hpcapp(n: int, method: str) -> Rung:
    """Return the steps of the workload on one rank with one thread."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from mpi4py import MPI

    from hpcapp.device import Device
    from hpcapp.mpi.comm import Comm
    from hpcapp.problem import parse_problem
    from hpcapp.workload import Context

    settings = (f"parameters.relaxation={OMEGA}",) if method == "sor" else ()
    text = CONFIG.format(n=n, method=method)
    problem = parse_problem(text, "benchmark.yaml", settings)
    context = Context(Comm(MPI.COMM_SELF), Device(1), problem.layout(1))
    steps = problem.workload.steps(context)
    return Rung(lambda: next(steps), lambda: context.state.parts("u")[0].array)
