"""Arrays in numpy's format, written in one way and read in no other."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ..exceptions import ModelFileError

__all__ = ["array_bytes", "parsed_array", "shown"]

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(\|[biu]1|<[iuf][248]|<U[1-9][0-9]{0,5}|\|S[1-9][0-9]{0,5})', "
    rb"'fortran_order': (True|False), 'shape': \(((?:[0-9]{1,12}(?:,|(?:, [0-9]{1,12})+))?)\)\} *\n",
    re.DOTALL,
)
_AXES, _LARGEST_ARRAY = 8, 2**31


def shown(value: Any, length: int = 60) -> str:
    """A value of a file in a message: printable and short."""
    text = ascii(value) if not isinstance(value, str) else ascii(value)[1:-1]
    return text if len(text) <= length else f"{text[: length - 3]}..."


def array_bytes(array: np.ndarray) -> bytes:
    """An array in numpy's format 1.0, with the header that this package writes under every version of numpy."""
    array = np.asarray(array, array.dtype.newbyteorder("<"))
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = repr({"descr": array.dtype.str, "fortran_order": fortran, "shape": array.shape}).encode("ascii")
    room = -(-(len(header) + 11) // 64) * 64 - 11
    head = b"\x93NUMPY\x01\x00" + (room + 1).to_bytes(2, "little") + header.ljust(room) + b"\n"
    return head + array.tobytes("F" if fortran else "C")


def parsed_array(data: bytes, name: str) -> np.ndarray:
    """Read an array that `array_bytes` wrote.

    Raises
    ------
    ModelFileError
        If it has objects, structures, dates or a size that is not that of its bytes, or is written in another way.
    """
    # numpy's own reader repairs headers of Python 2, with whatever exceptions and warnings its tokenizer has.
    head = _HEADER.match(data)
    if not head:
        raise ModelFileError(
            f"{name} is no array of numbers, truth values or strings in version 1.0 of numpy's format, as model files "
            "have them"
        )
    dtype, fortran = np.dtype(head[1].decode("ascii")), head[2] == b"True"
    shape = tuple(int(n) for n in head[3].split(b",") if n)
    room = len(data) - head.end()
    if (
        len(shape) > _AXES
        or any(not 0 <= n < _LARGEST_ARRAY for n in shape)
        or math.prod(shape) * dtype.itemsize != room
    ):
        raise ModelFileError(f"{name} declares the shape {shown(shape)} of {dtype}, but holds {room} bytes")
    array = np.frombuffer(data, dtype, offset=head.end()).reshape(shape, order="F" if fortran else "C").copy("K")
    if dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise ModelFileError(f"{name} holds truth values other than 0 and 1")
    if dtype.kind == "U":
        points = np.frombuffer(data, "<u4", offset=len(data) - room)
        if ((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any():
            raise ModelFileError(f"{name} holds strings that are no text")
    if array_bytes(array) != data:
        raise ModelFileError(f"{name} is not written as model files are")
    return array
