# SPDX-License-Identifier: MIT
"""The ranks and a folder; CUDA kernels run in Numba's simulator.

Or on a GPU, where `test_on_gpu.py` starts some of these tests.
"""

import os
import sys
import threading

import numpy as np
import pytest
from mpi4py import MPI

from hpcapp.device import cores
from hpcapp.gpu.choice import find_gpu, simulated
from hpcapp.mpi.comm import Comm


@pytest.fixture(scope="session", autouse=True)
def simulator():
    """Skip where there is no simulator, unless a GPU is meant."""
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    if os.environ.get("HPCAPP_TEST_GPU"):
        return
    if not simulated():
        pytest.skip("NUMBA_ENABLE_CUDASIM is not set: test_simulated.py sets it")
    # the simulator looks without a pause whether its threads are done, and keeps the
    # interpreter from them meanwhile: for 5 ms each time, unless told otherwise
    sys.setswitchinterval(1e-5)
    make_shared_once()


def make_shared_once():
    """Let threads that ask for a shared array at the same time get the same one.

    The simulator looks whether it has made the array, makes it, and keeps it: of two
    threads that do so together one writes into an array that nobody else sees.
    """
    from numba.cuda import types
    from numba.cuda.np import numpy_support
    from numba.cuda.simulator.kernelapi import FakeCUDAShared

    plain, lock = FakeCUDAShared.array, threading.Lock()

    def array(self, shape, dtype, alignment=None):
        if shape == 0:
            return plain(self, shape, dtype, alignment)
        frame = sys._getframe(1)
        place = frame.f_code.co_filename, frame.f_lineno
        if isinstance(dtype, types.Type):
            dtype = numpy_support.as_dtype(dtype)
        with lock:
            if place not in self._allocations:
                self._allocations[place] = np.empty(shape, dtype)
            return self._allocations[place]

    FakeCUDAShared.array = array


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
def found_gpu():
    """Return the GPU, or the simulated one."""
    gpu = find_gpu()
    assert gpu.fault == ""
    return gpu


@pytest.fixture(scope="session")
def harness():
    """Return the module that runs configurations in this process."""
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent.parent / "contract"))
    import harness

    return harness
