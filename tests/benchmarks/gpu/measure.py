# SPDX-License-Identifier: MIT
"""All kernels on a GPU, beside what users would take else: ``... benchmarks gpu``.

One table in markdown. Rungs of a task take turns, after a round that compiles and
does not count; every answer of every round is checked.
"""

import gc
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu import laplace, mandelbrot, montecarlo, series
from tests.benchmarks.gpu.peers import find_peers
from tests.benchmarks.gpu.rungs import (
    COURSE,
    FULL,
    OURS,
    SMALL,
    TINY,
    Place,
    Taken,
    Task,
    take_turns,
)
from tests.benchmarks.report import (
    Report,
    Statement,
    UnavailableError,
    describe_machine,
)

__all__ = ["GpuReport", "measure", "measure_tasks"]

COLUMNS = (
    *("task", "what", "size", "ms", "host ms", "spread", "rate", "unit"),
    *("of limit", "times course", "first round s"),
)

# arrays of all rungs of Jacobi's method, at once, on 16384^2 points
WANTED_BYTES = 60e9

TASKS: tuple[Callable[[Place], Task], ...] = (
    laplace.jacobi,
    laplace.redblack,
    laplace.cycles,
    lambda place: mandelbrot.escapes(place, mandelbrot.EDGE),
    lambda place: mandelbrot.escapes(place, mandelbrot.DEEP),
    montecarlo.pi,
    montecarlo.integral,
    montecarlo.walk,
    *(lambda place, name=name: series.series(place, name) for name in series.NAMES),
)

# times the course's kernels, by the beginning of the task's name
OVER_COURSE = {"laplace jacobi": 1.1, "mandelbrot": 3.0, "pi": 3.0, "series": 3.0}


@dataclass
class GpuReport(Report):
    """A report whose table is markdown, with the GPU in its head.

    Parameters
    ----------
    gpu : str
        Model, memory, capability, driver.
    """

    gpu: str = ""

    def text(self) -> str:
        """Return the table with everything around it, to print."""
        machine = describe_machine()
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        head = [
            f"{self.name}: {self.title}",
            f"{self.gpu}; host {machine['cpu']}, {machine['cores']} cores, load "
            f"{machine['load']}, {machine['date']}",
            versions,
        ]
        rows = ["| " + " | ".join(self.columns) + " |"]
        rows.append("|" + "---|" * len(self.columns))
        rows += ["| " + " | ".join(map(_shown, row)) + " |" for row in self.rows]
        right = [f"{'right' if c.holds else 'WRONG':<6} {c.text}" for c in self.checks]
        met = [
            f"{'met' if c.holds else 'MISSED':<6} {c.text}" for c in self.requirements
        ]
        return "\n".join([*head, "", *rows, "", *self.notes, "", *right, *met])


