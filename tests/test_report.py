# SPDX-License-Identifier: MIT
"""The report: whole, self-contained, small, and honest about wrong results."""

import json
import re
import shutil
import subprocess
import types
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest

from hpcapp.clock import PHASES, PIECES
from hpcapp.errors import ConfigError, LaunchError, ResultError
from hpcapp.store.sums import checksum_value
from hpcapp.studies import report
from hpcapp.studies.balance import Balance, limit_rows, shared_cores, turns
from hpcapp.studies.report import measure, write_report
from hpcapp.studies.timeline import ROWS, resample, shown_ranks
from hpcapp.studies.validation import validate
from hpcapp.trace import TRACE, Trace, _write

LIMITS = {
    "memory": 1e10,
    "file": 1e9,
    "create": 1e-4,
    "exchange": {"latency": 1e-6, "rate": 1e9},
}


def measured(ranks, directory, environ):
    """Stand for the doctor."""
    return LIMITS, f"Measured now by {ranks} ranks."


@pytest.fixture(scope="module")
def finished(mpirun, tmp_path_factory):
    """Return the directory of a finished run of two ranks."""
    path = tmp_path_factory.mktemp("report") / "run"
    done = mpirun(2, "run", "configs/small/laplace.yaml", "-o", str(path), "-q")
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture
def run(finished, tmp_path):
    """Return a copy of it."""
    return shutil.copytree(finished, tmp_path / "run")


