"""Maps window by window: right for any fitted estimator of Locations."""

from __future__ import annotations

import numpy as np

from ..grid import Window
from ..locations import Locations
from .tiles import MapTask

__all__ = ["WindowEngine"]

# Windows handed to the estimator at once: 4096 patches of 25 x 25 x 3 take 31 MB.
_CHUNK = 4096


class WindowEngine:
    """Compute tiles of a map by asking the estimator about each window.

    For each tile the scene is read once, into a small scene in memory that the estimator then samples: whatever it
    does with `Locations`, the map's value is its `predict_proba` there.

    Parameters
    ----------
    task : MapTask
    """

    name = "window"

    def __init__(self, task: MapTask) -> None:
        self.task = task

    def tile(self, window: Window) -> np.ndarray:
        """Values of a window of the map, float32, NaN where a window of the scene touches nodata."""
        task = self.task
        part, valid = task.read(window)
        rows, cols = np.nonzero(valid)
        half = task.patch_size / 2
        centres = part.grid.xy(rows * task.step + half, cols * task.step + half)
        values = np.full(valid.shape, np.nan, np.float32)
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            probabilities = task.estimator.predict_proba(Locations(part, centres[chunk]))
            values[rows[chunk], cols[chunk]] = probabilities[:, task.column]
        return values
