# SPDX-License-Identifier: MIT
"""What a run knows of where its ranks are."""

import pytest

from hpcapp.session import Machine


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
