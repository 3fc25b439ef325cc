# SPDX-License-Identifier: MIT
"""Laws of the ladder: every rung computes what its problem is defined to be."""

import csv
import json
import math
import subprocess
import time
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from hpcapp.errors import ConfigError, Exit, HpcappError
from hpcapp.problem import parse_problem
from hpcapp.studies.ladder import climb as climbing
from hpcapp.studies.ladder import laplace, montecarlo
from hpcapp.studies.ladder.climb import (
    Climb,
    Measured,
    Runs,
    choose_part,
    find_task,
)
from hpcapp.studies.ladder.command import FILES, ladder
from hpcapp.studies.ladder.report import whole_seconds
from hpcapp.studies.ladder.rungs import NotThereError, Rung, absent, cut

ROOT = Path(__file__).parent.parent


def hang(line, cores):
    time.sleep(600)


def fail(line, cores):
    pass


def end(line, cores):
    line.send(True)


def task_of(text, values):
    """Return the task of a configuration whose result has these values."""
    return find_task(parse_problem(text, "text"), values.__getitem__)


def climbable(task, leave=("Ray",)):
    """Return the rungs that are installed, but for those that take long to start."""
    found = [rung for rung in task.rungs(2) if not rung.missing]
    return [rung for rung in found if not rung.name.endswith(leave)]


def check_all(task, part, expected):
    """Climb all rungs and compare with an answer of the test's own."""
    rungs = climbable(task)
    assert [rung.name for rung in rungs][:2] == ["plain Python", "NumPy"]
    for rung in rungs:
        off = task.difference(rung.climb(part), expected)
        rung.close()
        assert off <= task.tolerance, f"{rung.name}: {off}"


# --- Mandelbrot and Julia sets


def escape(z, c, most):
    """Return the count of a pixel, by complex numbers."""
    for n in range(most):
        if abs(z) ** 2 > 4:
            return n
        z = z * z + c
    return most


@pytest.mark.medium
@pytest.mark.parametrize("julia", ["null", "[-0.8, 0.156]"])
def test_all_rungs_count_as_the_definition(julia):
    text = f"workload: mandelbrot\nparameters: {{max_iterations: 50, julia: {julia}}}"
    # no pixel is close to the circle in an iteration before it escapes
    re, im = np.linspace(-1.7, 0.9, 8), np.linspace(-1.1, 1.2, 7)
    task = task_of(text, {"re": re, "im": im})
    rows = task.chosen(3)
    pixels = [[complex(x, y) for x in re] for y in im[rows]]
    if julia == "null":
        counts = [[escape(0, c, 50) for c in row] for row in pixels]
    else:
        counts = [[escape(z, -0.8 + 0.156j, 50) for z in row] for row in pixels]
    check_all(task, 3, np.array(counts))


def test_rows_of_a_part_come_from_all_over_the_picture():
    task = task_of("workload: mandelbrot", {"re": np.zeros(2), "im": np.zeros(100)})
    assert task.chosen(100).tolist() == list(range(100))
    assert task.chosen(2).tolist() == [25, 75]
    assert task.chosen(1).tolist() == [50]
    counts = np.arange(200).reshape(100, 2)
    expected = task.expected({"iterations": counts}.__getitem__, 2)
    assert expected.tolist() == [[50, 51], [150, 151]]


# --- pi


def test_samples_are_those_of_random123():
    from hpcapp.studies.ladder.montecarlo_kernels import _sample

    # kat_vectors of Random123: philox 4x32 10, counter and key 0
    assert _sample(0, 0, 0) == (0x6627E8D5, 0xE169C58D)
    assert _sample(1, 0, 0) == (0xBC57AC4C, 0x9B00DBD8)


def test_border_of_the_circle_is_exact():
    from hpcapp.studies.ladder.montecarlo_kernels import _is_inside

    for x, y in ((0, 0), (2**32 - 1, 0), (2**32 - 1, 92682), (2**31, 3719550786)):
        for dy in (-1, 0, 1):
            b = min(max(y + dy, 0), 2**32 - 1)
            found = _is_inside(np.uint64(x), np.uint64(b))
            assert found == (x * x + b * b < 2**64)


@pytest.mark.medium
@pytest.mark.parametrize("seed", [0, 2**63 + 12345])
def test_all_rungs_count_the_same_samples(seed):
    text = f"workload: montecarlo\nparameters: {{samples: 5001}}\nrun: {{seed: {seed}}}"
    task = task_of(text, {})
    inside = montecarlo.count_plain(0, 5001, *task.key)
    assert abs(4 * inside / 5001 - math.pi) < 0.12
    check_all(task, 5001, inside)
    assert task.settings(100) == ("parameters.samples=100",)
    assert task.settings(5001) == ()


