"""How a side-looking radar sees a slope: incidence angles, foreshortening, layover and shadow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..geodata import Window
from .terrain import Pixel

# Sentinel-1 looks right; its heading is about -12 degrees (ascending) or 192 degrees (descending), so it looks
# towards these azimuths, degrees clockwise from north.
LOOK_AZIMUTH = {"ascending": 78.0, "descending": 282.0}
# Growth of the incidence angle across the swath, degrees per km, and its range in interferometric wide swath mode.
INCIDENCE_PER_KM, SWATH = 0.06, (29.0, 46.0)
# In layover many slopes fall into one range cell; on them the illuminated area is taken as at most this
# many times that of flat ground (9 dB). The brightness is put on the slope itself and not moved towards the radar.
LARGEST_AREA = 8.0
GRAZING = 85.0  # degrees; slopes that the radar sees at a flatter angle lie in shadow


@dataclass(frozen=True)
class View:
    """A window as the radar sees it, all in dB against flat ground; arrays of the window's shape."""

    cosine: np.ndarray  # cosine of the local incidence angle
    area: np.ndarray  # ground in a range cell: foreshortening and layover, and the opposite on far slopes
    shadow: np.ndarray  # True where the radar sees nothing

    @classmethod
    def of(cls, rise: np.ndarray, across: np.ndarray, incidence: np.ndarray, smoothing: tuple[float, float]) -> View:
        """Look at slopes, whose ground rises so much per metre away from the radar, and across that along its track.

        `incidence` is the angle on flat ground in radians, `smoothing` the standard deviation in pixels of what one
        range cell mixes. With u the unit vector from the radar and n the surface normal, the local incidence angle has
        the cosine -u.n, and a range cell holds sin(theta) / cos(psi) of the ground that it holds on flat land, psi
        being the angle between n and the normal of the plane of range and track (Ulander, 1996,
        doi:10.1109/36.536527).
        """
        steep = np.sqrt(1 + rise**2 + across**2)
        cosine = (rise * np.sin(incidence) + np.cos(incidence)) / steep
        tilt = (np.sin(incidence) - rise * np.cos(incidence)) / steep
        shadow = cosine < np.cos(np.radians(GRAZING))
        area = np.sin(incidence) / np.maximum(np.abs(tilt), np.sin(incidence) / LARGEST_AREA)
        area = np.where(tilt < 0, LARGEST_AREA, area)  # layover
        area = ndimage.gaussian_filter(area, smoothing)
        cosine = np.maximum(cosine, np.cos(np.radians(GRAZING))) / np.cos(incidence)
        return cls(_decibel(cosine), _decibel(area), shadow)


def _decibel(power: np.ndarray) -> np.ndarray:
    return (10 * np.log10(power)).astype(np.float32)


def incidence_angle(
    window: Window, shape: tuple[int, int], pixel: Pixel, azimuth: float, at_centre: float
) -> np.ndarray:
    """Incidence angle on flat ground, radians, float32: it grows away from the radar."""
    rows, cols = shape
    north = -(window.row_off + np.arange(window.height) + 0.5 - rows / 2)[:, None] * pixel[0]
    east = (window.col_off + np.arange(window.width) + 0.5 - cols / 2)[None, :] * pixel[1]
    away = (east * np.sin(np.radians(azimuth)) + north * np.cos(np.radians(azimuth))) / 1000
    low, high = min(SWATH[0], at_centre), max(SWATH[1], at_centre)
    return np.radians(np.clip(at_centre + INCIDENCE_PER_KM * away, low, high)).astype(np.float32)
