# SPDX-License-Identifier: MIT
"""Sessions on clusters that run already: as a course types them, and its mistake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hpcapp
from hpcapp.errors import LaunchError

ROOT = Path(__file__).parent.parent.parent
PROFILE = ROOT / "launch" / "profile_slurm" / "ipcluster_config.py"


@pytest.fixture
def environ(monkeypatch, tmp_path):
    """Let engines find hpcapp and mpiexec, and work in a folder of their own."""
    if not Path(sys.executable).with_name("mpirun").exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    paths = os.environ.get("PYTHONPATH")
    monkeypatch.setenv(
        "PYTHONPATH", f"{ROOT}{os.pathsep}{paths}" if paths else str(ROOT)
    )
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)


@pytest.mark.medium
def test_a_cluster_that_was_started_by_hand(environ, tmp_path):
    profile = f"{tmp_path}/profile"
    command = [sys.executable, "-m", "ipyparallel.cluster", "start", "-n", "2"]
    command += ["--engines=MPI", f"--profile-dir={profile}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 120
        while not Path(profile, "security", "ipcontroller-client.json").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        with hpcapp.Session(n=2, profile=profile, timeout=120) as session:
            config = {
                "workload": "series",
                "parameters": {"name": "kempner", "terms": 10},
            }
            with session.run(config) as result:
                # 1 + 1/2 + ... + 1/10 without 1/9
                expected = sum(1 / k for k in range(1, 11)) - 1 / 9
                assert float(result["value"]) == pytest.approx(expected, rel=1e-15)
        # it goes on
        with hpcapp.Session(profile=profile, timeout=120) as session:
            assert session.map(lambda comm, block: comm.rank) == [0, 1]
            with pytest.raises(LaunchError, match="were not started here: stop their"):
                session.restart()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore::ResourceWarning")
# only where warnings are errors is it heard of
@pytest.mark.filterwarnings("ignore:Passing unrecognized arguments:DeprecationWarning")
def test_the_mistake_of_the_course_is_named(environ, tmp_path):
    import ipyparallel

    cluster = ipyparallel.Cluster(
        # as printed there; ipyparallel takes it without an error
        environments="mpi",
        n=2,
        profile_dir=str(tmp_path / "profile"),
        log_level=50,
    )
    with cluster as client, pytest.raises(LaunchError) as caught:
        hpcapp.Session(client=client, timeout=120)
    assert "engines 0, 1 of 2 have not started MPI" in str(caught.value)
    assert "Cluster(environments='mpi')" in str(caught.value)


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_engines_of_a_cluster_at_hand_can_be_started_again(environ, tmp_path):
    import ipyparallel

    folder = str(tmp_path / "profile")
    cluster = ipyparallel.Cluster(engines="mpi", n=2, profile_dir=folder, log_level=50)
    with cluster as client, hpcapp.Session(client=client, timeout=120) as session:
        before = set(session.map(lambda comm, block: os.getpid()))
        session.restart()
        after = session.map(lambda comm, block: (comm.rank, os.getpid()))
    assert [rank for rank, _ in after] == [0, 1]
    assert before.isdisjoint(pid for _, pid in after)


@pytest.mark.parametrize(("nodes", "address"), [("1", False), ("2", True)])
def test_the_profile_for_slurm_starts_engines_by_srun(monkeypatch, nodes, address):
    from traitlets.config import Config

    config = Config()
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", nodes)
    monkeypatch.setenv("HPCAPP_SRUN", "srun --mpi=pmi2")
    exec(PROFILE.read_text(), {"get_config": lambda: config})
    assert config.Cluster.engine_launcher_class == "mpi"
    assert config.MPILauncher.mpi_cmd == ["srun", "--mpi=pmi2"]
    assert ("controller_ip" in config.Cluster) == address
