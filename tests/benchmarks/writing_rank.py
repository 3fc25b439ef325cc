# SPDX-License-Identifier: MIT
"""One rank of `io`: writes a grid in each way and prints the seconds.

Run by mpirun as a script: ``writing_rank.py FOLDER SIDE REPEATS [NAME ...]``.
"""

import json
import os
import random
import sys
import time
from typing import Any

# seconds between two ways
SETTLE = 0.5

HERE = os.path.dirname(os.path.abspath(__file__))


class Writing:
    """A grid in blocks, and the ways to write it.

    Parameters
    ----------
    comm : Comm
        The ranks.
    folder : str
        Where the files go.
    side : int
        Points along each axis.
    """

    def __init__(self, comm: Any, folder: str, side: int) -> None:
        import numpy as np

        from hpcapp.decomposition import Domain, Layout
        from hpcapp.store.collective import missing
        from hpcapp.store.save import warm_up
        from hpcapp.store.writers import WRITERS
        from hpcapp.workload import Field, Part, State
        from tests.benchmarks.writing import fill
        from tests.benchmarks.writing_bare import available

        self.comm, self.folder = comm, folder
        self.domain = Domain(("y", "x"), (side, side))
        self.block = Layout.choose(self.domain, comm.size).block(comm.rank)
        self.field = Field("u", ("y", "x"), "1", "u", distributed=True)
        # a view of an array with a margin, as a workload has it
        padded = np.zeros(tuple(n + 2 for n in self.block.shape))
        inner = padded[1:-1, 1:-1]
        inner[...] = fill(self.block.start, self.block.stop, side)
        self.state = State({"u": [Part(self.block, inner)]})
        warm_up([self.field])
        self.writers = [name for name in WRITERS if not missing(name)]
        saves = [f"save {name}" for name in (*self.writers, "checkpoint")]
        self.names = [*self.writers, *saves, *available()]

    def run(self, name: str) -> float:
        """Write a new file in one way; return the seconds of the slowest rank."""
        path = os.path.join(self.folder, f"{name}.nc")
        if self.comm.root and os.path.exists(path):
            os.unlink(path)
        action = self._action(name, path)
        # all begin together with nothing left to be written, the slowest ends it
        if self.comm.root:
            os.sync()
            # the disk goes on for a moment: what was removed is trimmed, caches empty
            time.sleep(SETTLE)
        self.comm.barrier()
        begun = time.perf_counter()
        action()
        return float(max(self.comm.all(time.perf_counter() - begun)))

    def _action(self, name: str, path: str) -> Any:
        from hpcapp.store.entry import Entry
        from hpcapp.store.layout import create
        from hpcapp.store.save import Job, save
        from hpcapp.store.target import Target
        from hpcapp.store.writers import WRITERS
        from tests.benchmarks.writing_bare import BARE

        shape = self.domain.shape
        if name.startswith("save "):
            writer = name.removeprefix("save ")
            finished = writer != "checkpoint"
            writer = writer if finished else "direct"
            job = Job(
                *(path, [self.field], self.domain, writer, lambda clocks: {}), finished
            )
            return lambda: save(self.comm, job, self.state)
        part = self.state.parts("u")[0]
        if name in WRITERS:
            entry = Entry(self.field, shape)
            offsets = self.comm.on_root(lambda: create(path, [entry]))
            target = Target(offsets["u"], shape, "float64", "u")

            def write() -> None:
                WRITERS[name](self.comm, path, [(target, [part])])
                if name in ("hdf5", "netcdf"):
                    _sync(self.comm, path)

            return write
        block = part.array.copy()
        start = self.block.start
        return lambda: BARE[name](self.comm.raw, path, shape, start, block)


def _sync(comm: Any, path: str) -> None:
    if comm.root:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
    comm.barrier()


def main(folder: str, side: int, repeats: int, names: list[str]) -> None:
    """Write in all ways, or those named, in rounds, each in another order."""
    from hpcapp.clock import Clock
    from hpcapp.device import cores
    from hpcapp.mpi import world

    comm = world.start(Clock())
    # as a run does: ranks that share cores wait in another way
    comm.place(range(min(comm.size, len(cores()))))
    writing = Writing(comm, folder, side)
    names = names or writing.names
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(repeats + 1):
        for name in random.Random(number).sample(names, len(names)):
            found = writing.run(name)
            seconds[name] += [found] if number else []
    if comm.root:
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
