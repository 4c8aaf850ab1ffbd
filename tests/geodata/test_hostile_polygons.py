"""Inventories that are damaged, link elsewhere, or cannot be meant: an error in bounded time, or the right shapes."""

import json
import os
import shutil
import sqlite3
import struct
import time

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from scenes import random_scene
from shapely.geometry import MultiPolygon, Polygon, box

from sklandslide import sample_polygons
from sklandslide.exceptions import InventoryError, SceneReadError, SklandslideError
from sklandslide.geodata.inventory import read_inventory

UTM = CRS.from_epsg(32654)
X, Y = 500_100.0, 4_699_700.0


pytestmark = pytest.mark.usefixtures("in_time")


def frame_of(*shapes, **columns):
    columns = {"class": ["landslide"] * len(shapes), **columns}
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs=UTM.to_wkt())


def square(number=0, size=50.0):
    return box(X + 60 * number, Y, X + 60 * number + size, Y + size)


def refused(polygons, match, error=InventoryError, **options):
    with pytest.raises(error, match=match):
        read_inventory(polygons, UTM, **options)


# Shapes


def test_a_ring_beside_its_shell_is_repaired_to_what_lies_in_one_of_them():
    outside = Polygon(square(0).exterior.coords, [square(1).exterior.coords])
    (found,) = read_inventory(frame_of(outside), UTM).geometries
    assert found.is_valid
    assert found.area == pytest.approx(5000)


def test_corners_that_stand_twice_change_nothing():
    corners = np.repeat(shapely.get_coordinates(square()), 3, axis=0)
    (found,) = read_inventory(frame_of(Polygon(corners)), UTM).geometries
    assert found.equals(square())


def test_the_same_polygon_twice_is_two():
    assert len(read_inventory(frame_of(square(), square()), UTM).geometries) == 2


@pytest.mark.parametrize(
    "wkt", ["POLYGON ZM ((0 0 1 9, 9 0 1 9, 9 9 1 9, 0 0 1 9))", "POLYGON Z ((0 0 NaN, 9 0 1, 9 9 1, 0 0 NaN))"]
)
def test_heights_and_measures_of_corners_do_not_matter(tmp_path, wkt):
    shape = shapely.transform(shapely.from_wkt(wkt), lambda c: c + np.array([X, Y, 0]), include_z=True)
    assert read_inventory(frame_of(shape), UTM).geometries[0].area == pytest.approx(40.5)
    if "M" not in wkt:  # cannot be written
        frame_of(shape).to_file(tmp_path / "p.gpkg")
        assert read_inventory(tmp_path / "p.gpkg", UTM).geometries[0].area == pytest.approx(40.5)


def test_curves_are_polygons_or_refused(tmp_path):
    """A circle of radius 50 as a curve polygon, written as GeoPackage's own bytes."""
    frame_of(square()).to_file(tmp_path / "p.gpkg")
    ring = struct.pack("<BII", 1, 8, 5)  # a circular string
    ring += struct.pack("<10d", X, Y, X + 50, Y + 50, X + 100, Y, X + 50, Y - 50, X, Y)
    curve = struct.pack("<BII", 1, 10, 1) + ring
    content = b"GP\0\1" + struct.pack("<i", 32654) + curve
    with sqlite3.connect(tmp_path / "p.gpkg") as database:
        database.execute("DROP TRIGGER IF EXISTS rtree_p_geom_update6")
        database.execute("DROP TRIGGER IF EXISTS rtree_p_geom_update7")
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{name}"')
        database.execute("UPDATE p SET geom = ?", (content,))
    database.close()
    try:
        (found,) = read_inventory(tmp_path / "p.gpkg", UTM).geometries
    except SklandslideError as error:
        assert "Curve" in str(error) or "cannot be read" in str(error)
    else:
        assert found.area == pytest.approx(np.pi * 50**2, rel=0.01)


def test_one_polygon_of_two_million_corners_takes_seconds():
    angle = np.linspace(0, 2 * np.pi, 2_000_001)[:-1]
    radius = 1000 + 100 * np.sin(9 * angle)
    shape = Polygon(np.column_stack([X + radius * np.cos(angle), Y + radius * np.sin(angle)]))
    begun = time.perf_counter()
    (found,) = read_inventory(frame_of(shape), UTM).geometries
    assert time.perf_counter() - begun < 20
    assert found.equals_exact(shape, 0)


