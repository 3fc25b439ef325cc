# SPDX-License-Identifier: MIT
"""Calls of the kernels of cycles on a GPU, so that they are compiled beforehand."""

from typing import Any

import numpy as np

from hpcapp.workloads.laplace.cuda_queue import Queue

__all__ = ["warm_up_cycles_on_gpu"]


def warm_up_cycles_on_gpu(device: Any, cg: bool) -> None:
    """Compile the kernels of multigrid cycles.

    Parameters
    ----------
    device : CudaDevice
        The GPU.
    cg : bool
        Whether those of vectors too.
    """
    from hpcapp.workloads.laplace.cycle_cuda_kernels import (
        fill_gpu,
        relax_gpu,
        restrict_gpu,
    )
    from hpcapp.workloads.laplace.lift_cuda_kernels import correct_gpu, prolong_gpu
    from hpcapp.workloads.laplace.norm_cuda_kernels import largest_gpu, norm_gpu

    def table(*shape: int, kind: Any = np.float64) -> Any:
        """Return an array of ones on the GPU."""
        return device.to_device(np.ones(shape, kind))

    queue, some = Queue(device), (1, 2, 1, 2)
    u, coarse, four = table(4, 2, 2), table(4, 2, 2), table(4, 4)
    f, two = device.empty((0, 0, 0)), table(4, 2)
    index = device.to_device(np.zeros(4, np.int64))
    largest = table(2, kind=np.int64)
    head = (u, f, 0.0, table(4, 6), two, 1.0, (1, 3, 0))
    for kernel, arguments in (
        (fill_gpu, (u, 0.0)),
        (relax_gpu, (*head, 0)),
        (restrict_gpu, (coarse, *head, four, four, (2, 0, 2, 0, 0, 0), some)),
        (correct_gpu, (u, coarse, index, two, index, two, (2, 0, 2), 0)),
        (prolong_gpu, (u, coarse, index, four, index, four, (1, 0, 0, 0))),
        (norm_gpu, (largest, *head)),
        (largest_gpu, (largest, u)),
    ):
        queue.march(kernel, some, *arguments, width=2, align=2)
    if cg:
        _warm_up_vectors(queue, head)
    queue.packing.warm_up()


def _warm_up_vectors(queue: Queue, head: tuple[Any, ...]) -> None:
    from hpcapp.gpu.values import add_values
    from hpcapp.reduction import zeros
    from hpcapp.workloads.laplace.vector_cuda_kernels import (
        add_scaled_gpu,
        leave_gpu,
        multiply_gpu,
        scale_add_gpu,
    )

    device, u = queue.device, head[0]
    line, columns = device.to_device(np.ones(16)), device.to_device(np.ones((2, 2)))
    for kernel, arguments in (
        (leave_gpu, (u, *head)),
        (multiply_gpu, (line, u, u, line, columns, 1, (1, 2))),
        (add_scaled_gpu, (u, 0.0, u)),
        (scale_add_gpu, (u, 0.0, u)),
    ):
        queue.march(kernel, (1, 2, 1, 2), *arguments, width=2, align=2)
    add_values(device, zeros(), line[:8])
