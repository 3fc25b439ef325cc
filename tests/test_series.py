# SPDX-License-Identifier: MIT
"""Series: terms, exact sums, limits, refusals; expected values from elsewhere."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest

from hpcapp import reduction
from hpcapp.device import Device
from hpcapp.errors import ConfigError, HpcappError
from hpcapp.problem import parse_problem
from hpcapp.workload import Context
from hpcapp.workloads.series.angles import cosines_and_sines
from hpcapp.workloads.series.kempner import Kempner
from hpcapp.workloads.series.limit import kempner_limit
from hpcapp.workloads.series.match import match_table
from hpcapp.workloads.series.midpoint import Midpoint
from hpcapp.workloads.series.parameters import Parameters
from hpcapp.workloads.series.summation import Share, collect_bins
from hpcapp.workloads.series.trigonometric import Trigonometric

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


# --- trigonometric

# to 100 decimals (OEIS A000796)
PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510"
    "58209749445923078164062862089986280348253421170679"
)
ANGLES = [1.0, -2.5, 100.0, 0.001, math.pi, 999_999.5]


def cosine(k, theta):
    """Return cos(k theta) to 50 decimals."""
    with localcontext() as context:
        context.prec = 90
        angle = (Decimal(theta) * k) % (2 * PI)
        term, total, n = Decimal(1), Decimal(0), 0
        while abs(term) > Decimal("1e-60"):
            total += term
            n += 2
            term *= -angle * angle / (n * (n - 1))
        return total


@pytest.mark.parametrize("theta", ANGLES)
def test_table_of_angles_is_correctly_rounded(theta):
    cosines, sines = cosines_and_sines(theta, 256)
    assert cosines == [float(cosine(m, theta)) for m in range(256)]
    with localcontext() as context:
        context.prec = 60
        for m in range(256):
            rest = 1 - Decimal(cosines[m]) ** 2 - Decimal(sines[m]) ** 2
            assert abs(rest) < Decimal(2) ** -51


@pytest.mark.parametrize("theta", ANGLES)
def test_terms_are_near_the_cosine_however_far_out(theta):
    for power in (8, 9, 13, 20, 31, 40, 49):
        for k in range(2**power - 2, 2**power + 600, 43):
            found = reduction.to_float(add(Trigonometric(theta), k, 1, k))
            error = abs(Decimal(found) * k - cosine(k, theta))
            # as in docs/series.md
            assert error < 12 * Decimal(2) ** -53


@pytest.mark.parametrize("terms", [1, 255, 256, 257, 16_383, 16_384, 50_000])
def test_a_trigonometric_sum_is_that_of_its_terms(terms):
    series = Trigonometric(2.0)
    cosines, _ = cosines_and_sines(2.0, min(terms + 1, 256))
    first = [c / k for k, c in enumerate(cosines) if k > 0]
    far = range(max(256, terms - 3000), terms + 1)
    one_by_one = [reduction.to_float(add(series, k, 1, k)) for k in far]
    whole = add(series, terms)
    # what is between is added in one go
    between = Fraction(0)
    if far.start > 256:
        between = Fraction(exact(add(series, far.start - 1, 1, 256)))
    expected = sum(map(Fraction, first + one_by_one), between)
    assert exact(whole) == expected
    for parts in (2, 3, 5):
        assert add(series, terms, parts).tolist() == whole.tolist()


def exact(limbs):
    """Return the number that an accumulator holds."""
    parts = (Fraction(int(n)) * 2 ** (32 * k) for k, n in enumerate(limbs[:67]))
    return sum(parts) / 2**1074


@pytest.mark.parametrize("theta", ANGLES)
def test_trigonometric_sums_reach_the_logarithm(theta):
    series = Trigonometric(theta)
    limit = -math.log(abs(2 * math.sin(theta / 2)))
    assert series.limit() == limit
    for terms in (1, 10, 1000, 10**6):
        value = total(series, terms)
        bound = series.error_bound(value, terms)
        assert abs(value - limit) <= bound
        # no more than twice what Abel's summation allows
        assert bound <= 2 / (terms * abs(math.sin(theta / 2))) + 1e-13


# --- midpoint


def test_midpoint_rule_of_a_power_reaches_its_integral():
    errors = [total(Midpoint("x**1.5", (0.0, 1.0), n), n) - 0.4 for n in (10**3, 10**6)]
    # -f'(1) h**2 / 24 leads: f' = 1.5 at 1
    assert errors[0] == pytest.approx(-1.5e-6 / 24, rel=0.02)
    assert abs(errors[1] + 1.5e-12 / 24) < 2e-16


def test_midpoint_rule_of_a_square_is_what_it_must_be():
    # exact: 1/3 - h**2 / 12; points and squares of 2**10 intervals have no rounding
    for parts in (1, 3):
        found = total(Midpoint("x*x", (0.0, 1.0), 2**10), 2**10, parts)
        assert found == 1 / 3 - 2.0**-20 / 12


@pytest.mark.parametrize("terms", [1, 65_535, 65_536, 200_001])
def test_a_midpoint_sum_is_the_rounded_sum_of_its_terms(terms):
    width = 3.0 / terms
    points = [-1.0 + (k + 0.5) * width for k in range(terms)]
    expected = width * math.fsum(x * x - x for x in points)
    for parts in (1, 3):
        found = total(Midpoint("x*x - x", (-1.0, 2.0), terms), terms, parts)
        assert found == expected


def test_a_constant_integrand_is_allowed():
    assert total(Midpoint(2.5, (0.0, 4.0), 1000), 1000) == 10.0


def run(*lines):
    """Turn the steps of a configuration alone, without MPI."""

    class Alone:
        rank, size = 0, 1

        def sum(self, values):
            return values

        def max(self, values):
            return values

        def all(self, value):
            return [value]

    found = problem(*lines)
    context = Context(Alone(), DEVICE, found.layout(1))
    notes = list(found.workload.steps(context))
    return SimpleNamespace(state=context.state, steps=notes, workload=found.workload)


def test_a_value_that_is_not_finite_is_named_with_its_point():
    lines = ("name: midpoint", "integrand: 1/(x-0.25)", "terms: 2", "bounds: [0, 1]")
    with pytest.raises(HpcappError) as caught:
        run(*lines)
    assert str(caught.value) == (
        "series: parameters.integrand: must be a finite number at all midpoints, "
        "got 1/(x-0.25), which is inf at x = 0.25"
    )


def test_a_value_that_is_not_finite_on_a_gpu_alone_is_told(monkeypatch):
    limbs = reduction.zeros()
    reduction.add(limbs, np.array([np.inf]))
    monkeypatch.setattr(Midpoint, "add", lambda *_: limbs)
    with pytest.raises(HpcappError) as caught:
        run("name: midpoint", "integrand: x", "terms: 5", "bounds: [0, 1]")
    assert str(caught.value) == (
        "series: parameters.integrand: must be a finite number at all midpoints, is "
        "not at one of terms 1 to 1, and is at all of them on the CPU; cpu has "
        "functions that differ in the last places: move the bounds, or use device: cpu"
    )


def test_a_sum_beyond_all_doubles_is_refused():
    with pytest.raises(HpcappError, match=r"integrand: the sum of its values must be"):
        run("name: midpoint", "integrand: 1e308", "terms: 9")


# --- the workload


def test_marks_are_the_powers_of_ten():
    done = run("terms: 1234")
    assert done.state["mark"].tolist() == [1, 10, 100, 1000]
    left = [k for k in range(1, 1001) if "9" not in str(k)]
    expected = [math.fsum(1 / k for k in left if k <= n) for n in (1, 10, 100, 1000)]
    assert done.state["partial"].tolist() == expected
    assert done.state["terms"] == 1234
    assert [step.work for step in done.steps] == [1, 9, 90, 900, 234]
    assert done.steps[-1].fraction == 1


def test_the_answer_says_what_remains():
    answer = run("terms: 1000").workload.answer(run("terms: 1000").state)
    assert answer.values["value"] == 6.590720190283038  # math.fsum
    assert answer.values["limit"] == KNOWN["9"]
    assert "limit 22.9206766192641, distance at most 1.63e+01" in answer.text
    lines = ("name: midpoint", "terms: 10")
    midpoint = run(*lines)
    assert "limit" not in midpoint.workload.answer(midpoint.state).text
    assert "limit" not in {field.name for field in midpoint.workload.fields()}


def test_terms_may_grow_where_that_changes_none():
    assert problem("terms: 10").workload.extendable() == {"terms"}
    assert problem("name: trigonometric").workload.extendable() == {"terms"}
    assert problem("name: midpoint").workload.extendable() == frozenset()


@pytest.mark.medium
@pytest.mark.parametrize("name", ["kempner", "trigonometric"])
def test_an_extended_run_has_the_bits_of_a_long_one(mpirun, hpcapp, tmp_path, name):
    config, short, long = tmp_path / "s.yaml", tmp_path / "a", tmp_path / "b"
    text = f"workload: series\nparameters:\n  name: {name}\n  terms: 33333\n"
    config.write_text(text, encoding="utf-8")
    for ranks, *arguments in (
        (2, "run", config, "-o", short),
        (3, "resume", short, "--set", "parameters.terms=234567"),
        (1, "run", config, "-o", long, "--set", "parameters.terms=234567"),
    ):
        done = mpirun(ranks, *map(str, arguments))
        assert done.returncode == 0, done.stderr
    done = hpcapp("compare", short, long)
    assert done.returncode == 0, done.stdout
    assert "same bits" in done.stdout
    fewer = hpcapp("resume", short, "--set", "parameters.terms=1000")
    assert fewer.returncode == 2
    assert "must not become smaller when a run goes on" in fewer.stderr


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
        ("theta: 0", "must not be a multiple of 2 pi, where the series diverges"),
        ("theta: 6.283185307179586", "must be >= 1e-06, got 6.283185307179586"),
        ("theta: 1e7", "must be from -1e6 to 1e6, got 1e7"),
        ("bounds: [1, 1]", "must go from a smaller to a larger number, got [1, 1]"),
        ("bounds: [-1e308, 1e308]", "must be from 1e-100 to 1e100 long"),
        ("integrand: y", "unknown name 'y' at column 1 (variables: x), got y"),
        ("integrand: [1]", "must be a number or an expression in x, got [1]"),
        ("theta: 2.0", "is for name: trigonometric only, got 2.0"),
        ("integrand: x", "is for name: midpoint only, got x"),
        ("bounds: [0, 2]", "is for name: midpoint only"),
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


def test_digits_are_for_kempner():
    with pytest.raises(ConfigError, match=r"digits: is for name: kempner only, got 7"):
        problem("name: midpoint", 'digits: "7"')


@pytest.mark.parametrize("name", ["kempner", "trigonometric", "midpoint"])
def test_defaults_are_valid_for_every_series(name):
    text = problem(f"name: {name}").text()
    assert parse_problem(text, "run.yaml").config.parameters == Parameters(name=name)
