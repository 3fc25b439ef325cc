# SPDX-License-Identifier: MIT
"""Laws of the machine code of CUDA kernels, which is made without a GPU."""

import importlib
from functools import cache

import pytest

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed (hpcapp[cuda])")
pytest.importorskip("cuda.bindings", reason="no CUDA bindings (hpcapp[cuda])")

from ptx import (
    CAPABILITIES,
    compile_ptx,
    contractions,
    cuda_modules,
    declared,
    defined,
    local_bytes,
)

KERNELS = {
    f"{module}.{kernel}": (module, kernel, types)
    for module, kernel, types in declared()
}

# kernels that call functions of the CUDA library, whose own code fuses as it should
LIBRARY = {"evaluate_cuda"}

# kernels with arrays of a thread of their own, and the bytes: of sin and cos of the
# library for huge arguments
LOCAL = {"evaluate_cuda": 40}


@cache
def ptx(name, capability):
    module, kernel, signature = KERNELS[name]
    return compile_ptx(
        getattr(importlib.import_module(module), kernel), signature, capability
    )


@pytest.mark.parametrize("name", list(cuda_modules()))
def test_every_kernel_declares_the_types_of_its_arguments(name):
    assert set(importlib.import_module(name).SIGNATURES) == defined(name)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_no_operation_is_fused_and_none_may_be(name, capability):
    text = ptx(name, capability)
    assert ".visible .entry" in text
    if name.rpartition(".")[2] not in LIBRARY:
        assert contractions(text) == []


@pytest.mark.parametrize("name", KERNELS)
def test_kernel_has_no_memory_of_a_thread_that_is_not_known(name):
    assert local_bytes(ptx(name, (9, 0))) == LOCAL.get(name.rpartition(".")[2], 0)


def test_plain_operators_would_be_fused_and_ours_are_not():
    from hpcapp.gpu.kernels import add, kernel, mul, sub

    @kernel
    def plain(x):
        x[0] = x[0] * x[1] + x[2]

    @kernel
    def exact(x):
        x[0] = sub(add(mul(x[0], x[1]), x[2]), x[0])

    signature = "void(float64[::1])"
    found = contractions(compile_ptx(plain, signature))
    assert any(line.startswith("fma.rn.f64") for line in found)
    text = compile_ptx(exact, signature)
    assert contractions(text) == []
    assert text.count("add.rn.f64") == 2
    assert text.count("mul.rn.f64") == 1


def test_faults_are_found():
    lines = ["add.f64 %a, %b, %c;", "fma.rn.f64 %a", "mul.f32 %a", "sub.ftz.f32 %a"]
    assert contractions("\n".join(lines)) == lines
    fine = "add.rn.f64\nmul.rn.f64\nadd.s64\nmul.lo.s64\nmad.lo.s32\ndiv.rn.f64"
    assert contractions(fine) == []
    depot = "\t.local .align 16 .b8 \t__local_depot0[4096];"
    assert local_bytes(depot) == 4096
