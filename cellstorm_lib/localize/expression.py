"""ThunderSTORM's threshold expressions, as ``std(Wave.F1)*1.5``."""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cellstorm_lib.errors import SettingsError
from cellstorm_lib.localize.filters import wavelet_planes

Value = npt.NDArray[Any]
_FRAMES_AT_ONCE = 16

_FUNCTIONS: Mapping[str, Callable[[Value], Value]] = {
    "std": lambda image: image.std(axis=(1, 2), dtype=np.float64, keepdims=True),
    "var": lambda image: image.var(axis=(1, 2), dtype=np.float64, keepdims=True),
    "mean": lambda image: image.mean(axis=(1, 2), dtype=np.float64, keepdims=True),
    "median": lambda image: np.median(image, axis=(1, 2), keepdims=True),
    "max": lambda image: image.max(axis=(1, 2), keepdims=True),
    "min": lambda image: image.min(axis=(1, 2), keepdims=True),
    "sum": lambda image: image.sum(axis=(1, 2), dtype=np.float64, keepdims=True),
    "abs": np.abs,
}
_OPERATORS: Mapping[type[ast.AST], Callable[..., Value]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
#: Images an expression may name; ``F`` is the filter in use, the wavelet.
_IMAGES: Mapping[str, str] = {
    "I": "I",
    "F": "F",
    "Wave.F": "F",
    "Wave.F1": "F1",
    "Wave.F2": "F2",
    "Wave.V1": "V1",
    "Wave.V2": "V2",
}


def check_expression(text: str) -> None:
    """Raise unless an expression can be understood and gives one number per frame.

    Raises
    ------
    SettingsError
        Naming what is wrong, and what may be used.
    """
    thresholds_by_expression(text, np.ones((1, 3, 3), np.float32))


def thresholds_by_expression(text: str, frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the threshold of every frame.

    The images are ``I`` (the frame), ``F`` or ``Wave.F`` (V1 - V2), ``Wave.F1`` (I - V1),
    ``Wave.F2`` (I - V2), ``Wave.V1`` and ``Wave.V2``, all in photoelectrons; the functions are
    those of ThunderSTORM (std, var, mean, median, max, min, sum, abs; std and var of the whole
    frame).

    Parameters
    ----------
    text : str
        As ``std(Wave.F1)*1.5``.
    frames : (N, Y, X) float32
        Photoelectrons.

    Returns
    -------
    (N,) float32
        Photoelectrons of the band-passed image.

    References
    ----------
    Ovesny et al., Bioinformatics 30, 2389 (2014). doi:10.1093/bioinformatics/btu202
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise SettingsError(f"the threshold {text!r} is no expression: {error}") from error
    parts = []
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        images = wavelet_planes(frames[start : start + _FRAMES_AT_ONCE])
        with np.errstate(divide="ignore", invalid="ignore"):
            value = _value(tree, images, text)
        parts.append(_per_frame(value, len(images["I"]), text))
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _per_frame(value: Value, count: int, text: str) -> npt.NDArray[np.float32]:
    """Return one finite number per frame, or say that the expression gives images."""
    if value.ndim == 3 and value.shape[1:] != (1, 1):
        raise SettingsError(
            f"the threshold {text!r} gives an image, not a number; use a function such as std"
        )
    numbers = np.broadcast_to(value.reshape(-1), (count,)).astype(np.float64)
    return np.nan_to_num(numbers, nan=np.inf, posinf=np.inf).astype(np.float32)


def _value(node: ast.expr, images: Mapping[str, Value], text: str) -> Value:
    """Return the value of a part of an expression: images, or numbers per frame."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return np.asarray(float(number))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, images, text), _value(right, images, text))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand, images, text))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            value = _value(argument, images, text)
            return _FUNCTIONS[name](value) if value.ndim == 3 or name == "abs" else value
        case ast.Name() | ast.Attribute() if ast.unparse(node) in _IMAGES:
            return images[_IMAGES[ast.unparse(node)]]
    raise SettingsError(
        f"the threshold {text!r} uses {ast.unparse(node)!r}; known are numbers, + - * /, the "
        f"images {list(_IMAGES)} and the functions {list(_FUNCTIONS)}"
    )
