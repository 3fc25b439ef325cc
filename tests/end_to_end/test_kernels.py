# SPDX-License-Identifier: MIT
"""Kernels are compiled before the clock starts, and once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted(
    [*(ROOT / "configs/small").glob("*.yaml"), *(ROOT / "tests/own").glob("*.yaml")]
)

# Runs each configuration in a process of its own, forked where the libraries are
# imported, and lists what was compiled or loaded after the warm-up.
SCRIPT = """
import json, os, sys
sys.path.insert(0, {contract!r})
from numba.core.dispatcher import Dispatcher
from hpcapp import driver

def kernels():
    found = set()
    for module in list(sys.modules.values()):
        for name, value in list(vars(module).items()) if module else ():
            if isinstance(value, Dispatcher) and value.__module__.startswith("hpcapp"):
                found |= {{(value.__module__, name, str(s)) for s in value.signatures}}
    return found

turn = driver._Run._crank
before = []
def crank(self, context):
    before.append(kernels())
    return turn(self, context)

def check(config, target):
    from mpi4py import MPI
    from harness import run
    from hpcapp.mpi.comm import Comm
    run(Comm(MPI.COMM_SELF), config, target, ("run.threads=2",))
    assert before[0], "the warm-up loaded no kernel"
    print(json.dumps([config, sorted(kernels() - before[0])]), flush=True)

driver._Run._crank = crank
for number, config in enumerate(sys.argv[2:]):
    child = os.fork()
    if not child:
        check(config, os.path.join(sys.argv[1], str(number)))
        sys.exit()
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def late_kernels(tmp_path_factory):
    """Return by configuration what its run compiled or loaded after the warm-up."""
    script = SCRIPT.format(contract=str(ROOT / "tests" / "contract"))
    folder = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        [sys.executable, "-c", script, folder, *CONFIGS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines()), done.stderr


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_no_kernel_is_compiled_after_the_warm_up(late_kernels, config):
    found, errors = late_kernels
    assert found.get(str(config)) == [], errors


@pytest.mark.slow
def test_cold_caches_of_two_jobs_at_once_do_not_get_mixed_up(mpirun, tmp_path):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    environ["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    jobs = []
    for number, name in enumerate(("laplace", "laplace-jacobi", "laplace")):
        target = str(tmp_path / str(number))
        options = ["-o", target, "--json", "--set", f"run.threads={number + 1}"]
        command = mpirun.command(2, "run", f"configs/small/{name}.yaml", *options)
        jobs.append(
            subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE)
        )
    sums = [json.loads(job.communicate(timeout=120)[0])["checksum"] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert sums[0] == sums[2]
    # with what they have left in the cache
    for name, checksum in (("laplace", sums[0]), ("laplace-jacobi", sums[1])):
        config, target = f"configs/small/{name}.yaml", str(tmp_path / name)
        done = mpirun(2, "run", config, "-o", target, "--json", **environ)
        found = json.loads(done.stdout)
        assert found["checksum"] == checksum
        assert found["phases"]["compile"]["max"] < 20


def test_cache_that_cannot_be_written_to_ends_the_run_before_a_file_is_made(
    mpirun, tmp_path
):
    target, cache = tmp_path / "r", "/dev/null/x"
    options = ["run", "configs/small/laplace.yaml", "-o", str(target)]
    done = mpirun(2, *options, NUMBA_CACHE_DIR=cache)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("hpcapp: rank 0 on ")
    assert ": NUMBA_CACHE_DIR: must be a folder where compiled kernels can" in line
    assert f" be kept, got {cache}: Not a directory; correct it, or unset it" in line
    assert not target.exists()
