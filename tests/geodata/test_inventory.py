"""Polygons from files and from memory, in the scene's coordinates."""

import json

import geopandas
import geopandas.testing
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from rasterio.crs import CRS
from shapely.geometry import GeometryCollection, LineString, MultiPolygon, Point, Polygon, box, mapping

from sklandslide.exceptions import InventoryError, SceneReadError
from sklandslide.geodata.inventory import read_inventory

UTM = CRS.from_epsg(32654)
X0, Y0 = 600_000.0, 4_740_000.0


@pytest.fixture
def frame():
    """Four polygons in UTM: a hole, a multipolygon, both classes."""
    ring = box(X0, Y0, X0 + 300, Y0 + 300).difference(box(X0 + 100, Y0 + 100, X0 + 200, Y0 + 200))
    parts = MultiPolygon([box(X0 + 500, Y0, X0 + 600, Y0 + 50), box(X0 + 700, Y0, X0 + 800, Y0 + 70)])
    others = [box(X0, Y0 + 900, X0 + 40, Y0 + 950), box(X0 + 400, Y0 + 900, X0 + 500, Y0 + 950)]
    return geopandas.GeoDataFrame(
        {"class": ["landslide", "farm", "landslide", "forest"], "id": [7, 3, 11, 5]},
        geometry=[ring, parts, *others],
        crs=UTM.to_wkt(),
    )


def agree(inventory, frame, tolerance=1e-6):
    """The inventory is the frame: same shapes, labels and ids in the same order."""
    assert inventory.labels.tolist() == [1, 0, 1, 0]
    assert inventory.labels.dtype == np.int64
    assert inventory.ids.tolist() == [7, 3, 11, 5]
    assert len(inventory.geometries) == 4
    for found, given in zip(inventory.geometries, frame.geometry, strict=True):
        assert found.geom_type in ("Polygon", "MultiPolygon")
        assert found.symmetric_difference(given).area < tolerance


# Sources


@pytest.mark.parametrize("name", ["p.gpkg", "p.shp", "p.geojson"])
def test_a_file_gives_its_polygons(tmp_path, frame, name):
    frame.to_file(tmp_path / name)
    agree(read_inventory(tmp_path / name, UTM), frame, tolerance=1e-3)
    agree(read_inventory(str(tmp_path / name), UTM), frame, tolerance=1e-3)


def test_polygons_in_memory_are_the_same(frame):
    agree(read_inventory(frame, UTM), frame)
    agree(read_inventory(frame.set_crs(None, allow_override=True), UTM), frame)
    collection = json.loads(frame.to_json())
    agree(read_inventory(collection, UTM), frame)
    agree(read_inventory(frame.__geo_interface__, UTM), frame)
    agree(read_inventory(frame.rename_geometry("outline"), UTM), frame)

    class Interface:
        __geo_interface__ = collection

    agree(read_inventory(Interface(), UTM), frame)


def test_what_has_no_columns_is_all_landslide(frame):
    one = frame.geometry.iloc[0]
    for polygons in (
        frame.geometry,
        GeometryCollection(list(frame.geometry)),
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "geometry": mapping(g)} for g in frame.geometry],
        },
    ):
        inventory = read_inventory(polygons, UTM, class_column=None)
        assert inventory.labels.tolist() == [1, 1, 1, 1]
        assert inventory.ids.tolist() == [0, 1, 2, 3]
        assert shapely.area(inventory.geometries) == pytest.approx(frame.area.to_numpy())
    for polygons in (one, mapping(one), {"type": "Feature", "properties": {}, "geometry": mapping(one)}):
        assert read_inventory(polygons, UTM, class_column=None).geometries[0].equals(one)


def test_columns_and_the_positive_class_are_chosen(frame):
    other = frame.rename(columns={"class": "kind", "id": "code"}).assign(certain=[1, 0, 0, 1])
    inventory = read_inventory(other, UTM, class_column="kind", positive="farm", id_column="code")
    assert inventory.labels.tolist() == [0, 1, 0, 0]
    assert inventory.ids.tolist() == [7, 3, 11, 5]
    assert read_inventory(other, UTM, class_column="certain", positive=1).labels.tolist() == [1, 0, 0, 1]
    assert read_inventory(other, UTM, class_column="kind").ids.tolist() == [0, 1, 2, 3]  # no column "id"
    assert read_inventory(frame, UTM, id_column=None).ids.tolist() == [0, 1, 2, 3]
    assert read_inventory(frame.astype({"class": "category"}), UTM).labels.tolist() == [1, 0, 1, 0]


