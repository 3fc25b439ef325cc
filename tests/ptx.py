# SPDX-License-Identifier: MIT
"""Compile CUDA kernels to PTX, without a driver, and look at what came out."""

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent

# the oldest and the newest kind of GPU that European machines have in number
CAPABILITIES = ((8, 0), (9, 0))


def cuda_modules():
    """Return the names of all modules with CUDA kernels."""
    for path in sorted((ROOT / "hpcapp").rglob("*cuda_kernels.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def declared():
    """Return module, kernel and signature of all kernels, as modules declare them."""
    for name in cuda_modules():
        module = importlib.import_module(name)
        for kernel, signature in module.SIGNATURES.items():
            yield name, kernel, signature


def defined(name):
    """Return the names of the kernels that are defined in a module."""
    from numba.cuda.dispatcher import CUDADispatcher

    return {
        key
        for key, value in vars(importlib.import_module(name)).items()
        if isinstance(value, CUDADispatcher)
        and value.py_func.__module__ == name
        and not value.targetoptions.get("device")
    }


def compile_ptx(kernel, signature, capability=(9, 0)):
    """Return the PTX of a kernel for arguments of the types of a signature."""
    from numba import cuda

    text, _ = cuda.compile_ptx(kernel.py_func, signature, cc=capability)
    return text


def contractions(ptx):
    """Return the instructions that round twice at once, or that may be made to."""
    fused = r"\b(?:fma|mad)\.\w*\.?f(?:32|64)\b"
    plain = r"\b(?:add|sub|mul)\.(?:ftz\.)?f(?:32|64)\b"
    found = re.compile(f"{fused}|{plain}")
    return [line.strip() for line in ptx.splitlines() if found.search(line)]


def local_bytes(ptx):
    """Return the bytes of local memory that a thread has: arrays that spill."""
    found = re.findall(r"\.local\b.*\.b8\s+\S+\[(\d+)\]", ptx)
    return sum(map(int, found))
