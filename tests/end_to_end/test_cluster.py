# SPDX-License-Identifier: MIT
"""Batch jobs on a real Slurm of several nodes, which the tests start themselves."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from cluster import Cluster, missing_programs
from site_scripts import write_scripts

from hpcapp.failure import read_status
from hpcapp.slurm.sites import read_profile, site_names

ROOT = Path(__file__).parent.parent.parent
SMALL = ROOT / "configs" / "small"
SCRIPTS = sorted((ROOT / "slurm").glob("*.sbatch"))

pytestmark = [pytest.mark.medium, pytest.mark.timeout(900)]

# takes some seconds on 4 ranks, with many steps
LONG = ["parameters.tolerance=0", "parameters.max_iterations=12000"]
LONG += ["parameters.shape=[301, 301]", "parameters.check_every=16"]

# what each MPI wants: plugin of srun, variables, and the environment of the test run
DEBIAN = "/usr/lib/x86_64-linux-gnu/libmpi.so.40"
OPEN_MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    # nodes claim 4 cores each, and share those of this machine
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "PRTE_MCA_hwloc_default_binding_policy": "none",
}
MPIS = {"mpich": "pmi2", "openmpi": "pmix", "debian": "pmix"}


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster of 3 nodes, with a partition of each name that sites have."""
    missing = missing_programs()
    if missing:
        pytest.skip(
            f"no Slurm here: {', '.join(missing)} missing (Debian: slurmctld slurmd "
            "slurm-client munge)"
        )
    queues = [queue for name in site_names() for queue in read_profile(name).queues]
    names = {queue.partition for queue in queues} - {None}
    cluster = Cluster(nodes=3, partitions=sorted(names))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


class Jobs:
    """Submits jobs as a user does."""

    def __init__(self, cluster, folder, mpi="mpich"):
        self.cluster, self.folder, self.mpi = cluster, folder, mpi
        self.environ = {**cluster.environ, "PYTHONPATH": str(ROOT)}
        # the nodes of the test cluster share one /tmp: one cache will do
        self.environ["NUMBA_CACHE_DIR"] = os.environ["NUMBA_CACHE_DIR"]
        self.prefix = sys.prefix
        if mpi == "mpich":
            return
        self.environ |= OPEN_MPI
        if mpi == "openmpi":
            self.prefix = os.environ.get("HPCAPP_TEST_OPENMPI", "")
            if not self.prefix:
                pytest.skip("no second environment: HPCAPP_TEST_OPENMPI is not set")
        else:
            if not Path(DEBIAN).exists() or not Path("/usr/bin/mpirun").exists():
                pytest.skip("no Open MPI of Debian here (openmpi-bin)")
            self.environ |= {"MPI4PY_MPIABI": "openmpi", "MPI4PY_LIBMPI": DEBIAN}

    def script(self, *arguments):
        """Return the script that hpcapp submit prints."""
        return self._submit(*arguments)

    def submit(self, *arguments):
        """Submit and return the number of the job."""
        return int(self._submit("--submit", *arguments))

    def send(self, script):
        """Submit a script that a test has changed."""
        done = subprocess.run(
            ["sbatch", "--parsable"],
            input=script,
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    def _submit(self, *arguments):
        site = ["--site", "local", "--environment", self.prefix]
        site += ["--mpi", MPIS[self.mpi]]
        command = [sys.executable, "-m", "hpcapp", "submit", *site]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def output(self):
        """Return what the jobs have said."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.out")))

    def finish(self, number, timeout=400):
        """Wait for the end of a job; fail with all its output if it has failed."""
        ends = ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL")
        job = self.cluster.wait(number, *ends, timeout=timeout)
        # srun and its step daemons give up on each other on a machine that has no time
        # for them: the wire-up of Slurm, before a line of hpcapp has run
        if job["JobState"] == "FAILED" and "error: mpi/pmi2" in self.output():
            warnings.warn(f"job {number} again: {self.output()}", stacklevel=2)
            self.cluster.call("scontrol", "requeue", str(number))
            self.cluster.wait(number, "PENDING", "RUNNING", *ends[:1], timeout=60)
            job = self.cluster.wait(number, *ends, timeout=timeout)
        if job["JobState"] != "COMPLETED":
            pytest.fail(f"job {number} ended {job['JobState']}:\n{self.output()}")
        return job


@pytest.fixture
def jobs(cluster, tmp_path):
    """Return what submits jobs with the MPI of this environment."""
    return Jobs(cluster, tmp_path)


def undisturbed(mpirun, folder, name, *settings):
    """Return the directory of the same run by mpirun without Slurm."""
    target = folder / f"undisturbed-{name}"
    words = [part for setting in settings for part in ("--set", setting)]
    path = SMALL / f"{name}.yaml"
    done = mpirun(2, "run", str(path), "-q", "-o", str(target), *words)
    assert done.returncode == 0, done.stderr
    return target


def assert_same(hpcapp, a, b):
    """Compare two results bit by bit."""
    done = hpcapp("compare", a, b)
    assert done.returncode == 0, done.stdout + done.stderr


def wait_for_steps(folder, least=0.0, timeout=400):
    """Return when a run has begun to compute."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        known = read_status(str(folder)) or {}
        if known.get("state") == "running" and known.get("fraction", 0) > least:
            return
        time.sleep(0.1)
    raise AssertionError(f"{folder}: {known}")


def assert_taken(cluster, path, *arguments):
    """Ask Slurm when a script would start."""
    # where the profile names no partition, the site chooses one
    free = "#SBATCH --partition=" not in path.read_text()
    partition = ["--partition=standard"] if free else []
    done = subprocess.run(
        ["sbatch", "--test-only", *partition, path, *arguments],
        env=cluster.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, (path, done.stderr)
    assert "to start at" in done.stderr, (path, done.stderr)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_slurm_takes_every_script(cluster, path):
    assert_taken(cluster, path, "x.yaml")


def test_slurm_takes_the_scripts_of_each_queue_of_each_site(cluster, tmp_path):
    for path in write_scripts(tmp_path):
        if path.suffix in (".one", ".several"):
            assert_taken(cluster, path)


def test_shellcheck_finds_nothing_in_any_script():
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here (Debian: shellcheck)")
    # files of the site are not here; rank and device are read by the inner shell
    options = ["--shell=bash", "--exclude=SC1090,SC1091,SC2016"]
    paths = [*SCRIPTS, *(ROOT / "slurm").glob("*.sh")]
    done = subprocess.run(["shellcheck", *options, *paths], capture_output=True)
    assert done.returncode == 0, done.stdout.decode()


def test_an_array_on_two_nodes_gives_the_bits_of_a_run_without_slurm(
    jobs, mpirun, hpcapp, tmp_path
):
    names = ["laplace", "montecarlo-pi"]
    number = jobs.submit("--nodes", "2", *(SMALL / f"{name}.yaml" for name in names))
    for task in range(2):
        jobs.finish(f"{number}_{task}")
    assert "4 ranks x 1 thread, 2 hosts" in jobs.output()
    for name in names:
        target = tmp_path / "results" / "small" / name
        assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, name))


