# SPDX-License-Identifier: MIT
"""Laws of Laplace's equation on a GPU that need neither a GPU nor the simulator."""

import importlib

import pytest

from hpcapp.config import Run
from hpcapp.workloads.laplace import Laplace


def test_all_methods_have_kernels_for_a_gpu():
    def reason(method):
        parameters = Laplace.Parameters(method=method)
        return Laplace(parameters, Run()).without_gpu()

    methods = ("jacobi", "sor", "multigrid", "cg")
    assert {reason(method) for method in methods} == {""}


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