def test_a_hundred_thousand_polygons_take_seconds(tmp_path):
    left = np.arange(100_000) * 20.0
    shapes = shapely.box(left, 0.0, left + 10, 10.0)
    frame = frame_of(*shapes)
    frame.to_file(tmp_path / "p.gpkg")
    begun = time.perf_counter()
    assert len(read_inventory(tmp_path / "p.gpkg", UTM).geometries) == 100_000
    assert time.perf_counter() - begun < 30


def test_a_few_hundred_crossings_are_repaired():
    x = np.arange(301.0)
    there = np.column_stack([X + x, Y + x % 2])
    back = np.column_stack([X + x[::-1], Y + 1 - x[::-1] % 2])
    (found,) = read_inventory(frame_of(Polygon(np.vstack([there, back]))), UTM).geometries
    assert found.area == pytest.approx(150)


def test_a_polygon_about_the_whole_world_gives_no_more_samples_than_the_scene_holds():
    scene = random_scene()
    world = frame_of(box(-1e8, -1e8, 1e8, 1e8), square(), **{"class": ["landslide", "other"]})
    X_, y, _ = sample_polygons(scene, world, patch_size=5, stride=5)
    assert 0 < len(X_) < 60 * 70
    assert set(y) == {0, 1}


def test_polygons_that_have_no_place_in_the_scenes_coordinates_are_refused():
    refused(geopandas.GeoSeries([box(-180, -90, 180, 90)], crs=4326), "not finite|no area|cannot", class_column=None)


# Coordinate systems


def test_degrees_without_a_coordinate_system_are_not_taken_for_metres(tmp_path):
    bare = geopandas.GeoDataFrame({"class": ["landslide"]}, geometry=[box(141, 42, 142, 43)])
    refused(bare, r"no coordinate system.*look like degrees.*set_crs")
    with pytest.warns(UserWarning, match="'crs' was not provided"):
        bare.to_file(tmp_path / "p.shp")
    refused(tmp_path / "p.shp", r"look like degrees.*\.prj")
    metres = geopandas.GeoDataFrame({"class": ["landslide"]}, geometry=[square()])
    assert len(read_inventory(metres, UTM).geometries) == 1
    with pytest.raises(InventoryError, match="look like metres"):
        read_inventory(metres, CRS.from_epsg(4326))


def test_geojson_that_names_no_coordinate_system_is_in_degrees(tmp_path):
    content = {"type": "Feature", "properties": {"class": "landslide"}}
    content["geometry"] = shapely.geometry.mapping(box(142.2, 42.7, 142.3, 42.8))
    (tmp_path / "p.json").write_text(json.dumps(content))
    left, bottom, *_ = read_inventory(tmp_path / "p.json", UTM).geometries[0].bounds
    assert (round(left, -3), round(bottom, -3)) == (598_000, 4_728_000)


@pytest.mark.parametrize(
    "crs", [5, {"type": "name"}, {"properties": {"name": "nonsense"}}, {"properties": 5}, [], "EPSG:4326"]
)
def test_geojson_with_a_broken_coordinate_system_is_refused(tmp_path, crs):
    content = {"type": "FeatureCollection", "crs": crs, "features": [{"type": "Feature", "properties": {}}]}
    content["features"][0]["geometry"] = shapely.geometry.mapping(square())
    refused(content, "is not valid GeoJSON", class_column=None)
    (tmp_path / "p.geojson").write_text(json.dumps(content))
    refused(tmp_path / "p.geojson", "cannot be read as polygons", SceneReadError, class_column=None)


# Columns


@pytest.mark.parametrize(
    ("classes", "n"),
    [
        (["landslide", 5, 2.5], 1),
        ([b"landslide", "landslide", "x"], 1),
        (pd.Categorical(["landslide", "x", "landslide"]), 2),
        (["landslide", ("a", "b"), ["c"]], 1),
        ([True, "landslide", {"a": 1}], 1),
    ],
)
def test_classes_of_mixed_kinds_are_compared_one_by_one(classes, n):
    frame = frame_of(square(0), square(1), square(2), **{"class": classes})
    assert read_inventory(frame, UTM).labels.sum() == n


@pytest.mark.parametrize("classes", [[["a"], {"b": 1}], [5, "x"], [b"landslide", 1.5]])
def test_classes_without_the_positive_one_are_named_whatever_they_are(classes):
    refused(frame_of(square(0), square(1), **{"class": classes}), "No polygon has class == 'landslide'; the values are")


@pytest.mark.parametrize("positive", [["landslide"], np.array(["landslide", "x"]), ("a", "b")])
def test_a_positive_class_that_is_several_is_refused(positive):
    refused(frame_of(square(0), square(1)), r"positive=.* is no class\. Give one value", positive=positive)


