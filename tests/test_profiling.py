# SPDX-License-Identifier: MIT
"""Profiles: a file that other programs read, and a summary that names the place."""

import pstats
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from hpcapp.errors import ConfigError
from hpcapp.log import Log
from hpcapp.profiling import KINDS, _short, open_profiler, summarise
from hpcapp.run_directory import take

HELD = 40_000_000


class Busy:
    """A workload with one slow line and one large array."""

    def steps(self, ctx):
        """Hold much in the second step of three."""
        for number in range(3):
            kept = np.ones(HELD // 8 if number == 1 else 8)  # the large one
            yield kept.sum() + add_up(20_000)


def add_up(n):
    """Take some time in Python."""
    total = 0
    for k in range(n):
        total += k  # the slow one
    return total


class Alone:
    """One rank."""

    rank, size, root = 0, 1, True

    def broadcast(self, value):
        """Return it."""
        return value

    def all(self, value):
        """Return it alone."""
        return [value]

    def gather(self, part):
        """Return it alone."""
        return [part]


def line_of(mark):
    """Return the number of the line of this file with a mark."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def watch(kind):
    """Return a profiler that has watched the steps."""
    workload = Busy()
    profiler = open_profiler(kind)
    assert profiler.run(workload, lambda: len(list(workload.steps(None)))) == 3
    return profiler


def test_nothing_is_watched_without_the_option():
    assert open_profiler(None) is None
    assert sorted(KINDS) == ["cprofile", "line", "memory"]


def test_functions_are_told_with_their_calls(tmp_path):
    profiler = watch("cprofile")
    (row,) = (row for row in profiler.rows() if row[0].endswith(" add_up"))
    assert row[1] == 3 and row[2] > 0
    profiler.write(str(tmp_path / "a.prof"))
    stats = pstats.Stats(str(tmp_path / "a.prof")).stats
    assert any(function == "add_up" for _, _, function in stats)


def test_lines_are_told_with_their_hits(tmp_path):
    pytest.importorskip("line_profiler")
    profiler = watch("line")
    name = f"tests/test_profiling.py:{line_of('the slow one')} in add_up"
    (row,) = (row for row in profiler.rows() if row[0] == name)
    assert row[1] == 60_000 and row[2] > 0
    profiler.write(str(tmp_path / "a.lprof"))
    assert "# the slow one" in (tmp_path / "a.lprof.txt").read_text()


def test_memory_is_told_where_there_was_most(tmp_path):
    profiler = watch("memory")
    rows = profiler.rows()
    assert rows[0][0].startswith("peak of all") and rows[0][2] >= HELD / 1e6
    assert rows[1][0] == f"tests/test_profiling.py:{line_of('the large one')}"
    assert rows[1][2] == pytest.approx(HELD / 1e6, rel=0.01)
    profiler.write(str(tmp_path / "a.tracemalloc"))
    found = tracemalloc.Snapshot.load(str(tmp_path / "a.tracemalloc"))
    assert max(s.size for s in found.statistics("lineno")) >= HELD


def test_an_error_ends_the_watch():
    def fail():
        raise KeyError("x")

    profiler = open_profiler("memory")
    with pytest.raises(KeyError):
        profiler.run(Busy(), fail)
    assert not tracemalloc.is_tracing()


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "line_profiler", None)
    with pytest.raises(ConfigError) as caught:
        open_profiler("line")
    assert str(caught.value) == (
        "--profile line: needs line_profiler, which is not installed; get it with: "
        "pip install 'hpcapp[profile]'"
    )


def test_the_summary_names_the_rank_with_most():
    ranks = [[("a", 1, 1.0), ("b", 2, 0.5)], [("a", 3, 4.0)]]
    lines = summarise(ranks, "s")
    assert lines[0].split() == ["mean", "s", "max", "s", "on", "count", "where"]
    assert lines[1].split() == ["2.5", "4", "1", "4", "a"]
    assert lines[2].split() == ["0.25", "0.5", "0", "2", "b"]


def test_profiles_that_cannot_be_written_are_a_warning(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    watch("cprofile").leave(Alone(), str(tmp_path / "file"), Log(True, 0))
    assert "profiles cannot be written: " in capsys.readouterr().err


def test_profiles_go_with_their_run(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("run.yaml", "status.json", "log.txt", "result.nc"):
        (run / name).write_text("")
    watch("cprofile").leave(Alone(), str(run), Log(False))
    assert sorted(p.name for p in (run / "profiles").iterdir()) == [
        *("rank-0000.prof", "summary.prof.txt")
    ]
    take(str(run), force=False, keep=False).lock.release()
    assert (tmp_path / "run.1" / "profiles" / "rank-0000.prof").exists()
    watch("cprofile").leave(Alone(), str(run), Log(False))
    take(str(run), force=True, keep=False).lock.release()
    assert list(run.iterdir()) == []


def test_paths_are_told_from_their_package_on():
    assert _short("/a/hpcapp/hpcapp/driver.py") == "hpcapp/driver.py"
    assert _short("/v/site-packages/numpy/x.py") == "numpy/x.py"
    assert _short("~") == "~"


def test_all_ranks_leave_a_profile(mpirun, tmp_path):
    config = "configs/small/series-kempner.yaml"
    options = ["-o", str(tmp_path / "r"), "--profile", "cprofile"]
    done = mpirun(2, "run", config, *options)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (tmp_path / "r" / "profiles").iterdir())
    assert names == ["rank-0000.prof", "rank-0001.prof", "summary.prof.txt"]
    summary = (tmp_path / "r" / "profiles" / "summary.prof.txt").read_text()
    assert summary.splitlines()[0].endswith("where")
    assert len(summary.splitlines()) > 5
    assert "profiles of 2 ranks" in done.stderr
