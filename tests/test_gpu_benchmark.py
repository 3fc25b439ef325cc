# SPDX-License-Identifier: MIT
"""Parts of the benchmark of GPUs, without a GPU."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

# what benchmarks import begins with the folder of tests
sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.benchmarks.gpu.laplace import OMEGA, Mode
from tests.benchmarks.gpu.peers import ESCAPE, CupyArrays, count_escapes, sweep_redblack
from tests.benchmarks.gpu.rungs import TINY, Place, Rung, Task, take_turns
from tests.benchmarks.report import Statement
from tests.benchmarks.rungs import sweep_jacobi_slices

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("n", [12, 113, 450])
def test_sweeps_multiply_a_wave_by_a_known_number(n):
    mode = Mode(n)
    u = mode.start()
    new = u.copy()
    for _ in range(10):
        sweep_jacobi_slices(u, new)
        u, new = new, u
    mode.jacobi(10)
    assert mode.check("x", lambda j: u[j]).holds
    # a sweep less, or a point that is a little off, is noticed
    assert not mode.check("x", lambda j: new[j]).holds
    u[:, n // 2] += 1e-10
    assert not mode.check("x", lambda j: u[j]).holds


@pytest.mark.parametrize("n", [13, 112])
def test_sweeps_of_two_colours_do_too(n):
    mode = Mode(n)
    u = mode.start()
    for _ in range(6):
        sweep_redblack(u, OMEGA)
    mode.redblack(6)
    assert mode.check("x", lambda j: u[j]).holds
    sweep_redblack(u, OMEGA)
    assert not mode.check("x", lambda j: u[j]).holds


def test_slices_of_two_colours_are_the_loops_of_a_course():
    from tests.benchmarks.rungs import sweep_redblack_loops

    u = np.random.default_rng(1).standard_normal((9, 12))
    other = u.copy()
    for _ in range(3):
        sweep_redblack(u, 1.5)
        sweep_redblack_loops(other, 1.5)
    np.testing.assert_allclose(u, other, rtol=0, atol=1e-14)


def test_arrays_count_what_the_definition_counts():
    def escape(c):
        z = 0j
        for n in range(50):
            if abs(z) > 2:
                return n
            z = z * z + c
        return 50

    re, im = np.linspace(-2.1, 0.6, 9), np.linspace(-1.3, 1.3, 7)
    cr, ci = (np.ascontiguousarray(a) for a in np.meshgrid(re, im))
    with np.errstate(over="ignore", invalid="ignore"):
        found = count_escapes(CupyArrays(np), cr, ci, 50)
    assert found.tolist() == [[escape(complex(x, y)) for x in re] for y in im]


class Nowhere:
    """A device that has nothing to wait for."""

    simulated = True

    def synchronise(self):
        """Do nothing."""


def rungs(optional):
    def fail():
        raise OSError("no such kernel\nand more")

    fine = Statement("fine", True)
    return [
        Rung("good", "1", 1.0, lambda: None, lambda: fine),
        Rung("bad", "1", 1.0, fail, lambda: fine, optional=optional),
    ]


def test_a_library_that_fails_is_said_to_fail_and_the_others_go_on():
    place = Place(Nowhere(), TINY)
    found = take_turns(place, Task("x", "G/s", rungs(optional=True)))
    assert found["bad"].failure == "OSError: no such kernel"
    assert len(found["good"].seconds) == TINY.repeats
    assert found["good"].statement() == Statement("fine", True)


def test_a_rung_of_ours_that_fails_ends_the_benchmark():
    with pytest.raises(OSError, match="no such kernel"):
        take_turns(Place(Nowhere(), TINY), Task("x", "G/s", rungs(optional=False)))


def test_one_wrong_answer_of_many_is_told():
    answers = [Statement("wrong", False), Statement("fine", True)]
    rung = Rung("x", "1", 1.0, lambda: None, lambda: answers.pop(0))
    found = take_turns(Place(Nowhere(), TINY), Task("x", "G/s", [rung]))
    assert found["x"].statement() == Statement("wrong", False)


def test_without_a_gpu_the_command_says_so():
    numba_cuda = pytest.importorskip("numba.cuda")
    if numba_cuda.is_available():
        pytest.skip("here is a GPU")
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "gpu"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2, done.stderr
    assert "gpu: cannot be measured here: " in done.stderr
    assert "NUMBA_ENABLE_CUDASIM=1 checks the answers without one" in done.stderr


# --- machine code

needs_cuda = pytest.mark.skipif(
    not any(Path(p, "numba_cuda").is_dir() for p in sys.path),
    reason="numba-cuda is not installed",
)


@needs_cuda
def test_kernels_of_courses_compile(monkeypatch):
    from numba import types
    from numba.cuda import dispatcher
    from numba.cuda.random import xoroshiro128p_type
    from ptx import compile_ptx

    from tests.benchmarks.gpu import course_cuda_kernels as kernels

    for name, signature in kernels.SIGNATURES.items():
        text = compile_ptx(getattr(kernels, name), signature)
        assert ".visible .entry" in text
    # functions of Numba's generator ask the driver for the kind of GPU
    gpu = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: gpu)
    states = types.Array(xoroshiro128p_type, 1, "C")
    for name, kind in (
        ("count_course", types.int64),
        ("integrate_course", types.float64),
        ("walk_course", types.int64),
    ):
        signature = types.void(types.Array(kind, 1, "C"), states, types.int64)
        assert ".visible .entry" in compile_ptx(getattr(kernels, name), signature)


@needs_cuda
def test_limit_issues_the_operations_that_it_counts():
    from ptx import compile_ptx, contractions

    from tests.benchmarks.gpu import course_cuda_kernels as kernels

    text = compile_ptx(kernels.issue_doubles, kernels.SIGNATURES["issue_doubles"])
    # four of the starting values and the sum are plain: fused or not does not matter
    assert not any(line.startswith("fma") for line in contractions(text))
    added, multiplied = text.count("add.rn.f64"), text.count("mul.rn.f64")
    # as often as the compiler has unrolled the loop; 7 more add up the result
    assert multiplied % (kernels.ISSUED // 2) == 0
    assert multiplied >= kernels.ISSUED // 2
    assert added == multiplied + 7


@needs_cuda
def test_an_iteration_takes_as_many_operations_as_the_benchmark_counts():
    from ptx import compile_ptx

    from hpcapp.workloads.mandelbrot import cuda_kernels
    from tests.benchmarks.gpu.mandelbrot import PER_ITERATION

    name = "follow_cuda"
    text = compile_ptx(getattr(cuda_kernels, name), cuda_kernels.SIGNATURES[name])
    operation = re.compile(r"^\s*(?:add|mul|setp)\S*\.f64", re.MULTILINE)
    # of the pieces between labels the bout of 16 iterations is the largest; a change of
    # sign is part of the operation that follows
    pieces = [len(operation.findall(piece)) for piece in re.split(r"\n\$L\S+:", text)]
    assert max(pieces) == 16 * PER_ITERATION


@needs_cuda
def test_kernel_of_elements_compiles_and_is_not_fused():
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")
    source = (
        'extern "C" __global__ void escape(const double* re, const double* im, '
        "int most, int* counts) { const double cr = *re, ci = *im; int count; "
        f"{ESCAPE} *counts = count; }}"
    ).encode()
    error, program = nvrtc.nvrtcCreateProgram(source, b"x.cu", 0, [], [])
    options = [b"--fmad=false", b"--gpu-architecture=compute_90"]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    assert error == nvrtc.nvrtcResult.NVRTC_SUCCESS
    _, size = nvrtc.nvrtcGetPTXSize(program)
    text = bytearray(size)
    nvrtc.nvrtcGetPTX(program, text)
    assert b"fma.rn.f64" not in text
    assert b"mul.rn.f64" in text or b"mul.f64" in text
