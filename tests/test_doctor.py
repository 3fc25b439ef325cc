# SPDX-License-Identifier: MIT
"""The doctor: what it makes of good and bad machines, and under a real launcher."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from hpcapp.doctor import checks, findings, gpus, limits, report, survey, trials
from hpcapp.doctor.findings import Finding, ranges
from hpcapp.doctor.gpus import check_gpus
from hpcapp.doctor.limits import Limits
from hpcapp.doctor.report import ROWS, Report, impersonal, tabulate
from hpcapp.doctor.survey import Rank
from hpcapp.doctor.trials import Exchange, Trial
from hpcapp.errors import LaunchError
from hpcapp.planning import BASELINE

GOOD = Rank(
    host="n1",
    cores=(0, 1, 2, 3),
    allowed=(0, 1, 2, 3),
    memory=10**11,
    versions={"hpcapp": "1", "numpy": "2"},
    start_seconds=0.1,
    numba_seconds=0.2,
    cache="/tmp/cache",
    cache_fault="",
    cache_shared="",
)

WRITABLE = Trial("results", "", (), "", "ext4")


def only(found, level, name):
    (finding,) = found
    assert (finding.level, finding.name) == (level, name)
    assert bool(finding.fix) == (level != "ok")
    return finding


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([0, 1, 2, 5, 7, 8], "0-2,5,7-8")]
)
def test_ranges(numbers, text):
    assert ranges(numbers) == text


# --- cores


def test_ranks_with_cores_of_their_own_are_fine():
    bound = [replace(GOOD, cores=(core,)) for core in range(4)]
    only(findings.check_cores(bound), "ok", "cores")
    only(findings.check_cores([GOOD] * 4), "ok", "cores")


def test_more_ranks_than_cores_is_a_warning_with_the_number():
    finding = only(findings.check_cores([GOOD] * 5), "warning", "cores")
    assert finding.text.startswith("5 ranks share 4 cores on n1")
    assert finding.fix == "start at most 4 ranks on n1"


def test_ranks_bound_to_one_core_while_others_idle_is_a_fault():
    bound = [replace(GOOD, cores=(2,))] * 3
    finding = only(findings.check_cores(bound), "fault", "binding")
    assert finding.text == (
        "ranks 0-2 are all bound to core 2 on n1, while others are idle: 0-1,3"
    )
    pairs = [replace(GOOD, cores=(0, 1))] * 3
    finding = only(findings.check_cores(pairs), "fault", "binding")
    assert "ranks 0-2 are all bound to cores 0-1" in finding.text


def test_one_core_that_is_all_there_is_is_no_fault():
    alone = replace(GOOD, cores=(0,), allowed=(0,))
    only(findings.check_cores([alone] * 2), "warning", "cores")


def test_each_host_is_judged_by_itself():
    other = replace(GOOD, host="n2", cores=(0,), allowed=(0,))
    found = findings.check_cores([GOOD, GOOD, other, other])
    assert "on n2" in only(found, "warning", "cores").text


# --- the rest of the machine


def test_memory_that_the_libraries_alone_exceed_is_a_fault():
    tight = replace(GOOD, memory=2 * BASELINE - 1)
    finding = only(findings.check_memory([tight] * 2), "fault", "memory")
    assert "libraries of its 2 ranks take" in finding.text
    other = replace(GOOD, host="n2", memory=10**12)
    text = only(findings.check_memory([other, GOOD]), "ok", "memory").text
    assert text == "100 GB may be used on n1, the least"


def test_versions_must_be_there_and_the_same_everywhere():
    only(findings.check_versions([GOOD] * 2), "ok", "versions")
    other = replace(GOOD, host="n2", versions={"hpcapp": "1", "numpy": "3"})
    finding = only(findings.check_versions([GOOD, other]), "fault", "versions")
    assert finding.text == "rank 1 on n2 has numpy 3, rank 0 on n1 has 2"
    both = {"hpcapp": "1", "numpy": "2", "numba-cuda": "0.30.4"}
    cuda = replace(GOOD, host="n2", versions=both)
    text = only(findings.check_versions([GOOD, cuda]), "fault", "versions").text
    assert text == "rank 1 on n2 has numba-cuda 0.30.4, rank 0 on n1 has none"
    text = only(findings.check_versions([cuda, GOOD]), "fault", "versions").text
    assert text == "rank 1 on n1 has numba-cuda none, rank 0 on n2 has 0.30.4"
    poor = replace(GOOD, versions={"hpcapp": "1", "numpy": "missing"})
    finding = only(findings.check_versions([poor]), "fault", "versions")
    assert (finding.text, finding.fix) == ("not installed: numpy", "pip install numpy")


def test_directory_and_writers():
    good = findings.check_directory(WRITABLE, 4)
    assert [finding.level for finding in good] == ["ok", "ok"]
    assert good[0].text == "results (ext4): can be written to"
    assert good[1].text == "direct and gather work there; direct is used"
    assert "gather is used" in findings.check_directory(WRITABLE, 1)[1].text
    refused = replace(WRITABLE, fault="Permission denied")
    only(findings.check_directory(refused, 4), "fault", "directory")
    blind = replace(WRITABLE, blind=(2, 3))
    finding = only(findings.check_directory(blind, 4), "fault", "directory")
    assert "ranks 2-3 do not see" in finding.text
    slow = findings.check_directory(replace(WRITABLE, direct="no locks"), 4)[1]
    assert (slow.level, slow.name) == ("warning", "writers")
    assert slow.text == "only gather works there, through rank 0; direct: no locks"


def test_imports():
    quick = only(
        findings.check_imports([GOOD, replace(GOOD, numba_seconds=3)]), "ok", "imports"
    )
    assert quick.text == "MPI 0.10 to 0.10 s with its start, Numba 0.20 to 3.00 s"
    slow = [GOOD, replace(GOOD, start_seconds=60)]
    assert "60.00 s" in only(findings.check_imports(slow), "warning", "imports").text
    broken = [GOOD, replace(GOOD, numba_seconds=-1)]
    finding = only(findings.check_imports(broken), "fault", "imports")
    assert finding.text == "Numba cannot be imported on ranks 1"


def test_cache():
    only(findings.check_cache([GOOD]), "ok", "cache")
    bad = [GOOD, replace(GOOD, cache_fault="X: got /x: Read-only; set X")]
    finding = only(findings.check_cache(bad), "fault", "cache")
    assert finding.text == "rank 1 on n1: X: got /x: Read-only"
    assert finding.fix == "set X"
    far = [replace(GOOD, cache_shared="nfs4")]
    finding = only(findings.check_cache(far), "warning", "cache")
    assert "shared file system (nfs4)" in finding.text and "HPCAPP_CACHE" in finding.fix


def test_messages():
    assert findings.check_messages(None, [GOOD]) == []
    ends = [GOOD, replace(GOOD, host="n2")]
    fast = only(findings.check_messages(Exchange(2e-6, 1e10), ends), "ok", "messages")
    assert fast.text == "8 bytes take 2 us, 1 MiB goes at 10 GB/s, from n1 to n2"
    slow = findings.check_messages(Exchange(5e-3, 1e6), [GOOD, GOOD])
    assert only(slow, "warning", "messages").text.endswith(", on n1")


def test_a_slow_file_system_is_found(monkeypatch, tmp_path):
    class Alone:
        """One rank."""

        rank, root = 0, True

        def all(self, value):
            """Return it alone."""
            return [value]

        def broadcast(self, value):
            """Return it."""
            return value

        def barrier(self):
            """Go on."""

    monkeypatch.setattr(limits, "COPY", 1 << 16)
    quick = limits.measure_limits(Alone(), str(tmp_path), None, True)
    assert quick.file > 0 and quick.memory > 0
    monkeypatch.setattr(limits, "FILE", 1 << 20)
    monkeypatch.setattr(limits.os, "fsync", lambda _: time.sleep(0.2))
    slow = limits.measure_limits(Alone(), str(tmp_path), None, True)
    assert slow.file < 6e6
    warning = findings.check_limits(slow, WRITABLE)[1]
    assert (warning.level, warning.name) == ("warning", "files")
    assert warning.text.startswith("slow: ") and "scratch" in warning.fix
    late = Limits(1e9, 1e9, 0.5, None)
    assert findings.check_limits(late, WRITABLE)[1].level == "warning"
    fine = findings.check_limits(replace(late, create=1e-4), WRITABLE)
    assert [finding.level for finding in fine] == ["ok", "ok"]
    assert "1 GB/s by all ranks at once" in fine[1].text
    assert list(tmp_path.iterdir()) == []
    unwritable = limits.measure_limits(Alone(), str(tmp_path), None, False)
    assert len(findings.check_limits(unwritable, WRITABLE)) == 1


# --- GPUs


FOUR = tuple(f"GPU-{letter}" for letter in "abcd")


def test_ranks_that_share_a_gpu_while_another_idles_are_a_fault():
    on_first = replace(GOOD, gpus=FOUR, visible=FOUR[:1])
    finding = only(check_gpus([on_first] * 3), "fault", "gpus")
    assert finding.text == "ranks 0-2 share GPU 0 on n1, while others are idle: 1-3"
    assert "--gpus-per-task=1" in finding.fix
    each = replace(GOOD, gpus=FOUR, visible=FOUR)
    only(check_gpus([each] * 4), "ok", "gpus")
    # more ranks than GPUs share all of them: that may be meant
    only(check_gpus([each] * 8), "ok", "gpus")
    bound = [replace(each, visible=(gpu,)) for gpu in FOUR]
    only(check_gpus(bound), "ok", "gpus")
    assert check_gpus([GOOD] * 2) == []
    named = replace(each, gpu="NVIDIA H200, capability 9.0, driver of CUDA 13.0")
    text = only(check_gpus([named] * 4), "ok", "gpus").text
    assert text == "4 on 1 nodes: NVIDIA H200, capability 9.0, driver of CUDA 13.0"


@pytest.mark.parametrize(
    ("fault", "text", "fix"),
    [
        (
            'numba-cuda is not installed here; install it: pip install "hpcapp[cuda]"',
            "numba-cuda is not installed here",
            'install it: pip install "hpcapp[cuda]"',
        ),
        (
            "the driver knows CUDA up to 12.4, and CUDA 13 is installed; update it",
            "the driver knows CUDA up to 12.4, and CUDA 13 is installed",
            "update it",
        ),
        ("too old", "too old", "run.device: cuda is refused, auto takes the CPU"),
    ],
)
def test_gpus_that_no_rank_can_use_are_a_warning(fault, text, fix):
    poor = replace(GOOD, gpus=FOUR, visible=FOUR, gpu_fault=fault)
    finding = only(check_gpus([poor] * 2), "warning", "gpus")
    assert finding.text == f"rank 0 on n1, which has 4 GPUs: {text}"
    assert finding.fix == fix


@pytest.mark.parametrize(
    ("value", "seen"),
    [(None, "abcd"), ("2,0", "ca"), ("GPU-b", "b"), ("", ""), ("0,9,1", "a")],
)
def test_a_rank_sees_what_cuda_lets_it(value, seen):
    environ = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    found = trials.visible_gpus(FOUR, environ)
    assert found == tuple(f"GPU-{letter}" for letter in seen)


def test_gpus_are_those_that_the_driver_lists(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus.list_gpus() == ()
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho GPU-a\necho GPU-b\n")
    program.chmod(0o755)
    assert gpus.list_gpus() == ("GPU-a", "GPU-b")
    program.write_text("#!/bin/sh\necho GPU-a\nexit 9\n")
    assert gpus.list_gpus() == ()


# --- what one process sees


MOUNTS = """proc /proc proc rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sda / ext4 rw 0 0
server:/x /home\\040two lustre rw 0 0
tmpfs /homework tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/someone/run", "nfs4"),
        ("/home", "nfs4"),
        ("/home two/x", "lustre"),
        ("/homework/x", "tmpfs"),
        ("/elsewhere", "ext4"),
    ],
)
def test_file_system_is_that_of_the_longest_mount_point(tmp_path, path, kind):
    (tmp_path / "mounts").write_text(MOUNTS)
    assert trials.file_system(path, str(tmp_path / "mounts")) == kind


