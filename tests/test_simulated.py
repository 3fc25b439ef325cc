# SPDX-License-Identifier: MIT
"""Starts the tests of whole runs on simulated GPUs, each under a hard time-out."""

import sys

import pytest
from test_ranks import run_tests

SIMULATED = {"NUMBA_ENABLE_CUDASIM": "1"}


@pytest.mark.timeout(1000)
@pytest.mark.parametrize(
    "ranks", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 4))]
)
def test_runs_on_simulated_gpus(mpirun, ranks):
    pytest.importorskip(
        "numba_cuda", reason="numba-cuda is not installed (hpcapp[cuda])"
    )
    run_tests(mpirun.mpirun, sys.executable, ranks, ["simulated"], 900, SIMULATED)
