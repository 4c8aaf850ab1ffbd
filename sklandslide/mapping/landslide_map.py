"""The landslide map: what people do with a raster of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .vector_map import VectorMap

if TYPE_CHECKING:
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
