"""Conditions: `{{age}} >= 18 and is_present(vars.name)`. Paths are values here, never text.

The text is cut into tokens by us first; every word, number and text becomes an operand `o<n>`, so that Python's parser sees
only operators, brackets and names that we made. What it builds is checked against a short list, then evaluated by us.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import Any, Final, assert_never

import msgspec

from app.engine.kind import NodeError
from app.engine.operators import compare, functions, lenient_functions, truth_of
from app.engine.path import Path, bare_reference, brace_reference, bracket_reference, is_links, parse_path, resolve
from app.engine.scope import Scope
from app.engine.values import Value

max_bytes: Final = 8 * 1024
max_depth: Final = 40

_text = re.compile(r"""(?s)"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'""")
_number = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?(?![\w.])")
_word = re.compile(r"[^\W\d]\w*")
_call = re.compile(r"([^\W\d]\w*)\s*\(")
_operator = re.compile(r"==|!=|<=|>=|[<>()\[\],-]")
_escape = re.compile(r"(?s)\\(.)")
_escapes = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_keywords = {"and": "and", "or": "or", "not": "not", "in": "in"}
_constants: dict[str, Value] = {
    "true": True, "True": True, "false": False, "False": False, "null": None, "None": None,
}  # fmt: skip
_hints = {
    "=": "= is no operator, write ==",
    "&": "write and instead of &",
    "|": "write or instead of |",
    "!": "write not instead of !",
    "{": "{{ }} holds only a path here",
}


