# SPDX-License-Identifier: MIT
"""Starts the tests of several ranks, each run under a hard time-out."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# what tests of several ranks call outside a run, which compiles on one rank first
KERNELS = """
import numpy as np
from hpcapp import reduction
from hpcapp.fields import Field
from hpcapp.store.save import warm_up

reduction.add(reduction.zeros(), np.zeros(4))
for dtype in ("float64", "int64", "int32", "int8"):
    warm_up([Field("f", ("y", "x"), "1", "f", dtype, distributed=True)])
"""


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """Compile before many ranks would do it at once."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", KERNELS], cwd=ROOT, env=environ, check=True)


def run_tests(launcher, python, ranks, paths, timeout, environ=None, more=()):
    """Run tests on some ranks; fail with their output."""
    command = [str(launcher), "-np", str(ranks), str(python), "-m", "pytest"]
    options = ["--with-mpi", "-q", "-x", "-rs", "-p", "no:cacheprovider"]
    options += ["-p", "no:hypothesispytest", "-p", "no:xdist"]
    # signals do not reach a rank that waits inside MPI: a thread must watch
    options += ["--timeout", str(timeout - 10), "--timeout-method", "thread"]
    try:
        done = subprocess.run(
            [*command, *options, *more, *(f"tests/{path}" for path in paths)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        tail = (error.stdout or b"").decode(errors="replace")[-3000:]
        pytest.fail(f"{ranks} ranks of {paths} hang: {tail}")
    output = done.stdout[-6000:] + done.stderr[-6000:]
    assert done.returncode == 0, output
    # a run in which nothing ran must not count as a success
    assert " passed" in done.stdout, output


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_mpi(mpirun, ranks):
    run_tests(mpirun.mpirun, sys.executable, ranks, ["mpi"], 280)


@pytest.mark.timeout(1000)
@pytest.mark.parametrize(
    "ranks, tests",
    [(16, "test_contract.py"), (7, "test_laplace_layouts.py"), (3, "test_damage.py")],
)
def test_contract(mpirun, ranks, tests):
    run_tests(mpirun.mpirun, sys.executable, ranks, [f"contract/{tests}"], 900)


@pytest.mark.medium
@pytest.mark.parametrize(
    "tests", ["mpi", pytest.param("contract", marks=pytest.mark.slow)]
)
def test_with_open_mpi(tests):
    folder = os.environ.get("HPCAPP_TEST_OPENMPI", "")
    if not folder:
        pytest.skip("no second environment: HPCAPP_TEST_OPENMPI is not set")
    bin_folder = Path(folder, "bin")
    run_tests(
        bin_folder / "mpirun",
        bin_folder / "python",
        3,
        [tests],
        240,
        open_mpi_environ(),
    )


@pytest.fixture(scope="module")
def parallel_folder():
    """Return the environment with parallel HDF5 and NetCDF."""
    folder = os.environ.get("HPCAPP_TEST_PARALLEL", "")
    if not folder:
        pytest.skip(
            "no environment with parallel HDF5 and NetCDF: HPCAPP_TEST_PARALLEL is not "
            "set (launch/parallel-io makes one)"
        )
    # the first time its wheels may still be under way
    until = time.monotonic() + 900
    while Path(f"{folder}.lock").exists() and time.monotonic() < until:
        time.sleep(1)
    if not Path(folder, "hpcapp-stamp").exists():
        pytest.fail("launch/parallel-io has not made the environment")
    return Path(folder, "bin")


@pytest.mark.medium
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("ranks", "tests", "select"),
    [
        (3, ["mpi/test_files.py", "mpi/test_writers.py"], ""),
        (4, ["contract/test_contract.py"], "climate or (writer and laplace)"),
    ],
)
def test_with_parallel_libraries(parallel_folder, ranks, tests, select):
    run_tests(
        parallel_folder / "mpirun",
        parallel_folder / "python",
        ranks,
        tests,
        240,
        open_mpi_environ(),
        ["-k", select] if select else [],
    )


@pytest.mark.medium
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("writer", ["hdf5", "netcdf"])
def test_a_writer_that_fails_on_one_rank_ends_the_job(
    parallel_folder, tmp_path, writer
):
    mpirun, python = parallel_folder / "mpirun", parallel_folder / "python"
    script = ROOT / "tests" / "own" / "failing_writer.py"
    config = ROOT / "configs" / "small" / "laplace.yaml"
    command = [mpirun, "-np", "3", python, script, "run", config]
    options = ["-o", tmp_path / "run", "--set", f"output.writer={writer}"]
    done = subprocess.run(
        [*command, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **open_mpi_environ()},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1, done.stderr
    assert "rank 1 on" in done.stderr
    assert "result.nc: cannot be written: no space left" in done.stderr
    assert not (tmp_path / "run" / "result.nc").exists()


def open_mpi_environ():
    """Return what Open MPI needs as root and with more ranks than cores."""
    return {
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    }
