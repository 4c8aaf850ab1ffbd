"""Optical bands of the simulated scene: red, green and blue after the event."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .noise import Seeds, noise_in_metres, white
from .terrain import FARMLAND, FOREST, SETTLEMENT, WATER, Pixel, Terrain
from .terrain import PARCELS as N_PARCELS

BANDS = ("Red", "Green", "Blue")
# Top-of-atmosphere reflectance x 10000, from the Sentinel-2 image of Atsuma after the event: haze
# is what dark ground still shows; the rest is lit by the sun. Medians there: landslides 1430, 1170,
# 1230; other ground 720, 760, 950.
HAZE = np.array([280, 430, 740], np.float32)
GROUND = {
    FOREST: (310, 260, 160),
    WATER: (130, 200, 130),
    SETTLEMENT: (520, 470, 320),
}
# Farm parcels: stubble, bare soil (as bright as many a landslide), green crops, grass, with shares.
PARCELS = ((600, 420, 260), (1000, 660, 420), (180, 400, 100), (420, 460, 200))
PARCEL_SHARES = (0.45, 0.2, 0.15, 0.2)
LANE = (620, 560, 380)
DEBRIS = (1300, 830, 530)
DEBRIS_TEXTURE = 0.25  # standard deviation against the mean: the 10-90 % range of red is 1180-1970
SUN_AZIMUTH, SUN_ELEVATION = 165.0, 36.0  # degrees, late October at 10:30
NOISE = 0.02


class Optics:
    """Reflectance x 10000 as whole numbers from 1 up, float32, of any window; nothing is nodata (0)."""

    def __init__(self, seeds: Seeds, pixel: Pixel) -> None:
        self._seeds = seeds
        self._rough = noise_in_metres(seeds / "debris", 120.0, 2.4, pixel)
        self._stand = noise_in_metres(seeds / "stand", 500.0, 2.8, pixel)  # larch, oak, clearings
        self._autumn = noise_in_metres(seeds / "autumn", 700.0, 3.0, pixel)
        rng = (seeds / "crop").rng
        crop = rng.choice(len(PARCELS), N_PARCELS, p=PARCEL_SHARES)
        tone = np.exp(0.12 * rng.standard_normal((N_PARCELS, 1)))
        self._parcels = (np.array(PARCELS)[crop] * tone).astype(np.float32)

    def bands(self, terrain: Terrain, debris: np.ndarray) -> dict[str, np.ndarray]:
        """Bands of a terrain's window; the outermost two pixels see less of their surroundings."""
        ground = self._ground(terrain)
        bare = np.clip(1 + DEBRIS_TEXTURE * self._rough(terrain.window), 0.3, None)
        light = _sunlight(terrain)
        bands = {}
        for i, name in enumerate(BANDS):
            seen = ground[i] + debris * (DEBRIS[i] * bare - ground[i])
            seen = ndimage.gaussian_filter(seen * light, 0.4, truncate=4)  # the sensor's point spread
            noise = white((self._seeds / name).key, terrain.window)
            band = HAZE[i] + seen * (1 + NOISE * noise) + 8 * noise
            bands[name] = np.clip(np.rint(band), 1, 65535).astype(np.float32)
        return bands

    def _ground(self, terrain: Terrain) -> list[np.ndarray]:
        """Reflectance of the ground without debris, one array for each band."""
        window, cover = terrain.window, terrain.cover
        crown = white((self._seeds / "crown").key, window)
        leaf = np.exp(0.14 * self._stand(window) + 0.10 * crown)
        autumn = np.clip(self._autumn(window) - 0.4, 0, 2)
        house = np.exp(0.4 * white((self._seeds / "house").key, window))
        out = []
        for i in range(len(BANDS)):
            red_leaf = 1 + (0.45, 0.1, 0.0)[i] * autumn
            field = np.where(terrain.lane, np.float32(LANE[i]), self._parcels[terrain.parcel, i])
            out.append(
                np.select(
                    [cover == FOREST, cover == FARMLAND, cover == SETTLEMENT],
                    [GROUND[FOREST][i] * leaf * red_leaf, field, GROUND[SETTLEMENT][i] * house],
                    default=np.float32(GROUND[WATER][i]),
                ).astype(np.float32)
            )
        return out


def _sunlight(terrain: Terrain) -> np.ndarray:
    """Sunlight on the slope against that on flat ground; the sky lights what the sun does not."""
    azimuth, elevation = np.radians(SUN_AZIMUTH), np.radians(SUN_ELEVATION)
    facing = -(terrain.east * np.sin(azimuth) + terrain.north * np.cos(azimuth))
    steep = np.sqrt(1 + terrain.east**2 + terrain.north**2)
    cosine = (np.cos(elevation) * facing + np.sin(elevation)) / steep / np.sin(elevation)
    return np.clip(0.3 + 0.7 * cosine, 0.2, 2.0).astype(np.float32)
