"""Plain values as JSON and arrays, and back: nothing but data, and only one way to write each.

JSON's own null, booleans, numbers, strings and lists stand for themselves; everything else is an object with one key
that names its kind.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from ..exceptions import ModelFileError
from .arrays import shown

__all__ = ["Decoder", "Encoder", "json_bytes", "parsed_json"]

_LARGEST = 2**63
_DEPTH = 64
_JSON_BYTES = 4 * 2**20
_MOST_VALUES = 2**20  # with each value counted as often as it is met
_ARRAY_KINDS = "biufUS"
_AXES = 8
_SCALARS = {
    np.dtype(name).name: np.dtype(name).type
    for name in ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
} | {np.dtype(name).name: np.dtype(name).type for name in ("float16", "float32", "float64")}


def json_bytes(document: Any) -> bytes:
    """The one way to write a document."""
    return json.dumps(document, allow_nan=False, indent=1).encode("ascii") + b"\n"


def parsed_json(data: bytes) -> Any:
    """Read a document that `json_bytes` wrote.

    Raises
    ------
    ModelFileError
        If it is too large or nested too deep, or written in any other way: duplicate keys, NaN, other white space.
    """
    if len(data) > _JSON_BYTES:
        raise ModelFileError(f"model.json has {len(data)} bytes; at most {_JSON_BYTES} are read")
    try:
        document = json.loads(data.decode("ascii"), parse_constant=_no_constant)
        level = [document]
        for _ in range(_DEPTH):
            level = [item for node in level if isinstance(node, list | dict) for item in _children(node)]
        if level:
            raise ModelFileError(f"model.json is nested deeper than {_DEPTH} levels")
        same = json_bytes(document) == data
    except RecursionError:
        raise ModelFileError(f"model.json is nested deeper than {_DEPTH} levels") from None
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(f"model.json cannot be read: {shown(str(error), 200)}") from None
    if not same:
        raise ModelFileError(
            "model.json is not written as model files are (a key given twice, a number out of range, or other white "
            "space)"
        )
    return document


def _children(node: list | dict) -> Any:
    return node.values() if isinstance(node, dict) else node


def _no_constant(name: str) -> None:
    raise ModelFileError(f"model.json holds {name}, which JSON does not have")


class Encoder:
    """Values as JSON; arrays are collected and stand in it by number.

    Attributes
    ----------
    arrays : list of ndarray
        Each array once, however often it is met.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._places: dict[int, int] = {}
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []

    def encode(self, value: Any, where: str) -> Any:
        """A value as JSON.

        Parameters
        ----------
        value : object
        where : str
            What it is of, for messages.

        Raises
        ------
        ModelFileError
            If it is not data.
        """
        kind = type(value)
        if value is None or kind in (bool, str) or (kind is int and abs(value) < _LARGEST):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is np.ndarray:
            return self.array(value, where)
        if kind is np.str_ or (isinstance(value, np.generic) and value.dtype.name in _SCALARS):
            return {"number": [value.dtype.name if kind is not np.str_ else "str", self.encode(value.item(), where)]}
        if id(value) in self._met:
            return {"same": self._met[id(value)]}
        node = self._content(value, where)
        if node not in ([], {"tuple": []}, {"dict": []}) and not self.passes(value):
            self._met[id(value)] = len(self._kept)
            self._kept.append(value)  # kept, so that no other object gets its id
        return node

    def _content(self, value: Any, where: str) -> Any:
        """What is met once and referred to where it is met again, as in a pickle."""
        if type(value) in (list, tuple):
            items = [self.encode(item, f"{where}[{i}]") for i, item in enumerate(value)]
            return items if type(value) is list else {"tuple": items}
        if type(value) is dict:
            return {"dict": [[self.encode(k, where), self.encode(v, f"{where}[{k!r}]")] for k, v in value.items()]}
        if type(value) is np.random.RandomState:
            return self._random(value, where)
        return self.other(value, where)

    def passes(self, value: Any) -> bool:
        """Whether another value stands in the place of this one, or it needs no reference."""
        return False

    def other(self, value: Any, where: str) -> Any:
        """What is no plain value: refused here."""
        raise ModelFileError(
            f"{where} is of the class {type(value).__module__}.{type(value).__qualname__}, which a model file cannot "
            "hold: it holds numbers, strings, arrays and some estimators. Use a pickle."
        )

    def array(self, array: np.ndarray, where: str) -> Any:
        """An array; one of objects only if they are strings."""
        if array.dtype.kind == "O" and all(type(item) is str for item in array.ravel()):
            return {"strings": [list(array.shape), array.ravel().tolist()]}
        if (
            array.dtype.kind not in _ARRAY_KINDS
            or (array.dtype.kind == "f" and array.itemsize > 8)
            or not array.itemsize
        ):
            raise ModelFileError(
                f"{where} is an array of {array.dtype}, which a model file cannot hold: it holds numbers, truth values "
                "and strings. Convert it, or use a pickle."
            )
        if id(array) not in self._places:
            self._places[id(array)] = len(self.arrays)
            self.arrays.append(array)  # kept, so that no other array gets its id
        return {"array": self._places[id(array)]}

    def _random(self, random: np.random.RandomState, where: str) -> Any:
        state: Any = random.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            raise ModelFileError(f"{where} draws from {state['bit_generator']}; give an integer random_state.")
        rest = [state["state"]["pos"], state["has_gauss"], state["gauss"]]
        return {"random": [self.array(state["state"]["key"], where), *(self.encode(v, where) for v in rest)]}


