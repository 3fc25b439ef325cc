# SPDX-License-Identifier: MIT
"""Laws of going on: what may change against what a checkpoint says it was."""

import netCDF4
import pytest

from hpcapp.errors import ConfigError, ResultError
from hpcapp.prepare import refuse_changes
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
