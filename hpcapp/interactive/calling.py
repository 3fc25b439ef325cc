# SPDX-License-Identifier: MIT
"""A user's own function on all engines: its blocks, its deadline, its interruption."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

from hpcapp.interactive.cluster import Engines
from hpcapp.interactive.configuring import read_given
from hpcapp.interactive.engine import call
from hpcapp.interactive.evaluating import assemble, evaluate, load_kernels
from hpcapp.interactive.orders import EngineError, Interrupted
from hpcapp.interactive.running import Pending

__all__ = ["answers", "computed", "cut_blocks", "prepared", "send"]

# seconds that a function has to end after it was interrupted
HEARD = 5.0


def send(
    engines: Engines, function: Callable[[Any, Any], Any], blocks: Sequence[Any]
) -> Pending:
    """Send a function to all engines, with what it refers to.

    Parameters
    ----------
    engines : Engines
        Who calls it.
    function : callable
        Of a communicator and a block.
    blocks : sequence
        One for each engine.

    Returns
    -------
    Pending
        The answers to come.
    """
    import cloudpickle

    packed = cloudpickle.dumps(function)
    results = [
        engines.client[rank].apply_async(
            call, packed, cloudpickle.dumps(block), os.getcwd()
        )
        for rank, block in enumerate(blocks)
    ]
    return Pending(engines, results)


def answers(pending: Pending, timeout: float | None) -> list[Any]:
    """Wait for a function on all engines.

    Parameters
    ----------
    pending : Pending
        What was sent.
    timeout : float or None
        Seconds after which it is interrupted.

    Returns
    -------
    list
        What it returned, by rank.

    Raises
    ------
    EngineError
        If it fails on an engine, or an engine was lost.
    Interrupted
        If the user has interrupted it.
    TimeoutError
        If the time was over first.
    """
    import cloudpickle

    until = None if timeout is None else time.monotonic() + timeout
    try:
        if not pending.wait(until, lambda: None):
            _interrupt(pending)
            raise TimeoutError(f"the function has not returned within {timeout:g} s")
    except KeyboardInterrupt:
        _interrupt(pending)
        raise Interrupted("the function was interrupted on all engines") from None
    found = pending.answers()
    for answer in found:
        if answer.error is not None:
            raise EngineError(f"{answer.error}\n{answer.traceback.rstrip()}")
    return [cloudpickle.loads(answer.value) for answer in found]


def _interrupt(pending: Pending) -> None:
    """Interrupt what the engines are at; raise if they are deep in the library."""
    pending.engines.ask_to_stop()
    until = time.monotonic() + HEARD
    while not pending.done and time.monotonic() < until:
        time.sleep(0.05)
    if not pending.done:
        pending.failed = True
        where = ", ".join(str(rank) for rank in pending.busy())
        raise EngineError(
            f"engines {where} wait inside of the MPI library and cannot be "
            "interrupted; s.restart() ends them and starts others"
        )


def computed(engines: Engines, config: dict[str, Any], field: str) -> Any:
    """Compute a field of a small problem on all engines, without any file.

    Parameters
    ----------
    engines : Engines
        Who computes.
    config : dict
        The problem.
    field : str
        Distributed over the whole domain.

    Returns
    -------
    ndarray
        The field, with the values that a run would write.

    Raises
    ------
    EngineError
        If an engine fails or was lost.
    """
    given = read_given(config, {})
    found = _all(engines, evaluate, given.text, given.name, field)
    parts = [part for answer in found for part in answer]
    workload = given.problem.workload
    dtype = next(one.dtype for one in workload.fields() if one.name == field)
    return assemble(parts, workload.domain().shape, dtype)


def prepared(engines: Engines, config: dict[str, Any]) -> None:
    """Let all engines load what a small problem is computed with.

    Parameters
    ----------
    engines : Engines
        Who will compute.
    config : dict
        A problem of the kind.

    Raises
    ------
    EngineError
        If an engine fails or was lost.
    """
    given = read_given(config, {})
    _all(engines, load_kernels, given.text, given.name)


def _all(engines: Engines, function: Any, *arguments: Any) -> list[Any]:
    pending = Pending(engines, engines.each(function, *arguments))
    pending.wait(None, lambda: None)
    return pending.answers()


def cut_blocks(shape: Sequence[int], parts: int) -> list[tuple[slice, ...]]:
    """Divide an array in blocks with the least surface.

    Parameters
    ----------
    shape : sequence of int
        Of the array.
    parts : int
        How many blocks.

    Returns
    -------
    list of tuple of slice
        Empty ones last, where there are more parts than points.
    """
    from hpcapp.decomposition import Domain, Layout

    dims = tuple(f"axis{number}" for number in range(len(shape)))
    layout = Layout.choose(Domain(dims, tuple(shape)), parts)
    found = [layout.block(rank) for rank in range(parts)]
    return [
        tuple(slice(a, b) for a, b in zip(block.start, block.stop, strict=True))
        for block in found
    ]
