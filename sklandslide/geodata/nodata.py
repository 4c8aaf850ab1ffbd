"""Nodata that no tag, mask or NaN marks, but that cannot be a measurement of what the band is said to hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from ..exceptions import BandError
from .grid import Window
from .terrain import check_heights
from .warping import Cleaner


def cleaner(name: str, unit: str | None) -> Cleaner:
    """What marks the pixels of a band that hold no measurement: it sets them to NaN in place, and returns them all.

    - Declared ``"linear"``: power of zero or less. The border of a Sentinel-1 scene is 0, and so is what thermal noise
      removal has cut off; neither has a value in dB.
    - Declared ``"dB"``: exactly 0. It is what the same border becomes where zero was nodata of the linear image; of
      measured values hardly one in millions is 0 to the last bit.
    - Of the name ``"DEM"``: heights that no land has are refused.
    - Any other band is left as it is.
    """

    def clean(pixels: np.ndarray) -> np.ndarray:
        if unit == "linear":
            pixels[~(pixels > 0)] = np.nan
        elif unit == "dB":
            pixels[pixels == 0] = np.nan
        elif name == "DEM":
            check_heights(pixels)
        return pixels

    return clean


def require_power(scene: Any, names: Iterable[str], rows: Iterable[int], cols: Iterable[int]) -> None:
    """Raise BandError if a band that is declared as linear power is mostly below zero at these pixels.

    No power is; such values are read as nodata, so this is for scenes that have much of that.
    """
    windows = [Window(row, col, 1, 1) for row, col in zip(rows, cols, strict=True)]
    for name in sorted({name for name in names if scene.units.get(name) == "linear"}):
        bare = replace(scene, _units=())  # which reads power below zero as it is
        power = np.array([bare.read(name, window).item() for window in windows])
        known = power[np.isfinite(power)]
        if (known < 0).sum() > len(known) / 2:
            raise BandError(
                f"Band {name!r} is declared as linear power, and {(known < 0).sum()} of {len(known)} of its values are "
                f"below zero (from {known.min():.4g} to {known.max():.4g}), which no power is. If they are in dB, "
                f"declare them so: units={{{name!r}: 'dB'}}."
            )


def evenly(n: int, most: int = 64) -> np.ndarray:
    """At most so many of n rows, spread evenly from the first to the last."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
