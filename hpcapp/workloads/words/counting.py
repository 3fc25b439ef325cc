# SPDX-License-Identifier: MIT
"""A window of a book, counted by all ranks and their threads."""

from typing import TYPE_CHECKING

from hpcapp.device import Device
from hpcapp.errors import HpcappError
from hpcapp.workloads.words.inputs import Book
from hpcapp.workloads.words.ranges import cut_pieces
from hpcapp.workloads.words.segment import Segment
from hpcapp.workloads.words.spelling import BadBytesError

if TYPE_CHECKING:
    from hpcapp.mpi.comm import Comm
    from hpcapp.workloads.words.parameters import Parameters

__all__ = ["WINDOW", "count_window", "count_windows"]

WINDOW = 1 << 28
"""Bytes of a book that all ranks together count between two yields."""


def count_windows(book: Book) -> int:
    """Return the windows of a book: its size fixes them."""
    return -(-book.size // WINDOW)


def count_window(
    comm: "Comm",
    device: Device,
    parameters: "Parameters",
    book: Book,
    window: int,
    stems: bool,
) -> list[Segment]:
    """Count the words of a window of a book; collective.

    Parameters
    ----------
    comm : Comm
        The ranks.
    device : Device
        Its threads have a segment each.
    parameters : Parameters
        Encoding and errors.
    book : Book
        The text.
    window : int
        Number of the window, from 0.
    stems : bool
        Whether the words between blanks alone are wanted too.

    Returns
    -------
    list of Segment
        This rank's, counted, in the order of the text.

    Raises
    ------
    HpcappError
        If bytes are not UTF-8, with file and offset, or a file cannot be read.
    """
    low = window * WINDOW
    size = min(WINDOW, book.size - low)
    parts = comm.size * device.threads
    mine = range(comm.rank * device.threads, (comm.rank + 1) * device.threads)
    segments, fault = [], None
    try:
        for part in mine:
            ends = (low + size * k // parts for k in (part, part + 1))
            pieces = cut_pieces(book, *ends)
            p = parameters
            segments.append(Segment(pieces, p.encoding, p.errors, stems))
        device.launch(Segment.count, [(segment,) for segment in segments])
    except BadBytesError as error:
        path, offset = book.place(error.byte)
        fault = (
            error.byte,
            f"{path}: byte {offset}: not UTF-8: {error.reason}; convert the file, or "
            "count such bytes with parameters.errors: replace",
        )
    except OSError as error:
        fault = (low, f"{error.filename}: cannot be read: {error.strerror}")
    except HpcappError as error:
        fault = (low, str(error))
    # the same error on all ranks: the one that comes first in the text
    faults = [found for found in comm.all(fault) if found is not None]
    if faults:
        raise HpcappError(f"words: {min(faults)[1]}")
    return segments
