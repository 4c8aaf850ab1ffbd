"""What an attribute of an estimator may be: small checks that the table of kinds is made of.

A rule takes a value and the sizes met so far in the estimator, by letter, and returns what is wrong with it, or None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..composites import band_inputs
from ..exceptions import SklandslideError

__all__ = [
    "Rule",
    "anything",
    "array",
    "bands",
    "each",
    "either",
    "history",
    "labels",
    "named",
    "number",
    "of_class",
    "one_of",
    "or_none",
    "patch_shape",
    "pixel_size",
    "plain",
    "quantiles",
    "size",
    "truth",
    "units",
    "whole",
]

Sizes = dict[str, int]
Rule = Callable[[Any, Sizes], str | None]


def array(*letters: str, kinds: str = "f") -> Rule:
    """Finite numbers; each axis has a size with a letter."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in kinds:
            return f"is no array of the kind {kinds!r}"
        if not np.isfinite(value).all():
            return "holds NaN or infinity"
        return _fits(value.shape, letters, sizes)

    return rule


def labels(letter: str) -> Rule:
    """Classes, sorted and all different."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufUO" or value.ndim != 1:
            return "is no array of labels"
        listed = value.tolist()
        if None in listed or any(not a < b for a, b in pairwise(listed)):
            return "holds labels that are not sorted and different"
        return _fits(value.shape, (letter,), sizes)

    return rule


def _fits(shape: tuple[int, ...], letters: tuple[str, ...], sizes: Sizes) -> str | None:
    if len(shape) != len(letters):
        return f"has {len(shape)} axes, not {len(letters)}"
    for n, letter in zip(shape, letters, strict=True):
        if sizes.setdefault(letter, n) != n:
            return f"has the shape {shape}, which does not fit the other attributes"
    return None


def size(letter: str) -> Rule:
    """A count that is the size of other attributes' axes."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        if isinstance(value, bool | np.bool_) or not isinstance(value, Integral) or value < 1:
            return "is no count"
        return _fits((int(value),), (letter,), sizes)

    return rule


def number(low: float = -math.inf) -> Rule:
    """A finite number."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        real = isinstance(value, Real) and not isinstance(value, bool | np.bool_)
        fits = real and math.isfinite(value) and float(value) >= low
        return None if fits else "is no finite number" + ("" if low == -math.inf else f" from {low} on")

    return rule


def whole(low: int = 0) -> Rule:
    """A whole number."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        fits = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= low
        return None if fits else f"is no whole number from {low} on"

    return rule


def one_of(*values: Any) -> Rule:
    """One of some values."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        fits = any(value == other and isinstance(value, type(other)) for other in values)
        return None if fits else f"is none of {', '.join(map(repr, values))}"

    return rule


def or_none(rule: Rule) -> Rule:
    """None, or what another rule allows."""
    return lambda value, sizes: None if value is None else rule(value, sizes)


def either(*rules: Rule) -> Rule:
    """What one of several rules allows."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        wrong = [other(value, sizes) for other in rules]
        return None if None in wrong else wrong[-1]

    return rule


def each(rule: Rule) -> Rule:
    """A list of what another rule allows."""

    def rule_of_all(value: Any, sizes: Sizes) -> str | None:
        if type(value) is not list or not value:
            return "is no list, or an empty one"
        return next((wrong for item in value if (wrong := rule(item, sizes))), None)

    return rule_of_all


def of_class(names: Collection[str] | None = None, *, words: Collection[str] = ()) -> Rule:
    """An estimator, of some classes; or one of some words."""

    def rule(value: Any, sizes: Sizes) -> str | None:
        if isinstance(value, str) and value in words:
            return None
        if names is None:
            return None if hasattr(value, "get_params") else "is no estimator"
        return None if type(value).__name__ in names else f"is none of {', '.join(names)}"

    return rule


def named(rule: Rule) -> Rule:
    """A list of names and what another rule allows."""

    def rule_of_all(value: Any, sizes: Sizes) -> str | None:
        if type(value) is not list or not value:
            return "is no list of names and estimators"
        for item in value:
            if type(item) is not tuple or len(item) != 2 or type(item[0]) is not str:
                return "is no list of names and estimators"
            if wrong := rule(item[1], sizes):
                return f"{item[0]!r} {wrong}"
        names = [item[0] for item in value]
        return None if len(set(names)) == len(names) else "has a name twice"

    return rule_of_all


def truth(value: Any, sizes: Sizes) -> str | None:
    """True or False."""
    return None if isinstance(value, bool | np.bool_) else "is neither True nor False"


def anything(value: Any, sizes: Sizes) -> str | None:
    """What was checked where it was made."""
    return None


def plain(value: Any, sizes: Sizes) -> str | None:
    """Anything that is neither estimator nor function."""
    if isinstance(value, list | tuple):
        return next((wrong for item in value if (wrong := plain(item, sizes))), None)
    if isinstance(value, dict):
        return plain(list(value.values()), sizes)
    data = value is None or isinstance(
        value, bool | int | float | str | np.ndarray | np.generic | np.random.RandomState
    )
    return None if data else "is no plain value"


def bands(value: Any, sizes: Sizes) -> str | None:
    """Bands of a composite."""
    if type(value) is not tuple or not value:
        return "is no tuple of bands"
    try:
        for band in value:
            band_inputs(band)
    except SklandslideError as error:
        return f"is wrong: {error}"
    return _fits((len(value),), ("b",), sizes)


def units(value: Any, sizes: Sizes) -> str | None:
    """Units of each band."""
    if type(value) is not tuple or not all(unit is None or type(unit) is str for unit in value):
        return "is no tuple of units"
    return _fits((len(value),), ("b",), sizes)


def quantiles(value: Any, sizes: Sizes) -> str | None:
    """Three numbers of each band."""
    right = type(value) is tuple and all(
        type(band) is tuple and len(band) == 3 and all(type(n) is float and math.isfinite(n) for n in band)
        for band in value
    )
    return _fits((len(value),), ("b",), sizes) if right else "is no tuple of three quantiles of each band"


def pixel_size(value: Any, sizes: Sizes) -> str | None:
    """Two lengths in metres."""
    right = type(value) is tuple and len(value) == 2 and all(type(n) is float and 0 < n < math.inf for n in value)
    return None if right else "is no size of a pixel"


def patch_shape(value: Any, sizes: Sizes) -> str | None:
    """Rows, columns and bands."""
    if type(value) is not tuple or len(value) != 3 or not all(type(n) is int and n >= 1 for n in value):
        return "is no shape of patches"
    return _fits(value[2:], ("n",), sizes)


def history(value: Any, sizes: Sizes) -> str | None:
    """Numbers of each epoch, by name."""
    right = type(value) is dict and all(
        type(name) is str and type(numbers) is list and all(type(n) is float for n in numbers)
        for name, numbers in value.items()
    )
    if not right or not isinstance(value.get("loss"), list) or not value["loss"]:
        return "is no history of a training"
    wrong = [_fits((len(numbers),), ("e",), sizes) for numbers in value.values()]
    return next((w for w in wrong if w), None)
