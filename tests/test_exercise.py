# SPDX-License-Identifier: MIT
"""The exercise: it runs, and the grader finds what is wrong with it."""

import re

import pytest

from hpcapp.errors import ConfigError
from hpcapp.studies.exercise import exercise_text, write_exercise

# 4 ranks have 16 rows each
ROWS = "15|16|31|32|47|48"
BORDER = rf"differs (first|most) at row ({ROWS}), the border of ranks \d and \d"

# (the line of the solution, a bug, what the grader must say of it)
HALO = ("  halo.exchange()\n", "  pass\n", BORDER)
BOUNDARY = ("max(block.start[0], 1)", "block.start[0]", "wrong on any number of ranks")
LOCAL = ("max(block.start[0], 1)", "block.start[0] + 1", BORDER)
REDUCTION = ("total = ctx.comm.sum(total)\n", "pass\n", "heat is the first to differ")
FLOATS = (
    'state["heat"] = np.float64(reduction.to_float(total))',
    'state["heat"] = np.float64(own.sum() * ctx.comm.size)',
    "heat is the first to differ",
)
SMALL = ("--set", "parameters.shape=[64, 16]", "--set", "parameters.sweeps=20")


def test_the_exercise_has_three_gaps_and_its_solution_none():
    gaps, solution = exercise_text(False), exercise_text(True)
    assert [n for n in "123" if f"GAP {n}" in gaps] == ["1", "2", "3"]
    assert "#=" not in gaps + solution
    assert "halo.exchange()" in solution
    different = [
        (a.strip(), b.strip())
        for a, b in zip(gaps.splitlines(), solution.splitlines(), strict=True)
        if a != b
    ]
    assert [a for a, _ in different] == [
        *("pass", "first = block.start[0]", "last = block.stop[0]", "# total = ...")
    ]
    for text in (gaps, solution):
        compile(text, "my_workload.py", "exec")


def test_an_exercise_is_never_written_over(tmp_path):
    path = str(tmp_path / "my_workload.py")
    assert write_exercise(path) == path
    with pytest.raises(ConfigError, match="exists already and is kept"):
        write_exercise(path)
    with pytest.raises(ConfigError, match="cannot be written: Not a directory"):
        write_exercise(f"{path}/other.py")


@pytest.mark.parametrize("name", ["mine", "my-work.py", ".py", "1st.py"])
def test_an_exercise_is_a_file_that_can_be_imported(name):
    with pytest.raises(ConfigError, match=r"--template: must be a file named like a"):
        write_exercise(name)


def grade(hpcapp, folder, text, ranks):
    """Verify a workload as a learner does."""
    (folder / "my_workload.py").write_text(text)
    return hpcapp("verify", "my_workload.py", "--ranks", ranks, *SMALL, cwd=folder)


@pytest.mark.medium
def test_the_grader_passes_the_solution(mpirun, hpcapp, tmp_path):
    done = grade(hpcapp, tmp_path, exercise_text(True), "1,3")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "verified: the same bits on 1, 3 ranks"
    assert re.fullmatch(r"checks: \d passed", lines[-2])


@pytest.mark.medium
@pytest.mark.parametrize(
    "bug", [HALO, BOUNDARY, LOCAL, REDUCTION, FLOATS], ids=lambda bug: bug[1]
)
def test_the_grader_finds_planted_bugs(mpirun, hpcapp, tmp_path, bug):
    right, wrong, said = bug
    text = exercise_text(True)
    assert right in text
    done = grade(hpcapp, tmp_path, text.replace(right, wrong, 1), "1,4")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(said, done.stdout), done.stdout


@pytest.mark.medium
def test_after_one_sweep_the_first_difference_is_the_border(mpirun, hpcapp, tmp_path):
    text = exercise_text(True).replace(HALO[0], HALO[1], 1)
    (tmp_path / "my_workload.py").write_text(text)
    options = ["--ranks", "1,4", "--set", "parameters.sweeps=1"]
    done = hpcapp("verify", "my_workload.py", *options, cwd=tmp_path)
    assert done.returncode == 1
    assert "differs first at row 255, the border of ranks 0 and 1" in done.stdout


def test_the_gaps_run_on_one_rank(mpirun, tmp_path):
    (tmp_path / "my_workload.py").write_text(exercise_text(False))
    done = mpirun(1, "run", "my_workload.py", *SMALL, "-q", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("my_workload.py: heat ")
