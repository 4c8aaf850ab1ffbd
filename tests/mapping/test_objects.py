"""Landslide objects: joined, measured on the ground, ranked, and written as a table."""

import geopandas
import numpy as np
import pandas
import pytest
import shapely
from affine import Affine
from rasters import rotated, write
from shapely.geometry import Point

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import BandError, OutputExistsError, OutputFolderError, SceneError

UTM = Affine(20, 0, 500_000, 0, -20, 4_700_000)
PLACES = {
    "utm": (UTM, "EPSG:32654"),
    "rotated": (rotated(500_000, 4_700_000, 25, 20), "EPSG:32654"),
    "geographic": (Affine(2e-4, 0, 141.9, 0, -2e-4, 60.77), "EPSG:4326"),
    "mercator": (Affine(40, 0, 15_800_000, 0, -40, 8_500_000), "EPSG:3857"),
    "sinusoidal": (Affine(20, 0, 4e6, 0, -20, 5e6), "+proj=sinu +ellps=WGS84"),
    "no crs": (UTM, None),
}


def map_of(folder, values, transform=UTM, crs="EPSG:32654"):
    values = np.asarray(values, "float32")
    return LandslideMap.open(write(folder / "map.tif", values, transform=transform, crs=crs, nodata=np.nan))


@pytest.fixture
def confetti(tmp_path):
    rng = np.random.default_rng(3)
    values = rng.random((40, 50), dtype=np.float32) * np.where(rng.random((40, 50)) < 0.12, 1, 0.1)
    values[5:9, 5:9] = 0.9
    values[30] = np.nan
    return map_of(tmp_path, values)


def on_ground(geometries, crs):
    """Geometries in metres on the ground, about their own middle."""
    if crs is None:
        return np.array(geometries)
    frame = geopandas.GeoSeries(list(geometries), crs=crs)
    middle = frame.to_crs(4326).union_all().centroid
    # conformal and true to scale at the middle
    return np.array(frame.to_crs(f"+proj=stere +lat_0={middle.y} +lon_0={middle.x} +ellps=WGS84").geometry)


# where pixels are no rectangles on the ground, as in the sinusoidal projection, gaps are known to a part of a pixel
@pytest.mark.parametrize("place", [name for name in PLACES if name != "sinusoidal"])
@pytest.mark.parametrize("join_m", [0.001, 30, 45, 75])
def test_areas_closer_than_the_distance_are_one_object_and_no_others(tmp_path, place, join_m):
    values = (np.random.default_rng(1).random((30, 34)) < 0.04).astype("float32")
    m = map_of(tmp_path, values, *PLACES[place])
    areas = m.polygons().geometry
    outlines = on_ground(areas, m.grid.crs)
    apart = shapely.distance(outlines[:, None], outlines)
    inside = shapely.contains(
        np.array(m.polygons(join_m=join_m).geometry)[:, None], shapely.point_on_surface(np.array(areas))
    )
    assert (inside.sum(axis=0) == 1).all()
    together = inside.argmax(axis=0)[:, None] == inside.argmax(axis=0)
    assert 1 < len(inside) < len(areas)
    # the distances measured here are right to some centimetres
    assert together[chained(apart <= max(join_m - 0.05, 1e-6))].all()
    assert chained(apart < join_m + 0.05)[together].all()


def chained(close):
    """Which are connected by steps between close ones."""
    for _ in range(7):
        close = close @ close
    return close


def test_joined_objects_keep_the_red_ground_and_nothing_else(confetti):
    apart, joined = confetti.polygons(), confetti.polygons(join_m=25)
    assert 1 < len(joined) < len(apart) / 1.5
    assert joined.geometry.geom_type.unique().tolist() == ["MultiPolygon"]
    assert joined.geometry.is_valid.all()
    assert shapely.union_all(joined.geometry).symmetric_difference(shapely.union_all(apart.geometry)).area < 1e-6
    assert joined["area_m2"].sum() == pytest.approx(apart["area_m2"].sum())
    np.testing.assert_allclose(joined["area_m2"], joined.area, rtol=1e-3)
    points = confetti.points()
    owner = points.sjoin(joined[["geometry"]])["index_right"]
    grouped = points["probability"].groupby(owner)
    np.testing.assert_allclose(joined["probability"], grouped.mean(), rtol=1e-5)
    np.testing.assert_array_equal(joined["probability_max"], grouped.max())
    assert joined["id"].tolist() == list(range(1, len(joined) + 1))
    first = owner.reset_index(drop=True).drop_duplicates().tolist()
    assert first == sorted(first)


