# SPDX-License-Identifier: MIT
"""Laws of the checksum; the mixing function against published output of splitmix64."""

import itertools
import subprocess
import sys

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcapp.checksum import checksum_array, checksum_block

# First outputs of splitmix64 for two seeds: S. Vigna's splitmix64.c (as printed in the
# tests of many libraries) and Rosetta Code, "Pseudo-random numbers/Splitmix64".
SPLITMIX = {
    0: (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F),
    1234567: (6457827717110365317, 3203168211198807973, 9817491932198370423),
}

TYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
BOTH = pytest.mark.parametrize("checksum", [checksum_array, checksum_block])


def splits(size, parts):
    """Cut range(size) into consecutive slices, some of them perhaps empty."""
    edges = [size * k // parts for k in range(parts + 1)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def total_of_blocks(whole, counts):
    total = 0
    cuts = [splits(n, parts) for n, parts in zip(whole.shape, counts, strict=True)]
    for block in itertools.product(*cuts):
        start = tuple(cut.start for cut in block)
        total += checksum_block(whole[block], start, whole.shape)
    return total % 2**64


@BOTH
@pytest.mark.parametrize("seed", SPLITMIX)
def test_equal_elements_give_sum_of_splitmix64_outputs(checksum, seed):
    array = np.full(3, seed, dtype=np.uint64)
    assert checksum(array) == sum(SPLITMIX[seed]) % 2**64


@pytest.mark.parametrize("dtype", [*TYPES, "c8", "c16"])
def test_kernel_equals_numpy_for_every_type(dtype):
    rng = np.random.default_rng(1)
    size = np.dtype(dtype).itemsize
    raw = rng.integers(0, 256, size=(7, 13, size), dtype=np.uint8)
    if dtype == "?":
        raw %= 2
    array = raw.view(dtype).reshape(7, 13)
    assert checksum_block(array) == checksum_array(array)


@settings(deadline=None, max_examples=100)
@given(
    array=hnp.arrays(np.int32, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)),
    data=st.data(),
)
def test_any_partition_gives_checksum_of_whole(array, data):
    counts = [data.draw(st.integers(1, 4)) for _ in array.shape]
    assert total_of_blocks(array, counts) == checksum_array(array)


@pytest.mark.parametrize("counts", [(1, 1), (3, 1), (1, 5), (4, 3), (50, 2)])
def test_partition_of_large_field_gives_checksum_of_whole(counts):
    # More elements than the NumPy version takes at a time.
    field = np.random.default_rng(2).random((500, 300))
    assert total_of_blocks(field, counts) == checksum_array(field)


@pytest.mark.parametrize("counts", [(2, 1, 1), (1, 2, 1), (1, 1, 2), (3, 2, 2)])
def test_partition_of_complex_field_gives_checksum_of_whole(counts):
    rng = np.random.default_rng(3)
    field = rng.random((4, 5, 6)) + 1j * rng.random((4, 5, 6))
    assert total_of_blocks(field, counts) == checksum_array(field)


def test_view_of_halo_array_equals_its_copy():
    padded = np.random.default_rng(4).random((10, 12))
    inner = padded[1:-1, 1:-1]
    assert checksum_block(inner) == checksum_array(inner.copy())
    assert checksum_block(padded.T) == checksum_array(padded.T)
    assert checksum_block(padded[:, ::-2]) == checksum_array(padded[:, ::-2])


@BOTH
def test_complex_array_counts_as_pairs_of_floats(checksum):
    pairs = np.random.default_rng(5).random((3, 4, 2))
    assert checksum(pairs.view(np.complex128)[..., 0]) == checksum_array(pairs)


@BOTH
def test_small_type_is_extended_with_zeros(checksum):
    array = np.array([-1, 2, -128], dtype=np.int8)
    assert checksum(array) == checksum_array(np.array([255, 2, 128], dtype=np.uint64))


@BOTH
def test_byte_order_does_not_matter(checksum):
    array = np.arange(5.0)
    assert checksum(array.astype(">f8")) == checksum(array.astype("<f8"))


@BOTH
@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2, 2)])
def test_empty_array_gives_zero(checksum, shape):
    assert checksum(np.empty(shape)) == 0


def test_scalar_array_is_one_element():
    assert checksum_block(np.array(0.0)) == checksum_array(np.array(0.0))
    assert checksum_array(np.array(0.0)) == SPLITMIX[0][0]


@BOTH
def test_swap_of_two_elements_is_seen(checksum):
    array = np.arange(20.0)
    swapped = array.copy()
    swapped[[3, 11]] = swapped[[11, 3]]
    assert checksum(array) != checksum(swapped)


@BOTH
def test_every_single_bit_is_seen(checksum):
    array = np.arange(3.0)
    seen = {checksum(array)}
    for index in range(array.size):
        for bit in range(64):
            changed = array.copy()
            changed.view(np.uint64)[index] ^= np.uint64(1 << bit)
            seen.add(checksum(changed))
    assert len(seen) == 1 + 3 * 64


@BOTH
def test_signs_of_zero_and_payloads_of_nan_differ(checksum):
    words = np.array([0, 1 << 63, 0x7FF8 << 48, (0x7FF8 << 48) + 1], dtype=np.uint64)
    values = [words[k : k + 1].view(np.float64) for k in range(4)]
    assert len({checksum(value) for value in values}) == 4


@BOTH
@pytest.mark.parametrize("dtype", ["U3", "O", "M8[s]", np.longdouble, "V8"])
def test_other_types_are_refused(checksum, dtype):
    with pytest.raises(TypeError, match=r"array: must have numbers or booleans.*got"):
        checksum(np.empty(2, dtype=dtype))


@pytest.mark.parametrize(
    ("start", "shape"),
    [((2, 0), (3, 4)), ((-1, 0), (3, 4)), ((0,), (3, 4)), ((0, 0), (3, 4, 5))],
)
def test_block_outside_of_array_is_refused(start, shape):
    with pytest.raises(ValueError, match=r"start: block of shape \(2, 4\) at .*inside"):
        checksum_block(np.zeros((2, 4)), start, shape)


def test_import_leaves_numba_alone():
    code = "import sys, hpcapp.checksum; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