class ExpressionSyntaxError(ValueError):
    """The text is no expression."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Literal(msgspec.Struct, frozen=True):
    value: Value


Operand = Literal | Path


class Expression(msgspec.Struct, frozen=True):
    """`tree` holds only what `_check` lets through; its names are operands or functions."""

    tree: ast.expr
    operands: tuple[Operand, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(operand for operand in self.operands if isinstance(operand, Path))

    def value(self, scope: Scope) -> Value:
        """Raises NodeError: `invalid_reference`, `invalid_value`, `too_large`."""
        try:
            return _evaluate(self.tree, self.operands, scope)
        except RecursionError as error:
            raise NodeError("invalid_value", "the values are nested too deeply to compare") from error

    def truth(self, scope: Scope) -> bool:
        """Null, false, 0 and what is empty are false, everything else is true. Raises NodeError."""
        return truth_of(self.value(scope))


@lru_cache(maxsize=2048)
def _cached(text: str) -> Expression:
    tokens, operands = _tokens(text)
    if not tokens:
        raise ExpressionSyntaxError("the expression is empty")
    try:
        tree = ast.parse(" ".join(tokens), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ExpressionSyntaxError("this is no expression: an operator, a value or a bracket is missing") from None
    _check(tree, 0)
    return Expression(tree, operands)


def parse(text: str) -> Expression:
    """Raises ExpressionSyntaxError."""
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise ExpressionSyntaxError(f"the expression is longer than {max_bytes} bytes")
    return _cached(text)


def _tokens(text: str) -> tuple[list[str], tuple[Operand, ...]]:
    tokens: list[str] = []
    operands: list[Operand] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        token, end = _token(text, position)
        if isinstance(token, str):
            tokens.append(token)
        else:
            tokens.append(f"o{len(operands)}")
            operands.append(token)
        position = end
    return tokens, tuple(operands)


def _token(text: str, position: int) -> tuple[str | Operand, int]:
    if found := brace_reference.match(text, position):
        return _path(found), found.end()
    if found := bracket_reference.match(text, position):
        return parse_path(found["path"], "[["), found.end()
    if found := _text.match(text, position):
        return Literal(_escape.sub(_unescape, found.group()[1:-1])), found.end()
    if found := _number.match(text, position):
        return Literal(_parse_number(found.group())), found.end()
    if found := _operator.match(text, position):
        return found.group(), found.end()
    if found := _word.match(text, position):
        return _parse_word(text, position, found)
    character = text[position]
    hint = _hints.get(character, f"{character!r} means nothing here (at character {position + 1})")
    raise ExpressionSyntaxError("a text has no end" if character in "\"'" else hint)


def _parse_word(text: str, position: int, word: re.Match[str]) -> tuple[str | Operand, int]:
    name = word.group()
    if keyword := _keywords.get(name.lower()):
        return keyword, word.end()
    if name in _constants:
        return Literal(_constants[name]), word.end()
    if call := _call.match(text, position):
        if name not in functions:
            raise ExpressionSyntaxError(f"{name} is no function; there are {', '.join(functions)}")
        return f"f_{name}", call.end() - 1
    found = bare_reference.match(text, position)
    if found is None:  # a word is always a path
        raise ExpressionSyntaxError(f"{name!r} means nothing here")
    return _path(found), found.end()


def _path(found: re.Match[str]) -> Path:
    path = parse_path(found["path"])
    if path.first == "secret":
        raise ExpressionSyntaxError("secrets cannot be read in an expression")
    if is_links(path):
        raise ExpressionSyntaxError("links cannot be read in an expression")
    return path


def _unescape(found: re.Match[str]) -> str:
    return _escapes.get(found[1], found[0])


def _parse_number(text: str) -> int | float:
    if len(text) > 400:
        raise ExpressionSyntaxError("a number is too long")
    if text.isdecimal():
        return int(text)
    number = float(text)
    if number == float("inf"):
        raise ExpressionSyntaxError(f"{text} is too large a number")
    return number


def _check(tree: ast.expr, depth: int) -> None:
    """Raises ExpressionSyntaxError for everything that `_evaluate` does not know."""
    if depth > max_depth:
        raise ExpressionSyntaxError(f"the expression is nested deeper than {max_depth} levels")
    match tree:
        case ast.Name(id=name) if name[0] == "o":
            return
        case ast.BoolOp(values=parts) | ast.List(elts=parts):
            inner = parts
        case ast.UnaryOp(op=ast.Not(), operand=part) | ast.UnaryOp(op=ast.USub(), operand=ast.Name() as part):
            inner = [part]
        case ast.Compare(left=left, comparators=others):
            inner = [left, *others]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name[:2] == "f_":
            _check_arity(name[2:], len(arguments))
            inner = arguments
        case ast.BinOp() | ast.UnaryOp():
            raise ExpressionSyntaxError('there is no arithmetic; an id with "-" is written nodes["my-node"]')
        case ast.Tuple():
            raise ExpressionSyntaxError("a comma means nothing here; a list is written [1, 2]")
        case _:
            raise ExpressionSyntaxError("only comparisons, and, or, not, in, lists, paths and the functions are known")
    for part in inner:
        _check(part, depth + 1)


def _check_arity(name: str, given: int) -> None:
    wanted = functions[name].arity
    if given != wanted:
        raise ExpressionSyntaxError(f"{name} takes {wanted} value{'s' if wanted > 1 else ''}, not {given}")


def _evaluate(tree: ast.expr, operands: tuple[Operand, ...], scope: Scope) -> Value:
    match tree:
        case ast.Name(id=name):
            return _read(operands[int(name[1:])], scope)
        case ast.List(elts=parts):
            return [_evaluate(part, operands, scope) for part in parts]
        case ast.BoolOp(op=operator, values=parts):
            truths = (truth_of(_evaluate(part, operands, scope)) for part in parts)
            return all(truths) if isinstance(operator, ast.And) else any(truths)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not truth_of(_evaluate(part, operands, scope))
        case ast.UnaryOp(operand=part):
            return _negative(_evaluate(part, operands, scope))
        case ast.Compare():
            return _compare(tree, operands, scope)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _apply(name[2:], arguments, operands, scope)
        case _:
            raise AssertionError(f"_check let {type(tree).__name__} through")


def _read(operand: Operand, scope: Scope) -> Value:
    match operand:
        case Literal(value):
            return value
        case Path():
            return resolve(operand, scope)
        case _:
            assert_never(operand)


def _negative(value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise NodeError("invalid_value", "only a number can have a minus sign")
    return -value


def _compare(tree: ast.Compare, operands: tuple[Operand, ...], scope: Scope) -> bool:
    left = _evaluate(tree.left, operands, scope)
    for operator, part in zip(tree.ops, tree.comparators, strict=True):
        right = _evaluate(part, operands, scope)
        if not compare(type(operator).__name__, left, right):
            return False
        left = right
    return True


def _apply(name: str, arguments: list[ast.expr], operands: tuple[Operand, ...], scope: Scope) -> Value:
    function = functions[name]
    if name not in lenient_functions:
        return function.call(*(_evaluate(argument, operands, scope) for argument in arguments))
    try:
        return function.call(_evaluate(arguments[0], operands, scope))
    except NodeError as error:  # what is missing is not present, and empty
        if error.error_type != "invalid_reference":
            raise
        return function.call(None)
