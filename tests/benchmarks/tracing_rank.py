# SPDX-License-Identifier: MIT
"""One rank of `tracing`: the same sweeps with and without a timeline, in turn.

Run by mpirun as a script: ``tracing_rank.py``; rank 0 prints the table.
"""

import statistics
import tempfile
import time

import numpy as np

from hpcapp.clock import Clock
from hpcapp.driver import drive
from hpcapp.log import Log
from hpcapp.mpi import world
from hpcapp.prepare import Request, prepare
from hpcapp.stops import Stops

# an exchange at every sweep of a small grid: as many changes of phase as there can be
SETTINGS = (
    *("parameters.method=jacobi", "parameters.shape=[513,513]", "run.threads=1"),
    *("parameters.tolerance=0", "parameters.max_iterations=3000"),
    *("parameters.halo_depth=1", "parameters.check_every=32"),
)
CONFIG = "configs/small/laplace-jacobi.yaml"
REPEATS = 9


class Counting(Clock):
    """Count the changes of phase."""

    changes = 0

    def enter(self, phase: str) -> str:
        """Count, and switch."""
        self.changes += 1
        return super().enter(phase)


def run(comm, clock: Clock, folder: str) -> float:
    """Return the seconds of all steps of a run with a clock, the slowest rank's."""
    comm.clock = clock
    request = Request(CONFIG, f"{folder}/run", SETTINGS, force=True)
    session = prepare(comm, request, Log(False), Stops())
    drive(session)
    if session.held:
        session.held.lock.release()
    spent = clock.read()
    mine = sum(spent[name] for name in ("compute", "halo", "reduce"))
    return float(comm.max(np.array([mine]))[0])


def without() -> Clock:
    """Return a clock whose timeline never ends a piece."""
    clock = Clock()
    clock.timeline.end = float("inf")
    return clock


def change_cost(make) -> float:
    """Return the seconds of a change of phase, the median of some."""
    times = []
    for _ in range(15):
        clock = make()
        begun = time.perf_counter()
        for _ in range(20_000):
            clock.enter("halo")
            clock.enter("compute")
        times.append((time.perf_counter() - begun) / 40_000)
    return statistics.median(times)


def main() -> None:
    """Measure in turn, and print."""
    comm = world.start(Clock())
    folder = comm.broadcast(tempfile.mkdtemp() if comm.root else "")
    run(comm, Clock(), folder)
    counted = Counting()
    run(comm, counted, folder)
    times: dict[str, list[float]] = {"traced": [], "without": []}
    for _ in range(REPEATS):
        times["traced"].append(run(comm, Clock(), folder))
        times["without"].append(run(comm, without(), folder))
    if comm.root:
        for name, found in times.items():
            low, high = min(found), max(found)
            middle = statistics.median(found)
            print(f"{name:8} {middle:.4f} s (median; {low:.4f} to {high:.4f})")
        ratios = [a / b for a, b in zip(*times.values(), strict=True)]
        print(f"pair by pair: {100 * (statistics.median(ratios) - 1):+.2f} %")
        traced, bare = change_cost(Clock), change_cost(without)
        print(f"a change of phase: {traced * 1e9:.0f} ns traced, {bare * 1e9:.0f} not")
        all_changes = counted.changes * (traced - bare)
        share = all_changes / statistics.median(times["without"])
        print(f"{counted.changes} changes in a run: {100 * share:.3f} % of its time")


main()
