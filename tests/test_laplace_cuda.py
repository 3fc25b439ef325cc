# SPDX-License-Identifier: MIT
"""Laws of Laplace's equation on a GPU that need neither a GPU nor the simulator."""

import importlib

import pytest

from hpcapp.config import Run
from hpcapp.workloads.laplace import Laplace


def test_all_methods_have_kernels_for_a_gpu():
    def reason(**parameters):
        return Laplace(Laplace.Parameters(**parameters), Run()).without_gpu()

    methods = ("jacobi", "sor", "multigrid", "cg")
    assert {reason(method=method) for method in methods} == {""}
    assert reason(method="sor", precision="single") == ""


def single(module, name):
    """Return the machine code of a kernel for arrays of float32."""
    from ptx import compile_ptx

    kernels = importlib.import_module(f"hpcapp.{module}cuda_kernels")
    types = kernels.SIGNATURES[name]
    # weights and factors too, but not the numbers of a residual
    wide = "float64[:" if name == "residual_gpu" else "float64"
    types = types.replace(wide, wide.replace("64", "32"))
    return compile_ptx(getattr(kernels, name), types)


@pytest.mark.parametrize("name", ["relax_jacobi_gpu", "relax_redblack_gpu"])
def test_sweeps_of_single_precision_round_each_operation_to_it(name):
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from ptx import contractions, local_bytes

    text = single("workloads.laplace.", name)
    assert contractions(text) == []
    assert local_bytes(text) == 0
    assert "add.rn.f32" in text and "mul.rn.f32" in text
    assert ".rn.f64" not in text


def test_residuals_of_single_precision_are_computed_in_double():
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    from ptx import contractions

    text = single("workloads.laplace.norm_", "residual_gpu")
    assert contractions(text) == []
    assert "cvt.f64.f32" in text and ".rn.f32" not in text
    assert "cvt.f64" not in single("gpu.copy_", "copy_rows_gpu")


MODULES = ("cuda", "cycle_cuda", "lift_cuda", "norm_cuda", "tile_cuda", "vector_cuda")


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_kernels_keep_in_registers_what_they_compute_with(module):
    pytest.importorskip("numba_cuda", reason="numba-cuda is not installed")
    linker = pytest.importorskip("cuda.bindings.nvjitlink", reason="no nvJitLink")
    from ptx import compile_ptx

    kernels = importlib.import_module(f"hpcapp.workloads.laplace.{module}_kernels")
    for name, types in kernels.SIGNATURES.items():
        text = compile_ptx(getattr(kernels, name), types).encode()
        handle = linker.create(2, ["-arch=sm_90", "-verbose"])
        linker.add_data(handle, linker.InputType.PTX, text, len(text), name)
        linker.complete(handle)
        log = bytearray(linker.get_info_log_size(handle))
        linker.get_info_log(handle, log)
        linker.destroy(handle)
        # the assembler's own words
        assert "0 bytes spill stores, 0 bytes spill loads" in log.decode(), name
        assert "0 bytes lmem" in log.decode(), name