# --- series


@pytest.mark.medium
@pytest.mark.parametrize("digits", ["9", "42", "0", "05", "00"])
def test_all_rungs_leave_out_the_same_denominators(digits):
    text = f"workload: series\nparameters: {{digits: '{digits}', terms: 20000}}"
    kept = (k for k in range(1, 20001) if digits not in str(k))
    check_all(task_of(text, {}), 20000, math.fsum(1 / k for k in kept))


@pytest.mark.medium
def test_all_rungs_add_the_same_cosines():
    text = "workload: series\nparameters: {name: trigonometric, theta: 2.5}"
    expected = math.fsum(math.cos(2.5 * k) / k for k in range(1, 30001))
    check_all(task_of(text, {}), 30000, expected)


# --- Laplace


def swept(u, method, omega, sweeps):
    """Return an iterate of -(u_xx + u_yy) = -6 x on the unit square, point by point."""
    ny, nx = u.shape
    hy, hx = 1 / (ny - 1), 1 / (nx - 1)
    inner = [(j, i) for j in range(1, ny - 1) for i in range(1, nx - 1)]
    for _ in range(sweeps):
        old = u.copy()
        for colour in (0, 1):
            for j, i in inner:
                if method == "sor" and (j + i) % 2 != colour:
                    continue
                v = u if method == "sor" else old
                total = (v[j - 1, i] + v[j + 1, i]) / hy**2
                total += (v[j, i - 1] + v[j, i + 1]) / hx**2 - 6 * i * hx
                mean = total / (2 / hy**2 + 2 / hx**2)
                u[j, i] = (
                    mean if method == "jacobi" else u[j, i] + omega * (mean - u[j, i])
                )
    return u


@pytest.mark.medium
@pytest.mark.parametrize("method", ["jacobi", "sor"])
def test_all_rungs_sweep_as_the_definition(method):
    more = ", relaxation: 1.3" if method == "sor" else ""
    text = f"workload: laplace\nparameters: {{method: {method}, source: 6*x{more}}}"
    ny, nx = 6, 9
    x, y = np.linspace(0, 1, nx), np.linspace(0, 1, ny)
    u = np.add.outer(y**2, np.cos(3 * x))
    task = task_of(text, {"x": x, "y": y, "u": u, "iteration": np.array([0, 40])})
    start = u.copy()
    start[1:-1, 1:-1] = 0
    check_all(task, 7, swept(start, method, 1.3, 7))
    assert task.units == 40
    assert task.settings(40) == ()
    assert task.settings(7)[-1] == "parameters.max_iterations=7"


def test_best_factor_is_that_of_the_five_point_stencil():
    # 2 / (1 + sin(pi h)) on a square
    assert laplace.best_omega((65, 65), 0.25, 0.25) == pytest.approx(
        2 / (1 + math.sin(math.pi / 64)), rel=1e-12
    )


# --- words


@pytest.mark.medium
def test_all_rungs_count_and_correlate_the_same_words(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("The cat; the dog. THE cat")
    second.write_text("one two one")
    values = {
        "file": np.array([str(first), str(second)], object),
        "file_bytes": np.array([24, 11]),
    }
    text = "workload: words\nparameters: {top: 2, lags: 4}"
    task = task_of(text, values)
    # the cat the dog the cat: "the" at 0, 2, 4; "cat" at 1, 5
    expected = [
        ({"the": 3, "cat": 2}, 6, 3, [[3, 0, 2, 0], [2, 0, 0, 0]]),
        ({"one": 2, "two": 1}, 3, 2, [[2, 0, 1, 0], [1, 0, 0, 0]]),
    ]
    check_all(task, 2, expected)
    assert task.share(1) == 24 / 35
    result = {
        "word": np.array([["the", "cat"], ["one", "two"]], object),
        "occurrences": np.array([[3, 2], [2, 1]]),
        "total": np.array([6, 3]),
        "distinct": np.array([3, 2]),
        "acf": np.array(
            [[[1, 0, 2 / 3, 0], [1, 0, 0, 0]], [[1, 0, 0.5, 0], [1, 0, 0, 0]]]
        ),
    }
    assert task.expected(result.__getitem__, 2) == expected
    assert task.difference(expected, expected) == 0
    # the order of the words counts
    other = [({"cat": 2, "the": 3}, *expected[0][1:]), expected[1]]
    assert task.difference(other, expected) == math.inf


# --- what has no rungs


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "workload: laplace\nparameters: {method: multigrid}",
            "there are rungs for method: jacobi and sor only",
        ),
        (
            "workload: montecarlo\nparameters: {estimator: walk}",
            "there are rungs for estimator: pi with sampling: random only",
        ),
        (
            "workload: series\nparameters: {name: midpoint}",
            "there are rungs for name: kempner and trigonometric only",
        ),
        (
            "workload: words\nparameters: {errors: replace}",
            "there are rungs for errors: strict only: Python counts bad bytes "
            "otherwise",
        ),
        ("workload: climate", "there are no rungs for climate"),
    ],
)
def test_configurations_without_rungs_say_so(text, reason):
    assert task_of(text, {}) == reason


