# SPDX-License-Identifier: MIT
"""Whole runs with `device: cuda` give the bits of the CPU.

Every configuration beside this file is a case; another one needs no change here.
"""

from pathlib import Path

import h5py
import pytest

from hpcapp import driver
from hpcapp.gpu.choice import simulated
from hpcapp.gpu.device import CudaDevice

CONFIGS = sorted(Path(__file__).parent.glob("*.yaml"))

# one of each kind of state, to be taken over by GPUs
TAKEN = ("julia", "laplace-jacobi", "laplace-multigrid", "montecarlo-walk", "words")


def kind_of(argument):
    """Return what a kernel is compiled for: of arrays type, dimensions and layout."""
    from numba import typeof

    if not hasattr(argument, "copy_to_host"):
        return str(typeof(argument))
    # the simulator has no layout for arrays without elements: on a GPU it is C
    layout = argument._numba_type_.layout if argument.size else "C"
    return f"{argument.dtype} {argument.ndim} {layout}"


@pytest.fixture
def late(monkeypatch):
    """Return the starts of kernels with types that they had not in the warm-up."""
    known, late, steps = set(), [], []
    start, crank = CudaDevice.start, driver._Run._crank

    def noted(device, kernel, grid, *arguments, **options):
        function = kernel.fn if hasattr(kernel, "fn") else kernel.py_func
        types = (function.__qualname__, *map(kind_of, arguments))
        if not steps:
            known.add(types)
        elif types not in known:
            late.append(types)
        start(device, kernel, grid, *arguments, **options)

    def turned(run, context):
        steps.append(True)
        try:
            return crank(run, context)
        finally:
            steps.pop()

    monkeypatch.setattr(CudaDevice, "start", noted)
    monkeypatch.setattr(driver._Run, "_crank", turned)
    return late


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_run_on_gpus_gives_the_bits_of_the_cpu(
    world, folder, harness, late, found_gpu, config
):
    cpu, gpu = (folder / f"{config.stem}-{name}" for name in ("cpu", "gpu"))
    harness.run(world, config, cpu, ("run.device=cpu", "run.threads=1"))
    outcome, _ = harness.run(world, config, gpu, ("run.device=cuda", "run.threads=1"))
    assert outcome.answer is not None
    # on a GPU these would be compiled while others wait
    assert late == []
    if world.root:
        assert harness.load(gpu) == harness.load(cpu)
        with h5py.File(gpu / "result.nc") as file:
            device = file.attrs["hpcapp_device"].decode()
            transport = file.attrs["hpcapp_transport"].decode()
        assert device.startswith(f"cuda ({found_gpu.name}")
        shared = f"shared by {world.size} ranks"
        assert (shared in device) == (world.size > 1)
        # nothing is sent, or nothing is in GPU memory
        why = "Numba's simulator are not in GPU memory" if world.size > 1 else "nothing"
        if simulated():
            assert transport.startswith("host (auto: ") and why in transport
        else:
            assert transport.startswith(("host (auto: ", "gpu (auto: "))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_run_that_stops_on_gpus_goes_on_without(world, folder, harness, config):
    cpu, gpu = (folder / f"{config.stem}-{name}" for name in ("cpu", "stopped"))
    outcome, _ = harness.run(
        world, config, gpu, ("run.device=cuda", "run.threads=1"), stop_at=1
    )
    assert outcome.answer is None
    harness.run(world, config, gpu, ("run.device=cpu",), resume=True)
    if world.root:
        assert harness.load(gpu) == harness.load(cpu)


@pytest.mark.parametrize("name", TAKEN)
def test_a_run_that_stops_on_the_cpu_goes_on_on_gpus(world, folder, harness, name):
    config = Path(__file__).with_name(f"{name}.yaml")
    cpu, gpu = (folder / f"{name}-{place}" for place in ("alone", "taken"))
    settings = ("run.device=cpu", "run.threads=1")
    harness.run(world, config, cpu, settings)
    outcome, _ = harness.run(world, config, gpu, settings, stop_at=1)
    assert outcome.answer is None
    harness.run(world, config, gpu, ("run.device=cuda",), resume=True)
    if world.root:
        assert harness.load(gpu) == harness.load(cpu)
        with h5py.File(gpu / "result.nc") as file:
            assert file.attrs["hpcapp_device"].decode().startswith("cuda (")
