# SPDX-License-Identifier: MIT
"""Laws of going on: what may change against what a checkpoint says it was."""

import json

import netCDF4
import pytest

from hpcapp.changes import inputs_of, refuse_changes, refuse_inputs
from hpcapp.errors import ConfigError, ResultError
from hpcapp.problem import parse_problem

PLACE = "r/run.yaml"


def problem(*settings, text="workload: laplace\n"):
    return parse_problem(text, PLACE, settings, {})


def checkpoint(tmp_path, then, state="checkpoint"):
    """Return a file that says what a run was configured to be."""
    path = str(tmp_path / "c.nc")
    config = then if isinstance(then, str) else then.text()
    with netCDF4.Dataset(path, "w") as file:
        file.setncatts({"hpcapp_config": config, "hpcapp_state": state})
    return path


def refusal(now, path):
    with pytest.raises((ConfigError, ResultError)) as caught:
        refuse_changes(now, path)
    return str(caught.value)


def test_run_that_is_finished_has_nothing_left_to_do(tmp_path):
    assert refuse_changes(problem(), checkpoint(tmp_path, problem(), "finished"))
    assert not refuse_changes(problem(), checkpoint(tmp_path, problem()))


def test_change_of_the_problem_is_refused_with_its_place(tmp_path):
    path = checkpoint(tmp_path, problem())
    now = problem("parameters.shape=[5, 7]", text="workload: laplace\nrun: {seed: 3}\n")
    assert refusal(now, path).splitlines() == [
        "--set: parameters.shape: must not change when a run goes on, was [257, 257], "
        "got [5, 7]",
        f"{PLACE}:2: run.seed: must not change when a run goes on, was 0, got 3",
    ]


def test_what_changes_no_number_may_change(tmp_path):
    path = checkpoint(tmp_path, problem())
    now = problem("parameters.halo_depth=3", "run.threads=2", "checkpoint.keep=5")
    assert not refuse_changes(now, path)


def test_file_without_its_configuration_is_refused(tmp_path):
    path = str(tmp_path / "c.nc")
    netCDF4.Dataset(path, "w").close()
    assert refusal(problem(), path) == f"{path}: does not hold its configuration"


def test_checkpoint_with_a_newer_configuration_is_refused(tmp_path):
    text = problem().text().replace("version: 1", "version: 99")
    path = checkpoint(tmp_path, text)
    assert refusal(problem(), path) == (
        f"{path}:1: version: must be <= 1, got 99: written for a newer hpcapp"
    )


# --- extending


@pytest.mark.parametrize("state", ["checkpoint", "finished"])
def test_fewer_sweeps_than_asked_for_before_are_refused(tmp_path, state):
    path = checkpoint(tmp_path, problem("parameters.max_iterations=3000"), state)
    assert refusal(problem("parameters.max_iterations=100"), path) == (
        "--set: parameters.max_iterations: must not become smaller when a run goes on, "
        "was 3000, got 100; start another run"
    )
    assert not refuse_changes(problem("parameters.max_iterations=3001"), path)


SAME_OR_STRICTER = [
    ("tolerance: 1e-4", "tolerance: 1e-5"),
    ("tolerance: 1e-4", "tolerance: 0"),
    ("accuracy: 1e-3", "accuracy: 1e-4"),
    ("accuracy: 1e-3", "accuracy: null"),  # the default is 1e-6
    ("accuracy: null", "accuracy: 1e-6"),
    ("accuracy: 1e-3", "tolerance: 0"),
    ("tolerance: 0", "tolerance: 0"),
]
LOOSER = [
    ("tolerance: 1e-4", "tolerance: 1e-3", "tolerance", "was 0.0001, got 0.001"),
    ("tolerance: 0", "tolerance: 1e-3", "tolerance", "was 0.0, got 0.001"),
    ("accuracy: 1e-4", "accuracy: 1e-3", "accuracy", "was 0.0001, got 0.001"),
    ("accuracy: null", "accuracy: 1e-5", "accuracy", "was 1e-06, got 1e-05"),
]
OTHER = [
    ("tolerance: 1e-4", "accuracy: 1e-6", "accuracy", "tolerance"),
    ("tolerance: 0", "accuracy: null", "accuracy", "tolerance"),
    ("accuracy: null", "tolerance: 1e-9", "tolerance", "accuracy"),
]


def goal(text):
    return problem(text=f"workload: laplace\nparameters:\n  {text}\n")


