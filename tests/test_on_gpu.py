# SPDX-License-Identifier: MIT
"""What only a GPU can show: whole runs there, its memory, registers of kernels.

``./launch/test --gpu`` runs these tests and nothing else.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_ranks import run_tests

from hpcapp.errors import Exit
from hpcapp.gpu.choice import find_gpu
from hpcapp.problem import read_problem

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1500)]

ROOT = Path(__file__).parent.parent
PLACES = (ROOT / "configs" / "small", Path(__file__).parent / "simulated")
CONFIGS = [
    path
    for place in PLACES
    for path in sorted(place.glob("*.yaml"))
    if not read_problem(str(path), (), {}).workload.without_gpu()
]

# with functions of the CUDA library, whose last places are its own (docs/gpu.md)
ROUNDED = {"montecarlo-integral.yaml": "1e-12"}

# tests of the simulator that a GPU can pass too
BOTH = ("same_bits", "values", "laplace_sweeps", "laplace_cycles", "words")


@pytest.fixture(scope="module", autouse=True)
def gpu():
    """Return the GPU; skip where there is none."""
    if importlib.util.find_spec("numba_cuda") is None:
        pytest.skip("numba-cuda is not installed (hpcapp[cuda])")
    found = find_gpu()
    if found.fault:
        pytest.skip(found.fault)
    return found


@pytest.fixture(scope="module")
def straight(mpirun, tmp_path_factory):
    """Return a function that runs a configuration on the CPU, once."""
    folder, done = tmp_path_factory.mktemp("cpu"), {}

    def run(config):
        if config not in done:
            target = str(folder / f"{config.parent.name}-{config.stem}")
            ended = mpirun(1, "run", str(config), "-o", target)
            assert ended.returncode == 0, ended.stderr
            done[config] = target
        return done[config]

    return run


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_run_on_a_gpu_has_the_result_of_the_cpu(
    mpirun, hpcapp, straight, tmp_path, config, ranks
):
    target = str(tmp_path / "gpu")
    settings = ("--set", "run.device=cuda")
    done = mpirun(ranks, "run", str(config), "-o", target, *settings, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "device cuda (" in done.stderr
    # Numba warns of what it takes for slow, such as arrays that it must copy
    assert "Warning" not in done.stderr
    known = PLACES[0] / config.name == config
    tolerance = ROUNDED.get(config.name) if known else None
    rule = ("--tolerance", tolerance) if tolerance else ()
    compared = hpcapp("compare", straight(config), target, *rule)
    assert compared.returncode == 0, compared.stdout + compared.stderr


@pytest.mark.parametrize("ranks", [1, 2])
def test_what_the_simulator_shows_holds_on_a_gpu(mpirun, ranks):
    environ = {"HPCAPP_TEST_GPU": "1", "NUMBA_ENABLE_CUDASIM": "0"}
    paths = [f"simulated/test_{name}.py" for name in BOTH]
    run_tests(mpirun.mpirun, sys.executable, ranks, paths, 1400, environ)


def run_script(text):
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )


OPEN = """
import subprocess, sys
from hpcapp.gpu.choice import Choice, find_gpu, open_device
device = open_device(1, Choice(cuda=True), (find_gpu(),))
"""


def test_more_than_there_is_of_memory_is_an_error_of_ours():
    text = f"{OPEN}\nfrom hpcapp.gpu.device import GpuError\ntry:\n"
    text += "    device.empty(2**45)\nexcept GpuError as error:\n    print(error)"
    done = run_script(text)
    assert done.returncode == 0, done.stderr
    assert ": out of memory: 268435456.0 MiB asked for, " in done.stdout


FULL = """
hold = device.empty((device.free_memory - 2**29) // 8)
command = [sys.executable, "-m", "hpcapp", "run", "configs/laplace.yaml", "-o", TARGET,
    "--set", "run.device=cuda", "--set", "parameters.shape=[12001, 12001]", "--set",
    "parameters.method=sor", "--set", "run.memory=" + sys.argv[-1]]
done = subprocess.run(command, capture_output=True, text=True)
print(done.returncode, done.stderr)
"""


@pytest.mark.parametrize(
    ("mode", "code", "told"),
    [
        ("check", Exit.USAGE, "run.memory: does not fit into GPU memory: rank 0 has "),
        ("off", Exit.FAILED, ": out of memory: "),
    ],
)
def test_a_run_on_a_gpu_that_is_full_ends_with_what_to_do(tmp_path, mode, code, told):
    target = f"TARGET = {str(tmp_path / 'r')!r}"
    argument = f"sys.argv.append({mode!r})"
    done = run_script(f"{OPEN}\n{target}\n{argument}\n{FULL}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{int(code)} ")
    assert told in done.stdout
    assert "Traceback" not in done.stdout


LAUNCH = """
import numpy as np
from hpcapp.workloads.laplace.engine import open_engine
engine, stencil = open_engine(device), np.array([0.25, 0.25, 0.0, 0.0])
none = engine.array(np.empty((0, 0)))
u, v = (engine.array(np.zeros((64, 64))) for _ in range(2))
for _ in range(3):
    engine.redblack(u, none, stencil, 1.5, 0, [(1, 63, 1, 63)])
    engine.jacobi(u, v, none, stencil, [(1, 63, 1, 63)])
functions = device._launcher.functions
print(len(functions), sum(function is not None for function in functions.values()))
"""


def test_words_of_launches_are_those_that_numba_hands_over():
    done = run_script(OPEN + LAUNCH)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["2", "2"]


REPORT = """
import importlib
sys.path.insert(0, "tests")
from numba import cuda
from ptx import declared
for module, name, types in declared():
    kernel = getattr(importlib.import_module(module), name)
    facts = kernel.compile(types)
    print(name, facts.regs_per_thread, facts.local_mem_per_thread,
        facts.shared_mem_per_block, facts.max_threads_per_block)
"""


def test_registers_and_local_memory_of_all_kernels_are_told(record_property, capsys):
    done = run_script(OPEN + REPORT)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    with capsys.disabled():
        print("\nkernel, registers of a thread, its local bytes, shared bytes, threads")
        print(done.stdout)
    record_property("kernels", done.stdout)
    names = {name for name, *_ in rows}
    assert len(names) == len(rows) > 20
    for name, registers, local, _, threads in rows:
        assert 0 < int(registers) <= 255, name
        # a block of 256 threads must fit
        assert int(threads) >= 256, name
        # the library's sin and cos of huge arguments alone
        assert int(local) <= (40 if name == "evaluate_cuda" else 0), name
