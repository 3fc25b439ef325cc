# SPDX-License-Identifier: MIT
"""Workloads of others: files, and plug-ins, whole and broken."""

import sys
from importlib.metadata import EntryPoint

import pytest

from hpcapp import discovery
from hpcapp.discovery import GROUP, find_workload, plugin_names
from hpcapp.errors import ConfigError
from hpcapp.problem import read_problem
from hpcapp.studies.catalogue import describe_workloads, write_starter
from hpcapp.studies.exercise import exercise_text


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the working directory, with nothing loaded from it before."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("hpcapp_file_")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


@pytest.fixture
def offer(monkeypatch):
    """Return a function that makes entry points, as an installed package does."""
    points = []

    def offer(name, value):
        points.append(EntryPoint(name, value, GROUP))

    monkeypatch.setattr(discovery, "entry_points", lambda group: points)
    return offer


def refusal(name):
    """Return the message for a workload that cannot be found."""
    with pytest.raises(ConfigError) as caught:
        find_workload(name, "c.yaml:1")
    return str(caught.value)


# --- files


def test_a_workload_is_found_in_its_file(folder):
    (folder / "random.py").write_text(exercise_text(True))
    cls = find_workload("random.py", "here")
    assert cls.__name__ == "Heat"
    # it is called like a library, and is not taken for it
    assert not hasattr(sys.modules.get("random"), "Heat")
    assert find_workload("random.py", "here") is cls
    assert find_workload(str(folder / "random.py"), "here") is cls


def test_a_file_that_has_changed_is_read_again(folder):
    path = folder / "mine.py"
    path.write_text(exercise_text(True))
    before = find_workload("mine.py", "here")
    path.write_text(exercise_text(True).replace("heat on a plate", "warmth"))
    assert find_workload("mine.py", "here") is not before
    assert find_workload("mine.py", "here").summary == "warmth"


def test_a_file_alone_is_a_configuration_with_all_defaults(folder):
    (folder / "mine.py").write_text(exercise_text(True))
    problem = read_problem("mine.py", ("parameters.sweeps=7",), {})
    assert problem.config.workload == "mine.py"
    assert problem.config.output.directory == "results/mine"
    assert problem.workload.parameters.sweeps == 7
    assert write_starter("mine.py", None) == "mine.yaml"
    assert read_problem("mine.yaml", (), {}).config.workload == "mine.py"


def test_files_that_are_none_are_refused(folder):
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    (folder / "empty.py").write_text("")
    (folder / "my-own.py").write_text("")
    assert refusal("gone.py") == "c.yaml:1: workload: no file gone.py"
    assert "broken.py cannot be imported: ModuleNotFoundError at " in refusal(
        "broken.py"
    )
    assert "hpcapp_file_broken" not in sys.modules
    assert "empty must define one Workload, it has 0" in refusal("empty.py")
    assert "must be a file named like a variable" in refusal("my-own.py")


# --- plug-ins


def test_a_plugin_is_a_class_or_a_module(offer):
    offer("area", "tests.own.quadrature:Quadrature")
    offer("surface", "tests.own.quadrature")
    assert plugin_names() == ["area", "surface"]
    assert find_workload("area", "here") is find_workload("surface", "here")
    assert "area  integral of 4 / (1 + x^2)" in describe_workloads(None)
    assert "points" in describe_workloads("area")


def test_a_broken_plugin_is_a_warning_beside_the_others(offer):
    offer("broken", "no_such_package:Thing")
    offer("number", "math:pi")
    offer("laplace", "tests.own.quadrature")
    offer("area", "tests.own.quadrature")
    told = describe_workloads(None)
    assert (
        "  warning: plug-in broken (no_such_package:Thing) cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_package'\n"
    ) in told
    assert "warning: plug-in number (math:pi) must be a Workload or a module" in told
    assert "warning: plug-in laplace: hidden by the workload of that name" in told
    assert "  area  integral" in told
    assert "c.yaml:1: workload: plug-in broken (no_such" in refusal("broken")
    assert "did you mean 'area'" in refusal("aera")


def test_two_packages_may_not_offer_one_name(offer):
    offer("area", "tests.own.quadrature")
    offer("area", "another.package")
    assert refusal("area") == (
        "c.yaml:1: workload: 'area' is offered by another.package and "
        "tests.own.quadrature; remove one of these packages"
    )
