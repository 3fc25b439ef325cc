# SPDX-License-Identifier: MIT
"""Laws of views of arrays on a GPU, compared with NumPy's of the same array."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba_cuda", reason="numba-cuda is not installed (hpcapp[cuda])")

from numba.cuda.cudadrv.devicearray import DeviceNDArray

from hpcapp.gpu.views import cut


class Memory:
    """Memory of a GPU, known by the range of its bytes."""

    def __init__(self, first, last):
        self.first, self.last = first, last

    def view(self, start, stop):
        """Return a range of it."""
        return Memory(self.first + start, self.first + stop)


@st.composite
def shapes_and_indices(draw):
    """Return the shape of an array and two indices, the second for the view."""
    shape = draw(st.lists(st.integers(1, 7), min_size=1, max_size=3))
    indices, rest = [], shape
    for _ in range(2):
        pairs = [sorted(draw(st.tuples(*[st.integers(0, n)] * 2))) for n in rest]
        if any(a == b for a, b in pairs):
            pairs = [(0, n) for n in rest]
        indices.append(tuple(slice(a, b) for a, b in pairs))
        rest = [b - a for a, b in pairs]
    return tuple(shape), indices


@given(shapes_and_indices(), st.sampled_from([np.float64, np.float32]))
def test_views_are_where_numpy_has_them(drawn, kind):
    shape, indices = drawn
    host = np.zeros(shape, kind)
    begin, end = np.lib.array_utils.byte_bounds(host)
    data = Memory(begin, end)
    found = DeviceNDArray(host.shape, host.strides, host.dtype, gpu_data=data)
    for index in indices:
        host, found = host[index], cut(found, index)
        assert (found.shape, found.strides) == (host.shape, host.strides)
        assert found.dtype == host.dtype
        bounds = np.lib.array_utils.byte_bounds(host)
        assert (found.gpu_data.first, found.gpu_data.last) == bounds


def test_an_open_slice_is_a_whole_axis_and_numpy_cuts_its_own():
    array = np.arange(12.0).reshape(3, 4)
    found = cut(array, (slice(None), slice(2)))
    assert found.base is array or found.base is array.base
    assert np.array_equal(found, array[:, :2])
