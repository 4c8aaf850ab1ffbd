"""The image under a drawn map: bands or a hillshade of a scene, averaged to a printable size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..composites import band_inputs, is_change, polarisation_in, resolve_composite
from ..exceptions import BandError, SceneError
from ..features import CompositeView
from ..geodata import Grid, Window, metres_per_unit, per_map_unit, tiles

if TYPE_CHECKING:
    from ..geodata import Scene

# A printed figure shows no more pixels a side than this; larger backgrounds are averaged.
_MAX_SIDE = 2000
# Pixels read at once while averaging.
_TILE = 1024
# Shares of the values, in per cent, that a stretch clips at either end: what GIS programs use.
_STRETCH = (2.0, 98.0)


def background_image(background: Any, grid: Grid, margin: float) -> tuple[np.ndarray, Grid]:
    """Read the image of a map's ground, and its own grid: values 0 to 1, shape (rows, cols[, 3]), NaN for nodata."""
    scene, wanted = background if isinstance(background, tuple) else (background, None)
    if not hasattr(scene, "bands"):
        raise SceneError(f"background={background!r} is no image. Give a Scene, a pair (Scene, ['VV_after']), or None.")
    picture = read_picture(scene, wanted, _window_of(scene.grid, grid, margin))
    return picture.stretched({}), picture.grid


class Picture(NamedTuple):
    """What is drawn of a scene: values of one or three bands, radar in dB, NaN for nodata, shape (rows, cols, n)."""

    values: np.ndarray
    bands: tuple[str, ...]
    units: tuple[str | None, ...]
    grid: Grid

    def stretched(self, ranges: dict[str, tuple[float, float]]) -> np.ndarray:
        """Values 0 to 1, shape (rows, cols[, 3]): each band over its range, or over its own usual one."""
        bands = zip(self.bands, np.moveaxis(self.values, -1, 0), strict=True)
        out = [_stretch(values, ranges.get(band) or usual_range([values])) for band, values in bands]
        return out[0] if len(out) == 1 else np.stack(out, axis=-1)


def read_picture(scene: Any, wanted: Any, window: Window | None = None, side: int | None = None) -> Picture:
    """Read what is to be drawn: a band, three, a composite, ``"hillshade"``, or None for what there is.

    Of a window, or all of the scene, averaged to at most so many pixels a side.
    """
    window = Window(0, 0, *scene.grid.shape) if window is None else window
    recipe = _recipe(wanted, scene.bands)
    values, on = _read_averaged(scene, recipe or ("DEM",), window, side or _MAX_SIDE)
    if recipe is None:
        return Picture(_hillshade(values[..., 0], on)[..., None], ("hillshade",), (None,), on)
    units = CompositeView(scene, recipe).units
    return Picture(values, recipe, tuple(units.get(band) for band in recipe), on)


def common_ranges(pictures: list[Picture]) -> dict[str, tuple[float, float]]:
    """The range that each band is drawn over: one for all dates of a polarisation, so that they can be compared."""
    kinds: dict[Any, list[np.ndarray]] = {}
    of_band = {}
    for picture in pictures:
        for i, band in enumerate(picture.bands):
            polarisation = "" if band == "hillshade" else polarisation_in(*band_inputs(band))
            of_band[band] = (is_change(band), polarisation) if polarisation else band
            kinds.setdefault(of_band[band], []).append(picture.values[..., i])
    ranges = {kind: usual_range(values) for kind, values in kinds.items()}
    return {band: ranges[kind] for band, kind in of_band.items()}


def _recipe(wanted: Any, available: tuple[str, ...]) -> tuple[str, ...] | None:
    """Bands to draw, or None for the hillshade."""
    if wanted is None:
        if {"Red", "Green", "Blue"} <= set(available):
            return ("Red", "Green", "Blue")
        return None if "DEM" in available else (available[0],)
    # A band of that name is what its owner means by it.
    if isinstance(wanted, str) and wanted == "hillshade" and wanted not in available:
        if "DEM" not in available:
            raise BandError(
                f"The background has no DEM to shade; it has the bands {', '.join(available)}. Give a scene with a "
                "band DEM, or name one of the bands in place of 'hillshade'."
            )
        return None
    recipe = resolve_composite([wanted] if wanted in available else wanted, available)
    if len(recipe) not in (1, 3):
        raise BandError(
            f"The background has {len(recipe)} bands ({', '.join(recipe)}); an image has one "
            "(grey) or three (red, green, blue). Name one or three."
        )
    return recipe


