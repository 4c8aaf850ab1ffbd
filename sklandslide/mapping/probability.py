"""The probability raster beneath a landslide map: opening, reading and what is refused."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..exceptions import SceneReadError
from ..geodata import FileBand, Grid, Window, beside, faults_of, lazy_dataset, open_raster, read_inventory
from .writer import BANDS

if TYPE_CHECKING:
    import xarray

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
    threshold: float | None
    _band: FileBand
    _dissimilarity: FileBand | None = None
    _extent: bytes | None = None  # WKB, in the map's CRS

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
            _probability(tags, "SKLANDSLIDE_THRESHOLD", band.path),
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
        return None if self._dissimilarity is None else self._values(self._dissimilarity, None)

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
        values = self._values(self._band, window)
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

    def to_xarray(self) -> xarray.Dataset:
        """Give the map as an xarray Dataset that is read when it is computed, in chunks of dask.

        Returns
        -------
        xarray.Dataset
            The float32 variable ``probability`` of dimensions y and x, NaN for nodata; ``dissimilarity`` where the map
            has it. What the map says of itself (``patch_size``, ``step``, ``positive``, ``threshold``) is in ``attrs``,
            the CRS and the geotransform in the coordinate ``spatial_ref``, as rioxarray and odc-geo have it.

        Raises
        ------
        MissingPackageError
            If the extra ``xarray`` is not installed.
        """
        reads: dict[str, Any] = {"probability": self.read}
        if self._dissimilarity is not None:
            reads["dissimilarity"] = partial(self._values, self._dissimilarity)
        token = sha256(repr((self._band.identity, self._extent)).encode()).hexdigest()
        data = lazy_dataset(reads, self.grid, self._band.block_shape, token)
        said = {name: getattr(self, name) for name in ("patch_size", "step", "positive", "threshold")}
        return data.assign_attrs({name: value for name, value in said.items() if value is not None})

    def within(self, extent: Any, *, layer: str | None = None) -> Self:
        """Restrict the map to a part of its ground: held-out ground, or that where an inventory is complete.

        Parameters
        ----------
        extent : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            Polygons. A pixel whose centre lies in none of them is nodata in all that is asked of the result, scores,
            curves and objects.
        layer : str or None, default=None
            Layer of a file that has several.

        Returns
        -------
        LandslideMap
            Of the same file and grid.

        Raises
        ------
        InventoryError
            If there is no polygon, or it cannot be used.
        SceneReadError
            If the file cannot be read.
        """
        import shapely

        read = read_inventory(extent, self.grid.crs, layer=layer, class_column=None, id_column=None)
        return replace(self, _extent=shapely.to_wkb(shapely.union_all(beside(read.geometries, self.grid))))

    def _preview(self, side: int) -> tuple[np.ndarray, Grid]:
        """Probability averaged to at most so many pixels a side, from overviews where there are, and its grid."""
        import shapely
        from affine import Affine
        from rasterio.enums import Resampling
        from rasterio.features import geometry_mask

        rows, cols = self.grid.shape
        factor = max(1, -(-max(rows, cols) // side))
        shape = -(-rows // factor), -(-cols // factor)
        with faults_of(self.path), open_raster(self.path) as dataset:
            read = dataset.read(1, out_shape=shape, masked=True, resampling=Resampling.average)
        t, x, y = self.grid.transform, cols / shape[1], rows / shape[0]
        grid = Grid(self.grid.crs, Affine(x * t.a, y * t.b, t.c, x * t.d, y * t.e, t.f), shape)
        values = read.filled(np.nan)
        if self._extent is not None:
            values[geometry_mask([shapely.from_wkb(self._extent)], shape, grid.transform)] = np.nan
        return values, grid

    def _values(self, band: FileBand, window: Any) -> np.ndarray:
        """Values of a band, NaN outside the ground that the map is restricted to."""
        import shapely
        from rasterio.features import geometry_mask

        window = Window.from_any(window, self.grid.shape)
        values = band.read(window)
        if self._extent is not None:
            part = self.grid.crop(window)
            values[geometry_mask([shapely.from_wkb(self._extent)], part.shape, part.transform)] = np.nan
        return values

    def __repr__(self) -> str:
        crs = "no CRS" if self.grid.crs is None else self.grid.crs.to_string()
        return f"<{type(self).__name__} {self.grid.shape[0]} x {self.grid.shape[1]} pixels, {crs}, {self.path}>"

    def _limit(self, threshold: float | None) -> float:
        """A threshold, checked; where none is given the map's own, or 0.5."""
        if threshold is None:
            return 0.5 if self.threshold is None else self.threshold
        if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
            raise ValueError(f"threshold={threshold!r} is no number. Give a probability, 0 to 1.")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} is no probability. Give a number from 0 to 1.")
        return float(threshold)

    def _red(self, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
        """Probability, and where it reaches the threshold; NaN never does."""
        limit = np.float32(self._limit(threshold))
        probability = self.read()
        return probability, probability >= limit


def _whole_number(tags: dict[str, str], name: str, path: str) -> int | None:
    text = tags.get(name)
    if text is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise SceneReadError(
            f"{path} has the tag {name}={text[:80]!r}; it records a number of pixels, 1 or more. Make the map again."
        )
    return int(text)


def _probability(tags: dict[str, str], name: str, path: str) -> float | None:
    text = tags.get(name)
    if text is None:
        return None
    with suppress(ValueError):
        if 0 <= float(text) <= 1:
            return float(text)
    raise SceneReadError(
        f"{path} has the tag {name}={text[:80]!r}; it records a probability, 0 to 1. Make the map again."
    )
