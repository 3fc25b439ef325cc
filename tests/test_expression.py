# SPDX-License-Identifier: MIT
"""Expressions: what they mean, what is refused, and that values have no context.

Expected values come from Python's own evaluation of the same formulas with the `math`
module, and for infinities, NaN and signed zeros from NumPy.
"""

import ast
import math
import pickle
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hpcapp.evaluation import (
    evaluate_grid,
    evaluate_line,
    evaluate_number,
    evaluate_points,
)
from hpcapp.expression import ExpressionError, Op, Program, parse
from hpcapp.postfix import ARITY, MAX_EXPONENT, compute

XY = ("x", "y")
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 1e308, 5e-324]
SPECIAL += [math.inf, -math.inf, math.nan]


HALVES = {
    0.5: math.sqrt,
    1.5: lambda x: x * math.sqrt(x),
    2.5: lambda x: x * x * math.sqrt(x),
    -0.5: lambda x: 1 / math.sqrt(x),
    -1.5: lambda x: math.sqrt(1 / x) / x,
}


def power(base, exponent):
    """The documented rule, written as literal products and roots."""
    if exponent in HALVES:
        # IEEE 754 (9.2.1): the power of -0 is that of +0, where a root keeps the sign.
        return HALVES[exponent](base + 0.0)
    if exponent != int(exponent) or abs(exponent) > MAX_EXPONENT:
        return math.pow(base, exponent)
    squares = [base]
    while len(squares) < 5:
        squares.append(squares[-1] * squares[-1])
    result = 1.0
    for bit, square in enumerate(squares):
        if int(abs(exponent)) >> bit & 1:
            result = result * square
    return 1.0 / result if exponent < 0 else result


# The names for Python's eval of a generated formula; only this test uses eval.
MATH = "sin cos tan asin acos atan atan2 sinh cosh tanh sqrt exp log log10 log2 pi e"
PYTHON = {name: getattr(math, name) for name in MATH.split()} | {
    "abs": abs,
    "floor": lambda a: math.copysign(math.floor(a), a),
    "ceil": lambda a: math.copysign(math.ceil(a), a),
    "sign": lambda a: math.copysign(1.0, a) if a and a == a else a,
    "hypot": lambda a, b: abs(complex(a, b)),
    "min": lambda a, b: a if a <= b or a != a else b,
    "max": lambda a, b: a if a >= b or a != a else b,
    "where": lambda condition, a, b: a if condition else b,
    "power": power,
}
NOT_UNARY = {"atan2", "hypot", "min", "max", "where", "power", "pi", "e"}
UNARY = [name for name in PYTHON if name not in NOT_UNARY]


def values_at(text, *points, variables=XY):
    arrays = [np.array(point, dtype=np.float64) for point in points]
    out = np.empty(len(arrays[0]))
    evaluate_points(out, parse(text, variables[: len(arrays)]), *arrays)
    return out


