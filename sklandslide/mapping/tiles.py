"""What every engine needs of the scene for one tile of the map: the pixels, and which windows are valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bands import BandStacker
from ..composites import band_inputs
from ..grid import Window, origins
from ..locations import windows_without

__all__ = ["MapTask"]


@dataclass(frozen=True)
class MapTask:
    """A map to be made.

    Attributes
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

    estimator: Any
    stackers: list[BandStacker]
    scene: Any
    patch_size: int
    step: int
    column: int

    @property
    def bands(self) -> tuple[str, ...]:
        """The scene's bands that are read, checked against what the stackers were fitted on."""
        if not self.stackers:
            return tuple(self.scene.bands)
        views = [stacker.view(self.scene) for stacker in self.stackers]
        return tuple(dict.fromkeys(name for view in views for band in view.bands for name in band_inputs(band)))

    def read(self, window: Window) -> tuple[Any, np.ndarray]:
        """Read the part of the scene that a window of the map needs, once.

        Returns
        -------
        part : Scene
            In memory, with the bands in use.
        valid : ndarray of bool, shape (window.height, window.width)
            Which windows hold no nodata in any of these bands.
        """
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
        missing = np.zeros(part.grid.shape, bool)
        for view in self.views(part):
            missing |= np.isnan(view.read()).any(axis=-1)
        rows, cols = (list(origins(n, p, step)) for n in part.grid.shape)
        return part, windows_without(missing, p)[np.ix_(rows, cols)]

    def views(self, part: Any) -> list[Any]:
        """The part through each composite, or itself if there is none."""
        return [stacker.view(part) for stacker in self.stackers] or [part]
