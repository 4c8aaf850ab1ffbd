"""Ground of the simulated scene, window by window: relief, land cover and farm parcels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from ..geodata import Grid, Window, tiles
from .noise import Seeds, grow, noise_in_metres

FOREST, FARMLAND, SETTLEMENT, WATER = range(4)

# Median slope in degrees of the ground outside the Iburi landslides (AW3D30): 13.7.
MEDIAN_SLOPE = 13.7
# Share of the scene that is flat valley floor, and of that floor under lakes and under buildings.
# By eye from the Sentinel-2 image of Atsuma, Iburi; the river comes on top.
VALLEY_SHARE, LAKE_SHARE, SETTLEMENT_SHARE = 0.22, 0.10, 0.12
RIVER_WIDTH = 45.0  # metres, the Atsuma river with its banks
# Distance in metres over which the terrain stops being fractal: valleys of some kilometres, and
# gullies a few hundred metres apart, as on the DEM of Iburi (autocorrelation 0.46 at 240 m).
VALLEY_SCALE, GULLY_SCALE = 4000.0, 750.0
CREEP = 18.0  # metres; soil creep rounds what is shorter
PARCEL_SIZE = (90.0, 170.0)  # metres, two sides of a farm parcel
PARCELS = 4096  # entries of the table from which parcels draw what grows on them
FLOOR_SLOPE = 6.0  # degrees; the valley floor is flatter
_EDGE = 4  # pixels that opening the valley floor twice looks at
CELL = 1024  # pixels; a scene is made in squares of so many a side

Pixel = tuple[float, float]  # metres on the ground along a column (north to south) and along a row


@dataclass(frozen=True)
class Terrain:
    """Relief and land cover of a window; every array has the window's shape."""

    window: Window
    pixel: Pixel
    dem: np.ndarray  # metres
    east: np.ndarray  # rise per metre towards the east
    north: np.ndarray  # rise per metre towards the north
    cover: np.ndarray  # FOREST, FARMLAND, SETTLEMENT or WATER
    parcel: np.ndarray  # index of the farm parcel, 0 to PARCELS - 1
    lane: np.ndarray  # True on the lanes between farm parcels
    known: np.ndarray  # False where a real DEM has no data

    @property
    def slope(self) -> np.ndarray:
        """Slope in degrees."""
        return np.degrees(np.arctan(np.hypot(self.east, self.north)))


