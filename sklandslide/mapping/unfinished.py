"""The finished tiles of a map in the making, in a folder that survives whatever ends the process."""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ..exceptions import SklandslideError
from ..geodata import Grid
from .tiles import TileLayout
from .writer import BLOCK, clear_errors, publish_map, write_geotiff

_log = logging.getLogger("sklandslide")

_CHECKSUM_BYTES = 4


class UnfinishedMap:
    """The folder ``.<name>.tiles`` beside a map, with one file for each finished tile.

    A tile is written under another name and moved, so it is there as a whole or not at all. Its checksum covers the key
    and its number too: what was damaged, or belongs to another map or place, does not count. While one process works on
    a map no other can, where the file system has locks. The key is everything that the map's values depend on, by names
    that can be told to the user.
    """

    def __init__(self, path: str, layout: TileLayout, key: Mapping[str, Any]) -> None:
        from filelock import FileLock

        folder, name = os.path.split(path)
        self.map_path, self.layout = path, layout
        self.folder = os.path.join(folder, f".{name}.tiles")
        # as it is read back: a tuple is a list then
        self._key = json.loads(json.dumps({**key, "tiles": [*layout.shape, layout.side]}))
        self._finished: set[int] = set()
        self._lock = FileLock(self._file("lock"), timeout=0)

    def __enter__(self) -> UnfinishedMap:
        with clear_errors(self.map_path):
            os.makedirs(self.folder, exist_ok=True)
            try:
                self._claim()
                self._begin()
            except BaseException:
                self._lock.release()
                raise
        return self

    def __exit__(self, *_: Any) -> None:
        if not self._finished:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):  # where an open file, such as the lock, cannot be removed; or tiles are kept
            os.rmdir(self.folder)

    @property
    def missing(self) -> list[int]:
        """Numbers of the tiles that are not finished."""
        return [number for number in range(len(self.layout.windows)) if number not in self._finished]

    def add(self, number: int, values: np.ndarray) -> None:
        """Keep a finished tile, (rows, cols) or (bands, rows, cols)."""
        data = np.ascontiguousarray(values, "<f4").tobytes()
        with clear_errors(self.map_path):
            self._write(self._tile(number), data + self._checksum(number, data))
        self._finished.add(number)

    def publish(self, grid: Grid, tags: Mapping[str, Any], overwrite: bool, n_bands: int = 1) -> bool:
        """Write the map of all tiles and give it its name, unless nothing in it is valid; tell which."""
        part = self._part()
        with clear_errors(self.map_path):
            any_valid = write_geotiff(part, grid, tags, *(self._rows(band) for band in range(n_bands)))
            if any_valid:
                publish_map(part, self.map_path, tags, overwrite)
        self._finished.clear()
        return any_valid

    def _claim(self) -> None:
        try:
            self._lock.acquire()
        except TimeoutError:
            raise SklandslideError(
                f"{self.map_path} is being made by another process (it holds {self._lock.lock_file}). Wait for it, or "
                "choose another name. If you are sure that there is none, remove that file."
            ) from None
        except (OSError, NotImplementedError) as error:
            # A file system without locks. If it cannot be written to at all, the next step says so.
            _log.debug("%s cannot be locked: %s.", self.folder, error)

    def _begin(self) -> None:
        """Find the tiles that can be used."""
        for name in os.listdir(self.folder):
            if ".part" in name:  # left by a call that was ended; GDAL adds to the name
                os.remove(self._file(name))
        if not self._is_ours():
            self._write("key.json", json.dumps(self._key).encode())
        numbers = range(len(self.layout.windows))
        self._finished = {number for number in numbers if self._values(number) is not None}
        if self._finished:
            total = len(self.layout.windows)
            _log.info("Going on with %s: %d of %d tiles are finished.", self.map_path, len(self._finished), total)

    def _is_ours(self) -> bool:
        """Whether the folder is of this map; say so if it is of another."""
        try:
            with open(self._file("key.json"), "rb") as file:
                theirs = json.load(file)
        except FileNotFoundError:
            return False
        except ValueError:  # damaged
            theirs = {}
        differing = [name for name in self._key if theirs.get(name) != self._key[name]]
        if differing:
            text = "Starting over with %s: the unfinished map found there (%s) is one with another %s."
            _log.warning(text, self.map_path, self.folder, ", ".join(differing))
        return not differing

    def _rows(self, band: int = 0) -> Iterator[np.ndarray]:
        """A band of the map from its first row to its last, a row of blocks at a time."""
        rows, cols = self.layout.shape
        for first in range(0, rows, BLOCK):
            last = min(first + BLOCK, rows)
            out = np.empty((last - first, cols), np.float32)
            for number in self.layout.touching(first, last):
                window = self.layout.windows[number]
                low, high = max(first, window.row_off), min(last, window.row_off + window.height)
                values = self._read(number)[band, low - window.row_off : high - window.row_off]
                out[low - first : high - first, window.col_off : window.col_off + window.width] = values
            yield out

    def _read(self, number: int) -> np.ndarray:
        """Values of a finished tile."""
        values = self._values(number)
        if values is None:
            raise SklandslideError(
                f"{self._file(self._tile(number))} was changed or removed while {self.map_path} was made. Let nothing "
                "else write there, and check the disk; the same call computes that tile again."
            )
        return values

    def _values(self, number: int) -> np.ndarray | None:
        """Values of a tile, (bands, rows, cols), or None if there are none, or others than were written."""
        try:
            with open(self._file(self._tile(number)), "rb") as file:
                content = file.read()
        except FileNotFoundError:
            return None
        data, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        if checksum != self._checksum(number, data):
            return None
        window = self.layout.windows[number]
        return np.frombuffer(data, "<f4").reshape(-1, window.height, window.width)

    def _write(self, name: str, content: bytes) -> None:
        part = self._part()
        with open(part, "wb") as file:
            file.write(content)
        os.replace(part, self._file(name))

    def _checksum(self, number: int, data: bytes) -> bytes:
        start = zlib.crc32(json.dumps([number, self._key]).encode())
        return zlib.crc32(data, start).to_bytes(_CHECKSUM_BYTES, "little")

    def _file(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _part(self) -> str:
        """A name for a file while it is written."""
        return self._file(f"{secrets.token_hex(8)}.part")

    def _tile(self, number: int) -> str:
        return f"{number:06d}.tile"
