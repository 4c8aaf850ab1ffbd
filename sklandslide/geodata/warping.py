"""A band on another grid than its own: copied where the pixels of both coincide, resampled elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError
from rasterio.crs import CRS
from rasterio.errors import RasterioError
from rasterio.warp import Resampling, reproject, transform

from ..exceptions import SceneError
from .antimeridian import turn
from .grid import Grid, Window
from .raster import Band, FileBand, SlopeBand
from .terrain import silencing

# Warping works in blocks that lie on the target grid, so that a pixel's value never depends on the window
# that was asked for. In pixels.
_WARP_BLOCK = 256
# Two rasters whose pixels coincide to this part of a pixel are copied, not resampled.
_ALIGNED = 1e-3
# Points along each axis of a grid that are looked for on another.
_POINTS = 17

# Marks pixels as nodata, in place.
Cleaner: TypeAlias = Callable[[np.ndarray], np.ndarray]


def read_onto(band: Band, grid: Grid, window: Window, resampling: str, clean: Cleaner) -> np.ndarray:
    """Float32 pixels of `band` for a window of `grid`, NaN for nodata and outside the band.

    Pixels that coincide are copied; others are resampled in blocks of the target grid. `clean` marks what else is
    nodata, before resampling (a neighbour must not see it) and after it.
    """
    offsets = _aligned_offsets(band.grid, grid)
    if offsets:
        return clean(_merged(_read_padded(band, window, offset) for offset in offsets))
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
            out[into] = clean(_warp(band, grid.crop(block), resampling, clean))[part]
    return out


def blocks_on(band: Band, grid: Grid) -> tuple[int, int]:
    """Rows and columns of the blocks that a band is read in on `grid`: its own, or those of warping."""
    while isinstance(band, SlopeBand):
        band = band.dem
    if isinstance(band, FileBand) and _aligned_offsets(band.grid, grid):
        return band.block_shape
    return _WARP_BLOCK, _WARP_BLOCK


def overlaps(band_grid: Grid, grid: Grid) -> bool:
    """Whether the two grids share any ground.

    Raises
    ------
    SceneError
        If the one's coordinate system cannot be had from the other's.
    """
    return any(
        (low < one.shape).all() and (high > 0).all()
        for one, other in ((band_grid, grid), (grid, band_grid))
        for _, low, high in _footprints(other, one)
    )


@lru_cache(maxsize=64)
def _aligned_offsets(source: Grid, grid: Grid) -> tuple[tuple[int, int], ...]:
    """Row and column of `grid`'s first pixel on `source` if all their pixels coincide, else nothing.

    Two, where the grid crosses a meridian that the source begins and ends at.
    """
    if source.crs != grid.crs:
        return ()
    corners = np.array([[0, 0], [0, grid.shape[1]], [grid.shape[0], 0]], float)
    found = []
    for by in _turns(source.crs):
        on_source = source.rowcol(grid.xy(corners[:, 0], corners[:, 1]) + np.array([by, 0.0]))
        offset = np.round(on_source[0])
        aligned = np.abs(on_source - corners - offset).max() <= _ALIGNED
        inside = (offset < source.shape).all() and (offset + grid.shape > 0).all()
        if inside and not aligned:
            return ()
        if aligned and (inside or by == 0):
            found.append((inside, (int(offset[0]), int(offset[1]))))
    touching = tuple(offset for inside, offset in found if inside)
    return touching or tuple(offset for _, offset in found)


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


def _merged(parts: Iterable[np.ndarray]) -> np.ndarray:
    """One array of several of the same ground: where the first has nodata, the next."""
    first, *others = parts
    for other in others:
        holes = np.isnan(first)
        first[holes] = other[holes]
    return first


def _warp(band: Band, grid: Grid, resampling: str, clean: Cleaner) -> np.ndarray:
    """Resample the band onto the whole of a small grid."""
    windows = _source_windows(band.grid, grid)
    if not windows:
        return np.full(grid.shape, np.nan, np.float32)
    return _merged(_warp_window(band, source, by, grid, resampling, clean) for source, by in windows)


def _warp_window(band: Band, source: Window, by: float, grid: Grid, resampling: str, clean: Cleaner) -> np.ndarray:
    out = np.full(grid.shape, np.nan, np.float32)
    t = band.grid.crop(source).transform
    # Only a pair without coordinate systems comes here without one: any will do then.
    anywhere = CRS.from_epsg(32631)
    pixels = clean(band.read(source))
    with silencing:
        reproject(
            pixels,
            out,
            src_transform=type(t)(t.a, t.b, t.c - by, t.d, t.e, t.f),  # where the grid has that ground
            src_crs=band.grid.crs or anywhere,
            src_nodata=np.nan,
            dst_transform=grid.transform,
            dst_crs=grid.crs or anywhere,
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            tolerance=0.0,  # heeded from rasterio 1.5 on; before, 1/8 pixel
        )
    return out


def _source_windows(source: Grid, grid: Grid) -> list[tuple[Window, float]]:
    """The source pixels that resampling onto `grid` can touch, and how far on their longitudes have counted."""
    windows = []
    for by, first, last in _footprints(grid, source):
        # The widest kernel (Lanczos) reaches three pixels, of the coarser of the two grids.
        shrink = np.maximum(1.0, (last - first) / np.array(grid.shape))
        low = np.clip(np.floor(first - 4 * shrink), 0, source.shape).astype(int)
        high = np.clip(np.ceil(last + 4 * shrink), 0, source.shape).astype(int)
        if (high > low).all():
            size = high - low
            windows.append((Window(int(low[0]), int(low[1]), int(size[0]), int(size[1])), by))
    return windows


def _footprints(grid: Grid, source: Grid) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Smallest and largest (row, col) on `source` that `grid` covers.

    Several where `source` counts longitudes: the same ground a whole turn farther on, with that turn.
    """
    rows, cols = (np.linspace(0, n, _POINTS) for n in grid.shape)
    xy = _moved(grid.xy(rows[:, None], cols).reshape(-1, 2), grid.crs, source.crs)
    xy = xy[np.isfinite(xy).all(axis=1)]
    if not len(xy):
        return []
    whole = turn(source.crs)
    if whole is not None:
        # As one piece, wherever the longitudes jump.
        xy[:, 0] -= whole * np.round((xy[:, 0] - xy[len(xy) // 2, 0]) / whole)
        if np.ptp(xy[:, 0]) > whole / 2 and grid.crs != source.crs:
            xy = _about_the_pole(xy, whole)
    places = [(by, source.rowcol(xy + np.array([by, 0.0]))) for by in _turns(source.crs)]
    return [(by, place.min(axis=0), place.max(axis=0)) for by, place in places]


def _about_the_pole(xy: np.ndarray, whole: float) -> np.ndarray:
    """All longitudes, from the pole to the latitudes that a grid about it reaches."""
    middle, pole = xy[:, 0].mean(), np.copysign(whole / 4, xy[:, 1].mean())
    ends = [xy[:, 1].min(), pole] if pole > 0 else [pole, xy[:, 1].max()]
    return np.array([[middle + side * whole / 2, end] for side in (-1, 1) for end in ends])


def _turns(crs: Any) -> tuple[float, ...]:
    """By how much coordinates may be moved and still mean the same ground."""
    whole = turn(crs)
    return (0.0,) if whole is None else (0.0, whole, -whole)


def _moved(xy: np.ndarray, crs: Any, other: Any) -> np.ndarray:
    """Coordinates in another system; not finite where it has none for the place."""
    if crs == other or crs is None or other is None:
        return xy
    try:
        return np.stack(transform(crs, other, xy[:, 0], xy[:, 1]), axis=1)
    except (CPLE_NotSupportedError, RasterioError) as error:
        raise SceneError(
            f"There is no way from the coordinate system {crs.to_string()[:200]} to {other.to_string()[:200]}. Bring "
            "the rasters into one coordinate system first, or give the local one as what it is."
        ) from error
    except CPLE_BaseError:  # one place that cannot be had stops all
        if len(xy) == 1:
            return np.full((1, 2), np.nan)
        return np.concatenate([_moved(place[None], crs, other) for place in xy])
