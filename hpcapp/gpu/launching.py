# SPDX-License-Identifier: MIT
"""Launches of kernels at a fifth of what Numba's own take the host.

For each launch Numba finds out the types of all arguments, wraps arrays and makes
objects of numbers. A cycle of multigrid has hundreds of launches, many of them of
kernels that take the GPU less time than that. Here types are looked at once for each
kernel, and the words of an array once for each array. Needs hardware.

What is handed over is what Numba hands over: that is compared the first time, and
where it is not the same Numba goes on to do it.
"""

import ctypes
import threading
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["Launcher", "Unsuited", "flatten", "same_words"]

# a word of more is of another type for Numba
SIGNED = 1 << 63

# grids that are kept; Numba keeps 128, and the levels of a cycle have more
MOST = 4096


class Unsuited(Exception):  # noqa: N818
    """An argument that only Numba knows how to hand over."""


class Launcher:
    """Launches kernels on the GPU of this process.

    Attributes
    ----------
    functions : dict
        By kernel and kinds of arguments: the compiled function, or None where Numba
        launches.
    """

    def __init__(self) -> None:
        self.functions: dict[Any, Any] = {}
        self._arrays: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._configured: dict[Any, Any] = {}
        self._entered = threading.local()

    def start(self, kernel: Any, place: tuple[Any, ...], *arguments: Any) -> None:
        """Queue a kernel.

        Parameters
        ----------
        kernel : CUDA kernel
            As `hpcapp.gpu.kernels.kernel` makes it.
        place : tuple
            Blocks, threads, stream and bytes of dynamic shared memory.
        *arguments : Any
            Arrays of the GPU, numbers and tuples of them.
        """
        from cuda.core import launch

        configured, config = self._configure(kernel, place)
        kinds: list[Any] = [kernel]
        words: list[Any] = []
        try:
            flatten(arguments, kinds, words, self._arrays)
        except Unsuited:
            configured(*arguments)
            return
        key = tuple(kinds)
        if key not in self.functions:
            self.functions[key] = _launch_first(configured, arguments, words)
            return
        function = self.functions[key]
        if function is None:
            configured(*arguments)
            return
        if not getattr(self._entered, "here", False):
            self._enter()
            self._entered.here = True
        launch(configured.stream, config, function, *words)

    def _enter(self) -> None:
        """Let this thread use the GPU, as Numba does at each launch."""
        from numba import cuda

        cuda.current_context()

    def _configure(self, kernel: Any, place: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return what Numba and what the driver launch with."""
        from cuda.core import LaunchConfig

        known = self._configured.get((kernel, place))
        if known is None:
            configured = kernel[place]
            config = LaunchConfig(
                grid=configured.griddim,
                block=configured.blockdim,
                shmem_size=configured.sharedmem,
            )
            if len(self._configured) == MOST:
                self._configured.clear()
            known = self._configured[kernel, place] = configured, config
        return known


def flatten(
    arguments: Sequence[Any], kinds: list[Any], words: list[Any], arrays: Any
) -> None:
    """Add the kinds and the words of arguments of a kernel.

    Parameters
    ----------
    arguments : sequence
        Of a kernel.
    kinds : list
        What Numba tells their types by.
    words : list
        As a kernel takes them: of an array nothing of the host's memory (two words),
        its length, bytes of an item, address, shape and strides.
    arrays : mapping
        What is known of arrays.

    Raises
    ------
    Unsuited
        If there is something else than arrays, numbers and tuples.
    """
    for argument in arguments:
        kind = type(argument)
        if kind is tuple:
            kinds.append(len(argument))
            flatten(argument, kinds, words, arrays)
        elif issubclass(kind, float):
            kinds.append(float)
            words.append(ctypes.c_double(argument))
        elif kind is np.float32 or kind is bool:
            kinds.append(kind)
            words.append(argument if kind is bool else ctypes.c_float(argument))
        elif kind is int or kind is np.int64:
            kinds.append(-SIGNED <= argument < SIGNED)
            words.append(int(argument))
        elif hasattr(argument, "gpu_data"):
            known = arrays.get(argument)
            if known is None:
                known = arrays[argument] = _describe(argument)
            kinds.append(known[0])
            words += known[1]
        else:
            raise Unsuited(kind)


def _describe(array: Any) -> tuple[Any, tuple[int, ...]]:
    """Return the kind of an array and its words."""
    flags = array.flags
    repeats = bool(array.size) and 0 in array.strides
    layout = flags["C_CONTIGUOUS"], flags["F_CONTIGUOUS"], repeats
    address = array.device_ctypes_pointer.value or 0
    facts = (0, 0, array.size, array.dtype.itemsize, address)
    return (array.dtype.str, array.ndim, *layout), (
        *facts,
        *array.shape,
        *array.strides,
    )


def _launch_first(configured: Any, arguments: Sequence[Any], words: list[Any]) -> Any:
    """Let Numba compile and launch; return what later launches need."""
    found: list[Any] = []

    def look(kernel: Any, _: Any) -> None:
        found.append(kernel)

    configured.pre_launch_callbacks.append(look)
    try:
        configured(*arguments)
    finally:
        configured.pre_launch_callbacks.remove(look)
    kernel = found[-1]
    expected: list[Any] = []
    try:
        for kind, value in zip(kernel.argument_types, arguments, strict=True):
            kernel._prepare_args(kind, value, configured.stream, [], expected)
        function = kernel._codelibrary.get_cufunc().kernel
    except AttributeError:
        # a later Numba may do it otherwise
        return None
    return function if same_words(words, expected) else None


def same_words(words: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Tell whether words are those that Numba hands over.

    Parameters
    ----------
    words : sequence
        Integers, as words of 64 bits, bools, as bytes, and objects of ctypes.
    expected : sequence
        The same.

    Returns
    -------
    bool
        Whether they are as many, of the same types and values.
    """
    return len(words) == len(expected) and all(
        _bytes(word) == _bytes(other)
        for word, other in zip(words, expected, strict=True)
    )


def _bytes(word: Any) -> bytes:
    if isinstance(word, bool):
        return bytes([word])
    if isinstance(word, int):
        return (word % 2**64).to_bytes(8, "little")
    return bytes(word)
