"""Inventories that are damaged, link elsewhere, or cannot be meant: an error in bounded time, or the right shapes."""

import json
import os
import shutil

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from rasters import write
from scenes import random_scene
from shapely.geometry import Polygon, box

from sklandslide import LandslideMap, sample_polygons
from sklandslide.exceptions import InventoryError, SamplingWarning, SceneReadError, SklandslideError
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


def test_heights_and_measures_of_corners_do_not_matter(tmp_path):
    wkt = "POLYGON Z ((0 0 NaN, 9 0 1, 9 9 1, 0 0 NaN))"
    shape = shapely.transform(shapely.from_wkt(wkt), lambda c: c + np.array([X, Y, 0]), include_z=True)
    frame_of(shape).to_file(tmp_path / "p.gpkg")
    for polygons in (frame_of(shape), tmp_path / "p.gpkg"):
        assert read_inventory(polygons, UTM).geometries[0].area == pytest.approx(40.5)


def test_a_polygon_about_the_whole_world_gives_no_more_samples_than_the_scene_holds():
    world = frame_of(box(-1e8, -1e8, 1e8, 1e8), square(), **{"class": ["other", "landslide"]})
    with pytest.warns(SamplingWarning, match="candidates of other ground lie on a landslide"):
        samples, y, _ = sample_polygons(random_scene(), world, patch_size=5, stride=5)
    assert 0 < len(samples) < 60 * 70
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


@pytest.mark.parametrize("crs", [5, {"type": "name"}, {"properties": {"name": "nonsense"}}, [], "EPSG:4326"])
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
        (pd.Categorical(["landslide", "x", "landslide"]), 2),
        (["landslide", ("a", "b"), ["c"]], 1),
    ],
)
def test_classes_of_mixed_kinds_are_compared_one_by_one(classes, n):
    frame = frame_of(square(0), square(1), square(2), **{"class": classes})
    assert read_inventory(frame, UTM).labels.sum() == n


def test_classes_without_the_positive_one_are_named_whatever_they_are():
    for classes in ([["a"], {"b": 1}], [5, "x"]):
        frame = frame_of(square(0), square(1), **{"class": classes})
        refused(frame, "No polygon has class == 'landslide'; the values are")


@pytest.mark.parametrize("ids", [[float("nan"), 1], [None, "a"], [1, 1.0], [True, 1]])
def test_identifiers_that_cannot_tell_polygons_apart_are_refused(ids):
    refused(frame_of(square(0), square(1), id=ids), "does not give each polygon an identifier of its own")


# Files


@pytest.mark.parametrize("missing", [".shx", ".dbf", ".prj"])
def test_a_shapefile_without_one_of_its_files(tmp_path, missing):
    frame_of(square()).to_file(tmp_path / "p.shp")
    os.remove(tmp_path / f"p{missing}")
    if missing == ".shx":
        refused(tmp_path / "p.shp", "cannot be read as polygons", SceneReadError)
    elif missing == ".dbf":
        refused(tmp_path / "p.shp", r"\.dbf", SceneReadError)
    else:
        assert read_inventory(tmp_path / "p.shp", UTM).geometries[0].equals(square())


def test_layers_are_not_chosen_in_silence(tmp_path):
    """Points lie in the file as well, and a style, which is no layer."""
    path = tmp_path / "p.gpkg"
    frame_of(square(0)).to_file(path, layer="of 2018")
    frame_of(square(0).centroid).to_file(path, layer="points")
    pyogrio.write_dataframe(pd.DataFrame({"styleQML": ["<qgis/>"]}), path, layer="layer_styles")
    said = r"holds 2 layers of shapes, \['of 2018', 'points'\], and layer="
    refused(path, f"{said}None names none of them: choose one", SceneReadError)
    refused(path, f"{said}'of 2019' names none", SceneReadError, layer="of 2019")
    assert read_inventory(path, UTM, layer="of 2018").geometries[0].equals(square(0))
    refused(path, "holds Point; landslides are polygons", layer="points")
    refused(frame_of(square()), r"layer='of 2018' is given with GeoDataFrame; only files have layers", layer="of 2018")


def test_samples_are_drawn_from_the_layer_asked_for(tmp_path):
    path = tmp_path / "p.gpkg"
    both = frame_of(square(0), square(1), **{"class": ["landslide", "other"]})
    both.to_file(path, layer="both")
    frame_of(square(2)).to_file(path, layer="rest")
    scene = random_scene()
    expected = sample_polygons(scene, both, patch_size=5)
    found = sample_polygons(scene, path, layer="both", patch_size=5)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    landslides = LandslideMap.open(
        write(tmp_path / "map.tif", np.ones((60, 70), np.float32), transform=scene.grid.transform)
    )
    assert landslides.score(path, layer="both") == landslides.score(both)
    assert landslides.hit_rates(path, layer="both").equals(landslides.hit_rates(both))
    landslides.to_gpkg(tmp_path / "out.gpkg", inventory=path, layer="both")
    assert len(geopandas.read_file(tmp_path / "out.gpkg", layer="inventory")) == 1
    assert "inventory" in [drawn.get_label() for drawn in landslides.plot(inventory=path, layer="both").collections]


