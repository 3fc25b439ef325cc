# SPDX-License-Identifier: MIT
"""Compiled functions have names of their own, so that none is taken for another."""

import gc
import importlib
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Calls the expression kernel on arrays of the kinds named on the command line and
# compares each operation with NumPy. Asked for "another", it compiles another function
# first: Numba counts what it compiles, anew in each process, so that of loops with one
# name each gets the symbol that its neighbour has in the other process.
SCRIPT = """
import sys
import numpy as np
from numba import njit
from hpcapp.expression_kernels import evaluate_cpu
from hpcapp.postfix import ARITY, Op

if "another" in sys.argv:
    njit(lambda a: a)(1.0)

x, y = np.linspace(0.05, 0.95, 8), np.linspace(0.1, 0.9, 10)
names = {"ASIN": "arcsin", "ACOS": "arccos", "ATAN": "arctan", "ATAN2": "arctan2"}
names["NEGATE"] = "negative"

def expected(op, values):
    if op == Op.WHERE:
        return np.where(*values)
    return getattr(np, names.get(op.name, op.name.lower()))(*values)

def check(out):
    wrong = []
    for op in Op:
        if op < Op.NEGATE:
            continue
        order = [0, 1, 0][: ARITY[op]]
        opcodes = np.array([Op.VARIABLE] * len(order) + [op], np.int64)
        operands = np.array([*order, 0], np.int64)
        steps = np.array([[1, 0], [0, 1]])
        evaluate_cpu(out, opcodes, operands, np.zeros(1), 3, (x, y, y), steps)
        values = [(x[:, None], y[None, :])[k] + np.zeros(out.shape) for k in order]
        if not np.allclose(out, expected(op, values), rtol=1e-14, atol=0):
            wrong.append(op.name)
    return wrong

kinds = {"whole": np.empty((8, 10)), "view": np.empty((8, 20))[:, ::2]}
for name in sys.argv[1:]:
    if name in kinds:
        print(name, check(kinds[name]))
"""


def modules_of_kernels():
    """Return the names of all modules of hpcapp that import Numba."""
    for path in sorted((ROOT / "hpcapp").rglob("*.py")):
        lines = path.read_text().splitlines()
        if "from numba import cuda" in lines and not find_spec("numba_cuda"):
            continue
        if any(line.startswith(("import numba", "from numba")) for line in lines):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_compiled_function_has_a_name_of_its_own():
    from numba.core.dispatcher import Dispatcher

    for module in modules_of_kernels():
        importlib.import_module(module)
    functions = {
        id(item): (item.py_func.__module__, item.py_func.__qualname__)
        for item in gc.get_objects()
        if isinstance(item, Dispatcher)
    }
    counts = Counter(functions.values())
    ours = {name: n for name, n in counts.items() if name[0].startswith("hpcapp")}
    assert ("hpcapp.expression_kernels", "evaluate_cpu") in ours
    assert [name for name, n in ours.items() if n > 1] == []
    assert [name for name in ours if "<" in name[1]] == []


@pytest.mark.slow
def test_variants_cached_by_two_processes_are_right_in_a_third(tmp_path):
    def start(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    environ = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert start("whole") == ["whole []"]
    assert start("another", "view") == ["view []"]
    assert start("whole", "view") == ["whole []", "view []"]
    assert start("view", "whole") == ["view []", "whole []"]
