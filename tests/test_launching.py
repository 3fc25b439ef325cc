# SPDX-License-Identifier: MIT
"""Laws of launches that go past Numba; those with a GPU are in test_on_gpu.py."""

import ctypes
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from hpcapp.gpu.launching import Launcher, Unsuited, flatten, same_words


class OnGpu:
    """What is looked at of an array of a GPU."""

    gpu_data = None

    def __init__(self, array):
        self.array = array
        self.device_ctypes_pointer = ctypes.c_void_p(array.ctypes.data)

    def __getattr__(self, name):
        return getattr(self.array, name)


def flat(*arguments):
    """Return kinds and words of arguments."""
    kinds, words = [], []
    flatten(arguments, kinds, words, {})
    return kinds, words


def test_words_of_an_array_are_those_of_numbas_convention():
    array = np.zeros((5, 4))
    view = array[1:4, 2:]
    _, words = flat(OnGpu(array), OnGpu(view))
    # Numba's array: meminfo, parent, items, bytes of one, data, shape, strides
    assert words[:9] == [0, 0, 20, 8, array.ctypes.data, 5, 4, 32, 8]
    at = array.ctypes.data + 8 * (4 + 2)
    assert words[9:] == [0, 0, 6, 8, at, 3, 2, 32, 8]


def test_numbers_and_tuples_become_words():
    double, single = np.float64(0.5), np.float32(0.25)
    _, words = flat(3, (-1, (double, 2.5)), single, np.int64(7), True)
    assert [getattr(word, "value", word) for word in words] == [
        *(3, -1, 0.5, 2.5, 0.25, 7, True)
    ]
    sizes = [bytes(word) for word in words if isinstance(word, ctypes._SimpleCData)]
    assert [len(size) for size in sizes] == [8, 8, 4]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 2, True),
        (1, 2**63, False),
        (1, 1.0, False),
        (1.0, np.float64(2.0), True),
        (1.0, np.float32(1.0), False),
        (1, True, False),
        ((1, 2), (3, 4), True),
        ((1, 2), (1, 2, 3), False),
        ((1, 2.0), (1.0, 2), False),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.zeros((5, 4))), True),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.zeros((5, 4))[:, 1:3]), False),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.zeros((2, 3)).T), False),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.zeros((2, 3), np.int64)), False),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.zeros(6)), False),
        (OnGpu(np.zeros((2, 3))), OnGpu(np.broadcast_to(np.zeros(3), (2, 3))), False),
    ],
)
def test_kinds_tell_types_of_numba_apart(one, other, same):
    assert (flat(one)[0] == flat(other)[0]) == same


def test_what_numba_alone_can_hand_over_is_left_to_it():
    for argument in (np.zeros(3), np.int32(1), 1j, "x"):
        with pytest.raises(Unsuited):
            flat(argument)


def test_words_are_compared_by_type_and_value():
    double, long = ctypes.c_double, ctypes.c_int64
    assert same_words([1, double(0.5), True], [long(1), double(0.5), True])
    assert same_words([-1, double(np.nan)], [-1, double(np.nan)])
    assert not same_words([1], [1, 0])
    assert not same_words([1], [ctypes.c_int32(1)])
    assert not same_words([1], [True])
    assert not same_words([double(1.0)], [ctypes.c_float(1.0)])
    assert not same_words([double(0.0)], [double(-0.0)])


@pytest.fixture
def launches(monkeypatch):
    """Return what the driver is told to launch."""
    found = []
    core = SimpleNamespace(
        LaunchConfig=lambda **facts: facts, launch=lambda *facts: found.append(facts)
    )
    entered = []
    core.entered = entered
    monkeypatch.setattr(Launcher, "_enter", lambda launcher: entered.append(launcher))
    monkeypatch.setitem(sys.modules, "cuda", SimpleNamespace(core=core))
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    return found


class Kernel:
    """A kernel of Numba, as far as launches need it."""

    argument_types = ("long", "double")

    def __init__(self, more=()):
        self.calls, self.more = [], more
        function = SimpleNamespace(kernel="function")
        self._codelibrary = SimpleNamespace(get_cufunc=lambda: function)

    def __getitem__(self, place):
        kernel, blocks, callbacks = self, place, []

        class Configured:
            griddim, blockdim, stream, sharedmem = blocks
            pre_launch_callbacks = callbacks

            def __call__(self, *arguments):
                kernel.calls.append(arguments)
                for callback in callbacks:
                    callback(kernel, self)

        return Configured()

    def _prepare_args(self, kind, value, stream, retr, words):
        words.append(
            ctypes.c_int64(value) if kind == "long" else ctypes.c_double(value)
        )
        words += self.more


def test_numba_launches_once_and_the_driver_from_then_on(launches):
    launcher, kernel = Launcher(), Kernel()
    for k in range(3):
        launcher.start(kernel, (4, 32, 0, 16), k, 0.5)
    assert kernel.calls == [(0, 0.5)]
    config = {"grid": 4, "block": 32, "shmem_size": 16}
    assert [facts[:3] for facts in launches] == [(0, config, "function")] * 2
    assert [facts[3] for facts in launches] == [1, 2]
    assert sys.modules["cuda.core"].entered == [launcher]
    # another thread has to enter as well
    thread = threading.Thread(
        target=launcher.start, args=(kernel, (4, 32, 0, 16), 3, 0.5)
    )
    thread.start()
    thread.join()
    assert sys.modules["cuda.core"].entered == [launcher] * 2
    assert len(launches) == 3
    # other types are another function
    launcher.start(kernel, (4, 32, 0, 16), 1, 2)
    assert len(kernel.calls) == 2


@pytest.mark.parametrize("more", [(1,), (ctypes.c_int32(0),)])
def test_where_words_differ_numba_goes_on_to_launch(launches, more):
    launcher, kernel = Launcher(), Kernel(more)
    for k in range(3):
        launcher.start(kernel, (4, 32, 0, 0), k, 0.5)
    assert kernel.calls == [(0, 0.5), (1, 0.5), (2, 0.5)]
    assert launches == []


def test_a_numba_without_these_names_goes_on_to_launch(launches):
    launcher, kernel = Launcher(), Kernel()
    del kernel._codelibrary
    for k in range(2):
        launcher.start(kernel, (1, 1, 0, 0), k, 0.5)
    assert len(kernel.calls) == 2
    assert launches == []
