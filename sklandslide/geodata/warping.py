"""A band on another grid than its own: copied where the pixels of both coincide, resampled elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import Resampling, reproject, transform_bounds

from ..exceptions import SceneError
from .antimeridian import turn
from .grid import Grid, Window
from .raster import Band, DaskBand, FileBand, SlopeBand
from .terrain import silencing

# Warping works in blocks that lie on the target grid, so that a pixel's value never depends on the window
# that was asked for. In pixels.
_WARP_BLOCK = 256
# Two rasters whose pixels coincide to this part of a pixel are copied, not resampled.
_ALIGNED = 1e-3

# Marks pixels as nodata, in place.
Cleaner: TypeAlias = Callable[[np.ndarray], np.ndarray]


def read_onto(band: Band, grid: Grid, window: Window, resampling: str, clean: Cleaner) -> np.ndarray:
    """Float32 pixels of `band` for a window of `grid`, NaN for nodata and outside the band.

    Pixels that coincide are copied; others are resampled in blocks of the target grid. `clean` marks what else is
    nodata, before resampling (a neighbour must not see it) and after it.
    """
    offset = _offset(band.grid, grid)
    if offset is not None:
        return clean(_read_padded(band, window, offset))
    out = np.empty((window.height, window.width), np.float32)
    row0, col0 = window.row_off // _WARP_BLOCK, window.col_off // _WARP_BLOCK
    for row in range(row0 * _WARP_BLOCK, window.row_off + window.height, _WARP_BLOCK):
        for col in range(col0 * _WARP_BLOCK, window.col_off + window.width, _WARP_BLOCK):
            block = Window(row, col, min(_WARP_BLOCK, grid.shape[0] - row), min(_WARP_BLOCK, grid.shape[1] - col))
            into, part = _overlap(window, block)
            out[into] = clean(_warp(band, grid.crop(block), resampling, clean))[part]
    return out


def blocks_on(band: Band, grid: Grid) -> tuple[int, int]:
    """Rows and columns of the blocks that a band is read in on `grid`: its own, or those of warping."""
    if isinstance(band, SlopeBand):
        band = band.dem
    if isinstance(band, FileBand | DaskBand) and _offset(band.grid, grid) is not None:
        return band.block_shape
    return _WARP_BLOCK, _WARP_BLOCK


def overlaps(band_grid: Grid, grid: Grid) -> bool:
    """Whether the two grids share any ground; a SceneError if one's coordinates cannot be had from the other's."""
    return bool(_footprints(grid, band_grid) or _footprints(band_grid, grid))


@lru_cache(maxsize=64)
def _offset(source: Grid, grid: Grid) -> tuple[int, int] | None:
    """Row and column of `grid`'s first pixel on `source`, if all their pixels coincide and no longitudes jump."""
    if source.crs != grid.crs or any(by for by, _, _ in _footprints(grid, source)):
        return None
    corners = np.array([[0, 0], [0, grid.shape[1]], [grid.shape[0], 0]], float)
    on_source = source.rowcol(grid.xy(corners[:, 0], corners[:, 1]))
    row, col = np.round(on_source[0])
    if np.abs(on_source - corners - (row, col)).max() > _ALIGNED:
        return None
    return int(row), int(col)


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
    into, (rows, cols) = _overlap(shifted, Window(0, 0, *band.grid.shape))
    out = np.full((window.height, window.width), np.nan, np.float32)
    part = Window(rows.start, cols.start, rows.stop - rows.start, cols.stop - cols.start)
    if part.height > 0 and part.width > 0:
        out[into] = band.read(part)
    return out


def _warp(band: Band, grid: Grid, resampling: str, clean: Cleaner) -> np.ndarray:
    """Resample the band onto the whole of a small grid."""
    out = np.full(grid.shape, np.nan, np.float32)
    # Only a pair without coordinate systems comes here without one: any will do then.
    anywhere = CRS.from_epsg(32631)
    for source, by in _source_windows(band.grid, grid):
        part = np.full(grid.shape, np.nan, np.float32)
        t = band.grid.crop(source).transform
        pixels = clean(band.read(source))
        with silencing:
            reproject(
                pixels,
                part,
                src_transform=type(t)(t.a, t.b, t.c - by, t.d, t.e, t.f),  # where the grid has that ground
                src_crs=band.grid.crs or anywhere,
                src_nodata=np.nan,
                dst_transform=grid.transform,
                dst_crs=grid.crs or anywhere,
                dst_nodata=np.nan,
                resampling=Resampling[resampling],
                tolerance=0.0,  # heeded from rasterio 1.5 on; before, 1/8 pixel
            )
        out = np.where(np.isnan(out), part, out)
    return out


def _source_windows(source: Grid, grid: Grid) -> list[tuple[Window, float]]:
    """The source pixels that resampling onto `grid` can touch, and how far on their longitudes have counted."""
    windows = []
    for by, first, last in _footprints(grid, source):
        # The widest kernel (Lanczos) reaches three pixels, of the coarser of the two grids.
        shrink = np.maximum(1.0, (last - first) / np.array(grid.shape))
        low = np.clip(np.floor(first - 4 * shrink), 0, source.shape).astype(int)
        high = np.clip(np.ceil(last + 4 * shrink), 0, source.shape).astype(int)
        windows.append((Window(*low.tolist(), *(high - low).tolist()), by))
    return windows


def _footprints(grid: Grid, source: Grid) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Smallest and largest (row, col) on `source` that `grid` covers; nothing if they share no ground.

    Up to three where `source` counts longitudes: the same ground, and a whole turn farther on, with that turn.
    """
    corners = _corners_in(grid, source.crs)
    whole = turn(source.crs)
    found = []
    for by in (0.0,) if whole is None else (0.0, whole, -whole):
        places = source.rowcol(corners + np.array([by, 0.0]))
        low, high = places.min(axis=0), places.max(axis=0)
        if (low < source.shape).all() and (high > 0).all():
            found.append((by, low, high))
    return found


def _corners_in(grid: Grid, crs: Any) -> np.ndarray:
    """Corners of a grid, or of the box about it in another coordinate system, shape (4, 2)."""
    rows, cols = grid.shape
    if crs == grid.crs or crs is None or grid.crs is None:
        return grid.xy([0, 0, rows, rows], [0, cols, 0, cols])
    try:
        left, bottom, right, top = transform_bounds(grid.crs, crs, *grid.bounds)
    except (CPLE_BaseError, RasterioError) as error:
        raise SceneError(
            f"There is no way from the coordinate system {grid.crs.to_string()[:200]} to {crs.to_string()[:200]}. "
            "Bring the rasters into one coordinate system first, or give the local one as what it is."
        ) from error
    if left > right:  # across the meridian of 180 degrees
        right += turn(crs) or 0.0
    return np.array([[left, bottom], [left, top], [right, bottom], [right, top]])