def test_file_system_is_unknown_where_the_system_does_not_tell(tmp_path):
    assert trials.file_system("/", str(tmp_path / "none")) == ""


@pytest.mark.parametrize(
    ("system", "told"), [("nfs4", "nfs4"), ("fuse.beegfs", "fuse.beegfs"), ("ext4", "")]
)
def test_shared_file_systems_are_known(system, told):
    assert trials.shared(system) == told


def test_looking_for_cores_leaves_the_binding_as_it_was():
    before = os.sched_getaffinity(0)
    one = {min(before)}
    try:
        os.sched_setaffinity(0, one)
        assert set(survey._allowed()) >= before
        assert os.sched_getaffinity(0) == one
    finally:
        os.sched_setaffinity(0, before)


# --- the report


def test_equal_ranks_share_a_row_and_long_tables_are_told_by_host():
    bound = [replace(GOOD, cores=(rank,)) for rank in range(4)]
    rows = tabulate([*bound, replace(GOOD, host="n2"), replace(GOOD, host="n2")])
    assert [row.ranks for row in rows] == ["0", "1", "2", "3", "4-5"]
    assert (rows[4].host, rows[4].cores, rows[4].threads) == ("n2", "0-3", 2)
    many = [replace(GOOD, cores=(rank,)) for rank in range(ROWS + 1)]
    (row,) = tabulate(many)
    assert (row.ranks, row.cores) == (f"0-{ROWS}", f"0-{ROWS} (1 a rank)")