def test_the_frame_given_is_left_alone(frame):
    before = frame.copy()
    read_inventory(frame.to_crs(4326), UTM)
    read_inventory(frame, UTM)
    geopandas.testing.assert_geodataframe_equal(frame, before)


# Coordinates


@pytest.mark.parametrize("crs", [4326, 32653])
def test_polygons_in_other_coordinates_are_brought_to_the_scene(frame, crs):
    elsewhere = frame.to_crs(crs)
    assert not elsewhere.geometry.iloc[0].intersects(frame.geometry.iloc[0])
    agree(read_inventory(elsewhere, UTM), frame, tolerance=1e-3)


def test_east_and_north_are_not_swapped():
    place = geopandas.GeoSeries([box(142.2, 42.7, 142.3, 42.8)], crs=4326)
    left, bottom, right, top = read_inventory(place, UTM, class_column=None).geometries[0].bounds
    # central meridian 141 E: 1.2 to 1.3 degrees east of it, 42.7 degrees of 111.1 km north
    assert 598_000 < left < right < 607_000
    assert 4_727_000 < bottom < top < 4_740_000


def test_without_any_coordinate_system_polygons_stay_where_they_are(frame):
    agree(read_inventory(frame.set_crs(None, allow_override=True), None), frame)


def test_polygons_with_coordinates_and_a_scene_without(frame):
    with pytest.raises(
        InventoryError, match=r"have a coordinate system \(.*\) and the scene has none.*Give the scene its CRS"
    ):
        read_inventory(frame, None)


# Geometry


def test_a_bow_tie_is_repaired_and_keeps_its_area():
    bow_tie = Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    assert not bow_tie.is_valid
    assert bow_tie.area == 0  # what the unrepaired one says
    (repaired,) = read_inventory(geopandas.GeoSeries([bow_tie]), None, class_column=None).geometries
    assert repaired.is_valid
    assert repaired.area == pytest.approx(50)
    assert repaired.contains(Point(1, 5))
    assert repaired.contains(Point(9, 5))
    assert not repaired.intersects(Point(5, 1))


def test_repairing_leaves_no_lines():
    # a square with a spike: repaired to a square and a line
    spiked = Polygon([(0, 0), (10, 0), (10, 5), (15, 5), (10, 5), (10, 10), (0, 10)])
    assert not spiked.is_valid
    (repaired,) = read_inventory(geopandas.GeoSeries([spiked]), None, class_column=None).geometries
    assert repaired.geom_type == "Polygon"
    assert repaired.equals(box(0, 0, 10, 10))


@pytest.mark.parametrize(
    ("geometry", "kind"),
    [
        (Point(1, 1), "Point"),
        (LineString([(0, 0), (1, 1)]), "LineString"),
        (GeometryCollection([box(0, 0, 1, 1), Point(3, 3)]), "GeometryCollection"),
        (None, "missing geometry"),
    ],
)
def test_what_is_no_polygon_is_refused(geometry, kind):
    series = geopandas.GeoSeries([box(0, 0, 1, 1), geometry])
    with pytest.raises(InventoryError, match=rf"holds {kind}; landslides are polygons.*radius="):
        read_inventory(series, None, class_column=None)


@pytest.mark.parametrize(
    "wkt",
    [
        "POLYGON EMPTY",
        "POLYGON ((0 0, 1 0, 1 NaN, 0 1, 0 0))",
        "POLYGON ((0 0, 1 0, Inf 1, 0 1, 0 0))",
    ],
)
def test_empty_polygons_and_coordinates_that_are_no_numbers_are_refused(wkt):
    with np.errstate(invalid="ignore"):
        bad = shapely.from_wkt(wkt)
    series = geopandas.GeoSeries([box(0, 0, 1, 1), box(2, 0, 3, 1), bad])
    with pytest.raises(
        InventoryError, match=r"1 of 3 polygons are empty or .*not finite.*position 2\)\. Remove or repair"
    ):
        read_inventory(series, None, class_column=None)


