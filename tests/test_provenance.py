# SPDX-License-Identifier: MIT
"""Laws of what a file says of its origin."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from importlib import metadata
from types import MappingProxyType

import pytest

import hpcapp
from hpcapp.store import provenance
from hpcapp.store.provenance import Origin, describe, git_state, installed, versions

ORIGIN = Origin(
    workload="laplace",
    summary="Laplace's equation",
    config="workload: laplace\n",
    command="hpcapp run c.yaml",
    mpi="MPICH 5.0.2",
    seed=2**64 - 1,
    layout=MappingProxyType({"ranks": 4, "grid": (2, 2)}),
    device="cpu",
    writer="direct (MPI-IO works there)",
)
PHASES = {"io": {"min": 0.5, "mean": 1.0, "max": 2.0}}


@pytest.fixture
def origin(monkeypatch):
    # json knows dict only, as the driver passes it
    from dataclasses import replace

    return replace(ORIGIN, layout=dict(ORIGIN.layout))


def test_everything_that_computes_or_writes_is_named_with_its_version():
    found = versions("MPICH 5.0.2")
    assert set(found) - set(provenance.CUDA) == {
        *("hpcapp", "Python", "MPI", "HDF5", "numpy", "numba", "mpi4py", "h5py"),
        "netCDF4",
    }
    assert found["numpy"] == metadata.version("numpy")
    assert found["MPI"] == "MPICH 5.0.2"
    assert all(found.values())


def test_library_whose_version_is_not_recorded_does_no_harm(monkeypatch):
    monkeypatch.setattr(provenance, "LIBRARIES", ("numpy", "not-installed-here"))
    for found in (versions("x"), installed("x")):
        assert found["not-installed-here"] == "missing"
        assert found["numpy"] == metadata.version("numpy")


def test_what_gpus_need_is_named_where_it_is(monkeypatch):
    known = {"numba-cuda": "0.30.4", "nvidia-nvvm": "13.5.37"}

    def version(name):
        if name in provenance.CUDA and name not in known:
            raise metadata.PackageNotFoundError(name)
        return known.get(name, "1")

    monkeypatch.setattr(provenance.metadata, "version", version)
    found = installed("x")
    assert {name: found[name] for name in found if name in provenance.CUDA} == known
    assert "missing" not in found.values()


def test_what_is_installed_is_told_without_loading_it():
    script = (
        "import sys; from hpcapp.store.provenance import LIBRARIES, installed\n"
        "installed('x'); print([n for n in LIBRARIES[1:] if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_attributes_hold_what_cf_acdd_and_the_design_ask_for(origin):
    found = describe(origin, PHASES, {"converged": 1, "hpcapp_state": "finished"})
    # CF 1.11, section 2.6; ACDD 1.3, "highly recommended" and "recommended"
    assert {"Conventions", "title", "summary", "keywords", "history", "source"} <= set(
        found
    )
    assert found["Conventions"].split(", ") == ["CF-1.11", "ACDD-1.3"]
    assert found["history"].endswith(": hpcapp run c.yaml")
    assert found["hpcapp_config"] == "workload: laplace\n"
    assert found["hpcapp_format"] == 1
    assert found["hpcapp_seed"] == "18446744073709551615"
    assert json.loads(found["hpcapp_layout"]) == {"ranks": 4, "grid": [2, 2]}
    assert json.loads(found["hpcapp_timings"]) == PHASES
    assert json.loads(found["hpcapp_versions"])["hpcapp"] == hpcapp.__version__
    assert (found["converged"], found["hpcapp_state"]) == (1, "finished")
    assert (found["hpcapp_device"], found["hpcapp_workload"]) == ("cpu", "laplace")


def test_date_is_now_with_its_time_zone(origin):
    created = datetime.fromisoformat(describe(origin, PHASES, {})["date_created"])
    assert created.utcoffset() == timedelta(0)
    assert abs(datetime.now(created.tzinfo) - created) < timedelta(minutes=1)


def test_attributes_are_texts_and_numbers_only(origin):
    found = describe(origin, PHASES, {"converged": 1})
    assert {type(value) for value in found.values()} <= {str, int, float}


# --- git


def git(folder, *arguments):
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Pretend that hpcapp lies in a checkout of its own."""
    package = tmp_path / "hpcapp"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(hpcapp, "__file__", str(package / "__init__.py"))
    return tmp_path


def test_commit_is_named_and_changes_are_said(checkout):
    git(checkout, "init", "-q")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "first")
    commit = git(checkout, "rev-parse", "HEAD").strip()
    assert git_state() == commit
    (checkout / "hpcapp" / "__init__.py").write_text("changed = True\n")
    assert git_state() == f"{commit}-dirty"


def test_installed_package_has_no_commit(checkout):
    assert git_state() == ""


def test_checkout_without_git_or_without_a_commit_has_no_state(checkout, monkeypatch):
    git(checkout, "init", "-q")
    assert git_state() == ""
    monkeypatch.setenv("PATH", "")
    assert git_state() == ""


def test_git_that_hangs_is_given_up(checkout, monkeypatch):
    git(checkout, "init", "-q")

    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(provenance.subprocess, "run", hang)
    assert git_state() == ""
