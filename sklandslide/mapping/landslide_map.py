"""The landslide map: what people do with a raster of probabilities."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..exceptions import SceneError, SklandslideError
from ..geodata import Scene, beside, check_output, read_inventory, written_beside
from .vector_map import VectorMap

if TYPE_CHECKING:
    import folium
    from matplotlib.axes import Axes


@dataclass(frozen=True, repr=False)
class LandslideMap(VectorMap):
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
    threshold : float or None
        Probability from which the model says landslide, where one was chosen for it by scikit-learn's
        ``FixedThresholdClassifier`` or ``TunedThresholdClassifierCV``; None if not recorded.

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

    def plot(
        self,
        *,
        background: Any = None,
        inventory: Any = None,
        threshold: float | None = None,
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
        threshold : float, default=None
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
            **{"margin": margin, "threshold": self._limit(threshold), "outside": outside, **options},
        )

    def explore(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        inventory: Any = None,
        threshold: float | None = None,
        join_m: float = 0.0,
        min_area_m2: float = 0.0,
        scene: Scene | None = None,
        max_objects: int = 5000,
        tiles: str | None = "OpenStreetMap",
        layer: str | None = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
        overwrite: bool = False,
    ) -> folium.Map:
        """Make a page for a browser: probability as an image, objects and inventory that a click tells the facts of.

        The page is one file. It opens without a network, but for the base map beneath.

        Parameters
        ----------
        path : path, default=None
            File to write, such as ``"map.html"``; a notebook shows what is returned without any.
        inventory, layer, class_column, positive
            As in `score`; the landslides are outlined, and a click shows their other columns.
        threshold, join_m, min_area_m2, scene
            As in `polygons`, whose columns a click on an object shows.
        max_objects : int, default=5000
            Objects shown at most, those to look at first: a browser carries no more with ease.
        tiles : str or None, default="OpenStreetMap"
            The base map, as `folium.Map` takes it; None for none, and a page that asks nothing of any network.
        overwrite : bool, default=False
            Whether to replace an existing file.

        Returns
        -------
        folium.Map
            To which layers of one's own can be added, and which a notebook shows.

        Raises
        ------
        MissingPackageError
            If folium or xstatic-leaflet is not installed.
        SceneError
            If the map has no coordinate system, or as in `polygons`.
        OutputExistsError, FileNotFoundError
            As in `to_gpkg`.
        InventoryError, SceneReadError, ValueError, BandError
            As in `score` and `polygons`.

        Notes
        -----
        The image has at most 1,500 pixels a side, averaged; objects are outlined from the map itself.
        """
        from . import web

        if path is not None:
            check_output(path, overwrite)
        if self.grid.crs is None:
            raise SceneError(
                f"{self.path} has no coordinate system, so it has no place on a map of the world. Give the scene that "
                "it is made from one, or use plot()."
            )
        page = web.web_map(*self._preview(web.SIDE), self._limit(threshold), tiles)
        objects = self.polygons(threshold, join_m=join_m, min_area_m2=min_area_m2, scene=scene)
        web.add_objects(page, objects, self.grid, max_objects)
        # above the objects, which are mostly larger: so that a click can reach both
        if inventory is not None:
            options = {"layer": layer, "class_column": class_column, "positive": positive}
            read = read_inventory(inventory, self.grid.crs, id_column=None, **options)
            landslide = read.labels == 1
            web.add_inventory(
                page, beside(read.geometries[landslide], self.grid), read.attributes[landslide], self.grid
            )
        web.finish(page)
        if path is not None:
            with written_beside(path, overwrite, ".html") as part:
                page.save(part)
        return page

    def _repr_html_(self) -> str:
        from ..plots import map_html

        facts = {"file": self.path, "threshold": f"{self._limit(None):.3g}"}
        facts |= {name: str(value) for name in ("patch_size", "step", "positive") if (value := getattr(self, name))}
        try:
            probability = self._preview(160)[0]
        except SklandslideError as error:
            probability, facts["no picture"] = None, str(error)
        return map_html("LandslideMap", self.grid, facts, probability, self._limit(None))