def test_a_polygon_without_area_is_refused():
    flat = Polygon([(0, 0), (1, 1), (2, 2)])
    with pytest.raises(InventoryError, match=r"no area: .*at least three corners"):
        read_inventory(geopandas.GeoSeries([flat]), None, class_column=None)


@pytest.mark.parametrize(
    "polygons",
    [
        geopandas.GeoDataFrame({"class": [], "id": []}, geometry=[], crs=32654),
        {"type": "FeatureCollection", "features": []},
    ],
    ids=["frame", "features"],
)
def test_no_polygon_at_all_is_refused(polygons):
    with pytest.raises(InventoryError, match=r"There is no polygon in the inventory\. Give"):
        read_inventory(polygons, UTM)


# Columns


def test_a_missing_class_column_is_named_with_those_there_are(frame):
    with pytest.raises(InventoryError, match=r"no column 'kind'; they have class, id\. Set class_column="):
        read_inventory(frame, UTM, class_column="kind")
    with pytest.raises(InventoryError, match="no column 'kind'; they have none"):
        read_inventory(frame.geometry, UTM, class_column="kind")
    with pytest.raises(InventoryError, match="no column 'geometry'"):
        read_inventory(frame, UTM, class_column="geometry")


def test_without_a_class_column_all_are_landslides_unless_another_tells_them_apart(frame):
    bare = frame.drop(columns="class")
    assert read_inventory(bare, UTM).labels.tolist() == [1] * len(frame)
    assert read_inventory(bare.assign(kind="landslide"), UTM).labels.all()
    for name in ("CLASS", "kind"):
        told = rf"no column 'class', and column '{name}' holds 'landslide' for \d of {len(frame)}\. Set class_column"
        with pytest.raises(InventoryError, match=told):
            read_inventory(frame.rename(columns={"class": name}), UTM)
        assert read_inventory(frame.rename(columns={"class": name}), UTM, class_column=None).labels.all()


def test_a_positive_class_that_does_not_occur_is_named_with_those_that_do(frame):
    with pytest.raises(
        InventoryError, match=r"class == 'slide'; the values are 'farm', 'forest', 'landslide'\. Set positive="
    ):
        read_inventory(frame, UTM, positive="slide")
    with pytest.raises(InventoryError, match="class == 1; the values are"):
        read_inventory(frame, UTM, positive=1)


def test_a_polygon_without_class_is_refused(frame):
    frame["class"] = ["landslide", None, "farm", float("nan")]
    with pytest.raises(InventoryError, match=r"2 polygons have no value in column 'class'\. Give each its class"):
        read_inventory(frame, UTM)


# Files and objects that will not do


def test_a_truncated_shapefile_loses_no_polygon_in_silence(tmp_path, frame):
    frame.to_file(tmp_path / "p.shp")
    content = (tmp_path / "p.shp").read_bytes()
    (tmp_path / "p.shp").write_bytes(content[: len(content) // 2])
    with pytest.raises(InventoryError, match="missing geometry"):
        read_inventory(tmp_path / "p.shp", UTM)


def test_a_table_without_geometry_is_refused(tmp_path):
    pyogrio.write_dataframe(pd.DataFrame({"class": ["landslide"], "id": [1]}), tmp_path / "t.gpkg")
    with pytest.raises(SceneReadError, match=r"t\.gpkg cannot be read as polygons: it holds 0 layers of shapes"):
        read_inventory(tmp_path / "t.gpkg", UTM)
    with pytest.raises(InventoryError, match=r"no active geometry column.*set_geometry"):
        read_inventory(geopandas.GeoDataFrame({"class": ["landslide"]}), UTM)


@pytest.mark.parametrize("polygons", [None, [box(0, 0, 1, 1)], {"a": 1}])
def test_what_holds_no_polygons_is_refused(polygons):
    with pytest.raises(InventoryError, match=r"cannot be taken from \w+\. Give a file"):
        read_inventory(polygons, UTM)


@pytest.mark.parametrize(
    "interface",
    [
        {"type": "FeatureCollection"},
        {"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]},
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon"}}],
        },
        {"type": "FeatureCollection", "features": [5]},
    ],
)
def test_broken_geojson_is_refused(interface):
    with pytest.raises(InventoryError, match=r"is not valid GeoJSON: .*Give a FeatureCollection"):
        read_inventory(interface, UTM, class_column=None)
