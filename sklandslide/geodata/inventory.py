"""Polygons of landslides and of other ground, from files or from memory, in the scene's coordinates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exceptions import InventoryError
from .antimeridian import joined
from .discs import with_discs
from .polygon_files import read_polygon_file


@dataclass(frozen=True, eq=False)
class Inventory:
    """Polygons with a label, an id and whatever else is said of each: arrays and a table of one length."""

    geometries: np.ndarray  # shapely Polygon or MultiPolygon, valid, not empty
    labels: np.ndarray  # int64: 1 for landslide, 0 for other ground
    ids: np.ndarray  # unique
    attributes: Any  # pandas.DataFrame: the columns as they came, those of labels and ids among them


def read_inventory(
    polygons: Any,
    crs: Any,
    *,
    layer: str | None = None,
    class_column: str | None = "class",
    positive: Any = "landslide",
    id_column: str | None = "id",
    radius: float | None = None,
) -> Inventory:
    """Read polygons from a file or from memory and bring them into a coordinate system: the scene's.

    What carries no coordinate system is taken to be in `crs` already; a GeoJSON file that names none is in WGS 84.
    `layer` names one of a file that has several. Without a column "class", and where no other is named, all are
    landslides. `radius` makes discs of points, so many metres about them on the ground. Raises SceneReadError if the
    file cannot be read, InventoryError if its polygons will not do.
    """
    frame = _as_frame(polygons, layer)
    if radius is not None:
        frame = with_discs(frame, radius, crs)
    frame = _in_crs(frame, crs)
    if len(frame) == 0:
        raise InventoryError("There is no polygon in the inventory. Give at least one of each class.")
    geometries = _polygons_of(frame, crs)
    labels = np.ones(len(frame), np.int64)
    if class_column == "class" and "class" not in frame.columns:
        _check_alone(frame, positive)
        class_column = None
    if class_column is not None:
        labels = _labels(_column(frame, class_column, "class_column"), class_column, positive)
    ids = np.arange(len(frame))
    # A KML file has a column "id" and mostly nothing in it.
    if id_column is not None and id_column in frame.columns and not frame[id_column].isna().all(axis=None):
        column = _column(frame, id_column, "id_column")
        ids = column.to_numpy()
        if column.isna().any() or not column.is_unique:
            raise InventoryError(
                f"Column {id_column!r} does not give each polygon an identifier of its own. Polygons are kept "
                "whole in cross-validation by it: make it unique, or pass id_column=None to number them."
            )
    return Inventory(geometries, labels, ids, frame.drop(columns=frame.geometry.name))


def _as_frame(polygons: Any, layer: str | None) -> Any:
    import geopandas

    if isinstance(polygons, str | bytes | os.PathLike):
        return read_polygon_file(polygons, layer, _from_interface)
    if layer is not None:
        raise InventoryError(f"layer={layer!r} is given with {type(polygons).__name__}; only files have layers.")
    if isinstance(polygons, geopandas.GeoDataFrame):
        if polygons.active_geometry_name is None:
            raise InventoryError("The GeoDataFrame has no active geometry column. Choose one: set_geometry(...).")
        return polygons
    if isinstance(polygons, geopandas.GeoSeries):
        return geopandas.GeoDataFrame(geometry=polygons)
    interface = getattr(polygons, "__geo_interface__", polygons)
    if not isinstance(interface, dict) or "type" not in interface:
        raise InventoryError(
            f"Polygons cannot be taken from {type(polygons).__name__}. Give a file (GeoPackage, shapefile, GeoJSON), "
            "a GeoDataFrame, or an object with __geo_interface__."
        )
    return _from_interface(interface)


def _from_interface(interface: dict) -> Any:
    import geopandas

    kind = interface["type"]
    try:
        if kind == "FeatureCollection":
            features = interface["features"]
        elif kind == "Feature":
            features = [interface]
        else:
            features = [{"geometry": shape} for shape in interface.get("geometries", [interface])]
        if not features:
            return geopandas.GeoDataFrame(geometry=[])
        # "properties" may be left out in practice; geopandas before 1.2 fails without it.
        features = [{"properties": {}, **feature} for feature in features]
        # GeoJSON of 2008 names a coordinate system; GeoDataFrame.to_json and GDAL still do.
        crs = interface.get("crs")
        return geopandas.GeoDataFrame.from_features(features, crs=None if crs is None else crs["properties"]["name"])
    # shapely's and pyproj's errors, and those of what stands in the place of something else
    except Exception as error:
        raise InventoryError(
            f"The __geo_interface__ of type {kind!r} is not valid GeoJSON: {error!r}. Give a FeatureCollection of "
            "polygons."
        ) from error


def _in_crs(frame: Any, crs: Any) -> Any:
    if frame.crs is None:
        _check_units(frame, crs)
        return frame
    if crs is None:
        raise InventoryError(
            f"The polygons have a coordinate system ({frame.crs.to_string()}) and the scene has none, so they cannot "
            "be placed on it. Give the scene its CRS (Scene.from_arrays(..., crs=...); GDAL: gdal_edit -a_srs)."
        )
    from pyproj.exceptions import ProjError

    try:
        return frame.to_crs(crs.to_wkt())
    except ProjError as error:
        raise InventoryError(
            f"There is no way from the polygons' coordinate system ({frame.crs.to_string()[:200]}) to the scene's "
            f"({crs.to_string()[:200]}). Give the polygons in the scene's coordinates."
        ) from error


def _check_units(frame: Any, crs: Any) -> None:
    """Refuse bare coordinates that are degrees where the scene's are metres, or the other way about."""
    import shapely

    coordinates = np.abs(shapely.get_coordinates(np.asarray(frame.geometry.array, dtype=object)))
    coordinates = coordinates[np.isfinite(coordinates).all(axis=1)]
    if crs is None or not len(coordinates):
        return
    x, y = coordinates.max(axis=0)
    if (x <= 180 and y <= 90) if crs.is_projected else (crs.is_geographic and (x > 720 or y > 180)):
        are, wanted = ("degrees", "metres") if crs.is_projected else ("metres", "degrees")
        raise InventoryError(
            f"The polygons have no coordinate system, and coordinates up to {x:g}, {y:g}: they look like {are}, and "
            f"the scene's are {wanted} ({crs.to_string()[:200]}). Say what they are: GeoDataFrame.set_crs(...), or a "
            ".prj file."
        )


