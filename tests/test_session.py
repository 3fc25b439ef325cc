# SPDX-License-Identifier: MIT
"""What a run knows of where its ranks are."""

import pytest

from hpcapp.errors import Exit, PlanError
from hpcapp.gpu.choice import Choice
from hpcapp.gpu.hardware import SIMULATED, Gpu
from hpcapp.gpu.room import lacking_room
from hpcapp.problem import parse_problem
from hpcapp.session import Machine, check


@pytest.mark.parametrize(
    "masks, crowded",
    [
        ([("a", (0, 1)), ("a", (0, 1))], False),
        ([("a", (0, 1))] * 3, True),
        ([("a", (0,)), ("a", (1,))], False),
        # two nodes with two cores each, three ranks on the first
        ([("a", (0, 1)), ("a", (0, 1)), ("a", (0, 1)), ("b", (0, 1))], True),
        # and a rank that has a node of its own: all must wait in the same way
        ([("b", (0, 1)), ("a", (0, 1)), ("a", (0, 1)), ("a", (0, 1))], True),
    ],
)
def test_ranks_are_crowded_where_any_node_has_fewer_cores(masks, crowded):
    machine = Machine(tuple(node for node, _ in masks), tuple(masks), {}, "MPI")
    assert (len(machine.workers) < len(masks)) == crowded


@pytest.mark.parametrize(
    "masks, workers",
    [
        ([("a", (0, 1)), ("a", (0, 1))], (0, 1)),
        ([("a", (0, 1))] * 5, (0, 1)),
        ([("a", (0,)), ("a", (0,)), ("a", (1,))], (0, 1)),
        # ranks dealt out to two nodes in turn, and one node after another
        ([("a", (0, 1)), ("b", (0, 1))] * 3, (0, 1, 2, 3)),
        ([("a", (0, 1))] * 3 + [("b", (0, 1, 2))] * 3, (0, 1, 3, 4, 5)),
    ],
)
def test_a_node_has_as_many_workers_as_cores(masks, workers):
    machine = Machine(tuple(node for node, _ in masks), tuple(masks), {}, "MPI")
    assert machine.workers == workers


def test_cores_of_a_node_count_once():
    masks = (("a", (0, 1)), ("b", (3,)), ("a", (1, 2)), ("b", (3,)))
    machine = Machine(tuple(node for node, _ in masks), masks, {}, "MPI")
    assert machine.cores() == {"a": 3, "b": 1}


# --- memory of GPUs

GIB = 2**30


def gpu(uuid, free=10 * GIB, memory=16 * GIB):
    return Gpu("NVIDIA T4", uuid, memory, free=free)


def test_ranks_that_share_a_gpu_must_fit_together():
    gpus, hosts = [gpu("a"), gpu("b"), gpu("a", free=9 * GIB)], ("n1", "n1", "n1")
    assert lacking_room([5 * GIB, 10 * GIB, 4 * GIB], gpus, hosts) == ""
    # the last one to open it has seen what the libraries of both leave
    assert lacking_room([5 * GIB, 10 * GIB, 4 * GIB + 1], gpus, hosts) == (
        "does not fit into GPU memory: 2 ranks share NVIDIA T4 on n1 and need 9 GiB, 9 "
        "of 16 GiB are free; use more GPUs, fewer ranks on each, a smaller problem, or "
        "device: cpu"
    )
    assert lacking_room([GIB, 11 * GIB, GIB], gpus, ("n1", "n2", "n1")).startswith(
        "does not fit into GPU memory: rank 1 has NVIDIA T4 on n2 and needs 11 GiB, 10 "
    )


def test_nothing_is_known_of_the_memory_of_a_simulated_gpu():
    assert lacking_room([1 << 60], [Gpu("simulator", SIMULATED)], ["n1"]) == ""


def checked(mode, free):
    settings = (f"run.memory={mode}", "parameters.shape=[4097, 4097]")
    settings += ("run.device=cuda",)
    problem = parse_problem("workload: laplace\n", "c.yaml", settings, {})
    machine = Machine(
        nodes=("n1",),
        masks=(("n1", (0,)),),
        limits={"n1": 1 << 40},
        mpi="MPI",
        gpus=(gpu("a", free),),
        choice=Choice(cuda=True),
    )
    return check(problem, machine)


def test_a_run_that_does_not_fit_on_its_gpu_is_refused_or_warned_of():
    # two arrays of 4099 x 4112 points, two norms
    need = 2 * 8 * 4099 * 4112 + 16
    assert checked("check", need) == ""
    with pytest.raises(PlanError) as caught:
        checked("check", need - 1)
    told = "--set: run.memory: does not fit into GPU memory: rank 0 has NVIDIA T4 on n1"
    assert str(caught.value).startswith(told)
    assert caught.value.code == Exit.USAGE
    assert checked("warn", need - 1).startswith(told)
    assert checked("off", 0) == ""