def run_the_script_in_the_folder(jobs, environment):
    """Run slurm/local-cpu.sbatch on two nodes in a Python environment."""
    jobs.environ["HPCAPP_VENV"] = str(environment)
    words = ["--parsable", "--nodes=2", ROOT / "slurm" / "local-cpu.sbatch"]
    done = subprocess.run(
        ["sbatch", *words, SMALL / "laplace.yaml"],
        env=jobs.environ,
        cwd=jobs.folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    jobs.finish(int(done.stdout))
    assert "4 ranks x 1 thread, 2 hosts" in jobs.output()


def test_the_script_in_the_folder_runs_on_two_nodes(jobs, mpirun, hpcapp, tmp_path):
    run_the_script_in_the_folder(jobs, jobs.prefix)
    target = tmp_path / "results" / "laplace"
    assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, "laplace"))


def test_a_job_that_is_stopped_goes_on_by_itself_to_the_same_bits(
    jobs, mpirun, hpcapp, tmp_path
):
    words = [part for setting in LONG for part in ("--set", setting)]
    number = jobs.submit("--nodes", "2", *words, SMALL / "laplace.yaml")
    target = tmp_path / "results" / "small" / "laplace"
    wait_for_steps(target)
    # what --signal=B:USR1 does some time before the limit: to the script alone
    jobs.cluster.call("scancel", "--batch", "--signal=USR1", str(number))
    until = time.monotonic() + 400
    while jobs.cluster.job(number)["Restarts"] == "0" and time.monotonic() < until:
        time.sleep(0.2)
    job = jobs.finish(number)
    assert job["Restarts"] == "1"
    output = jobs.output()
    assert "laplace: stopped (SIGUSR1), not finished" in output
    assert f"hpcapp: not finished: requeueing job {number}" in output
    assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, "laplace", *LONG))
    told = hpcapp("status", target).stdout
    assert "start 2 of a chain; before it:" in told
    assert re.search(rf"1: .* on n\d, 4 ranks, job {number}: to .*\(SIGUSR1\)", told)


