# SPDX-License-Identifier: MIT
"""What all ranks choose together is what the result says."""

from pathlib import Path

import h5py

OWN = Path(__file__).parent.parent / "own" / "quadrature.yaml"


def test_auto_without_kernels_falls_back_and_the_result_says_so(world, folder, harness):
    target = folder / "auto"
    harness.run(world, OWN, target, ("run.device=auto", "run.threads=1"))
    if world.root:
        with h5py.File(target / "result.nc") as file:
            assert file.attrs["hpcapp_device"].decode() == (
                "cpu (auto: this workload has kernels for the CPU only)"
            )
