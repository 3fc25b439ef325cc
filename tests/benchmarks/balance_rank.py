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
    """Notes the CPU time that this thread spends in each call of kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def launch(
        self, kernel: Callable[..., Any], calls: Sequence[tuple[Any, ...]]
    ) -> list[Any]:
        """Call the kernels."""
        begun = time.thread_time()
        done = super().launch(kernel, calls)
        self.seconds.append(time.thread_time() - begun)
        return done


def main(n: int, rounds: int) -> None:
    """Run the schedules in turn, several times."""
    # one core for all: its time is the same measure for every rank
    pin()
    comm = Comm(MPI.COMM_WORLD)
    seconds: dict[str, list[list[float]]] = {name: [] for name in SCHEDULES}
    sums = dict.fromkeys(SCHEDULES, 0)
    _paint(comm, n, SCHEDULES[0])  # to warm up
    for _ in range(rounds):
        for name in SCHEDULES:
            spent, sums[name] = _paint(comm, n, name)
            seconds[name].append(spent)
    found = {}
    for name in SCHEDULES:
        everyone = comm.all((_by_round(name, seconds[name]), sums[name]))
        table = np.array([mine for mine, _ in everyone])
        ratios = table.max(axis=0) / table.mean(axis=0)
        found[name] = {
            "ratio": float(np.median(ratios)),
            "checksum": sum(one for _, one in everyone) % 2**64,
        }
    if comm.root:
        print(json.dumps(found), flush=True)


def _by_round(name: str, seconds: list[list[float]]) -> list[float]:
    """Return a rank's seconds in each round; one for all where rounds are alike.

    A core of a virtual machine is a third slower for some milliseconds, or for a
    second, whenever its other thread works for somebody else. Under a schedule that
    needs no communication a rank does the same calls of a millisecond or two in each
    round: the shortest time of each call is free of that. Who claims bands has others
    each time.
    """
    if name == "dynamic":
        return [sum(one) for one in seconds]
    return [float(np.min(seconds, axis=0).sum())]


def _paint(comm: Comm, n: int, schedule: str) -> tuple[list[float], int]:
    """Compute a picture; return CPU seconds of each call and the share's checksum."""
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
