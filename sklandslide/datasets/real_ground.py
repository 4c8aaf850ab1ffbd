"""Real ground: a DEM of the user's, and the land cover that its slopes suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..exceptions import SceneError
from ..geodata import Window, metres_at_centre
from .noise import Seeds, grow, noise_in_metres
from .terrain import FARMLAND, FOREST, SETTLEMENT, FarmParcels, Pixel, Terrain

if TYPE_CHECKING:
    from ..geodata import Scene

PIXELS = (4.0, 35.0)  # metres; a grid of one second of arc has pixels of 31 m
FLOOR_SLOPE, FLOOR_SIZE = 5.0, 60.0  # degrees, taken over so many metres: flatter ground is farmland
TOWN_LEVEL = 1.175  # exceeded by 12 % of a standard normal, the share of settlement on simulated ground
SMOOTHING = 12.0  # metres; takes the steps out of a DEM of whole metres


class RealGround:
    """Relief from a scene's DEM in metres; forest on slopes, fields and settlements where it is flat.

    There is no water: a DEM does not tell it from fields.
    """

    def __init__(self, seeds: Seeds, scene: Scene) -> None:
        if "DEM" not in scene.bands:
            raise SceneError(
                f"dem is a scene without a band 'DEM'; it has {', '.join(scene.bands)}. Give a scene with elevation "
                "in metres: Scene.from_files({'Red': ..., 'DEM': ...})."
            )
        if scene.grid.crs is None:
            raise SceneError(
                "dem has no coordinate system, so the size of its pixels on the ground is not known. Give it one "
                "(GDAL: gdal_edit -a_srs; Scene.from_arrays(..., crs=...))."
            )
        self._scene, self.shape = scene, scene.grid.shape
        x, y = metres_at_centre(scene.grid)
        t = scene.grid.transform
        # One step along a row and one along a column, in metres east and north.
        self._steps = np.array([[t.a * x, t.d * y], [t.b * x, t.e * y]])
        along_row, along_col = (float(n) for n in np.hypot(*self._steps.T))
        self.pixel: Pixel = (along_col, along_row)
        if not PIXELS[0] <= min(self.pixel) <= max(self.pixel) <= PIXELS[1]:
            raise SceneError(
                f"dem has pixels of {along_row:.3g} x {along_col:.3g} m; the radar's statistics hold for {PIXELS[0]:g} "
                f"to {PIXELS[1]:g} m. Give a scene whose first band has pixels of about 10 m, the DEM beside it: "
                "Scene.from_files({'Red': 'red_10m.tif', 'DEM': 'dem.tif'})."
            )
        self._town = noise_in_metres(seeds / "town", 500.0, 3.0, self.pixel)
        self._parcels = FarmParcels(seeds, self.pixel)

    def terrain(self, window: Window) -> Terrain:
        """Relief and land cover of a window, which may reach beyond the scene: the edge is continued there."""
        margin = int(np.ceil(4 * FLOOR_SIZE / min(self.pixel)))
        wide = grow(window, margin)
        raw = self._dem(wide)
        known = np.isfinite(raw)
        dem = ndimage.gaussian_filter(_filled(raw, known), [SMOOTHING / p for p in self.pixel])
        by_row, by_col = np.gradient(dem)
        (xr, yr), (xc, yc) = self._steps
        determinant = xr * yc - yr * xc
        east = (yc * by_col - yr * by_row) / determinant
        north = (xr * by_row - xc * by_col) / determinant
        cover = self._land_cover(wide, np.hypot(east, north))
        inner = np.s_[margin:-margin, margin:-margin]
        parcel, lane = self._parcels(window)
        dem, east, north = (np.ascontiguousarray(a[inner], np.float32) for a in (dem, east, north))
        return Terrain(window, self.pixel, dem, east, north, cover[inner], parcel, lane, known[inner])

    def _dem(self, window: Window) -> np.ndarray:
        rows, cols = self.shape
        row, col = max(0, window.row_off), max(0, window.col_off)
        height = min(rows, window.row_off + window.height) - row
        width = min(cols, window.col_off + window.width) - col
        dem = self._scene.read("DEM", Window(row, col, height, width))[..., 0]
        before = row - window.row_off, col - window.col_off
        after = window.height - height - before[0], window.width - width - before[1]
        return np.pad(dem, ((before[0], after[0]), (before[1], after[1])), mode="edge")

    def _land_cover(self, window: Window, rise: np.ndarray) -> np.ndarray:
        rise = ndimage.gaussian_filter(rise, [FLOOR_SIZE / 2 / p for p in self.pixel])
        floor = ndimage.binary_opening(rise < np.tan(np.radians(FLOOR_SLOPE)), iterations=2)
        cover = np.where(floor, FARMLAND, FOREST).astype(np.uint8)
        cover[floor & (self._town(window) > TOWN_LEVEL)] = SETTLEMENT
        return cover


def _filled(dem: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The DEM with gaps filled by the nearest pixel, so that slopes beside them are defined."""
    if known.all():
        return dem.astype(np.float32)
    if not known.any():
        return np.zeros(dem.shape, np.float32)
    nearest = ndimage.distance_transform_edt(~known, return_distances=False, return_indices=True)
    return dem[tuple(nearest)].astype(np.float32)