KML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{more}'
    "<Folder><name>inventory</name><Placemark><name>landslide</name><Polygon><outerBoundaryIs><LinearRing><coordinates>"
    "142.20,42.70,0 142.21,42.70,0 142.21,42.71,0 142.20,42.71,0 142.20,42.70,0"
    "</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Folder></Document></kml>"
)


def test_a_kml_is_read(tmp_path):
    (tmp_path / "p.kml").write_text(KML.format(more=""))
    found = read_inventory(tmp_path / "p.kml", UTM, class_column="Name")
    expected = geopandas.GeoSeries([box(142.20, 42.70, 142.21, 42.71)], crs=4326).to_crs(UTM.to_wkt())[0]
    assert found.geometries[0].symmetric_difference(expected).area < 1e-6 * expected.area


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "gml", "kml"])
@pytest.mark.parametrize(
    "text",
    [
        '<OGRVRTDataSource><OGRVRTLayer name="p"><SrcDataSource>{web}/p.geojson</SrcDataSource></OGRVRTLayer>'
        "</OGRVRTDataSource>",
        "<OGRWFSDataSource><URL>{web}/wfs?SERVICE=WFS</URL></OGRWFSDataSource>",
        '<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" xmlns:gml="http://www.opengis.net/gml" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://a {web}/a.xsd"/>',
        '{{"type":"gdal_streamed_alg","command_line":"gdal vector pipeline ! read {web}/p.gpkg"}}',
        '{{"type":"FeatureCollection","links":[{{"rel":"next","href":"{web}/n"}}],"crs":{{"type":"link","properties":'
        '{{"href":"{web}/crs","type":"proj4"}}}},"features":[]}}',
        '{{"type":"FeatureCollection","crs":{{"type":"url","properties":{{"url":"{web}/crs"}}}},"features":[]}}',
        "{kml}",
        "{web}/p.geojson",
    ],
)
def test_no_network_is_asked_by_a_file_of_polygons(tmp_path, web, suffix, text):
    links = "<NetworkLink><Link><href>{web}/a.kml</href></Link></NetworkLink><!-- <OGRVRTDataSource/> -->"
    path = tmp_path / f"p.{suffix}"
    path.write_text(text.format(web=web.address, kml=KML.format(more=links.format(web=web.address))))
    refused(path, "cannot be read as polygons|no polygon", SklandslideError, class_column=None)
    assert web.asked == []


def test_the_options_of_gdal_are_put_back(tmp_path):
    frame_of(square()).to_file(tmp_path / "p.gpkg")
    pyogrio.set_gdal_config_options({"GDAL_HTTP_MAX_RETRY": 3})
    read_inventory(tmp_path / "p.gpkg", UTM)
    assert pyogrio.get_gdal_config_option("GDAL_HTTP_MAX_RETRY") == 3
    assert pyogrio.get_gdal_config_option("GDAL_HTTP_PROXY") is None
    pyogrio.set_gdal_config_options({"GDAL_HTTP_MAX_RETRY": None})


@pytest.mark.parametrize("name", ["{web}/p.geojson", "/vsicurl/{web}/p.gpkg", "s3://b/p.gpkg", "WFS:{web}", "", 5])
def test_an_address_is_no_path(web, name):
    name = name.format(web=web.address) if isinstance(name, str) else name
    refused(name, "no file on this machine|is a folder|Polygons cannot be taken from int", SklandslideError)
    assert web.asked == []


def test_an_archive_is_not_looked_into(tmp_path):
    frame_of(square()).to_file(tmp_path / "p.gpkg")
    shutil.make_archive(str(tmp_path / "p"), "zip", tmp_path, "p.gpkg")
    refused(tmp_path / "p.zip", "cannot be read as polygons.*an archive is to be unpacked", SceneReadError)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "{" + '"a":{' * 100_000, "{}", '{"type": ["a"]}', '{"type": "FeatureCollection", "features": 5}',
        '\ufeff{"type": "Polygon"}', '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], ["a", 1], [0, 0]]]}',
        '{"type": "Polygon", "coordinates": [[[' + "9" * 5000 + ", 0], [1, 0], [1, 1], [0, 0]]]}",
    ],
)  # fmt: skip
def test_broken_geojson_is_refused(tmp_path, text):
    (tmp_path / "p.geojson").write_text(text, encoding="utf-8")
    refused(tmp_path / "p.geojson", "cannot be read as polygons", SklandslideError, class_column=None)