class Reader(HTMLParser):
    """Collects tags that are open, and references."""

    def __init__(self):
        super().__init__()
        self.open, self.references, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "rect", "path"):
            self.open.append(tag)
        self.references += [v for k, v in attrs if k in ("src", "href")]

    def handle_endtag(self, tag):
        if tag in self.open:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read(path):
    """Return the page, parsed."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def made(ranks):
    """Return a trace with as much in it as there can be."""
    random = np.random.default_rng(3)
    pieces = random.random((ranks, PIECES, len(PHASES))).astype(np.float32)
    pieces /= pieces.sum(axis=2, keepdims=True)
    seconds, numbers = pieces.sum(axis=1).astype(float), np.arange(ranks)
    return Trace(
        *(seconds, 0 * seconds, 1000 + numbers, 8000 + numbers, numbers),
        *(random.random(ranks), np.ones(ranks), pieces),
    )


def test_the_page_is_whole_and_needs_nothing_else(run):
    line = write_report(str(run), None, {}, measure_with=measured)
    # a machine with one core is warned of
    assert line.startswith(f"{run}/report.html: VALID; ")
    page = read(run / "report.html")
    assert all(ref.startswith("data:image/png;base64,") for ref in page.references)
    text = (run / "report.html").read_text()
    assert set(re.findall(r"https?://[\w./]+", text)) <= {"http://www.w3.org/2000/svg"}
    for word in ("VALID", "rank 1", "direct solution", "Imbalance", "2 x 1 threads"):
        assert word in page.text
    assert "10 GB/s" in page.text and "61 x 47" in page.text


def test_the_page_of_many_ranks_is_small(run):
    _write(str(run), made(16))
    write_report(str(run), None, {}, measure_with=measured)
    assert (run / "report.html").stat().st_size < 2e6
    assert "rank 15" in read(run / "report.html").text
    _write(str(run), made(200))
    write_report(str(run), None, {}, limits=False)
    assert (run / "report.html").stat().st_size < 2e6
    page = read(run / "report.html")
    assert f"{len(shown_ranks(made(200)))} of 200 ranks are drawn" in page.text
    assert "Not measured, as was wished." in page.text


def test_a_run_that_went_on_tells_of_its_earlier_starts(run):
    first = made(3)
    first.seconds[:] = 0
    first.seconds[1, PHASES.index("compute")] = 61.5
    (run / TRACE).unlink()
    _write(str(run), first)
    _write(str(run), made(2))
    write_report(str(run), None, {}, limits=False)
    text = read(run / "report.html").text
    assert "all above is of its last start alone" in text
    # cells without anything between them
    assert "trace.1.npz" + "3" + "0 s" * 2 + "61.5 s" + "0 s" * 3 in text
    # a damaged one is named
    (run / "trace.1.npz").write_bytes(b"")
    with pytest.raises(ResultError, match=r"trace\.1\.npz: is damaged"):
        write_report(str(run), None, {}, limits=False)


def test_a_run_without_trace_has_a_page_without_timelines(run):
    (run / TRACE).unlink()
    write_report(str(run), None, {}, measure_with=measured)
    assert "no trace: there are no timelines" in read(run / "report.html").text


def test_a_wrong_result_is_invalid(run):
    with h5py.File(run / "result.nc", "r+") as file:
        file["u"][20, 20] += 1e-3
    verdict = validate(str(run))
    failed = {check.name: check.text for check in verdict.checks if not check.passed}
    assert "u: " in failed["checksums"]
    assert {"residual", "direct solution"} <= set(failed)
    line = write_report(str(run), None, {}, measure_with=measured)
    assert "INVALID (checksums, residual" in line
    # also where it was written like a right one
    with h5py.File(run / "result.nc", "r+") as file:
        told = f"{checksum_value(file['u'][()], 'float64'):016x}"
        file["u"].attrs["hpcapp_checksum"] = np.bytes_(told)
    assert validate(str(run)).word == "INVALID"


def test_a_result_whose_workload_is_gone_is_not_called_valid(run):
    with h5py.File(run / "result.nc", "r+") as file:
        text = file.attrs["hpcapp_config"]
        text = text.decode() if isinstance(text, bytes) else str(text)
        file.attrs["hpcapp_config"] = text.replace("laplace", "my.lost", 1)
    verdict = validate(str(run))
    assert verdict.word == "INVALID"
    assert "cannot be asked: " in verdict.checks[-1].text


def test_a_page_that_cannot_be_made_is_an_error(run, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot be written: .*--output"):
        write_report(str(run), str(tmp_path / "a" / "b"), {}, limits=False)
    with pytest.raises(ResultError, match="no run of hpcapp has finished there"):
        write_report(str(tmp_path), None, {}, limits=False)
    with h5py.File(run / "result.nc", "r+") as file:
        del file.attrs["hpcapp_layout"]
    with pytest.raises(ResultError, match="does not tell what a report needs"):
        write_report(str(run), None, {}, limits=False)
    with h5py.File(run / "result.nc", "r+") as file:
        del file.attrs["hpcapp_config"]
    assert "does not hold its configuration" in validate(str(run)).checks[-1].text


# --- limits


def test_limits_are_those_of_the_doctor(monkeypatch):
    said = {"limits": LIMITS, "places": [{"host": "n1"}]}
    done = types.SimpleNamespace(stdout=json.dumps(said))
    monkeypatch.setattr(report, "launch", lambda *_: done)
    found, how = measure(1, ".", {})
    assert (found, how) == (LIMITS, "Measured now by 1 rank at once, on n1.")
    done.stdout = json.dumps({"limits": None})
    assert measure(1, ".", {})[0] == {}

    def fail(*_):
        raise LaunchError("launch: there is no mpirun")

    monkeypatch.setattr(report, "launch", fail)
    assert measure(1, ".", {}) == ({}, "Not measured: launch: there is no mpirun")


def test_a_run_is_compared_with_each_limit():
    trace = made(2)
    times = {phase: {"min": 0, "mean": 0, "max": 1.0} for phase in PHASES}
    rows = limit_rows(LIMITS, trace, times, (3e9, "updates", 2.0), 10**8)
    assert [row[-1] for row in rows][::2] == ["20%", "10%"]
    # 3 seconds of steps: 6e9 bytes of 3e10; a file of 1e8 bytes in 1 s
    assert rows[0][1:3] == ("2 GB/s", "10 GB/s")
    assert "halo exchange of rank 1" in rows[1][0]
    assert limit_rows({}, trace, times, (3e9, "updates", 2.0), 10**8) == []


def test_imbalance_is_the_slowest_over_the_mean():
    trace = made(4)
    compute = PHASES.index("compute")
    trace.seconds[:, compute] = (1, 1, 1, 5)
    balance = Balance(trace)
    assert (balance.imbalance, balance.slowest) == (2.5, 3)
    assert "rank 3 computed 2.50 times" in balance.lines()[0]
    assert "60% less" in balance.lines()[0]
    assert Balance(made(1)).lines() == [
        "One rank: nothing to balance, nobody to wait for."
    ]


def test_ranks_that_share_cores_are_counted_on_each_node():
    layout = {"threads": 1, "hosts": ["a", "b", "b"], "cores": {"a": 1, "b": 2}}
    assert shared_cores(layout) == ""
    assert shared_cores({**layout, "cores": {"a": 1, "b": 1}}) == (
        "2 ranks x 1 thread shared 1 core of b"
    )
    assert shared_cores({**layout, "threads": 2}) == (
        "1 rank x 2 threads shared 1 core of a"
    )
    # results of earlier versions do not tell
    assert shared_cores({"threads": 1, "hosts": ["a"] * 9}) == ""


def test_who_computes_without_a_core_waits():
    trace = made(4)
    trace.pieces[:] = 0
    trace.begin[:] = 0
    # four ranks compute all the time, then one alone: on two cores half of 4 x 256 s
    # and nothing of 256 s were waiting
    compute = PHASES.index("compute")
    trace.pieces[:, :256, compute] = 1
    trace.pieces[0, 256:, compute] = 1
    layout = {"threads": 1, "hosts": ["a"] * 4, "cores": {"a": 2}}
    assert turns(trace, layout) == pytest.approx((5 * 256, 2 * 256))
    assert turns(trace, {**layout, "cores": {"a": 4}})[1] == pytest.approx(0)


def test_a_run_with_too_few_cores_is_warned_of(run):
    with h5py.File(run / "result.nc", "r+") as file:
        layout = json.loads(file.attrs["hpcapp_layout"])
        host = layout["hosts"][0]
        assert layout["cores"][host] >= 1
        layout["cores"] = {host: 1}
        file.attrs["hpcapp_layout"] = np.bytes_(json.dumps(layout))
    line = write_report(str(run), None, {}, limits=False)
    told = f"2 ranks x 1 thread shared 1 core of {host}"
    assert f"VALID; no times to go by: {told}; open it" in line
    assert f"{told}. Ranks took turns." in read(run / "report.html").text


# --- timelines


def test_no_second_is_lost_when_a_timeline_is_drawn():
    trace = made(3)
    for place in range(3):
        table = resample(trace, place, np.linspace(0, PIECES + 1, 300))
        expected = trace.pieces[place].astype(float).sum(axis=0)
        assert table.sum(axis=0) == pytest.approx(expected)


def test_the_fastest_and_the_slowest_are_always_drawn():
    trace = made(100)
    compute = trace.seconds[:, PHASES.index("compute")]
    places = shown_ranks(trace)
    assert len(places) <= ROWS
    assert {int(compute.argmin()), int(compute.argmax())} <= set(places.tolist())


@pytest.mark.medium
def test_a_browser_opens_the_page(run, tmp_path):
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no browser: Debian's package chromium is not installed")
    write_report(str(run), None, {}, limits=False)
    picture = tmp_path / "page.png"
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    options += [f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run(
        [browser, *options, f"--screenshot={picture}", f"file://{run}/report.html"],
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert '<b class="valid">VALID</b>' in done.stdout
