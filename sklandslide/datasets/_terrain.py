"""Ground of the simulated scene: fractal fields, relief, land cover and farm parcels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

__all__ = ["FARMLAND", "FOREST", "SETTLEMENT", "WATER", "Terrain", "fractal_field", "make_terrain"]

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
PARCEL_SIZE = (90.0, 170.0)  # metres, two sides of a farm parcel
_PARCELS = 4096  # entries of the table from which parcels draw what grows on them


@dataclass(frozen=True)
class Terrain:
    """Relief and land cover; every array has the shape of the scene."""

    dem: np.ndarray  # metres
    east: np.ndarray  # rise per metre towards the east (columns grow)
    north: np.ndarray  # rise per metre towards the north (rows shrink)
    cover: np.ndarray  # FOREST, FARMLAND, SETTLEMENT or WATER
    parcel: np.ndarray  # index of the farm parcel, 0 to 4095
    lane: np.ndarray  # True on the lanes between farm parcels

    @property
    def slope(self) -> np.ndarray:
        """Slope in degrees."""
        return np.degrees(np.arctan(np.hypot(self.east, self.north)))

    def per_parcel(self, values: np.ndarray) -> np.ndarray:
        """One value for each parcel, from a table of 4096."""
        return values[self.parcel]

    n_parcels: int = _PARCELS


def fractal_field(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale: float,
    beta: float = 3.6,
) -> np.ndarray:
    """Gaussian random field with a power-law spectrum, float32, standard deviation 1.

    Parameters
    ----------
    rng : Generator
    shape : (int, int)
    scale : float
        Wavelength in pixels beyond which the spectrum is flat.
    beta : float
        Exponent of the power spectrum below that wavelength; 3.6 is a Hurst exponent of 0.8.
    """
    # The field is periodic: a margin keeps the opposite edges of the scene from matching.
    full = tuple(fft.next_fast_len(n + int(min(n, scale)) + 1, real=True) for n in shape)
    spectrum = fft.rfft2(rng.standard_normal(full, dtype=np.float32))
    row, col = fft.fftfreq(full[0]), fft.rfftfreq(full[1])
    power = (row[:, None] ** 2 + col[None, :] ** 2).astype(np.float32) + np.float32(scale**-2)
    spectrum *= power ** np.float32(-beta / 4)
    spectrum[0, 0] = 0
    field = fft.irfft2(spectrum, s=full)
    field /= field.std()
    return np.ascontiguousarray(field[: shape[0], : shape[1]])


def make_terrain(rng: np.random.Generator, shape: tuple[int, int], pixel_size: float) -> Terrain:
    """Make relief with the median slope of Iburi and the land cover that goes with it."""
    valley_rng, relief_rng, cover_rng = rng.spawn(3)
    # Valleys follow the zero line of a smooth field: a river can run along it and the land rises to
    # both sides, with no drainage to be computed.
    line = fractal_field(valley_rng, shape, VALLEY_SCALE / pixel_size, beta=4.4)
    height = np.abs(line)
    foot, shoulder = np.quantile(height, [VALLEY_SHARE, min(1.0, VALLEY_SHARE + 0.3)])
    hills = _smoothstep((height - foot) / max(shoulder - foot, 1e-6))
    dem = _relief(relief_rng, shape, pixel_size, height - foot, hills)
    south, east = np.gradient(dem, pixel_size)
    cover = _land_cover(cover_rng, line, hills, np.hypot(south, east), pixel_size)
    parcel, lane = _parcels(cover_rng, shape, pixel_size)
    return Terrain(dem, east, -south, cover, parcel, lane)


def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _relief(
    rng: np.random.Generator,
    shape: tuple[int, int],
    pixel_size: float,
    above_valley: np.ndarray,
    hills: np.ndarray,
) -> np.ndarray:
    """Elevation in metres: rising valley sides, dissected by gullies, flat on the valley floor."""
    gully = GULLY_SCALE / pixel_size
    # |noise| has creases where the noise is zero: gullies between rounded spurs, and smaller ones
    # that cut into the spurs.
    spurs = np.abs(fractal_field(rng, shape, gully, beta=6.0))
    ribs = np.abs(fractal_field(rng, shape, gully / 2.2, beta=6.0))
    rough = fractal_field(rng, shape, gully, beta=3.6)
    ridges = 1.2 * spurs + 0.55 * ribs * np.minimum(spurs + 0.4, 1) + 0.08 * rough
    dem = np.maximum(above_valley, 0) * 1.6 + hills * (ridges + 0.25)
    dem += 0.02 * fractal_field(rng, shape, VALLEY_SCALE / pixel_size, beta=4.4)
    dem = ndimage.gaussian_filter(dem, 18.0 / pixel_size)  # soil creep rounds what is shorter
    south, east = np.gradient(dem, pixel_size)
    dem *= np.tan(np.radians(MEDIAN_SLOPE)) / np.median(np.hypot(south, east))
    return (dem - dem.min() + 10.0).astype(np.float32)


def _land_cover(
    rng: np.random.Generator,
    line: np.ndarray,
    hills: np.ndarray,
    rise: np.ndarray,
    pixel_size: float,
) -> np.ndarray:
    """Forest on the hills; farmland, settlements, a river and lakes on the valley floor."""
    floor = (hills < 0.02) & (rise < np.tan(np.radians(6)))
    floor = ndimage.binary_opening(floor, iterations=2)
    cover = np.full(line.shape, FOREST, np.uint8)
    cover[floor] = FARMLAND
    if not floor.any():
        return cover
    town = fractal_field(rng, line.shape, 500.0 / pixel_size, beta=3.0)
    cover[floor & (town > np.quantile(town[floor], 1 - SETTLEMENT_SHARE))] = SETTLEMENT
    lake = fractal_field(rng, line.shape, 900.0 / pixel_size, beta=4.2)
    lake -= 0.3 * town
    cover[floor & (lake > np.quantile(lake[floor], 1 - LAKE_SHARE))] = WATER
    # Distance to the zero line, to first order: the field over its gradient.
    away = np.abs(line) / np.maximum(np.hypot(*np.gradient(line, pixel_size)), 1e-9)
    cover[floor & (away < RIVER_WIDTH / 2)] = WATER
    return cover


def _parcels(rng: np.random.Generator, shape: tuple[int, int], pixel_size: float) -> tuple[np.ndarray, np.ndarray]:
    """Farm parcels: two brick patterns of different bearing, each in its own districts."""
    district = fractal_field(rng, shape, 1500.0 / pixel_size, beta=4.0) > 0
    angles = rng.uniform(0, np.pi, 2)
    angle = np.where(district, angles[0], angles[1]).astype(np.float32)
    row = (np.arange(shape[0], dtype=np.float32) * np.float32(pixel_size))[:, None]
    col = (np.arange(shape[1], dtype=np.float32) * np.float32(pixel_size))[None, :]
    cos, sin = np.cos(angle), np.sin(angle)
    across = (col * cos + row * sin) / PARCEL_SIZE[0]
    strip = np.floor(across).astype(np.int64)
    shift = rng.random(_PARCELS, dtype=np.float32)[strip % _PARCELS]
    along = (row * cos - col * sin) / PARCEL_SIZE[1] + shift
    brick = np.floor(along).astype(np.int64)
    parcel = (strip * 73856093 ^ brick * 19349663 ^ district * 83492791) % _PARCELS
    lane = (across - strip < 8.0 / PARCEL_SIZE[0]) | (along - brick < 8.0 / PARCEL_SIZE[1])
    return parcel.astype(np.int16), lane
