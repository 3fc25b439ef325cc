# SPDX-License-Identifier: MIT
"""Laws of messages from memory that only the CUDA array interface tells of."""

import os
import subprocess
import sys

import numpy as np
import pytest

from hpcapp.gpu.transport import alone
from hpcapp.mpi.trial import try_messages


class Array:
    """An array as a GPU has it: no buffer, only an address."""

    def __init__(self, values):
        self.values = np.ascontiguousarray(values)

    @property
    def __cuda_array_interface__(self):
        return {
            "shape": self.values.shape,
            "typestr": self.values.dtype.str,
            "data": (self.values.ctypes.data, False),
            "strides": None,
            "version": 3,
        }


class Memory:
    """Memory that counts how often somebody waits for it."""

    def __init__(self):
        self.waits = 0

    def to_device(self, array):
        return Array(array.copy())

    def put(self, into, values):
        into.values[...] = values

    def from_device(self, found):
        return found.values.copy()

    def synchronise(self):
        self.waits += 1


class Stale(Memory):
    """Memory whose new values do not reach the library."""

    def put(self, into, values):
        if not into.values.any():
            into.values[...] = values


def test_values_go_round_all_ranks(comm):
    memory = Memory()
    assert try_messages(comm, memory) == ""
    # before each of the sends: three of each length
    assert memory.waits == 6


def test_values_that_do_not_arrive_are_counted(comm):
    found = try_messages(comm, Stale())
    before = (comm.rank - 1) % comm.size
    small, large = 7, 1 << 18
    # the first of three turns is right
    assert found == (
        f"{2 * small} of {3 * small} numbers from rank {before} arrived wrong; "
        f"{2 * large} of {3 * large} numbers from rank {before} arrived wrong"
    )


def test_a_child_of_a_rank_is_a_world_of_its_own(comm, root):
    if not comm.root:
        pytest.skip("one rank starts it")
    text = "from hpcapp.mpi import world; print(world.start(environ={}).size)"
    done = subprocess.run(
        [sys.executable, "-c", text],
        env=alone(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