@pytest.mark.parametrize("name", ["it's", 'a "b"', "a\nb", "a;DROP TABLE p", "ü🙂", "a%sb", "x" * 200])
def test_columns_of_any_name_are_found(tmp_path, name):
    frame = frame_of(square(0), square(1)).rename(columns={"class": name})
    frame.to_file(tmp_path / "p.gpkg")
    for polygons in (frame, tmp_path / "p.gpkg"):
        assert read_inventory(polygons, UTM, class_column=name).labels.tolist() == [1, 1]


@pytest.mark.parametrize("ids", [[float("nan"), 1], [None, "a"], [1, 1.0], [True, 1]])
def test_identifiers_that_cannot_tell_polygons_apart_are_refused(ids):
    refused(frame_of(square(0), square(1), id=ids), "does not give each polygon an identifier of its own")


def test_words_of_another_encoding_are_not_taken_for_the_class(tmp_path):
    frame_of(square(0), square(1), **{"class": ["Übersee", "x"]}).to_file(tmp_path / "p.shp", encoding="ISO-8859-1")
    (tmp_path / "p.cpg").write_text("UTF-8")
    try:
        labels = read_inventory(tmp_path / "p.shp", UTM, positive="Übersee").labels
    except SklandslideError as error:
        assert "cannot be read" in str(error) or "No polygon has class" in str(error)
    else:
        assert labels.tolist() == [1, 0]


# Files


@pytest.mark.parametrize("missing", [".shx", ".dbf", ".prj"])
def test_a_shapefile_without_one_of_its_files(tmp_path, missing):
    frame_of(square()).to_file(tmp_path / "p.shp")
    os.remove(tmp_path / f"p{missing}")
    if missing == ".shx":
        refused(tmp_path / "p.shp", "cannot be read as polygons", SceneReadError)
    elif missing == ".dbf":
        refused(tmp_path / "p.shp", "no column 'class'")
    else:
        assert read_inventory(tmp_path / "p.shp", UTM).geometries[0].equals(square())


@pytest.mark.parametrize("name", ["p.dbf", "p.shx"])
def test_another_file_of_a_shapefile_is_refused(tmp_path, name):
    frame_of(square()).to_file(tmp_path / "p.shp")
    refused(tmp_path / name, "cannot be read as polygons", SceneReadError)


@pytest.mark.parametrize("kind", ["folder", "pipe", "/dev/zero", "pipe beside"])
def test_pipes_devices_and_folders_are_not_waited_for(tmp_path, kind):
    path = tmp_path / "p.shp"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "pipe beside":
        frame_of(square()).to_file(path)
        os.remove(tmp_path / "p.dbf")
        os.mkfifo(tmp_path / "p.dbf")
    else:
        path.symlink_to(kind)
    refused(path, "is a folder|no ordinary file|is a device", SceneReadError)


def test_layers_are_not_chosen_in_silence(tmp_path):
    path = tmp_path / "p.gpkg"
    frame_of(square(0)).to_file(path, layer="of 2018")
    frame_of(square(1)).to_file(path, layer="of 2019")
    refused(path, r"holds 2 layers of shapes: 'of 2018', 'of 2019'\. Choose one.*geopandas\.read_file")
    assert len(read_inventory(geopandas.read_file(path, layer="of 2019"), UTM).geometries) == 1


def test_styles_in_a_geopackage_are_no_layer(tmp_path):
    path = tmp_path / "p.gpkg"
    frame_of(square(0)).to_file(path)
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles")
    assert len(read_inventory(path, UTM).geometries) == 1


@pytest.mark.parametrize("name", ["gpkg_geometry_columns", "gpkg_extensions", "p"])
def test_a_query_in_the_place_of_a_table_is_not_run(tmp_path, name):
    path = tmp_path / "p.gpkg"
    frame_of(square(0)).to_file(path)
    database = sqlite3.connect(path)
    with database:
        database.execute("PRAGMA legacy_alter_table = ON")
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name, column_name)")
        database.execute(f"ALTER TABLE {name} RENAME TO kept")
        database.execute(f"CREATE VIEW {name} AS SELECT * FROM kept")
    database.close()
    refused(path, "is a view", SceneReadError)


