"""The functions that a `FunctionTransformer` in a model file may have: some of numpy's, by name."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["FUNCTIONS", "name_of", "wrong_options"]

_EXPONENTS = ("cbrt", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "reciprocal", "sqrt", "square")
_ANGLES = ("arctan", "arctanh", "cos", "deg2rad", "rad2deg", "sin", "tanh")
_SIGNS = ("abs", "absolute", "fabs", "negative", "sign")
_OVER_AXES = ("max", "mean", "median", "min", "ptp", "std", "sum", "var")
# Options of each function; others, such as `out`, are not for data.
_OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*_EXPONENTS, *_ANGLES, *_SIGNS), ()),
    **dict.fromkeys(_OVER_AXES, ("axis", "keepdims")),
    "std": ("axis", "keepdims", "ddof"),
    "var": ("axis", "keepdims", "ddof"),
    "percentile": ("q", "axis", "keepdims"),
    "quantile": ("q", "axis", "keepdims"),
    "nan_to_num": ("nan", "posinf", "neginf"),
    "clip": ("a_min", "a_max"),
    "reshape": ("shape", "newshape"),
}
FUNCTIONS = {f"numpy.{name}": getattr(np, name) for name in _OPTIONS}


def name_of(function: Any) -> str | None:
    """Name of a function that may stand in a model file, or None."""
    return next((name for name, known in FUNCTIONS.items() if known is function), None)


def wrong_options(function: Any, options: Any) -> str | None:
    """What is wrong with the keyword arguments of a function, or None."""
    if options is None:
        return None
    name = name_of(function)
    known = _OPTIONS[name.removeprefix("numpy.")] if name else ()
    if not isinstance(options, dict):
        return "is no dict"
    for key, value in options.items():
        if key not in known:
            return f"has {key!r}, which model files do not have for {name or 'the identity'}"
        whole = isinstance(value, int)
        axes = isinstance(value, tuple | list) and all(isinstance(n, int) and abs(n) < 2**31 for n in value)
        real = isinstance(value, int | float) and math.isfinite(value)
        right = {
            "axis": whole or axes,
            "shape": whole or axes,
            "newshape": whole or axes,
            "keepdims": whole,
            "ddof": whole,
        }
        if not right.get(key, real):
            return f"has {key}={value!r}"
    return None
