"""Speckle: multiplicative, gamma-distributed, correlated in space, over the dates and between VV and VH."""

from __future__ import annotations

import numpy as np
from scipy import ndimage, stats

from ..geodata import Window
from .noise import Seeds, grow, white

# Looks of a pixel on flat ground. With the changes of weather and ground between dates, 6-8 (VV) and 4-6 (VH) are
# found in time, as measured on RTC-S1.
LOOKS = {"VV": 9.2, "VH": 6.5}
# Three taps (NEIGHBOUR, 1, NEIGHBOUR) along each axis give a lag-1 autocorrelation of 0.42 and none
# from lag 3 on; differences of dates, which hold other changes too, get 0.4-0.5 as measured.
NEIGHBOUR = 0.21
SHARED_VV_VH = 0.20  # correlation of VV and VH speckle; differences measure 0.18-0.30
# Correlation of speckle between dates: the square of the coherence over the event, 0.32. None on
# debris.
TEMPORAL = 0.32**2
LOOKS_RANGE = 0.75, 2.0  # largest and smallest number of looks against flat ground, inverted
# From normal to gamma by their distribution functions, through a table: the inverse of the gamma distribution is
# slow, and 0.01 dB between its entries is far below the speckle.
_TABLE = np.linspace(-6, 6, 1201)
_DECIBEL = {
    pol: 10 * np.log10(stats.gamma.ppf(stats.norm.cdf(_TABLE), looks, scale=1 / looks)) for pol, looks in LOOKS.items()
}


def speckle(orbit: Seeds, date: Seeds, window: Window, fresh: np.ndarray, area: np.ndarray) -> dict[str, np.ndarray]:
    """Speckle of a date in dB, of mean 1 in power on flat ground.

    `orbit` seeds what a repeated pass sees again, `date` what is new; `fresh` is the share of a pixel that debris
    changed since the first date, `area` the ground in a range cell against flat ground.
    """
    kept = np.sqrt(TEMPORAL) * (1 - fresh)
    vv, vh = (
        kept * _normal(orbit / "speckle" / pol, window) + np.sqrt(1 - kept**2) * _normal(date / "speckle" / pol, window)
        for pol in LOOKS
    )
    vh = SHARED_VV_VH * vv + np.sqrt(1 - SHARED_VV_VH**2) * vh
    # A range cell that holds more ground, on a slope facing the radar, leaves fewer looks to a pixel.
    spread = np.clip(area, *LOOKS_RANGE) ** 0.5
    return {
        pol: (spread * np.interp(normal, _TABLE, _DECIBEL[pol])).astype(np.float32)
        for pol, normal in zip(LOOKS, (vv, vh), strict=True)
    }


def _normal(seeds: Seeds, window: Window) -> np.ndarray:
    """White noise through three taps along each axis; normal, standard deviation 1."""
    taps = np.array([NEIGHBOUR, 1, NEIGHBOUR], np.float32)
    taps /= np.sqrt((taps**2).sum())
    noise = white(seeds.key, grow(window, 1))
    for axis in (0, 1):
        noise = ndimage.convolve1d(noise, taps, axis=axis, mode="constant")
    return noise[1:-1, 1:-1]
