"""Maps window by window: right for any fitted estimator of Locations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bands import BandStacker
from ..composites import band_inputs
from ..grid import Window, origins
from ..locations import Locations, windows_without

__all__ = ["WindowEngine"]

# Windows handed to the estimator at once: 4096 patches of 25 x 25 x 3 take 31 MB.
_CHUNK = 4096


class WindowEngine:
    """Compute tiles of a map by asking the estimator about each window.

    For each tile the scene is read once, into a small scene in memory that the estimator then samples: whatever it
    does with `Locations`, the map's value is its `predict_proba` there.

    Parameters
    ----------
    estimator : estimator
        Fitted, taking Locations.
    stackers : list of BandStacker
        Those inside the estimator; a window is nodata where any of their bands is.
    scene : Scene
    patch_size, step : int
        In pixels.
    column : int
        Of `predict_proba`.
    """

    name = "window"

    def __init__(
        self,
        estimator: Any,
        stackers: list[BandStacker],
        scene: Any,
        patch_size: int,
        step: int,
        column: int,
    ) -> None:
        self.estimator, self.stackers, self.scene = estimator, stackers, scene
        self.patch_size, self.step, self.column = patch_size, step, column
        self.bands = self._needed_bands()

    def _needed_bands(self) -> tuple[str, ...]:
        if not self.stackers:
            return tuple(self.scene.bands)
        views = [stacker.view(self.scene) for stacker in self.stackers]  # checks bands and units
        names = [name for view in views for band in view.bands for name in band_inputs(band)]
        return tuple(dict.fromkeys(names))

    def tile(self, window: Window) -> np.ndarray:
        """Values of a window of the map, float32, NaN where a window of the scene touches nodata."""
        p, step = self.patch_size, self.step
        part = self.scene.crop(
            Window(
                window.row_off * step,
                window.col_off * step,
                (window.height - 1) * step + p,
                (window.width - 1) * step + p,
            ),
            self.bands,
        )
        valid = self._valid(part)
        rows, cols = np.nonzero(valid)
        centres = part.grid.xy(rows * step + p / 2, cols * step + p / 2)
        values = np.full(valid.shape, np.nan, np.float32)
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            probabilities = self.estimator.predict_proba(Locations(part, centres[chunk]))
            values[rows[chunk], cols[chunk]] = probabilities[:, self.column]
        return values

    def _valid(self, part: Any) -> np.ndarray:
        """Which windows of the part hold no nodata in any band that is used."""
        missing = np.zeros(part.grid.shape, bool)
        for view in [stacker.view(part) for stacker in self.stackers] or [part]:
            missing |= np.isnan(view.read()).any(axis=-1)
        every = windows_without(missing, self.patch_size)
        rows, cols = (list(origins(n, self.patch_size, self.step)) for n in part.grid.shape)
        return every[np.ix_(rows, cols)]
