# SPDX-License-Identifier: MIT
"""How pieces of arrays get into messages and out of them. No MPI."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["ON_HOST", "OnHost", "Packing", "Slot"]


@dataclass(frozen=True)
class Slot:
    """A piece of an array and the buffer of its messages.

    Parameters
    ----------
    piece : array
        A view.
    message : buffer
        Contiguous, of the piece's size: what MPI sends or receives.
    bytes : int
        Of a message.
    """

    piece: Any
    message: Any
    bytes: int


class Packing(Protocol):
    """What an exchange needs to know of the memory that its arrays are in.

    Attributes
    ----------
    prompt : bool
        Whether messages may go as soon as `pack` has returned, else after `wait`.
    """

    prompt: bool

    def warm_up(self) -> None:
        """Compile what copies pieces."""
        ...

    def cut(self, array: Any, index: tuple[slice, ...]) -> Any:
        """Return a piece of an array, a view."""
        ...

    def slot(self, piece: Any) -> Slot:
        """Return a piece with a buffer for its messages."""
        ...

    def begin(self) -> None:
        """Let copies from now on find what has been computed up to now."""
        ...

    def pack(self, slots: Sequence[Slot]) -> None:
        """Begin to copy pieces into their buffers."""
        ...

    def wait(self) -> None:
        """Wait until what `pack` has begun is done."""
        ...

    def unpack(self, slots: Sequence[Slot]) -> None:
        """Begin to copy buffers into their pieces."""
        ...

    def pair(self, source: Any, target: Any) -> Any:
        """Return what `copy` needs to copy a piece into another of this rank."""
        ...

    def copy(self, pairs: Sequence[Any]) -> None:
        """Begin to copy pieces into others."""
        ...

    def finish(self) -> None:
        """See to it that whoever uses the pieces from now on has the new values."""
        ...


class OnHost:
    """Arrays in the memory of the host."""

    prompt = True

    def warm_up(self) -> None:
        """Do nothing: NumPy copies."""

    def cut(self, array: np.ndarray, index: tuple[slice, ...]) -> np.ndarray:
        """Return a view."""
        found: np.ndarray = array[index]
        return found

    def slot(self, piece: np.ndarray) -> Slot:
        """Return a view with a buffer."""
        message = np.empty_like(piece, order="C", subok=False)
        return Slot(piece, message, message.nbytes)

    def begin(self) -> None:
        """Do nothing: what has been computed is there."""

    def pack(self, slots: Sequence[Slot]) -> None:
        """Copy pieces into their buffers."""
        for slot in slots:
            np.copyto(slot.message, slot.piece)

    def wait(self) -> None:
        """Do nothing: `pack` is done when it returns."""

    def unpack(self, slots: Sequence[Slot]) -> None:
        """Copy buffers into their pieces."""
        for slot in slots:
            np.copyto(slot.piece, slot.message)

    def pair(self, source: np.ndarray, target: np.ndarray) -> Any:
        """Return both."""
        return source, target

    def copy(self, pairs: Sequence[Any]) -> None:
        """Copy pieces into others."""
        for source, target in pairs:
            np.copyto(target, source)

    def finish(self) -> None:
        """Do nothing: all is done."""


ON_HOST = OnHost()
