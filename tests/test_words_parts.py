# SPDX-License-Identifier: MIT
"""Parts of the words: ranges, inputs, extension, errors, stems, Zipf's law."""

import math
import os
import runpy
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from test_words import ROOT, books, measure, problem, run

from hpcapp.checksum import checksum_array
from hpcapp.cli import build_parser
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.workloads import words
from hpcapp.workloads.words import inputs, stemming
from hpcapp.workloads.words.inputs import Book, File
from hpcapp.workloads.words.ranges import Reader, cut_pieces
from hpcapp.workloads.words.sampling import take_sample
from hpcapp.workloads.words.spelling import letters
from hpcapp.workloads.words.zipf import fit_zipf

GENERATOR = ROOT / "data" / "make-corpus"


def book_of(*paths):
    return Book("b", tuple(File(str(path), path.stat().st_size) for path in paths))


# --- ranges


def read(book, cuts, chunk):
    """Return what readers between cuts read, and their checksums of each file."""
    bounds = [0, *cuts, book.size]
    read, sums = [], [0] * len(book.files)
    for low, high in pairwise(bounds):
        reader = Reader(cut_pieces(book, low, high), False, chunk)
        read.append(b"".join(part.data.tobytes() for part in reader.chunks()))
        for file, value in reader.sums.items():
            sums[file] = (sums[file] + value) % 2**64
    return read, sums


@pytest.mark.parametrize("chunk", [8, 24, 1 << 20])
def test_every_cut_falls_before_a_blank_and_loses_no_byte(tmp_path, chunk):
    text = "\ufeffein  Wort,\r\nzwölf \U0001d518 dr\u00a0ei".encode()
    path = tmp_path / "a.txt"
    path.write_bytes(text)
    for cut in range(1, len(text)):
        (left, right), _ = read(book_of(path), [cut], chunk)
        assert left + right == text
        # cuts are made at 64-bit words; then they move on to a blank or to the end
        start = cut // 8 * 8
        found = [i for i in range(start, len(text)) if text[i : i + 1].isspace()]
        expected = 0 if start == 0 else [*found, len(text)][0]
        assert len(left) == expected


