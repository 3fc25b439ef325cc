# SPDX-License-Identifier: MIT
"""The ranks and a folder for each test of several ranks."""

import pytest
from mpi4py import MPI

from hpcapp.mpi.comm import Comm


@pytest.fixture
def comm():
    """Return all ranks of this test run."""
    return Comm(MPI.COMM_WORLD)


@pytest.fixture(params=[False, True], ids=["spinning", "sleeping"])
def waiter(request):
    """Return all ranks, waiting in each of the two ways."""
    return Comm(MPI.COMM_WORLD, crowded=request.param)


@pytest.fixture
def folder(comm, share_folder):
    """Return an empty folder that all ranks share."""
    with share_folder(comm) as path:
        yield path