class Decoder:
    """Values from JSON as `Encoder` gives it, and nothing else.

    Parameters
    ----------
    arrays : list of ndarray
    """

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays = arrays
        self._kept: list[tuple[Any, int, int]] = []  # each with the values in it, and how deep they are nested
        self._count = self._level = self._deepest = 0

    def decode(self, node: Any, where: str) -> Any:
        """A value from JSON.

        Parameters
        ----------
        node : object
            As `json.loads` gives it.
        where : str
            What it is of, for messages.

        Raises
        ------
        ModelFileError
            If it is of another kind.
        """
        self._weigh(1, 0)
        if not isinstance(node, dict | list):
            if isinstance(node, int) and abs(node) >= _LARGEST:
                raise ModelFileError(f"{where} is out of range")
            return node
        if isinstance(node, dict) and len(node) == 1:
            ((kind, content),) = node.items()
            read = {
                "array": self._array,
                "same": self._again,
                "strings": self._strings,
                "float": self._float,
                "number": self._number,
            }.get(kind)
            if read:
                return read(content, where)
        before, outer = self._count, self._deepest
        self._level += 1
        self._deepest = self._level
        value = self._content(node, where)
        self._level -= 1
        if not (isinstance(value, list | tuple | dict) and not value):
            self._kept.append((value, self._count - before, self._deepest - self._level))
        self._deepest = max(outer, self._deepest)
        return value

    def _weigh(self, count: int, depth: int) -> None:
        """Count values, those met again too: references in references could unfold without end."""
        self._count += count
        self._deepest = max(self._deepest, self._level + depth)
        if self._count > _MOST_VALUES or self._deepest > _DEPTH:
            raise ModelFileError(
                f"it refers to values within values: more than {_MOST_VALUES}, or {_DEPTH} levels of them"
            )

    def _content(self, node: Any, where: str) -> Any:
        if isinstance(node, list):
            return [self.decode(item, f"{where}[{i}]") for i, item in enumerate(node)]
        for kind, read in (("tuple", self._tuple), ("dict", self._dict), ("random", self._random)):
            if tuple(node) == (kind,) and isinstance(node[kind], list):
                return read(node[kind], where)
        return self.other(node, where)

    def _tuple(self, items: list, where: str) -> tuple:
        return tuple(self.decode(item, f"{where}[{i}]") for i, item in enumerate(items))

    def _again(self, number: Any, where: str) -> Any:
        if type(number) is not int or not 0 <= number < len(self._kept):
            raise ModelFileError(f"{where} is the value {shown(number)} again, which was not met before")
        value, count, depth = self._kept[number]
        self._weigh(count, depth)
        return value

    def other(self, node: dict, where: str) -> Any:
        """What is no plain value: refused here."""
        raise ModelFileError(
            f"{where} is of a kind that model files do not have ({', '.join(map(shown, node)) or 'empty'})"
        )

    def _array(self, number: Any, where: str) -> np.ndarray:
        if type(number) is not int or not 0 <= number < len(self.arrays):
            raise ModelFileError(f"{where} is the array {shown(number)}, which the file does not have")
        return self.arrays[number]

    def _dict(self, pairs: list, where: str) -> dict:
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
            raise ModelFileError(f"{where} is no list of keys and values")
        keys = [self.decode(pair[0], where) for pair in pairs]
        if not all(isinstance(k, str | int | float | bool | np.generic) or k is None for k in keys):
            raise ModelFileError(f"{where} has a key that is neither number nor string")
        out = {k: self.decode(pair[1], f"{where}[{shown(k)}]") for k, pair in zip(keys, pairs, strict=True)}
        if len(out) < len(pairs):
            raise ModelFileError(f"{where} has a key twice")
        return out

    def _float(self, content: Any, where: str) -> float:
        if content not in ("nan", "inf", "-inf"):
            raise ModelFileError(f"{where} is of a kind that model files do not have (float {shown(content)})")
        return float(content)

    def _strings(self, content: Any, where: str) -> np.ndarray:
        shape, texts = content if isinstance(content, list) and len(content) == 2 else ([-1], [])
        sizes = isinstance(shape, list) and all(type(n) is int and n >= 0 for n in shape) and len(shape) <= _AXES
        if not sizes or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ModelFileError(f"{where} is no array of strings")
        if math.prod(shape) != len(texts):
            raise ModelFileError(f"{where} declares the shape {shown(shape)}, but holds {len(texts)} strings")
        out = np.empty(len(texts), object)
        out[:] = texts
        return out.reshape(shape)

    def _number(self, content: Any, where: str) -> Any:
        name, value = content if isinstance(content, list) and len(content) == 2 else (None, None)
        value = float(value["float"]) if value in ({"float": "nan"}, {"float": "inf"}, {"float": "-inf"}) else value
        if name == "str" and type(value) is str:
            return np.str_(value)
        wanted = bool if name == "bool" else float if str(name).startswith("float") else int
        if not isinstance(name, str) or name not in _SCALARS or type(value) is not wanted:
            raise ModelFileError(f"{where} is no number of the kind {shown(name)}")
        try:
            number = _SCALARS[name](value)
        except OverflowError:
            raise ModelFileError(f"{where} is out of range for {name}") from None
        if number.item() != value and not (math.isnan(value) and np.isnan(number)):
            raise ModelFileError(f"{where} is no {name}")
        return number

    def _random(self, content: list, where: str) -> np.random.RandomState:
        key, place, has_gauss, gauss = content if len(content) == 4 else (None,) * 4
        state = self.decode(key, where)
        whole = isinstance(state, np.ndarray) and state.dtype == np.uint32 and state.shape == (624,)
        # numpy trusts the place, and would read beyond the key
        if not whole or type(place) is not int or not 0 <= place <= 624 or has_gauss not in (0, 1):
            raise ModelFileError(f"{where} is no state of a RandomState")
        if type(has_gauss) is not int or type(gauss) is not float:
            raise ModelFileError(f"{where} is no state of a RandomState")
        random = np.random.RandomState()
        random.set_state(("MT19937", state, place, has_gauss, gauss))
        return random