def same_bits(a, b):
    """Equal as bits, any NaN being equal to any other."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    equal = a.view(np.uint64) == b.view(np.uint64)
    return bool(np.all(equal | (np.isnan(a) & np.isnan(b))))


def _grow(parts):
    """Make larger formulas, each as a pair: for hpcapp and for Python."""

    def build(template, *choices):
        """Fill $f, $0, $1, $2 of one template for both languages."""

        def fill(*drawn):
            ours, python = template
            ours, python = (t.replace("$f", drawn[0]) for t in (ours, python))
            for k, (mine, other) in enumerate(drawn[1:]):
                ours = ours.replace(f"${k}", mine)
                python = python.replace(f"${k}", other)
            return ours, python

        return st.builds(fill, *choices)

    exponents = ["2", "3", "7", "16", "17", "-1", "-2", "0"]
    exponents += ["0.5", "1.5", "2.5", "3.5", "-0.5", "-1.5", "-2.5"]
    three = "where($0, $1, $2)"
    return st.one_of(
        build(("$f($0)", "$f($0)"), st.sampled_from(UNARY), parts),
        build(
            ("$f($0, $1)", "$f($0, $1)"),
            st.sampled_from(["atan2", "hypot", "min", "max"]),
            *(parts, parts),
        ),
        build(
            ("(($0)$f($1))", "float(($0)$f($1))"),
            st.sampled_from(["+", "-", "*", "/", "<", "<=", ">", ">="]),
            *(parts, parts),
        ),
        build(("($0)**$f", "power($0, $f)"), st.sampled_from(exponents), parts),
        build(("-($0)", "-($0)"), st.just(""), parts),
        build((three, three), st.just(""), parts, parts, parts),
    )


NAMES = st.sampled_from([("{x}", "x"), ("{y}", "y")])
NUMBERS = st.sampled_from([(n, f"float({n})") for n in ("0.1", "2", "1e-3", "pi")])
TREES = st.recursive(NAMES, _grow, max_leaves=12)
FORMULAS = st.recursive(NAMES | NUMBERS, _grow, max_leaves=12)
COORDINATES = st.floats(-10, 10)
POINTS = st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=5)


@settings(deadline=None, max_examples=300)
@given(FORMULAS, POINTS)
@example(("(-({x}))**0.5", "power(-(x), 0.5)"), [(0.0, 0.0)])
def test_random_formulas_equal_evaluation_by_python_bit_by_bit(formula, points):
    text, python = formula[0].format(x="x", y="y"), formula[1]
    try:
        got = values_at(text, *zip(*points, strict=True))
    except ExpressionError as error:
        assume("not a finite" not in str(error))
        raise
    for value, (x, y) in zip(got, points, strict=True):
        try:
            expected = eval(python, PYTHON | {"x": x, "y": y})
        except (ValueError, OverflowError, ZeroDivisionError):
            # Python raises where IEEE goes on with inf or NaN.
            continue
        assert same_bits(value, expected), (text, x, y)


@settings(deadline=None, max_examples=300)
@given(TREES, COORDINATES, COORDINATES)
def test_constants_are_folded_to_the_bits_of_the_kernel(formula, x, y):
    try:
        folded = parse(formula[0].format(x=f"({x})", y=f"({y})"), ()).constant
    except ExpressionError as error:
        assume("not a finite" not in str(error))
        raise
    (value,) = values_at(formula[0].format(x="x", y="y"), [x], [y])
    assert same_bits(folded, value)


@pytest.mark.parametrize("name", UNARY)
def test_functions_follow_ieee_at_special_values(name):
    numpy_name = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}.get(name, name)
    with np.errstate(all="ignore"):
        expected = getattr(np, numpy_name)(np.array(SPECIAL))
    got = values_at(f"{name}(x)", SPECIAL)
    if name == "sign":
        # NumPy gives +0 for -0; the value itself is documented here.
        expected[1] = -0.0
    assert np.allclose(got, expected, rtol=1e-14, atol=0.0, equal_nan=True)
    known = ~np.isnan(expected)
    assert np.array_equal(np.signbit(got[known]), np.signbit(expected[known]))


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("x + y", np.add),
        ("x - y", np.subtract),
        ("x*y", np.multiply),
        ("x/y", np.divide),
        ("x**y", np.power),
        ("atan2(x, y)", np.arctan2),
        ("hypot(x, y)", np.hypot),
        ("min(x, y)", np.minimum),
        ("max(x, y)", np.maximum),
        ("x < y", np.less),
        ("x <= y", np.less_equal),
        ("x > y", np.greater),
        ("x >= y", np.greater_equal),
        ("where(x, y, 7)", lambda x, y: np.where(x, y, 7.0)),
        ("-x + 0*y", lambda x, y: np.negative(x) + 0 * y),
    ],
)
def test_operations_follow_ieee_at_special_values(text, formula):
    x, y = (grid.ravel() for grid in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        expected = formula(x, y)
    got = values_at(text, x, y)
    assert np.allclose(got, expected, rtol=1e-14, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("exponent", [*range(-16, 17), 17, -17, *HALVES, 3.5, -2.5])
def test_powers_follow_the_documented_rule(exponent):
    x = [0.3, 1.7, 2.0, 5.5]
    expected = [power(value, exponent) for value in x]
    assert same_bits(values_at(f"x**{exponent}", x), expected)
    assert np.allclose(expected, np.array(x) ** float(exponent), rtol=4e-16 * 16)


def exact_power(x, twice):
    """Return x**(twice/2) as a fraction, to 300 bits, from integer square roots."""
    number = Fraction(x) ** twice
    shift = 600 + 2 * max(0, number.denominator.bit_length())
    root = math.isqrt((number.numerator << shift) // number.denominator)
    return Fraction(root, 1 << shift // 2)


@pytest.mark.parametrize("exponent", HALVES)
def test_half_integer_powers_are_within_two_units_of_the_last_place(exponent):
    rng = np.random.default_rng(6)
    # of all magnitudes for which the power is finite
    reach = 300 / max(1, abs(exponent))
    x = [*rng.uniform(1, 4, 2000), *10 ** rng.uniform(-reach, reach, 500)]
    got = values_at(f"x**{exponent}", x)
    for base, value in zip(x, got.tolist(), strict=True):
        exact = exact_power(base, int(2 * exponent))
        error = abs(Fraction(value) - exact) / Fraction(math.ulp(value))
        assert error <= 2, (base, float(error))


@pytest.mark.parametrize("exponent", HALVES)
def test_half_integer_powers_at_the_limits_are_those_of_pow(exponent):
    x = np.array([0.0, -0.0, math.inf, math.nan, 5e-324, 1.7e308])
    with np.errstate(all="ignore"):
        expected = x**exponent
    got = values_at(f"x**{exponent}", x)
    assert np.allclose(got, expected, rtol=4e-16, atol=0, equal_nan=True)
    assert not np.signbit(got[~np.isnan(got)]).any()
    negative = values_at(f"x**{exponent}", [-1.0, -5e-324, -math.inf])
    assert np.isnan(negative[:2]).all()
    assert negative[2] == 0 if exponent == -1.5 else math.isnan(negative[2])


def test_square_is_a_product():
    x = np.random.default_rng(1).standard_normal(10_000)
    assert same_bits(values_at("x**2", x), x * x)
    assert same_bits(values_at("x**3", x), x * (x * x))
    assert same_bits(values_at("x**-1", x), 1.0 / x)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7.0),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("8/4/2", 1.0),
        ("2 - 3 - 4", -5.0),
        ("+3", 3.0),
        ("pi", math.pi),
        ("tau/e", math.tau / math.e),
        ("1 < 2 < 3", 1.0),
        ("1 < 2 > 3", 0.0),
        ("3 > 2 >= 2 > 1 <= 1", 1.0),
        ("min(3, 1, 2)", 1.0),
        ("max(3, 1, 2)", 3.0),
        ("where(0, 1, 2)", 2.0),
        (" 1_000 +\n 1e-6 ", 1000.000001),
        ("10**-6", 1e-6),
        (3, 3.0),
        (-0.25, -0.25),
        (np.float64(2.5), 2.5),
    ],
)
def test_constants_have_a_value_and_need_no_variable(text, expected):
    program = parse(text, XY)
    assert program.constant == expected
    assert len(program.opcodes) == 1


def test_chained_comparison_is_a_product():
    x = np.linspace(-1, 2, 31)
    assert same_bits(values_at("0 <= x < 1", x), ((x >= 0) & (x < 1)) * 1.0)


def test_variable_wins_over_constant_of_the_same_name():
    assert values_at("2*e", [1.5], variables=("e",)) == [3.0]


def test_programs_are_values():
    a, b = (parse("sin(pi*x) + 2", XY) for _ in range(2))
    assert a == b
    assert hash(a) == hash(b)
    assert pickle.loads(pickle.dumps(a)) == a
    assert a.constant is None
    assert a != parse("sin(pi*x) + 3", XY)
    assert a.text == "sin(pi*x) + 2"


def test_known_program():
    program = parse("-2*pi**2*sin(pi*x)*y", XY)
    names = [Op(code).name for code in program.opcodes]
    assert " ".join(names) == (
        "CONSTANT CONSTANT VARIABLE MULTIPLY SIN MULTIPLY VARIABLE MULTIPLY"
    )
    assert program.constants == (-2 * (math.pi * math.pi), math.pi)
    assert program.operands == (0, 1, 0, 0, 0, 0, 1, 0)
    assert program.depth == 3


ALL = (
    "sin(x)+cos(y)*tan(x)-atan2(y,x)/hypot(x,3)+exp(-x*x)+log(2+abs(y))+x**3-y**2.5"
    "+where(x<y,floor(9*x),sqrt(abs(y)))+tanh(x)+max(x,y)"
)


def test_value_does_not_depend_on_position_or_size_of_the_block():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-3, 3, (2, 1500))
    whole = values_at(ALL, x, y)
    for first, size in [(0, 1), (1, 2), (7, 255), (255, 257), (300, 1000), (1499, 1)]:
        part = slice(first, first + size)
        assert same_bits(values_at(ALL, x[part], y[part]), whole[part])
    order = rng.permutation(1500)
    assert same_bits(values_at(ALL, x[order], y[order]), whole[order])


@pytest.mark.parametrize("shape", [(1, 1), (700, 1), (1, 700), (30, 41), (5, 600)])
@pytest.mark.parametrize("names", [("x", "y"), ("y", "x")])
def test_grid_equals_points(shape, names):
    rng = np.random.default_rng(3)
    y, x = (rng.uniform(-3, 3, n) for n in shape)
    out = np.full((shape[0] + 2, shape[1] + 2), -1.0)
    program = parse(ALL, names)
    evaluate_grid(out[1:-1, 1:-1], program, y, x)
    columns, rows = (grid.ravel() for grid in np.meshgrid(x, y))
    expected = values_at(ALL, columns, rows).reshape(shape)
    assert same_bits(out[1:-1, 1:-1], expected)
    assert np.all(out[[0, -1]] == -1.0)
    assert np.all(out[:, [0, -1]] == -1.0)
    whole = np.empty(shape)
    evaluate_grid(whole, program, y[::-1][::-1], x)
    assert same_bits(whole, expected)


@pytest.mark.parametrize("shape", [(700, 300), (3, 70_000), (70_000, 3)])
def test_large_view_gets_the_values_of_a_whole_array(shape):
    rng = np.random.default_rng(4)
    y, x = (rng.uniform(-3, 3, n) for n in shape)
    view, whole = np.zeros((shape[0] + 2, shape[1] + 2))[1:-1, 1:-1], np.empty(shape)
    for out in (view, whole):
        evaluate_grid(out, parse("x*x - y", XY), y, x)
    assert same_bits(whole, x * x - y[:, None])
    assert same_bits(view, whole)


@pytest.mark.parametrize("names", [(), ("x",), ("y",), XY])
def test_constant_program_fills_grid_and_points(names):
    grid, points = np.empty((2, 3)), np.empty(4)
    evaluate_grid(grid, parse("2*pi", names), np.zeros(2), np.zeros(3))
    evaluate_points(points, parse(7, names), *[np.zeros(4)] * len(names))
    assert np.all(grid == 2 * math.pi)
    assert np.all(points == 7.0)


def test_grid_with_one_variable_and_points_with_three():
    grid = np.empty((2, 3))
    evaluate_grid(grid, parse("y", ("y",)), np.array([1.0, 2.0]), np.zeros(3))
    assert grid.tolist() == [[1.0] * 3, [2.0] * 3]
    got = values_at("a + 10*b + 100*c", [1.0], [2.0], [3.0], variables=("a", "b", "c"))
    assert got == [321.0]


def test_empty_grid_and_empty_list_are_left_alone():
    evaluate_grid(np.empty((0, 3)), parse("x*y", XY), np.zeros(0), np.zeros(3))
    evaluate_points(np.empty(0), parse("x", ("x",)), np.zeros(0))


def test_wrong_arrays_are_refused():
    program, zeros = parse("x*y", XY), np.zeros
    with pytest.raises(
        ValueError, match=r"out: must have shape \(2, 3\), got \(3, 2\)"
    ):
        evaluate_grid(zeros((3, 2)), program, zeros(2), zeros(3))
    with pytest.raises(ValueError, match="variables on a grid are x and y, got t"):
        evaluate_grid(zeros((2, 3)), parse("t", ("x", "t")), zeros(2), zeros(3))
    with pytest.raises(ValueError, match=r"one array per variable.*got 1 for 2"):
        evaluate_points(zeros(3), program, zeros(3))
    with pytest.raises(ValueError, match="at most 3, got 4 for 4"):
        evaluate_points(zeros(3), parse("a", tuple("abcd")), *[zeros(3)] * 4)
    with pytest.raises(ValueError, match=r"must have shape \(3,\) of out, got"):
        evaluate_points(zeros(3), program, zeros(3), zeros(4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sni(x)",
            "unknown name 'sni' at column 1, did you mean 'sin'? (variables: x, y)",
        ),
        ("1 + COS(x)", "unknown name 'COS' at column 5, did you mean 'cos'?"),
        ("ln(x)", "did you mean 'log'?"),
        ("x*zeta", "unknown name 'zeta' at column 3 (variables: x, y)"),
        ("  sni", "'sni' at column 3"),
        ("(x +\n qq)", "'qq' at column 7"),
        ("x^2", "'^' at column 2: write ** for powers"),
        ("π*x", "'π' at column 1: write pi"),
        ("x != y", "'!' at column 3: comparisons are < <= > >="),
        ("x == y", "'x == y' at column 1: comparisons are < <= > >="),
        ("x is y", "comparisons are"),
        ("x; y", "';' at column 2: not allowed in an expression"),
        ("'a'", "at column 1: not allowed in an expression"),
        ("x # sum", "'#' at column 3: not allowed"),
        ("x\x00", "'\\x00' at column 2: not allowed"),
        ("x\ud800", "at column 2: not allowed"),
        ("2x", "at column 1 (a product needs its *)"),
        ("2(x)", "'2' at column 1: not a function (a product needs its *)"),
        ("x (y)", "'x' at column 1: not a function"),
        ("pi(2)", "'pi' at column 1: not a function"),
        ("x y", "invalid syntax at column 3 (a product needs its *)"),
        ("(x", "'(' was never closed at column 1"),
        ("x+*y", "invalid syntax at column 3"),
        ("sin", "'sin' at column 1: a function, write sin(...)"),
        ("sin(x, y)", "sin takes one argument, got 2"),
        ("atan2(x)", "atan2 takes two arguments, got 1"),
        ("where(x)", "where takes three arguments, got 1"),
        ("min(x)", "min takes two arguments, got 1"),
        ("sin(x=1)", "arguments have no names here"),
        ("sin(*x)", "'*x' at column 5: not allowed in an expression"),
        ("1,5", "'1,5' at column 1: more than one value (decimals have a point"),
        ("x if y else 1", "write where(condition, a, b)"),
        ("x and y", "write a*b for a and b"),
        ("not x", "'not x' at column 1: not allowed in an expression"),
        ("x//2", "'x//2' at column 1: not allowed in an expression"),
        ("x.real", "'x.real' at column 1: not allowed"),
        ("(yield x)", "'yield x' at column 2: not allowed"),
        ("True", "'True' at column 1: not allowed"),
        ("1j", "'1j' at column 1: not allowed"),
        ("x + 1/0", "'1/0' at column 5: not a finite real number"),
        ("log(-1)", "'log(-1)' at column 1: not a finite real number"),
        ("(-8)**(1/3)", "not a finite real number"),
        ("exp(1000)*x", "'exp(1000)' at column 1: not a finite real number"),
        ("9**9**9", "'9**9**9' at column 1: not a finite real number"),
        ("1e308*10", "not a finite real number"),
        ("0**-1", "not a finite real number"),
        ("x + 1e999", "number at column 5 must be finite, got inf"),
        ("9" * 1999, "number at column 1 must be finite, got inf"),
        (math.inf, "number must be finite, got inf"),
        (math.nan, "number must be finite, got nan"),
        (10**400, "number must be finite, got inf"),
        ("", "empty expression"),
        (" \n ", "empty expression"),
        (True, "must be a number or an expression, got True"),
        (None, "must be a number or an expression, got None"),
        ("x" * 2001, "expression too long: 2001 characters, at most 2000"),
        (
            "0<(" * 60 + "1<x<2" + ")<3" * 60,
            "expression too long: more than 4000 steps",
        ),
        (
            "x**" * 600 + "x",
            "too deeply nested: needs a stack of 601 values, at most 64",
        ),
        ("(" * 500 + "x" + ")" * 500, "too many nested parentheses at column 201"),
    ],
)
def test_wrong_text_is_refused_with_the_reason_and_place(text, message):
    with pytest.raises(ExpressionError) as caught:
        parse(text, XY)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_depth_beyond_the_parser_of_python_is_refused(monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(ast, "parse", fail)
    with pytest.raises(ExpressionError, match="expression too deeply nested"):
        parse("x", XY)


def test_no_variables_is_said():
    with pytest.raises(ExpressionError, match=r"unknown name 'x'.*\(variables: none\)"):
        parse("x", ())


PIECES = """
x y 1 2.5 1e9 pi sin cos min where ( ) ( ) , + - * / ** < <= = == . _ if else and not is
in lambda for await yield 0x 1_ 0o7 e j True None ... ^ [ ] ' # \\
"""


@settings(deadline=None, max_examples=1000)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from(PIECES.split()), max_size=40).map(" ".join)
)
def test_arbitrary_text_parses_or_raises_expression_error(text):
    try:
        program = parse(text, XY)
    except ExpressionError:
        return
    check_stack(program)


def check_stack(program: Program):
    """The program never takes more than there is, and uses the depth it states."""
    height = highest = 0
    for op in program.opcodes:
        assert height >= ARITY[Op(op)]
        height += 1 - ARITY[Op(op)]
        highest = max(highest, height)
    assert height == 1
    assert highest == program.depth


@pytest.mark.parametrize(
    "text",
    [
        "-" * 1999 + "x",
        "x+" * 999 + "x",
        "sin(" * 199 + "x" + ")" * 199,
        "x<" * 900 + "x",
        "max(" + "x," * 900 + "x)",
        "1<(" * 190 + "1<2<3" + ")<3" * 190,
        "9**" * 600 + "9",
        "(" * 2000,
        "a" * 2000,
    ],
)
def test_long_text_is_answered_at_once(text):
    begin = time.perf_counter()
    try:
        check_stack(parse(text, XY))
    except ExpressionError as error:
        assert len(str(error)) < 200
    assert time.perf_counter() - begin < 1.0


def test_long_programs_are_evaluated():
    assert values_at("x+" * 999 + "x", [0.5]) == [500.0]
    assert values_at("x+(" * 62 + "x" + ")" * 62, [2.0]) == [126.0]


def test_parse_imports_no_numerical_library():
    code = (
        "import sys; from hpcapp.expression import parse; parse('sin(x)', ('x',));"
        "sys.exit(bool({'numba', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# the limits of overflow, underflow, poles and domains of all functions among them
MAGNITUDES = [0.3, 1.5, 2.0, 3.0, 7.25, 710.0, 745.0, 1e3, 1e16]
MAGNITUDES += [1e-200, 1e200, 1e308]
EDGES = [*SPECIAL, *MAGNITUDES, *(-value for value in MAGNITUDES)]
WITH_VALUES = [op for op in Op if ARITY[op]]


def one_operation(op, operand=0):
    count = ARITY[op]
    opcodes, operands = (Op.VARIABLE,) * count + (op,), (*range(count), operand)
    return Program(op.name, ("a", "b", "c")[:count], opcodes, operands, (), count)


@pytest.mark.parametrize("op", WITH_VALUES, ids=lambda op: op.name)
def test_each_operation_has_the_same_bits_in_all_interpreters(op):
    grids = np.meshgrid(*[EDGES if ARITY[op] < 3 else SPECIAL] * ARITY[op])
    columns = [grid.ravel() for grid in grids]
    operands = {Op.POWER_INTEGER: range(-16, 17), Op.POWER_HALF: range(-2, 3)}
    for operand in operands.get(op, [0]):
        program = one_operation(op, operand)
        kernel = np.empty(len(columns[0]))
        evaluate_points(kernel, program, *columns)
        line = evaluate_line(program, *columns)
        rows = list(zip(*(c.tolist() for c in columns), strict=True))
        numbers = [compute(op, list(row), operand) for row in rows]
        assert line.shape == kernel.shape
        for got in (line, numbers):
            differ = [
                (row, a, b)
                for row, a, b in zip(rows, got, kernel.tolist(), strict=True)
                if not same_bits(a, b)
            ]
            assert differ == [], operand
        assert same_bits(evaluate_number(program, *rows[1]), kernel[1])


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("1/(1 + exp(2000*(x - 0.5)))", 1.0, 0.0),
        ("exp(-1/x**2)", 0.0, 0.0),
        ("max(log(x - 0.5), 0)", 0.0, math.nan),
        ("max(log(x), 0)", 0.0, 0.0),
        ("sign(log(x - 0.5))", 0.0, math.nan),
        ("floor(exp(2000*x))", 1.0, math.inf),
        ("x**-3", -0.0, -math.inf),
        ("x**y", -1e300, math.inf),
        ("x**0", 5.0, 1.0),
    ],
)
def test_a_value_that_passes_through_infinity_is_that_of_the_kernel(text, x, expected):
    y = 2046.0
    (kernel,) = values_at(text, [x], [y])
    assert same_bits(kernel, expected)
    assert same_bits(evaluate_number(parse(text, XY), x, y), expected)


@settings(deadline=None, max_examples=300)
@given(FORMULAS, POINTS)
@example(("(-({x}))**0.5", "power(-(x), 0.5)"), [(0.0, 0.0)])
def test_a_line_without_the_kernel_has_its_bits(formula, points):
    try:
        program = parse(formula[0].format(x="x", y="y"), XY)
    except ExpressionError:
        assume(False)
    x, y = (np.array(column) for column in zip(*points, strict=True))
    kernel = np.empty(len(points))
    evaluate_points(kernel, program, x, y)
    line = evaluate_line(program, x, y)
    assert line.shape == kernel.shape
    assert same_bits(line, kernel)


def test_a_number_on_a_line_does_not_depend_on_its_place():
    rng = np.random.default_rng(5)
    x, y = rng.uniform(-3, 3, (2, 1003))
    program = parse(ALL, XY)
    whole = evaluate_line(program, x, y)
    assert same_bits(whole, values_at(ALL, x, y))
    for first, size in [(0, 1), (1, 2), (7, 64), (500, 503)]:
        part = slice(first, first + size)
        assert same_bits(evaluate_line(program, x[part], y[part]), whole[part])
    assert evaluate_number(program, x[9], y[9]) == whole[9]
