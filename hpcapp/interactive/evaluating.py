# SPDX-License-Identifier: MIT
"""A field of a small problem, computed on all engines without any file."""

import os
from typing import Any

import numpy as np

from hpcapp.clock import Clock
from hpcapp.device import Device, cache_locked, prepare_cache
from hpcapp.mpi import world
from hpcapp.problem import parse_problem
from hpcapp.workload import Context

__all__ = ["assemble", "evaluate", "load_kernels"]

Parts = list[tuple[tuple[int, ...], np.ndarray]]


def load_kernels(text: str, name: str) -> None:
    """Load what a workload computes with, compiled once a node; collective.

    Parameters
    ----------
    text, name : str
        The configuration.
    """
    prepare_cache(os.environ)
    comm = world.start(Clock())
    problem = parse_problem(text, name)
    device = Device(int(problem.config.run.threads))
    node = comm.node()
    try:
        if node.root:
            with cache_locked(os.environ):
                problem.workload.warm_up(device)
        node.barrier()
        problem.workload.warm_up(device)
        comm.barrier()
    finally:
        device.close()
        node.free()


def evaluate(text: str, name: str, field: str) -> Parts:
    """Turn the steps of a workload to their end; collective over all engines.

    Parameters
    ----------
    text : str
        The configuration.
    name : str
        Of it, for messages.
    field : str
        A distributed field.

    Returns
    -------
    list of (tuple of int, ndarray)
        Start and values of this engine's parts.
    """
    comm = world.start(Clock())
    problem = parse_problem(text, name)
    device = Device(int(problem.config.run.threads))
    try:
        context = Context(comm, device, problem.layout(comm.size))
        for _ in problem.workload.steps(context):
            pass
        return [
            (part.block.start, np.ascontiguousarray(part.array))
            for part in context.state.parts(field)
        ]
    finally:
        device.close()


def assemble(parts: Parts, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return a whole field from the parts of all engines.

    Parameters
    ----------
    parts : list of (tuple of int, ndarray)
        Of all of them.
    shape : tuple of int
        Of the field.
    dtype : dtype
        Of its values.

    Returns
    -------
    ndarray
        The field.
    """
    whole = np.zeros(shape, dtype)
    for start, values in parts:
        where = tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))
        whole[where] = values
    return whole
