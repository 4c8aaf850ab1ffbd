"""What a model was fitted on, and whether a scene is like it: size of pixels, polarisation, what the values are like.

Pure functions. Nothing is refused here but what is beyond doubt: a lake, a desert or another season is no wrong scene,
power declared as decibels is one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache

import numpy as np

from ..exceptions import BandError
from ..geodata import Grid, metres_at_centre

__all__ = [
    "ENOUGH",
    "pixel_size",
    "places",
    "quantiles_of",
    "require_like",
    "say_not_recorded",
    "size_text",
    "sizes_agree",
]

_log = logging.getLogger("sklandslide")

# Patches, or pixels spread over a scene, that are looked at, and how few are too few to judge by.
MOST = 64
ENOUGH = 16
_SHARES = 0.05, 0.5, 0.95
# A share so small that it may be chance, or a few odd pixels.
_NONE = 0.02
# A band whose values differ so many times less than in training is in other units (the two sides of a decibel scale
# differ by 30 and more, metres and degrees from radians by 57, reflectance from 0..10000 by 10000).
_FLAT, _FLAT_CHANGE = 50, 20
# Levels of radar images differ by so much from product to product and from ground to ground (dB).
_LEVEL = 6.0


@lru_cache(maxsize=64)
def pixel_size(grid: Grid) -> tuple[float, float]:
    """Metres on the ground of a pixel's two sides, along a row and along a column, at the middle of the grid.

    Without a CRS a map unit counts as a metre, as it does for slope.

    Examples
    --------
    >>> from affine import Affine
    >>> from sklandslide.features.contract import pixel_size
    >>> from sklandslide.geodata.grid import Grid
    >>> pixel_size(Grid(None, Affine(8, 6, 0, 6, -8, 0), (5, 5)))  # turned
    (10.0, 10.0)
    """
    x, y = metres_at_centre(grid)
    t = grid.transform
    return float(np.hypot(t.a * x, t.d * y)), float(np.hypot(t.b * x, t.e * y))


def sizes_agree(one: tuple[float, float], other: tuple[float, float], tolerance: float) -> bool:
    """Whether pixels are of one size: in the root of their area, and more loosely along each side.

    Pixels in degrees get narrower towards the poles. Of two at other latitudes the sides differ in one direction only,
    and by the square of what the root of the area differs by.

    Parameters
    ----------
    one, other : (float, float)
        As `pixel_size` gives them.
    tolerance : float
        Share by which the larger root of an area may exceed the smaller.

    Returns
    -------
    bool

    Examples
    --------
    >>> from sklandslide.features.contract import sizes_agree
    >>> sizes_agree((10, 10), (10.4, 10.4), 0.15), sizes_agree((10, 10), (30, 30), 0.15)
    (True, False)
    >>> sizes_agree((8.2, 11.1), (10.6, 11.1), 0.15)  # the same degrees at 42 and at 18 degrees north
    True
    """
    along = np.abs(np.log(np.array(one)) - np.log(np.array(other)))
    area = abs(np.log(one[0] * one[1]) - np.log(other[0] * other[1]))
    limit = np.log1p(tolerance) + 1e-6
    return bool(area / 2 <= limit and along.max() <= 2 * limit)


def size_text(size: tuple[float, float]) -> str:
    """A pixel size as a message gives it.

    Examples
    --------
    >>> from sklandslide.features.contract import size_text
    >>> size_text((10.0004, 10.0004))
    '10 x 10 m'
    """
    return f"{size[0]:.4g} x {size[1]:.4g} m"


def places(shape: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows and columns of pixels spread over a grid: a few, and then, for scenes that are mostly nodata, more.

    Examples
    --------
    >>> from sklandslide.features.contract import places
    >>> [len(rows) for rows, cols in places((1000, 1000))]
    [64, 1024]
    """
    for side in (8, 32):
        rows, cols = (((np.arange(min(side, n)) + 0.5) * n / min(side, n)).astype(np.int64) for n in shape)
        yield np.repeat(rows, len(cols)), np.tile(cols, len(rows))


