# SPDX-License-Identifier: MIT
"""Words against a plain Python program, on books, made-up texts and any bytes."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from team import spread

from hpcapp.device import Device
from hpcapp.errors import ConfigError
from hpcapp.problem import parse_problem
from hpcapp.workload import Context, State
from hpcapp.workloads import words
from hpcapp.workloads.words import counting, ranges, segment

ROOT = Path(__file__).parent.parent
BOOKS = Path(os.environ.get("HPCAPP_TEST_DATA", ROOT.parent / "shared" / "data"))

DELIMITERS = list(".,;:?$@^<>#%`!*-=()[]{}/\"'")


def count(data, encoding="utf-8-sig", errors="strict", top=16, lags=100):
    """Count as the definition says, in plain Python; the reference of these tests."""
    text = data.decode(encoding, errors)
    for delimiter in DELIMITERS:
        text = text.replace(delimiter, " ")
    words = [word.lower() for word in text.split()]
    # sorted keeps the order of first appearance among equal counts
    ordered = sorted(Counter(words).items(), key=lambda pair: -pair[1])
    acf = np.full((top, lags), np.nan)
    for place, (word, number) in enumerate(ordered[:top]):
        at = [i for i, other in enumerate(words) if other == word]
        here = set(at)
        for lag in range(lags):
            acf[place, lag] = sum(i + lag in here for i in at) / number
    return {"total": len(words), "ordered": ordered, "acf": acf}


def problem(*lines):
    """Validate parameters as a file gives them."""
    text = "".join(f"  {line}\n" for line in lines)
    return parse_problem(f"workload: words\nparameters:\n{text}", "w.yaml")


class NoTables:
    """What a state between two books holds of its tables."""

    def shape(self, name):
        """Return that they are empty."""
        return (0,)


def run(workload, ranks=1, threads=1, state=None):
    """Turn all steps on ranks that are threads; return the state of each rank."""

    def steps(comm):
        own = State(dict(state._values), NoTables()) if state else State()
        device = Device(threads)
        context = Context(comm, device, None, own)
        for step in workload.steps(context):
            assert 0 < step.fraction <= 1
        device.close()
        return context.state

    return spread(ranks, steps)


def measure(paths, *lines, ranks=1, threads=1):
    """Run on files and return the state, which is the same on all ranks."""
    names = ", ".join(f'"{path}"' for path in paths)
    workload = problem(f"inputs: [{names}]", *lines).workload
    workload.check()
    states = run(workload, ranks, threads)
    for state in states[1:]:
        for field in workload.fields():
            if field.distributed:
                continue
            assert_same(state[field.name], states[0][field.name])
    return states[0]


def assert_same(a, b):
    """Compare arrays bit by bit."""
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    same = a.tolist() == b.tolist() if a.dtype == object else a.tobytes() == b.tobytes()
    assert same


def assert_counts(state, expected, book=0):
    """Compare a book of a state with the reference."""
    ordered, acf = expected["ordered"], expected["acf"]
    top = len(acf)
    words = [word.replace("\0", "\N{SYMBOL FOR NULL}") for word, _ in ordered]
    missing = [""] * max(0, top - len(words))
    assert state["word"][book].tolist() == [*words[:top], *missing]
    counts = [*(n for _, n in ordered[:top]), *(0 for _ in missing)]
    assert state["occurrences"][book].tolist() == counts
    assert state["total"][book] == expected["total"]
    assert state["distinct"][book] == len(ordered)
    np.testing.assert_array_equal(state["acf"][book], acf)
    if ordered:
        there = acf[: len(ordered)]
        mean = there.sum(axis=0) / len(there)
        np.testing.assert_allclose(state["mean_acf"][book], mean, rtol=1e-14)
    else:
        assert np.isnan(state["mean_acf"][book]).all()


def books():
    """Return the real books, or skip."""
    found = sorted((BOOKS / "books").glob("*.txt"))
    if not found:
        pytest.skip(f"no books in {BOOKS}: set HPCAPP_TEST_DATA")
    return found


# --- the definition, on every kind of input


@pytest.mark.medium
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_books_are_counted_as_by_plain_python(encoding):
    paths = books()
    state = measure(paths, f"encoding: {encoding}", "lags: 12", ranks=2)
    assert state["book"].tolist() == [path.stem for path in paths]
    for book, path in enumerate(paths):
        expected = count(path.read_bytes(), encoding, lags=12)
        assert_counts(state, expected, book)


def test_small_book_has_all_lags_of_plain_python():
    path = next(path for path in books() if path.stem == "pg104")
    assert_counts(measure([path], ranks=3), count(path.read_bytes()))


def test_a_text_grows_by_whole_numbers_only():
    problem = parse_problem("workload: words", "text")
    inputs = list(problem.config.parameters.inputs)
    assert problem.workload.grown(2.0) == {"inputs": inputs * 2}
    with pytest.raises(ConfigError) as caught:
        problem.workload.grown(1.5)
    assert str(caught.value) == (
        "parameters.inputs: a text can be read a whole number of times, got 1.5 times; "
        "take counts that are multiples of the first"
    )


def test_table_of_the_course_counts_a_byte_order_mark_as_part_of_a_word():
    # results.csv of github.com/ENCCS/hpda-python, rows pg104 and pg13
    known = {
        "pg104": [305, 232, 130, 126, 102, 97, 93, 87, 79, 71],
        "pg13": [558, 232, 227, 212, 196, 153, 135, 124, 117, 99],
    }
    paths = [path for path in books() if path.stem in known]
    state = measure(paths, "encoding: utf-8", "top: 10", "lags: 1")
    for name, counts in zip(state["book"], state["occurrences"], strict=True):
        assert counts.tolist() == known[name]


@pytest.mark.parametrize("ranks", [1, 2, 3, 7, 16])
def test_odd_text_is_counted_as_by_plain_python(ranks):
    # bad bytes, blanks and marks outside ASCII, sigmas, ligatures, code 0
    path = ROOT / "data" / "odd.txt"
    for encoding in ("utf-8-sig", "utf-8"):
        options = [f"encoding: {encoding}", "errors: replace", "top: 90", "lags: 40"]
        state = measure([path], *options, ranks=ranks)
        data = path.read_bytes()
        assert_counts(state, count(data, encoding, "replace", 90, 40))
        # what Python inserts, without those that stand in the text
        inserted = data.decode("utf-8", "replace").count("\ufffd")
        assert state["replaced"][0] == inserted - data.count("\ufffd".encode())


CHARACTERS = st.characters(exclude_categories=["Cs"])
PIECES = st.one_of(
    st.sampled_from(["a", "b", "The", "the", "Σ", "ΑΣ", "\u2019", "\u00a0", "\u2028"]),
    st.sampled_from(
        ["\r\n", "\n", "\x1c", "\x85", "\0", "A", "\ufeff", "K", "eightbyt"]
    ),
    st.sampled_from([*DELIMITERS, " ", " ", " ", "\u3000", "é", "É", "中文"]),
    st.text(CHARACTERS, max_size=12),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join).map(str.encode)
ANY_BYTES = st.lists(st.one_of(TEXTS, st.binary(max_size=9)), max_size=8).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(
    data=st.one_of(TEXTS, ANY_BYTES).filter(len),
    ranks=st.integers(1, 7),
    threads=st.integers(1, 2),
    lags=st.integers(1, 30),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
    ways=st.sampled_from([("text", "gather"), ("words", "gather"), ("words", "p2p")]),
    chunk=st.sampled_from([8, 16, 64, 1 << 20]),
    window=st.sampled_from([40, 200, 1 << 28]),
)
def test_any_bytes_on_any_ranks_are_counted_as_by_plain_python(
    tmp_path_factory, data, ranks, threads, lags, encoding, ways, chunk, window
):
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "CHUNK", chunk)
        patch.setattr(counting, "WINDOW", window)
        patch.setattr(words, "WINDOW", window)
        patch.setattr(ranges, "LOOK", chunk)
        options = [f"encoding: {encoding}", "errors: replace", f"lags: {lags}"]
        options += [f"distribute: {ways[0]}", f"collect: {ways[1]}", "top: 40"]
        state = measure([path], *options, ranks=ranks, threads=threads)
    assert_counts(state, count(data, encoding, "replace", 40, lags))
