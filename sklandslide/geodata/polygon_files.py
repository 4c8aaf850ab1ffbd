"""Files of polygons, as a GeoDataFrame: formats that hold what they show, and nothing that refers elsewhere."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any
from urllib.parse import quote

from ..exceptions import InventoryError, SceneReadError
from .paths import check_beside, local_file, misread

__all__ = ["read_polygon_file"]

# Read into memory as Python's numbers and lists, ten times as large.
_LARGEST_JSON = 2**28
_SHAPES = ("FeatureCollection", "Feature", "GeometryCollection", "Polygon", "MultiPolygon", "Point", "MultiPoint",
           "LineString", "MultiLineString")  # fmt: skip


def read_polygon_file(path: Any, from_interface: Callable[[dict], Any]) -> Any:
    """Read a GeoPackage, shapefile, FlatGeobuf or GeoJSON.

    GDAL recognises a file by its content, and some formats of vectors name other files, addresses or programs. So the
    format is found here, and GeoJSON is not given to GDAL at all: its readers of JSON follow links.

    Parameters
    ----------
    path : path
    from_interface : callable
        Makes a GeoDataFrame of parsed GeoJSON.

    Returns
    -------
    geopandas.GeoDataFrame

    Raises
    ------
    SceneReadError
        If the file is missing, damaged or of another format.
    InventoryError
        If it holds several layers of shapes, or none.
    """
    import geopandas

    path = local_file(path)
    check_beside(path)
    layer = None
    with _opened(path) as file:
        start = file.read(4096)
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] == b"{":
        frame = _read_geojson(path, from_interface)
    else:
        if start.startswith(b"SQLite format 3\0"):
            layer = _layer_of(path, start)
        elif not (
            start.startswith(b"fgb\x03fgb") or (start.startswith(b"\0\0\x27\x0a") and path.lower().endswith(".shp"))
        ):
            raise _unreadable(path, "it is in none of these formats, or empty")
        if misread(path):
            raise _unreadable(path, f"in {path!r} an ! or ; or line break, or .zip at the end, is misread: rename it")
        try:
            frame = geopandas.read_file(path, layer=layer, engine="pyogrio")
        except Exception as error:  # pyogrio's, GDAL's, and those of what is done with the values
            raise _unreadable(path, error) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise InventoryError(f"{path} is a table without geometry. Give a file of polygons.")
    return frame


def _opened(path: str) -> Any:
    """Open a file for reading bytes."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise SceneReadError(f"{path} cannot be opened: {error.strerror}. Check its permissions.") from error


def _read_geojson(path: str, from_interface: Callable[[dict], Any]) -> Any:
    if os.path.getsize(path) > _LARGEST_JSON:
        raise _unreadable(path, f"as GeoJSON it may have {_LARGEST_JSON >> 20} MiB; a GeoPackage may have more")
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise _unreadable(path, error) from error
    kind = content.get("type")
    if kind not in _SHAPES:
        raise _unreadable(path, f"it is JSON of type {kind!r}, no GeoJSON")
    if "crs" not in content:
        content["crs"] = {"type": "name", "properties": {"name": "EPSG:4326"}}  # RFC 7946
    try:
        return from_interface(content)
    except InventoryError as error:
        raise _unreadable(path, error) from error


def _layer_of(path: str, start: bytes) -> str | None:
    """The one layer of shapes of a GeoPackage; None where GDAL may look for itself."""
    if start[68:72] not in (b"GPKG", b"GP10", b"GP11"):
        raise _unreadable(path, "it is a database, but no GeoPackage")
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)) as database:
            database.text_factory = lambda content: content.decode("utf-8", "replace")
            kinds = dict(
                database.execute("SELECT lower(name), type FROM sqlite_master WHERE type IN ('table', 'view')")
            )
            # A view is a query: of the tables that GDAL reads on opening none is one.
            views = [name for name, kind in kinds.items() if kind == "view"]
            if own := [name for name in views if name.startswith(("gpkg_", "rtree_", "sqlite_"))]:
                raise _unreadable(path, f"its {own[0]!r} is a view, and must be a table")
            if "gpkg_contents" not in kinds:
                return None
            query = "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT 1000"
            layers = [str(name) for (name,) in database.execute(query)]
    except (sqlite3.Error, UnicodeError) as error:  # also where SQLite quotes what it cannot read
        raise _unreadable(path, error) from error
    if len(layers) > 1:
        raise InventoryError(
            f"{path} holds {len(layers)} layers of shapes: {', '.join(map(repr, layers[:10]))}. Choose one, and pass "
            "it instead of the file: geopandas.read_file(path, layer=...)."
        )
    if layers and layers[0].lower() in views:
        raise _unreadable(path, f"its layer {layers[0]!r} is a view, a query that would be run; store it as a table")
    return layers[0] if layers else None


def _unreadable(path: str, why: Any) -> SceneReadError:
    return SceneReadError(
        f"{path} cannot be read as polygons: {why}. Give a GeoPackage, shapefile or GeoJSON (ogr2ogr writes them); "
        "check it with `ogrinfo`. Any other source: read it with geopandas, and pass the GeoDataFrame."
    )
