# SPDX-License-Identifier: MIT
"""Verbs of the communicator, on any number of ranks."""

import numpy as np
import pytest

from hpcapp import reduction
from hpcapp.errors import ConfigError, LaunchError

pytestmark = pytest.mark.mpi


def test_on_root_calls_once_and_gives_the_value_to_all(comm):
    calls = []

    def function():
        calls.append(comm.rank)
        return {"rank": comm.rank, "data": list(range(1000))}

    assert comm.on_root(function) == {"rank": 0, "data": list(range(1000))}
    assert calls == ([0] if comm.rank == 0 else [])


def test_on_root_raises_the_user_error_on_all_ranks(comm):
    def function():
        raise ConfigError("file.yaml:3: a.b: must be > 0, got -1")

    with pytest.raises(ConfigError, match=r"file.yaml:3: a.b: must be > 0, got -1"):
        comm.on_root(function)


def test_all_returns_values_in_rank_order(comm):
    assert comm.all("x" * comm.rank) == ["x" * rank for rank in range(comm.size)]


def test_max_of_bit_patterns_puts_nan_above_everything(waiter):
    comm = waiter
    value = np.nan if comm.rank == comm.size - 1 else 1e300
    bits = comm.max(np.array([value, float(comm.rank)]).view(np.int64))
    assert np.isnan(bits.view(np.float64)[0])
    assert bits.view(np.float64)[1] == comm.size - 1


def test_sum_is_exact_and_refuses_floats(waiter):
    comm = waiter
    big = np.array([2**62, 1], np.uint64)
    expected = [(2**62 * comm.size) % 2**64, comm.size]
    assert comm.sum(big).tolist() == expected
    with pytest.raises(TypeError, match="sum takes integers"):
        comm.sum(np.zeros(1))


def test_exact_sum_of_floats_does_not_depend_on_the_ranks(comm):
    values = np.array([1e308, 1.0, -1e308, 2.0**-1074, 1e-30, -1.0])
    mine = reduction.zeros()
    reduction.add(mine, values[comm.rank :: comm.size].copy())
    reduction.normalise(mine)
    # theory: everything cancels but the two small ones, of which one is visible
    assert reduction.to_float(comm.sum(mine)) == 1e-30


def test_exclusive_sum_counts_the_ranks_before(comm):
    assert comm.exclusive_sum(comm.rank + 1) == comm.rank * (comm.rank + 1) // 2


@pytest.mark.parametrize("piece", [8, 24, 1 << 20])
def test_gather_keeps_order_and_lengths_in_pieces_of_any_size(comm, piece):
    mine = np.arange(comm.rank * 10, comm.rank * 10 + comm.rank % 3 * 5, dtype=np.int64)
    parts = comm.gather(mine, piece=piece)
    if comm.rank == 0:
        assert [part.tolist() for part in parts] == [
            list(range(r * 10, r * 10 + r % 3 * 5)) for r in range(comm.size)
        ]
    else:
        assert parts is None


@pytest.mark.parametrize("piece", [8, 24, 1 << 20])
def test_scatter_gives_each_rank_its_part(comm, piece):
    parts = None
    if comm.rank == 0:
        parts = [np.arange(r % 4, dtype=np.float64) + r for r in range(comm.size)]
    mine = comm.scatter(parts, piece=piece)
    assert mine.dtype == np.float64
    assert mine.tolist() == [comm.rank + i for i in range(comm.rank % 4)]


def test_agreement_is_the_maximum_and_does_not_wait_when_posted(waiter):
    comm = waiter
    first = comm.agree(np.array([comm.rank == 0, 0]))
    second = comm.agree(np.array([0, comm.rank]))
    assert first.result().tolist() == [1, 0]
    assert second.result().tolist() == [0, comm.size - 1]


def test_meet_tells_whether_all_came(comm):
    assert comm.duplicate().meet(10.0)


def test_meet_gives_up(comm):
    if comm.size == 1:
        pytest.skip("needs a rank that stays away")
    apart = comm.duplicate()
    if comm.rank == 0:
        assert not apart.meet(0.05)
    comm.barrier()
    if comm.rank != 0:
        apart.meet(10.0)


def test_node_holds_the_ranks_of_this_machine(comm):
    assert comm.node().size == comm.size


def test_copies_of_a_communicator_wait_as_it_does(waiter):
    for other in (waiter.duplicate(), waiter.node()):
        assert other.crowded == waiter.crowded
        other.free()


def test_split_leaves_out_who_takes_no_part(comm):
    part = comm.split(0 if comm.rank == 0 else None)
    assert (part.size == 1) if comm.rank == 0 else (part is None)


def test_an_mpi_without_one_sided_communication_is_named(comm, monkeypatch):
    from mpi4py import MPI

    class NoWindow:
        @staticmethod
        def Allocate(*arguments, **options):  # noqa: N802
            raise MPI.Exception(MPI.ERR_WIN)

    monkeypatch.setattr("hpcapp.mpi.claim.MPI.Win", NoWindow)
    with pytest.raises(LaunchError) as caught:
        comm.claim(5)
    assert str(caught.value).startswith(
        "work that is claimed needs one-sided communication, which this MPI library "
        "does not offer between these nodes ("
    )
    assert "use another schedule, such as cost" in str(caught.value)


def test_claim_hands_out_each_number_once(comm):
    claim = comm.claim(50)
    mine = []
    while (number := claim.next()) is not None:
        mine.append(number)
    claim.close()
    everyone = sorted(number for part in comm.all(mine) for number in part)
    assert everyone == list(range(50))


def test_deal_brings_each_rank_what_the_others_have_for_it(comm):
    # from rank a to rank b: a + 2 b numbers, none between the first two
    parts = [
        np.full(comm.rank + 2 * to, 10 * comm.rank + to) for to in range(comm.size)
    ]
    received = comm.deal(parts)
    assert [part.tolist() for part in received] == [
        [10 * source + comm.rank] * (source + 2 * comm.rank)
        for source in range(comm.size)
    ]
    assert all(part.dtype == np.int64 for part in received)


def test_stack_collects_arrays_of_one_shape_on_rank_0(comm):
    stacked = comm.stack(np.full((2, 3), comm.rank, np.int64))
    if comm.root:
        assert stacked.shape == (comm.size, 2, 3)
        assert stacked[:, 1, 2].tolist() == list(range(comm.size))
    else:
        assert stacked is None
