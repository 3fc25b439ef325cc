# SPDX-License-Identifier: MIT
"""Words on a simulated GPU against what plain Python and NumPy find."""

from itertools import pairwise

import numpy as np
import pytest

from hpcapp.gpu.device import SIMULATED, CudaDevice, Gpu
from hpcapp.workloads import words
from hpcapp.workloads.words import counting, on_gpu, segment
from hpcapp.workloads.words.inputs import Book, File
from hpcapp.workloads.words.positions import Part, hold, locate
from hpcapp.workloads.words.ranges import cut_pieces

# as the kernels get them: of six runs two are words that are listed, the last three are
# no word, three words and two words
PLACE = np.array([0, -1, 1, -2, -3, -4], np.int32)
STARTS, PLACES = np.array([0, 0, 3, 5]), np.array([1, -1, 1, 0, 2])
WORDS_OF = [[0], [-1], [1], [], [1, -1, 1], [0, 2]]


@pytest.fixture(scope="module")
def gpu(world):
    if not world.root:
        pytest.skip("runs on one rank")
    return CudaDevice(1, Gpu("simulator", SIMULATED))


def runs(number):
    """Return numbers of runs and what words they are, one after the other."""
    ids = np.random.default_rng(5).integers(0, len(PLACE), number, np.int32)
    return ids, [word for run in ids for word in WORDS_OF[run]]


def test_words_are_counted_in_the_share_of_each_block(gpu):
    from hpcapp.workloads.words.cuda_kernels import count_places_cuda

    ids, _ = runs(23)
    cursors = gpu.to_device(np.full((3, 4), 99, np.int32))
    tables = [gpu.to_device(table) for table in (ids, PLACE, STARTS, PLACES)]
    gpu.start(count_places_cuda, (3, 4), cursors, *tables)
    shares = ids[:8], ids[8:16], ids[16:]
    for row, share in zip(gpu.from_device(cursors), shares, strict=True):
        found = [word for run in share for word in WORDS_OF[run]]
        assert row.tolist() == [*(found.count(k) for k in range(3)), len(found)]


@pytest.mark.parametrize("rows", [1, 4, 11])
def test_counts_of_blocks_are_stacked(gpu, rows):
    from hpcapp.workloads.words.cuda_kernels import stack_cuda

    counts = np.random.default_rng(6).integers(0, 9, (rows, 3), np.int32)
    start = np.array([5, 0, 100], np.int32)
    cursors, after = gpu.to_device(counts), gpu.to_device(start)
    gpu.start(stack_cuda, (2, 4), cursors, after)
    ends = start + np.cumsum(counts, axis=0)
    assert (gpu.from_device(cursors) == ends - counts).all()
    assert (gpu.from_device(after) == ends[-1]).all()


@pytest.mark.parametrize("threads", [1, 4])
def test_positions_are_written_in_the_order_of_the_text(gpu, threads):
    from hpcapp.workloads.words.cuda_kernels import locate_cuda

    (ids, found), at, reach = runs(29), 1000, 7
    expected = [[at + i for i, w in enumerate(found) if w == k] for k in range(3)]
    bounds = np.cumsum([0, *map(len, expected)])
    positions = gpu.empty(int(bounds[-1]), np.int32)
    last = gpu.to_device(np.full(reach, -1, np.int32))
    near = at + len(found) - reach
    cursors = gpu.to_device(np.array([[*bounds[:-1], at]], np.int32))
    tables = [gpu.to_device(table) for table in (ids, PLACE, STARTS, PLACES)]
    gpu.start(locate_cuda, (1, threads), positions, last, near, cursors, *tables)
    assert gpu.from_device(positions).tolist() == np.concatenate(expected).tolist()
    assert gpu.from_device(last).tolist() == found[-reach:]
    # and it is known where the next ones go
    assert gpu.from_device(cursors).tolist() == [[*bounds[1:], at + len(found)]]


# with blanks outside ASCII, which runs of bytes may contain
TEXT = "to be or\u00a0not to\u3000be \u2003 that. \u00e9t\u00e9\u00a0to\u00a0to BE\n"


