"""Radar backscatter of the simulated scene: VV and VH on each date, by land cover, slope and weather."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from .noise import Noise, Seeds, noise_in_metres, white
from .speckle import speckle
from .terrain import FARMLAND, FOREST, PARCELS, SETTLEMENT, WATER, Pixel, Terrain
from .viewing import LOOK_AZIMUTH, View, incidence_angle

MARGIN = 6  # pixels about a window that its backscatter depends on

# sigma0 in dB on flat ground at 37.5 degrees. Vegetation has medians of -7.3 (VV) and -13.2 (VH)
# over Hokkaido; speckle's median lies 0.3 dB below its mean, and hillsides lower the rest. The
# others lie where C-band usually puts them.
LEVEL = {
    "VV": {FOREST: -6.5, FARMLAND: -8.8, SETTLEMENT: -4.5, WATER: -18.0},
    "VH": {FOREST: -12.3, FARMLAND: -15.2, SETTLEMENT: -11.5, WATER: -27.0},
}
# Power of the cosine of the local incidence: a volume (forest) scatters alike in all directions, a
# rough surface falls off.
FALL_OFF = {FOREST: 1.0, FARMLAND: 1.6, SETTLEMENT: 1.0, WATER: 4.0}
NOISE_FLOOR = -25.0  # dB, what the instrument adds itself; Sentinel-1's lies at -22 or below
# Standard deviations in dB that last over the dates: within a cover, between parcels, between
# buildings.
CANOPY, PARCEL, BUILDING = 0.7, 1.3, 3.0

# Changes between dates in dB, standard deviations: of the whole scene (rain, snow), of districts of a few
# hundred metres (soil moisture, leaves), of farm parcels (harvest, ploughing), of water (wind).
SCENE_CHANGE, DISTRICT_CHANGE, FIELD_CHANGE = 0.8, 0.35, 1.2
# Patches of some tens of metres that change by themselves (leaves, wet snow, felling): median over the scene of their
# standard deviation in dB, and the spread of its logarithm from district to district. Spreads inside real patches
# without landslides differ from patch to patch by about as much.
PATCHY, PATCHINESS = 0.45, 0.6
WATER_CHANGE = {"VV": 0.8, "VH": 0.3}  # VH over water is mostly the noise of the instrument

# Fresh debris. It strips the forest: the surface drops by the height at which C-band sees the canopy, so that edges
# facing the radar brighten and edges behind trees darken; hummocks, blocks and gullies roughen it (metres); bare
# rough ground falls off faster with incidence than the forest it replaces, so slopes facing the radar brighten and
# others darken; mud, rock and fallen trees lie in patches (texture, dB). The shift makes up for what the fall-off
# takes away over all bearings: real patch means hardly move (d' about 0.3 in VV). All of it together is set by spread
# and kurtosis of real patches, a mixture in which landslides have 1.4 (VV) and 1.55 (VH) times the spread of the rest.
CANOPY_HEIGHT = 4.0
HUMMOCKS, HUMMOCK_SIZE = 2.0, 80.0
DEBRIS_SHIFT = {"VV": 0.4, "VH": 0.0}
DEBRIS_FALL_OFF = {"VV": 2.4, "VH": 2.0}
DEBRIS_TEXTURE = {"VV": 1.3, "VH": 2.5}
STRENGTH, STRENGTH_SIZE = 0.9, 250.0  # spread of the logarithm of both from one slide to the next, and metres
WETNESS = 0.4  # dB, standard deviation from event to event


@dataclass(frozen=True)
class Orbit:
    """What one orbit sees of a ground and of an event on it."""

    name: str  # "ascending" or "descending"
    incidence: float  # on flat ground at the middle of the scene, degrees
    flattened: bool  # whether bands are gamma0, radiometrically terrain-corrected, instead of sigma0 on the ellipsoid
    shape: tuple[int, int]  # of the scene
    pixel: Pixel
    ground: Seeds  # what lasts
    event: Seeds  # what belongs to the event

    def _noise(self, seeds: Seeds, metres: float, beta: float) -> Noise:
        return noise_in_metres(seeds, metres, beta, self.pixel)

    @cached_property
    def _hummocks(self) -> Noise:
        return self._noise(self.event / "hummocks", HUMMOCK_SIZE, 3.2)

    @cached_property
    def _textures(self) -> list[Noise]:
        return [self._noise(self.event / "texture" / i, 70.0, 2.2) for i in range(3)]

    @cached_property
    def _strengths(self) -> Noise:
        return self._noise(self.event / "strength", STRENGTH_SIZE, 4.0)

    @cached_property
    def _patchiness(self) -> Noise:
        return self._noise(self.ground / "patchiness", 1200.0, 3.6)

    @cached_property
    def _canopy(self) -> Noise:
        return self._noise(self.ground / "canopy", 300.0, 2.4)

    @cached_property
    def _parcels(self) -> np.ndarray:
        return PARCEL * (self.ground / "crops").rng.standard_normal(PARCELS).astype(np.float32)

    def bands(self, terrain: Terrain, debris: np.ndarray, dates: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Backscatter in dB, float32, of VV and VH on each date; debris lies there on those after the event.

        The bands of a date do not depend on how many dates follow. The outermost `MARGIN` pixels are not right.
        """
        incidence = incidence_angle(terrain.window, self.shape, self.pixel, LOOK_AZIMUTH[self.name], self.incidence)
        detail = self._detail(terrain)
        strength = self._strength(terrain)
        view = self._view(terrain, incidence)
        area = 10 ** (view.area / 10)
        before = self._level(terrain, incidence, view, detail)
        view = self._view(terrain, incidence, self._new_surface(terrain, debris, strength))
        change = self._debris(view, terrain, strength)
        after = self._level(terrain, incidence, view, detail, {pol: debris * change[pol] for pol in LEVEL})
        bands = {}
        for date in dates:
            seeds = self.event / self.name / date
            weather = self._change(seeds, terrain)
            changed = not date.startswith("before")
            fresh = debris if changed else np.zeros_like(debris)
            noise = speckle(self.event / self.name, seeds, terrain.window, fresh, area)
            for pol, level in (after if changed else before).items():
                power = 10 ** ((level + weather[pol]) / 10) + 10 ** (NOISE_FLOOR / 10)
                bands[f"{pol}_{date}"] = (10 * np.log10(power) + noise[pol]).astype(np.float32)
        return bands

    def _level(
        self,
        terrain: Terrain,
        incidence: np.ndarray,
        view: View,
        detail: np.ndarray,
        change: dict[str, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Level without speckle, dB, with what debris changes."""
        fall_off = _lookup(FALL_OFF, terrain.cover)
        # sigma0 of the slope itself, seen in a range cell; gamma0 takes the cosine and the cell's area away again.
        seen = -view.cosine if self.flattened else view.area
        flat = -10 * np.log10(np.cos(incidence)) if self.flattened else 0.0
        out = {}
        for pol, levels in LEVEL.items():
            level = _lookup(levels, terrain.cover) + detail + fall_off * view.cosine
            level = level + (change[pol] if change else 0.0) + seen + flat
            out[pol] = np.where(view.shadow, NOISE_FLOOR - 10.0, level)
        return out

    def _new_surface(self, terrain: Terrain, debris: np.ndarray, strength: np.ndarray) -> np.ndarray:
        """Metres by which debris raises or lowers what the radar sees."""
        trees = CANOPY_HEIGHT * (terrain.cover == FOREST)
        surface = debris * (HUMMOCKS * strength * self._hummocks(terrain.window) - trees)
        return ndimage.gaussian_filter(surface.astype(np.float32), [8.0 / p for p in self.pixel])

    def _view(self, terrain: Terrain, incidence: np.ndarray, surface: np.ndarray | None = None) -> View:
        east, north = terrain.east, terrain.north
        if surface is not None:
            south, eastwards = np.gradient(surface, *self.pixel)
            east, north = east + eastwards, north - south
        azimuth = np.radians(LOOK_AZIMUTH[self.name])
        away = east * np.sin(azimuth) + north * np.cos(azimuth)
        along = east * np.cos(azimuth) - north * np.sin(azimuth)
        rows, cols = (7.0 / p for p in self.pixel)
        return View.of(away, along, incidence, (rows, cols))

    def _strength(self, terrain: Terrain) -> np.ndarray:
        """How much a landslide here roughens the ground; 1 on average."""
        return np.exp(STRENGTH * self._strengths(terrain.window) - STRENGTH**2 / 2)

    def _detail(self, terrain: Terrain) -> np.ndarray:
        """What makes one stand, parcel or house brighter than another, dB; it lasts."""
        window, cover = terrain.window, terrain.cover
        canopy = CANOPY * self._canopy(window)
        houses = BUILDING * ndimage.gaussian_filter(white((self.ground / "houses").key, window), 0.7) / 0.4
        return np.select(
            [cover == FOREST, cover == FARMLAND, cover == SETTLEMENT],
            [canopy, self._parcels[terrain.parcel] + 0.5 * canopy, houses + canopy],
        ).astype(np.float32)

    def _debris(self, view: View, terrain: Terrain, strength: np.ndarray) -> dict[str, np.ndarray]:
        """Change of level where a pixel is all debris, dB, besides that of its slopes."""
        shared, *own = (texture(terrain.window) for texture in self._textures)
        wet = WETNESS * (self.event / "wetness").rng.standard_normal()
        change = {}
        for pol, field in zip(LEVEL, own, strict=True):
            texture = DEBRIS_TEXTURE[pol] * strength * (shared + field) / np.sqrt(2)
            fall_off = DEBRIS_FALL_OFF[pol] - FALL_OFF[FOREST]
            change[pol] = DEBRIS_SHIFT[pol] + wet + fall_off * view.cosine + texture
        return change

    def _change(self, date: Seeds, terrain: Terrain) -> dict[str, np.ndarray]:
        """Draw what a date differs by without any landslide, dB."""
        window, cover = terrain.window, terrain.cover
        both = self._noise(date / "district", 1500.0, 3.0)(window)
        patches = self._noise(date / "patches", 60.0, 2.2)(window)
        # Two dates differ by both of their patches.
        patchy = PATCHY / np.sqrt(2) * np.exp(PATCHINESS * self._patchiness(window)) * (cover != WATER)
        rng = (date / "weather").rng
        rain, wind = SCENE_CHANGE * rng.standard_normal(), rng.standard_normal()
        change = {}
        for pol in LEVEL:
            own = self._noise(date / "district" / pol, 1500.0, 3.0)(window)
            fields = FIELD_CHANGE * (date / "fields" / pol).rng.standard_normal(PARCELS).astype(np.float32)
            change[pol] = (
                rain
                + DISTRICT_CHANGE * (0.8 * both + 0.6 * own) / np.sqrt(2)
                + np.where(cover == FARMLAND, fields[terrain.parcel], 0) / np.sqrt(2)
                + patchy * (0.7 * patches + 0.7 * self._noise(date / "patches" / pol, 60.0, 2.2)(window))
                + WATER_CHANGE[pol] * wind * (cover == WATER)
            )
        return change


def _lookup(table: dict[int, float], cover: np.ndarray) -> np.ndarray:
    return np.array([table[c] for c in sorted(table)], np.float32)[cover]