@pytest.mark.parametrize("state", ["checkpoint", "finished"])
@pytest.mark.parametrize(("then", "now"), SAME_OR_STRICTER)
def test_a_stricter_goal_is_let_through(tmp_path, state, then, now):
    # a straight run with the stricter goal has not stopped earlier either
    path = checkpoint(tmp_path, goal(then), state)
    assert refuse_changes(goal(now), path) == (state == "finished" and then == now)


@pytest.mark.parametrize("state", ["checkpoint", "finished"])
@pytest.mark.parametrize(("then", "now", "key", "values"), LOOSER)
def test_a_looser_goal_is_refused(tmp_path, state, then, now, key, values):
    path = checkpoint(tmp_path, goal(then), state)
    assert refusal(goal(now), path) == (
        f"{PLACE}:3: parameters.{key}: must not become looser when a run goes on, "
        f"{values}; start another run"
    )


@pytest.mark.parametrize(("then", "now", "key", "other"), OTHER)
def test_a_goal_of_another_kind_is_refused(tmp_path, then, now, key, other):
    path = checkpoint(tmp_path, goal(then))
    assert refusal(goal(now), path) == (
        f"{PLACE}:3: parameters.{key}: must not replace {other} when a run goes on, "
        "since it may have been met earlier; start another run, or use tolerance: 0"
    )


def needy(points, start):
    text = (
        f"workload: tests.own.needy\nparameters: {{points: {points}, start: {start}}}"
    )
    return problem(text=text)


def test_whether_a_parameter_may_grow_is_asked_of_the_workload_as_configured(tmp_path):
    path = checkpoint(tmp_path, needy(5, 0), "finished")
    assert not refuse_changes(needy(6, 0), path)
    path = checkpoint(tmp_path, needy(5, 1), "finished")
    assert refusal(needy(6, 1), path) == (
        f"{PLACE}:2: parameters.points: must not change when a run goes on, was 5, "
        "got 6"
    )


def test_finished_run_that_cannot_be_extended_is_refused(tmp_path, monkeypatch):
    path = checkpoint(tmp_path, problem(), "finished")
    now = problem("parameters.halo_depth=3")
    monkeypatch.setattr(type(now.workload), "extendable", lambda self: frozenset())
    assert refusal(now, path) == (
        f"{path}: is finished, and laplace cannot be extended; start another run"
    )


# --- inputs


def entry(name, digest="0" * 64, **facts):
    return {"path": name, "bytes": 3, "changed": 5, "sha256": digest, **facts}


A, B, OTHER_B = entry("a"), entry("b"), entry("b", "1" * 64, bytes=4)
GONE = {"path": "b", "fault": "No such file or directory"}
WAS = "file 2 of the input was b of 3 bytes with SHA-256 000000000000... when c.nc was"


@pytest.mark.parametrize(
    ("then", "now", "more", "said"),
    [
        ([A, B], [A, OTHER_B], True, "b of 4 bytes with SHA-256 111111111111..."),
        ([A, B], [A, GONE], True, "b: No such file or directory"),
        ([A, B], [A, entry("n"), B], True, "n of 3 bytes with SHA-256 000000000000..."),
        ([A, B], [A], True, "none"),
    ],
)
def test_another_input_is_refused_by_name(then, now, more, said):
    with pytest.raises(ConfigError) as caught:
        refuse_inputs("c.nc", then, now, more)
    assert str(caught.value) == (
        f"b: must not change when a run goes on: {WAS} written, got {said}; put it "
        "back as it was, or start another run"
    )


def test_more_input_is_an_extension_or_refused():
    refuse_inputs("c.nc", [A], [A, B], more=True)
    refuse_inputs("c.nc", [A], [{**A, "changed": 6}], more=False)
    with pytest.raises(ConfigError, match=r"^b: must not change.* was none when c"):
        refuse_inputs("c.nc", [A], [A, B], more=False)


def test_file_that_could_not_be_read_then_is_known_by_its_name():
    refuse_inputs("c.nc", [A, GONE], [A, B], more=False)
    with pytest.raises(ConfigError, match="was b: No such file or directory when"):
        refuse_inputs("c.nc", [A, GONE], [A, entry("n")], more=False)


def test_inputs_are_read_back_from_attributes():
    assert inputs_of("c.nc", {"hpcapp_inputs": json.dumps([A, B])}) == [A, B]
    assert inputs_of("c.nc", {}) == []


@pytest.mark.parametrize("text", ["[", "7", '[{"bytes": 3}]', "[[]]", '["a"]'])
def test_inputs_that_cannot_be_understood_are_damage(text):
    with pytest.raises(ResultError) as caught:
        inputs_of("c.nc", {"hpcapp_inputs": text})
    said = "c.nc: hpcapp_inputs: does not tell what was read: "
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(": damaged")
