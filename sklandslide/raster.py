"""One band of one raster: read a window of it on its own grid, or warped onto another.

With `scene` and `inventory` the only place that reads files. A dataset is opened for each call and closed
again: an open one can be neither pickled nor shared between threads. All values come out as float32 with
NaN for nodata, whatever form nodata has in the file.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import rasterio
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import Resampling, reproject, transform_bounds
from rasterio.windows import Window as RasterioWindow

from .exceptions import SceneError, SceneReadError
from .grid import Grid, Window
from .terrain import silencing, slope_degrees

# Warping works in blocks that lie on the target grid, so that a pixel's value never depends on the window
# that was asked for. In pixels.
_WARP_BLOCK = 256
# Two rasters whose pixels coincide to this part of a pixel are copied, not resampled.
_ALIGNED = 1e-3


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

    @classmethod
    def open(cls, path: Any, index: int = 1, nodata: tuple[float, ...] = ()) -> FileBand:
        """Look at the file's header; raise SceneReadError or SceneError if it cannot serve."""
        path = os.path.abspath(os.fspath(path))
        stamp = _stamp(path)
        try:
            with rasterio.open(path) as dataset:
                grid = Grid(dataset.crs, dataset.transform, dataset.shape)
                count, dtypes = dataset.count, dataset.dtypes
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
        return cls(path, index, grid, nodata, stamp)

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
            with rasterio.open(self.path) as dataset:
                values = dataset.read(self.index, window=where)
                valid = dataset.read_masks(self.index, window=where) != 0
                # Where a file has both, GDAL's mask is the mask band alone and the tag is left out.
                tag = dataset.nodatavals[self.index - 1]
        except RasterioError as error:
            raise SceneReadError(
                f"{self.path} cannot be read at {window}: {error}. The file may be truncated or damaged; "
                "copy or download it again."
            ) from error
        return _as_float(values, self.nodata if tag is None else (*self.nodata, tag), valid)


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
        return _as_float(self.array[window.slices], self.nodata)


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


def read_onto(band: Band, grid: Grid, window: Window, resampling: str) -> np.ndarray:
    """Float32 pixels of `band` for a window of `grid`, NaN for nodata and outside the band.

    Pixels that coincide are copied; others are resampled in blocks of the target grid.
    """
    offset = _aligned_offset(band.grid, grid)
    if offset is not None:
        return _read_padded(band, window, offset)
    out = np.empty((window.height, window.width), np.float32)
    row0, col0 = window.row_off // _WARP_BLOCK, window.col_off // _WARP_BLOCK
    for row in range(row0 * _WARP_BLOCK, window.row_off + window.height, _WARP_BLOCK):
        for col in range(col0 * _WARP_BLOCK, window.col_off + window.width, _WARP_BLOCK):
            block = Window(
                row,
                col,
                min(_WARP_BLOCK, grid.shape[0] - row),
                min(_WARP_BLOCK, grid.shape[1] - col),
            )
            into, part = _overlap(window, block)
            out[into] = _warp(band, grid.crop(block), resampling)[part]
    return out


def overlaps(band_grid: Grid, grid: Grid) -> bool:
    """Whether the two grids share any ground."""
    left, bottom, right, top = _bounds_in(band_grid, grid.crs)
    west, south, east, north = grid.bounds
    return left < east and west < right and bottom < north and south < top


def _as_float(values: np.ndarray, nodata: tuple[float, ...], valid: np.ndarray | bool = True) -> np.ndarray:
    """Float32 with NaN for what is nodata, not finite, or (a float64 nodata value of -1.8e308) too large."""
    with np.errstate(over="ignore"):
        out = values.astype(np.float32)
        valid = valid & np.isfinite(out)
        for value in nodata:
            valid &= values != value
    out[~valid] = np.nan
    return out


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


def _aligned_offset(source: Grid, grid: Grid) -> tuple[int, int] | None:
    """Row and column of `grid`'s first pixel on `source` if all their pixels coincide, else None."""
    if source.crs != grid.crs:
        return None
    corners = np.array([[0, 0], [0, grid.shape[1]], [grid.shape[0], 0]], float)
    on_source = source.rowcol(grid.xy(corners[:, 0], corners[:, 1]))
    offset = np.round(on_source[0])
    if np.abs(on_source - corners - offset).max() > _ALIGNED:
        return None
    return int(offset[0]), int(offset[1])


def _overlap(window: Window, block: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where the part that two rectangles share lies in the first, and where in the second."""
    first, second = [], []
    for start, length, other, other_length in (
        (window.row_off, window.height, block.row_off, block.height),
        (window.col_off, window.width, block.col_off, block.width),
    ):
        low = max(start, other)
        high = max(low, min(start + length, other + other_length))
        first.append(slice(low - start, high - start))
        second.append(slice(low - other, high - other))
    return (first[0], first[1]), (second[0], second[1])


def _read_padded(band: Band, window: Window, offset: tuple[int, int]) -> np.ndarray:
    """Read a shifted window and put NaN where the band has no pixels."""
    shifted = Window(window.row_off + offset[0], window.col_off + offset[1], window.height, window.width)
    whole = Window(0, 0, *band.grid.shape)
    into, part = _overlap(shifted, whole)
    height, width = part[0].stop - part[0].start, part[1].stop - part[1].start
    if (height, width) == (window.height, window.width):
        return band.read(shifted)
    out = np.full((window.height, window.width), np.nan, np.float32)
    if height > 0 and width > 0:
        out[into] = band.read(Window(part[0].start, part[1].start, height, width))
    return out


def _warp(band: Band, grid: Grid, resampling: str) -> np.ndarray:
    """Resample the band onto the whole of a small grid."""
    out = np.full(grid.shape, np.nan, np.float32)
    source = _source_window(band.grid, grid)
    if source is None:
        return out
    # Only a pair without coordinate systems comes here without one: any will do then.
    anywhere = CRS.from_epsg(32631)
    pixels = band.read(source)
    with silencing:
        reproject(
            pixels,
            out,
            src_transform=band.grid.crop(source).transform,
            src_crs=band.grid.crs or anywhere,
            src_nodata=np.nan,
            dst_transform=grid.transform,
            dst_crs=grid.crs or anywhere,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            tolerance=0.0,  # heeded from rasterio 1.5 on; before, 1/8 pixel
        )
    return out


def _source_window(source: Grid, grid: Grid) -> Window | None:
    """The source pixels that resampling onto `grid` can touch, or None where there are none."""
    left, bottom, right, top = _bounds_in(grid, source.crs)
    corners = source.rowcol([[left, bottom], [left, top], [right, bottom], [right, top]])
    # The widest kernel (Lanczos) reaches three pixels, of the coarser of the two grids.
    shrink = np.maximum(1.0, np.ptp(corners, axis=0) / np.array(grid.shape))
    low = np.floor(corners.min(axis=0) - 4 * shrink).astype(int)
    high = np.ceil(corners.max(axis=0) + 4 * shrink).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, source.shape)
    if (high <= low).any():
        return None
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def _bounds_in(grid: Grid, crs: Any) -> tuple[float, float, float, float]:
    if grid.crs == crs or grid.crs is None or crs is None:
        return grid.bounds
    return transform_bounds(grid.crs, crs, *grid.bounds, densify_pts=21)
