"""Arithmetic, read as a syntax tree and worked out node by node: bounded in size and time, never evaluated as code."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any, Final

from workers.errors import ToolFailed

LONGEST: Final = 500
"""Characters of an expression."""

NODES: Final = 200
BITS: Final = 4096
"""Whole numbers may have so many bits, about 1,200 digits."""

LARGEST_FACTORIAL: Final = 450

Number = int | float

_SIGNS: Final = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "**", "\n": " "})  # noqa: RUF001 (what people write)
_CONSTANTS: Final = {"pi": math.pi, "e": math.e, "tau": math.tau}


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and (base.bit_length() - 1) * abs(exponent) > BITS:
        raise ToolFailed("the result is too large")
    result = base**exponent
    if isinstance(result, complex):
        raise ToolFailed("the result is no real number")
    return result


def _factorial(value: Number) -> int:
    if not isinstance(value, int) or not 0 <= value <= LARGEST_FACTORIAL:
        raise ToolFailed(f"factorial takes whole numbers from 0 to {LARGEST_FACTORIAL}")
    return math.factorial(value)


_BINARY: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Any], Any]]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}
_FUNCTIONS: Final[dict[str, Callable[..., Any]]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "degrees": math.degrees,
    "exp": math.exp,
    "factorial": _factorial,
    "floor": math.floor,
    "hypot": math.hypot,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "radians": math.radians,
    "round": round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "sum": lambda *terms: sum(terms),
    "tan": math.tan,
}

USAGE: Final = f"numbers, + - * / // % **, brackets, {', '.join(sorted(_CONSTANTS))}, {', '.join(_FUNCTIONS)}"


def calculate(expression: str) -> str:
    """Return what an expression comes to, in at most about 1,200 digits. Raises ToolFailed, saying why not."""
    if len(expression) > LONGEST:
        raise ToolFailed(f"the expression is longer than {LONGEST} characters")
    try:
        tree = ast.parse(expression.translate(_SIGNS).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolFailed(f"this is no arithmetic expression; allowed are {USAGE}") from None
    if sum(1 for _ in ast.walk(tree)) > NODES:
        raise ToolFailed("the expression has too many parts")
    try:
        return _shown(_value(tree.body))
    except ZeroDivisionError:
        raise ToolFailed("division by zero") from None
    except OverflowError:
        raise ToolFailed("the result is too large") from None
    except (ValueError, TypeError) as error:
        raise ToolFailed(f"it cannot be worked out: {error}") from None


def _value(node: ast.expr) -> Number:
    """Return the value of a node, never a whole number beyond BITS."""
    match node:
        case ast.Constant(value=bool()):
            raise ToolFailed("true and false are no numbers")
        case ast.Constant(value=int() | float() as value):
            result: Any = value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            result = _BINARY[type(op)](_value(left), _value(right))
        case ast.UnaryOp(op=sign, operand=operand) if type(sign) in _UNARY:
            result = _UNARY[type(sign)](_value(operand))
        case ast.Name(id=name) if name in _CONSTANTS:
            result = _CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=terms, keywords=[]) if name in _FUNCTIONS:
            result = _FUNCTIONS[name](*[_value(term) for term in terms])
        case _:
            raise ToolFailed(f"{ast.unparse(node)[:40]!r} is not allowed; allowed are {USAGE}")
    if isinstance(result, int) and result.bit_length() > BITS:
        raise ToolFailed("the result is too large")
    number: Number = result
    return number


def _shown(value: Number) -> str:
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        raise ToolFailed("the result is too large")
    # 15 digits are what a float is sure of: 0.1 + 0.2 is 0.3.
    return f"{value:.15g}"