def samples(shape: tuple[int, int]) -> list[Window]:
    """Windows that stand for the scene where a quantile over all of it is asked for; all of a small one."""
    rows, cols = shape
    if max(rows, cols) <= CELL:
        return [Window(0, 0, rows, cols)]
    # Sixteen windows, or as many as lie side by side.
    side = 256
    return [
        Window(int(row), int(col), min(side, rows), min(side, cols))
        for row in np.linspace(0, max(0, rows - side), min(4, -(-rows // side)))
        for col in np.linspace(0, max(0, cols - side), min(4, -(-cols // side)))
    ]


def cells(shape: tuple[int, int]) -> Iterator[Window]:
    """The squares that a scene is made in."""
    return tiles(shape, CELL)


class SimulatedGround:
    """Hills, valleys and land cover with the median slope of Iburi, on a north-up grid in metres; any window."""

    def __init__(self, seeds: Seeds, grid: Grid) -> None:
        self.shape = grid.shape
        east, north = grid.pixel_extent
        self.pixel: Pixel = (north, east)
        noise = partial(noise_in_metres, pixel=self.pixel)
        relief = partial(noise, finest=CREEP / min(self.pixel))
        self._line = relief(seeds / "line", VALLEY_SCALE, 4.4)
        self._swell = relief(seeds / "swell", VALLEY_SCALE, 4.4)
        self._spurs = relief(seeds / "spurs", GULLY_SCALE, 6.0)
        self._ribs = relief(seeds / "ribs", GULLY_SCALE / 2.2, 6.0)
        self._rough = relief(seeds / "rough", GULLY_SCALE, 3.6)
        self._town = noise(seeds / "town", 500.0, 3.0)
        self._lake = noise(seeds / "lake", 900.0, 4.2)
        self._parcels = FarmParcels(seeds, self.pixel)
        self._last: tuple[Window, Terrain] | None = None
        self._measure()

    def _measure(self) -> None:
        """Find the quantiles over the scene that its parts are set by."""
        some = samples(self.shape)
        height = np.concatenate([np.abs(self._line(window)).ravel() for window in some])
        self._foot, self._shoulder = np.quantile(height, [VALLEY_SHARE, VALLEY_SHARE + 0.3])
        self._steepness, self._base = 1.0, 0.0
        relief = [self._relief(window) for window in some]
        rise = np.concatenate([np.hypot(east, north).ravel() for _, east, north in relief])
        self._steepness = float(np.tan(np.radians(MEDIAN_SLOPE)) / np.median(rise))
        self._base = 10.0 - self._steepness * min(float(dem.min()) for dem, _, _ in relief)
        floor = [self._floor(window, self._relief(grow(window, _EDGE))) for window in some]
        town = [self._town(window) for window in some]
        lake = [self._lake(window) - 0.3 * t for window, t in zip(some, town, strict=True)]
        self._town_level = _level(town, floor, SETTLEMENT_SHARE)
        self._lake_level = _level(lake, floor, LAKE_SHARE)

    def terrain(self, window: Window) -> Terrain:
        """Relief and land cover of a window, which may reach beyond the scene."""
        if self._last is None or self._last[0] != window:  # the same window is asked for several times in a row
            relief = self._relief(grow(window, _EDGE))
            cover = self._land_cover(window, self._floor(window, relief))
            parcel, lane = self._parcels(window)
            dem, east, north = (np.ascontiguousarray(field[_EDGE:-_EDGE, _EDGE:-_EDGE]) for field in relief)
            known = np.ones(cover.shape, bool)
            self._last = window, Terrain(window, self.pixel, dem, east, north, cover, parcel, lane, known)
        return self._last[1]

    def _hills(self, height: np.ndarray) -> np.ndarray:
        """0 on the valley floor, 1 on the hills."""
        return _smoothstep((height - self._foot) / max(self._shoulder - self._foot, 1e-6))

    def _relief(self, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Elevation and its rise towards east and north: valley sides dissected by gullies."""
        margin = int(np.ceil(4 * CREEP / min(self.pixel))) + 2
        wide = grow(window, margin)
        height = np.abs(self._line(wide))
        # |noise| has creases where the noise is zero: gullies between rounded spurs, and smaller ones
        # that cut into the spurs.
        spurs, ribs = np.abs(self._spurs(wide)), np.abs(self._ribs(wide))
        ridges = 1.2 * spurs + 0.55 * ribs * np.minimum(spurs + 0.4, 1) + 0.08 * self._rough(wide)
        dem = np.maximum(height - self._foot, 0) * 1.6 + self._hills(height) * (ridges + 0.25)
        dem += 0.02 * self._swell(wide)
        dem = ndimage.gaussian_filter(dem, [CREEP / p for p in self.pixel])
        dem = (self._steepness * dem + self._base).astype(np.float32)
        south, east = np.gradient(dem, *self.pixel)
        inner = np.s_[margin:-margin, margin:-margin]
        return dem[inner], east[inner], -south[inner]

    def _floor(self, window: Window, relief: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """True on the flat valley floor; the relief has an edge of `_EDGE` pixels about the window."""
        _, east, north = relief
        flat = np.hypot(east, north) < np.tan(np.radians(FLOOR_SLOPE))
        floor = flat & (self._hills(np.abs(self._line(grow(window, _EDGE)))) < 0.02)
        return ndimage.binary_opening(floor, iterations=2)[_EDGE:-_EDGE, _EDGE:-_EDGE]

    def _land_cover(self, window: Window, floor: np.ndarray) -> np.ndarray:
        """Forest on the hills; farmland, settlements, a river and lakes on the valley floor."""
        town = self._town(window)
        cover = np.full(floor.shape, FOREST, np.uint8)
        cover[floor] = FARMLAND
        cover[floor & (town > self._town_level)] = SETTLEMENT
        cover[floor & (self._lake(window) - 0.3 * town > self._lake_level)] = WATER
        # Valleys follow the zero line of a smooth field: a river can run along it and the land rises to
        # both sides, with no drainage to be computed. The distance, to first order: field over gradient.
        line = self._line(grow(window, 1))
        away = np.abs(line) / np.maximum(np.hypot(*np.gradient(line, *self.pixel)), 1e-9)
        cover[floor & (away[1:-1, 1:-1] < RIVER_WIDTH / 2)] = WATER
        return cover


class FarmParcels:
    """Farm parcels: two brick patterns of different bearing, each in its own districts."""

    def __init__(self, seeds: Seeds, pixel: Pixel) -> None:
        self._pixel = pixel
        self._district = noise_in_metres(seeds / "district", 1500.0, 4.0, pixel)
        rng = (seeds / "parcels").rng
        self._bearings, self._shifts = rng.uniform(0, np.pi, 2), rng.random(PARCELS)

    def __call__(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Index of each pixel's parcel, and where the lanes between parcels are."""
        district = self._district(window) > 0
        angle = np.where(district, self._bearings[0], self._bearings[1])
        row = (window.row_off + np.arange(window.height))[:, None] * self._pixel[0]
        col = (window.col_off + np.arange(window.width))[None, :] * self._pixel[1]
        cos, sin = np.cos(angle), np.sin(angle)
        across = (col * cos + row * sin) / PARCEL_SIZE[0]
        strip = np.floor(across).astype(np.int64)
        along = (row * cos - col * sin) / PARCEL_SIZE[1] + self._shifts[strip % PARCELS]
        brick = np.floor(along).astype(np.int64)
        parcel = (strip * 73856093 ^ brick * 19349663 ^ district * 83492791) % PARCELS
        lane = (across - strip < 8.0 / PARCEL_SIZE[0]) | (along - brick < 8.0 / PARCEL_SIZE[1])
        return parcel.astype(np.int16), lane


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _level(field: list[Any], floor: list[Any], share: float) -> float:
    """Value that so large a share of the valley floor exceeds; infinite where there is no floor."""
    values = np.concatenate([f[ground] for f, ground in zip(field, floor, strict=True)])
    return float(np.quantile(values, 1 - share)) if values.size else np.inf