def test_files_of_any_size_are_balanced_by_bytes(tmp_path):
    paths = []
    for number, size in enumerate([10, 1000, 100_000, 3, 20_000]):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_bytes(b"ab " * (size // 3) + b"c" * (size % 3))
    book = book_of(*paths)
    cuts = [book.size * k // 7 for k in range(1, 7)]
    parts, _ = read(book, cuts, 64)
    assert b"".join(parts) == b"".join(path.read_bytes() for path in paths)
    # a blank is never far, and cuts are multiples of 8
    assert max(map(len, parts)) - min(map(len, parts)) <= 32


def test_sums_of_all_readers_are_the_checksum_of_the_file(tmp_path):
    paths, expected = [], []
    for number, size in enumerate([1, 8, 13, 5000]):
        data = np.random.default_rng(number).integers(0, 256, size, np.uint8)
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_bytes(data.tobytes())
        filled = np.concatenate((data, np.zeros(-size % 8, np.uint8)))
        expected.append(checksum_array(filled.view("<u8")))
    for cuts in ([], [3], [9, 10, 2000, 2001, 4999]):
        assert read(book_of(*paths), cuts, 16)[1] == expected


def test_word_longer_than_a_chunk_and_a_range_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 1000 + b" y " + b"z" * 5000)
    parts, _ = read(book_of(path), [2000, 3000, 4000], 16)
    assert parts == [path.read_bytes(), b"", b"", b""]


def test_file_that_becomes_shorter_ends_with_its_name(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"one two three")
    pieces = cut_pieces(book_of(path), 0, 13)
    path.write_bytes(b"one")
    with pytest.raises(HpcappError, match=r"a.txt: ends at byte 3, had 13 bytes"):
        list(Reader(pieces, False, 64).chunks())


# --- inputs


def test_patterns_are_sorted_and_paths_keep_their_order(tmp_path):
    for name in ("b.txt", "a.txt", "c.txt"):
        (tmp_path / name).write_text("x")
    found = inputs.find_files([f"{tmp_path}/c.txt", f"{tmp_path}/*.txt"])
    names = [os.path.basename(file.path) for file in found]
    assert names == ["c.txt", "a.txt", "b.txt", "c.txt"]
    books = inputs.make_books(found, False)
    assert [book.name for book in books] == ["c", "a", "b", "c"]
    (merged,) = inputs.make_books(found, True)
    assert (merged.name, merged.size) == ("all", 4)
    assert merged.place(2) == (f"{tmp_path}/b.txt", 0)


def test_path_with_the_letters_of_a_pattern_is_a_path(tmp_path):
    path = tmp_path / "a[1].txt"
    path.write_text("x")
    assert [file.path for file in inputs.find_files([str(path)])] == [str(path)]


@pytest.mark.parametrize(
    "name, rule",
    [
        ("none.txt", r"must name files, got .*none.txt: no such file; a pattern such"),
        ("*.nix", r"must match at least one file, got .*\*.nix: nothing is called"),
        ("", r"must name files, got .*: a directory; .*/\*.txt are its texts"),
        ("empty.txt", r"must name files with text, got .*empty.txt: empty"),
        ("pipe", r"must name plain files, got .*null: it has no length"),
    ],
)
def test_inputs_that_cannot_be_counted_are_refused(tmp_path, name, rule):
    (tmp_path / "empty.txt").touch()
    text = "/dev/null" if name == "pipe" else f"{tmp_path}/{name}"
    with pytest.raises(ConfigError, match=rf"^parameters.inputs: {rule}"):
        problem(f'inputs: ["{text}"]').workload.check()


def test_pattern_that_the_shell_has_expanded_gets_a_hint(capsys):
    arguments = ["run", "c.yaml", "--set", "parameters.inputs=[", "a.txt", "b.txt", "]"]
    with pytest.raises(SystemExit):
        build_parser().parse_args(arguments)
    told = capsys.readouterr().err
    assert "unrecognized arguments: a.txt b.txt ]; a value with blanks or *" in told
    assert "stands in quotes: --set 'KEY=VALUE'; see hpcapp --help" in told


def test_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("x")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    # for root every file can be read
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError, match=r"that can be read, got .*: Permission den"):
        inputs.find_files([str(path)])


def test_parameters_out_of_range_are_refused():
    for line, rule in [
        ("inputs: []", "parameters.inputs: must have at least an item"),
        ("inputs: 3", "parameters.inputs: must be a list"),
        ("top: 0", "parameters.top: must be >= 1, got 0"),
        ("merge: 1", "parameters.merge: must be true or false"),
        ("stem: snowball", "parameters.stem: must be one of 'none' or 'porter'"),
    ]:
        with pytest.raises(ConfigError, match=rule):
            problem(line)


def sample_of(path, words):
    """Write a book and return what `plan` sees of it, and how many words it has."""
    path.write_bytes(b" ".join(words))
    return take_sample(book_of(path), 7), len(words)


def test_words_of_a_small_book_are_known_to_the_plan(tmp_path):
    words = [b"%d" % (k % 700) for k in range(5000)]
    sample, number = sample_of(tmp_path / "a.txt", words)
    assert sample.expect(number) == pytest.approx(700)
    assert sample.density * (tmp_path / "a.txt").stat().st_size == number
    # none has more than 8 letters, and all are as frequent as one another
    assert sample.cells == 1
    assert sample.chosen == pytest.approx(7 / 700, rel=0.2)


@pytest.mark.parametrize("known", [1000, 10_000_000])
def test_plan_sees_a_vocabulary_that_ends_and_one_that_does_not(tmp_path, known):
    words = [b"%08d" % (k * 7919 % known) for k in range(1_000_000)]
    sample, number = sample_of(tmp_path / "a.txt", words)
    assert sample.words < number / 2
    expected = min(known, number)
    assert sample.expect(number) == pytest.approx(expected, rel=0.02)
    assert sample.expect(0) == 0


def test_text_without_words_needs_no_tables(tmp_path):
    sample, _ = sample_of(tmp_path / "a.txt", [b"..."] * 100)
    assert sample.expect(1e9) == 0


def test_memory_is_shared_by_ranks_and_that_of_the_largest_book(tmp_path, monkeypatch):
    # one thread a rank, whatever this machine has
    monkeypatch.setattr(words, "cores", lambda: (0,))
    large = [b"%08d" % k for k in range(500_000)]
    (tmp_path / "a.txt").write_bytes(b" ".join(large))
    (tmp_path / "b.txt").write_text("some words more")
    asked = problem(f"inputs: {tmp_path}/*.txt")
    layouts = {ranks: asked.layout(ranks) for ranks in (1, 4)}
    used = {n: asked.workload.memory(one, 0) for n, one in layouts.items()}
    # each word is new: a number, two tables, and text of 8 bytes in each
    assert used[1] > 500_000 * (4 + 2 * (8 + 36))
    assert used[4] == pytest.approx(used[1] / 4, rel=0.01)


# --- bad bytes


@pytest.mark.parametrize("ranks", [1, 3])
def test_first_bad_byte_is_named_with_file_and_offset(tmp_path, ranks):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_bytes("fünf\u00a0Wörter ".encode() * 9)
    data = "zwei\u3000Wörter, dann ".encode() * 9 + b"caf\xe9 " * 5
    bad.write_bytes(data)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        offset = error.start
    message = f"words: {bad}: byte {offset}: not UTF-8: "
    for merge in ("true", "false"):
        with pytest.raises(HpcappError) as caught:
            measure([good, bad], f"merge: {merge}", ranks=ranks)
        assert str(caught.value).startswith(message)


def test_replacements_are_a_warning_of_the_answer(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a \xff\xfe b\n")
    state = measure([path], "errors: replace")
    answer = problem("top: 16").workload.answer(state)
    assert answer.warning == "2 replacement characters for bytes that are not UTF-8"
    assert answer.values["replaced"] == 2


def test_file_without_words_has_none(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b" -- \r\n ... \xc2\xa0 ")
    state = measure([path], "top: 2", "lags: 3", ranks=2)
    assert (state["total"][0], state["distinct"][0]) == (0, 0)
    assert state["word"].tolist() == [["", ""]]
    assert np.isnan(state["acf"]).all()
    assert np.isnan(state["mean_acf"]).all()
    assert np.isnan(state["zipf_exponent"]).all()
    assert "0 words in 1 book" in problem("top: 16").workload.answer(state).text


# --- extension


def test_more_inputs_may_follow_those_of_before_and_nothing_else():
    workload = problem("inputs: [a.txt, b.txt]").workload
    assert workload.extendable() == {"inputs"}
    workload.check_extension({"inputs": ["a.txt"]})
    for before in (["b.txt"], ["a.txt", "b.txt", "c.txt"]):
        with pytest.raises(
            ConfigError, match=r"must begin with those of before .* was "
        ):
            workload.check_extension({"inputs": before})
    assert (
        problem("inputs: [a.txt]", "merge: true").workload.extendable() == frozenset()
    )


def test_books_that_have_changed_since_are_refused(tmp_path):
    a, b = tmp_path / "a.txt", tmp_path / "b.txt"
    a.write_text("one two one")
    b.write_text("three")
    state = measure([a], "top: 2", "lags: 2")
    both = problem(f"inputs: [{a}, {b}]", "top: 2", "lags: 2").workload
    resumed = run(both, state=state)[0]
    assert resumed["book"].tolist() == ["a", "b"]
    assert resumed["word"].tolist() == [["one", "two"], ["three", ""]]
    a.write_text("one two one two")
    again = problem(f"inputs: [{a}, {b}]", "top: 2", "lags: 2").workload
    with pytest.raises(HpcappError, match=r"file 1 must be .*a.txt of 11 bytes, as it"):
        run(again, state=state)


# --- stems


def test_stems_are_those_of_the_definition():
    from nltk.stem import PorterStemmer

    path = ROOT / "data" / "odd.txt"
    stem = PorterStemmer().stem
    tokens = path.read_bytes().decode("utf-8-sig", "replace").split()
    only = ("".join(c for c in token if c.isalpha()) for token in tokens)
    expected = len({stem(token) for token in only if token})
    for ranks in (1, 2, 5):
        state = measure([path], "stem: porter", "errors: replace", ranks=ranks)
        assert state["stems"].tolist() == [expected]
    assert measure([path], "errors: replace")["stems"].tolist() == [-1]


@pytest.mark.medium
def test_book_has_the_stems_that_the_definition_gives_as_an_example():
    path = next(path for path in books() if path.stem == "pg87")
    assert measure([path], "stem: porter", "lags: 1")["stems"].tolist() == [17805]


def test_letters_are_those_of_unicode():
    assert letters("don't1éΣ中_") == "dontéΣ中"


def test_stemmer_that_is_missing_is_told_before_work_starts(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("x")
    monkeypatch.setattr(stemming, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"parameters.stem: porter needs NLTK, which"):
        problem(f"inputs: {path}", "stem: porter").workload.check()


# --- Zipf's law


def grouped(counts):
    """Return distinct counts, descending, and how often each occurs."""
    values, words = np.unique(counts, return_counts=True)
    return values[::-1], words[::-1]


def test_exact_power_law_has_its_exponent_by_least_squares():
    counts = np.array([2520 * 1000 // k for k in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)])
    exponent, error = fit_zipf(*grouped(counts))
    assert exponent[:2] == pytest.approx([-1, -1], abs=1e-9)
    assert error[:2] == pytest.approx([0, 0], abs=1e-8)


def test_ten_highest_have_the_fit_and_error_of_scipy():
    from scipy.optimize import curve_fit

    for highest in (
        [9115, 8368, 7711, 5480, 3492, 3376, 2884, 2792, 2703, 2701],
        [762, 762, 560, 555, 301, 244, 224, 200, 195, 184],
        [186, 120, 94, 88, 82, 78, 71, 68, 60, 57],
        [64304, 51762, 34843, 13680, 12927, 12727, 10422, 9840, 8997, 8997],
        [7, 7, 1, 1, 1],
        [1000, 3, 2, 1],
    ):
        counts = np.array([*highest, *[highest[-1]] * 3])
        places = np.arange(1.0, min(len(counts), 10) + 1)
        best, covariance = curve_fit(
            lambda x, a, s: a * x**s,
            places,
            counts[:10],
            (counts[0], -0.5),
            ftol=1e-15,
            xtol=1e-15,
            gtol=1e-15,
        )
        exponent, error = fit_zipf(*grouped(counts))
        assert exponent[0] == pytest.approx(best[1], rel=1e-6)
        assert error[0] == pytest.approx(math.sqrt(covariance[1, 1]), rel=1e-5)


def test_line_through_logarithms_is_that_of_numpy():
    counts = np.sort(np.random.default_rng(3).zipf(1.7, 4000))[::-1]
    x, y = np.log(np.arange(1, 4001)), np.log(counts)
    (slope, _), covariance = np.polyfit(x, y, 1, cov=True)
    exponent, error = fit_zipf(*grouped(counts))
    assert exponent[1] == pytest.approx(slope, rel=1e-10)
    # polyfit divides by n - 2 too
    assert error[1] == pytest.approx(math.sqrt(covariance[0, 0]), rel=1e-8)


def test_likelihood_finds_the_exponent_that_places_were_drawn_with():
    rng = np.random.default_rng(5)
    places = np.arange(1, 501.0)
    for s in (-0.8, -1.0, -1.6):
        weights = places**s / (places**s).sum()
        counts = np.sort(rng.multinomial(2_000_000, weights))[::-1]
        exponent, error = fit_zipf(*grouped(counts[counts > 0]))
        assert abs(exponent[2] - s) < 5 * error[2]
        # Fisher's information of two million draws
        mean = (weights * np.log(places)).sum()
        variance = (weights * (np.log(places) - mean) ** 2).sum()
        assert error[2] == pytest.approx((2e6 * variance) ** -0.5, rel=0.02)


def test_too_few_words_have_no_exponent():
    exponent, error = fit_zipf(np.array([5]), np.array([1]))
    assert np.isnan(exponent).all()
    assert np.isnan(error).all()
    # equal counts have the exponent 0, as far as it is known
    exponent, _ = fit_zipf(np.array([5]), np.array([4]))
    assert exponent == pytest.approx([0, 0, 0], abs=1e-7)


# --- the generator


def generate(path, *options):
    command = [sys.executable, GENERATOR, "-o", path, *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    "name, options",
    [
        ("one", ["--words", 20000]),
        ("two", "--words 12000 --seed 2 --exponent -1.2 --vocabulary 3000 --repeat 0"),
        ("three", "--words 6000 --seed 3 --period 3 --repeat 0.5 --bom --crlf"),
    ],
)
def test_generator_makes_the_texts_that_are_kept(tmp_path, name, options):
    options = options.split() if isinstance(options, str) else options
    assert generate(tmp_path / "t.txt", *options).returncode == 0
    kept = ROOT / "data" / "corpus" / f"{name}.txt"
    assert (tmp_path / "t.txt").read_bytes() == kept.read_bytes()


@pytest.mark.medium
def test_generated_text_has_the_law_and_correlation_that_were_asked_for(tmp_path):
    path, n, period, repeat = tmp_path / "t.txt", 400_000, 5, 0.4
    options = ["--words", n, "--period", period, "--repeat", repeat]
    generate(path, *options, "--vocabulary", 300, "--exponent", -0.9)
    state = measure([path], "top: 5", "lags: 16", ranks=3)
    assert state["total"][0] == n
    assert abs(state["zipf_exponent"][0, 2] + 0.9) < 0.01
    spell = runpy.run_path(str(GENERATOR))["spell"]
    weights = np.arange(1.0, 301) ** -0.9
    p = (weights / weights.sum())[:5]
    assert state["word"][0].tolist() == [spell(place) for place in range(1, 6)]
    lags = np.arange(16)
    kept = np.where(lags % period == 0, repeat ** (lags // period), 0.0)
    expected = p[:, None] + (1 - p[:, None]) * kept
    # a repeated word stands for others: fewer independent draws than occurrences
    errors = 6 * np.sqrt(2 * expected / state["occurrences"][0][:, None])
    assert (np.abs(state["acf"][0] - expected) < errors).all()


def test_generator_refuses_what_it_cannot_make(tmp_path):
    done = generate(tmp_path / "t.txt", "--words", 0)
    assert done.returncode == 2
    assert "--words: must be >= 1, got 0" in done.stderr
    done = generate(tmp_path / "t.txt", "--repeat", 1)
    assert "--repeat: must be >= 0 and < 1, got 1.0" in done.stderr
