# SPDX-License-Identifier: MIT
"""Laws of stalls, on pulses that a test sets; times are told, not waited for."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from hpcapp import watchdog
from hpcapp.clock import NUMBERS, Clock
from hpcapp.device import Device
from hpcapp.failure import Failure, advise, leave, mark_failed, read_status
from hpcapp.status import Status
from hpcapp.store.checkpoints import last_checkpoint
from hpcapp.watchdog import Board, Post, Watchdog, open_board
from hpcapp.witness import Witness, is_ending

LIMIT = 120.0


class Node:
    """A node of some ranks, all of which are this process unless told otherwise."""

    def __init__(self, folder, size=2, host="a", nodes=1):
        path, stacks = folder / f"pulses-{host}", folder / f"stacks-{host}"
        path.write_bytes(bytes(32 * size))
        stacks.touch()
        self.stacks = os.open(stacks, os.O_RDWR | os.O_APPEND)
        pulses = os.open(path, os.O_RDWR)
        self.boards = [Board(pulses, self.stacks, slot, size) for slot in range(size)]
        self.clocks = [Clock() for _ in range(size)]
        for board, clock in zip(self.boards, self.clocks, strict=True):
            clock.show(board.pulse)
        ranks = tuple(range(size))
        post = Post(str(folder), host, ranks, nodes, nodes * size, "job")
        self.ended = []
        self.dog = Watchdog(self.boards[0], post, LIMIT, lambda: self.ended.append(1))
        self.now = time.monotonic()

    def pass_time(self, seconds, alive=()):
        """Look every second; return after how many the job had stalled, or None."""
        for second in range(int(seconds)):
            self.now += 1.0
            for rank in alive:
                self.clocks[rank].beat()
            if self.dog.look(self.now):
                return second
        return None


@pytest.fixture
def node(tmp_path):
    return Node(tmp_path)


@pytest.mark.parametrize("phase", ["halo", "reduce"])
def test_ranks_that_all_wait_have_stalled_after_the_limit(node, phase):
    for clock in node.clocks:
        clock.enter(phase)
    assert node.pass_time(1000) == pytest.approx(LIMIT, abs=2)


def test_a_rank_that_waits_for_one_that_works_has_not_stalled(node):
    node.clocks[0].enter("halo")
    node.clocks[1].enter("compute")
    assert node.pass_time(3000, alive=[1]) is None


@pytest.mark.parametrize("phase", ["compute", "compile", "io", "setup"])
def test_one_that_works_may_be_silent_for_longer(node, phase):
    node.clocks[0].enter("reduce")
    node.clocks[1].enter(phase)
    assert node.pass_time(10_000) == pytest.approx(10 * LIMIT, abs=2)


def test_waiting_inside_of_another_phase_is_waiting(node):
    for clock in node.clocks:
        clock.enter("io")
    with node.clocks[0].waiting(), node.clocks[1].waiting():
        assert node.pass_time(1000) == pytest.approx(LIMIT, abs=2)
    assert node.pass_time(1000) is None


def test_time_for_which_all_were_suspended_does_not_count(node):
    for clock in node.clocks:
        clock.enter("halo")
    for _ in range(20):
        node.now += 3600
        assert not node.dog.look(node.now)


@pytest.fixture
def sleeper():
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("end", [signal.SIGSTOP, signal.SIGKILL])
@pytest.mark.parametrize("phase", ["halo", "io"])
def test_a_rank_that_is_stopped_or_dead_is_waited_for_a_few_seconds(
    node, sleeper, end, phase
):
    node.boards[1]._memory[7] = sleeper.pid
    node.clocks[0].enter(phase)
    node.clocks[1].enter("compute")
    sleeper.send_signal(end)
    time.sleep(0.2)
    assert node.pass_time(100) <= 8


def test_others_may_work_while_one_is_stopped(node, sleeper):
    node.boards[1]._memory[7] = sleeper.pid
    node.clocks[0].enter("compute")
    sleeper.send_signal(signal.SIGSTOP)
    assert node.pass_time(3000, alive=[0]) is None


def test_a_job_has_stalled_when_all_nodes_have(tmp_path):
    a, b = (Node(tmp_path, host=host, nodes=2) for host in "ab")
    for clock in (*a.clocks, *b.clocks):
        clock.enter("halo")
    assert a.pass_time(300) is None
    assert b.pass_time(300, alive=[0]) is None
    # now b is silent too: both see the mark of the other
    assert b.pass_time(300) == pytest.approx(LIMIT, abs=2)
    assert a.pass_time(2) == 0
    a.clocks[0].beat()
    assert a.pass_time(2) is None
    assert [path.name for path in tmp_path.glob(".stall-*")] == [".stall-job-b.part"]


def test_a_rank_lost_elsewhere_shortens_the_wait_here(tmp_path):
    a = Node(tmp_path, host="a", nodes=2)
    for clock in a.clocks:
        clock.enter("halo")
    (tmp_path / ".stall-job-b.part").write_text("gone")
    assert a.pass_time(100) <= 8


@pytest.mark.parametrize("hosts", ["b", "bc"])
def test_marks_of_an_earlier_job_say_nothing_of_this_one(tmp_path, hosts):
    for host in hosts:
        for name in (f".stall-{host}.part", f".stall-earlier-{host}.part"):
            (tmp_path / name).write_text("gone")
    a, b = (Node(tmp_path, host=host, nodes=2) for host in "ab")
    for clock in (*a.clocks, *b.clocks):
        clock.enter("halo")
    assert a.pass_time(300) is None
    assert b.pass_time(300) == pytest.approx(LIMIT, abs=2)


def test_before_other_nodes_can_be_asked_only_lost_and_stuck_ranks_count(
    tmp_path, sleeper
):
    a = Node(tmp_path, nodes=0)
    for clock in a.clocks:
        clock.enter("reduce")
    # they may wait for a rank elsewhere that works
    assert a.pass_time(3000) is None
    a.clocks[1].enter("setup")
    assert a.pass_time(3000) == pytest.approx(10 * LIMIT, abs=2)
    a.clocks[1].enter("reduce")
    sleeper.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    a.boards[1]._memory[7] = sleeper.pid
    assert a.pass_time(20) is not None
    assert list(tmp_path.glob(".stall-*")) == []


def test_a_job_without_a_directory_leaves_nothing(tmp_path, monkeypatch):
    a = Node(tmp_path)
    monkeypatch.chdir(tmp_path)
    a.dog.move(Post("", "a", (0, 1), 1, 2, "job"), LIMIT)
    before = sorted(tmp_path.iterdir())
    said = io.StringIO()
    monkeypatch.setattr(a.boards[0], "stack", lambda rank: "")
    a.dog.report(said)
    assert "no rank of the job goes on" in said.getvalue()
    assert "checkpoint" not in said.getvalue()
    assert sorted(tmp_path.iterdir()) == before


def test_limits_change_once_the_configuration_is_known(tmp_path):
    a = Node(tmp_path)
    a.dog.move(Post(str(tmp_path), "a", (0, 1), 1, 2, "job"), 30.0)
    for clock in a.clocks:
        clock.enter("halo")
    assert a.pass_time(100) == pytest.approx(30, abs=2)


class Shared:
    """Two ranks of a node; the other one has or has not the same files."""

    size, rank, root = 2, 0, True

    def __init__(self, other):
        self.other = other

    def broadcast(self, value):
        """Return what rank 0 has."""
        return value

    def all(self, value):
        """Return what both have."""
        return [value, self.other]


def test_ranks_that_do_not_share_files_have_no_board(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    fault = "/tmp/hpcapp-board-x: No such file or directory"
    assert open_board(Shared(fault), 7) == fault
    assert list(tmp_path.iterdir()) == []
    board = open_board(Shared(""), 7)
    assert [rank.pid for rank in board.read()] == [7, 0]
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert open_board(Shared(""), 7).endswith(": No such file or directory")


def test_ranks_that_cannot_see_one_another_are_neither_gone_nor_asked(tmp_path):
    a = Node(tmp_path)
    for board in a.boards:
        board._memory[4 * board.slot + 3] = 0
    for clock in a.clocks:
        clock.enter("halo")
    (first, _) = a.boards[0].read()
    assert not first.gone
    assert a.boards[0].stack(first) == ""
    assert a.pass_time(300) == pytest.approx(LIMIT, abs=2)


# --- what is said


SPEAKER = """
import faulthandler, sys, time
from hpcapp.watchdog import SIGNAL
from hpcapp.witness import Witness
stream = open(sys.argv[1], "a")
faulthandler.register(SIGNAL, file=stream, all_threads=True)
print("ready", flush=True)
def waiting_for_godot():
    time.sleep(600)
