# SPDX-License-Identifier: MIT
"""Mathematical expressions of the configuration, as small postfix programs.

`parse` turns text such as ``sin(pi*x)`` into a `Program`, without `eval`; the
programs are interpreted in `hpcapp.evaluation`. Imports only the standard
library, so that `plan` and the validation of a configuration stay light.
"""

import ast
import difflib
import math
import re
import string
import warnings
from dataclasses import dataclass

from hpcapp.postfix import ARITY, Op, Program, compute, power_of

__all__ = ["ExpressionError", "Op", "Program", "parse"]

_MAX_TEXT = 2000
_MAX_DEPTH = 64
_MAX_STEPS = 4000

_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS = {
    **{op.name.lower(): op for op in Op if Op.ABS <= op <= Op.TANH},
    "atan2": Op.ATAN2,
    "hypot": Op.HYPOT,
    "where": Op.WHERE,
    "min": Op.MINIMUM,
    "max": Op.MAXIMUM,
}

_OPERATORS: dict[type[ast.AST], Op] = {
    ast.Add: Op.ADD,
    ast.Sub: Op.SUBTRACT,
    ast.Mult: Op.MULTIPLY,
    ast.Div: Op.DIVIDE,
    ast.Pow: Op.POWER,
    ast.Lt: Op.LESS,
    ast.LtE: Op.LESS_EQUAL,
    ast.Gt: Op.GREATER,
    ast.GtE: Op.GREATER_EQUAL,
    ast.USub: Op.NEGATE,
}

_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.,()+-*/<>= ")
_PRODUCT = re.compile(r"[0-9)] *[A-Za-z(]|\w +\w")
_HINTS = {"^": "write ** for powers", "π": "write pi", "!": "comparisons are < <= > >="}
_TAKES = {1: "one argument", 2: "two arguments", 3: "three arguments"}
_SYNONYMS = {"ln": "log", "pow": "**", "sgn": "sign"}
_REFUSED: dict[type[ast.AST], str] = {
    ast.IfExp: "write where(condition, a, b)",
    ast.BoolOp: "write a*b for a and b, max(a, b) for a or b",
    ast.Tuple: "more than one value (decimals have a point, no comma)",
}


class ExpressionError(ValueError):
    """Text that is not an expression; the message says what is wrong and where."""


def parse(text: str | float, variables: tuple[str, ...]) -> Program:
    """Parse an expression into a postfix program, constant parts already computed.

    Allowed are numbers, the variables, pi, e, tau, ``+ - * / **``, parentheses,
    ``< <= > >=`` (also chained: ``0 < x < 1``), ``where(condition, a, b)`` and the
    functions sin cos tan asin acos atan atan2 sinh cosh tanh exp log log10 log2 sqrt
    abs floor ceil min max hypot sign. All arithmetic is in float64; the rules are
    those of `Op`.

    Parameters
    ----------
    text : str, float or int
        Expression of at most 2000 characters, or a finite number.
    variables : tuple of str
        Names that the expression may use; they win over constants of the same name.

    Returns
    -------
    Program
        The program; its `constant` is set if no variable is used.

    Raises
    ------
    ExpressionError
        If the text is not such an expression, or a constant part of it is not a
        finite real number (1/0, log(-1), 9**9**9).

    Examples
    --------
    >>> parse("2*pi", ("x",)).constant
    6.283185307179586
    >>> [Op(code).name for code in parse("x**2 - 1", ("x",)).opcodes]
    ['VARIABLE', 'POWER_INTEGER', 'CONSTANT', 'SUBTRACT']
    >>> parse("sni(x)", ("x",))
    Traceback (most recent call last):
        ...
    hpcapp.expression.ExpressionError: unknown name 'sni' at column 1, did you mean \
'sin'? (variables: x)
    """
    if isinstance(text, bool) or not isinstance(text, str | float | int):
        raise ExpressionError(f"must be a number or an expression, got {text!r:.40}")
    if not isinstance(text, str):
        value = _to_float(text)
        return Program(repr(value), variables, (int(Op.CONSTANT),), (0,), (value,), 1)
    # The characters are checked first: what the parser of Python sees then has no
    # strings, comments or line breaks, and one character is one column.
    spaced = "".join(" " if char in "\t\r\n" else char for char in text)
    _check_characters(spaced)
    return _Compiler(spaced, variables).compile()


def _check_characters(text: str) -> None:
    if not text.strip():
        raise ExpressionError("empty expression")
    if len(text) > _MAX_TEXT:
        raise ExpressionError(
            f"expression too long: {len(text)} characters, at most {_MAX_TEXT}"
        )
    for column, char in enumerate(text, start=1):
        if char not in _CHARACTERS:
            hint = _HINTS.get(char, "not allowed in an expression")
            raise ExpressionError(f"{char!r} at column {column}: {hint}")


def _to_float(number: float, where: str = "") -> float:
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ExpressionError(f"number{where} must be finite, got {value}")
    return value


@dataclass(frozen=True, slots=True)
class _Apply:
    """An operation whose arguments stand before it, and the node that it is for."""

    op: Op
    node: ast.expr


