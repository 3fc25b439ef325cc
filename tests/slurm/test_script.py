# SPDX-License-Identifier: MIT
"""What a batch script does, run by bash with commands of Slurm that are played."""

import os
import signal
import subprocess
import time

import pytest

from hpcapp.slurm.request import Request, choose
from hpcapp.slurm.script import Subject, batch_script
from hpcapp.slurm.sites import read_profile


@pytest.fixture
def play(tmp_path):
    """Return a function that starts a script, with programs played by shell lines."""
    # a path that the shell must not split
    venv = tmp_path / "my env"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "activate").write_text("echo environment active\n")
    for name in ("srun", "scontrol", "python"):
        path = tmp_path / name
        path.write_text(f'#!/bin/bash\neval "${name.upper()}"\n')
        path.chmod(0o755)

    def start(srun, scontrol="false", variables=None, before="", python="true"):
        profile = read_profile("local")
        job = choose(Request(venv=str(venv)), profile, {})
        text = batch_script(job, Subject(("a.yaml",), ("results/a",), "hpcapp submit"))
        text = text.replace("CONFIGS=(", f"{before}\nCONFIGS=(", 1)
        environ = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "SLURM_JOB_ID": "7",
            "SRUN": srun,
            "SCONTROL": scontrol,
            "PYTHON": python,
            **(variables or {}),
        }
        return subprocess.Popen(
            ["bash", "-c", text],
            env=environ,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def wait_for(path):
    """Return when a file is there."""
    until = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < until, path
        time.sleep(0.01)


def test_an_environment_in_a_folder_with_a_blank_is_found(play):
    script = play("exit 0")
    assert script.communicate(timeout=20)[0] == "environment active\n"
    assert script.returncode == 0


@pytest.mark.parametrize("mode", [{}, {"POSIXLY_CORRECT": "1"}])
def test_the_signal_reaches_the_run_and_its_exit_code_comes_back(play, tmp_path, mode):
    # it needs a while to start, in which the script comes to wait, and for a checkpoint
    run = "trap 'sleep 0.3; exit 75' USR1; sleep 0.5; touch up; "
    run += "while sleep 0.05; do :; done"
    script = play(run, "echo scontrol $*", {**mode, "HPCAPP_RESTARTS": "0"})
    wait_for(tmp_path / "up")
    script.send_signal(signal.SIGUSR1)
    text = script.communicate(timeout=20)[0]
    assert script.returncode == 75, text
    assert "hpcapp: not finished after 0 restarts: sbatch this again" in text
    assert "scontrol" not in text


def test_a_signal_while_modules_load_does_not_end_the_script(play, tmp_path):
    script = play("exit 0", before="touch loading; sleep 0.3")
    wait_for(tmp_path / "loading")
    script.send_signal(signal.SIGUSR1)
    text = script.communicate(timeout=20)[0]
    assert script.returncode == 0, text


def test_an_unfinished_run_is_requeued(play, tmp_path):
    # Slurm would end the script here: the pause is for that
    script = play("exit 75", 'echo "asked: $*"; kill "$PPID"')
    text = script.communicate(timeout=20)[0]
    assert "hpcapp: not finished: requeueing job 7\nasked: requeue 7\n" in text


def test_of_an_array_one_task_is_requeued(play):
    array = {"SLURM_ARRAY_JOB_ID": "5", "SLURM_ARRAY_TASK_ID": "0"}
    script = play("exit 75", 'echo "asked: $*"; kill "$PPID"', array)
    assert "asked: requeue 5_0\n" in script.communicate(timeout=20)[0]


@pytest.mark.parametrize("idle", [0, 2, 3, 12])
def test_a_chain_without_progress_ends(play, idle):
    # as the program says it, on one line
    told = 'echo "$*" >&2; echo \'{"job": "7", "idle_starts": %d, "note": ""}\''
    script = play("exit 75", "echo asked; kill $PPID", python=told % idle)
    text = script.communicate(timeout=20)[0]
    assert "-m hpcapp status --json results/a\n" in text
    assert ("asked" in text) == (idle < 3)
    if idle >= 3:
        assert script.returncode == 75
        said = f"hpcapp: not requeued: the last {idle} starts brought the run no"
        assert said in text


def test_a_requeue_that_fails_is_said(play):
    script = play("exit 75", "exit 1")
    text = script.communicate(timeout=20)[0]
    assert "hpcapp: job 7 could not be requeued: sbatch this again to go on" in text
    assert script.returncode == 75


def test_a_run_that_fails_is_not_requeued(play):
    script = play("exit 3", "echo asked")
    assert "asked" not in script.communicate(timeout=20)[0]
    assert script.returncode == 3
