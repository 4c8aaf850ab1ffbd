"""Styles for QGIS, which travel with maps and GeoPackages: files of the folder ``styles``, made with QGIS."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib import resources
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    import pandas

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


def style_of(layer: str) -> str:
    """The style of a layer of the GeoPackage, or of the ``map``."""
    return resources.files(__package__).joinpath("styles", f"{layer}.qml").read_text("utf-8")


def map_style(threshold: float) -> str:
    """The style of a map: clear below a threshold, then yellow to red."""
    root = ElementTree.fromstring(style_of("map"))
    for shader in root.iter("colorrampshader"):
        shader.set("minimumValue", f"{threshold:.6g}")
        # the items of the file: clear, clear up to the threshold, and from it in three steps
        values = 0.0, max(threshold - 1e-4, 0.0), threshold, (1 + threshold) / 2, 1.0
        labels = "0", f"under {threshold:.2g}", f"{threshold:.2g}", f"{values[3]:.2g}", "1"
        for item, value, label in zip(shader.iter("item"), values, labels, strict=True):
            item.set("value", f"{value:.6g}")
            item.set("label", label)
    for renderer in root.iter("rasterrenderer"):
        renderer.set("classificationMin", f"{threshold:.6g}")
    return _DOCTYPE + ElementTree.tostring(root, encoding="unicode")


def layer_styles(layers: Iterable[str]) -> pandas.DataFrame:
    """The table ``layer_styles`` of a GeoPackage, from which QGIS takes the style that a layer opens with."""
    import pandas

    rows = [
        {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": layer,
            "f_geometry_column": "geom",
            "styleName": layer,
            "styleQML": style_of(layer),
            "styleSLD": "",
            "useAsDefault": True,
            "description": "sklandslide",
            "owner": "",
            "ui": "",
            "update_time": pandas.Timestamp.now("UTC").tz_localize(None).floor("s"),
        }
        for layer in layers
    ]
    return pandas.DataFrame(rows)


def write_layer_styles(path: str | os.PathLike[str], layers: Iterable[str]) -> None:
    """Add the table ``layer_styles`` to a GeoPackage."""
    import pyogrio

    pyogrio.write_dataframe(layer_styles(layers), path, layer="layer_styles", driver="GPKG", FID="id")
