# SPDX-License-Identifier: MIT
"""The autocorrelation with segments or with words dealt out, on the ranks of a job.

``mpirun -np 2 python -m tests.benchmarks.ways_rank FILE [TOP:LAGS ...]`` prints the
seconds of the slowest rank by each way, the best of some repeats in turn, from the
counted text to the pairs on all ranks, and compares the pairs.
"""

import os
import sys
import time
from typing import Any

import numpy as np
from mpi4py import MPI

from hpcapp.device import Device, prepare_cache
from hpcapp.mpi.comm import Comm

__all__: list[str] = []

REPEATS = 3


def main(path: str, cases: list[str]) -> None:
    """Count the text and time both ways for each case."""
    prepare_cache(os.environ)
    from hpcapp.workloads.words.counting import WINDOW, count_window
    from hpcapp.workloads.words.inputs import find_files, make_books
    from hpcapp.workloads.words.parameters import Parameters
    from hpcapp.workloads.words.table import Entries, Table
    from hpcapp.workloads.words.vocabulary import highest, share_out
    from hpcapp.workloads.words.warming import warm_up

    comm, device = Comm(MPI.COMM_WORLD), Device(1)
    warm_up(device)
    (book,) = make_books(find_files([path]), False)
    if book.size > WINDOW:
        raise SystemExit(f"{path}: must fit in a window of {WINDOW} bytes")
    segments = count_window(comm, device, Parameters(), book, 0, False)
    ids = [segment.ids for segment in segments]
    table = Table()
    share_out(comm, table, Entries.join([s.spelling.words() for s in segments]))
    for case in cases or ["16:100"]:
        top, lags = map(int, case.split(":"))
        chosen = highest(comm, table, top).words
        best: dict[str, float] = {}
        pairs = {}
        for _ in range(REPEATS):
            for way in ("text", "words"):
                for segment, kept in zip(segments, ids, strict=True):
                    segment.ids = list(kept)
                asked = Parameters(top=top, lags=lags, distribute=way)
                seconds, pairs[way] = _time(comm, device, asked, segments, chosen)
                best[way] = min(seconds, best.get(way, seconds))
        if comm.root:
            same = bool((pairs["text"] == pairs["words"]).all())
            seconds = ", ".join(f"{way} {best[way]:.4f} s" for way in best)
            where = f"{book.size / 1e6:.1f} MB, {comm.size} ranks"
            print(f"{where}, {top} words, {lags} lags: {seconds}, equal {same}")


def _time(
    comm: Comm, device: Device, asked: Any, segments: Any, chosen: list[bytes]
) -> tuple[float, np.ndarray]:
    """Return the seconds of the slowest rank, and the pairs."""
    from hpcapp.workloads.words.correlation import Tail, count_pairs

    nothing = Tail(0, np.zeros(0, np.int32), np.zeros(0, np.int64))
    comm.barrier()
    start = time.perf_counter()
    pairs, _ = count_pairs(comm, device, asked, segments, chosen, nothing)
    seconds = np.array([time.perf_counter() - start])
    return float(comm.max(seconds)[0]), pairs


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
