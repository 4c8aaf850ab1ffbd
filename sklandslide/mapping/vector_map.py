"""A landslide map as vectors: red points, objects, and the files that people take along."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import SceneError
from ..geodata import Scene, check_output
from .objects import landslide_objects
from .scores import ScoredMap
from .vectors import check_gpkg, red_points, write_csv, write_gpkg

if TYPE_CHECKING:
    import geopandas


@dataclass(frozen=True, repr=False)
class VectorMap(ScoredMap):
    """A raster of probabilities that gives points, objects, a GeoPackage and a table of them."""

    def points(self, threshold: float | None = None) -> geopandas.GeoDataFrame:
        """Give the paper's red points: centres of the windows predicted as landslide.

        Parameters
        ----------
        threshold : float, default=None
            Windows with at least this probability, 0 to 1, are predicted as landslide. It is compared in float32, as
            the map is stored. By default the map's own (attribute ``threshold``), or 0.5 if it has none.

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
        return red_points(self.grid, *self._red(threshold))

    def polygons(
        self,
        threshold: float | None = None,
        *,
        join_m: float = 0.0,
        min_area_m2: float = 0.0,
        scene: Scene | None = None,
    ) -> geopandas.GeoDataFrame:
        """Join the pixels predicted as landslide to objects, and rank them.

        Parameters
        ----------
        threshold : float, default=None
            As in `points`.
        join_m : float, default=0.0
            Red areas closer than this, in metres on the ground, are one object. With 0 pixels that share an edge are
            joined and nothing else.
        min_area_m2 : float, default=0.0
            Objects with less red ground than this, in square metres, are left out, after joining.
        scene : Scene or None, default=None
            In the map's CRS, with the band ``DEM`` or ``Slope``; adds the column ``slope``.

        Returns
        -------
        geopandas.GeoDataFrame
            An object for each row, in the map's CRS. Its geometry is the red ground itself: a polygon, or with `join_m`
            larger than 0 a multipolygon. Columns:

            - ``id``, 1 to n in the order of the first pixel, as are the rows;
            - ``rank``, 1 for the object to look at first: by expected landslide area, ``probability * area_m2``;
            - ``probability`` and ``probability_max``, mean and highest over the pixels;
            - ``area_m2``, square metres of red ground;
            - ``length_m``, longer side of the smallest rectangle about the object, in metres;
            - ``slope``, if there is a scene: mean in degrees at the pixels' centres; NaN where no slope is known.

            Areas and lengths are those on the ground in any CRS; without one, map units are taken as metres.

        Raises
        ------
        ValueError
            If the threshold is not a number from 0 to 1, or `join_m` or `min_area_m2` is no finite number of 0 or more.
        SceneError, BandError
            If the scene has another CRS than the map, or neither DEM nor slope.
        SceneReadError
            As in `read`.

        Notes
        -----
        Pixels that share only a corner are different areas: their union would not be a valid polygon. Joining areas
        takes time in proportion to the square of `join_m` in pixels.
        """
        for name, value in (("join_m", join_m), ("min_area_m2", min_area_m2)):
            if not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r} is no size on the ground. Give a number of 0 or more.")
        return landslide_objects(self.grid, *self._red(threshold), join_m, min_area_m2, scene)

    def to_gpkg(
        self,
        path: str | os.PathLike[str],
        *,
        threshold: float | None = None,
        join_m: float = 0.0,
        min_area_m2: float = 0.0,
        scene: Scene | None = None,
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
        threshold, join_m, min_area_m2, scene
            As in `polygons`. All red points are written, whatever becomes of the polygons.
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
            If `path` does not end in ``.gpkg``, or as in `polygons`.
        InventoryError, SceneReadError, SceneError, BandError
            As in `score` and `polygons`.
        """
        import geopandas

        check_gpkg(Path(path), overwrite)
        objects = self.polygons(threshold, join_m=join_m, min_area_m2=min_area_m2, scene=scene)
        layers = {
            "points": (self.points(threshold), "Point"),
            "polygons": (objects, "MultiPolygon" if join_m else "Polygon"),
        }
        if inventory is not None:
            geometries = self._landslides(inventory, layer, class_column, positive)
            frame = geopandas.GeoDataFrame(
                {"id": np.arange(1, len(geometries) + 1)},
                geometry=list(geometries),
                crs=self.grid.crs,
            )
            layers["inventory"] = frame, "MultiPolygon"
        return write_gpkg(path, layers, overwrite)

    def to_csv(
        self,
        path: str | os.PathLike[str],
        *,
        threshold: float | None = None,
        join_m: float = 0.0,
        min_area_m2: float = 0.0,
        scene: Scene | None = None,
        overwrite: bool = False,
    ) -> Path:
        """Write a table of the objects that `polygons` gives, those to look at first on top.

        The file appears complete or not at all.

        Parameters
        ----------
        path : path
            Output, such as ``"landslides.csv"``.
        threshold, join_m, min_area_m2, scene
            As in `polygons`.
        overwrite : bool, default=False
            Whether to replace an existing file.

        Returns
        -------
        pathlib.Path
            `path`. Columns: ``rank``, ``id`` (as in the GeoPackage written with the same parameters), ``longitude`` and
            ``latitude`` (degrees in WGS 84, a place on the object's red ground), and those of `polygons`, rounded.

        Raises
        ------
        OutputExistsError, FileNotFoundError
            As in `to_gpkg`.
        SceneError
            If the map has no coordinate system, or as in `polygons`.
        ValueError, BandError, SceneReadError
            As in `polygons`.
        """
        check_output(path, overwrite)
        if self.grid.crs is None:
            raise SceneError(
                f"{self.path} has no coordinate system, so its objects have no longitude and latitude. Give the scene "
                "that it is made from one, or use polygons()."
            )
        objects = self.polygons(threshold, join_m=join_m, min_area_m2=min_area_m2, scene=scene)
        return write_csv(path, objects, overwrite)
