# SPDX-License-Identifier: MIT
"""One rank of `io`: writes a grid with each writer and prints the seconds.

Run by mpirun as a script: ``writing_rank.py FOLDER SIDE REPEATS``.
"""

import json
import os
import sys
import time
from collections.abc import Callable


def main(folder: str, side: int, repeats: int) -> None:
    """Write with both writers in turn; rank 0 prints seconds and checksums."""
    import numpy as np

    from hpcapp.clock import Clock
    from hpcapp.decomposition import Domain, Layout
    from hpcapp.mpi import world
    from hpcapp.store.save import Job, save, warm_up
    from hpcapp.workload import Field, Part, State
    from tests.benchmarks.writing import fill

    comm = world.start(Clock())
    domain = Domain(("y", "x"), (side, side))
    layout = Layout.choose(domain, comm.size)
    block = layout.block(comm.rank)
    state, field = State(), Field("u", ("y", "x"), "1", "u", distributed=True)
    # a view of an array with a margin, as a workload has it
    padded = np.zeros(tuple(n + 2 for n in block.shape))
    padded[1:-1, 1:-1] = fill(block.start, block.stop, side)
    state["u"] = [Part(block, padded[1:-1, 1:-1])]
    warm_up([field])

    def write(writer: str) -> tuple[float, str]:
        path = os.path.join(folder, f"{writer}.nc")
        if comm.root and os.path.exists(path):
            os.unlink(path)
        job = Job(path, [field], domain, writer, lambda clocks: {})
        # all begin together, the slowest ends it
        comm.barrier()
        begun = time.perf_counter()
        checksum = save(comm, job, state)
        return max(comm.all(time.perf_counter() - begun)), checksum

    found = _repeat(write, repeats)
    if comm.root:
        print(json.dumps(found), flush=True)


def _repeat(write: Callable[[str], tuple[float, str]], repeats: int) -> dict:
    found: dict[str, dict] = {name: {"seconds": []} for name in ("direct", "gather")}
    for number in range(repeats + 1):
        for writer, entry in found.items():
            seconds, entry["checksum"] = write(writer)
            entry["seconds"] += [seconds] if number else []
    return found


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
