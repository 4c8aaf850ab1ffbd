"""Polygons of landslides and of other ground, from files or from memory, in the scene's coordinates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from .exceptions import InventoryError, SceneReadError

__all__ = ["Inventory", "read_inventory"]


@dataclass(frozen=True, eq=False)
class Inventory:
    """Polygons with a label and an id each.

    Attributes
    ----------
    geometries : ndarray of shape (n,), shapely Polygon or MultiPolygon
        Valid, not empty.
    labels : ndarray of shape (n,), int64
        1 for landslide, 0 for other ground.
    ids : ndarray of shape (n,)
        Unique identifiers.
    """

    geometries: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


def read_inventory(
    polygons: Any,
    crs: Any,
    *,
    class_column: str | None = "class",
    positive: Any = "landslide",
    id_column: str | None = "id",
) -> Inventory:
    """Read polygons and bring them into a coordinate system.

    Parameters
    ----------
    polygons : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
        GeoPackage, shapefile, GeoJSON or another file that GDAL reads; or the like in memory. What carries no
        coordinate system is taken to be in `crs` already.
    crs : rasterio.crs.CRS or None
        Coordinate system wanted: the scene's.
    class_column : str or None, default="class"
        Column that holds the class; None takes every polygon as a landslide.
    positive : object, default="landslide"
        The class that is landslide; every other one is not.
    id_column : str or None, default="id"
        Column of unique identifiers; where it is None or absent, polygons are numbered from 0.

    Returns
    -------
    Inventory

    Raises
    ------
    SceneReadError
        If the file cannot be read.
    InventoryError
        If there is no polygon, a column is missing, no polygon is of class `positive`, an identifier stands
        twice, a geometry is no polygon, or the polygons have a coordinate system and the scene none.

    Examples
    --------
    >>> from shapely.geometry import box
    >>> import geopandas
    >>> from sklandslide.inventory import read_inventory
    >>> frame = geopandas.GeoDataFrame({"class": ["landslide", "farm"]}, geometry=[box(0, 0, 1, 1), box(2, 0, 3, 1)])
    >>> read_inventory(frame, None).labels
    array([1, 0])
    """
    frame = _in_crs(_as_frame(polygons), crs)
    if len(frame) == 0:
        raise InventoryError("There is no polygon in the inventory. Give at least one of each class.")
    geometries = _polygons_of(frame)
    labels = np.ones(len(frame), np.int64)
    if class_column is not None:
        labels = _labels(_column(frame, class_column, "class_column"), class_column, positive)
    ids = np.arange(len(frame))
    if id_column is not None and id_column in frame.columns:
        ids = frame[id_column].to_numpy()
        if frame[id_column].isna().any() or not frame[id_column].is_unique:
            raise InventoryError(
                f"Column {id_column!r} does not give each polygon an identifier of its own. Polygons are kept "
                "whole in cross-validation by it: make it unique, or pass id_column=None to number them."
            )
    return Inventory(geometries, labels, ids)


def _as_frame(polygons: Any) -> Any:
    import geopandas

    if isinstance(polygons, geopandas.GeoDataFrame):
        if polygons.active_geometry_name is None:
            raise InventoryError("The GeoDataFrame has no active geometry column. Choose one: set_geometry(...).")
        return polygons
    if isinstance(polygons, geopandas.GeoSeries):
        return geopandas.GeoDataFrame(geometry=polygons)
    if isinstance(polygons, str | os.PathLike):
        return _read_file(os.fspath(polygons))
    interface = getattr(polygons, "__geo_interface__", polygons)
    if not isinstance(interface, dict) or "type" not in interface:
        raise InventoryError(
            f"Polygons cannot be taken from {type(polygons).__name__}. Give a file (GeoPackage, shapefile, GeoJSON), "
            "a GeoDataFrame, or an object with __geo_interface__."
        )
    return _from_interface(interface)


def _read_file(path: str) -> Any:
    import geopandas
    from pyogrio.errors import DataSourceError

    if not os.path.exists(path):
        raise SceneReadError(f"{path} does not exist. Check the path of the polygons.")
    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, ValueError, UnicodeDecodeError) as error:
        raise SceneReadError(
            f"{path} cannot be read as polygons: {error}. Give a GeoPackage, shapefile or GeoJSON; check it with "
            "`ogrinfo`."
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise InventoryError(f"{path} is a table without geometry. Give a file of polygons.")
    return frame


def _from_interface(interface: dict) -> Any:
    import geopandas

    kind = interface["type"]
    try:
        if kind == "FeatureCollection":
            features = list(interface["features"])
        elif kind == "Feature":
            features = [interface]
        elif kind == "GeometryCollection":
            features = [{"geometry": g, "properties": {}} for g in interface["geometries"]]
        else:
            features = [{"geometry": interface, "properties": {}}]
        if not features:
            return geopandas.GeoDataFrame(geometry=[])
        # GeoJSON of 2008, still written by GeoDataFrame.to_json and by GDAL, names its coordinate system.
        crs = (interface.get("crs") or {}).get("properties", {}).get("name")
        return geopandas.GeoDataFrame.from_features(features, crs=crs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InventoryError(
            f"The __geo_interface__ of type {kind!r} is not valid GeoJSON: {error!r}. Give a FeatureCollection of "
            "polygons."
        ) from error


def _in_crs(frame: Any, crs: Any) -> Any:
    if frame.crs is None:
        return frame
    if crs is None:
        raise InventoryError(
            f"The polygons have a coordinate system ({frame.crs.to_string()}) and the scene has none, so they cannot "
            "be placed on it. Give the scene its CRS (Scene.from_arrays(..., crs=...); GDAL: gdal_edit -a_srs)."
        )
    return frame.to_crs(crs.to_wkt())


def _polygons_of(frame: Any) -> np.ndarray:
    """Valid polygons; self-crossing ones are repaired."""
    import shapely

    geometries = np.asarray(frame.geometry.array, dtype=object)
    kinds = {getattr(g, "geom_type", "missing geometry") for g in geometries}
    if wrong := sorted(kinds - {"Polygon", "MultiPolygon"}):
        raise InventoryError(
            f"The inventory holds {', '.join(wrong)}; samples are drawn inside polygons. Remove them, or for points "
            "use Locations(scene, xy)."
        )
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    bad = shapely.is_empty(geometries)
    bad[owner[~np.isfinite(coordinates).all(axis=1)]] = True  # bounds would pass over NaN
    if bad.any():
        raise InventoryError(
            f"{bad.sum()} of {len(bad)} polygons are empty or have coordinates that are not finite in the scene's "
            f"coordinate system (the first at position {int(np.flatnonzero(bad)[0])}). Remove or repair them."
        )
    return np.array([_areas_of(g) for g in shapely.make_valid(geometries)], dtype=object)


def _areas_of(geometry: Any) -> Any:
    """The polygons of a repaired geometry: repairing may leave lines beside them."""
    import shapely

    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = [g for g in shapely.get_parts(geometry) if g.geom_type in ("Polygon", "MultiPolygon")]
    if not parts:
        raise InventoryError(
            f"A polygon has no area: {geometry.wkt[:80]}. Remove it or give it at least three corners."
        )
    return shapely.union_all(parts)


def _column(frame: Any, name: str, option: str) -> Any:
    if name not in frame.columns or name == frame.geometry.name:
        columns = [c for c in frame.columns if c != frame.geometry.name]
        raise InventoryError(
            f"The polygons have no column {name!r}; they have {', '.join(map(str, columns)) or 'none'}. Set "
            f"{option}= to the one wanted (class_column=None takes every polygon as a landslide)."
        )
    return frame[name]


def _labels(column: Any, name: str, positive: Any) -> np.ndarray:
    if column.isna().any():
        raise InventoryError(
            f"{int(column.isna().sum())} polygons have no value in column {name!r}. Give each its class."
        )
    labels = (column == positive).to_numpy().astype(np.int64)
    if not labels.any():
        values = ", ".join(repr(v) for v in sorted(column.unique(), key=str)[:10])
        raise InventoryError(
            f"No polygon has {name} == {positive!r}; the values are {values}. Set positive= to the landslide class."
        )
    return labels
