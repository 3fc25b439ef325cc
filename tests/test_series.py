# SPDX-License-Identifier: MIT
"""Series: terms, exact sums, limits, refusals; expected values from elsewhere."""

import math
from fractions import Fraction
from functools import reduce

import numpy as np
import pytest

from hpcapp import reduction
from hpcapp.device import Device
from hpcapp.errors import ConfigError
from hpcapp.problem import parse_problem
from hpcapp.workloads.series.kempner import Kempner
from hpcapp.workloads.series.limit import kempner_limit
from hpcapp.workloads.series.match import match_table
from hpcapp.workloads.series.parameters import Parameters
from hpcapp.workloads.series.summation import Share, collect_bins

DEVICE = Device(1)


def add(series, terms, parts=1, begin=1):
    """Return the exact sum of terms, dealt out as to some ranks."""
    shares = [Share(begin, terms + 1, part, parts) for part in range(parts)]
    return reduce(reduction.merge, (series.add(DEVICE, share) for share in shares))


def total(series, terms, parts=1):
    """Return the value of a sum."""
    return series.value(add(series, terms, parts))


def problem(*lines):
    """Validate parameters as a file gives them."""
    text = "".join(f"  {line}\n" for line in lines)
    return parse_problem(f"workload: series\nparameters:\n{text}", "s.yaml")


# --- shares


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_shares_hold_each_term_once(parts):
    for begin, end in [(1, 2), (1, 50), (13, 40), (7, 7), (32, 33)]:
        shares = [Share(begin, end, part, parts) for part in range(parts)]
        found = [
            k
            for share in shares
            for thread in share.split(2)
            for a, b in thread.pieces(8)
            for k in range(a, b)
        ]
        assert sorted(found) == list(range(begin, end))


def test_bins_are_sums_of_integers_of_their_units():
    bins = np.array([[1, 0], [0, 0], [3, -1]], np.int64)
    expected = Fraction(1, 2**5) + Fraction(3 - 2**32, 2**7)
    assert reduction.to_float(collect_bins(bins, 5)) == expected


# --- kempner

STRINGS = ["9", "0", "5", "42", "00", "11", "010", "314", "1212", "65536", "999999"]


@pytest.mark.parametrize("digits", STRINGS)
def test_automaton_finds_a_string_where_python_does(digits):
    table = match_table(digits)
    for number in range(0, 200_000, 7):
        state = 0
        for digit in str(number):
            state = table[state][int(digit)] if state >= 0 else -1
        assert (state < 0) == (digits in str(number))


@pytest.mark.parametrize("digits", STRINGS)
def test_kempner_is_the_rounded_sum_of_its_terms(digits):
    left = [k for k in range(1, 200_001) if digits not in str(k)]
    # on both sides of blocks, pieces and powers of two
    for terms in (1, 9, 9999, 10_000, 10_001, 16_384, 65_537, 131_072, 200_000):
        expected = math.fsum(1.0 / k for k in left if k <= terms)
        for parts in (1, 3):
            assert total(Kempner(digits), terms, parts) == expected


def test_kempner_is_near_the_sum_of_fractions():
    terms = [Fraction(1, k) for k in range(1, 2001) if "42" not in str(k)]
    found, exact = Fraction(total(Kempner("42"), 2000)), sum(terms)
    assert abs(found - exact) <= exact / 2**52


@pytest.mark.parametrize("digits", ["9", "42", "0000", "999999999999999999"])
@pytest.mark.parametrize("first", [2**40 - 5000, 10**14 - 5000, 10**15 - 9000])
def test_large_denominators_are_added_exactly(digits, first):
    span = range(first, first + 9001)
    expected = math.fsum(1.0 / k for k in span if digits not in str(k))
    found = add(Kempner(digits), first + 9000, 2, first)
    assert reduction.to_float(found) == expected


def test_whole_ranges_that_begin_with_the_string_are_skipped():
    # 1e11 integers, of which none counts: only a jump is fast enough
    found = add(Kempner("9"), 10**12 - 1, 1, 9 * 10**11)
    assert reduction.to_float(found) == 0.0


def test_kempner_to_1e8():
    value = total(Kempner("9"), 10**8)
    # by the recursion of Schmelzer and Baillie to 8 digits, and 1e-8
    assert value == pytest.approx(13.27760594985402346284542319, rel=1e-15, abs=0)
    # a plain loop of doubles, which is off by 4e-12
    assert value == pytest.approx(13.2776059498581, rel=1e8 * 2**-52, abs=0)


# 9, 0, 1, 42, 314: Schmelzer and Baillie (2008), all digits: OEIS A082830-A082839
KNOWN = {
    "9": 22.920676619264150348,
    "0": 23.103447909420541616,
    "1": 16.176969528123444267,
    "42": 228.446304159230813254,
    "314": 2299.829782767518338,
    "314159": 2302582.33386378260789,
}
DIGITS = [23.10344, 16.17696, 19.25735, 20.56987, 21.32746]
DIGITS += [21.83460, 22.20559, 22.49347, 22.72636, 22.92067]


@pytest.mark.parametrize("digits", KNOWN)
def test_limit_is_the_published_one(digits):
    assert kempner_limit(digits) == pytest.approx(KNOWN[digits], rel=4e-16, abs=0)


def test_limits_of_single_digits_are_the_published_ones():
    found = [math.floor(kempner_limit(str(d)) * 1e5) / 1e5 for d in range(10)]
    assert found == DIGITS


def test_limit_of_a_long_string_is_that_of_its_length():
    # Schmelzer and Baillie: about 10**m log 10, where nothing in it repeats
    found = kempner_limit("123456789012345678")
    assert found == pytest.approx(1e18 * math.log(10), rel=1e-8)


def test_error_bound_of_kempner_is_what_remains():
    series = Kempner("9")
    value = total(series, 10**6)
    assert series.error_bound(value, 10**6) == pytest.approx(22.920676619264 - value)


# --- parameters


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("digits: 010", "must be digits in quotes, such as"),
        ("digits: 9", "YAML reads that as 8, got 9"),
        ("digits: true", "must be digits in quotes"),
        ('digits: ""', "must consist of the digits 0 to 9"),
        ('digits: "4.2"', "must consist of the digits 0 to 9, got"),
        ('digits: "٣"', "must consist of the digits 0 to 9, got"),
        ('digits: "1234567890123456789"', "must have at most 18 digits, got"),
        ("terms: 0", "must be >= 1, got 0"),
        ("terms: 1e16", "must be <= 1000000000000000, got 1e16"),
    ],
)
def test_wrong_parameters_are_refused(line, message):
    with pytest.raises(ConfigError) as caught:
        problem(line)
    place = f"s.yaml:3: parameters.{line.partition(':')[0]}: "
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)


@pytest.mark.parametrize("digits", ["010", "00", "9", "000000000000000000"])
def test_digits_survive_being_written_and_read(digits):
    first = problem(f'digits: "{digits}"')
    again = parse_problem(first.text(), "run.yaml")
    assert again.config.parameters.digits == digits


def test_defaults_are_valid():
    parameters = Parameters()
    assert (parameters.name, parameters.digits) == ("kempner", "9")
