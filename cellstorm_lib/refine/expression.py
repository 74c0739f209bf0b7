"""Conditions in column names, as people type them: read, checked and evaluated safely.

The grammar: column names, numbers, ``True`` and ``False``, ``+ - * / % **``, comparisons (also
chained), ``and or not`` or ``& | ~``, parentheses, and the functions in `FUNCTIONS`. Unlike in
Python, ``&`` and ``|`` bind as loosely as ``and`` and ``or``, so ``a > 1 & b < 2`` means what
it says; nothing but this grammar is ever run.
"""

import ast
import io
import operator
import tokenize
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError, TableError
from cellstorm_lib.tables import Localizations

FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "sqrt": np.sqrt,
    "log": np.log,
    "log10": np.log10,
    "exp": np.exp,
}
#: Columns by the names that ThunderSTORM, Picasso and others give them.
_CALLED_HERE = {
    "intensity": "photons", "bg": "background_photons", "offset": "background_photons",
    "uncertainty": "uncertainty_nm", "uncertainty_xy": "uncertainty_nm",
    "lpx": "uncertainty_x_nm", "lpy": "uncertainty_y_nm",
    "sigma": "sigma_nm", "sx": "sigma_x_nm", "sy": "sigma_y_nm",
    "x": "x_nm", "y": "y_nm", "z": "z_nm",
}  # fmt: skip
_WORDS = {"&": "and", "|": "or", "~": "not"}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_LONGEST = 2000
_Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Clause:
    """One of the conditions that a row must fulfil together.

    Attributes
    ----------
    text : str
        The condition as read.
    tree : ast.expr
        Its syntax tree.
    """

    text: str
    tree: ast.expr

    def holds(self, localizations: Localizations) -> npt.NDArray[np.bool_]:
        """Return for which rows the condition holds; where a value is undefined it does not."""
        with np.errstate(all="ignore"):
            value = _value(self.tree, localizations)
        return np.broadcast_to(_truth(value, self.tree), len(localizations)).copy()


def read_expression(text: str) -> tuple[Clause, ...]:
    """Return the conditions that `text` joins by ``and`` or ``&`` at its outermost level.

    Parameters
    ----------
    text : str
        As ``photons > 300 & uncertainty_nm < 30``. Empty for no condition.

    Raises
    ------
    SettingsError
        When it is not in the grammar.
    """
    if not text.strip():
        return ()
    if len(text) > _LONGEST:
        raise SettingsError(
            f"an expression may have {_LONGEST} characters, got {len(text)}; select in steps"
        )
    try:
        tree = ast.parse(_worded(text), mode="eval").body
    except (SyntaxError, tokenize.TokenError, ValueError, RecursionError, MemoryError) as error:
        raise SettingsError(
            f"cannot read the expression {text!r}; write conditions in column names, "
            "as photons > 300 & uncertainty_nm < 30"
        ) from error
    is_joined = isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And)
    parts = tree.values if isinstance(tree, ast.BoolOp) and is_joined else [tree]
    return tuple(Clause(ast.unparse(part), part) for part in parts)


def _worded(text: str) -> str:
    """Return the expression on one line with ``& | ~`` as words, which bind loosely."""
    tokens = tokenize.generate_tokens(io.StringIO(" ".join(text.split())).readline)
    return " ".join(_WORDS.get(token.string, token.string) for token in tokens).strip()


def _value(tree: ast.expr, table: Localizations) -> _Values:
    """Return the value of a part of the expression: one number, or one per row."""
    for kind, evaluate in _GRAMMAR.items():
        if isinstance(tree, kind):
            return np.asarray(evaluate(tree, table))
    raise _foreign(tree)


def _foreign(tree: ast.expr) -> SettingsError:
    """Return the error for what is Python but not in the grammar."""
    return SettingsError(
        f"{ast.unparse(tree)!r} is not allowed in an expression; use column names, numbers, "
        f"arithmetic, comparisons, & | ~ and the functions {', '.join(sorted(FUNCTIONS))}"
    )


