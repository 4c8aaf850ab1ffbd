"""The container of a model file: an ordinary zip of uncompressed members, with a checksum over all of it.

Written and compared byte by byte here, so that a file depends on no library's version and has no place to hide anything
in; read by `zipfile`, so that it is what others take it for.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping

from ..exceptions import ModelFileError

__all__ = ["FORMAT", "MAX_BYTES", "packed", "unpacked"]

FORMAT = 1
# The paper's network has 0.6 MB. What is read into memory has to have a bound.
MAX_BYTES = 256 * 2**20

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_VERSION, _DATE = 20, 33  # zip 2.0; 1 January 1980, the first day that zip knows
_ORDINARY = 0o100644 << 16  # a regular file, for those who unpack it
_DIGITS = 64
_COMMENT = re.compile(rb"sklandslide model, format ([1-9][0-9]{0,3}), written by ([0-9A-Za-z.+!-]{1,40})\nsha256:")
_LONGEST_COMMENT = 200


def packed(members: Mapping[str, bytes], version: str) -> bytes:
    """Members as the bytes of a model file.

    Parameters
    ----------
    members : mapping of str to bytes
        In the order of the file.
    version : str
        Of sklandslide.

    Returns
    -------
    bytes
        The same for the same members, always.

    Raises
    ------
    ModelFileError
        If they are more than `MAX_BYTES`.
    """
    size = sum(len(data) + 2 * len(name) + 100 for name, data in members.items())
    if size > MAX_BYTES:
        raise ModelFileError(
            f"The model has {size / 2**20:.0f} MiB and a model file may have {MAX_BYTES // 2**20}. Use a pickle for it."
        )
    body, directory = bytearray(), bytearray()
    for name, data in members.items():
        path, checksum, place = name.encode("ascii"), zlib.crc32(data), len(body)
        common = (_VERSION, 0, 0, 0, _DATE, checksum, len(data), len(data), len(path), 0)
        body += _LOCAL.pack(b"PK\x03\x04", *common) + path + data
        made_by_unix = 3 << 8 | _VERSION
        directory += _CENTRAL.pack(b"PK\x01\x02", made_by_unix, *common, 0, 0, 0, _ORDINARY, place) + path
    comment = b"sklandslide model, format %d, written by %s\nsha256:" % (FORMAT, version.encode("ascii"))
    count = len(members)
    length = len(comment) + _DIGITS
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), length)
    whole = bytes(body + directory + end + comment)
    return whole + hashlib.sha256(whole).hexdigest().encode()


def unpacked(data: bytes) -> dict[str, bytes]:
    """Members of a model file, after every byte was checked.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    ModelFileError
        If the bytes are not exactly what `packed` makes of some members.
    """
    version = _checked(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries, len(data))
            members = {entry.filename: archive.read(entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        UnicodeError,
        OSError,
        ValueError,
    ) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"its zip archive cannot be read: {error}") from error
    if packed(members, version) != data:
        raise ModelFileError(
            "its zip archive is not written as model files are (other fields, another order, or bytes between the "
            "members)"
        )
    return members


def _checked(data: bytes) -> str:
    """Check the checksum and the number of the format; return the version that wrote the file."""
    tail = data[-(_LONGEST_COMMENT + _DIGITS) : -_DIGITS]
    found = list(_COMMENT.finditer(tail))
    if not found or found[-1].end() != len(tail):
        raise ModelFileError(_what_it_is(data))
    if hashlib.sha256(data[:-_DIGITS]).hexdigest().encode() != data[-_DIGITS:]:
        raise ModelFileError("it is damaged: its checksum does not fit its bytes. Copy or download it again")
    number, version = int(found[-1][1]), found[-1][2].decode()
    if number > FORMAT:
        raise ModelFileError(
            f"it has format {number}, and this version of sklandslide knows up to {FORMAT}. Install sklandslide "
            f"{version}, which wrote it, or a newer one"
        )
    return version


def _what_it_is(data: bytes) -> str:
    if not data:
        return "it is empty. Copy or download it again"
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "it looks like a pickle. Loading a pickle can run any code: use pickle.load if it is your own, or ask for "
            "a model file"
        )
    if data[:4] == b"PK\x03\x04" and data[30:40] == b"model.json":
        return "it is damaged: its end, with the checksum, is missing or changed. Copy or download it again"
    return "it is no model file: these end with a checksum. Give a file that save_model wrote"


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse members before any is read: by name, by kind, by size."""
    names = [entry.filename for entry in entries]
    arrays = max(len(names) - 2, 0)
    expected = ["model.json", *(f"arrays/{i}.npy" for i in range(arrays)), "README.md"]
    if len(set(names)) < len(names):
        raise ModelFileError("two members of its archive have the same name")
    if names != expected:
        others = sorted(set(names) - set(expected)) or sorted(set(expected) - set(names)) or names
        raise ModelFileError(
            f"its archive is to hold model.json, arrays/0.npy, arrays/1.npy, ..., README.md in this order; not so with "
            f"{', '.join(map(repr, others[:3]))}"
        )
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ModelFileError(f"{entry.filename} is compressed; members of a model file are not")
        if entry.flag_bits:
            raise ModelFileError(f"{entry.filename} is encrypted or has other flags of zip; members have none")
        if entry.external_attr != _ORDINARY:
            raise ModelFileError(f"{entry.filename} is a link or another special file; members are ordinary files")
        if entry.file_size != entry.compress_size or entry.file_size > size:
            raise ModelFileError(
                f"{entry.filename} is declared with {entry.file_size} bytes, which the file does not have"
            )
