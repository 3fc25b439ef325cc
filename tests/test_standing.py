# SPDX-License-Identifier: MIT
"""Laws of what is told of a run from outside, at any time."""

import json
import os
import socket
import subprocess
import threading

import pytest

from hpcapp.errors import RunDirectoryError
from hpcapp.failure import Failure, leave
from hpcapp.status import Status, earlier_starts
from hpcapp.studies.standing import find_standing

HOST = socket.gethostname().partition(".")[0]
STARTED = {"workload": "laplace", "ranks": 3, "host": HOST}


def write(folder, **facts):
    """Write what a run has said, with whatever a test wants."""
    status = Status(str(folder), STARTED)
    status.update("running", force=True, fraction=0.5, note="residual 1e-3")
    path = folder / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def standing(folder):
    return find_standing(str(folder))


def dead_process():
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_process_that_nobody_has_waited_for_is_gone_too(tmp_path):
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        write(tmp_path, pid=process.pid)
        assert standing(tmp_path).state == "dead"


def make_checkpoint(folder):
    (folder / "checkpoints").mkdir()
    for suffix in ("nc", "json"):
        (folder / "checkpoints" / f"checkpoint-000001.{suffix}").touch()
    return f"{folder}/checkpoints/checkpoint-000001.nc"


def test_a_run_that_lives_tells_its_progress(tmp_path):
    started, updated = "2026-01-01T00:00:00+00:00", "2026-01-01T00:04:05+00:00"
    facts = {"started": started, "updated": updated, "eta_seconds": 7380.0}
    write(tmp_path, rate=1.2e9, unit="updates/s", **facts)
    found = standing(tmp_path)
    assert found.state == "running"
    assert found.text().splitlines() == [
        "laplace on 3 ranks: running",
        "50 % after 4 min 05 s, 1.2 Gupdates/s, 2 h 03 min left; residual 1e-3",
    ]
    path = make_checkpoint(tmp_path)
    assert standing(tmp_path).text().splitlines()[2] == (
        f"the last checkpoint is {path} (0 s old); go on with: mpirun -np 3 python -m "
        f"hpcapp resume {tmp_path}"
    )
    assert standing(tmp_path).as_dict()["checkpoint"] == path


def test_a_run_whose_process_is_gone_is_dead(tmp_path):
    pid = dead_process()
    write(tmp_path, pid=pid)
    path = make_checkpoint(tmp_path)
    found = standing(tmp_path)
    assert (found.state, found.as_dict()["state"]) == ("dead", "dead")
    first, *_, last = found.text().splitlines()
    assert first.startswith("laplace on 3 ranks: died at some time after 20")
    assert first.endswith(f": process {pid} on {HOST} is gone")
    assert path in last


def test_on_another_node_the_lock_tells(tmp_path):
    write(tmp_path, host="elsewhere")
    assert standing(tmp_path).state == "dead"
    lock = tmp_path / ".lock"
    lock.touch()
    assert standing(tmp_path).state == "running"
    os.utime(lock, (1e9, 1e9))
    assert standing(tmp_path).state == "dead"


def test_the_end_of_a_run_is_told(tmp_path):
    write(tmp_path, state="stopped", reason="SIGUSR1", pid=dead_process())
    lines = standing(tmp_path).text().splitlines()
    assert lines[0] == "laplace on 3 ranks: stopped (SIGUSR1), not finished"
    assert lines[-1].endswith("there is no checkpoint; start the run again")
    write(tmp_path, state="finished", ranks=1, fraction=1.0)
    assert standing(tmp_path).text().splitlines()[-1] == "its result is gone"
    for name in ("result.h5", "result.nc"):
        (tmp_path / name).touch()
        lines = standing(tmp_path).text().splitlines()
        assert (lines[0], lines[-1]) == (
            "laplace on 1 rank: finished",
            f"{tmp_path}/{name}",
        )
        (tmp_path / name).unlink()
    write(tmp_path)
    leave(str(tmp_path), Failure(2, 3, "n1", 1, "io", "it broke"))
    lines = standing(tmp_path).text().splitlines()
    assert lines[0] == "laplace on 3 ranks: failed: rank 2 on n1: it broke"


