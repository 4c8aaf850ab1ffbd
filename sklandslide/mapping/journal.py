"""The finished tiles of a map in the making, in a file that survives whatever ends the process."""

from __future__ import annotations

import errno
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
# Each failure means that another process ended in just that moment.
_ATTEMPTS = 100


class Journal:
    """Append-only record of finished tiles beside the map that they will be.

    The file lies in the map's folder as ``.<name>.journal``. A tile counts when its record is whole: what a killed
    process, a power cut or a full disk leaves behind the last whole record is cut off. A journal whose key differs in
    anything is another map's and is begun anew. While one process has the journal open no other can. What is read back
    is compared with the checksum of what was computed.

    Parameters
    ----------
    path : str
        Of the map.
    layout : TileLayout
    key : mapping of str to JSON values
        Everything that the map's values depend on, by a name that can be told to the user.

    Attributes
    ----------
    locked : bool
        False on a file system without locks: another process may make the same map at the same time.
    """

    def __init__(self, path: str, layout: TileLayout, key: Mapping[str, Any]) -> None:
        folder, name = os.path.split(path)
        self.map_path, self.layout = path, layout
        self.path = os.path.join(folder, f".{name}.journal")
        self._header = _MAGIC + json.dumps({**key, "tile side": layout.side}).encode() + b"\n"
        self._places: dict[int, tuple[int, int]] = {}  # where the values of a finished tile begin, their checksum
        self._end = 0  # of the last whole record
        self.locked = True

    def __enter__(self) -> Journal:
        try:
            if any(self._opened() for _ in range(_ATTEMPTS)):
                return self
        except OSError as error:
            raise SklandslideError(
                f"{self.map_path} cannot be written: {error.strerror} ({self.path}). Check that the folder can be "
                "written to, the disk has room and the name is not too long."
            ) from error
        raise SklandslideError(f"{self.path} is removed again and again by something else. Choose another folder.")

    def _opened(self) -> bool:
        """Open the file and claim it; tell whether it is still the one in the folder."""
        # a link would have a file of someone else's emptied
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.open(self.path, flags, 0o666)
        try:
            self._lock()
            current = self._is_ours()
            if current:
                self._begin()
        except BaseException:
            os.close(self._file)
            raise
        if not current:  # it was finished, and removed, between our opening and our locking it
            os.close(self._file)
        return current

    def __exit__(self, *_: Any) -> None:
        try:
            if not self._places and self._is_ours():
                os.remove(self.path)
        except OSError as error:
            _log.warning("%s is not needed any more, and could not be removed: %s.", self.path, error.strerror)
        finally:
            with suppress(OSError):  # nothing is lost: what was written is checked when it is read
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
        checksum = zlib.crc32(data)
        head = _MARK + struct.pack("<II", number, checksum)
        record = head + struct.pack("<I", zlib.crc32(head)) + data
        try:
            self._write(record, self._end)
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise SklandslideError(
                f"{self.map_path} could not be written: {error.strerror} ({self.path}). Check that the disk has room; "
                f"the {len(self)} tiles that are finished are kept, and the same call goes on from there."
            ) from error
        self._places[number] = self._end + _RECORD.size, checksum
        self._end += len(record)

    def read(self, number: int) -> np.ndarray:
        """Values of a finished tile, float32.

        Raises
        ------
        SklandslideError
            If they cannot be read, or are not what was recorded.
        """
        window = self.layout.windows[number]
        place, checksum = self._places[number]
        try:
            data = os.pread(self._file, window.height * window.width * 4, place)
        except OSError as error:
            raise SklandslideError(
                f"{self.path} cannot be read: {error.strerror}. Check the disk; remove that file to begin "
                f"{self.map_path} anew."
            ) from error
        if zlib.crc32(data) != checksum:
            raise SklandslideError(
                f"{self.path} was changed while {self.map_path} was made: tile {number} is not what was recorded. Let "
                "nothing else write there, and check the disk; the same call computes the damaged tiles again."
            )
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

    def _write(self, data: bytes, place: int) -> None:
        written = 0
        while written < len(data):
            count = os.pwrite(self._file, data[written:], place + written)
            if count == 0:  # rather than try for ever
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += count

    def _is_ours(self) -> bool:
        """Whether the file in the folder is the one that is open here."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _lock(self) -> None:
        """Claim the file."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SklandslideError(
                f"{self.map_path} is being made by another process (it holds {self.path}). Wait for it, or choose "
                "another name."
            ) from None
        except OSError:  # a file system without locks
            self.locked = False
            _log.debug("%s cannot be locked.", self.path)

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
        os.ftruncate(self._file, 0)
        self._write(self._header, 0)
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
            if len(data) < window.height * window.width * 4 or zlib.crc32(data) != checksum:
                return
            self._places[number] = self._end + _RECORD.size, checksum
            self._end += _RECORD.size + len(data)
