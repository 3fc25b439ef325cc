# SPDX-License-Identifier: MIT
"""Calls of the kernels on tiny arrays, so that they are compiled before the clock."""

from typing import Any

import numpy as np

from hpcapp.device import Device
from hpcapp.expression import parse
from hpcapp.workloads.laplace.engine import open_engine
from hpcapp.workloads.laplace.parameters import CYCLES

__all__ = ["warm_up_method"]


def warm_up_method(
    device: Device, method: str, source: float | str, kind: np.dtype[Any]
) -> None:
    """Compile the kernels of a method, and of a source that is a field.

    Parameters
    ----------
    device : Device
        Where they will run.
    method : str
        As in `Parameters`.
    source : float or str
        As in `Parameters`.
    kind : dtype
        Of the values.
    """
    if method in CYCLES:
        _warm_up_cycles(method == "cg")
        if device.name == "cuda":
            from hpcapp.workloads.laplace.cuda_warm_up import warm_up_cycles_on_gpu

            warm_up_cycles_on_gpu(device, method == "cg")
    else:
        _warm_up_sweeps(device, method == "jacobi", kind)
    program = parse(source, ("x", "y"))
    if program.constant is None:
        from hpcapp.evaluation import evaluate_grid

        points = np.zeros(2)
        evaluate_grid(np.empty((2, 2)), program, points, points)


def _warm_up_sweeps(device: Device, jacobi: bool, kind: np.dtype[Any]) -> None:
    engine = open_engine(device)
    u, other = (engine.array(np.zeros((4, 4), kind)) for _ in range(2))
    f, region = engine.array(np.empty((0, 0), kind)), (1, 2, 1, 2)
    stencil = np.zeros(4, kind)
    if jacobi:
        engine.jacobi(u, other, f, stencil, [region])
    else:
        engine.redblack(u, f, stencil, kind.type(1.0), 0, [region])
    engine.residual(u, f, 0.0, 1.0, 1.0, region)
    engine.warm_up(jacobi, kind)


def _warm_up_cycles(cg: bool) -> None:
    from hpcapp.workloads.laplace.band_kernels import factor_band_cpu, solve_band_cpu
    from hpcapp.workloads.laplace.multigrid_kernels import (
        ascend_cpu,
        descend_cpu,
        prolong_cpu,
    )
    from hpcapp.workloads.laplace.row_kernels import (
        join_rows_cpu,
        largest_cpu,
        norm_cpu,
        split_rows_cpu,
    )

    u, none, nowhere = np.zeros((4, 2, 2)), np.zeros((0, 0, 0)), (0, 0, 0, 0)
    place = (np.zeros((4, 2)), np.zeros((4, 2)), 1.0, 0, 0, 0)
    head = (u, none, 0.0, place)
    regions, four, two = np.zeros((1, 4), np.int64), np.zeros((4, 4)), np.zeros((4, 2))
    index = np.zeros(4, np.int64)
    rest = (four, four, (2, 0), (2, 0, 0, 0))
    descend_cpu(*head, regions, u, rest, nowhere, nowhere)
    ascend_cpu(*head, regions, u, (index, two, index, two, (2, 0, 0)), nowhere)
    prolong_cpu(u, u, (index, four, index, four, (2, 0, 0, 0)), nowhere)
    norm_cpu(*head, nowhere, (0, 0))
    largest_cpu(u, nowhere)
    split_rows_cpu(u, 0, 0)
    join_rows_cpu(u, 0, 0)
    band = np.ones((1, 1))
    factor_band_cpu(band)
    solve_band_cpu(band, np.ones(1))
    if cg:
        _warm_up_vectors(head)


def _warm_up_vectors(head: tuple[Any, ...]) -> None:
    from hpcapp.reduction import add, zeros
    from hpcapp.workloads.laplace.cg_kernels import (
        add_scaled_cpu,
        leave_cpu,
        multiply_cpu,
        scale_add_cpu,
    )

    (u, f, constant, place), nowhere = head, (0, 0, 0, 0)
    leave_cpu(u, u, f, constant, place, nowhere)
    multiply_cpu(u, u, u, (np.zeros(4), np.zeros((2, 2))), 0, nowhere)
    add_scaled_cpu(u, 0.0, u, 0, 0)
    scale_add_cpu(u, 0.0, u, 0, 0)
    add(zeros(), u)