def test_where_no_run_is_that_is_said(tmp_path):
    for path, reason in (
        (tmp_path / "none", "no such run directory"),
        (
            tmp_path,
            "has no status.json: no run of hpcapp has begun there, or it has only just "
            "begun",
        ),
    ):
        with pytest.raises(RunDirectoryError) as caught:
            standing(path)
        assert str(caught.value) == f"{path}: {reason}"


def test_it_can_be_asked_while_the_file_is_replaced(tmp_path):
    write(tmp_path)
    status, over = Status(str(tmp_path), STARTED), threading.Event()

    def rewrite():
        count = 0
        while not over.is_set():
            count += 1
            status.update("running", force=True, note="x" * (count % 5000))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        assert all(standing(tmp_path).state == "running" for _ in range(1000))
    finally:
        over.set()
        writer.join()


def test_the_command_prints_it(hpcapp, tmp_path):
    write(tmp_path)
    done = hpcapp("status", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("laplace on 3 ranks: running\n")
    found = json.loads(hpcapp("status", tmp_path, "--json").stdout)
    assert (found["state"], found["fraction"]) == ("running", 0.5)
    missing = hpcapp("status", tmp_path / "none")
    assert missing.returncode == 2
    assert missing.stderr == f"hpcapp: {tmp_path}/none: no such run directory\n"


def test_a_chain_of_starts_is_kept_and_told(tmp_path):
    first = {"job": "7", "restart": "0", "ranks": 3, "host": "n1", "fraction": 0.4}
    write(tmp_path, **first, state="stopped", reason="SIGUSR1", started="T1")
    chain = earlier_starts(str(tmp_path))
    # the second was killed: its last word is that it runs
    write(tmp_path, chain=chain, job="7", restart="1", host="n2", started="T2")
    chain = earlier_starts(str(tmp_path))
    assert [start["state"] for start in chain] == ["stopped", "died"]
    write(tmp_path, chain=chain, state="finished")
    assert standing(tmp_path).text().splitlines()[-3:] == [
        "start 3 of a chain; before it:",
        "  1: T1 on n1, 3 ranks, job 7: to 40 %, stopped (SIGUSR1)",
        "  2: T2 on n2, 3 ranks, job 7, restart 1: to 50 %, died",
    ]


def test_of_a_long_chain_the_last_starts_are_told(tmp_path):
    write(tmp_path, chain=[{"started": f"T{n}"} for n in range(1, 31)])
    lines = standing(tmp_path).text().splitlines()
    assert lines[-11] == "  ... 20 more"
    assert lines[-1].startswith("  30: T30 on ?, ? ranks: to 0 %")


def test_a_first_start_has_no_chain(tmp_path):
    assert earlier_starts(str(tmp_path)) == []
    write(tmp_path)
    assert "chain" not in standing(tmp_path).text()


@pytest.mark.parametrize(
    ("reached", "idle"),
    [
        ([0.2], 0),
        ([0.1, 0.2, 0.3], 0),
        ([0.2, 0.2, 0.2, 0.2], 3),
        # one that died while it was set up, and its work done again
        ([0.1, 0.3, 0.0, 0.3], 2),
        ([0.3, 0.3, 0.4], 0),
        ([0.0, 0.0], 2),
    ],
)
def test_starts_that_bring_a_job_no_further_are_counted(tmp_path, reached, idle):
    # the other job had come further, to a goal that was nearer
    starts = [{"job": "6", "fraction": 0.9}] * 3
    starts += [{"job": "7", "fraction": value} for value in reached]
    write(tmp_path, **starts[-1], chain=starts[:-1])
    assert standing(tmp_path).as_dict()["idle_starts"] == idle
