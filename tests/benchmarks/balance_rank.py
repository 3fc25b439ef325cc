# SPDX-License-Identifier: MIT
"""A rank of 8 that computes the whole set under each schedule; rank 0 prints JSON."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from mpi4py import MPI

from hpcapp.checksum import checksum_block
from hpcapp.device import Device
from hpcapp.mpi.comm import Comm
from hpcapp.problem import parse_problem
from hpcapp.workload import Context

CONFIG = """
workload: mandelbrot
parameters:
  shape: [{n}, {n}]
  center: [-0.8, 0]
  extent: [3, 3]
  max_iterations: 5000
  schedule: {schedule}
"""


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


def main(n: int) -> None:
    """Run the schedules in turn."""
    comm = Comm(MPI.COMM_WORLD)
    found = {}
    for schedule in ("cost", "block", "cyclic", "cost", "dynamic"):
        problem = parse_problem(CONFIG.format(n=n, schedule=schedule), "balance.yaml")
        problem.workload.warm_up(Device())
        comm.barrier()
        device = Watch()
        ctx = Context(comm, device, problem.layout(comm.size))
        for _ in problem.workload.steps(ctx):
            pass
        parts = ctx.state.parts("iterations")
        mine = sum(checksum_block(p.array, p.block.start, (n, n)) for p in parts)
        everyone = comm.all((device.seconds, mine))
        seconds = [one for one, _ in everyone]
        found[schedule] = {
            "ratio": max(seconds) / (sum(seconds) / len(seconds)),
            "checksum": sum(one for _, one in everyone) % 2**64,
        }
    if comm.root:
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
