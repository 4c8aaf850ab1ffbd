"""One band of one raster: read a window of it on its own grid.

With `scene` and `inventory` the only place that reads files. No dataset outlives a call: an open one can be
neither pickled nor shared between threads. All values come out as float32 with NaN for nodata, whatever form
nodata has in the file.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterioWindow

from .exceptions import SceneError, SceneReadError
from .grid import Grid, Window
from .terrain import slope_degrees

# Bytes of blocks that GDAL may keep for us between the parts of a scene.
_KEPT = 2**28
# What GDAL says of a band whose nodata is its tag or nothing: then there is no mask to be read besides.
_NO_MASK = ([MaskFlags.all_valid], [MaskFlags.nodata])


class _Files(threading.local):
    """The datasets that this thread keeps open, by path, and the bytes read from them."""

    keeping = False
    bytes_read = 0

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}

    def dataset(self, path: str) -> Any:
        if path not in self.datasets:
            self.datasets[path] = rasterio.open(path)
        return self.datasets[path]

    def close(self) -> None:
        while self.datasets:
            self.datasets.popitem()[1].close()
        self.bytes_read = 0


_files = _Files()


@contextmanager
def keeping_open() -> Iterator[None]:
    """Open each file once, in this thread, for all that is read inside; close them all at the end.

    GDAL keeps the blocks of an open dataset for a while, so that a block that two windows share (at the seams of warped
    bands, of slope, of the bands of one file) is not read again.
    """
    if _files.keeping:
        yield
        return
    _files.keeping = True
    try:
        yield
    finally:
        _files.keeping = False
        _files.close()


def free_blocks() -> None:
    """Let GDAL forget the blocks that it keeps (up to a twentieth of the machine's memory) where they are many."""
    if _files.bytes_read > _KEPT:
        _files.close()


class Band(Protocol):
    """What a scene asks of a band: its own grid, a window of it, an identity."""

    @property
    def grid(self) -> Grid:
        """The grid that the band was stored on."""

    @property
    def identity(self) -> str:
        """A text that changes when the content does."""

    def read(self, window: Window) -> np.ndarray:
        """Float32 pixels of a window on the band's own grid, NaN for nodata."""


@dataclass(frozen=True)
class FileBand:
    """A band of a raster file: a path and what the file was like when it was first seen."""

    path: str
    index: int
    grid: Grid
    nodata: tuple[float, ...]
    stamp: tuple[int, ...]
    block_shape: tuple[int, int]

    @classmethod
    def open(cls, path: Any, index: int = 1, nodata: tuple[float, ...] = ()) -> FileBand:
        """Look at the file's header; raise SceneReadError or SceneError if it cannot serve."""
        path = os.path.abspath(os.fspath(path))
        stamp = _stamp(path)
        try:
            with rasterio.open(path) as dataset:
                grid = Grid(dataset.crs, dataset.transform, dataset.shape)
                count, dtypes, blocks = dataset.count, dataset.dtypes, dataset.block_shapes
                # rasterio's stand-in for none; it warns, but not of ground control points (Sentinel-1 GRD).
                placed = not dataset.transform.is_identity
        except NotGeoreferencedWarning:
            placed = False
        except RasterioError as error:
            raise SceneReadError(
                f"{path} cannot be opened as a raster: {error}. Give a file that GDAL can read, such as a "
                "GeoTIFF; check it with `rio info`."
            ) from error
        if not placed:
            raise SceneError(
                f"{path} has no geotransform, so its pixels have no place on the map. Terrain-correct or "
                "georeference it first (SNAP: Terrain Correction; GDAL: gdalwarp), or use Scene.from_arrays."
            )
        if not 1 <= index <= count:
            raise SceneError(f"{path} has {count} band(s); there is no band {index}. Count from 1.")
        if np.issubdtype(np.dtype(dtypes[index - 1]), np.complexfloating):
            raise SceneError(
                f"{path} holds complex numbers ({dtypes[index - 1]}). Use detected intensity (sigma0 or "
                "gamma0) instead of single-look complex data."
            )
        return cls(path, index, grid, nodata, stamp, tuple(blocks[index - 1]))

    def __getstate__(self) -> dict[str, Any]:
        # A cache (joblib's, a Pipeline's) knows a scene by its pickle. Once the file was changed that must be another
        # one, or the cache would hand out what `read` refuses.
        now = current_stamp(self.path)
        return self.__dict__ if now == self.stamp else {**self.__dict__, "changed": now}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update((name, value) for name, value in state.items() if name != "changed")

    @property
    def identity(self) -> str:
        return repr((self.path, self.index, self.nodata, self.stamp))

    def read(self, window: Window) -> np.ndarray:
        if _stamp(self.path) != self.stamp:
            raise SceneReadError(
                f"{self.path} was changed after the scene was built from it. Build the scene again, so that "
                "old and new pixels are not mixed."
            )
        where = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        try:
            with keeping_open():
                dataset = _files.dataset(self.path)
                values = dataset.read(self.index, window=where)
                _files.bytes_read += values.nbytes
                tag = dataset.nodatavals[self.index - 1]
                # Where a file has a mask and a tag, GDAL's mask is the mask band alone and the tag is left out.
                masks = [] if tag is None else [_differ(values, tag)]
                if dataset.mask_flag_enums[self.index - 1] not in _NO_MASK:
                    masks.append(dataset.read_masks(self.index, window=where) != 0)
        except RasterioError as error:
            raise SceneReadError(
                f"{self.path} cannot be read at {window}: {error}. The file may be truncated or damaged; "
                "copy or download it again."
            ) from error
        return _as_float(values, self.nodata, masks)


@dataclass(frozen=True, eq=False)
class ArrayBand:
    """A band held in memory, read-only."""

    array: np.ndarray = field(repr=False)
    grid: Grid
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.array.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.array.flags.writeable = False

    @property
    def identity(self) -> str:
        content = np.ascontiguousarray(self.array)
        digest = hashlib.sha256(content.view(np.uint8).data).hexdigest()
        return repr((content.shape, content.dtype.str, self.nodata, digest))

    def read(self, window: Window) -> np.ndarray:
        return _as_float(self.array[window.slices].copy(), self.nodata)


@dataclass(frozen=True)
class SlopeBand:
    """Slope in degrees, computed from a DEM on the DEM's own grid."""

    dem: Band

    @property
    def grid(self) -> Grid:
        return self.dem.grid

    @property
    def identity(self) -> str:
        return f"slope of {self.dem.identity}"

    def read(self, window: Window) -> np.ndarray:
        rows, cols = self.grid.shape
        before = min(1, window.row_off), min(1, window.col_off)
        after = (
            min(1, rows - window.row_off - window.height),
            min(1, cols - window.col_off - window.width),
        )
        heights = self.dem.read(
            Window(
                window.row_off - before[0],
                window.col_off - before[1],
                window.height + before[0] + after[0],
                window.width + before[1] + after[1],
            )
        )
        missing = [(1 - b, 1 - a) for b, a in zip(before, after, strict=True)]
        return slope_degrees(heights, self.grid, window, missing)


def _as_float(values: np.ndarray, nodata: tuple[float, ...], masks: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Float32 with NaN for what is nodata, not finite, or (a float64 nodata value of -1.8e308) too large.

    The masks are True where values are valid. Float32 `values` are written to.
    """
    with np.errstate(over="ignore"):
        out = values.astype(np.float32, copy=False)
        valid = np.isfinite(out)
        for mask in (*masks, *(values != value for value in nodata)):
            valid &= mask
    if not valid.all():
        out[~valid] = np.nan
    return out


def _differ(values: np.ndarray, tag: float) -> np.ndarray:
    """Where values are not the nodata tag, which GDAL compares to the last few places of floating-point numbers."""
    differ = values != tag
    if values.dtype.kind == "f" and abs(tag) <= np.finfo(values.dtype).max:
        with np.errstate(over="ignore", invalid="ignore"):
            differ &= ~(np.abs(values - tag) < 2 * np.finfo(values.dtype).eps * np.abs(values + tag))
    return differ


def current_stamp(path: str) -> tuple[int, ...]:
    """What the file is like now, or nothing where there is none."""
    try:
        return _stamp(path)
    except SceneReadError:
        return ()


def _stamp(path: str) -> tuple[int, ...]:
    """Size and modification time of the file, and of the mask file beside it where there is one.

    The ``.aux.xml`` beside it does not count: looking at a raster in QGIS writes one.
    """
    stamp: list[int] = []
    for name in (path, f"{path}.msk"):
        try:
            status = os.stat(name)
        except OSError as error:
            if name == path:
                raise SceneReadError(
                    f"{path} cannot be opened: {error.strerror}. Check the path; only files on this machine are read."
                ) from error
            stamp += [-1, -1]
        else:
            stamp += [status.st_size, status.st_mtime_ns]
    return tuple(stamp)