waiting_for_godot()
"""


def test_report_has_the_stacks_and_names_the_rank_that_is_waited_for(node, tmp_path):
    status = Status(str(tmp_path), {"workload": "w"})
    status.update("running", force=True)
    command = [sys.executable, "-c", SPEAKER, str(tmp_path / "stacks-a")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as speaker,
        subprocess.Popen(["sleep", "600"]) as stopped,
    ):
        try:
            assert speaker.stdout.readline() == b"ready\n"
            stopped.send_signal(signal.SIGSTOP)
            time.sleep(0.2)
            node.boards[0]._memory[3] = speaker.pid
            node.boards[1]._memory[7] = stopped.pid
            node.clocks[0].enter("halo")
            assert node.pass_time(20) is not None
            said = io.StringIO()
            node.dog.report(said)
        finally:
            speaker.kill()
            stopped.kill()
    lines = said.getvalue().splitlines()
    assert lines[0] == "hpcapp: a: no rank of the job goes on"
    assert "rank 1, phase setup: stalled: was stopped or has ended" in lines[1]
    assert lines[2] == "  (it cannot say where)"
    assert "rank 0, phase halo: stalled: waits for others, silent for" in lines[3]
    assert "in waiting_for_godot" in said.getvalue()
    assert lines[-1].endswith("there is no checkpoint; start the run again")
    crash = json.loads((tmp_path / "crash-rank0.json").read_text())
    assert "in waiting_for_godot" in crash["traceback"]
    assert (crash["phase"], crash["host"]) == ("halo", "a")
    known = read_status(tmp_path)
    assert known["state"] == "failed"
    assert known["error"].startswith("rank 1 on a: stalled: was stopped or has ended")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_stall_ends_the_job_where_it_cannot_be_told(node, monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(watchdog, "PERIOD", 0.01)
    monkeypatch.setattr(node.dog, "look", lambda now: True)
    monkeypatch.setattr(node.dog, "report", fail)
    node.dog.start()
    node.dog._thread.join(20)
    assert node.ended == [1]


def test_one_rank_of_a_node_speaks(tmp_path):
    node = Node(tmp_path)
    path = tmp_path / "pulses-a"
    other = Board(os.open(path, os.O_RDWR), node.stacks, 1, 2)
    assert node.boards[0].claim()
    assert not other.claim()


def test_kernels_and_phases_are_signs_of_life(node):
    clock, device = node.clocks[0], Device()
    device.beat = clock.beat
    before = node.boards[0].read()[0].beats
    device.launch(abs, [(-1,), (2,)])
    assert node.boards[0].read()[0].beats == before + 2
    with clock.phase("compute"):
        assert node.boards[0].read()[0].phase == "compute"
    assert node.boards[0].read()[0].phase == "setup"
    assert NUMBERS["setup"] == 0


def test_phase_of_an_error_is_the_innermost_that_it_ended():
    clock = Clock()
    error = ValueError("x")
    with pytest.raises(ValueError), clock.phase("io"), clock.phase("reduce"):
        raise error
    assert clock.phase_of(error) == "reduce"
    assert clock.phase_of(ValueError("y")) == "setup"


# --- the witness


def ended_process():
    """Return the number of a process that is no more."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_a_rank_that_ended_before_the_witness_looked_is_named(tmp_path, capfd):
    Status(str(tmp_path), {"workload": "w"}).update("running", force=True)
    gone = ended_process()
    witness = Witness(
        str(tmp_path), "n7", 2, [(0, os.getpid()), (1, gone)], os.getpid()
    )
    witness._process.wait(20)
    said = capfd.readouterr().err
    assert said.splitlines()[0] == (
        f"hpcapp: rank 1 on n7: process {gone} was killed or ended without a word"
    )
    assert "rank 0" not in said
    assert (tmp_path / "crash-rank1.json").exists()
    assert read_status(tmp_path)["state"] == "failed"
    witness.dismiss()