def test_report_counts_and_shows_fixes():
    found = [
        Finding("ok", "cores", "enough"),
        Finding("warning", "cache", "far\n away", "move it"),
        Finding("fault", "binding", "long " * 40, "bind"),
    ]
    shown = Report(2, {"hpcapp": "1"}, tabulate([GOOD] * 2), found)
    text = shown.text()
    assert text.startswith(
        "versions  hpcapp 1\n\nranks  host  cores  threads\n0-1    n1"
    )
    assert "warning  cache      far away\n                    fix: move it\n" in text
    assert text.endswith("1 fault, 1 warning")
    assert max(map(len, text.splitlines())) <= 100
    facts = json.loads(shown.as_json())
    assert (facts["ranks"], facts["hosts"], facts["faults"]) == (2, 1, 1)
    assert facts["findings"][2]["fix"] == "bind"


def test_nothing_personal_is_shown(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    monkeypatch.setattr(report.getpass, "getuser", lambda: "jane")
    text = "/home/jane/x, /home/jane: /scratch/jane/y /tmp/c-jane/z /home/janet janeway"
    assert impersonal(text) == (
        "~/x, ~: /scratch/$USER/y /tmp/c-$USER/z /home/janet janeway"
    )

    def unknown():
        raise KeyError("no such user")

    monkeypatch.setattr(report.getpass, "getuser", unknown)
    assert impersonal("/home/jane/x") == "~/x"


def test_accounts_are_not_shown(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ACCOUNT", "project_465")
    text = "/scratch/project_465/run, /scratch/project_4650/run"
    assert impersonal(text) == "/scratch/$ACCOUNT/run, /scratch/project_4650/run"


def test_launch_that_cannot_work_is_a_finding_with_its_fix(monkeypatch, capsys):
    error = LaunchError(
        "launch: srun started 3 processes, but X sees a world of 1: they do not match; "
        "start with Y; hpcapp doctor tells more"
    )
    monkeypatch.setenv("PMI_SIZE", "3")
    monkeypatch.setenv("PMI_RANK", "0")
    assert checks.report_launch(error, True) == 1
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert finding == {
        "level": "fault",
        "name": "launcher",
        "text": "srun started 3 processes, but X sees a world of 1: they do not match",
        "fix": "start with Y",
    }
    monkeypatch.setenv("PMI_RANK", "2")
    assert checks.report_launch(error, True) == 1
    assert capsys.readouterr().out == ""


# --- the command


def test_under_a_launcher_all_ranks_are_reported_once(mpirun, tmp_path):
    done = mpirun(3, "doctor", str(tmp_path), "--json", timeout=60)
    assert done.returncode == 0, done.stderr + done.stdout
    facts = json.loads(done.stdout)
    assert (facts["ranks"], facts["hosts"], facts["faults"]) == (3, 1, 0)
    names = [found["name"] for found in facts["findings"] if found["name"] != "gpus"]
    assert names == [
        *("launcher", "versions", "cores", "memory", "directory", "writers"),
        *("messages", "bandwidth", "files", "imports", "cache"),
    ]
    told = facts["limits"]
    assert told["memory"] > 0 and told["file"] > 0
    assert told["exchange"]["latency"] > 0
    assert "3 ranks" in facts["findings"][0]["text"]
    for library in ("hpcapp", "Python", "MPI", "mpi4py", "numpy", "numba", "h5py"):
        assert facts["versions"][library][0].isalnum()
    assert {"HDF5", "netCDF4"} <= set(facts["versions"])
    # it tried the directory and left nothing there
    assert list(tmp_path.iterdir()) == []


def test_fault_gives_exit_1_on_all_ranks(mpirun):
    done = mpirun(2, "doctor", "/nonexistent", timeout=60)
    assert done.returncode == 1
    assert done.stdout.count("fault    directory") == 1
    assert "fix: name a directory that exists" in done.stdout


def test_launcher_of_another_mpi_is_reported_instead_of_refused(root, mpirun):
    environ = {**os.environ, "PYTHONPATH": str(root), "SLURM_STEP_NUM_TASKS": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "hpcapp", "doctor"],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert "fault    launcher   srun started 3 processes" in done.stdout
    assert "sees a world of 1" in " ".join(done.stdout.split())


def test_the_wrong_mpi_library_is_reported_with_its_launcher(root, mpirun):
    environ = {**os.environ, "PYTHONPATH": str(root), "OMPI_COMM_WORLD_SIZE": "4"}
    done = subprocess.run(
        [sys.executable, "-m", "hpcapp", "doctor"],
        env={**environ, "OMPI_COMM_WORLD_RANK": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = " ".join(done.stdout.split())
    if "MPICH" not in said:
        pytest.skip("the library of this environment is Open MPI itself")
    assert done.returncode == 1, done.stderr
    assert "started 4 processes, but the MPI library is MPICH" in said
    assert "fix: start with" in said
