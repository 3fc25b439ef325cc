# SPDX-License-Identifier: MIT
"""Counting and correlating words, against the course's Python and libraries.

The text is the books of ``../shared/data``, or those in `data/corpus` where there are
none, repeated in a temporary file. What is called hpcapp are steps of the workload on
one rank and one thread; on two ranks it is a job of its own, whose compute and reduce
phases count.
"""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks import text_rungs
from tests.benchmarks.jobs import ROOT, Job
from tests.benchmarks.report import Report, Statement
from tests.benchmarks.timing import interleave, timed

__all__ = ["measure"]

TOP, LAGS = 16, 100

# the others take a part of the text, in which they are linear
SHARE = 10


def measure(quick: bool) -> Report:
    """Measure on at least 200 MB.

    Parameters
    ----------
    quick : bool
        A few megabytes and few repeats: figures mean nothing then.

    Returns
    -------
    Report
        MB/s of each way to count; seconds of the autocorrelation.
    """
    size, repeats = (2_000_000, 1) if quick else (200_000_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder, "small.txt"), Path(folder, "large.txt")
        _write_text(small, size // SHARE)
        # the same text repeated, so that answers are multiples
        large.write_bytes(small.read_bytes() * SHARE)
        return _measure(small, large, repeats)


def _write_text(path: Path, size: int) -> None:
    data = Path(os.environ.get("HPCAPP_TEST_DATA", ROOT.parent / "shared" / "data"))
    files = sorted((data / "books").glob("*.txt"))
    files = files or sorted((ROOT / "data" / "corpus").glob("*.txt"))
    # a word must not grow together with the next copy's first, nor hold its mark
    texts = [file.read_text("utf-8-sig").encode() + b"\n" for file in files]
    once = b"".join(texts)
    path.write_bytes(once * -(-size // len(once)))


def _measure(small: Path, large: Path, repeats: int) -> Report:
    megabytes = large.stat().st_size / 1e6
    report = Report(
        "words",
        f"{megabytes:.0f} MB of text; ways beside hpcapp a tenth of it",
        ("what", "MB/s", "best", "spread", "times the course's Python"),
    )
    answers: dict[str, Any] = {}
    rates: dict[str, float] = {}
    hpcapp = {1: "hpcapp, 1 core", 2: "hpcapp, 2 ranks"}

    def keep(name: str, action: Callable[[], Any]) -> Callable[[], float]:
        return timed(lambda: answers.update({name: action()}))

    ways = {
        name: keep(name, lambda count=count: count(str(small)))  # type: ignore[misc]
        for name, count in text_rungs.counters().items()
    }
    samples = interleave(ways, 1)
    sizes = dict.fromkeys(ways, megabytes / SHARE)
    runs = {
        hpcapp[ranks]: lambda ranks=ranks: _job(ranks, large, answers)  # type: ignore[misc]
        for ranks in hpcapp
    }
    samples |= interleave(runs, repeats)
    sizes |= dict.fromkeys(runs, megabytes)
    for name, sample in samples.items():
        rates[name] = sizes[name] / sample.median
    for name, sample in samples.items():
        row = (rates[name], sizes[name] / sample.low, sample.spread)
        report.rows.append((name, *row, rates[name] / rates["course's Python"]))
    expected = answers["course's Python"]
    for name in ways:
        same = answers[name] == expected
        report.checks.append(Statement(f"{name}: the counts of the course", same))
    _check_hpcapp(report, answers, expected)
    _wish(report, rates)
    _correlate(report, small)
    return report


def _job(ranks: int, path: Path, answers: dict[str, Any]) -> float:
    """Count on some ranks, each on one thread; return the seconds of the steps."""
    with tempfile.TemporaryDirectory() as folder:
        options = [
            "-o",
            folder + "/r",
            "-f",
            "--json",
            "--set",
            f"parameters.inputs={path}",
        ]
        options += ["--set", "parameters.lags=1", "--set", f"parameters.top={TOP}"]
        options += ["--set", "run.threads=1"]
        config = str(ROOT / "configs" / "words.yaml")
        text = Job(ranks, ["-m", "hpcapp", "run", config, *options]).run()
        phases = json.loads(text)["phases"]
        answers[f"hpcapp {ranks}"] = _top_words(folder + "/r/result.nc")
    return float(phases["compute"]["max"] + phases.get("reduce", {"max": 0.0})["max"])


def _top_words(path: str) -> dict[str, int]:
    import h5py

    with h5py.File(path) as file:
        words = file["word"].asstr()[0].tolist()
        found = dict(zip(words, file["occurrences"][0].tolist(), strict=True))
        return {**found, "": int(file["distinct"][0])}


def _check_hpcapp(
    report: Report, answers: dict[str, Any], expected: dict[str, int]
) -> None:
    # sorted keeps the order of first appearance, as dictionaries do
    top = sorted(expected.items(), key=lambda pair: -pair[1])[:TOP]
    wanted = {**{word: n * SHARE for word, n in top}, "": len(expected)}
    for ranks in (1, 2):
        same = answers[f"hpcapp {ranks}"] == wanted
        text = f"hpcapp, {ranks} ranks: top words, their counts, number of words"
        report.checks.append(Statement(text, same))


def _wish(report: Report, rates: dict[str, float]) -> None:
    one, two = rates["hpcapp, 1 core"], rates["hpcapp, 2 ranks"]
    course = rates["course's Python"]
    wishes = [
        (f"one core >= 100 MB/s: {one:.0f}", one >= 100),
        (
            f"one core >= 15 x the course's Python: {one / course:.1f}",
            one >= 15 * course,
        ),
        (f"2 ranks >= 1.7 x one: {two / one:.2f}", two >= 1.7 * one),
    ]
    if "polars" in rates:
        ratio = two / rates["polars"]
        wishes.append((f"2 ranks >= 4 x polars: {ratio:.1f}", ratio >= 4))
    report.requirements += [Statement(text, holds) for text, holds in wishes]


def _correlate(report: Report, path: Path) -> None:
    """Add the autocorrelation: from positions, and by the course's loops."""
    from hpcapp.workloads.words.position_kernels import correlate_cpu

    words = path.read_text("utf-8").translate(text_rungs.BLANKS).lower().split()
    codes: dict[str, int] = {}
    ids = np.array([codes.setdefault(word, len(codes)) for word in words])
    chosen = np.argsort(-np.bincount(ids), kind="stable")[:TOP]
    acf = np.zeros((2, TOP, LAGS))

    def loops() -> None:
        for place, word in enumerate(chosen):
            mask = (ids == word).astype(np.int64)
            acf[0, place] = text_rungs.correlate_loop(mask, LAGS)

    def positions(times: int = 1) -> None:
        text = np.tile(ids, times)
        for place, word in enumerate(chosen):
            at, pairs = np.flatnonzero(text == word), np.zeros(LAGS, np.int64)
            correlate_cpu(pairs, at, 0)
            if times == 1:
                acf[1, place] = pairs / at.size

    ways = {"loops": timed(loops), "once": timed(positions)}
    ways["thrice"] = timed(lambda: positions(3))
    samples = interleave(ways, 1)
    plain, once, thrice = (samples[name].median for name in ways)
    report.notes.append(
        f"autocorrelation, {TOP} words x {LAGS} lags, {ids.size} words, one core: "
        f"plain Numba loops {plain:.2f} s, positions {once:.3f} s, of three times the "
        f"text {thrice:.3f} s (positions are found in it, too)"
    )
    same = bool((acf[0] == acf[1]).all())
    report.checks.append(Statement("autocorrelation: equal to the loops", same))
    ratio = plain / once
    wish = f"autocorrelation >= 20 x plain Numba loops: {ratio:.1f}"
    report.requirements.append(Statement(wish, ratio >= 20))
    wish = f"autocorrelation linear in the text: three times take {thrice / once:.2f}"
    report.requirements.append(Statement(wish, thrice < 4 * once))
