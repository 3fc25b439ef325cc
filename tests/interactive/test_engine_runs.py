# SPDX-License-Identifier: MIT
"""Runs of a session are those of mpirun; functions get a communicator."""

import operator
import os
import stat
import time
from functools import reduce
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray

import hpcapp
from hpcapp.clock import PHASES
from hpcapp.errors import ConfigError, LaunchError
from hpcapp.interactive.orders import EngineError, Stopped
from hpcapp.studies.compare import compare_results
from hpcapp.trace import read_trace

ROOT = Path(__file__).parent.parent.parent
SMALL = ROOT / "configs" / "small"
LONG = {
    "shape": [201, 201],
    "tolerance": 0,
    "max_iterations": 2_000_000,
    "check_every": 16,
}


@pytest.mark.parametrize("name", ["laplace", "mandelbrot", "montecarlo-pi"])
def test_a_run_has_the_bits_of_mpirun(session, mpirun, tmp_path, name):
    config = SMALL / f"{name}.yaml"
    found = session.run(config)
    done = mpirun(3, "run", config, "-o", tmp_path / "r")
    assert done.returncode == 0, done.stderr
    assert isinstance(found, xarray.Dataset)
    mine = os.path.dirname(found.encoding["source"])
    assert compare_results(mine, str(tmp_path / "r"), None).equal
    found.close()
    # for the report, as other runs leave one
    trace = read_trace(mine)
    assert trace.ranks == 2
    assert (trace.seconds[:, PHASES.index("compute")] > 0).all()
    assert trace.seconds.sum(axis=1).max() < 600


def test_runs_have_directories_of_their_own(session):
    config = {"workload": "series", "parameters": {"name": "kempner", "terms": 5000}}
    first, second = session.run(config), session.run(config, terms=6000)
    assert first.encoding["source"].endswith("results/series-1/result.nc")
    assert second.encoding["source"].endswith("results/series-2/result.nc")
    # denominators without a 9, by counting them
    expected = sum(1 / k for k in range(1, 5001) if "9" not in str(k))
    assert float(first["value"]) == pytest.approx(expected, rel=1e-14)
    assert float(second["value"]) > float(first["value"])
    for dataset in (first, second):
        dataset.close()


def test_engines_are_ranks_in_the_folder_of_the_notebook(session):
    def who(comm, block):
        return comm.rank, comm.size, os.getcwd()

    assert session.map(who) == [(0, 2, os.getcwd()), (1, 2, os.getcwd())]


def test_functions_get_blocks_and_talk(session):
    data = np.arange(101.0)

    def total(comm, block):
        return comm.allreduce(float(data[block].sum()))

    assert session.map(total, session.blocks(data.shape)) == [5050.0, 5050.0]


def test_blocks_cover_an_array_without_overlap(session):
    count = np.zeros((7, 5), int)
    for block in session.blocks((7, 5)):
        count[block] += 1
    assert (count == 1).all()


def test_there_must_be_a_block_for_each_engine(session):
    with pytest.raises(ConfigError, match=r"blocks: must be 2, .* got 3"):
        session.map(reduce, [1, 2, 3])


def test_an_error_on_all_engines_leaves_the_session_usable(session):
    with pytest.raises(EngineError) as caught:
        session.map(lambda comm, block: 1 / 0)
    assert "rank 0 of 2 on " in str(caught.value)
    assert "ZeroDivisionError: division by zero" in str(caught.value)
    assert session.map(lambda comm, block: comm.allreduce(1, operator.add)) == [2, 2]


def test_a_faulty_configuration_is_told_as_on_the_command_line(session):
    Path("series.yaml").write_text(
        "workload: series\nparameters: {name: kempner, terms: -5}\n"
    )
    with pytest.raises(ConfigError, match=r"series.yaml:2: parameters.terms: must be"):
        session.run("series.yaml")


def test_progress_grows_while_the_engines_work_and_cancel_leaves_a_checkpoint(session):
    running = session.submit(SMALL / "laplace.yaml", **LONG)
    seen = []
    until = time.monotonic() + 60
    while len(seen) < 3 and time.monotonic() < until:
        progress = running.progress
        if progress.points and progress.fraction not in [p.fraction for p in seen]:
            seen.append(progress)
        time.sleep(0.05)
    assert [p.fraction for p in seen] == sorted(p.fraction for p in seen)
    assert len(seen) == 3
    assert seen[-1].state == "running"
    assert seen[-1].watched == "residual"
    assert len(seen[-1].points) > len(seen[0].points)
    # the residual of a relaxation falls
    assert seen[-1].points[-1][1] < seen[0].points[0][1]
    assert not running.done
    running.cancel()
    with pytest.raises(Stopped, match=r"stopped \(interrupt\).*go on with: s.resume\("):
        running.result(timeout=60)
    assert running.progress.state == "stopped"


def test_a_wait_has_a_deadline(session):
    running = session.submit(SMALL / "laplace.yaml", **LONG)
    with pytest.raises(TimeoutError, match=r"has not ended within 0.2 s"):
        running.result(timeout=0.2)
    running.cancel()
    with pytest.raises(Stopped):
        running.result(timeout=60)


def test_a_function_has_a_deadline(session):
    with pytest.raises(TimeoutError, match=r"has not returned within 0.5 s"):
        session.map(lambda comm, block: time.sleep(60), timeout=0.5)
    assert session.map(lambda comm, block: block, [1, 2]) == [1, 2]


def listening(pids):
    """Return the addresses on which processes listen."""
    return {
        connection.laddr
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_connections_are_private_and_on_the_loopback_address(session):
    folder = Path(session._engines.close.__self__.folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    cluster = session._engines.close.__self__.cluster
    engines = [engine.pid for engine in session._engines.known.values()]
    children = psutil.Process(cluster.controller.pid).children(recursive=True)
    # the control port of mpirun is its own affair; engines have it open too
    theirs = listening([cluster.engine_set.pid])
    found = listening([cluster.controller.pid, *(c.pid for c in children), *engines])
    assert {address.ip for address in found - theirs} == {"127.0.0.1"}


def test_a_client_that_exists_can_be_used(session, start_session):
    other = start_session(client=session.client)
    assert other.n == 2
    assert other.map(lambda comm, block: comm.rank) == [0, 1]
    other.close()
    assert session.map(lambda comm, block: comm.rank) == [0, 1]


def test_what_cannot_be_asked_of_a_session(session):
    with pytest.raises(LaunchError, match=r"n must be >= 1, got 0"):
        hpcapp.Session(n=0)
    with pytest.raises(LaunchError, match="give a profile or a client, not both"):
        hpcapp.Session(profile="default", client=session.client)
    with pytest.raises(LaunchError, match="profile nobodys: no cluster to connect to"):
        hpcapp.Session(profile="nobodys", timeout=1)
    with pytest.raises(LaunchError, match=r"2 of 5 engines have come within 0.2 s"):
        hpcapp.Session(n=5, client=session.client, timeout=0.2)


def test_a_closed_session_says_so(start_session, session):
    other = start_session(client=session.client)
    other.close()
    with pytest.raises(LaunchError, match="session: closed"):
        other.map(print)
    assert repr(other) == "<hpcapp.Session: closed>"
    assert repr(session) == "<hpcapp.Session: 2 MPI engines>"