@pytest.mark.parametrize("piece", [5, 1 << 24])
@pytest.mark.parametrize("reach", [0, 4, 1000])
def test_segments_of_a_text_follow_one_another(
    gpu, tmp_path, monkeypatch, piece, reach
):
    path = tmp_path / "a.txt"
    path.write_text(TEXT * 9, "utf-8")
    book = Book("a", (File(str(path), path.stat().st_size),))
    monkeypatch.setattr(on_gpu, "PIECE", piece)
    monkeypatch.setattr(segment, "CHUNK", 64)
    cuts = [0, book.size // 3, book.size // 2, book.size]
    segments = []
    for ends in pairwise(cuts):
        pieces = cut_pieces(book, *ends)
        segments.append(segment.Segment(pieces, "utf-8", "strict", False))
        segments[-1].count()
    found = (TEXT * 9).replace(".", " ").lower().split()
    chosen, at = ["to", "be", "\u00e9t\u00e9", "that"], 10**12
    expected = [[at + i for i, w in enumerate(found) if w == one] for one in chosen]
    part = Part(at, len(found), reach)
    located = locate(gpu, segments, [word.encode() for word in chosen], part)
    assert [positions.tolist() for positions in located.lists()] == expected
    for begin in (at + len(found) - reach, at + len(found) - reach // 2):
        pairs = located.near(begin).tolist()
        assert sorted(pairs) == [
            [place, i]
            for place, many in enumerate(expected)
            for i in many
            if i >= begin
        ]
    # nothing is kept twice
    assert [one.ids for one in segments] == [[], [], []]


def pairs_of(marks, before, lags):
    """Count pairs in an array that tells which word stands where."""
    found = np.zeros((marks.max() + 1, lags), np.int64)
    for word in range(len(found)):
        here = marks == word
        for lag in range(lags):
            second = np.arange(max(before, lag), marks.size)
            found[word, lag] = (here[second] & here[second - lag]).sum()
    return found


@pytest.mark.parametrize("width", [7, 4096])
@pytest.mark.parametrize("before, lags", [(0, 1), (0, 12), (11, 12), (30, 40)])
def test_pairs_are_those_of_a_count_by_lag(gpu, monkeypatch, width, before, lags):
    from hpcapp.workloads.words import cuda_kernels

    for module in (cuda_kernels, on_gpu):
        monkeypatch.setattr(module, "WIDTH", width)
    rng = np.random.default_rng(7)
    # a frequent word, and one that does not occur in the part
    marks = rng.choice([-1, 0, 1, 3], 90, p=[0.3, 0.5, 0.15, 0.05])
    marks[2], reach, at = 2, lags - 1, 10**12
    first = max(0, before - reach)
    own, old = (
        [at + low + np.flatnonzero(marks[low:high] == word) for word in range(4)]
        for low, high in ((before, 90), (first, before))
    )
    positions = hold(gpu, own, Part(at + before, 90 - before, reach))
    found = positions.count(old, lags)
    if before == 0:
        assert found[:, 0].tolist() == [(marks == word).sum() for word in range(4)]
    assert (found == pairs_of(marks, before, lags)).all()


def test_one_word_over_and_over_has_a_pair_fewer_at_each_distance(gpu):
    positions = hold(gpu, [np.arange(50)], Part(0, 50, 60))
    found = positions.count([np.zeros(0, np.int64)], 61)
    assert found.tolist() == [[*range(50, 0, -1), *[0] * 11]]


@pytest.mark.parametrize("devices", [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_run_goes_on_elsewhere_between_two_windows(
    world, folder, harness, monkeypatch, devices
):
    for module in (counting, words):
        monkeypatch.setattr(module, "WINDOW", 900)
    config = harness.ROOT / "tests" / "simulated" / "words.yaml"
    first, then = (f"run.device={device}" for device in devices)
    target, straight = folder / "-".join(devices), folder / f"straight-{devices[0]}"
    # three windows are counted, the book is told, one of them is correlated
    outcome, _ = harness.run(world, config, target, (first,), stop_at=4)
    assert outcome.answer is None
    harness.run(world, config, target, (then,), resume=True)
    harness.run(world, config, straight, ("run.device=cpu",))
    if world.root:
        assert harness.load(target) == harness.load(straight)
