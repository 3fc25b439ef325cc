# SPDX-License-Identifier: MIT
"""The ranks and a folder; CUDA kernels run in Numba's simulator."""

import sys

import pytest
from mpi4py import MPI

from hpcapp.device import cores
from hpcapp.gpu.choice import simulated
from hpcapp.mpi.comm import Comm


@pytest.fixture(scope="session", autouse=True)
def simulator():
    """Skip where there is no simulator."""
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    if not simulated():
        pytest.skip("NUMBA_ENABLE_CUDASIM is not set: test_simulated.py sets it")
    # the simulator looks without a pause whether its threads are done, and keeps the
    # interpreter from them meanwhile: for 5 ms each time, unless told otherwise
    sys.setswitchinterval(1e-5)


@pytest.fixture(scope="module")
def world():
    """Return all ranks of this test run."""
    raw = MPI.COMM_WORLD
    return Comm(raw, crowded=raw.size > len(cores()))


@pytest.fixture(scope="module")
def folder(world, share_folder):
    """Return an empty folder that all ranks share."""
    with share_folder(world) as path:
        yield path


@pytest.fixture(scope="session")
def harness():
    """Return the module that runs configurations in this process."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))
    import harness

    return harness
