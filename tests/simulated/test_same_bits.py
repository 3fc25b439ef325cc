# SPDX-License-Identifier: MIT
"""Whole runs with `device: cuda` in the simulator give the bits of the CPU.

Every configuration beside this file is a case; another one needs no change here.
"""

from pathlib import Path

import h5py
import pytest

CONFIGS = sorted(Path(__file__).parent.glob("*.yaml"))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_run_on_gpus_gives_the_bits_of_the_cpu(world, folder, harness, config):
    cpu, gpu = (folder / f"{config.stem}-{name}" for name in ("cpu", "gpu"))
    harness.run(world, config, cpu, ("run.device=cpu", "run.threads=1"))
    outcome, _ = harness.run(world, config, gpu, ("run.device=cuda", "run.threads=1"))
    assert outcome.answer is not None
    if world.root:
        assert harness.load(gpu) == harness.load(cpu)
        with h5py.File(gpu / "result.nc") as file:
            device = file.attrs["hpcapp_device"].decode()
        shared = f", shared by {world.size} ranks" if world.size > 1 else ""
        assert device == f"cuda (simulator{shared})"


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