def measure(quick: bool) -> Report:
    """Measure all tasks on the GPU of this machine, or try them in the simulator.

    Parameters
    ----------
    quick : bool
        Small sizes and few repeats: checks the answers, figures mean nothing. So it
        is in the simulator.

    Returns
    -------
    GpuReport
        The table.

    Raises
    ------
    UnavailableError
        If there is no GPU.
    """
    from hpcapp.device import cores
    from hpcapp.gpu.choice import Choice, find_gpu, open_device

    gpu = find_gpu()
    if gpu.fault:
        raise UnavailableError(
            f"{gpu.fault}; NUMBA_ENABLE_CUDASIM=1 checks the answers without one"
        )
    device: Any = open_device(len(cores()), Choice(cuda=True), (gpu,))
    sizes = TINY if device.simulated else SMALL if quick else FULL
    if not device.simulated and device.free_memory < WANTED_BYTES and not quick:
        sizes = replace(sizes, grid=sizes.grid // 2)
    peers, missing = find_peers(device.simulated)
    return measure_tasks(Place(device, sizes, peers), missing)


def measure_tasks(place: Place, missing: dict[str, str]) -> GpuReport:
    """Measure all tasks.

    Parameters
    ----------
    place : Place
        The GPU, sizes and libraries.
    missing : dict of str to str
        Why libraries are not there.

    Returns
    -------
    GpuReport
        The table.
    """
    sizes = place.sizes
    report = GpuReport(
        "gpu",
        f"float64, one GPU, median of {sizes.repeats}, sizes: {sizes.name}",
        COLUMNS,
        gpu=_describe(place.device),
    )
    report.notes += _notes(place)
    for make in TASKS:
        task = make(place)
        found = take_turns(place, task)
        rates = _add_rows(report, task, found, missing)
        if sizes is not TINY and sizes is not SMALL:
            report.requirements += _required(task, rates, found)
        # closures of rungs refer to one another
        del task
        gc.collect()
        for arrays in place.peers:
            arrays.forget()
    report.checks += laplace.check_bits(place)
    report.checks += montecarlo.check_counts(place)
    return report


def _add_rows(
    report: Report, task: Task, found: dict[str, Taken], missing: dict[str, str]
) -> dict[str, float]:
    """Add a task to the table; return the rates, in billions of its units a second."""
    rates = {
        rung.name: rung.work / found[rung.name].median / 1e9
        for rung in task.rungs
        if not found[rung.name].failure
    }
    limit = rates.get(task.limit)
    course = next((r for name, r in rates.items() if name.startswith(COURSE)), None)
    for rung in task.rungs:
        taken, head = found[rung.name], (task.name, rung.name, rung.size)
        if taken.failure:
            report.rows.append((*head, f"failed: {taken.failure}", *[None] * 7))
            continue
        rate = rates[rung.name]
        ms = [1e3 * taken.median, 1e3 * sorted(taken.host)[len(taken.host) // 2]]
        report.rows.append(
            (
                *(*head, *ms, taken.spread, rate, task.unit),
                rate / limit if limit else None,
                rate / course if course else None,
                taken.first,
            )
        )
        report.checks.append(taken.statement())
    for name, reason in missing.items():
        report.rows.append((task.name, name, reason, *[None] * 8))
    return rates


def _required(
    task: Task, rates: dict[str, float], found: dict[str, Taken]
) -> Iterator[Statement]:
    """Compare with what is aimed at on an H200."""
    ours = {k: v for k, v in rates.items() if k.startswith(OURS) and "CPU" not in k}
    best = max(ours.values())
    course = next((v for k, v in rates.items() if k.startswith(COURSE)), None)
    limit = rates.get(task.limit)
    wished: list[tuple[str, float, float]] = []
    if task.name == "laplace jacobi" and limit:
        one, four = list(ours.values())[:2]
        wished.append(("one sweep a launch, of a copy", one / limit, 0.85))
        wished.append(("four sweeps a pass, of a copy", four / limit, 1.0))
        best = one
    if task.name == "laplace multigrid":
        seconds = found[OURS].median
        yield Statement(f"{task.name}: {1e3 * seconds:.1f} ms (< 20)", seconds < 0.02)
    if task.name.startswith("mandelbrot") and limit:
        wished.append(("of what can be issued", best / limit, 0.6))
    if task.name == "pi":
        wished.append(("G samples/s", best, 300.0))
    for begin, factor in OVER_COURSE.items():
        if task.name.startswith(begin) and course:
            wished.append(("times the course", best / course, factor))
    for name, rate in rates.items():
        if name.startswith(("CuPy", "PyTorch")) and laplace.COPY not in name:
            wished.append((f"times {name}", best / rate, 1.0))
    for text, value, least in wished:
        line = f"{task.name}: {text}: {value:.3g} (>= {least:g})"
        yield Statement(line, value >= least)


def _notes(place: Place) -> list[str]:
    notes = [
        "ms: between two events on the GPU (the CPU's rungs: on the host); host ms: "
        "until the host knows that it is done. GB/s: 16 bytes a point and Jacobi "
        f"sweep, 32 of sor; limit: {laplace.COPY}. mandelbrot's limit: "
        f"{mandelbrot.LIMIT} operations an iteration.",
        f"hpcapp, CPU: one rank, {place.cpu.threads} threads.",
    ]
    gpu, lanes = place.device.gpu, _lanes(place.device)
    clock = _clock(place.device)
    if lanes and clock:
        most = gpu.multiprocessors * lanes * clock
        notes.append(
            f"Operations of double precision by count: {gpu.multiprocessors} "
            f"multiprocessors x {lanes} lanes x {clock / 1e9:.3f} GHz = "
            f"{most / 1e12:.2f} T/s: "
            f"{most / mandelbrot.PER_ITERATION / 1e9:.4g} G iterations/s."
        )
    if place.device.simulated:
        notes.append("In Numba's simulator: figures mean nothing.")
    return notes


def _lanes(device: Any) -> int:
    """Return the operations of double precision of a multiprocessor in a cycle.

    References
    ----------
    CUDA C++ Programming Guide, throughput of native arithmetic instructions.
    """
    known = {(7, 0): 32, (8, 0): 32, (9, 0): 64, (10, 0): 64}
    return known.get(tuple(device.gpu.capability), 0)


def _clock(device: Any) -> float:
    """Return the highest clock in Hz, 0 where the driver does not tell it."""
    if device.simulated:
        return 0.0
    from numba import cuda

    return 1e3 * float(getattr(cuda.get_current_device(), "CLOCK_RATE", 0.0))


def _describe(device: Any) -> str:
    if device.simulated:
        return "Numba's CUDA simulator"
    gpu = device.gpu
    capability = ".".join(map(str, gpu.capability))
    release = ""
    path = Path("/proc/driver/nvidia/version")
    if path.exists():
        found = re.search(r"Module\S*\s+(?:for \S+\s+)?(\S+)", path.read_text())
        release = f"{found[1]}, " if found else ""
    return (
        f"{gpu.name}, {gpu.memory / 2**30:.0f} GiB, compute capability {capability}, "
        f"{gpu.multiprocessors} multiprocessors, driver {release}CUDA {gpu.driver}"
    )


def _shown(cell: Any) -> str:
    if cell is None:
        return "-"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)
