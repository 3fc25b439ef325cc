# SPDX-License-Identifier: MIT
"""Cycles over several levels on simulated GPUs give the bits of those on the CPU."""

import numpy as np
import pytest

from hpcapp.config import Run
from hpcapp.decomposition import Layout
from hpcapp.device import Device
from hpcapp.gpu.device import CudaDevice
from hpcapp.workload import Context, State
from hpcapp.workloads.laplace import Laplace


def solve(world, device, parameters):
    workload = Laplace(Laplace.Parameters(**parameters), Run())
    layout = Layout.choose(workload.domain(), world.size)
    context = Context(world, device, layout, State())
    steps = [step.value for step in workload.steps(context)]
    parts = [part.array.copy() for part in context.state.parts("u")]
    return steps, parts, float(context.state["error_estimate"])


def compare(world, gpu, parameters):
    on_cpu = solve(world, Device(), parameters)
    on_gpu = solve(world, CudaDevice(1, gpu), parameters)
    assert on_cpu[0] == on_gpu[0]
    assert on_cpu[2] == on_gpu[2]
    for cpu, gpu in zip(on_cpu[1], on_gpu[1], strict=True):
        assert cpu.tobytes() == gpu.tobytes()
    assert np.isfinite(on_cpu[0]).all()


def test_two_levels_on_the_gpu_of_which_one_axis_is_coarsened(world, found_gpu):
    if world.size > 1:
        pytest.skip("takes long: one rank does")
    narrow = ((0.0, 1.0), (0.0, 0.1))
    parameters = {"shape": (24, 52), "domain": narrow, "method": "multigrid"}
    compare(world, found_gpu, {**parameters, "tolerance": 0, "max_iterations": 1})
