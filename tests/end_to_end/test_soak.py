# SPDX-License-Identifier: MIT
"""Runs that are killed at random moments end with the bits of undisturbed ones."""

import pytest

from tests.soak import soak


@pytest.mark.medium
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "kills",
    [10, pytest.param(100, marks=pytest.mark.slow)],
)
def test_no_kill_loses_a_bit(mpirun, tmp_path, kills):
    tally = soak(kills, tmp_path)
    assert tally.faults == []
    assert len(tally.kills) >= kills
    assert tally.runs >= 2
