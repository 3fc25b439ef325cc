# SPDX-License-Identifier: MIT
"""Runs as a user starts them: mpirun, the command line, the files that appear."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray

ROOT = Path(__file__).parent.parent.parent
SMALL = "configs/small/laplace.yaml"


@pytest.fixture(scope="module")
def finished(mpirun, tmp_path_factory):
    """Return the process and the directory of a finished run on 3 ranks."""
    target = tmp_path_factory.mktemp("finished") / "run"
    return mpirun(3, "run", SMALL, "-o", str(target)), target


def lines(text):
    """Return the lines that hpcapp itself wrote."""
    return [line for line in text.splitlines() if line.strip()]


def test_a_run_ends_with_three_lines_on_stdout_and_exit_0(finished):
    done, target = finished
    assert done.returncode == 0, done.stderr
    first, second, third = lines(done.stdout)
    assert first.startswith("laplace: relative residual ")
    assert second.startswith("3 ranks x 1 thread, 1 host; ")
    assert third == f"{target}/result.nc: see it with: hpcapp plot {target}"


def test_the_run_directory_holds_what_a_run_owns(finished):
    _, target = finished
    names = {path.name for path in target.iterdir()}
    assert names == {"result.nc", "run.yaml", "status.json", "log.txt", "trace.npz"}
    status = json.loads((target / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["fraction"] == 1.0
    assert "process grid" in (target / "log.txt").read_text()


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_xarray_opens_the_result_with_labelled_axes(finished, engine):
    _, target = finished
    with xarray.open_dataset(target / "result.nc", engine=engine) as data:
        assert data.u.dims == ("y", "x")
        assert data.u.shape == (61, 47)
        assert float(data.y[-1]) == 1.5
        assert data.residual.dims == ("iteration",)
        assert data.u.attrs["units"] == "1"
        assert data.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
        assert data.attrs["converged"] == 1
        layout = json.loads(data.attrs["hpcapp_layout"])
        assert layout["ranks"] == 3
        timings = json.loads(data.attrs["hpcapp_timings"])
        assert set(timings) == {"setup", "compile", "compute", "halo", "reduce", "io"}
        assert all(t["min"] <= t["mean"] <= t["max"] for t in timings.values())
        assert "workload: laplace" in data.attrs["hpcapp_config"]


def test_the_result_is_correct_and_the_bound_holds(finished):
    from scipy.sparse import diags_array, eye_array, kron
    from scipy.sparse.linalg import spsolve

    _, target = finished
    with xarray.open_dataset(target / "result.nc") as data:
        u, x, y = data.u.values, data.x.values, data.y.values
        bound = float(data.error_bound)
    dx, dy = x[1] - x[0], y[1] - y[0]
    # the boundary as configured, by NumPy
    exact = np.zeros_like(u)
    exact[:, 0] = y * (1.5 - y)
    exact[-1] = np.sin(np.pi * x)
    exact[-1, 0] = 0.5 * (np.sin(0) + 0)
    exact[-1, -1] = 0.5 * np.sin(np.pi)
    exact[0, 0] = exact[0, -1] = 0.0
    ny, nx = u.shape[0] - 2, u.shape[1] - 2

    def second(n, h):
        ones = [1.0, -2.0, 1.0]
        return diags_array(ones, offsets=[-1, 0, 1], shape=(n, n)) / h**2

    matrix = kron(eye_array(ny), second(nx, dx)) + kron(second(ny, dy), eye_array(nx))
    right = np.outer(y[1:-1], -2 * x[1:-1])
    right[0] -= exact[0, 1:-1] / dy**2
    right[-1] -= exact[-1, 1:-1] / dy**2
    right[:, 0] -= exact[1:-1, 0] / dx**2
    right[:, -1] -= exact[1:-1, -1] / dx**2
    exact[1:-1, 1:-1] = spsolve(matrix.tocsc(), right.ravel()).reshape(ny, nx)
    error = np.abs(u - exact).max()
    assert error <= bound
    assert error < 1e-9


def test_json_prints_one_object(mpirun, tmp_path):
    done = mpirun(2, "run", SMALL, "--json", "-o", str(tmp_path / "r"))
    found = json.loads(done.stdout)
    assert found["workload"] == "laplace"
    assert found["ranks"] == 2
    assert found["converged"] is True
    assert found["unit"] == "updates/s"
    assert found["result"]["residual"] <= 1e-9
    assert found["phases"]["compute"]["max"] > 0


def test_a_finished_run_says_again_how_it_ended(mpirun, finished):
    first, target = finished
    again = mpirun(2, "resume", str(target))
    assert again.returncode == 0
    assert "finished already" in again.stderr
    answer, cost, place = lines(again.stdout)
    # the ranks that computed it; writing the attributes is not in them
    assert (answer, place) == (lines(first.stdout)[0], lines(first.stdout)[2])
    assert cost.startswith("3 ranks x 1 thread, 1 host; ")
    # kupdates or Mupdates: a machine may be slow
    assert re.search(r"; [0-9.]+ [kMG]?updates/s$", cost)


def test_json_of_a_finished_run_is_the_same_object(mpirun, hpcapp, tmp_path):
    target = tmp_path / "r"
    first = json.loads(mpirun(2, "run", SMALL, "--json", "-o", str(target)).stdout)
    again = hpcapp("resume", target, "--json")
    assert again.returncode == 0
    assert again.stderr == ""
    found = json.loads(again.stdout)
    assert found.keys() == first.keys()
    # what the file does not keep: time and place of each rank
    for name in first.keys() - {"phases", "rate", "seconds", "places"}:
        assert found[name] == first[name], name
    assert found["phases"].keys() == first["phases"].keys()
    assert found["rate"] == pytest.approx(first["rate"], rel=0.5)


def test_a_finished_run_is_moved_and_force_replaces_it(mpirun, tmp_path):
    target = tmp_path / "r"
    for _ in range(2):
        done = mpirun(2, "run", SMALL, "-o", str(target))
        assert done.returncode == 0
    assert f"the finished run there is now in {target}.1" in done.stderr
    assert (tmp_path / "r.1" / "result.nc").exists()
    done = mpirun(2, "run", SMALL, "-o", str(target), "--force")
    assert done.returncode == 0
    assert not (tmp_path / "r.2").exists()


FAULTS = {
    "misspelt key": (
        ["--set", "parameters.tolerence=1e-3"],
        "--set: parameters.tolerence: unknown key, did you mean 'tolerance'?",
    ),
    "negative tolerance": (
        ["--set", "parameters.tolerance=-1e-6"],
        "--set: parameters.tolerance: must be > 0 (or 0: stop after max_iterations), "
        "got -1e-6",
    ),
    "too fine a tolerance": (
        ["--set", "parameters.tolerance=1e-15"],
        "--set: parameters.tolerance: must be >= 3.6e-13",
    ),
    "bad expression": (
        ["--set", "parameters.source=sni(x)"],
        "did you mean 'sin'?",
    ),
    "grid that does not fit": (
        ["--set", "run.process_grid=[2, 2]"],
        "--set: run.process_grid: must not need more than the 3 ranks",
    ),
    "no GPU": (["--set", "run.device=cuda"], "--set: run.device: cuda asked for"),
    "directory that cannot be made": (
        ["--output", "/dev/null/r"],
        "--output: output.directory: cannot be written: /dev/null/r: Not a directory",
    ),
    "unknown option": (["--bogus"], "unrecognized arguments: --bogus"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_gives_one_message_exit_2_and_no_file(mpirun, tmp_path, fault):
    options, message = FAULTS[fault]
    done = mpirun(3, "run", SMALL, "-o", str(tmp_path / "r"), *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(lines(done.stderr)) == 1, done.stderr
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing.yaml", "folder", "binary.yaml"])
def test_an_unreadable_configuration_gives_one_message(mpirun, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary.yaml").write_bytes(b"workload: \xff\xfe\n")
    before = sorted(tmp_path.iterdir())
    done = mpirun(3, "run", str(tmp_path / name), cwd=tmp_path)
    assert done.returncode == 2
    assert len(lines(done.stderr)) == 1, done.stderr
    assert name in done.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_too_large_a_problem_is_refused_with_the_numbers(mpirun, tmp_path):
    shape = "parameters.shape=[1000000, 1000000]"
    settings = ["--set", shape, "--set", "parameters.tolerance=1e-3"]
    done = mpirun(2, "run", SMALL, "-o", str(tmp_path / "r"), *settings)
    assert done.returncode == 2
    assert "does not fit into memory: the 2 ranks on" in done.stderr
    # 1e12 points of 8 bytes, solution and source
    assert "need 16 TB" in done.stderr
    assert list(tmp_path.iterdir()) == []


# --- stop, resume, lock

LONG = ["--set", "parameters.tolerance=0", "--set", "parameters.max_iterations=15000"]
LONG += ["--set", "parameters.shape=[301, 301]", "--set", "parameters.check_every=16"]


def start(mpirun, ranks, target, *options):
    """Start a long run and return when it computes."""
    command = mpirun.command(ranks, "run", SMALL, "-o", str(target), *options)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            if json.loads((target / "status.json").read_text())["fraction"] > 0:
                return process
        except FileNotFoundError:
            pass
        time.sleep(0.05)
    process.kill()
    pytest.fail(f"did not start: {process.communicate()}")
    return None


@pytest.fixture(scope="module")
def stopped(mpirun, tmp_path_factory):
    """Return a run that SIGUSR1 to mpirun has stopped, and what it said."""
    target = tmp_path_factory.mktemp("stopped") / "run"
    process = start(mpirun, 4, target, *LONG)
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, target


def test_sigusr1_leads_to_a_checkpoint_and_exit_75(stopped):
    code, out, err, target = stopped
    assert code == 75, err
    assert "laplace: stopped (SIGUSR1), not finished" in out
    assert f"hpcapp resume {target}" in out
    assert not (target / "result.nc").exists()
    names = sorted(path.name for path in (target / "checkpoints").iterdir())
    assert names == ["checkpoint-000001.json", "checkpoint-000001.nc"]
    assert json.loads((target / "status.json").read_text())["state"] == "stopped"


def test_an_unfinished_run_is_not_overwritten(mpirun, stopped):
    *_, target = stopped
    before = {p: p.stat().st_mtime_ns for p in target.rglob("*")}
    done = mpirun(3, "run", SMALL, "-o", str(target))
    assert done.returncode == 2
    assert len(lines(done.stderr)) == 1
    assert f"hpcapp resume {target}" in done.stderr
    assert {p: p.stat().st_mtime_ns for p in target.rglob("*")} == before


def test_resume_refuses_a_changed_problem(mpirun, stopped):
    *_, target = stopped
    done = mpirun(2, "resume", str(target), "--set", "parameters.shape=[300, 301]")
    assert done.returncode == 2
    assert (
        "parameters.shape: must not change when a run goes on, was [301, 301]"
        in done.stderr
    )
    assert len(lines(done.stderr)) == 1


def test_resume_on_another_number_of_ranks_gives_the_same_bits(
    mpirun, hpcapp, stopped, tmp_path
):
    *_, stopped_at = stopped
    target = tmp_path / "run"
    # the directory may be moved before it is resumed
    shutil.copytree(stopped_at, target)
    done = mpirun(3, "resume", str(target))
    assert done.returncode == 0, done.stderr
    assert not (target / "checkpoints").exists()
    straight = mpirun(2, "run", SMALL, "-o", str(tmp_path / "straight"), *LONG)
    assert straight.returncode == 0
    same = hpcapp("compare", target, tmp_path / "straight")
    assert same.returncode == 0, same.stdout
    again = mpirun(2, "resume", str(target))
    assert again.returncode == 0
    assert "finished already" in again.stderr


def test_wall_time_stops_with_a_checkpoint(mpirun, tmp_path):
    target = tmp_path / "r"
    options = [
        "--set",
        "parameters.max_iterations=10000000",
        "--set",
        "run.wall_time=6 s",
    ]
    begun = time.monotonic()
    done = mpirun(2, "run", SMALL, "-o", str(target), *LONG[:2], *LONG[4:], *options)
    assert done.returncode == 75, done.stderr
    # other tests run beside this one
    assert time.monotonic() - begun < 30
    assert "stopped (wall time of 6 s)" in done.stdout


def test_periodic_checkpoints_are_kept_to_the_number_wanted(mpirun, tmp_path):
    target = tmp_path / "r"
    options = ["--set", "checkpoint.every=0.2 s", "--set", "checkpoint.keep=2"]
    process = start(mpirun, 2, target, *LONG, *options)
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        names = sorted(p.name for p in target.glob("checkpoints/checkpoint-*.nc"))
        if names and int(names[-1][11:17]) >= 4:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=60)
    assert process.returncode == 75
    # each with its manifest
    assert len(list(target.glob("checkpoints/*"))) == 4


def test_two_runs_in_one_directory_exclude_each_other(mpirun, tmp_path):
    target = tmp_path / "r"
    process = start(mpirun, 2, target, *LONG)
    second = mpirun(2, "run", SMALL, "-o", str(target))
    assert second.returncode == 2
    assert "in use by another run (process" in second.stderr
    assert len(lines(second.stderr)) == 1
    process.kill()
    process.communicate(timeout=30)
    # the owner is dead now: its lock must not stand in the way
    until = time.monotonic() + 20
    while time.monotonic() < until:
        third = mpirun(2, "run", SMALL, "-o", str(target))
        if third.returncode == 0:
            break
    assert third.returncode == 0, third.stderr


# --- failures

BROKEN = """
workload: tests.own.broken
parameters: {{rank: {rank}, where: {where}, known: {known}}}
"""


@pytest.mark.parametrize("where", ["first", "later", "answer"])
@pytest.mark.parametrize("rank", [0, 2, -1])
def test_a_defect_on_one_rank_ends_the_job_with_one_traceback(
    mpirun, tmp_path, where, rank
):
    config = tmp_path / "broken.yaml"
    config.write_text(BROKEN.format(rank=rank, where=where, known="false"))
    done = mpirun(3, "run", str(config), "-o", str(tmp_path / "r"), timeout=40)
    ended = time.time()
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1, done.stderr
    # the start before it takes what the machine gives
    crashes = (tmp_path / "r").glob("crash-rank*.json")
    assert ended - min(crash.stat().st_mtime for crash in crashes) < 10
    assert "ZeroDivisionError: planted on rank" in done.stderr
    speaker = "rank" if rank == -1 else f"rank {rank} of 3 on "
    assert speaker in done.stderr
    assert not (tmp_path / "r" / "result.nc").exists()


def test_a_defect_is_shown_each_time(mpirun, hpcapp, tmp_path):
    config = tmp_path / "broken.yaml"
    config.write_text(BROKEN.format(rank=0, where="first", known="false"))
    arguments = ["run", str(config), "-o", str(tmp_path / "r")]
    # one process after the other with the same parent, then two jobs
    runs = [hpcapp(*arguments) for _ in range(2)]
    runs += [mpirun(2, *arguments) for _ in range(2)]
    for done in runs:
        assert done.returncode == 1
        assert done.stderr.count("Traceback") == 1, done.stderr
        assert "ZeroDivisionError: planted on rank 0" in done.stderr
    assert "rank 0 of 1 on " in runs[0].stderr


@pytest.mark.parametrize(
    ("rank", "known", "reason"),
    [
        (0, "false", "ZeroDivisionError: planted on rank 0"),
        (0, "true", "planted for the user"),
        (-1, "true", "planted for the user"),
    ],
)
def test_a_failure_stands_in_status_and_log(mpirun, tmp_path, rank, known, reason):
    config = tmp_path / "broken.yaml"
    config.write_text(BROKEN.format(rank=rank, where="later", known=known))
    done = mpirun(2, "run", str(config), "-o", str(tmp_path / "r"))
    assert done.returncode == 1
    status = json.loads((tmp_path / "r" / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", reason)
    assert f" failed: {reason}\n" in (tmp_path / "r" / "log.txt").read_text()
    assert not (tmp_path / "r" / ".lock").exists()


def test_a_known_error_on_one_rank_ends_the_job_and_names_the_rank(mpirun, tmp_path):
    config = tmp_path / "broken.yaml"
    config.write_text(BROKEN.format(rank=1, where="later", known="true"))
    done = mpirun(3, "run", str(config), "-o", str(tmp_path / "r"), timeout=40)
    failed = (tmp_path / "r" / "status.json").stat().st_mtime
    assert time.time() - failed < 10
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "hpcapp: rank 1 on " in done.stderr
    assert "planted for the user" in done.stderr


def test_a_known_error_on_one_rank_ends_independent_steps_without_an_abort(
    mpirun, tmp_path
):
    config = tmp_path / "broken.yaml"
    text = BROKEN.format(rank=1, where="later", known="true")
    config.write_text(text.replace("known:", "alone: true, known:"))
    done = mpirun(3, "run", str(config), "-o", str(tmp_path / "r"))
    assert done.returncode == 1
    said = [line for line in done.stderr.splitlines() if "planted" in line]
    assert len(said) == 1
    assert re.fullmatch(r"hpcapp: rank 1 on \S+: planted for the user", said[0])
    assert "Abort" not in done.stdout + done.stderr


def test_a_known_error_on_all_ranks_is_said_once(mpirun, tmp_path):
    config = tmp_path / "broken.yaml"
    config.write_text(BROKEN.format(rank=-1, where="later", known="true"))
    done = mpirun(3, "run", str(config), "-o", str(tmp_path / "r"))
    assert done.returncode == 1
    assert done.stderr.count("planted for the user") == 1


# --- launcher and library


def test_a_launcher_of_another_library_is_refused(tmp_path):
    folder = os.environ.get("HPCAPP_TEST_OPENMPI", "")
    if not folder:
        pytest.skip("no second environment: HPCAPP_TEST_OPENMPI is not set")
    from tests.test_ranks import open_mpi_environ

    here = Path(sys.executable).parent
    there, target = Path(folder, "bin"), tmp_path / "r"
    for mpirun, python in (
        (here / "mpirun", there / "python"),
        (there / "mpirun", sys.executable),
    ):
        done = subprocess.run(
            [mpirun, "-np", "2", python, "-m", "hpcapp", "run", SMALL, "-o", target],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **open_mpi_environ()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("launcher and MPI library do not match") == 1
        assert list(tmp_path.iterdir()) == []


# --- configurations that are shipped

EXAMPLES = sorted((ROOT / "configs" / "small").glob("*.yaml"))


@pytest.mark.parametrize("config", EXAMPLES, ids=lambda path: path.stem)
def test_every_small_example_runs_and_plots(mpirun, hpcapp, tmp_path, config):
    target = tmp_path / "r"
    done = mpirun(2, "run", str(config), "-o", str(target))
    assert done.returncode == 0, done.stderr
    plotted = hpcapp("plot", target)
    with xarray.open_dataset(target / "result.nc") as data:
        drawable = any(variable.ndim for variable in data.variables.values())
    assert plotted.returncode == (0 if drawable else 2), plotted.stderr
    assert drawable or "nothing to plot: it holds only numbers" in plotted.stderr


@pytest.mark.medium
@pytest.mark.timeout(200)
@pytest.mark.parametrize("ranks", [2, pytest.param(16, marks=pytest.mark.slow)])
def test_the_first_example_is_right_and_soon_done(mpirun, tmp_path, ranks):
    begun = time.monotonic()
    done = mpirun(
        ranks, "run", "configs/laplace.yaml", "-o", str(tmp_path / "r"), timeout=140
    )
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < (60 if ranks == 2 else 130)
    with xarray.open_dataset(tmp_path / "r" / "result.nc") as data:
        exact = np.sin(np.pi * data.x) * np.sinh(np.pi * data.y) / np.sinh(np.pi)
        error = abs(data.u - exact.transpose("y", "x")).max()
        # discretisation: the leading term of the five-point stencil is 2e-7 here
        assert float(error) < float(data.error_bound) + 1e-6