@pytest.mark.parametrize("join_m", [0, 25])
def test_small_objects_are_left_out_after_joining_and_the_others_stay_as_they_are(confetti, join_m):
    every, large = confetti.polygons(join_m=join_m), confetti.polygons(join_m=join_m, min_area_m2=700.5)
    kept = every[every["area_m2"] >= 700.5].reset_index(drop=True)
    assert 1 < len(large) < len(every)
    assert large["id"].tolist() == list(range(1, len(large) + 1))
    assert sorted(large["rank"]) == list(range(1, len(large) + 1))
    pandas.testing.assert_frame_equal(large.drop(columns=["id", "rank"]), kept.drop(columns=["id", "rank"]))
    assert (large["rank"].rank() == kept["rank"].rank()).all()


def test_rank_is_by_expected_landslide_area(tmp_path):
    values = np.zeros((5, 12))
    values[1, 1], values[1, 3:6], values[1, 7:11], values[3, 1:3] = 1.0, 0.6, 0.5, 0.95
    objects = map_of(tmp_path, values).polygons()
    assert objects["rank"].tolist() == [4, 3, 1, 2]  # 1.0, 1.8, 2.0 and 1.9 pixels


@pytest.mark.parametrize("place", PLACES)
def test_length_is_the_longer_side_of_the_smallest_rectangle_on_the_ground(tmp_path, place):
    values = np.zeros((30, 40))
    values[3, 2:11] = values[8:20, 30:32] = 1
    for i in range(9):
        values[14 + i, 5 + i : 8 + i] = 1
    values[27, 20] = 1
    m = map_of(tmp_path, values, *PLACES[place])
    objects = m.polygons()
    expected = []
    for outline in objects.geometry:
        box = shapely.oriented_envelope(on_ground([outline.convex_hull], m.grid.crs)[0])
        first, second, third = map(Point, shapely.get_coordinates(box)[:3])
        expected.append(max(first.distance(second), second.distance(third)))
    np.testing.assert_allclose(objects["length_m"], expected, rtol=2e-3)
    if place == "utm":
        np.testing.assert_allclose(objects["length_m"][:2], [180, 240], rtol=1e-3)


def test_slope_is_the_mean_at_the_pixels_and_nan_where_none_is_known(tmp_path):
    values = np.zeros((600, 30))
    values[2, 3:7] = values[300, 5:9] = values[590, 20] = 1
    m = map_of(tmp_path, values)
    slope = np.random.default_rng(0).random((1000, 80), dtype=np.float32) * 40  # 10 m, to row 499 of the map
    slope[610:] = np.nan
    slope[605, 8 : 8 + 12] = np.nan
    scene = Scene.from_arrays({"Slope": slope}, transform=Affine(10, 0, 499_980, 0, -10, 4_700_010), crs="EPSG:32654")
    objects = m.polygons(scene=scene)
    columns = "id rank probability probability_max area_m2 length_m slope geometry"
    assert objects.columns.tolist() == columns.split()
    # the centre of map pixel (row, col) is the corner of scene pixel (2 row + 2, 2 col + 3)
    assert objects["slope"][0] == pytest.approx(slope[6, [9, 11, 13, 15]].mean())
    assert objects["slope"][1] == pytest.approx(slope[602, [13, 15, 17, 19]].mean())
    assert np.isnan(objects["slope"][2])
    assert m.polygons(scene=scene, join_m=100)["slope"].tolist()[:2] == objects["slope"].tolist()[:2]
    heights = Scene.from_arrays(
        {"DEM": np.add.outer(np.zeros(1200), np.arange(80) * 10.0)}, transform=scene.grid.transform, crs="EPSG:32654"
    )
    np.testing.assert_allclose(m.polygons(scene=heights)["slope"], 45, atol=0.05)