PATIENT = """\
workload: tests.own.patient
parameters: {rounds: 400, pause: 1.0}
output: {directory: result}
"""


def test_a_job_longer_than_its_limit_goes_on_by_itself_to_the_same_bits(
    jobs, mpirun, hpcapp, tmp_path
):
    # the first start would take 400 s, and waits in sleep: the machine is free
    (tmp_path / "patient.yaml").write_text(PATIENT)
    # the least limit that Slurm has; it looks every 30 s, and sends its signal 15 s to
    # 45 s after the start
    words = ["--nodes", "2", "--ranks", "1", "--time", "1"]
    number = jobs.submit(*words, "patient.yaml")
    # on a slow machine the second start may come to its limit too
    job, output = jobs.finish(number), jobs.output()
    assert int(job["Restarts"]) >= 1, output
    assert "patient: stopped (SIGUSR1), not finished" in output
    assert f"hpcapp: not finished: requeueing job {number}" in output
    assert "DUE TO TIME LIMIT" not in output
    words = ["-q", "-s", "parameters.pause=0.0", "-o", "straight"]
    done = mpirun(2, "run", "patient.yaml", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same(hpcapp, tmp_path / "result", tmp_path / "straight")


def test_two_jobs_on_one_directory_exclude_each_other_across_nodes(jobs, tmp_path):
    # until it is cancelled
    settings = [*LONG, "parameters.max_iterations=100000000"]
    words = [part for setting in settings for part in ("--set", setting)]
    first = jobs.submit(*words, SMALL / "laplace.yaml")
    target = tmp_path / "results" / "small" / "laplace"
    wait_for_steps(target)
    # the first has 2 of 4 cores of its node: the second must go elsewhere
    script = jobs.script("--ranks", "4", *words, SMALL / "laplace.yaml")
    second = jobs.send(script)
    jobs.cluster.wait(second, "FAILED")
    job = jobs.cluster.job(first)
    jobs.cluster.call("scancel", str(first))
    assert jobs.cluster.job(second)["ExitCode"] == "2:0"
    assert job["BatchHost"] != jobs.cluster.job(second)["BatchHost"]
    assert "in use by another run (process " in jobs.output()
    assert f" on {job['BatchHost']}); wait for it" in jobs.output()


@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
def test_each_rank_has_a_gpu_of_its_own(jobs, launcher):
    script = jobs.script(
        *("--gpu", "--nodes", "2", "--launcher", launcher, SMALL / "laplace.yaml")
    )
    # in the place of hpcapp, which would refuse: nothing is behind these numbers
    probe = """sh -c 'echo "GPU $(hostname) $CUDA_VISIBLE_DEVICES"'"""
    changed = re.sub(r"python -m hpcapp run .*&$", f"{probe} &", script, flags=re.M)
    assert changed != script
    jobs.finish(jobs.send(changed))
    found = re.findall(r"GPU (n\d) (\S*)$", jobs.output(), re.MULTILINE)
    nodes = sorted({node for node, _ in found})
    assert len(nodes) == 2
    assert sorted(found) == [(node, device) for node in nodes for device in "01"]


PLANTED = """\
version: 1
site: planted
title: the test cluster
status: supported
evidence: {here: {kind: choice, title: the test cluster}}
account: {needed: false, source: here}
environments: {wheels: {setup: none, launcher: srun, mpi: pmi2, source: here}}
files: {source: here}
queues:
  - name: test
    environment: wheels
    partition: test
    max_nodes: 2
    max_time: 1 h
    node: {cores: 4, memory: 4000, source: here}
    gpu: {model: none, count: 2, request: "--gpus-per-node={gpus}", source: here}
    layout: {ranks: 2, threads: 1, source: here}
    source: here
"""


def test_check_finds_planted_differences_and_no_others(cluster, tmp_path):
    def check(old="", new=""):
        path = tmp_path / "planted.yaml"
        path.write_text(PLANTED.replace(old, new))
        done = subprocess.run(
            [sys.executable, "-m", "hpcapp", "submit", "--site", path, "--check"],
            env={**cluster.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        lines = done.stdout.splitlines()
        assert done.returncode == (1 if "differs: " in done.stdout else 0)
        return [line[9:] for line in lines if line.startswith("differs: ")]

    assert check() == []
    for old, new, difference in [
        (
            "max_time: 1 h",
            "max_time: 2 h",
            "time limit: profile 02:00:00, here 01:00:00",
        ),
        ("max_nodes: 2", "max_nodes: 3", "nodes of a job: profile 3, here 2"),
        ("cores: 4", "cores: 8", "cores of a node: profile 8, here 4"),
        (
            "memory: 4000",
            "memory: 5000",
            "memory of a node: profile 5000 MiB, here 4000",
        ),
        ("count: 2", "count: 4", "GPUs of a node: profile 4, here 2"),
        ("partition: test", "partition: prod", "partition: profile prod, here only"),
    ]:
        found = check(old, new)
        assert len(found) == 1, found
        assert found[0].startswith(f"queue test: {difference}")
    (found,) = check("mpi: pmi2", "mpi: pmix_v9")
    assert found.startswith("environment wheels: srun --mpi: profile pmix_v9, here ")


# ---- long ones: ./launch/test --all


WORKLOADS = [
    "laplace-multigrid",
    "montecarlo-walk",
    "series-kempner",
    "words",
    "climate",
]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("launcher", ["srun", "mpirun"])
@pytest.mark.parametrize("mpi", MPIS)
def test_all_workloads_give_the_bits_of_a_run_without_slurm(
    cluster, mpirun, hpcapp, tmp_path, mpi, launcher
):
    jobs = Jobs(cluster, tmp_path, mpi)
    words = ["--nodes", "2", "--launcher", launcher]
    # inputs are named from the top of the checkout
    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    # without RDMA Open MPI 4.1 has no one-sided communication between nodes
    dynamic = "mandelbrot" if mpi == "debian" else "mandelbrot-dynamic"
    names = [dynamic, *WORKLOADS]
    script = jobs.script(*words, *(SMALL / f"{name}.yaml" for name in names))
    if mpi == "debian":
        # the environment has another one of its own
        script = script.replace("\nmpirun ", "\n/usr/bin/mpirun ")
    number = jobs.send(script)
    for task, name in enumerate(names):
        jobs.finish(f"{number}_{task}", timeout=400)
        target = tmp_path / "results" / "small" / name
        assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, name))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_environment_of_wheels_runs_the_script(jobs, mpirun, hpcapp, tmp_path):
    environment = tmp_path / "made"
    done = subprocess.run(
        [ROOT / "slurm" / "setup-wheels.sh", environment],
        env={**os.environ, "HPCAPP_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert f"ready: HPCAPP_VENV={environment}" in done.stdout
    # what it has installed, not this checkout
    del jobs.environ["PYTHONPATH"]
    run_the_script_in_the_folder(jobs, environment)
    target = tmp_path / "results" / "laplace"
    assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, "laplace"))


@pytest.mark.slow
def test_work_that_cannot_be_claimed_is_one_message(cluster, tmp_path):
    jobs = Jobs(cluster, tmp_path, "debian")
    number = jobs.submit("--nodes", "2", SMALL / "mandelbrot-dynamic.yaml")
    jobs.cluster.wait(number, "FAILED")
    assert jobs.cluster.job(number)["ExitCode"] == "2:0", jobs.output()
    assert "hpcapp: work that is claimed needs one-sided communication" in jobs.output()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_a_job_of_several_limits_length_finishes_by_requeueing(
    jobs, mpirun, hpcapp, tmp_path
):
    # about 75 s of work on this machine as it is now
    words = [part for setting in LONG for part in ("--set", setting)]
    short = [str(SMALL / "laplace.yaml"), "-o", str(tmp_path / "short"), *words]
    phases = json.loads(mpirun(2, "run", "--json", *short).stdout)["phases"]
    seconds = sum(phases[name]["max"] for name in ("compute", "halo", "reduce"))
    iterations = 16 * int(12000 / 16 * 75 / seconds)
    settings = [*LONG[:1], f"parameters.max_iterations={iterations}", *LONG[2:]]
    words = [part for setting in settings for part in ("--set", setting)]
    # the least limit that Slurm has; it looks every 30 s
    number = jobs.submit("--time", "1 min", *words, SMALL / "laplace.yaml")
    job = jobs.finish(number, timeout=1800)
    target = tmp_path / "results" / "small" / "laplace"
    assert int(job["Restarts"]) >= 2, jobs.output()
    assert "stopped (" in jobs.output()
    assert (
        f"start {int(job['Restarts']) + 1} of a chain"
        in hpcapp("status", target).stdout
    )
    straight = undisturbed(mpirun, tmp_path, "laplace", *settings)
    assert_same(hpcapp, target, straight)


@pytest.mark.slow
def test_scancel_loses_nothing(jobs, mpirun, hpcapp, tmp_path):
    settings = ["checkpoint.every=1", *LONG]
    words = [part for setting in settings for part in ("--set", setting)]
    number = jobs.submit("--nodes", "2", *words, SMALL / "laplace.yaml")
    target = tmp_path / "results" / "small" / "laplace"
    wait_for_steps(target, 0.3)
    jobs.cluster.call("scancel", str(number))
    jobs.cluster.wait(number, "CANCELLED")
    again = jobs.submit("--nodes", "2", *words, SMALL / "laplace.yaml")
    jobs.finish(again)
    assert "going on from" in jobs.output()
    assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, "laplace", *LONG))