def test_library_that_is_not_installed_is_said(monkeypatch):
    assert absent("no_such_library") == (
        "no_such_library is not installed: pip install 'hpcapp[ladder]'"
    )
    assert absent("numpy") == ""
    monkeypatch.setattr("hpcapp.studies.ladder.rungs.find_spec", lambda name: None)
    task = task_of("workload: montecarlo", {})
    missing = [rung.name for rung in task.rungs(2) if rung.missing]
    assert missing == [
        f"Numba shared out by {name}" for name in ("multiprocess", "Dask", "Ray")
    ]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_counts_the_same_samples():
    task = task_of("workload: montecarlo\nparameters: {samples: 1000}", {})
    (rung,) = (rung for rung in task.rungs(2) if rung.name.endswith("Ray"))
    assert rung.climb(1000) == montecarlo.count_plain(0, 1000, 0, 0)
    rung.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("serve", "words"),
    [
        # as where its servers do not come up; as where it fails
        (hang, "Ray has not started within 1 s; see /tmp/ray"),
        (fail, "Ray has not started within 1 s; see /tmp/ray"),
        (end, "its workers have ended; see /tmp/ray"),
    ],
)
def test_ray_that_does_not_start_is_given_up(monkeypatch, serve, words):
    from hpcapp.studies.ladder import rungs

    monkeypatch.setattr(rungs, "_serve_ray", serve)
    # a process takes its time to start
    monkeypatch.setattr(rungs, "START", 1.0 if serve is not end else 60.0)
    task = task_of("workload: montecarlo\nparameters: {samples: 1000}", {})
    (rung,) = (rung for rung in task.rungs(2) if rung.name.endswith("Ray"))
    with pytest.raises(NotThereError) as caught:
        rung.climb(1000)
    assert str(caught.value) == words
    rung.close()


def test_library_that_does_not_work_is_said(monkeypatch, tmp_path):
    def broken(part):
        raise NotThereError("it does not work")

    task = task_of("workload: montecarlo\nparameters: {samples: 1000}", {})
    plan = Climb("c.yaml", (), 1, 1, 1.0)
    ascent = climbing._Ascent(plan, None, None, print)
    assert ascent._begin(Rung("r", broken), task).missing == "it does not work"


# --- the climb


@pytest.mark.parametrize(
    ("cost", "units", "expected"),
    [
        # seconds a unit; all of it, or a power of ten that takes at most 2 s
        (1e-3, 500, 500),
        (1e-3, 5000, 1000),
        (1e-6, 10**9, 10**6),
        (1.0, 7, 1),
        (50.0, 7, 1),
        (1e-9, 1, 1),
    ],
)
def test_part_is_what_there_is_time_for(cost, units, expected):
    now, asked = [0.0], []

    def work(part):
        asked.append(part)
        now[0] += 3.0 if len(asked) == 1 else cost * part

    found, first = choose_part(Rung("r", work), units, 2.0, lambda: now[0])
    assert (found, first) == (expected, 3.0)
    # nothing was tried that would take longer
    assert all(part * cost <= 2.0 or part == 1 for part in asked)


def test_pieces_cover_a_range_without_empty_ones():
    assert cut(10, 3) == [(0, 3), (3, 6), (6, 10)]
    assert cut(2, 5) == [(0, 1), (1, 2)]


def test_time_of_a_part_is_extrapolated_by_its_share():
    one = Measured("r", 1, part=10, units=40, share=0.25, seconds=[1.0, 2.0, 1.5])
    assert whole_seconds(one).median == 6.0


