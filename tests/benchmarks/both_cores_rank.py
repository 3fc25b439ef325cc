# SPDX-License-Identifier: MIT
"""One way to do Jacobi's sweeps on two cores: ``both_cores_rank.py N WHAT``."""

import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numba
import numpy as np

from tests.benchmarks.sweeps import CONFIG, SWEEPS, first_iterate

__all__ = ["main"]

REPEATS = 3


@numba.njit(parallel=True)  # type: ignore[untyped-decorator]
def sweep(u: np.ndarray, new: np.ndarray) -> None:
    """Do one Jacobi sweep with two loops, the outer one in threads."""
    ny, nx = u.shape
    for j in numba.prange(1, ny - 1):
        for i in range(1, nx - 1):
            new[j, i] = 0.25 * (u[j - 1, i] + u[j + 1, i] + u[j, i - 1] + u[j, i + 1])


def main(n: int, what: str) -> None:
    """Do 32 sweeps, and again, `REPEATS` times; the first 32 do not count."""
    (plain if what == "plain" else hpcapp)(n)


def plain(n: int) -> None:
    """Sweep by two threads of Numba."""
    numba.set_num_threads(2)
    u = first_iterate(n)
    arrays = [u, u.copy()]

    def advance() -> None:
        for _ in range(SWEEPS):
            sweep(arrays[0], arrays[1])
            arrays.reverse()

    seconds = repeated(advance, lambda: None)
    tell(seconds, arrays[0][row_of(n)])


def hpcapp(n: int) -> None:
    """Turn the steps of the workload on this communicator."""
    from mpi4py import MPI

    from hpcapp.device import Device, prepare_cache
    from hpcapp.mpi.comm import Comm
    from hpcapp.problem import parse_problem
    from hpcapp.workload import Context

    prepare_cache(os.environ)
    comm = Comm(MPI.COMM_WORLD)
    problem = parse_problem(CONFIG.format(n=n, method="jacobi"), "benchmark.yaml", ())
    problem.workload.warm_up(Device(1))
    context = Context(comm, Device(1), problem.layout(comm.size))
    steps = problem.workload.steps(context)
    seconds = repeated(lambda: next(steps), comm.raw.Barrier)
    mine = np.zeros(n)
    for part in context.state.parts("u"):
        (ja, ia), (jb, ib) = part.block.start, part.block.stop
        if ja <= row_of(n) < jb:
            mine[ia:ib] = part.array[row_of(n) - ja]
    row = np.sum(comm.all(mine), axis=0)
    if comm.root:
        tell(seconds, row)


def row_of(n: int) -> int:
    """Return a row that the sweeps reach from the top side."""
    return n - 8


def repeated(advance: Callable[[], object], meet: Callable[[], object]) -> list[float]:
    """Return the seconds of each repeat on the slowest rank."""
    seconds = []
    for _ in range(REPEATS + 1):
        meet()
        begun = time.perf_counter()
        advance()
        meet()
        seconds.append(time.perf_counter() - begun)
    return seconds[1:]


def tell(seconds: list[float], row: np.ndarray) -> None:
    """Print what the benchmark reads."""
    print(json.dumps({"seconds": seconds, "row": row.tolist()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