@pytest.mark.slow
def test_a_node_that_dies_loses_nothing(jobs, mpirun, hpcapp, tmp_path):
    settings = ["checkpoint.every=1", *LONG]
    words = [part for setting in settings for part in ("--set", setting)]
    number = jobs.submit("--nodes", "2", *words, SMALL / "laplace.yaml")
    target = tmp_path / "results" / "small" / "laplace"
    wait_for_steps(target, 0.3)
    nodes = jobs.cluster.call(
        "scontrol", "show", "hostnames", jobs.cluster.job(number)["NodeList"]
    ).split()
    lost = next(n for n in nodes if n != jobs.cluster.job(number)["BatchHost"])
    jobs.cluster.kill_node(lost)
    try:
        state = [
            "scontrol",
            "update",
            f"NodeName={lost}",
            "State=DOWN",
            "Reason=killed",
        ]
        jobs.cluster.call(*state)
        job = jobs.finish(number)
    finally:
        jobs.cluster.start_node(lost)
    assert job["Restarts"] == "1"
    assert "going on from" in jobs.output()
    assert_same(hpcapp, target, undisturbed(mpirun, tmp_path, "laplace", *LONG))


SESSION = """\
import sys

from hpcapp import Session

with Session(profile=sys.argv[1], timeout=120) as session:
    ranks = session.run(sys.argv[2]).attrs["hpcapp_layout"]
    print("ran", ranks)
"""


