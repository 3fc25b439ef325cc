# SPDX-License-Identifier: MIT
"""A rank of 8 that computes the whole set under each schedule; rank 0 prints JSON."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpi4py import MPI

from hpcapp.checksum import checksum_block
from hpcapp.device import Device
from hpcapp.mpi.comm import Comm
from hpcapp.problem import parse_problem
from hpcapp.workload import Context
from tests.benchmarks.timing import pin

CONFIG = """
workload: mandelbrot
parameters:
  shape: [{n}, {n}]
  center: [-0.8, 0]
  extent: [3, 3]
  max_iterations: 5000
  schedule: {schedule}
"""


SCHEDULES = ("cost", "block", "cyclic", "dynamic")


class Watch(Device):
    """Adds up the CPU time that this thread spends in kernels."""

    seconds = 0.0

    def launch(
        self, kernel: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """Call the kernels."""
        begun = time.thread_time()
        done = super().launch(kernel, calls)
        self.seconds += time.thread_time() - begun
        return done


def main(n: int, rounds: int) -> None:
    """Run the schedules in turn, several times."""
    # one core for all: its time is the same measure for every rank
    pin()
    comm = Comm(MPI.COMM_WORLD)
    seconds: dict[str, list[float]] = {name: [] for name in SCHEDULES}
    sums = dict.fromkeys(SCHEDULES, 0)
    _paint(comm, n, SCHEDULES[0])  # to warm up
    for _ in range(rounds):
        for name in SCHEDULES:
            spent, sums[name] = _paint(comm, n, name)
            seconds[name].append(spent)
    found = {}
    for name in SCHEDULES:
        everyone = comm.all((seconds[name], sums[name]))
        table = np.array([mine for mine, _ in everyone])
        found[name] = {
            "ratio": _ratio(name, table),
            "checksum": sum(one for _, one in everyone) % 2**64,
        }
    if comm.root:
        print(json.dumps(found), flush=True)


def _ratio(name: str, seconds: np.ndarray) -> float:
    """Return max / mean over ranks, least disturbed.

    A core of a virtual machine may be a third slower for a while, whenever its other
    thread works for somebody else. A rank has the same rows in each round, and its
    shortest time is free of that; who claims rows has others each time: the round that
    was the most even.
    """
    if name == "dynamic":
        return float((seconds.max(axis=0) / seconds.mean(axis=0)).min())
    least = seconds.min(axis=1)
    return float(least.max() / least.mean())


def _paint(comm: Comm, n: int, schedule: str) -> tuple[float, int]:
    """Compute a picture; return CPU seconds in kernels and the share's checksum."""
    problem = parse_problem(CONFIG.format(n=n, schedule=schedule), "balance.yaml")
    problem.workload.warm_up(Device())
    comm.barrier()
    device = Watch()
    ctx = Context(comm, device, problem.layout(comm.size))
    for _ in problem.workload.steps(ctx):
        pass
    parts = ctx.state.parts("iterations")
    mine = sum(checksum_block(p.array, p.block.start, (n, n)) for p in parts)
    return device.seconds, mine


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