def _window_of(scene: Grid, grid: Grid, margin: float) -> Window:
    """Find the scene's pixels under the map and its margin."""
    if scene.crs != grid.crs:
        names = ["no CRS" if g.crs is None else g.crs.to_string() for g in (scene, grid)]
        raise SceneError(
            f"The background has {names[0]} and the map {names[1]}; they must have the same. Give "
            "the scene that the map was made from, or one in the map's CRS."
        )
    corners = scene.rowcol(corners_of(grid, margin))
    # A corner on a pixel's edge takes in no further pixel, whatever the last bits say.
    low = np.maximum(np.floor(corners.min(axis=0) + 1e-6).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(axis=0) - 1e-6).astype(int), scene.shape)
    if (high <= low).any():
        raise SceneError(
            f"The background shows none of the map's ground: it covers {scene.bounds}, the map "
            f"{grid.bounds} (left, bottom, right, top). Give the scene that the map was made from."
        )
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1]))


def corners_of(grid: Grid, margin: float) -> np.ndarray:
    """Map coordinates of the four corners of a grid grown by `margin` pixels, shape (4, 2)."""
    rows, cols = grid.shape
    row, col = np.array([-margin, rows + margin]), np.array([-margin, cols + margin])
    return grid.xy(row[[0, 0, 1, 1]], col[[0, 1, 0, 1]])


def _read_averaged(scene: Scene, recipe: tuple[str, ...], window: Window, side: int) -> tuple[np.ndarray, Grid]:
    """Read bands and differences, radar in dB, averaged to at most so many pixels a side, tile by tile."""
    factor = -(-max(window.height, window.width) // side)
    shape = -(-window.height // factor), -(-window.width // factor)
    out = np.full((*shape, len(recipe)), np.nan, np.float32)
    size = factor * max(1, _TILE // factor)
    view = CompositeView(scene, recipe)
    for tile in tiles((window.height, window.width), size):
        where = Window(window.row_off + tile.row_off, window.col_off + tile.col_off, tile.height, tile.width)
        values = _average(view.read(window=where), factor)
        row, col = tile.row_off // factor, tile.col_off // factor
        out[row : row + values.shape[0], col : col + values.shape[1]] = values
    return out, scene.grid.rescale(window.row_off, window.col_off, factor, shape)


def _average(values: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` x `factor` pixels, NaN left out; the last may be smaller."""
    if factor == 1:
        return values
    pad = [(0, -values.shape[0] % factor), (0, -values.shape[1] % factor), (0, 0)]
    values = np.pad(values, pad, constant_values=np.nan)
    rows, cols, bands = values.shape
    blocks = values.reshape(rows // factor, factor, cols // factor, factor, bands)
    count = np.isfinite(blocks).sum(axis=(1, 3))
    total = np.nansum(blocks, axis=(1, 3), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def usual_range(bands: list[np.ndarray]) -> tuple[float, float]:
    """The usual range of values, those of all bands together; (0, 0) where there is none."""
    finite = np.concatenate([values[np.isfinite(values)] for values in bands])
    if not finite.size:
        return 0.0, 0.0
    low, high = np.percentile(finite, _STRETCH)
    # Nearly constant: the percentiles coincide, the extremes may not.
    return (float(low), float(high)) if high > low else (float(finite.min()), float(finite.max()))


def _stretch(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """Scale a range of the values to 0 to 1."""
    low, high = ends
    if high <= low:
        return np.where(np.isfinite(values), np.float32(0.5), np.nan)
    return np.clip((values - low) / (high - low), 0, 1)


def _hillshade(heights: np.ndarray, grid: Grid) -> np.ndarray:
    """Brightness of a matt surface lit from the north-west at 45 degrees, the convention of hillshading, 0 to 1."""
    if min(heights.shape) < 2:
        return heights
    by_row, by_col = np.gradient(heights.astype(np.float64))
    along_x, along_y = per_map_unit(by_row, by_col, grid)
    metres_x, metres_y = metres_per_unit(grid, Window(0, 0, *grid.shape))
    east, north = along_x / metres_x, along_y / metres_y
    shade = (1 + (east - north) / 2**0.5) / (2 * (1 + east**2 + north**2)) ** 0.5
    return np.clip(shade, 0, 1).astype(np.float32)