def quantiles_of(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """The 5, 50 and 95 % quantiles of each band.

    Parameters
    ----------
    values : ndarray of shape (n, bands)
        Without NaN.

    Returns
    -------
    tuple of (float, float, float)

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide.features.contract import quantiles_of
    >>> quantiles_of(np.arange(101, dtype=np.float32)[:, None])
    ((5.0, 50.0, 95.0),)
    """
    return tuple(zip(*np.quantile(values, _SHARES, axis=0, method="inverted_cdf").tolist(), strict=True))


def require_like(
    bands: Sequence[str],
    units: Sequence[str | None],
    quantiles: Sequence[Sequence[float]],
    values: np.ndarray,
    declared: Callable[[str], str],
    whose: str = "what the model was fitted on",
) -> None:
    """Raise BandError if the values of a band cannot be like those that are known.

    Parameters
    ----------
    bands : sequence of str
    units : sequence of (str or None)
        Of these bands, "dB" or None.
    quantiles : sequence of (float, float, float)
        Of the known values, as `quantiles_of` gives them.
    values : ndarray of shape (n, bands)
        Of the scene in question, without NaN.
    declared : callable
        From a band to the units that the scene declares.
    whose : str
        What the known values are, in the words of the message.

    Raises
    ------
    BandError
        That names the band, both ranges and the remedy.

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide.features.contract import require_like
    >>> heights = np.linspace(2000, 3000, 50)[:, None]
    >>> try:
    ...     require_like(["DEM"], [None], [(200, 500, 800)], heights, lambda band: "undeclared")
    ... except ValueError as error:
    ...     print(str(error)[:69])
    Band 'DEM' is not like what the model was fitted on: nine tenths of t
    """
    for i, (band, unit, known) in enumerate(zip(bands, units, quantiles, strict=True)):
        reason = _contradiction(known, values[:, i], unit, "-" in band)
        if reason:
            here = quantiles_of(values[:, [i]])[0]
            suffix = f" {unit}" if unit else ""
            raise BandError(
                f"Band {band!r} is not like {whose}: nine tenths of the values there lie between {known[0]:.4g} and "
                f"{known[2]:.4g}{suffix}, and here between {here[0]:.4g} and {here[2]:.4g}{suffix} (declared here: "
                f"{declared(band)}). {reason} Check that the right raster stands for this band, and in which units it "
                "is (units= of the scene). To use the scene all the same, set check_values=False on the PatchSampler: "
                "pipe.set_params(patchsampler__check_values=False)."
            )


@cache
def say_not_recorded(what: str) -> None:
    """Log, once, that a model was saved by a version that did not record something, which can so not be checked."""
    _log.info("The model is of a version that did not record %s; scenes are taken as they come.", what)


def _contradiction(known: Sequence[float], values: np.ndarray, unit: str | None, change: bool) -> str | None:
    """What speaks against these values, or None."""
    low, middle, high = known
    width = high - low
    spread = float(np.subtract(*np.quantile(values, [_SHARES[2], _SHARES[0]])))

    def share(at_least: float, at_most: float) -> float:
        return float(np.mean((values >= at_least) & (values <= at_most)))

    if unit == "dB" and not change:
        below = float(np.mean(values < 0))
        if middle < 0 and below < _NONE:
            return "There most are below zero and here hardly one is: this may be linear power that is declared as dB."
        if low >= 0 and below > 0.5:
            return "There hardly one is below zero and here most are: one may be linear power that is declared as dB."
    margin = max(width, _LEVEL if unit == "dB" else max(abs(low), abs(high)) / 2)
    if margin > 0 and share(low - margin, high + margin) < _NONE:
        return "Hardly one here is anywhere near those."
    if spread * _FLAT < width and share(low, high) < _NONE:
        return f"Here they differ {_times(width, spread)} from pixel to pixel."
    if unit == "dB" and change and spread * _FLAT_CHANGE < width:
        return (
            f"Here they differ {_times(width, spread)} from pixel to pixel: this may be the change of linear "
            "power that is declared as dB, or that from an image to itself."
        )
    return None


def _times(width: float, spread: float) -> str:
    return f"{width / spread:.0f} times less" if spread > 0 else "not at all"
