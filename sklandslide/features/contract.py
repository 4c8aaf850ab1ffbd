"""Whether a scene is like what a model was fitted on: size of its pixels, bands, units, and what its values are like.

Nothing is refused here but what is beyond doubt: a lake, a desert or another season is no wrong scene,
power declared as decibels is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..composites import band_inputs, is_change
from ..exceptions import BandError
from ..geodata import Grid, Window, evenly, keeping_open, metres_at_centre, require_power
from .view import CompositeView, declared, scene_behind, units_of

# Fewer patches, or pixels spread over a scene, than these are too few to judge by.
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
    """
    x, y = metres_at_centre(grid)
    t = grid.transform
    return float(np.hypot(t.a * x, t.d * y)), float(np.hypot(t.b * x, t.e * y))


def sizes_agree(one: tuple[float, float], other: tuple[float, float], tolerance: float) -> bool:
    """Whether pixels are of one size: in the root of their area, and more loosely along each side.

    Pixels in degrees get narrower towards the poles. Of two at other latitudes the sides differ in one direction only,
    and by the square of what the root of the area differs by.
    """
    along = np.abs(np.log(np.array(one)) - np.log(np.array(other)))
    area = abs(np.log(one[0] * one[1]) - np.log(other[0] * other[1]))
    limit = np.log1p(tolerance) + 1e-6
    return bool(area / 2 <= limit and along.max() <= 2 * limit)


def size_text(size: tuple[float, float]) -> str:
    """A pixel size as a message gives it."""
    return f"{size[0]:.4g} x {size[1]:.4g} m"


def require_scene(samplers: Iterable[Any], views: Iterable[Any]) -> None:
    """Raise BandError if the pixels of a scene cannot be what fitted samplers know. Some hundred are read.

    `views` are all that the samplers may be given of the scene; a sampler is given the one with its bands.
    """
    by_bands = {tuple(view.bands): view for view in views}
    seen: dict[tuple[str, ...], np.ndarray] = {}
    with keeping_open():
        for sampler in samplers:
            bands = sampler.bands_
            for view in by_bands.values():
                if not isinstance(view, CompositeView):  # a stacker looks at the bands and units of its own
                    require_bands(bands, sampler.units_, view)
            if bands in by_bands and sampler.check_values:
                if bands not in seen:
                    seen[bands] = _spread_values(by_bands[bands])
                if len(seen[bands]) >= ENOUGH:
                    require_values(sampler, by_bands[bands], seen[bands])


def require_bands(bands: tuple[str, ...], units: tuple[str | None, ...], scene: Any) -> None:
    """Raise BandError if a scene's patches have other bands than they had, or the same in another order or units."""
    if (tuple(scene.bands), units_of(scene)) == (bands, units):
        return

    def listed(names: Any, of: Any) -> str:
        return ", ".join(name + (f" [{unit}]" if unit else "") for name, unit in zip(names, of, strict=True))

    raise BandError(
        f"The patches had the bands {listed(bands, units)}; those of this scene have "
        f"{listed(scene.bands, units_of(scene))}. Put a BandStacker before the PatchSampler: it takes bands "
        "by name, and converts units."
    )


def require_values(sampler: Any, scene: Any, values: np.ndarray) -> None:
    """Raise BandError if these values of a scene, without NaN, cannot be what the sampler was fitted on."""
    if sampler.check_values and sampler.value_quantiles_ is not None:
        require_like(sampler.bands_, sampler.units_, sampler.value_quantiles_, values, scene)


def explain_nodata(view: Any, at: np.ndarray) -> None:
    """Raise BandError if pixels, shape (n, 2), are nodata because decibels were declared as power."""
    inputs = tuple(name for band in view.bands for name in band_inputs(band))
    require_power(scene_behind(view), inputs, *np.floor(at).astype(int).T.tolist())


def _spread_values(view: Any) -> np.ndarray:
    """Values of pixels spread over a scene, shape (n, bands), without nodata: few where there is little else."""
    for blocks, side in ((4, 8), (8, 32)):  # 64 pixels of 16 blocks, or 1024 of 64 where most are nodata
        axes = zip(view.grid.shape, view.block_shape, strict=True)
        rows, cols = (_spread_along(n, block, blocks, side) for n, block in axes)
        at = np.stack([np.repeat(rows, len(cols)), np.tile(cols, len(rows))], axis=1)
        at = at[np.lexsort((at // view.block_shape).T[::-1])]  # those of one block together: it is read once
        values = np.concatenate([view.read(None, Window(row, col, 1, 1))[0] for row, col in at.tolist()])
        missing = np.isnan(values).any(axis=1)
        if missing.sum() > len(missing) / 2:
            explain_nodata(view, at[np.flatnonzero(missing)[evenly(missing.sum())]])
        if (~missing).sum() >= ENOUGH:
            break
    return values[~missing]


def _spread_along(n: int, block: int, blocks: int, side: int) -> np.ndarray:
    """About `side` of n pixels, spread over few blocks: each block is read, or fetched, as a whole."""
    of = -(-n // block)
    used = min(of, max(blocks, -(-side // block)))
    each = -(-side // used)
    first = ((np.arange(used) + 0.5) * of / used).astype(np.int64)[:, None] * block
    length = np.minimum(block, n - first)
    return np.unique(first + ((np.arange(each) + 0.5) * length / each).astype(np.int64))


def quantiles_of(values: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """The 5, 50 and 95 % quantiles of each band; of values without NaN, shape (n, bands)."""
    return tuple(zip(*np.quantile(values, _SHARES, axis=0, method="inverted_cdf").tolist(), strict=True))


def require_like(
    bands: Sequence[str],
    units: Sequence[str | None],
    quantiles: Sequence[Sequence[float]],
    values: np.ndarray,
    scene: Any,
    whose: str = "what the model was fitted on",
) -> None:
    """Raise BandError if values of a scene, without NaN, shape (n, bands), cannot be like those that are known.

    Known are the `quantiles_of` each band; `whose` says in the message what they are of.
    """
    for i, (band, unit, known) in enumerate(zip(bands, units, quantiles, strict=True)):
        reason = _contradiction(known, values[:, i], unit, is_change(band))
        if reason:
            here = quantiles_of(values[:, [i]])[0]
            suffix = f" {unit}" if unit else ""
            raise BandError(
                f"Band {band!r} is not like {whose}: nine tenths of the values there lie between {known[0]:.4g} and "
                f"{known[2]:.4g}{suffix}, and here between {here[0]:.4g} and {here[2]:.4g}{suffix} (declared here: "
                f"{declared(scene, band)}). {reason} Check that the right raster stands for this band, and in which "
                "units it is (units= of the scene). To use the scene all the same, set check_values=False on the "
                "PatchSampler: pipe.set_params(patchsampler__check_values=False)."
            )


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
