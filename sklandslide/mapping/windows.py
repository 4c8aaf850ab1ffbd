"""Maps window by window: right for any fitted estimator of Locations."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..features import cores
from ..geodata import Window, tiles
from ..network import OnnxNetwork, state_of
from ..sampling import Locations
from .applicability import features_of, relative_dissimilarity
from .estimators import own_pipeline
from .tiles import Crew, MapTask

# Windows handed to the estimator at once lie in a square of so many a side, or fewer where the patches are large: 4096
# patches of 25 x 25 x 3 take 31 MB.
_SQUARE = 64
_PATCH_BYTES = 64 << 20


class WindowEngine:
    """Compute tiles of a map by asking the estimator about each window.

    Each tile is a small scene in memory that the estimator samples: whatever it does with `Locations`, the map's value
    is its `predict_proba` there. It is asked about squares of one size on a lattice fixed to the scene, so that what it
    is asked does not depend on the tiles.

    A plain pipeline of this package's steps is short-cut: the network gets its windows from the tile directly, and runs
    in ONNX Runtime.

    `runtime` says what runs the network, if not the estimator itself.
    """

    name = "window"

    def __init__(self, task: MapTask) -> None:
        self.task = task
        bands = max([len(stacker.bands_) for stacker in task.stackers], default=3)
        self.side = _SQUARE
        while self.side > 1 and self.side**2 * task.patch_size**2 * bands * 4 > _PATCH_BYTES:
            self.side //= 2
        self._network, self.runtime = _onnx_network(task)
        self._crew = Crew(1 if self._network is None else cores())

    def tile(self, part: Any) -> np.ndarray:
        """Values of the tile that sees a part of the scene, float32, NaN where a window touches nodata.

        Shape (bands, rows, cols): probability, and dissimilarity over its threshold if the task has an area.
        """
        pixels = self.task.pixels(part)
        valid = self.task.valid(pixels)
        predict = self._by_estimator(part) if self._network is None else self._by_network(pixels[0])
        values = np.full((self.task.n_bands, *valid.shape), np.nan, np.float32)

        def fill(square: Window) -> None:
            rows, cols = np.nonzero(valid[square.slices])
            if len(rows):
                rows, cols = rows + square.row_off, cols + square.col_off
                values[:, rows, cols] = predict(rows, cols)

        self._crew.do(fill, tiles(valid.shape, self.side))
        return values

    def _by_estimator(self, part: Any) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
        task, half = self.task, self.task.patch_size / 2

        def predict(rows, cols):
            X = Locations(part, part.grid.xy(rows * task.step + half, cols * task.step + half))
            pipeline = None if task.area is None else own_pipeline(task.estimator)
            if pipeline is not None:  # one pass of the network gives both bands
                patches = pipeline[:-1].transform(X)
                return self._bands(patches, *pipeline[-1].predict_proba_and_features(patches))
            bands = [task.estimator.predict_proba(X)[:, task.column]]
            return bands if task.area is None else [*bands, task.area.dissimilarity(X) / task.area.threshold_]

        return predict

    def _by_network(self, pixels: np.ndarray) -> Callable[[np.ndarray, np.ndarray], list[np.ndarray]]:
        step, shape = self.task.step, (self.task.patch_size,) * 2
        by_band = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
        windows = sliding_window_view(by_band, shape, axis=(1, 2)).transpose(1, 2, 0, 3, 4)

        def predict(rows, cols):
            patches = windows[rows * step, cols * step]
            return self._bands(np.moveaxis(patches, 1, -1), *self._network.predict(patches))

        return predict

    def _bands(self, patches: np.ndarray, probabilities: np.ndarray, hidden: Any = None) -> list[np.ndarray]:
        """What the map's bands hold of some windows, from what the network says of them."""
        bands, area = [probabilities[:, self.task.column]], self.task.area
        if area is not None:
            features = features_of(own_pipeline(self.task.estimator), patches, hidden)
            bands.append(relative_dissimilarity(area, features))
        return bands


def _onnx_network(task: MapTask) -> tuple[Any, str | None]:
    """The network of a plain pipeline in ONNX Runtime, and what it is called; None for others."""
    pipeline = own_pipeline(task.estimator)
    if pipeline is None or tuple(pipeline[-1].patch_shape_[:2]) != (task.patch_size,) * 2:
        return None, None
    network = OnnxNetwork(state_of(pipeline[-1]), features=task.area is not None)
    return network, f"ONNX Runtime {version('onnxruntime')}"