def test_a_rank_on_its_way_out_counts_as_ended():
    with subprocess.Popen(["sleep", "600"]) as process:
        assert not is_ending(process.pid)
        process.kill()
        # until it is waited for, a process stays on its way
        until = time.monotonic() + 60
        while not is_ending(process.pid):
            assert time.monotonic() < until
    assert not is_ending(process.pid)


def test_a_witness_says_nothing_of_the_job_that_came_after_its_own(tmp_path, capfd):
    Status(str(tmp_path), {"workload": "w"}).update("running", force=True)
    witness = Witness(str(tmp_path), "n7", 1, [(0, ended_process())], os.getpid() + 1)
    assert witness._process.wait(20) == 0
    assert capfd.readouterr().err == ""
    assert read_status(tmp_path)["state"] == "running"
    assert not (tmp_path / "crash-rank0.json").exists()
    witness.dismiss()


def test_a_witness_that_is_dismissed_says_nothing(tmp_path, capfd):
    Status(str(tmp_path), {"workload": "w"}).update("running", force=True)
    witness = Witness(str(tmp_path), "n7", 1, [(0, os.getpid())], 1)
    witness.dismiss()
    assert capfd.readouterr().err == ""
    assert read_status(tmp_path)["state"] == "running"


# --- what is left


FAILURE = Failure(3, 4, "n7", 99, "compute", "it broke", "where")


