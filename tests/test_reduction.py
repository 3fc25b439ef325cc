# SPDX-License-Identifier: MIT
"""Laws of the exact sum; expected values from rational arithmetic and `math.fsum`."""

import math
import struct
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpcapp import reduction
from hpcapp.reduction import (
    LIMBS,
    MERGE_LIMIT,
    add,
    add_scaled,
    finite,
    merge,
    normalise,
    to_float,
    zeros,
)

LARGEST = sys.float_info.max
SMALLEST = 5e-324
FINITE = st.floats(allow_nan=False, allow_infinity=False)
# Any bits: far more subnormals and extreme exponents than st.floats() draws.
BITS = st.integers(0, 2**64 - 1).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)
VALUES = st.lists(FINITE | BITS.filter(math.isfinite), max_size=40)


def accumulate(values):
    limbs = zeros()
    add(limbs, np.array(values, dtype=np.float64))
    return limbs


def exact(values):
    """Round the rational sum to the nearest double, beyond the largest to inf."""
    total = sum((Fraction(value) for value in values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return math.inf if total > 0 else -math.inf


@settings(deadline=None, max_examples=300)
@given(VALUES)
@example([LARGEST, LARGEST, -LARGEST])
@example([LARGEST] * 30)
@example([SMALLEST, -LARGEST, LARGEST])
@example([1.0, 2.0**-53])
@example([1.0, 2.0**-53, SMALLEST])
@example([1.0 + 2.0**-52, 2.0**-53])
@example([2.0**-1022, -SMALLEST])
@example([LARGEST, 2.0**969, 2.0**969])
@example([LARGEST, math.nextafter(2.0**970, 0.0)])
@example([-1.0, 1.0, -SMALLEST])
def test_sum_is_correctly_rounded(values):
    assert to_float(accumulate(values)) == exact(values)


@settings(deadline=None, max_examples=100)
@given(VALUES)
def test_exact_is_the_rational_sum(values):
    total = sum((Fraction(value) for value in values), Fraction(0))
    assert reduction.exact(accumulate(values)) == total


@pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
def test_exact_refuses_what_is_no_number(special):
    message = f"limbs: must hold a finite sum, got {special}"
    with pytest.raises(ValueError, match=message):
        reduction.exact(accumulate([1.0, special]))


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1e300, 1e300), max_size=60))
def test_sum_equals_fsum(values):
    assert to_float(accumulate(values)) == math.fsum(values)


@settings(deadline=None, max_examples=100)
@given(VALUES, st.randoms(use_true_random=False), st.integers(1, 6))
def test_any_order_and_partition_give_the_same_limbs(values, random, parts):
    shuffled = list(values)
    random.shuffle(shuffled)
    total = zeros()
    for part in range(parts):
        total = merge(total, accumulate(shuffled[part::parts]))
    assert np.array_equal(total, accumulate(values))


@settings(deadline=None, max_examples=100)
@given(VALUES, st.integers(1, 6))
def test_elementwise_sum_of_accumulators_normalises_to_the_same_limbs(values, parts):
    total = sum((accumulate(values[part::parts]) for part in range(parts)), zeros())
    by_kernel = total.copy()
    normalise(total)
    add(by_kernel, np.empty(0))
    assert np.array_equal(total, accumulate(values))
    assert np.array_equal(by_kernel, total)


@settings(deadline=None)
@given(VALUES)
def test_values_and_their_negatives_cancel_to_zero(values):
    limbs = accumulate([*values, *(-value for value in values)])
    assert not limbs.any()


def test_canonical_form_has_small_limbs_and_one_signed():
    limbs = accumulate([-SMALLEST])
    assert limbs[:66].tolist() == [2**32 - 1] * 66
    assert limbs[66] == -1
    assert limbs[67:].tolist() == [0, 0, 0]


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20 + 7])
def test_long_sums_equal_fsum(size):
    rng = np.random.default_rng(size)
    values = rng.standard_normal(size) * 2.0 ** rng.integers(-300, 300, size)
    assert to_float(accumulate(values)) == math.fsum(values)


