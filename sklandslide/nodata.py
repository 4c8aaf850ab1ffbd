"""Nodata that no tag, mask or NaN marks, but that cannot be a measurement of what the band is said to hold."""

from __future__ import annotations

import numpy as np

from .terrain import check_heights
from .warping import Cleaner

__all__ = ["cleaner"]


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
    >>> from sklandslide.nodata import cleaner
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
