# SPDX-License-Identifier: MIT
"""Laws of the proof that the ranks change no bit; runs are made up but for one."""

import os
import stat
import subprocess
from pathlib import Path

import netCDF4
import numpy as np
import pytest

from hpcapp.device import cores
from hpcapp.errors import ConfigError, Exit, HpcappError, LaunchError
from hpcapp.studies import verify as module
from hpcapp.studies.launching import find_launcher, launch_environ
from hpcapp.studies.validation import Verdict
from hpcapp.studies.verify import parse_ranks, verify

ROOT = Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs" / "small").glob("*.yaml"))
# those that are verified in every run of the tests
SOME = ("laplace", "words")


def test_lists_of_ranks_are_read():
    assert parse_ranks("1,2, 3,5") == (1, 2, 3, 5)
    assert parse_ranks("4,1,4") == (4, 1)


@pytest.mark.parametrize("text", ["", "1", "0,1", "2,2", "1;2", "1,-2", "1,,2", "a,b"])
def test_other_lists_are_refused(text):
    with pytest.raises(ConfigError) as caught:
        parse_ranks(text)
    assert str(caught.value) == (
        "--ranks: must be two or more different numbers > 0, such as 1,2,3,5, got "
        f"{text}"
    )


class Fake:
    """Runs that write what they are told, instead of computing."""

    def __init__(self, monkeypatch, values, codes=None):
        self.values, self.codes, self.commands = values, codes or {}, []
        monkeypatch.setattr(module, "launch", self)
        monkeypatch.setattr(module, "validate", lambda _: Verdict((), False))

    def __call__(self, ranks, arguments, environ):
        self.commands.append((ranks, arguments))
        code = self.codes.get(ranks, 0)
        target = Path(arguments[arguments.index("-o") + 1])
        target.mkdir()
        if not code:
            with netCDF4.Dataset(target / "result.nc", "w") as file:
                file.createDimension("y", 3)
                file.createVariable("u", "f8", ("y",))[:] = self.values[ranks]
        return subprocess.CompletedProcess([], code, "an answer\n", "a reason\n")


def run(tmp_path, monkeypatch, ranks=(1, 2, 3)):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("workload: series\n")
    said = []
    code = verify("c.yaml", ranks, ["run.threads=1"], {}, said.append)
    return code, said


def test_equal_results_are_proved_and_removed(tmp_path, monkeypatch):
    fake = Fake(monkeypatch, dict.fromkeys((1, 2, 3), np.arange(3.0)))
    code, said = run(tmp_path, monkeypatch)
    assert code == Exit.DONE
    assert "an answer" in said[0]
    assert said[1].endswith("equal: 1 variable, 3 values, same bits")
    assert said[3:] == ["verified: the same bits on 1, 2, 3 ranks"]
    assert [ranks for ranks, _ in fake.commands] == [1, 2, 3]
    assert fake.commands[0][1][-2:] == ["--set", "run.threads=1"]
    assert list((tmp_path / "results").iterdir()) == []


def test_one_bit_is_found_named_and_kept(tmp_path, monkeypatch):
    other = np.array([0.0, np.nextafter(1.0, 2.0), 2.0])
    Fake(monkeypatch, {1: np.arange(3.0), 2: np.arange(3.0), 3: other})
    code, said = run(tmp_path, monkeypatch)
    assert code == Exit.FAILED
    assert "u[1] (y) is the first to differ:" in said[2]
    assert "1.0000000000000002" in said[2]
    folder = said[-1].removeprefix("the results are in ")
    assert sorted(os.listdir(folder)) == ["1-ranks", "2-ranks", "3-ranks"]


@pytest.mark.parametrize(
    ("code", "expected"), [(1, Exit.FAILED), (75, Exit.STOPPED), (9, Exit.FAILED)]
)
def test_a_run_that_does_not_finish_ends_it_with_its_words(
    tmp_path, monkeypatch, code, expected
):
    Fake(monkeypatch, {1: np.arange(3.0)}, {2: code})
    found, said = run(tmp_path, monkeypatch)
    assert found == expected
    assert said[1].endswith(f"did not finish, exit code {code}")
    assert said[2] == "a reason"


def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(HpcappError) as caught:
        run(tmp_path, monkeypatch)
    assert str(caught.value) == (
        "results: the results to compare cannot be written there: File exists"
    )


def test_a_faulty_configuration_starts_nothing(tmp_path, monkeypatch):
    fake = Fake(monkeypatch, {})
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text("workload: serie\n")
    with pytest.raises(ConfigError, match="did you mean 'series'"):
        verify("c.yaml", (1, 2), [], {}, print)
    assert fake.commands == []


# --- launchers


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_launchers_are_found_beside_python_then_on_the_path_then_in_slurm(
    tmp_path, monkeypatch
):
    python, other = tmp_path / "bin", tmp_path / "other"
    python.mkdir()
    other.mkdir()
    monkeypatch.setattr("sys.executable", str(python / "python"))
    environ = {"PATH": str(other)}
    with pytest.raises(LaunchError) as caught:
        find_launcher(environ, 2)
    assert str(caught.value) == (
        "launch: there is no mpirun beside this Python or on PATH, and no srun in a "
        "Slurm job; install one, for example with: pip install 'hpcapp[mpich]'"
    )
    srun = program(other, "srun")
    with pytest.raises(LaunchError):
        find_launcher(environ, 2)
    assert find_launcher({**environ, "SLURM_JOB_ID": "1"}, 2) == [srun, "-n", "2"]
    mpirun = program(other, "mpirun")
    assert find_launcher(environ, 2) == [mpirun, "-np", "2"]
    beside = program(python, "mpirun")
    assert find_launcher(environ, 3) == [beside, "-np", "3"]


def test_more_ranks_than_cores_are_asked_for_outside_of_batch_jobs_only():
    many = len(cores()) + 1
    name = "PRTE_MCA_rmaps_default_mapping_policy"
    assert launch_environ({}, many)[name] == ":oversubscribe"
    assert name not in launch_environ({}, 1)
    assert name not in launch_environ({"SLURM_JOB_ID": "1"}, many)
    assert launch_environ({name: "mine"}, many)[name] == "mine"


@pytest.mark.medium
@pytest.mark.parametrize(
    "config",
    [
        pytest.param(path, marks=() if path.stem in SOME else pytest.mark.slow)
        for path in CONFIGS
    ],
    ids=lambda path: path.stem,
)
def test_every_small_example_is_verified(mpirun, hpcapp, tmp_path, config):
    settings = ["--set", f"output.directory={tmp_path}/r"]
    done = hpcapp("verify", config, "--ranks", "1,3", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "verified: the same bits on 1, 3 ranks"
    assert list(tmp_path.iterdir()) == []