def test_full_bins_are_exact():
    # Every mantissa bit set: the bins of the kernel get the most that they can.
    count = 2**21
    value = math.nextafter(2.0, 0.0)
    assert to_float(accumulate(np.full(count, value))) == count * value
    assert to_float(accumulate(np.full(count, -LARGEST))) == -math.inf
    limbs = accumulate(np.full(count, -LARGEST))
    add(limbs, np.full(count - 1, LARGEST))
    assert to_float(limbs) == -LARGEST


@pytest.mark.parametrize("value", [LARGEST, -LARGEST, 1.0, -SMALLEST, 0.1])
@pytest.mark.parametrize("count", [2**30, MERGE_LIMIT])
def test_many_accumulators_can_be_added_as_integers(value, count):
    # What MPI.SUM over `count` ranks gives: every limb times count, in int64.
    limbs = accumulate([value, value / 3])
    total = limbs * np.int64(count)
    assert [int(limb) * count for limb in limbs] == total.tolist()
    by_kernel = total.copy()
    normalise(total)
    add(by_kernel, np.empty(0))
    assert np.array_equal(total, by_kernel)
    expected = (Fraction(value) + Fraction(value / 3)) * count
    add(total, np.array([-value, -value / 3] * 2))
    got = sum(Fraction(int(limb)) * 2 ** (32 * k) for k, limb in enumerate(total[:67]))
    assert got / 2**1074 == expected - 2 * expected / count


def test_limbs_of_all_ones_survive_the_merge_limit():
    limbs = zeros()
    limbs[:66] = 2**32 - 1
    total = limbs * np.int64(MERGE_LIMIT)
    by_kernel = total.copy()
    normalise(total)
    add(by_kernel, np.empty(0))
    assert np.array_equal(total, by_kernel)
    value = sum(int(limb) << (32 * k) for k, limb in enumerate(total[:67]))
    assert value == MERGE_LIMIT * (2 ** (32 * 66) - 1)


def test_carry_runs_through_all_limbs():
    limbs = zeros()
    limbs[:66] = 2**32 - 1
    limbs[0] += 1
    normalise(limbs)
    assert limbs.tolist() == [0] * 66 + [1] + [0] * 3


@pytest.mark.parametrize("chunk", [1, 2**20 + 5])
@pytest.mark.parametrize(
    "values",
    [
        [math.inf],
        [-math.inf],
        [math.inf, -math.inf],
        [math.nan],
        [-math.nan, 1.0],
        [math.inf, math.nan, LARGEST],
        [math.inf, LARGEST, -LARGEST],
    ],
)
def test_special_values_give_what_ieee_gives(values, chunk):
    filled = np.concatenate([np.zeros(chunk), values, np.ones(chunk)])
    with np.errstate(invalid="ignore"):
        expected = np.add.reduce(np.array(values))
    got = to_float(accumulate(filled))
    assert got == expected or (math.isnan(got) and math.isnan(expected))


def test_special_values_stay_after_merge_and_leave_the_limbs_alone():
    a, b = accumulate([math.inf, 2.5]), accumulate([-math.inf, math.nan])
    assert merge(a, b)[67:].tolist() == [1, 1, 1]
    assert np.array_equal(a[:67], accumulate([2.5])[:67])
    assert math.isnan(to_float(merge(a, accumulate([-math.inf]))))
    assert to_float(merge(a, accumulate([-1e308]))) == math.inf


def test_zeros_sum_to_plus_zero():
    assert math.copysign(1.0, to_float(accumulate([-0.0, -0.0]))) == 1.0
    assert math.copysign(1.0, to_float(zeros())) == 1.0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (0,), (7,), (900, 700), (3, 300, 400), (2, 0)])
def test_views_of_any_shape_give_the_limbs_of_their_copy(shape, order):
    rng = np.random.default_rng(5)
    padded = np.asarray(rng.random([n + 2 for n in shape]), order=order)
    view = padded[tuple(slice(1, n + 1) for n in shape)]
    limbs = zeros()
    add(limbs, view)
    assert np.array_equal(limbs, accumulate(view.flatten().tolist()))


