# SPDX-License-Identifier: MIT
"""Shared by all tests: where things are, and how a test of several ranks ends."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpcapp.device import kernel_state

ROOT = Path(__file__).parent.parent
MPI_FOLDERS = ("mpi", "contract", "simulated")

# compiled kernels are shared by all tests and processes of one machine
os.environ.setdefault(
    "NUMBA_CACHE_DIR",
    str(Path(tempfile.gettempdir(), f"hpcapp-tests-{os.getuid()}-{kernel_state()}")),
)
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_ignore_collect(collection_path, config):
    """Leave tests of several ranks to the runs that `test_ranks.py` starts."""
    inside = any(
        part in MPI_FOLDERS for part in collection_path.relative_to(ROOT).parts
    )
    if inside and not config.getoption("--with-mpi"):
        return True
    return None


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, for workers to end at about the same time."""
    items.sort(key=lambda item: item.path.name != "test_ranks.py")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Let rank 0 report for all; let interrupts come where a shell ignores them."""
    # a job in the background of a script inherits that, and so would all that it starts
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    ranks = [os.environ.get(f"{name}_RANK", "0") for name in ("PMI", "OMPI_COMM_WORLD")]
    if config.getoption("--with-mpi") and ranks != ["0", "0"]:
        reporter = config.pluginmanager.getplugin("terminalreporter")
        reporter._tw._file = open(os.devnull, "w")  # noqa: SIM115


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    """End the job at the first failure of any rank: the others wait for it forever."""
    mpi = sys.modules.get("mpi4py.MPI")
    if report.failed and mpi and mpi.COMM_WORLD.size > 1:
        rank = mpi.COMM_WORLD.rank
        text = f"\nrank {rank}: {report.nodeid}\n{report.longreprtext}"
        print(text, file=sys.__stderr__, flush=True)
        mpi.COMM_WORLD.Abort(1)


@pytest.fixture(scope="session")
def root():
    """Return the top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def share_folder():
    """Return a context manager of an empty folder that all ranks share."""

    @contextmanager
    def share(comm):
        path = tempfile.mkdtemp(prefix="hpcapp-") if comm.root else ""
        path = Path(comm.broadcast(path))
        yield path
        comm.barrier()
        if comm.root:
            shutil.rmtree(path)

    return share


class Launcher:
    """Starts hpcapp as a user does."""

    def __init__(self, mpirun):
        self.mpirun = str(mpirun)

    def command(self, ranks, *arguments):
        """Return the command line of a run on some ranks."""
        return [
            self.mpirun,
            "-np",
            str(ranks),
            sys.executable,
            "-m",
            "hpcapp",
            *arguments,
        ]

    def environ(self):
        """Return the environment of a run."""
        return {**os.environ, "PYTHONPATH": str(ROOT)}

    def __call__(self, ranks, *arguments, timeout=120, cwd=ROOT, **environ):
        """Run and return the finished process."""
        return subprocess.run(
            self.command(ranks, *arguments),
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


@pytest.fixture(scope="session")
def mpirun():
    """Return a launcher with the mpirun of this environment."""
    path = Path(sys.executable).with_name("mpirun")
    if not path.exists():
        pytest.skip("no mpirun beside this Python: install the extra mpich")
    return Launcher(path)


@pytest.fixture(scope="session")
def hpcapp():
    """Return a function that runs a command without a launcher."""

    def run(*arguments, cwd=ROOT, timeout=120):
        return subprocess.run(
            [sys.executable, "-m", "hpcapp", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
