# SPDX-License-Identifier: MIT
"""The oldest versions that pyproject.toml allows work, with results that agree."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).parent.parent.parent
LOWEST = ROOT / "launch" / "constraints-lowest.txt"
NAMES = [
    "laplace",
    "mandelbrot",
    "montecarlo-walk",
    "series-kempner",
    "words",
    "climate",
]


@pytest.fixture(scope="module")
def lowest(tmp_path_factory):
    """Return the bin folder of an environment of the lowest versions."""
    if sys.version_info >= (3, 12):
        pytest.skip("the lowest versions have wheels for Python 3.11 alone")
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here, which mpi4py 3.1.4 needs (Debian: gcc)")
    folder = tmp_path_factory.mktemp("lowest")
    venv.create(folder, with_pip=True)
    # from its sources, with the MPI of the environment and setuptools of its age
    install(folder, "mpich", "wheel")
    # a wheel kept from another environment looks for MPI there
    own = ["--no-cache-dir", "--no-build-isolation", "--no-binary", "mpi4py"]
    own += ["-c", LOWEST, "mpi4py"]
    tools = {"MPICC": str(folder / "bin" / "mpicc"), "CFLAGS": "-O0"}
    install(folder, *own, **tools)
    install(folder, "-c", LOWEST, f"{ROOT}[mpich]")
    return folder / "bin"


def install(folder, *words, **environ):
    """Install into an environment."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        [folder / "bin" / "pip", "install", "-q", "--no-compile", *words],
        env={**os.environ, "PATH": path, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_constraints_are_the_lower_bounds_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pairs = [re.match(r"([\w.]+)>=([\w.]+)", text) for text in project["dependencies"]]
    bounds = {pair[1].lower(): pair[2] for pair in pairs}
    pinned = dict(
        line.lower().split("==")
        for line in LOWEST.read_text().splitlines()
        if "==" in line
    )
    # netCDF4 is older where Debian's library wants it
    for name in set(bounds) - {"netcdf4"}:
        assert (pinned[name] + ".0").startswith(bounds[name] + "."), name


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_with_the_lowest_versions_has_the_same_data(
    lowest, mpirun, hpcapp, tmp_path, name
):
    config = str(ROOT / "configs" / "small" / f"{name}.yaml")
    environ = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    # kernels of other versions of Numba are none of ours
    environ["NUMBA_CACHE_DIR"] = str(lowest.parent / "cache")
    environ["PYTHONPATH"] = ""
    command = [lowest / "mpirun", "-np", "2", lowest / "python", "-m", "hpcapp"]
    done = subprocess.run(
        [*command, "run", config, "-q", "-o", str(tmp_path / "old")],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "old" / "result.nc") as result:
        assert json.loads(result.attrs["hpcapp_versions"])["mpi4py"] == "3.1.4"
    done = mpirun(2, "run", config, "-q", "-o", str(tmp_path / "new"), timeout=300)
    assert done.returncode == 0, done.stderr
    # other versions of LLVM: exponents that are found by iteration differ by 8e-12
    same = hpcapp("compare", "--tolerance", "1e-10", tmp_path / "old", tmp_path / "new")
    assert same.returncode == 0, same.stdout
