"""Files of polygons, as a GeoDataFrame: formats that hold what they show, and nothing that refers elsewhere."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

from ..exceptions import SceneReadError
from .opening import NO_NETWORK, local_file

# How a GeoPackage, a FlatGeobuf and a shapefile begin.
_SHAPEFILE = b"\0\0\x27\x0a"
_STARTS = (b"SQLite format 3\0", b"fgb\x03fgb", _SHAPEFILE)
_DEGREES = {"type": "name", "properties": {"name": "EPSG:4326"}}  # where a GeoJSON names none, RFC 7946
_one_at_a_time = threading.Lock()


def read_polygon_file(path: Any, layer: str | None, from_interface: Callable[[dict], Any]) -> Any:
    """Read a GeoPackage, shapefile, FlatGeobuf, KML or GeoJSON.

    GDAL recognises a file by its content and cannot be told which formats to try, and some name addresses or programs.
    So the format is found here. GeoJSON is not given to GDAL at all: it fetches a coordinate system that the file links
    to, and takes one that it does not know for WGS 84.
    """
    import geopandas

    path = local_file(path)
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
        if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            with open(path, encoding="utf-8-sig") as text:
                return from_interface({"crs": _DEGREES, **json.load(text)})
        if not start.startswith(_STARTS) and not _is_kml(path):
            raise ValueError("it is in none of the formats; an archive is to be unpacked")
        with _without_network():
            frame = geopandas.read_file(path, layer=_layer_of(path, layer), engine="pyogrio")
        if start.startswith(_SHAPEFILE) and len(frame.columns) == 1:
            raise ValueError("its table of attributes (.dbf) is missing")
        return frame
    except Exception as error:  # GDAL's, those of parsers, and of what is done with the values
        raise SceneReadError(
            f"{path} cannot be read as polygons: {error}. GeoPackage, shapefile, FlatGeobuf, KML and GeoJSON can; read "
            "any other source with geopandas, and pass the GeoDataFrame."
        ) from error


@contextmanager
def _without_network() -> Iterator[None]:
    """Options of pyogrio, which are those of the whole process, and put back."""
    import pyogrio

    with _one_at_a_time:
        before = {name: pyogrio.get_gdal_config_option(name) for name in NO_NETWORK}
        pyogrio.set_gdal_config_options(NO_NETWORK)
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options(before)


def _layer_of(path: str, layer: str | None) -> str:
    """The layer asked for, or the only one of shapes."""
    import pyogrio

    layers = [name for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    wanted = layers if layer is None else [name for name in layers if name == layer]
    if len(wanted) == 1:
        return wanted[0]
    said = f"it holds {len(layers)} layers of shapes, {layers[:20]}, and layer={layer!r} names none of them"
    raise ValueError(f"{said}: choose one, or pass what geopandas.read_file(path, layer=...) gives")


def _is_kml(path: str) -> bool:
    try:
        root = next(ElementTree.iterparse(path, events=["start"]))[1]
    except (ElementTree.ParseError, StopIteration):
        return False
    return root.tag.rpartition("}")[2] == "kml"
