"""Polygons of landslides and of other ground, from files or from memory, in the scene's coordinates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exceptions import InventoryError
from .antimeridian import joined
from .polygon_files import read_polygon_file

__all__ = ["Inventory", "read_inventory"]

# Pairs of crossing sides. Repairing takes a second for the first number, and grows with its square or more.
_CROSSINGS_EACH = 1_000
_CROSSINGS = 20_000
_MANY_CORNERS = 20_000


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
    layer: str | None = None,
    class_column: str | None = "class",
    positive: Any = "landslide",
    id_column: str | None = "id",
) -> Inventory:
    """Read polygons and bring them into a coordinate system.

    Parameters
    ----------
    polygons : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
        GeoPackage, shapefile, FlatGeobuf, KML or GeoJSON; or the like in memory. What carries no
        coordinate system is taken to be in `crs` already; a GeoJSON file that names none is in WGS 84.
    crs : rasterio.crs.CRS or None
        Coordinate system wanted: the scene's.
    layer : str or None, default=None
        Layer of a file that has several.
    class_column : str or None, default="class"
        Column that holds the class; None takes every polygon as a landslide.
    positive : object, default="landslide"
        The class that is landslide; every other one is not.
    id_column : str or None, default="id"
        Column of unique identifiers; where it is None, absent or empty, polygons are numbered from 0.

    Returns
    -------
    Inventory

    Raises
    ------
    SceneReadError
        If the file cannot be read, or has several layers and `layer` names none of them.
    InventoryError
        If there is no polygon, a column is missing, no polygon is of class `positive`, an identifier stands
        twice, a geometry is no polygon, or the polygons have a coordinate system and the scene none.

    Examples
    --------
    >>> from shapely.geometry import box
    >>> import geopandas
    >>> from sklandslide.geodata.inventory import read_inventory
    >>> frame = geopandas.GeoDataFrame({"class": ["landslide", "farm"]}, geometry=[box(0, 0, 1, 1), box(2, 0, 3, 1)])
    >>> read_inventory(frame, None).labels
    array([1, 0])
    """
    frame = _in_crs(_as_frame(polygons, layer), crs)
    if len(frame) == 0:
        raise InventoryError("There is no polygon in the inventory. Give at least one of each class.")
    geometries = _polygons_of(frame, crs)
    labels = np.ones(len(frame), np.int64)
    if class_column is not None:
        labels = _labels(_column(frame, class_column, "class_column"), class_column, positive)
    ids = np.arange(len(frame))
    # A KML file has a column "id" and mostly nothing in it.
    if id_column is not None and id_column in frame.columns and not frame[id_column].isna().all(axis=None):
        column = _column(frame, id_column, "id_column")
        ids = column.to_numpy()
        try:
            unique = not column.isna().any() and column.is_unique
        except TypeError:  # lists or dictionaries
            unique = False
        if not unique:
            raise InventoryError(
                f"Column {id_column!r} does not give each polygon an identifier of its own. Polygons are kept "
                "whole in cross-validation by it: make it unique, or pass id_column=None to number them."
            )
    return Inventory(geometries, labels, ids)


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
            features = list(interface["features"])
        elif kind == "Feature":
            features = [interface]
        elif kind == "GeometryCollection":
            features = [{"geometry": g, "properties": {}} for g in interface["geometries"]]
        else:
            features = [{"geometry": interface, "properties": {}}]
        if not features:
            return geopandas.GeoDataFrame(geometry=[])
        # "properties" may be left out in practice; geopandas before 1.2 fails without it.
        features = [{"properties": {}, **f} if isinstance(f, dict) else f for f in features]
        return geopandas.GeoDataFrame.from_features(features, crs=_crs_named(interface.get("crs")))
    # shapely's and pyproj's errors, and those of what stands in the place of something else
    except Exception as error:
        raise InventoryError(
            f"The __geo_interface__ of type {kind!r} is not valid GeoJSON: {error!r}. Give a FeatureCollection of "
            "polygons."
        ) from error


def _crs_named(crs: Any) -> Any:
    """The coordinate system that GeoJSON of 2008 names, still written by GeoDataFrame.to_json and by GDAL."""
    if crs is None:
        return None
    if crs.get("type", "name") != "name":
        raise ValueError(f"its coordinate system is a {crs['type']}, and links are not followed; name it")
    return crs["properties"]["name"]


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

    if crs is None or not len(frame):
        return
    coordinates = np.abs(shapely.get_coordinates(np.asarray(frame.geometry.array, dtype=object)))
    coordinates = coordinates[np.isfinite(coordinates).all(axis=1)]
    if not len(coordinates):
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
    geometries = joined(geometries, crs)
    # Even to ask whether an outline is valid takes a minute where all its sides cross each other.
    _check_crossings(geometries[shapely.get_num_coordinates(geometries) > _MANY_CORNERS], looked_at=50)
    broken = ~shapely.is_valid(geometries)
    _check_crossings(geometries[broken])
    geometries[broken] = shapely.make_valid(geometries[broken])
    return np.array([_areas_of(g) for g in geometries], dtype=object)


def _check_crossings(geometries: np.ndarray, looked_at: int | None = None) -> None:
    """Refuse outlines that cross themselves so often that repairing them would take hours."""
    left = _CROSSINGS
    for position, geometry in enumerate(geometries):
        n = _crossings(geometry, min(_CROSSINGS_EACH, left), looked_at)
        left -= n
        if n > _CROSSINGS_EACH or left < 0:
            raise InventoryError(
                f"Polygons cross themselves too often to be repaired: up to {_CROSSINGS_EACH} times each and "
                f"{_CROSSINGS} in all are mended; this is too much in the polygon {position + 1} of "
                f"{len(geometries)} that are large or invalid, {geometry.wkt[:60]}... Repair or remove them "
                "(QGIS: Fix geometries)."
            )


def _crossings(geometry: Any, limit: int, looked_at: int | None = None) -> int:
    """How many pairs of sides touch or cross that do not follow each other; it stops counting above `limit`.

    With `looked_at`, only that many sides are compared with all.
    """
    import shapely

    corners, ring = shapely.get_coordinates(shapely.get_rings(geometry), return_index=True)
    same = ring[:-1] == ring[1:]
    sides = shapely.linestrings(np.stack([corners[:-1], corners[1:]], axis=1)[same])
    tree, at_once = shapely.STRtree(sides), max(1, 2 * 10**6 // max(1, len(sides)))
    compared = sides if looked_at is None else sides[:: max(1, len(sides) // looked_at)]
    found = 0
    for first in range(0, len(compared), at_once):
        # Each side meets itself, the one before and the one behind; pairs are found twice.
        part = compared[first : first + at_once]
        found += max(0, tree.query(part, predicate="intersects").shape[1] - 3 * len(part))
        if found > 2 * limit:
            break
    return found // 2


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
    if list(frame.columns).count(name) > 1:
        raise InventoryError(f"The polygons have several columns {name!r}. Rename or drop all but one.")
    return frame[name]


def _labels(column: Any, name: str, positive: Any) -> np.ndarray:
    if np.ndim(positive) != 0:
        raise InventoryError(f"positive={positive!r} is no class. Give one value of column {name!r}.")
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
