"""Conditions in CEL, the Common Expression Language: compiled once, and evaluated within bounds."""

import operator
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, cast

import lark
from celpy import Environment, celtypes
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import Activation, CELEvalError, Evaluator, base_functions

MAX_CHARACTERS = 2000
MAX_SECONDS = 0.25
"""For one evaluation: a condition holds up all other work of its process meanwhile."""

Tree = Any
"""Of lark's, which leaves open what its children are."""

NAMES = frozenset({"arguments", "caller", "run"})
"""What a condition may speak of, beside what its own macros name and the functions and types of CEL."""

FIELDS = {"caller": frozenset({"user_id", "roles"}), "run": frozenset({"turn", "calls", "in_conversation"})}

MAX_DEPTH = 150
"""Levels of the tree that a parser makes of it, about ten for each bracket: each costs some of the stack."""

_MACROS = frozenset({"map", "filter", "all", "exists", "exists_one"})
_FUNCTIONS = frozenset(base_functions) | _MACROS | {"has", "dyn"}
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"})


def _comparing(name: str, compare: Callable[[float, float], bool]) -> Callable[[Any, Any], Any]:
    """As CEL means it: 51 is more than 50.5, whatever their types."""

    def compared(left: Any, right: Any) -> Any:
        if isinstance(left, _NUMERIC) and isinstance(right, _NUMERIC):
            return celtypes.BoolType(compare(_plain(left), _plain(right)))
        return base_functions[name](left, right)

    return compared


def _plain(number: Any) -> float:
    return float(number) if isinstance(number, celtypes.DoubleType) else int(number)


_NUMERIC = (celtypes.IntType, celtypes.UintType, celtypes.DoubleType)
_COMPARISONS = {
    name: _comparing(name, compare)
    for name, compare in (
        *(("_<_", operator.lt), ("_<=_", operator.le), ("_>_", operator.gt), ("_>=_", operator.ge)),
        *(("_==_", operator.eq), ("_!=_", operator.ne)),
    )
}


class BadCondition(Exception):
    """The expression cannot be used; the message is one line that says why."""


class Undecided(Exception):
    """The expression has no answer for these values: an error in it, no boolean, or no end within its time."""


class Condition:
    """One expression. Raises: `BadCondition`"""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise BadCondition(f"it has {len(text)} characters, and may have {MAX_CHARACTERS}")
        self._tree = _parsed(text)
        if _depth(self._tree) > MAX_DEPTH:
            raise BadCondition("it is nested too deeply")
        self.fields = _fields(self._tree)
        """Of each name, which of its fields it speaks of."""
        if unknown := sorted(_named(self._tree) - NAMES - _TYPES):
            raise BadCondition(f"it names {unknown[0]!r}, and may speak of {', '.join(sorted(NAMES))}")
        if unknown := sorted(_called(self._tree) - _FUNCTIONS):
            raise BadCondition(f"it calls {unknown[0]!r}, which is no function of CEL")
        for name, known in FIELDS.items():
            if unknown := sorted(self.fields[name] - known):
                raise BadCondition(f"it names {name}.{unknown[0]}, and may speak of {', '.join(sorted(known))}")

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these values, which are JSON. Raises: `Undecided`"""
        evaluator = _Bounded(self._tree, Activation(functions=_COMPARISONS), time.monotonic() + MAX_SECONDS)
        try:
            found = evaluator.evaluate({name: json_to_cel(value) for name, value in values.items()})
        except (CELEvalError, Undecided, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise Undecided(type(error).__name__) from None
        except (AttributeError, lark.exceptions.LarkError, NotImplementedError, RuntimeError) as error:
            raise Undecided(type(error).__name__) from None
        if not isinstance(found, (bool, celtypes.BoolType)):
            raise Undecided(f"it is no boolean but {type(found).__name__}")
        return bool(found)


class _Bounded(Evaluator):
    """Gives up when its time is over."""

    def __init__(self, tree: Tree, activation: Any, until: float) -> None:
        cast(Any, super()).__init__(tree, activation)
        self._until = until

    def sub_evaluator(self, ast: Tree) -> Evaluator:
        return _Bounded(ast, self.activation, self._until)

    def visit(self, tree: Tree) -> Any:
        if time.monotonic() > self._until:
            raise Undecided("it took too long")
        return cast(Any, super()).visit(tree)


def _parsed(text: str) -> Tree:
    try:
        return cast(Any, _environment()).compile(text)
    except CELParseError as error:
        raise BadCondition(f"it does not compile at column {error.column}") from None
    except (RecursionError, ValueError, lark.exceptions.LarkError) as error:
        raise BadCondition(f"it does not compile: {type(error).__name__}") from None


def _environment() -> Environment:
    """The package raises the limit of recursion, on which others rely who refuse what is nested deeply."""
    limit = sys.getrecursionlimit()
    try:
        return Environment()
    finally:
        sys.setrecursionlimit(limit)


def _is_tree(part: Any) -> bool:
    return isinstance(part, lark.Tree)


def _depth(tree: Tree) -> int:
    depth = 0
    level: list[Tree] = [tree]
    while level:
        depth += 1
        level = [child for each in level for child in each.children if _is_tree(child)]
    return depth


def _named(tree: Tree) -> set[str]:
    """The names in it that no macro of its own has given."""
    given: set[str] = set()
    for call in tree.find_data("member_dot_arg"):
        if str(call.children[1]) in _MACROS and len(call.children) > 2:
            given |= {str(each.children[0]) for each in _first(call.children[2]).find_data("ident")}
    return {str(each.children[0]) for each in (*tree.find_data("ident"), *tree.find_data("dot_ident"))} - given


def _first(arguments: Any) -> Tree:
    return arguments.children[0]


def _called(tree: Tree) -> set[str]:
    functions = (*tree.find_data("ident_arg"), *tree.find_data("dot_ident_arg"))
    return {str(call.children[0]) for call in functions} | {
        str(call.children[1]) for call in tree.find_data("member_dot_arg")
    }


def _fields(tree: Tree) -> defaultdict[str, set[str]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for dot in tree.find_data("member_dot"):
        owner = dot.children[0]
        while _is_tree(owner) and owner.data in ("member", "primary") and len(owner.children) == 1:
            owner = owner.children[0]
        if _is_tree(owner) and owner.data == "ident":
            found[str(owner.children[0])].add(str(dot.children[1]))
    return found