def test_a_database_that_is_no_geopackage_is_refused(tmp_path):
    database = sqlite3.connect(tmp_path / "p.gpkg")
    with database:
        database.execute("CREATE TABLE geometry_columns (f_table_name, f_geometry_column)")
    database.close()
    refused(tmp_path / "p.gpkg", "a database, but no GeoPackage", SceneReadError)


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "shp", "vrt", "gml", "kml", "csv", "xml"])
@pytest.mark.parametrize(
    "text",
    [
        '<OGRVRTDataSource><OGRVRTLayer name="p"><SrcDataSource>/vsicurl/{web}/p.shp</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>",
        '<OGRVRTDataSource><OGRVRTLayer name="p"><SrcDataSource>{web}/p.geojson</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>",
        "<OGRWFSDataSource><URL>{web}/wfs?SERVICE=WFS</URL></OGRWFSDataSource>",
        '<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://a {web}/a.xsd"/>',
        '{{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read {web}/p.gpkg"}}',
        '{{"type":"FeatureCollection","links":[{{"rel":"next","href":"{web}/n"}}],"crs":{{"type":"link","properties":'
        '{{"href":"{web}/crs","type":"proj4"}}}},"features":[]}}',
        '{{"type":"FeatureCollection","crs":{{"type":"name","properties":{{"name":"{web}/crs"}}}},"features":['
        '{{"type":"Feature","properties":{{}},"geometry":null}}]}}',
        '{{"objectIdFieldName":"a","spatialReference":{{"wkid":4326}},"features":[],"url":"{web}"}}',
        "<kml><NetworkLink><Link><href>{web}/a.kml</href></Link></NetworkLink></kml>",
        "{web}/p.geojson",
    ],
)  # fmt: skip
def test_no_network_is_asked_by_a_file_of_polygons(tmp_path, web, suffix, text):
    (tmp_path / f"p.{suffix}").write_text(text.format(web=web.address))
    refused(tmp_path / f"p.{suffix}", "cannot be read as polygons|no polygon", SklandslideError, class_column=None)
    assert web.asked == []


@pytest.mark.parametrize(
    "name",
    [
        "{web}/p.geojson", "/vsicurl/{web}/p.gpkg", "s3://bucket/p.gpkg", "zip+{web}/p.zip", "WFS:{web}",
        "PG:host=127.0.0.1", "MSSQL:server=127.0.0.1", "CSV:/vsicurl/{web}/p.csv", "GeoJSON:{web}/p",
        "ESRIJSON:{web}/p", "OAPIF:{web}", '{{"type":"FeatureCollection","features":[]}}', "<OGRVRTDataSource/>", "",
    ],
)  # fmt: skip
def test_an_address_is_no_path(web, name):
    refused(name.format(web=web.address), "no file on this machine|cannot be opened|is a folder", SceneReadError)
    assert web.asked == []


@pytest.mark.parametrize("name", ["p.zip", "p.shp.zip", "p.kmz"])
def test_an_archive_is_not_looked_into(tmp_path, name):
    frame_of(square()).to_file(tmp_path / "p.gpkg")
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "p.gpkg")
    os.rename(tmp_path / "packed.zip", tmp_path / name)
    refused(tmp_path / name, "cannot be read as polygons", SceneReadError)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[" * 100_000, "{" + '"a":{' * 100_000, '{"type": "Topology"}', '{"type": 5}', "{}", "null",
        '{"type": ["a"]}',
        '{"type": "FeatureCollection"}', '{"type": "FeatureCollection", "features": 5}', '\ufeff{"type": "Polygon"}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], ["a", 1], [0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1e999, 0], [1, 1], [0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[' + "9" * 5000 + ", 0], [1, 0], [1, 1], [0, 0]]]}",
        '{"type": "MultiPolygon", "coordinates": [[[]]]}', '{"type": "Feature", "geometry": 5, "properties": []}',
    ],
)  # fmt: skip
def test_broken_geojson_is_refused(tmp_path, text):
    (tmp_path / "p.geojson").write_text(text, encoding="utf-8")
    refused(tmp_path / "p.geojson", "cannot be read as polygons|Remove|no polygon", SklandslideError, class_column=None)


def test_geojson_of_more_bytes_than_memory_is_refused_unread(tmp_path):
    with open(tmp_path / "p.geojson", "wb") as file:
        file.write(b'{"type": "FeatureCollection", ')
        file.truncate(2**40)
    refused(tmp_path / "p.geojson", "as GeoJSON it may have 256 MiB; a GeoPackage may have more", SceneReadError)


def test_a_frame_of_several_parts_keeps_them_all(tmp_path):
    parts = MultiPolygon([square(0), square(1)])
    frame_of(parts, square(2)).to_file(tmp_path / "p.gpkg")
    found = read_inventory(tmp_path / "p.gpkg", UTM)
    assert [shape.area for shape in found.geometries] == pytest.approx([5000, 2500])
