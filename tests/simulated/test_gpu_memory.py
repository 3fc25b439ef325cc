# SPDX-License-Identifier: MIT
"""What a plan says of GPU memory against what is asked for on a simulated GPU."""

import weakref
from pathlib import Path

import pytest

from hpcapp.decomposition import Layout
from hpcapp.gpu.device import CudaDevice
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.problem import read_problem
from hpcapp.workload import Context, State
from hpcapp.workloads.laplace import gpu_bytes

CONFIGS = sorted(Path(__file__).parent.glob("*.yaml"))

# as many times what was asked for may a plan say: for a picture, whose steps are few
# rows here, all pixels in one call; for small levels, tables of the longest kind; for
# words, tables of as many blocks as the largest GPU has, of which there are two here
LOOSE = {
    "mandelbrot": 9.0,
    "laplace-multigrid": 1.2,
    "laplace-cg": 1.2,
    "words": 2.5,
    "words-merged": 2.5,
}


class Counting(CudaDevice):
    """A GPU that knows how many bytes are in use, and were at most."""

    now = most = pinned_bytes = 0

    def _counted(self, array):
        self.now += array.nbytes
        self.most = max(self.most, self.now)
        weakref.finalize(array, self._freed, array.nbytes)
        return array

    def _freed(self, size):
        self.now -= size

    def empty(self, shape, dtype="float64"):
        return self._counted(super().empty(shape, dtype))

    def to_device(self, array):
        return self._counted(super().to_device(array))

    def pinned(self, shape, dtype):
        array = super().pinned(shape, dtype)
        self.pinned_bytes += array.nbytes
        return array


def run(world, problem):
    device = Counting(1, Gpu("simulator", SIMULATED))
    workload = problem.workload
    layout = Layout.choose(workload.domain(), world.size)
    context = Context(world, device, layout, State())
    for _ in workload.steps(context):
        pass
    return device, layout


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_plan_of_gpu_memory_is_enough_and_not_much_more(world, monkeypatch, config):
    # small levels are on the GPU too, in the simulator
    monkeypatch.setattr(
        "hpcapp.workloads.laplace.count_cycle_bytes",
        lambda *facts: gpu_bytes.count_cycle_bytes(*facts, below=0),
    )
    problem = read_problem(str(config), (), {})
    device, layout = run(world, problem)
    gpu, pinned = problem.workload.gpu_memory(layout, world.rank)
    assert device.most <= gpu
    assert device.pinned_bytes <= pinned
    if getattr(problem.workload.parameters, "schedule", "") == "dynamic":
        # ranks claim rows: one may come too late for any
        return
    # some ranks may have nothing to do
    most = max(world.all(device.most))
    pinned_bytes = max(world.all(device.pinned_bytes))
    assert max(world.all(gpu)) <= LOOSE.get(config.stem, 1.0) * most + 4096
    assert max(world.all(pinned)) <= 1.3 * pinned_bytes + 4096
