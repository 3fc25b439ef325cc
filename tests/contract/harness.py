# SPDX-License-Identifier: MIT
"""Runs of a configuration on a communicator, in this process."""

import os
from pathlib import Path

import h5py
import numpy as np

from hpcapp.clock import Clock
from hpcapp.driver import drive
from hpcapp.log import Log
from hpcapp.prepare import Request, prepare
from hpcapp.problem import read_problem
from hpcapp.session import Finished
from hpcapp.stops import Stops

ROOT = Path(__file__).parent.parent.parent

# every configuration that is small enough to be run many times
CONFIGS = sorted(
    [
        *(ROOT / "configs" / "small").glob("*.yaml"),
        *(ROOT / "tests" / "own").glob("*.yaml"),
    ]
)


class StopAt(Stops):
    """Ask for a stop at the yield of a number, counted from 0, on one rank."""

    def __init__(self, number):
        super().__init__()
        self.asked = 0
        self.number = number

    def wanted(self, margin):
        """Count the yields."""
        if self.asked == self.number:
            self.request("test")
        self.asked += 1
        return super().wanted(margin)


def run(comm, config, directory, settings=(), stop_at=None, resume=False, log=None):
    """Run or resume; return the outcome and the number of yields."""
    comm.clock = Clock()
    # one rank's wish must be enough
    number = stop_at if comm.rank == comm.size - 1 else None
    stops = StopAt(number)
    request = Request(
        config="" if resume else str(config),
        directory=str(directory),
        settings=tuple(settings),
        environ={k: v for k, v in os.environ.items() if not k.startswith("HPCAPP_")},
    )
    log = log or Log(False)
    session = prepare(comm, request, log, stops)
    if isinstance(session, Finished):
        return None, 0
    try:
        return drive(session), stops.asked
    finally:
        if session.held:
            session.held.lock.release()
        log.close()
        comm.barrier()


def load(directory):
    """Return the data of a result: bytes of each variable, by name.

    Lists of state are left out: they stand in the order of the ranks that held them.
    """
    found = {}
    fields = read_problem(str(Path(directory) / "run.yaml")).workload.fields()
    lists = {f"state/{field.name}" for field in fields if field.listed}
    with h5py.File(Path(directory) / "result.nc") as file:

        def visit(name, item):
            if isinstance(item, h5py.Dataset) and name not in lists:
                data = np.asarray(item[()])
                # the array of a text holds pointers
                text = data.dtype == object
                bits = repr(data.tolist()).encode() if text else data.tobytes()
                found[name] = (data.shape, data.dtype.str, bits)

        file.visititems(visit)
    return found


def split_sizes(world, sizes):
    """Cut the world into communicators of these sizes; None for the ranks left over."""
    bounds = np.cumsum([0, *sizes])
    colour = next(
        (i for i in range(len(sizes)) if bounds[i] <= world.rank < bounds[i + 1]), None
    )
    return world.split(colour), colour
