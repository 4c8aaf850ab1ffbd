"""The finished tiles of a map in the making, in a file that survives whatever ends the process."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..exceptions import SklandslideError
from .tiles import TileLayout

__all__ = ["Journal"]

_log = logging.getLogger("sklandslide")

_MAGIC = b"sklandslide journal 1\n"
_RECORD = struct.Struct("<4sIII")  # mark, number of the tile, checksum of the values, checksum of these three
_MARK = b"TILE"


class Journal:
    """Append-only record of finished tiles beside the map that they will be.

    The file lies in the map's folder as ``.<name>.journal``. A tile counts when its record is whole: what a killed
    process, a power cut or a full disk leaves behind the last whole record is cut off. A journal whose key differs in
    anything is another map's and is begun anew. While one process has the journal open no other can.

    Parameters
    ----------
    path : str
        Of the map.
    layout : TileLayout
    key : mapping of str to JSON values
        Everything that the map's values depend on, by a name that can be told to the user.
    """

    def __init__(self, path: str, layout: TileLayout, key: Mapping[str, Any]) -> None:
        folder, name = os.path.split(path)
        self.map_path, self.layout = path, layout
        self.path = os.path.join(folder, f".{name}.journal")
        self._header = _MAGIC + json.dumps({**key, "tile side": layout.side}).encode() + b"\n"
        self._places: dict[int, int] = {}  # where the values of each finished tile begin
        self._end = 0  # of the last whole record

    def __enter__(self) -> Journal:
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise SklandslideError(
                f"{self.map_path} cannot be written: {error.strerror}. Choose a folder that can be written to."
            ) from error
        try:
            locked = self._lock()
            if locked:
                self._begin()
        except BaseException:
            os.close(self._file)
            raise
        if locked:
            return self
        os.close(self._file)  # it was finished, and removed, between our opening and our locking it
        return self.__enter__()

    def __exit__(self, *_: Any) -> None:
        if not self._places:
            os.remove(self.path)
        os.close(self._file)

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def __len__(self) -> int:
        return len(self._places)

    @property
    def missing(self) -> list[int]:
        """Numbers of the tiles that are not finished."""
        return [number for number in range(len(self.layout.windows)) if number not in self._places]

    def add(self, number: int, values: np.ndarray) -> None:
        """Record a finished tile.

        Raises
        ------
        SklandslideError
            If it cannot be written; the tiles recorded before are kept.
        """
        data = np.ascontiguousarray(values, "<f4").tobytes()
        head = _MARK + struct.pack("<II", number, zlib.crc32(data))
        record = head + struct.pack("<I", zlib.crc32(head)) + data
        try:
            written = 0
            while written < len(record):
                written += os.pwrite(self._file, record[written:], self._end + written)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise SklandslideError(
                f"{self.map_path} could not be written: {error.strerror} ({self.path}). Check that the disk has room; "
                f"the {len(self)} tiles that are finished are kept, and the same call goes on from there."
            ) from error
        self._places[number] = self._end + _RECORD.size
        self._end += len(record)

    def read(self, number: int) -> np.ndarray:
        """Values of a finished tile, float32."""
        window = self.layout.windows[number]
        data = os.pread(self._file, window.height * window.width * 4, self._places[number])
        return np.frombuffer(data, "<f4").reshape(window.height, window.width)

    def rows(self, first: int, last: int) -> np.ndarray:
        """The map's rows `first` to `last` - 1, of finished tiles."""
        out = np.empty((last - first, self.layout.shape[1]), np.float32)
        for number in self.layout.touching(first, last):
            window = self.layout.windows[number]
            low, high = max(first, window.row_off), min(last, window.row_off + window.height)
            values = self.read(number)[low - window.row_off : high - window.row_off]
            out[low - first : high - first, window.col_off : window.col_off + window.width] = values
        return out

    def forget(self) -> None:
        """Remove the file on leaving: the map is made, or there is none to make."""
        self._places.clear()

    def _lock(self) -> bool:
        """Claim the file; tell whether it is still the one in the folder."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SklandslideError(
                f"{self.map_path} is being made by another process (it holds {self.path}). Wait for it, or choose "
                "another name."
            ) from None
        except OSError:  # a file system without locks
            _log.debug("%s cannot be locked.", self.path)
        return os.fstat(self._file).st_nlink > 0

    def _begin(self) -> None:
        size = os.fstat(self._file).st_size
        if size and self._matches():
            self._scan(size)
            os.ftruncate(self._file, self._end)
            if self._places:
                _log.info(
                    "Going on with %s: %d of %d tiles are finished.",
                    self.map_path,
                    len(self),
                    len(self.layout.windows),
                )
            return
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, self._header, 0)
        except OSError as error:
            raise SklandslideError(
                f"{self.map_path} could not be written: {error.strerror}. Check that the disk has room."
            ) from error
        self._end = len(self._header)

    def _matches(self) -> bool:
        """Whether the journal found is of this map; say so if it is of another."""
        found = os.pread(self._file, 1 << 16, 0)
        if found.startswith(self._header):
            return True
        try:
            theirs = json.loads(found.removeprefix(_MAGIC).split(b"\n")[0])
            ours = json.loads(self._header.removeprefix(_MAGIC))
            differing = [name for name in ours if theirs.get(name) != ours[name]]
        except (ValueError, AttributeError):
            differing = []
        what = f"with another {', '.join(differing)}" if differing else "that cannot be read"
        _log.warning("Starting over with %s: the unfinished map found there (%s) is one %s.",
                     self.map_path, self.path, what)  # fmt: skip
        return False

    def _scan(self, size: int) -> None:
        """Find the whole records."""
        self._end = len(self._header)
        while self._end + _RECORD.size <= size:
            head = os.pread(self._file, _RECORD.size, self._end)
            mark, number, checksum, own = _RECORD.unpack(head)
            if mark != _MARK or own != zlib.crc32(head[:-4]) or number >= len(self.layout.windows):
                return
            window = self.layout.windows[number]
            data = os.pread(self._file, window.height * window.width * 4, self._end + _RECORD.size)
            if zlib.crc32(data) != checksum:
                return
            self._places[number] = self._end + _RECORD.size
            self._end += _RECORD.size + len(data)
