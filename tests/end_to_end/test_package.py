# SPDX-License-Identifier: MIT
"""The built wheel works in an empty environment, away from the checkout."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = [pytest.mark.medium, pytest.mark.timeout(600)]


def call(*command, cwd):
    """Run a command with a clean environment; fail with its output."""
    environ = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, (
        f"{command}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return the bin folder of an empty environment with the wheel and MPI in it."""
    folder = tmp_path_factory.mktemp("package")
    call(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        folder,
        ROOT,
        cwd=folder,
    )
    wheel = next(folder.glob("hpcapp-*.whl"))
    venv.create(folder / "env", with_pip=True)
    bin_folder = folder / "env" / "bin"
    # used four times: byte code of all that is unpacked would take longer
    options = ["-q", "--no-compile", "-c", ROOT / "constraints.txt"]
    call(bin_folder / "pip", "install", *options, f"{wheel}[mpich]", cwd=folder)
    return bin_folder


def test_init_plan_run_plot_from_the_wheel_alone(installed, tmp_path):
    hpcapp = installed / "hpcapp"
    call(hpcapp, "init", "laplace", cwd=tmp_path)
    first = (tmp_path / "laplace.yaml").read_text().splitlines()[0]
    schema = first.partition("$schema=")[2]
    assert Path(schema).is_relative_to(installed.parent)
    assert Path(schema).exists()
    assert "process grid" in call(
        hpcapp, "plan", "laplace.yaml", "-n", "4", cwd=tmp_path
    )
    mpirun = installed / "mpirun"
    out = call(mpirun, "-np", "2", hpcapp, "run", "laplace.yaml", cwd=tmp_path)
    assert out.startswith("laplace: relative residual")
    assert (tmp_path / "results" / "laplace" / "result.nc").exists()
    call(hpcapp, "plot", "results/laplace", cwd=tmp_path)
    assert call(hpcapp, "--version", cwd=tmp_path).startswith("hpcapp 0.")


def test_nothing_of_the_checkout_but_the_package_is_in_the_wheel(installed):
    site = next((installed.parent / "lib").glob("python3*/site-packages"))
    assert (site / "hpcapp" / "starters" / "laplace.yaml").exists()
    assert (site / "hpcapp" / "py.typed").exists()
    assert (site / "hpcapp" / "slurm" / "sites" / "lumi.yaml").exists()
    assert not (site / "tests").exists()
