# SPDX-License-Identifier: MIT
"""The ranks and a folder for all tests of a module: their runs are compared."""

import pytest
from mpi4py import MPI

from hpcapp.device import cores
from hpcapp.mpi.comm import Comm


@pytest.fixture(scope="module")
def world():
    """Return all ranks of this test run, waiting as those of a run do."""
    raw = MPI.COMM_WORLD
    return Comm(raw, crowded=raw.size > len(cores()))


@pytest.fixture(scope="module")
def folder(world, share_folder):
    """Return an empty folder that all ranks share."""
    with share_folder(world) as path:
        yield path
