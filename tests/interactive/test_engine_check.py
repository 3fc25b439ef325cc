# SPDX-License-Identifier: MIT
"""Engines that are not one MPI world are refused, with the mistake that led to it."""

from dataclasses import replace

import pytest

from hpcapp import __version__
from hpcapp.errors import LaunchError
from hpcapp.interactive.check import check_engines
from hpcapp.interactive.orders import Engine


def engine(world, **changed):
    known = Engine("node", 1, world, 4, "/", __version__, "MPICH 5.0.2")
    return replace(known, **changed)


def refused(engines):
    with pytest.raises(LaunchError) as caught:
        check_engines(engines)
    return str(caught.value)


def test_one_world_with_ids_that_are_ranks_is_taken():
    check_engines({rank: engine((rank, 3)) for rank in range(3)})


def test_a_single_engine_is_a_world():
    check_engines({0: engine((0, 1))})


def test_engines_without_mpi_name_the_mistake_of_the_course():
    text = refused({0: engine(None), 1: engine(None)})
    assert "engines 0, 1 of 2 have not started MPI" in text
    assert "Cluster(environments='mpi')" in text
    assert "ipcluster start -n 4 --engines=MPI" in text


def test_one_engine_without_mpi_is_named():
    text = refused({0: engine((0, 1)), 1: engine(None)})
    assert "engine 1 of 2 has not started MPI" in text


def test_worlds_of_one_rank_each_name_the_launcher():
    text = refused({0: engine((0, 1)), 1: engine((0, 1))})
    assert "2 engines, each an MPI world of its own" in text
    assert "not that of MPICH 5.0.2" in text


def test_missing_engines_of_a_world_are_noticed():
    text = refused({0: engine((0, 3)), 1: engine((1, 3))})
    assert "2 engines, but the size of their MPI world is 3" in text


def test_ids_that_are_not_ranks_are_noticed():
    text = refused({4: engine((0, 2)), 5: engine((1, 2))})
    assert "engine 4 has rank 0, but they must be equal" in text


def test_another_version_is_noticed():
    text = refused({0: engine((0, 2)), 1: engine((1, 2), version="0.0.9")})
    assert f"engine 1 on node has hpcapp 0.0.9, this process {__version__}" in text


def test_no_engines_at_all():
    assert "there are no engines" in refused({})
