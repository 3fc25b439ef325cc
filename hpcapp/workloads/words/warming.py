# SPDX-License-Identifier: MIT
"""Compilation of the kernels, with the types that the steps use."""

import numpy as np

from hpcapp.checksum import checksum_block
from hpcapp.device import Device
from hpcapp.workloads.words.positions import Part, locate
from hpcapp.workloads.words.segment import Segment, Text, word_table
from hpcapp.workloads.words.spelling import Spelling, spell_words
from hpcapp.workloads.words.table import Table

__all__ = ["warm_up"]


def warm_up(device: Device) -> None:
    """Call each kernel once.

    Parameters
    ----------
    device : Device
        Where positions and pairs are counted.
    """
    from hpcapp.workloads.words.entry_kernels import owners_cpu
    from hpcapp.workloads.words.table_kernels import refill_cpu

    data = np.frombuffer(bytearray(b"One two\xc2\xa0three"), np.uint8)
    text = Text()
    number = text.split(data, word_table())
    spelling = Spelling(spell_words, "strict")
    ids = spelling.table.count(text.cells, text.bounds, number, 0)
    spelling.resolve()
    words = spelling.words()
    table = Table()
    table.add(words)
    owners_cpu(
        np.empty(words.size, np.int64), words.arena, words.begin, words.length, 1
    )
    refill_cpu(np.zeros(4, np.uint32), np.zeros((2, 2), np.uint64), 0)
    segment = Segment([], "utf-8", "strict", False)
    segment.spelling, segment.ids = spelling, [ids]
    located = locate(device, [segment], [b"two"], Part(0, words.size, 1))
    located.count([np.zeros(0, np.int64)], 2)
    checksum_block(np.zeros(2, np.uint64), (0,), (2,))