def _constant(tree: ast.Constant, _: Localizations) -> Any:
    """Return True, False, or a number as a float."""
    if isinstance(tree.value, bool):
        return tree.value
    if not isinstance(tree.value, int | float):
        raise _foreign(tree)
    try:
        return float(tree.value)
    except OverflowError as error:
        raise SettingsError("a number in the expression is too large to compute with") from error


def _column(tree: ast.Name, table: Localizations) -> Any:
    """Return a column: truths as they are, numbers as float64."""
    if tree.id not in table:
        names = ", ".join(sorted(map(str, table.data.columns)))
        here = _CALLED_HERE.get(tree.id.lower(), "")
        hint = f"; what others call {tree.id} is {here}" if here in table else ""
        raise TableError(f"the table has no column {tree.id!r}{hint}; it has {names}")
    values = table.column(tree.id)
    if values.dtype.kind not in "biuf":
        raise TableError(f"the column {tree.id!r} holds no numbers and cannot be compared")
    return values if values.dtype.kind == "b" else values.astype(np.float64)


def _joined(tree: ast.BoolOp, table: Localizations) -> Any:
    """Return conditions joined by ``and`` or ``or``."""
    truths = [_truth(_value(part, table), part) for part in tree.values]
    join = np.logical_and if isinstance(tree.op, ast.And) else np.logical_or
    return join.reduce(np.broadcast_arrays(*truths))


def _signed(tree: ast.UnaryOp, table: Localizations) -> Any:
    """Return ``not`` of a condition, or a number with its sign."""
    value = _value(tree.operand, table)
    if isinstance(tree.op, ast.Not):
        return ~_truth(value, tree.operand)
    if isinstance(tree.op, ast.USub):
        return -_quantity(value, tree.operand)
    return _quantity(value, tree.operand)


def _computed(tree: ast.BinOp, table: Localizations) -> Any:
    """Return the arithmetic of two numbers."""
    if type(tree.op) not in _ARITHMETIC:
        raise _foreign(tree)
    left, right = (_quantity(_value(part, table), part) for part in (tree.left, tree.right))
    return _ARITHMETIC[type(tree.op)](left, right)


def _called(tree: ast.Call, table: Localizations) -> Any:
    """Return a function of one number."""
    name = tree.func.id if isinstance(tree.func, ast.Name) else ""
    if name not in FUNCTIONS or len(tree.args) != 1 or tree.keywords:
        raise _foreign(tree)
    return FUNCTIONS[name](_quantity(_value(tree.args[0], table), tree.args[0]))


def _compared(tree: ast.Compare, table: Localizations) -> Any:
    """Return the truth of a comparison, chained ones as in ``1 < sigma_nm < 2``."""
    parts = [tree.left, *tree.comparators]
    values = [_value(part, table) for part in parts]
    held = np.asarray(True)
    for sign, left, right in zip(tree.ops, values, values[1:], strict=False):
        if type(sign) not in _COMPARISONS:
            raise SettingsError(
                f"{ast.unparse(tree)!r} compares in a way that is not known here; "
                "use < <= > >= == or !="
            )
        held = held & _COMPARISONS[type(sign)](left, right)
    return held


def _truth(value: _Values, tree: ast.expr) -> _Values:
    """Return a value that must be true or false."""
    if value.dtype != bool:
        raise SettingsError(
            f"{ast.unparse(tree)!r} is a number, not a condition; compare it with something, "
            f"as {ast.unparse(tree)} > 0"
        )
    return value


def _quantity(value: _Values, tree: ast.expr) -> _Values:
    """Return a value that must be a number."""
    if value.dtype == bool:
        raise SettingsError(
            f"{ast.unparse(tree)!r} is true or false, not a number; join conditions with & or |"
        )
    return value


_GRAMMAR: Mapping[type[ast.expr], Callable[[Any, Localizations], Any]] = {
    ast.Constant: _constant,
    ast.Name: _column,
    ast.BoolOp: _joined,
    ast.UnaryOp: _signed,
    ast.Compare: _compared,
    ast.BinOp: _computed,
    ast.Call: _called,
}
