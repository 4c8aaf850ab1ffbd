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

__all__ = ["cleaner", "evenly", "require_power"]


def cleaner(name: str, unit: str | None) -> Cleaner:
    """What marks the pixels of a band that hold no measurement, from its name and its declared unit.

    - ``"linear"``: power of zero or less. The border of a Sentinel-1 scene is 0, and so is what thermal noise removal
      has cut off; neither has a value in dB.
    - ``"dB"``: exactly 0. It is what the same border becomes where zero was nodata of the linear image; of measured
      values hardly one in millions is 0 to the last bit.
    - ``"DEM"``, by name: heights that no land has are refused.
    - Any other band is left as it is.

    Parameters
    ----------
    name : str
        Of the band.
    unit : str or None
        Declared unit.

    Returns
    -------
    callable
        Takes float32 pixels, sets some to NaN in place, and returns them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide.geodata.nodata import cleaner
    >>> cleaner("VV_after", "linear")(np.array([0.0, 0.02, -0.001], "float32"))
    array([ nan, 0.02,  nan], dtype=float32)
    >>> cleaner("VV_after", "dB")(np.array([0.0, -17.0, 0.1], "float32"))
    array([  nan, -17. ,   0.1], dtype=float32)
    """
    if unit == "linear":
        return _without_power
    if unit == "dB":
        return _zero
    return _heights if name == "DEM" else _as_it_is


def _without_power(pixels: np.ndarray) -> np.ndarray:
    pixels[~(pixels > 0)] = np.nan
    return pixels


def _zero(pixels: np.ndarray) -> np.ndarray:
    pixels[pixels == 0] = np.nan
    return pixels


def _heights(pixels: np.ndarray) -> np.ndarray:
    check_heights(pixels)
    return pixels


def _as_it_is(pixels: np.ndarray) -> np.ndarray:
    return pixels


def require_power(scene: Any, names: Iterable[str], rows: Iterable[int], cols: Iterable[int]) -> None:
    """Raise BandError if a band that is declared as linear power is mostly below zero, which no power is.

    Such values are read as nodata, so this is for scenes that have much of that.

    Parameters
    ----------
    scene : Scene
    names : iterable of str
        Bands of the scene.
    rows, cols : iterable of int
        Pixels to look at.

    Raises
    ------
    BandError
    """
    if not hasattr(scene, "_units"):  # a double
        return
    bare = replace(scene, _units=())  # which reads power below zero as it is
    windows = [Window(row, col, 1, 1) for row, col in zip(rows, cols, strict=True)]
    for name in sorted({name for name in names if scene.units.get(name) == "linear"}):
        power = np.array([bare.read(name, window).item() for window in windows])
        known = power[np.isfinite(power)]
        if (known < 0).sum() > len(known) / 2:
            raise BandError(
                f"Band {name!r} is declared as linear power, and {(known < 0).sum()} of {len(known)} of its values are "
                f"below zero (from {known.min():.4g} to {known.max():.4g}), which no power is. If they are in dB, "
                f"declare them so: units={{{name!r}: 'dB'}}."
            )


def evenly(n: int, most: int = 64) -> np.ndarray:
    """At most so many of n rows, spread evenly from the first to the last.

    Examples
    --------
    >>> from sklandslide.geodata.nodata import evenly
    >>> evenly(3).tolist(), evenly(100, 4).tolist()
    ([0, 1, 2], [0, 33, 66, 99])
    """
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64)) if n else np.zeros(0, np.int64)
