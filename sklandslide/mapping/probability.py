"""The probability raster beneath a landslide map: opening, reading and what is refused."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..exceptions import SceneReadError
from ..geodata import FileBand, Grid, Window, faults_of, open_raster
from .writer import BANDS

# A float32 softmax may exceed 1 by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, repr=False)
class ProbabilityRaster:
    """A raster of probabilities, held by its path; `sklandslide.LandslideMap` is one."""

    path: str
    grid: Grid
    patch_size: int | None
    step: int | None
    positive: str | None
    _band: FileBand
    _dissimilarity: FileBand | None = None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open a map.

        Only the header is read here; the values are checked when they are read.

        Parameters
        ----------
        path : path
            A raster of one floating-point band with probabilities, such as `SlidingWindowPredictor`
            writes, or of two where it was given an area of applicability.

        Returns
        -------
        LandslideMap

        Raises
        ------
        SceneReadError
            If the file is missing, truncated or no raster, or has several bands or whole numbers.
        SceneError
            If the file has no place on the map.
        """
        band = FileBand.open(path)
        with faults_of(band.path), open_raster(band.path) as dataset:
            two = dataset.descriptions[1:] == BANDS[1:]
            if not (dataset.count == 1 or two) or np.dtype(dataset.dtypes[0]).kind != "f":
                raise SceneReadError(
                    f"{band.path} has {dataset.count} band(s) of {dataset.dtypes[0]}; a landslide "
                    "map has one band of floating-point probabilities. Give the file that "
                    "SlidingWindowPredictor.predict_map wrote."
                )
            tags = dataset.tags()
        return cls(
            band.path,
            band.grid,
            _whole_number(tags, "SKLANDSLIDE_PATCH_SIZE", band.path),
            _whole_number(tags, "SKLANDSLIDE_STEP", band.path),
            tags.get("SKLANDSLIDE_POSITIVE"),
            band,
            FileBand.open(path, 2) if two else None,
        )

    @property
    def probability(self) -> np.ndarray:
        """Probability, float32 of shape ``grid.shape``, NaN for nodata; read each time."""
        return self.read()

    @property
    def dissimilarity(self) -> np.ndarray | None:
        """Dissimilarity over its threshold, float32 of shape ``grid.shape``, NaN for nodata; read each time.

        Above 1 a window lies outside the model's `ApplicabilityArea`. None if the map was made without one.
        """
        return None if self._dissimilarity is None else self._dissimilarity.read(Window.from_any(None, self.grid.shape))

    def read(self, window: Any = None) -> np.ndarray:
        """Read probabilities.

        Parameters
        ----------
        window : Window, rasterio.windows.Window or ((row, row), (col, col)), default=None
            Part of the map; all by default.

        Returns
        -------
        ndarray of shape (rows, cols), float32
            NaN for nodata.

        Raises
        ------
        SceneReadError
            If the file is damaged, was replaced since `open`, or holds values outside 0 to 1.
        SceneError
            If the window does not lie on the map.
        """
        window = Window.from_any(window, self.grid.shape)
        values = self._band.read(window)
        if np.isnan(values).all():
            return values
        low, high = np.nanmin(values), np.nanmax(values)
        if low < 0 or high > 1 + _ROUNDING:
            raise SceneReadError(
                f"{self.path} is no probability map: its values reach from {low:g} to {high:g}, "
                "and probabilities lie in 0 to 1. Give the file that "
                "SlidingWindowPredictor.predict_map wrote (nodata is NaN there)."
            )
        return values

    def __repr__(self) -> str:
        crs = "no CRS" if self.grid.crs is None else self.grid.crs.to_string()
        return f"<{type(self).__name__} {self.grid.shape[0]} x {self.grid.shape[1]} pixels, {crs}, {self.path}>"

    def _red(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Probability, and where it reaches the threshold; NaN never does."""
        if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
            raise ValueError(f"threshold={threshold!r} is no number. Give a probability, 0 to 1.")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} is no probability. Give a number from 0 to 1.")
        probability = self.read()
        return probability, probability >= np.float32(threshold)


def _whole_number(tags: dict[str, str], name: str, path: str) -> int | None:
    text = tags.get(name)
    if text is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise SceneReadError(
            f"{path} has the tag {name}={text[:80]!r}; it records a number of pixels, 1 or more. Make the map again."
        )
    return int(text)
