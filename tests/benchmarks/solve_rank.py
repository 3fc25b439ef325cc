# SPDX-License-Identifier: MIT
"""A rank that solves the peers' problem: ``solve_rank.py N METHOD GOAL``."""

import os
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from mpi4py import MPI

from hpcapp.device import Device, prepare_cache
from hpcapp.mpi.comm import Comm
from hpcapp.problem import parse_problem
from hpcapp.session import survey
from hpcapp.workload import Context
from tests.benchmarks.peers.problem import discrete_rows, tell

__all__ = ["main"]

TEXT = "workload: laplace\nparameters: {{shape: [{n}, {n}], method: {method}, {goal}}}"


def main(n: int, method: str, goal: str) -> None:
    """Solve twice, arrays and all; the second counts."""
    prepare_cache(os.environ)
    comm = Comm(MPI.COMM_WORLD)
    text = TEXT.format(n=n, method=method, goal=goal)
    for _ in range(2):
        problem = parse_problem(text, "benchmark.yaml", ())
        # as a run does: ranks that share cores wait and work in another way
        machine = survey(comm, os.environ, problem)
        comm.place(machine.workers)
        problem.workload.warm_up(Device(1))
        comm.barrier()
        begun = time.perf_counter()
        context = Context(comm, Device(1), problem.layout(comm.size))
        for _ in problem.workload.steps(context):
            pass
        comm.raw.Barrier()
        seconds = time.perf_counter() - begun
    error = 0.0
    for part in context.state.parts("u"):
        (ja, ia), (jb, ib) = part.block.start, part.block.stop
        exact = discrete_rows(n, ja, jb)[:, ia:ib]
        error = max(error, float(np.abs(part.array - exact).max()))
    error = float(comm.max(np.array([error]))[0])
    if comm.root:
        tell(seconds, error, context.state["residual"][-1])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
