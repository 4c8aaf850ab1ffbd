"""The landslide map: a probability raster, and what people do with it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from ..exceptions import SceneReadError
from ..grid import Grid, Window
from ..metrics import map_scores
from ..raster import FileBand
from . import vectors
from .writer import check_complete

if TYPE_CHECKING:
    import geopandas
    from matplotlib.axes import Axes

__all__ = ["LandslideMap"]

# A float32 softmax may exceed 1 by rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True, repr=False)
class LandslideMap:
    """A map of landslide probability, as `SlidingWindowPredictor.predict_map` writes it.

    Made with `open`. An immutable value that holds a path and a grid but neither pixels nor an open
    file; it can be pickled. Every method reads the raster anew, and refuses if the file was
    replaced since it was opened.

    Attributes
    ----------
    path : str
        Absolute path of the raster.
    grid : Grid
        The map's grid. Each map pixel stands for one window of the scene and their centres
        coincide.
    patch_size, step : int or None
        Length of the window and distance between windows, in pixels of the scene; None if not
        recorded.
    positive : str or None
        The class whose probability this is; None if not recorded.

    References
    ----------
    Nava et al. (2021), section 3.3 and Figure 2.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np, rasterio
    >>> from affine import Affine
    >>> from sklandslide.mapping.landslide_map import LandslideMap
    >>> path = os.path.join(tempfile.mkdtemp(), "map.tif")
    >>> with rasterio.open(
    ...     path, "w", driver="GTiff", width=3, height=2, count=1, dtype="float32", nodata=np.nan,
    ...     crs="EPSG:32654", transform=Affine(20, 0, 500000, 0, -20, 4700040),
    ... ) as dataset:
    ...     dataset.write(np.array([[0.9, 0.7, 0.1], [0.2, np.nan, 0.5]], "float32"), 1)
    >>> m = LandslideMap.open(path)
    >>> m.grid.shape
    (2, 3)
    >>> m.points(0.5).geometry.x.tolist()
    [500010.0, 500030.0, 500050.0]
    >>> m.polygons(0.5)["area_m2"].round(-1).tolist()
    [800.0, 400.0]
    """

    path: str
    grid: Grid
    patch_size: int | None
    step: int | None
    positive: str | None
    _band: FileBand

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> LandslideMap:
        """Open a map.

        Only the header is read here; the values are checked when they are read.

        Parameters
        ----------
        path : path
            A raster of one floating-point band with probabilities, such as `SlidingWindowPredictor`
            writes.

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
        with rasterio.open(band.path) as dataset:
            if dataset.count != 1 or np.dtype(dataset.dtypes[0]).kind != "f":
                raise SceneReadError(
                    f"{band.path} has {dataset.count} band(s) of {dataset.dtypes[0]}; a landslide "
                    "map has one band of floating-point probabilities. Give the file that "
                    "SlidingWindowPredictor.predict_map wrote."
                )
            check_complete(dataset, band.stamp[0])
            tags = dataset.tags()
        return cls(
            band.path,
            band.grid,
            _whole_number(tags, "SKLANDSLIDE_PATCH_SIZE", band.path),
            _whole_number(tags, "SKLANDSLIDE_STEP", band.path),
            tags.get("SKLANDSLIDE_POSITIVE"),
            band,
        )

    @property
    def probability(self) -> np.ndarray:
        """Probability, float32 of shape ``grid.shape``, NaN for nodata; read each time."""
        return self.read()

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
        if FileBand.open(self.path).stamp != self._band.stamp:
            raise SceneReadError(
                f"{self.path} was changed after it was opened. Call LandslideMap.open again, so "
                "that old and new pixels are not mixed."
            )
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

    def points(self, threshold: float = 0.5) -> geopandas.GeoDataFrame:
        """Give the paper's red points: centres of the windows predicted as landslide.

        Parameters
        ----------
        threshold : float, default=0.5
            Windows with at least this probability are predicted as landslide; 0 to 1. It is
            compared in float32, as the map is stored.

        Returns
        -------
        geopandas.GeoDataFrame
            Column ``probability`` and points in the map's CRS, row by row from the map's first
            pixel.

        Raises
        ------
        ValueError
            If the threshold is not a number from 0 to 1.
        SceneReadError
            As in `read`.
        """
        return vectors.red_points(self.grid, *self._red(threshold))

    def polygons(self, threshold: float = 0.5) -> geopandas.GeoDataFrame:
        """Join the pixels predicted as landslide to connected areas.

        Parameters
        ----------
        threshold : float, default=0.5
            As in `points`.

        Returns
        -------
        geopandas.GeoDataFrame
            A polygon for each area, in the map's CRS, with columns ``id`` (1 to n, in the order of
            the first pixel), ``probability`` (mean over the pixels) and ``area_m2`` (square metres
            on the ground, in a geographic or any other CRS; without a CRS, map units are taken as
            metres).

        Raises
        ------
        ValueError, SceneReadError
            As in `points`.

        Notes
        -----
        Pixels that share an edge are connected; pixels that share only a corner are not, as their
        union would not be a valid polygon.
        """
        return vectors.red_polygons(self.grid, *self._red(threshold))

    def score(
        self,
        inventory: Any,
        *,
        threshold: float = 0.5,
        class_column: str | None = "class",
        positive: Any = "landslide",
    ) -> dict[str, float]:
        """Compare the map with an inventory of landslides.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            Polygons of all landslides on the map.
        threshold : float, default=0.5
            As in `points`.
        class_column : str or None, default="class"
            Column that holds the class; None takes every polygon as a landslide.
        positive : object, default="landslide"
            The class that is landslide; other polygons count as ground without landslide.

        Returns
        -------
        dict of str to float
            ``precision``, share of the red points that lie on a landslide, tp / (tp + fp);
            ``recall``, share of the landslides' pixels that are red, tp / (tp + fn); ``accuracy``,
            (tp + tn) / (tp + fp + tn + fn); ``f1``, 2 tp / (2 tp + fp + fn); ``hit_rate``, share of
            landslides with at least one red point, n_hit / n_landslides; ``false_alarms_per_km2``,
            connected red areas without a pixel on a landslide per square kilometre of valid map,
            n_false_alarms / valid_km2; the counts ``n_points`` (red points), ``n_landslides`` (on
            the valid map), ``n_hit``, ``n_outside`` (landslides off the valid map, counted nowhere
            else), ``n_false_alarms``, ``tp``, ``fp``, ``fn`` and ``tn`` (pixels), and
            ``valid_km2``. A share of nothing (0 / 0) is NaN.

        Raises
        ------
        InventoryError, SceneReadError
            As in `sklandslide.inventory.read_inventory`.
        ValueError
            If the threshold is not a number from 0 to 1.

        Notes
        -----
        A pixel lies on a landslide if its centre does. A landslide too small to hold a centre is
        given the one pixel that holds its representative point, so that it can be found. Nodata
        pixels count nowhere.

        Where windows overlap, pixels are not independent, and a landslide seen at a window's edge
        makes red points off it: ``precision`` is lower than on a test set of patches as in the
        paper's Table 3.

        References
        ----------
        Nava et al. (2021), equations (4) to (6) for accuracy, precision and recall.
        """
        probability, red = self._red(threshold)
        geometries = self._landslides(inventory, class_column, positive)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        valid = ~np.isnan(probability)
        valid_km2 = vectors.ground_area(self.grid, valid, 1)[1] / 1e6
        return map_scores(pixels, owners, len(geometries), predicted=red, valid=valid, valid_km2=valid_km2)

    def to_gpkg(
        self,
        path: str | os.PathLike[str],
        *,
        threshold: float = 0.5,
        inventory: Any = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
        overwrite: bool = False,
    ) -> Path:
        """Write a GeoPackage with the layers ``points`` and ``polygons``.

        The file appears complete or not at all.

        Parameters
        ----------
        path : path
            Output, ending in ``.gpkg``.
        threshold : float, default=0.5
            As in `points`.
        inventory, class_column, positive
            As in `score`. If given, its landslides are written as a third layer, ``inventory``.
        overwrite : bool, default=False
            Whether to replace an existing file.

        Returns
        -------
        pathlib.Path
            `path`.

        Raises
        ------
        OutputExistsError
            If the file exists and `overwrite` is False.
        FileNotFoundError
            If the folder does not exist.
        ValueError
            If `path` does not end in ``.gpkg``, or as in `points`.
        InventoryError, SceneReadError
            As in `score`.
        """
        import geopandas

        vectors.check_gpkg(Path(path), overwrite)
        layers = {
            "points": (self.points(threshold), "Point"),
            "polygons": (self.polygons(threshold), "Polygon"),
        }
        if inventory is not None:
            geometries = self._landslides(inventory, class_column, positive)
            frame = geopandas.GeoDataFrame(
                {"id": np.arange(1, len(geometries) + 1)},
                geometry=list(geometries),
                crs=vectors.crs_text(self.grid),
            )
            layers["inventory"] = frame, "MultiPolygon"
        return vectors.write_gpkg(path, layers, overwrite)

    def plot(
        self,
        *,
        background: Any = None,
        inventory: Any = None,
        threshold: float = 0.5,
        class_column: str | None = "class",
        positive: Any = "landslide",
        ax: Axes | None = None,
        **options: Any,
    ) -> Axes:
        """Draw the map as in the paper's Figure 2: red points and yellow inventory on an image.

        Parameters
        ----------
        background : Scene, (Scene, bands) or None, default=None
            The image beneath, in the map's CRS: for a scene its Red, Green and Blue, else the
            hillshade of its DEM, else its first band; for a pair the bands or composite named, one
            or three; for None the probability itself in grey.
        inventory, class_column, positive
            As in `score`; the landslides are outlined.
        threshold : float, default=0.5
            As in `points`.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        **options
            Passed to `sklandslide.plotting.plot_map`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        SceneError, BandError
            If the background does not show the map's ground, or has no such bands.
        InventoryError, SceneReadError, ValueError
            As in `score`.
        """
        from ..plotting import plot_map

        outlines = () if inventory is None else self._landslides(inventory, class_column, positive)
        probability, red = self._red(threshold)
        # Half a window beyond the first and last centres: all the ground that the map saw.
        margin = 0.0
        if self.patch_size and self.step:
            margin = max(0.0, (self.patch_size / self.step - 1) / 2)
        options = {"margin": margin, "threshold": threshold, **options}
        return plot_map(self.grid, probability, red, background=background, outlines=outlines, ax=ax, **options)

    def __repr__(self) -> str:
        crs = "no CRS" if self.grid.crs is None else self.grid.crs.to_string()
        return f"<LandslideMap {self.grid.shape[0]} x {self.grid.shape[1]} pixels, {crs}, {self.path}>"

    def _red(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Probability, and where it reaches the threshold; NaN never does."""
        if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
            raise ValueError(f"threshold={threshold!r} is no number. Give a probability, 0 to 1.")
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} is no probability. Give a number from 0 to 1.")
        probability = self.read()
        return probability, probability >= np.float32(threshold)

    def _landslides(self, inventory: Any, class_column: str | None, positive: Any) -> np.ndarray:
        from ..inventory import read_inventory

        read = read_inventory(inventory, self.grid.crs, class_column=class_column, positive=positive, id_column=None)
        return read.geometries[read.labels == 1]


def _whole_number(tags: dict[str, str], name: str, path: str) -> int | None:
    text = tags.get(name)
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise SceneReadError(
            f"{path} has the tag {name}={text!r}; it records a number of pixels, 1 or more. Make "
            "the map again, or remove the tag (GDAL: gdal_edit -mo)."
        )
    return int(text)
