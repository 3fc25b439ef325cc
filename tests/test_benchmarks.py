# SPDX-License-Identifier: MIT
"""The benchmarks run, check their answers, and fail when one is wrong."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from benchmarks.report import Report, Statement
from benchmarks.timing import Sample, interleave

# a kernel that leaves one point of each sweep a little off
WRONG = """
import sys
from hpcapp.workloads.laplace import kernels

right = kernels.relax_jacobi_cpu

def wrong(even, odd, f, stencil, regions):
    right(even, odd, f, stencil, regions)
    even[2, 2] += 1e-9
    odd[2, 2] += 1e-9

kernels.relax_jacobi_cpu = wrong
from tests.benchmarks.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def run(root, program, *arguments):
    """Run a program of the checkout and return the finished process."""
    return subprocess.run(
        [sys.executable, *program, *map(str, arguments)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )


def check(done, path, name, rows):
    """Check exit code, table and JSON of a benchmark whose answers are right."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"{name}: ")
    assert "WRONG" not in done.stdout
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["name"] == name
    assert len(found["rows"]) == rows
    assert all(len(row) == len(found["columns"]) for row in found["rows"])
    assert found["checks"]
    assert found["machine"]["cores"] >= 1


@pytest.mark.medium
def test_words_compare_their_ways(root, tmp_path):
    path = tmp_path / "words.json"
    done = run(root, ["-m", "tests.benchmarks"], "words", "--quick", "--json", path)
    check(done, path, "words", 5 + bool(find_spec("polars")))


def test_laplace_compares_its_rungs(root, tmp_path):
    path = tmp_path / "laplace.json"
    program = ["-m", "tests.benchmarks"]
    done = run(root, program, "laplace", "--quick", "--json", path)
    check(done, path, "laplace", rows=9)


def test_series_compares_its_rungs(root, tmp_path):
    path = tmp_path / "series.json"
    program = ["-m", "tests.benchmarks"]
    done = run(root, program, "series", "--quick", "--json", path)
    check(done, path, "series", rows=9 + 3 * (find_spec("dask") is not None))


def test_montecarlo_compares_its_rungs(root, tmp_path):
    path = tmp_path / "montecarlo.json"
    program = ["-m", "tests.benchmarks"]
    done = run(root, program, "montecarlo", "--quick", "--json", path)
    with_dask = find_spec("dask") is not None
    check(done, path, "montecarlo", rows=6 + with_dask)
    assert ("Dask is not installed: left out" in done.stdout) != with_dask


def test_mandelbrot_compares_its_rungs(root, tmp_path):
    path = tmp_path / "mandelbrot.json"
    program = ["-m", "tests.benchmarks"]
    done = run(root, program, "mandelbrot", "--quick", "--json", path)
    with_dask = find_spec("dask") is not None
    check(done, path, "mandelbrot", rows=9 + 3 * with_dask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rows"),
    [("startup", 3), ("io", 10), ("checkpoint", 4), ("memory", 6), ("solves", 4)],
)
def test_jobs_are_measured(root, mpirun, tmp_path, name, rows):
    path = tmp_path / f"{name}.json"
    program = ["-m", "tests.benchmarks"]
    check(run(root, program, name, "--quick", "--json", path), path, name, rows)


def test_a_wrong_answer_fails(root, tmp_path):
    path = tmp_path / "wrong.json"
    done = run(root, ["-c", WRONG], "laplace", "--quick", "--json", path)
    assert done.returncode == 1, done.stderr
    assert "WRONG  jacobi: hpcapp differs from plain Numba by" in done.stdout
    assert "right  sor: hpcapp differs" in done.stdout
    holds = [check["holds"] for check in json.loads(path.read_text())["checks"]]
    assert holds.count(False) == 2


def test_measurements_are_taken_in_turn_and_the_first_round_is_dropped():
    order = []

    def measurement(name, seconds):
        def measure():
            order.append(name)
            return seconds.pop(0)

        return measure

    samples = interleave(
        {
            "a": measurement("a", [9.0, 1.0, 3.0]),
            "b": measurement("b", [9.0, 2.0, 4.0]),
        },
        repeats=2,
    )
    assert order == ["a", "b"] * 3
    assert samples == {"a": Sample((1.0, 3.0)), "b": Sample((2.0, 4.0))}


def test_a_sample_shows_median_least_and_spread():
    sample = Sample((3.0, 1.0, 2.0, 10.0, 2.0))
    assert (sample.median, sample.low, sample.spread) == (2.0, 1.0, 4.5)


def test_a_report_without_a_check_is_not_right():
    report = Report("x", "nothing", ("what",))
    assert not report.right
    report.checks = [Statement("2 = 2", True)]
    # a slow machine is no wrong answer
    report.requirements = [Statement("fast", False)]
    assert report.right
    report.checks.append(Statement("2 = 3", False))
    assert not report.right
    assert "WRONG  2 = 3" in report.text()
    assert "MISSED fast" in report.text()
