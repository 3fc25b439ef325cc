# SPDX-License-Identifier: MIT
"""Calls of the kernels on tiny arrays, so that they are compiled before the clock."""

from typing import Any

import numpy as np

__all__ = ["warm_up_cycles", "warm_up_sweeps"]


def warm_up_sweeps(jacobi: bool) -> None:
    """Compile the kernels of sweeps.

    Parameters
    ----------
    jacobi : bool
        Jacobi's, else those of over-relaxation.
    """
    from hpcapp.workloads.laplace.kernels import (
        relax_jacobi_cpu,
        relax_redblack_cpu,
        residual_cpu,
    )

    u = np.zeros((4, 4))
    regions, none = np.array([[1, 2, 1, 2]]), np.empty((0, 0))
    stencil = np.zeros(4)
    if jacobi:
        relax_jacobi_cpu(u, u.copy(), none, stencil, regions)
    else:
        relax_redblack_cpu(u, none, stencil, 1.0, 0, regions)
    residual_cpu(u, none, 0.0, 1.0, 1.0, regions[0])


def warm_up_cycles(cg: bool) -> None:
    """Compile the kernels of multigrid cycles.

    Parameters
    ----------
    cg : bool
        Also those of conjugate gradients, with its sums.
    """
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
