"""A scene seen through a composite, and what a scene or such a view declares of its bands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..composites import band_inputs, band_values
from ..sampling import Locations


@dataclass(frozen=True)
class CompositeView:
    """A scene seen through a composite: the same grid, other bands, radar in dB. Reads lazily."""

    scene: Any
    bands: tuple[str, ...]

    @property
    def grid(self) -> Any:
        """The scene's grid."""
        return self.scene.grid

    @property
    def files(self) -> tuple[str, ...]:
        """The scene's files."""
        return self.scene.files

    @property
    def block_shape(self) -> tuple[int, int]:
        """The blocks that the scene is stored in."""
        return self.scene.block_shape

    @property
    def units(self) -> Mapping[str, str]:
        """Units of the bands, after conversion, where they are declared."""
        return {band: "dB" for band in self.bands if band_inputs(band)[0] in self.scene.units}

    def read(self, bands: Iterable[str] | None = None, window: Any = None) -> np.ndarray:
        """Float32 pixels (rows, cols, bands), NaN for nodata, linear power converted to dB."""
        wanted = self.bands if bands is None else tuple(bands)
        names = tuple(dict.fromkeys(name for band in wanted for name in band_inputs(band)))
        pixels = self.scene.read(names, window)
        for i, name in enumerate(names):
            if self.scene.units.get(name) == "linear":
                pixels[..., i] = _decibels(pixels[..., i])
        if names == wanted:
            return pixels
        values = {name: pixels[..., i] for i, name in enumerate(names)}
        out = np.empty((*pixels.shape[:2], len(wanted)), np.float32)
        for i, band in enumerate(wanted):
            out[..., i] = band_values(band, values)
        return out


def _decibels(power: np.ndarray) -> np.ndarray:
    out = np.full(power.shape, np.nan, np.float32)
    np.log10(power, out=out, where=power > 0)
    out *= 10
    return out


def scene_behind(view: Any) -> Any:
    """The scene that a view shows; a scene is its own."""
    return view.scene if isinstance(view, CompositeView) else view


def units_of(view: Any) -> tuple[str | None, ...]:
    """Units of each band of a scene or view, None where they are not declared."""
    return tuple(view.units.get(band) for band in view.bands)


def declared(view: Any, band: str) -> str:
    """The units that the scene declares for what a band is made of, as a message gives them."""
    units = scene_behind(view).units
    return ", ".join(f"{name}: {units.get(name, 'undeclared')}" for name in band_inputs(band))


def was_checked(view: Any) -> bool:
    """Whether it shows a part of a scene that was held against the contract as a whole."""
    return getattr(scene_behind(view), "checked", False)


def require_locations(X: Any, estimator: Any) -> Locations:
    """Return X, or raise TypeError: plain coordinates do not say which scene they lie on."""
    if not isinstance(X, Locations):
        raise TypeError(
            f"{type(estimator).__name__} takes Locations, which carry their scene, not {type(X).__name__}. Make them "
            "with sample_polygons(scene, polygons, ...) or Locations(scene, xy)."
        )
    return X