@pytest.mark.slow
def test_a_session_uses_engines_that_srun_has_started_on_two_nodes(
    jobs, mpirun, hpcapp, tmp_path
):
    profile, config = tmp_path / "profile", SMALL / "laplace.yaml"
    shutil.copytree(ROOT / "launch" / "profile_slurm", profile)
    (tmp_path / "session.py").write_text(SESSION)
    # three engines on one node and one on the other: not all ranks share cores
    script = f"""#!/bin/bash
#SBATCH --nodes=2 --ntasks=4 --time=10 --output={tmp_path}/engines.out
cd {tmp_path} && export PATH={sys.prefix}/bin:$PATH HPCAPP_SRUN="srun --mpi=pmi2"
ipcluster start --profile-dir={profile} -n 4 --daemonize
python session.py {profile} {config}
code=$?
ipcluster stop --profile-dir={profile}
exit $code
"""
    jobs.finish(jobs.send(script))
    (target,) = (tmp_path / "results").rglob("result.nc")
    assert_same(hpcapp, target.parent, undisturbed(mpirun, tmp_path, "laplace"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_scaling_study_is_measured_by_one_job_for_each_point(jobs):
    command = [sys.executable, "-m", "hpcapp", "scale"]
    command.append(str(SMALL / "series-midpoint.yaml"))

    def scale(*arguments):
        done = subprocess.run(
            [*command, *arguments],
            env={**jobs.environ, "HPCAPP_VENV": jobs.prefix},
            cwd=jobs.folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    # 5 ranks and more would need a second node
    points = ("--ranks", "1,2", "--repeat", "1", "-o", "study")
    said = scale(*points, "--site", "local", "--submit").splitlines()
    assert [line.partition(": ")[2] for line in said[:2]] == ["1 rank", "2 ranks"]
    for line in said[:2]:
        jobs.finish(int(line.partition(":")[0]))
    found = scale("--gather", "study")
    assert "answers: the same data in all 2 runs" in found
    assert "each point in a job of its own: not at the same time" in found
    assert (jobs.folder / "study" / "scaling.nc").exists()
