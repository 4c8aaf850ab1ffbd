"""Maps window by window: right for any fitted estimator of Locations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..grid import tiles
from ..locations import Locations
from .tiles import MapTask

__all__ = ["WindowEngine"]

# Windows handed to the estimator at once lie in a square of so many a side, or fewer where the patches are large: 4096
# patches of 25 x 25 x 3 take 31 MB.
_SQUARE = 64
_PATCH_BYTES = 64 << 20


class WindowEngine:
    """Compute tiles of a map by asking the estimator about each window.

    Each tile is a small scene in memory that the estimator samples: whatever it does with `Locations`, the map's value
    is its `predict_proba` there. It is asked about squares of one size on a lattice fixed to the scene, so that what it
    is asked does not depend on the tiles.

    Parameters
    ----------
    task : MapTask
    """

    name = "window"

    def __init__(self, task: MapTask) -> None:
        self.task = task
        bands = max([len(stacker.bands_) for stacker in task.stackers], default=3)
        self.side = _SQUARE
        while self.side > 1 and self.side**2 * task.patch_size**2 * bands * 4 > _PATCH_BYTES:
            self.side //= 2

    def tile(self, part: Any) -> np.ndarray:
        """Values of the tile that sees a part of the scene, float32, NaN where a window touches nodata."""
        task = self.task
        valid = task.valid(task.pixels(part))
        values = np.full(valid.shape, np.nan, np.float32)
        half = task.patch_size / 2
        for square in tiles(valid.shape, self.side):
            rows, cols = np.nonzero(valid[square.slices])
            if not len(rows):
                continue
            rows, cols = rows + square.row_off, cols + square.col_off
            centres = part.grid.xy(rows * task.step + half, cols * task.step + half)
            values[rows, cols] = task.estimator.predict_proba(Locations(part, centres))[:, task.column]
        return values