class Fake:
    """Runs of hpcapp that are not done; there are no rungs below them."""

    def __init__(self, monkeypatch, checksums="aa", code=0):
        self.calls, self.checksums, self.code = [], checksums, code
        monkeypatch.setattr(climbing, "launch", self)
        monkeypatch.setattr(Runs, "reader", lambda self, name: {}.__getitem__)

    def __call__(self, ranks, arguments, environ):
        self.calls.append((ranks, arguments))
        gpu = "run.device=cuda" in arguments
        code = 2 if gpu else self.code
        told = "hpcapp: --set: run.device: no GPU here" if gpu else "a reason"
        found = {
            "seconds": 4.0 / ranks,
            "checksum": "aa" if ranks == 1 else self.checksums,
            "phases": {"compile": {"max": 0.5}},
        }
        return subprocess.CompletedProcess([], code, json.dumps(found), told)


def run(**options):
    defaults = {
        "config": "c.yaml",
        "settings": [],
        "ranks": 4,
        "repeat": 2,
        "seconds": 1.0,
        "output": None,
    }
    said = []
    settings = Namespace(**{**defaults, **options})
    code = ladder(settings, {}, said.append, lambda text: None)
    return code, "\n".join(said)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.yaml").write_text(
        "workload: series\nparameters: {name: midpoint}\noutput: {directory: r/c}\n"
    )


def test_hpcapp_is_the_last_rung_and_the_gpu_says_why_not(place, monkeypatch):
    fake = Fake(monkeypatch)
    code, said = run()
    assert code == Exit.DONE
    assert "only hpcapp: there are rungs for name: kempner and trigonometric" in said
    assert "not done: hpcapp, 1 rank on the GPU: no GPU here" in said
    assert "answers: all the same numbers as hpcapp's" in said
    # the answer, then both in turn, then the GPU
    assert [ranks for ranks, _ in fake.calls] == [1, 1, 4, 1, 4, 1]
    with open("r/c-ladder/ladder.csv") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["seconds"] for row in rows] == ["4.0", "1.0", ""]
    assert rows[2]["not_done"] == "no GPU here"
    assert sorted(path.name for path in Path("r/c-ladder").iterdir()) == list(FILES)
    assert Path("r/c-ladder/ladder.png").read_bytes()[:4] == b"\x89PNG"


def test_other_answers_fail_a_climb_and_are_named(place, monkeypatch):
    Fake(monkeypatch, checksums="bb")
    code, said = run()
    assert code == Exit.FAILED
    assert "answers: DIFFERENT from hpcapp's: hpcapp, 4 ranks" in said


def test_a_run_that_fails_ends_the_climb_with_its_words(place, monkeypatch):
    Fake(monkeypatch, code=1)
    with pytest.raises(HpcappError) as caught:
        run()
    assert str(caught.value) == (
        "ladder: hpcapp on 1 rank did not finish, exit code 1:\na reason"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": 0}, "--ranks: must be > 0, got 0"),
        ({"repeat": 0}, "--repeat: must be > 0, got 0"),
        ({"seconds": -1.5}, "--seconds: must be > 0, got -1.5"),
    ],
)
def test_faulty_options_are_refused(place, options, message):
    with pytest.raises(ConfigError) as caught:
        run(**options)
    assert str(caught.value) == message


def test_a_place_that_cannot_be_written_is_named(place, monkeypatch):
    Fake(monkeypatch)
    Path("file").write_text("")
    with pytest.raises(ConfigError) as caught:
        run(output="file/x")
    assert str(caught.value) == (
        "file/x: cannot be written: Not a directory; name another folder with --output"
    )


@pytest.mark.medium
@pytest.mark.parametrize(
    "name",
    [
        "laplace",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                *("laplace-jacobi", "mandelbrot", "julia", "montecarlo-pi"),
                *("series-kempner", "series-kempner-42", "series-trigonometric"),
                *("words", "mandelbrot-deep"),
            )
        ),
    ],
)
def test_real_climb_has_the_answers_of_hpcapp(mpirun, hpcapp, tmp_path, name):
    done = hpcapp(
        *("ladder", ROOT / f"configs/small/{name}.yaml", "--repeat", "1"),
        *("--seconds", "0.1", "--ranks", "2", "-o", tmp_path / "s"),
        *("--set", f"output.directory={tmp_path}/r"),
        timeout=290,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "answers: all" in done.stdout
    assert "plain Python" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
