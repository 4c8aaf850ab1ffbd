"""A band on another grid than its own: copied where the pixels of both coincide, resampled elsewhere."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject, transform_bounds

from .grid import Grid, Window
from .raster import Band, FileBand, SlopeBand
from .terrain import silencing

# Warping works in blocks that lie on the target grid, so that a pixel's value never depends on the window
# that was asked for. In pixels.
_WARP_BLOCK = 256
# Two rasters whose pixels coincide to this part of a pixel are copied, not resampled.
_ALIGNED = 1e-3


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


def blocks_on(band: Band, grid: Grid) -> tuple[int, int]:
    """Rows and columns of the blocks that a band is read in on `grid`: its own, or those of warping."""
    while isinstance(band, SlopeBand):
        band = band.dem
    if isinstance(band, FileBand) and _aligned_offset(band.grid, grid) is not None:
        return band.block_shape
    return _WARP_BLOCK, _WARP_BLOCK


def overlaps(band_grid: Grid, grid: Grid) -> bool:
    """Whether the two grids share any ground."""
    left, bottom, right, top = _bounds_in(band_grid, grid.crs)
    west, south, east, north = grid.bounds
    return left < east and west < right and bottom < north and south < top


@lru_cache(maxsize=64)
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