def test_one_long_row_of_a_view_is_cut_further():
    wide = np.random.default_rng(6).random((2, 600_000))[:, ::2]
    limbs = zeros()
    add(limbs, wide)
    assert np.array_equal(limbs, accumulate(wide.reshape(-1)))


@pytest.mark.parametrize("dtype", ["f4", "i8", ">f8"])
def test_other_types_are_refused(dtype):
    with pytest.raises(TypeError, match=r"values: must be float64, got .*(32|64|f8)"):
        add(zeros(), np.zeros(3, dtype=dtype))


def test_import_and_rounding_leave_numba_alone():
    code = (
        "import sys; from hpcapp.reduction import *; z = zeros(); normalise(z);"
        "to_float(merge(z, z)); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_accumulator_has_the_stated_length():
    assert zeros().shape == (LIMBS,)
    assert zeros().dtype == np.int64


def whole(values):
    """Return the sum in units of the smallest double."""
    return sum(int(Fraction(value) * 2**1074) for value in values)


@pytest.mark.parametrize("spread", [0, 1, 30, 49, 50, 51, 52, 102, 104, 300])
@pytest.mark.parametrize("top", [-1021, -960, -959, -958, 0, 900, 1017, 1018, 1022])
def test_values_of_like_and_unlike_exponents_are_exact(spread, top):
    rng = np.random.default_rng([spread, top + 1100])
    for size in (1, 2, 1000, 1024, 1025, 2100):
        exponents = np.maximum(top - rng.integers(0, spread + 1, size), -1073)
        values = np.ldexp(rng.uniform(0.5, 1.0, size), exponents)
        values *= rng.choice([-1.0, 1.0], size)
        # one that needs all bits at either end
        values[-1] = math.ldexp(1 - 2.0**-53, top)
        values[0] = math.ldexp(0.5 + 2.0**-53, max(top - spread, -1021))
        limbs = accumulate(values.tolist())
        found = sum(int(n) << (32 * k) for k, n in enumerate(limbs[:67]))
        assert found == whole(values.tolist())
        assert not limbs[67:].any()


@pytest.mark.parametrize("value", [1 - 2.0**-53, 1.0, 1.5, -1 + 2.0**-53, 2.0**-40 / 3])
def test_full_blocks_of_one_value_are_exact(value):
    # sums of integers at their largest, and at halfway cases
    for other in (0.0, 2.0**-51, -(2.0**-52), 2.0**-100, 2.0**-104):
        values = [value + 0.0] * 1023 + [other]
        assert to_float(accumulate(values * 2)) == math.fsum(values * 2)


@pytest.mark.parametrize("special", [math.inf, math.nan])
def test_a_special_value_in_one_block_leaves_the_others_alone(special):
    values = [0.1] * 3000
    values[1500] = special
    limbs = accumulate(values)
    found = sum(int(n) << (32 * k) for k, n in enumerate(limbs[:67]))
    assert found == whole(values[:1500] + values[1501:])
    assert limbs[67:].sum() == 1


@settings(deadline=None)
@given(st.integers(-(2**300), 2**300), st.integers(-1074, 700))
def test_scaled_integers_are_added_exactly(number, exponent):
    limbs = accumulate([1.5, -(2.0**100)])
    add_scaled(limbs, number, exponent)
    expected = Fraction(3, 2) - 2**100 + number * Fraction(2) ** exponent
    assert to_float(limbs) == float(expected)
    add_scaled(limbs, -number, exponent)
    assert limbs.tolist() == accumulate([1.5, -(2.0**100)]).tolist()


@pytest.mark.parametrize(("number", "exponent"), [(1, -1075), (1, 1056), (2**60, 1000)])
def test_scaled_integers_outside_the_limbs_are_refused(number, exponent):
    with pytest.raises(ValueError, match=r"must be a multiple of 2\*\*-1074 below"):
        add_scaled(zeros(), number, exponent)


def test_finite_tells_infinities_and_nan():
    assert finite(accumulate([1.0, -LARGEST]))
    for special in (math.inf, -math.inf, math.nan):
        assert not finite(accumulate([1.0, special]))