def test_the_first_failure_stands_in_the_status_and_the_end_of_a_run_stays(tmp_path):
    assert not mark_failed(str(tmp_path), "nothing to mark")
    status = Status(str(tmp_path), {"workload": "w"})
    status.update("running", force=True, fraction=0.5)
    leave(str(tmp_path), FAILURE)
    assert not mark_failed(str(tmp_path), "later")
    known = read_status(tmp_path)
    assert (known["state"], known["error"]) == ("failed", "rank 3 on n7: it broke")
    assert known["fraction"] == 0.5
    # rank 0 goes on for a moment before the job ends
    status._written = 0.0
    status.update("running", fraction=0.6)
    assert read_status(tmp_path)["state"] == "failed"
    status.update("running", force=True)
    assert read_status(tmp_path)["state"] == "running"
    status.update("finished", force=True)
    assert not mark_failed(str(tmp_path), "too late")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["crash-rank3.json", "status.json"]


def test_advice_names_the_last_checkpoint_that_was_completed(tmp_path):
    directory = str(tmp_path / "my run")
    assert advise(directory, 2) == (
        f"{directory}: there is no checkpoint; start the run again"
    )
    folder = tmp_path / "my run" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("result.h5", "result.nc"):
        # of the run that was to be extended
        (tmp_path / "my run" / name).touch()
        assert advise(directory, 2) == (
            f"{directory}/{name} is whole; go on from it with: mpirun -np 2 python -m "
            f"hpcapp resume '{directory}'"
        )
    for name in ("000001.nc", "000001.json", "000002.nc"):
        (folder / f"checkpoint-{name}").touch()
    assert advise(directory, 2) == (
        f"the last checkpoint is {folder}/checkpoint-000001.nc (0 s old); go on with: "
        f"mpirun -np 2 python -m hpcapp resume '{directory}'"
    )


def test_a_directory_that_is_gone_stops_no_failure(tmp_path):
    leave(str(tmp_path / "gone"), FAILURE)
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_advice_tells_why_checkpoints_cannot_be_looked_at(tmp_path, monkeypatch, kind):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    path = folder / "checkpoint-000001.nc"
    path.touch()
    refused = {"folder": (os, "listdir", folder), "file": (os, "stat", path)}
    module, name, victim = refused[kind]
    allowed = getattr(module, name)

    def refuse(place, *rest, **named):
        if str(place) == str(victim):
            raise OSError(errno.EACCES, "Permission denied", str(place))
        return allowed(place, *rest, **named)

    monkeypatch.setattr(module, name, refuse)
    assert last_checkpoint(str(tmp_path)) is None
    assert advise(str(tmp_path), 2) == (
        f"{victim}: cannot be read: Permission denied; once it can be, go on with: "
        f"mpirun -np 2 python -m hpcapp resume {tmp_path}"
    )