def test_scenes_that_give_no_slope_are_refused(confetti):
    red = Scene.from_arrays({"Red": np.ones((9, 9))}, transform=UTM, crs="EPSG:32654")
    with pytest.raises(BandError, match="no band 'Slope'"):
        confetti.polygons(scene=red)
    other = Scene.from_arrays({"Slope": np.ones((9, 9))}, transform=UTM, crs="EPSG:32655")
    with pytest.raises(SceneError, match="EPSG:32655 and the map EPSG:32654"):
        confetti.polygons(scene=other)


@pytest.mark.parametrize("name", ["join_m", "min_area_m2"])
@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_sizes_that_are_none_are_refused(confetti, name, value):
    with pytest.raises(ValueError, match=f"{name}=.*number of 0 or more"):
        confetti.polygons(**{name: value})


def test_the_geopackage_holds_these_objects(confetti, tmp_path):
    options = {"join_m": 25, "min_area_m2": 900}
    path = confetti.to_gpkg(tmp_path / "out.gpkg", **options)
    back, objects = geopandas.read_file(path, layer="polygons"), confetti.polygons(**options)
    pandas.testing.assert_frame_equal(
        pandas.DataFrame(back.drop(columns="geometry")), pandas.DataFrame(objects.drop(columns="geometry"))
    )
    assert geopandas.list_layers(path)["geometry_type"].dropna().tolist() == ["Point", "MultiPolygon"]
    assert len(geopandas.read_file(path, layer="points")) == len(confetti.points())


class TestTable:
    @pytest.mark.parametrize("place", ["utm", "geographic"])
    def test_rows_by_rank_with_a_place_on_each_object(self, tmp_path, place):
        values = np.random.default_rng(0).random((20, 20))
        values[:, 9:11] = np.nan
        m = map_of(tmp_path, values, *PLACES[place])
        scene = Scene.from_arrays({"Slope": np.full((20, 20), 12.34)}, transform=m.grid.transform, crs=m.grid.crs)
        options = {"threshold": 0.7, "join_m": 10, "min_area_m2": 500, "scene": scene}
        table = pandas.read_csv(m.to_csv(tmp_path / "out.csv", **options))
        objects = m.polygons(**options).sort_values("rank").reset_index(drop=True)
        columns = "rank id longitude latitude probability probability_max area_m2 length_m slope"
        assert table.columns.tolist() == columns.split()
        assert table["rank"].tolist() == list(range(1, len(objects) + 1))
        assert table["id"].tolist() == objects["id"].tolist()
        assert (table["slope"] == 12.3).all()
        np.testing.assert_allclose(table["area_m2"], objects["area_m2"], atol=0.06)
        np.testing.assert_allclose(table["probability"], objects["probability"], atol=0.0006)
        places = geopandas.points_from_xy(table["longitude"], table["latitude"], crs=4326)
        places = np.array(geopandas.GeoSeries(places).to_crs(objects.crs))
        assert (shapely.distance(np.array(objects.geometry), places) < 1e-5).all()

    def test_longitudes_beyond_180_degrees_come_round(self, tmp_path):
        m = map_of(tmp_path, [[0, 1]], Affine(1e-3, 0, 180, 0, -1e-3, -17), "EPSG:4326")
        assert pandas.read_csv(m.to_csv(tmp_path / "out.csv"))["longitude"].tolist() == [-179.9985]

    def test_nothing_red(self, tmp_path):
        path = map_of(tmp_path, np.zeros((3, 3))).to_csv(tmp_path / "out.csv", join_m=50)
        assert path.read_text() == "rank,id,longitude,latitude,probability,probability_max,area_m2,length_m\n"

    def test_what_is_there_is_kept(self, confetti, tmp_path):
        path = tmp_path / "out.csv"
        path.write_text("precious")
        with pytest.raises(OutputExistsError, match="overwrite=True"):
            confetti.to_csv(path)
        assert path.read_text() == "precious"
        confetti.to_csv(path, overwrite=True)
        assert path.read_text().startswith("rank,id,")
        with pytest.raises(OutputFolderError, match="Create it first"):
            confetti.to_csv(tmp_path / "nowhere" / "out.csv")

    def test_a_map_without_a_coordinate_system_has_no_longitudes(self, tmp_path):
        m = map_of(tmp_path, np.ones((3, 3)), crs=None)
        with pytest.raises(SceneError, match="no longitude and latitude"):
            m.to_csv(tmp_path / "out.csv")
        assert not (tmp_path / "out.csv").exists()