class _Compiler:
    """Translates one syntax tree; loops instead of recursion, so depth is no danger."""

    def __init__(self, text: str, variables: tuple[str, ...]) -> None:
        self.text = text.strip()
        self.indent = len(text) - len(text.lstrip())
        self.variables = variables
        # The number belongs to the operation: value, index of variable, or exponent.
        self.code: list[tuple[Op, float]] = []

    def compile(self) -> Program:
        work: list[ast.expr | _Apply] = [self.read_tree()]
        for _ in range(_MAX_STEPS):
            if not work:
                return self.finish()
            item = work.pop()
            if isinstance(item, _Apply):
                self.apply(item)
            else:
                work.extend(reversed(self.expand(item)))
        raise ExpressionError(f"expression too long: more than {_MAX_STEPS} steps")

    def read_tree(self) -> ast.expr:
        try:
            with warnings.catch_warnings():
                # A remark on "1if x" would reach the user before the refusal does.
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            column = min(max(error.offset or 1, 1), len(self.text)) + self.indent
            hint = " (a product needs its *)" if _PRODUCT.search(self.text) else ""
            raise ExpressionError(f"{error.msg} at column {column}{hint}") from None
        except (RecursionError, MemoryError):
            raise ExpressionError("expression too deeply nested") from None

    def expand(self, node: ast.expr) -> list[ast.expr | _Apply]:
        """Give the parts of a node in postfix order; push it if it has no parts."""
        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                assert isinstance(value, int | float)
                self.code.append((Op.CONSTANT, _to_float(value, self.place(node))))
                return []
            case ast.Name():
                self.code.append(self.look_up(node))
                return []
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return [operand]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return [operand, _Apply(Op.NEGATE, node)]
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                return [left, right, _Apply(_OPERATORS[type(sign)], node)]
            case ast.Compare():
                return self.expand_comparison(node)
            case ast.Call():
                return self.expand_call(node)
        raise self.refuse(node)

    def expand_comparison(self, node: ast.Compare) -> list[ast.expr | _Apply]:
        parts: list[ast.expr | _Apply] = []
        left = node.left
        for sign, right in zip(node.ops, node.comparators, strict=True):
            if type(sign) not in _OPERATORS:
                raise self.refuse(node, "comparisons are < <= > >=")
            parts += [left, right, _Apply(_OPERATORS[type(sign)], node)]
            if left is not node.left:
                # a < b < c is (a < b)*(b < c).
                parts.append(_Apply(Op.MULTIPLY, node))
            left = right
        return parts

    def expand_call(self, node: ast.Call) -> list[ast.expr | _Apply]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if not name or name in self.variables or name in _CONSTANTS:
            raise self.refuse(node.func, "not a function (a product needs its *)")
        if name not in _FUNCTIONS:
            raise self.unknown(node.func, name)
        op, given = _FUNCTIONS[name], len(node.args)
        if node.keywords:
            raise self.refuse(node, "arguments have no names here")
        if op in (Op.MINIMUM, Op.MAXIMUM) and given >= 2:
            rest = [part for arg in node.args[1:] for part in (arg, _Apply(op, node))]
            return [node.args[0], *rest]
        if given != ARITY[op]:
            raise self.refuse(node, f"{name} takes {_TAKES[ARITY[op]]}, got {given}")
        return [*node.args, _Apply(op, node)]

    def look_up(self, node: ast.Name) -> tuple[Op, float]:
        if node.id in self.variables:
            return Op.VARIABLE, self.variables.index(node.id)
        if node.id in _CONSTANTS:
            return Op.CONSTANT, _CONSTANTS[node.id]
        if node.id in _FUNCTIONS:
            raise self.refuse(node, f"a function, write {node.id}(...)")
        raise self.unknown(node, node.id)

    def apply(self, item: _Apply) -> None:
        """Append an operation, or compute it if all its arguments are constants."""
        arguments = self.code[-ARITY[item.op] :]
        op, operand = item.op, 0
        if op is Op.POWER and arguments[1][0] is Op.CONSTANT:
            op, operand = power_of(arguments[1][1])
        # In postfix order the last n instructions are the n arguments if they push.
        if all(part is Op.CONSTANT for part, _ in arguments):
            values = [value for _, value in arguments]
            value = compute(op, values[: ARITY[op]], operand)
            if not math.isfinite(value):
                raise self.refuse(item.node, "not a finite real number")
            self.code[-len(values) :] = [(Op.CONSTANT, value)]
        elif op is not item.op:
            self.code[-1] = (op, operand)
        else:
            self.code.append((op, 0))

    def finish(self) -> Program:
        height = depth = 0
        for op, _ in self.code:
            height += 1 - ARITY[op]
            depth = max(depth, height)
        if depth > _MAX_DEPTH:
            why = f"needs a stack of {depth} values, at most {_MAX_DEPTH}"
            raise ExpressionError(f"expression too deeply nested: {why}")
        constants: list[float] = []
        operands = []
        for op, number in self.code:
            operands.append(len(constants) if op is Op.CONSTANT else int(number))
            constants += [number] if op is Op.CONSTANT else []
        return Program(
            text=self.text,
            variables=self.variables,
            opcodes=tuple(int(op) for op, _ in self.code),
            operands=tuple(operands),
            constants=tuple(constants),
            depth=depth,
        )

    def place(self, node: ast.expr) -> str:
        return f" at column {node.col_offset + 1 + self.indent}"

    def refuse(self, node: ast.expr, why: str = "") -> ExpressionError:
        part = self.text[node.col_offset : node.end_col_offset]
        part = part if len(part) <= 40 else part[:37] + "..."
        why = why or _REFUSED.get(type(node), "not allowed in an expression")
        return ExpressionError(f"{part!r}{self.place(node)}: {why}")

    def unknown(self, node: ast.expr, name: str) -> ExpressionError:
        known = (*_CONSTANTS, *_FUNCTIONS, *self.variables)
        names = {item.lower(): item for item in known}
        near = difflib.get_close_matches(name.lower(), names, n=1)
        guess = _SYNONYMS.get(name) or (names[near[0]] if near else None)
        hint = f", did you mean {guess!r}?" if guess else ""
        listed = ", ".join(self.variables) or "none"
        return ExpressionError(
            f"unknown name {name[:40]!r}{self.place(node)}{hint} (variables: {listed})"
        )