def _polygons_of(frame: Any, crs: Any) -> np.ndarray:
    """Valid polygons; self-crossing ones are repaired."""
    import shapely

    geometries = np.asarray(frame.geometry.array, dtype=object)
    kinds = {getattr(g, "geom_type", "missing geometry") for g in geometries}
    if wrong := sorted(kinds - {"Polygon", "MultiPolygon"}):
        raise InventoryError(
            f"The inventory holds {', '.join(wrong)}; landslides are polygons. Remove them; of points "
            "sample_polygons(..., radius=...) makes discs of so many metres."
        )
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    bad = shapely.is_empty(geometries)
    bad[owner[~np.isfinite(coordinates).all(axis=1)]] = True  # bounds would pass over NaN
    if bad.any():
        raise InventoryError(
            f"{bad.sum()} of {len(bad)} polygons are empty or have coordinates that are not finite in the scene's "
            f"coordinate system (the first at position {int(np.flatnonzero(bad)[0])}). Remove or repair them."
        )
    geometries = joined(geometries, crs)
    broken = ~shapely.is_valid(geometries)
    geometries[broken] = shapely.make_valid(geometries[broken])
    return np.array([_areas_of(g) for g in geometries], dtype=object)


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


def _check_alone(frame: Any, positive: Any) -> None:
    """Refuse to take all polygons as landslides where a column of another name tells some of them from others."""
    for name in frame.columns.drop(frame.geometry.name):
        landslide = frame[name] == positive
        if landslide.any() and not landslide.all():
            raise InventoryError(
                f"The polygons have no column 'class', and column {name!r} holds {positive!r} for "
                f"{int(landslide.sum())} of {len(frame)}. Set class_column={name!r} if it is the class, "
                "or class_column=None if every polygon is a landslide."
            )


def _labels(column: Any, name: str, positive: Any) -> np.ndarray:
    if column.isna().any():
        raise InventoryError(
            f"{int(column.isna().sum())} polygons have no value in column {name!r}. Give each its class."
        )
    labels = (column == positive).to_numpy().astype(np.int64)
    if not labels.any():
        values = ", ".join(sorted({repr(value)[:80] for value in column})[:10])
        raise InventoryError(
            f"No polygon has {name} == {positive!r}; the values are {values}. Set positive= to the landslide class."
        )
    return labels
