"""The landslide map: what people do with a raster of probabilities."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geodata import beside, read_inventory
from ..metrics import area_scores, hits_by_size, map_scores, on_map_and_hit
from . import ground, vectors
from .probability import ProbabilityRaster

if TYPE_CHECKING:
    import geopandas
    import pandas
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class LandslideMap(ProbabilityRaster):
    """A map of landslide probability, as `SlidingWindowPredictor.predict_map` writes it.

    Made with `open`. An immutable value that holds a path and a grid but neither pixels nor an open file; it can be
    pickled. Every method reads the raster anew, and refuses if the file was replaced since it was opened.

    Attributes
    ----------
    path : str
        Absolute path of the raster.
    grid : Grid
        The map's grid. Each map pixel stands for one window of the scene, and their centres coincide.
    patch_size, step : int or None
        Length of the window and distance between windows, in pixels of the scene; None if not recorded.
    positive : str or None
        The class whose probability this is; None if not recorded.

    References
    ----------
    Nava et al. (2021), section 3.3 and Figure 2.

    Examples
    --------
    >>> import os, tempfile
    >>> import geopandas, numpy as np, rasterio
    >>> from affine import Affine
    >>> from sklandslide import LandslideMap
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
    >>> from shapely.geometry import box
    >>> inventory = [box(500000, 4700000, 500020, 4700040)]  # the left two pixels, 800 m2
    >>> inventory = geopandas.GeoDataFrame(geometry=inventory, crs="EPSG:32654")
    >>> scores = m.score(inventory, class_column=None)
    >>> round(scores["area_precision"], 3), round(scores["area_recall"], 3), scores["hit_rate"]
    (0.333, 0.5, 1.0)
    >>> m.hit_rates(inventory, class_column=None)["n_hit"].tolist()
    [1, 0, 0]
    """

    def points(self, threshold: float = 0.5) -> geopandas.GeoDataFrame:
        """Give the paper's red points: centres of the windows predicted as landslide.

        Parameters
        ----------
        threshold : float, default=0.5
            Windows with at least this probability, 0 to 1, are predicted as landslide. It is compared in float32, as
            the map is stored.

        Returns
        -------
        geopandas.GeoDataFrame
            Column ``probability`` and points in the map's CRS, row by row from the map's first pixel.

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
            A polygon for each area, in the map's CRS, with columns ``id`` (1 to n, in the order of the first pixel),
            ``probability`` (mean over the pixels) and ``area_m2`` (square metres on the ground in any CRS; without one,
            map units are taken as metres).

        Raises
        ------
        ValueError, SceneReadError
            As in `points`.

        Notes
        -----
        Pixels that share an edge are connected; those that share only a corner are not: their union would not be a
        valid polygon.
        """
        return vectors.red_polygons(self.grid, *self._red(threshold))

    def score(
        self,
        inventory: Any,
        *,
        threshold: float = 0.5,
        layer: str | None = None,
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
        layer : str or None, default=None
            Layer of a file that has several.
        class_column : str or None, default="class"
            Column that holds the class; None takes every polygon as a landslide.
        positive : object, default="landslide"
            The class that is landslide; other polygons count as ground without landslide.

        Returns
        -------
        dict of str to float
            By pixel: ``precision``, share of the red points that lie on a landslide, tp / (tp + fp); ``recall``, share
            of the landslides' pixels that are red, tp / (tp + fn); ``accuracy``, (tp + tn) / (tp + fp + tn + fn);
            ``f1``, 2 tp / (2 tp + fp + fn); the counts ``n_points`` (red points), ``tp``, ``fp``, ``fn`` and ``tn``.

            By landslide: ``hit_rate``, share of landslides with at least one red point, n_hit / n_landslides; the
            counts ``n_landslides`` (on the valid map), ``n_hit`` and ``n_outside`` (off it, counted nowhere else).

            By false alarm, a connected red area without a pixel on a landslide: ``false_alarms_per_km2``,
            n_false_alarms / valid_km2; ``n_false_alarms``; ``valid_km2``, area of the valid map.

            By area on the ground: ``area_precision``, share of the red area that lies on landslides, hit_km2 / red_km2;
            ``area_recall``, share of the landslides' area that is red, hit_km2 / landslide_km2; ``red_km2``, area of
            all red pixels; ``landslide_km2``, area of the landslides on valid pixels, ground on several landslides
            counted once; ``hit_km2``, area of the intersection of both.

            A share of nothing (0 / 0) is NaN.

        Raises
        ------
        InventoryError, SceneReadError
            If the inventory has no usable polygons, as in `sample_polygons`; if the map cannot be read.
        ValueError
            If the threshold is not a number from 0 to 1.

        Notes
        -----
        A pixel lies on a landslide if its centre does. A landslide too small to hold a centre is given the one pixel
        that holds its representative point, so that it can be found. Nodata pixels count nowhere. Areas do not go by
        centres: of each pixel the share within the polygons is exact, and a landslide counts with the part that lies on
        valid pixels.

        Where windows overlap, pixels are not independent, and a landslide seen at a window's edge makes red points off
        it: ``precision`` is lower than on a test set of patches as in the paper's Table 3.

        References
        ----------
        Nava et al. (2021), equations (4) to (6) for accuracy, precision and recall.
        """
        probability, red = self._red(threshold)
        valid = ~np.isnan(probability)
        geometries = self._landslides(inventory, layer, class_column, positive)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        on_map, _ = on_map_and_hit(pixels, owners, len(geometries), red, valid)
        covered, share = ground.covered_pixels(geometries[on_map], self.grid)
        share = share * ground.pixel_areas(self.grid, covered)
        valid_m2 = ground.ground_area(self.grid, valid, 1)[1]
        areas = area_scores(
            red_m2=float(ground.ground_area(self.grid, red, 1)[1]),
            landslide_m2=float(share[valid.ravel()[covered]].sum()),
            both_m2=float(share[red.ravel()[covered]].sum()),
        )
        by_count = map_scores(pixels, owners, len(geometries), predicted=red, valid=valid, valid_km2=valid_m2 / 1e6)
        return {**by_count, **areas}

    def hit_rates(
        self,
        inventory: Any,
        *,
        edges: Sequence[float] = (1_000, 10_000),
        threshold: float = 0.5,
        layer: str | None = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
    ) -> pandas.DataFrame:
        """Share of landslides hit, by their size.

        Parameters
        ----------
        inventory, threshold, layer, class_column, positive
            As in `score`.
        edges : sequence of float, default=(1000, 10000)
            Limits between the size classes in square metres on the ground, larger than 0 and increasing; below the
            first and above the last there is a class each. The area is that of the whole polygon, also where it reaches
            beyond the valid map.

        Returns
        -------
        pandas.DataFrame
            A row for each class, from small to large: ``area_from_m2`` and ``area_to_m2`` (the limits; a landslide of
            exactly a limit's area is in the class above it, and the last is infinite), ``n_landslides``, ``n_hit`` and
            ``hit_rate``, n_hit / n_landslides (NaN for a class without landslides). Landslides and hits are those of
            `score`, and add up to its counts: landslides off the valid map are in no class.

        Raises
        ------
        ValueError
            If the edges are not increasing numbers larger than 0, or as in `points`.
        InventoryError, SceneReadError
            As in `score`.
        """
        import pandas

        probability, red = self._red(threshold)
        geometries = self._landslides(inventory, layer, class_column, positive)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        on_map, hit = on_map_and_hit(pixels, owners, len(geometries), red, ~np.isnan(probability))
        areas = ground.polygon_areas(geometries, self.grid)
        return pandas.DataFrame(hits_by_size(areas, on_map, hit, edges))

    def to_gpkg(
        self,
        path: str | os.PathLike[str],
        *,
        threshold: float = 0.5,
        inventory: Any = None,
        layer: str | None = None,
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
        inventory, layer, class_column, positive
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
            geometries = self._landslides(inventory, layer, class_column, positive)
            frame = geopandas.GeoDataFrame(
                {"id": np.arange(1, len(geometries) + 1)},
                geometry=list(geometries),
                crs=self.grid.crs,
            )
            layers["inventory"] = frame, "MultiPolygon"
        return vectors.write_gpkg(path, layers, overwrite)

    def plot(
        self,
        *,
        background: Any = None,
        inventory: Any = None,
        threshold: float = 0.5,
        layer: str | None = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
        palette: str = "paper",
        width: float = 7.0,
        north_arrow: bool = True,
        ax: Axes | None = None,
        **options: Any,
    ) -> Axes:
        """Draw the map as in the paper's Figure 2: red points and yellow inventory on an image.

        Parameters
        ----------
        background : Scene, (Scene, bands) or None, default=None
            The image beneath, in the map's CRS: for a scene its Red, Green and Blue, else the
            hillshade of its DEM, else its first band; for a pair ``"hillshade"``, or the bands or
            composite named, one or three; for None the probability itself in grey.
        inventory, layer, class_column, positive
            As in `score`; the landslides are outlined.
        threshold : float, default=0.5
            As in `points`.
        palette : {"paper", "colorblind"}, default="paper"
            Red points and yellow inventory, or a pair that is told apart in every form of colour
            blindness and in grey print.
        width : float, default=7.0
            Width of a new figure in inches: 7 for a page of two columns, 3.4 for one column.
        north_arrow : bool, default=True
            Whether to draw an arrow to true north; a map without a CRS has none.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        **options
            ``scale_bar``, ``legend``, ``point_size`` and ``margin`` of
            `sklandslide.plots.plot_map`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            If matplotlib or matplotlib-scalebar is not installed.
        SceneError, BandError
            If the background does not show the map's ground, or has no such bands.
        InventoryError, SceneReadError, ValueError
            As in `score`; a ValueError also if there is no such palette.
        """
        from ..plots import plot_map

        outlines = () if inventory is None else self._landslides(inventory, layer, class_column, positive)
        probability, red = self._red(threshold)
        # Half a window beyond the first and last centres: all the ground that the map saw.
        margin = 0.0
        if self.patch_size and self.step:
            margin = max(0.0, (self.patch_size / self.step - 1) / 2)
        dissimilarity = self.dissimilarity
        outside = None if dissimilarity is None else dissimilarity > 1
        return plot_map(
            self.grid,
            probability,
            red,
            background=background,
            outlines=outlines,
            palette=palette,
            width=width,
            north_arrow=north_arrow,
            ax=ax,
            **{"margin": margin, "threshold": threshold, "outside": outside, **options},
        )

    def _landslides(self, inventory: Any, layer: str | None, class_column: str | None, positive: Any) -> np.ndarray:
        options = {"layer": layer, "class_column": class_column, "positive": positive}
        read = read_inventory(inventory, self.grid.crs, id_column=None, **options)
        return beside(read.geometries[read.labels == 1], self.grid)
