"""Radar backscatter of the simulated scene: VV and VH before and after the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, stats

from ._terrain import FARMLAND, FOREST, SETTLEMENT, WATER, Terrain, fractal_field

__all__ = ["DATES", "radar_bands"]

DATES = ("before", "after", "after2")

# Sentinel-1, ascending, looking right (east): heading of -12 degrees. Incidence at the scene's
# centre (36 to 39 over Hokkaido) and its growth across the swath, degrees and degrees per km.
LOOK_AZIMUTH, INCIDENCE, INCIDENCE_PER_KM = 78.0, 37.5, 0.06
STEEPEST, GRAZING = 10.0, 80.0  # degrees; beyond lie layover and shadow, which are not simulated

# sigma0 in dB on flat ground at 37.5 degrees. Vegetation has medians of -7.3 (VV) and -13.2 (VH)
# over Hokkaido; speckle's median lies 0.3 dB below its mean, and hillsides lower the rest. The
# others lie where C-band usually puts them.
LEVEL = {
    "VV": {FOREST: -6.5, FARMLAND: -8.8, SETTLEMENT: -4.5, WATER: -18.0},
    "VH": {FOREST: -12.2, FARMLAND: -15.2, SETTLEMENT: -11.5, WATER: -25.0},
}
# Power of the cosine of the local incidence: a volume (forest) scatters alike in all directions, a
# rough surface falls off.
FALL_OFF = {FOREST: 1.0, FARMLAND: 1.6, SETTLEMENT: 1.0, WATER: 4.0}
# Standard deviations in dB that last over the dates: within a cover, between parcels, between
# buildings.
CANOPY, PARCEL, BUILDING = 0.7, 1.3, 3.0

# Looks of a pixel: 6-8 (VV) and 4-6 (VH) measured in time on RTC-S1.
LOOKS = {"VV": 7.8, "VH": 5.2}
# Three taps (NEIGHBOUR, 1, NEIGHBOUR) along each axis give a lag-1 autocorrelation of 0.42 and none
# from lag 3 on; differences of dates, which hold other changes too, get 0.44-0.47 (0.4-0.5
# measured).
NEIGHBOUR = 0.235
SHARED_VV_VH = 0.20  # correlation of VV and VH speckle; differences measure 0.18-0.30
# Correlation of speckle between dates: the square of the coherence over the event, 0.32. None on
# debris.
TEMPORAL = 0.32**2

# Changes between dates in dB, standard deviations: of the whole scene (rain), of districts of a few
# hundred metres (soil moisture, leaves), of farm parcels (harvest, ploughing), of water (wind).
SCENE_CHANGE, DISTRICT_CHANGE, FIELD_CHANGE = 0.15, 0.35, 1.2
WATER_CHANGE = {"VV": 0.8, "VH": 0.3}  # VH over water is mostly the noise of the instrument

# Fresh debris, from real patches: the mean of the difference hardly moves (d' about 0.3 in VV,
# either sign in VH), its spread widens (64 x 64 pixels with a landslide 2.44 dB, others 2.19 dB in
# VV; 2.77 and 2.39 in VH; here, where debris takes a tenth of such a window or more, 2.4 and 2.2,
# 2.9 and 2.7). Bare rough ground falls off faster with incidence than the forest it replaces, so
# slopes facing the radar brighten and others darken; blocks, mud and fallen trees add texture. The
# shift makes up for what the fall-off takes away over all bearings.
DEBRIS_SHIFT = {"VV": 1.0, "VH": 0.6}
DEBRIS_FALL_OFF = {"VV": 2.6, "VH": 2.0}
DEBRIS_TEXTURE = {"VV": 1.9, "VH": 2.1}  # dB, about half of it shared by VV and VH


@dataclass(frozen=True)
class _Ground:
    """What both polarisations and all dates have in common."""

    terrain: Terrain
    debris: np.ndarray
    cosine: np.ndarray  # cos(local incidence) / cos(incidence), dB
    area: np.ndarray  # ground that a pixel holds, against flat ground, dB


def radar_bands(
    rng: np.random.Generator, terrain: Terrain, debris: np.ndarray, pixel_size: float, n_dates: int
) -> dict[str, np.ndarray]:
    """Backscatter in dB, float32, for each of VV and VH and each date; nothing is nodata.

    The bands of a date do not depend on how many dates follow.
    """
    level_rng, debris_rng, *date_rngs = rng.spawn(2 + len(DATES))
    shared_speckle, *speckle_rngs = level_rng.spawn(1 + len(DATES))
    ground = _ground(terrain, debris, pixel_size)
    before = _before(level_rng, ground, pixel_size)
    after = _with_debris(debris_rng, ground, before, pixel_size)
    common = [_speckle_normal(shared_speckle, debris.shape) for _ in LOOKS]
    bands = {}
    for i, date in enumerate(DATES[:n_dates]):
        change = _change(date_rngs[i], terrain, pixel_size)
        fresh = debris if i else np.zeros_like(debris)
        noise = _speckle(speckle_rngs[i], common, fresh)
        for pol in LOOKS:
            level = after[pol] if i else before[pol]
            bands[f"{pol}_{date}"] = (level + change[pol] + noise[pol]).astype(np.float32)
    return bands


def _ground(terrain: Terrain, debris: np.ndarray, pixel_size: float) -> _Ground:
    cols = debris.shape[1]
    km = (np.arange(cols, dtype=np.float32) - cols / 2) * pixel_size / 1000
    incidence = np.radians(INCIDENCE + INCIDENCE_PER_KM * km).astype(np.float32)
    towards = np.radians(LOOK_AZIMUTH + 180)
    facing = -(terrain.east * np.sin(towards) + terrain.north * np.cos(towards))
    steep = np.sqrt(1 + terrain.east**2 + terrain.north**2)
    cosine = (np.sin(incidence) * facing + np.cos(incidence)) / steep
    cosine = np.clip(cosine, np.cos(np.radians(GRAZING)), np.cos(np.radians(STEEPEST)))
    area = np.sin(incidence) / np.sqrt(1 - cosine**2)
    decibel = [10 * np.log10(a).astype(np.float32) for a in (cosine / np.cos(incidence), area)]
    return _Ground(terrain, debris, *decibel)


def _before(rng: np.random.Generator, ground: _Ground, pixel_size: float) -> dict[str, np.ndarray]:
    """Level without speckle before the event, dB."""
    cover, shape = ground.terrain.cover, ground.terrain.cover.shape
    canopy = CANOPY * fractal_field(rng, shape, 300.0 / pixel_size, beta=2.4)
    parcels = ground.terrain.per_parcel(PARCEL * rng.standard_normal(ground.terrain.n_parcels))
    houses = BUILDING * ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 0.7)
    detail = np.select(
        [cover == FOREST, cover == FARMLAND, cover == SETTLEMENT],
        [canopy, parcels.astype(np.float32) + 0.5 * canopy, houses / 0.4 + canopy],
    )
    fall_off = _lookup(FALL_OFF, cover) * ground.cosine + ground.area
    return {pol: _lookup(LEVEL[pol], cover) + fall_off + detail for pol in LOOKS}


def _lookup(table: dict[int, float], cover: np.ndarray) -> np.ndarray:
    return np.array([table[c] for c in sorted(table)], np.float32)[cover]


def _with_debris(
    rng: np.random.Generator, ground: _Ground, before: dict[str, np.ndarray], pixel_size: float
) -> dict[str, np.ndarray]:
    """Level after the event, dB: debris takes the share of each pixel that it covers."""
    shape = ground.debris.shape
    fields = [fractal_field(rng, shape, 70.0 / pixel_size, beta=2.2) for _ in range(3)]
    after = {}
    for field, pol in zip(fields[1:], LOOKS, strict=True):
        texture = DEBRIS_TEXTURE[pol] * (fields[0] + field) / np.sqrt(2)
        fall_off = (DEBRIS_FALL_OFF[pol] - FALL_OFF[FOREST]) * ground.cosine
        change = DEBRIS_SHIFT[pol] + fall_off + texture
        after[pol] = before[pol] + ground.debris * change
    return after


def _change(rng: np.random.Generator, terrain: Terrain, pixel_size: float) -> dict[str, np.ndarray]:
    """Draw what a date differs by without any landslide, dB."""
    shape, cover = terrain.cover.shape, terrain.cover
    both = fractal_field(rng, shape, 1500.0 / pixel_size, beta=3.0)
    rain, wind = SCENE_CHANGE * rng.standard_normal(), rng.standard_normal()
    change = {}
    for pol in LOOKS:
        own = fractal_field(rng, shape, 1500.0 / pixel_size, beta=3.0)
        districts = rain + DISTRICT_CHANGE * (0.8 * both + 0.6 * own) / np.sqrt(2)
        fields = terrain.per_parcel(FIELD_CHANGE * rng.standard_normal(terrain.n_parcels))
        change[pol] = districts + np.where(cover == FARMLAND, fields, 0) / np.sqrt(2)
        change[pol] += WATER_CHANGE[pol] * wind * (cover == WATER)
    return change


def _speckle_normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """White noise through three taps along each axis; normal, standard deviation 1."""
    taps = np.array([NEIGHBOUR, 1, NEIGHBOUR], np.float32)
    taps /= np.sqrt((taps**2).sum())
    noise = rng.standard_normal(shape, dtype=np.float32)
    for axis in (0, 1):
        noise = ndimage.convolve1d(noise, taps, axis=axis, mode="wrap")
    return noise


def _speckle(rng: np.random.Generator, common: list[np.ndarray], fresh: np.ndarray) -> dict[str, np.ndarray]:
    """Multiplicative gamma speckle in dB, mean 1 in power, correlated as set above."""
    kept = np.sqrt(TEMPORAL) * (1 - fresh)
    vv, vh = (kept * old + np.sqrt(1 - kept**2) * _speckle_normal(rng, fresh.shape) for old in common)
    vh = SHARED_VV_VH * vv + np.sqrt(1 - SHARED_VV_VH**2) * vh
    # From normal to gamma by their distribution functions, through a table: the inverse of the
    # gamma distribution is slow, and 0.01 dB between its entries is far below the speckle.
    table = np.linspace(-6, 6, 1201)
    out = {}
    for (pol, looks), normal in zip(LOOKS.items(), (vv, vh), strict=True):
        gamma = stats.gamma.ppf(stats.norm.cdf(table), looks, scale=1 / looks)
        out[pol] = np.interp(normal, table, 10 * np.log10(gamma)).astype(np.float32)
    return out
