"""The landslide map: points, polygons, scores, GeoPackage and Figure 2."""

import math
import pickle
import sys

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from shapely.geometry import MultiPolygon, Point, box
from small_maps import (
    NAN,
    PLACES,
    UTM,
    inventory_of,
    pixel_box,
    random_landslides,
    random_values,
    write_map,
)

from sklandslide.exceptions import (
    BandError,
    InventoryError,
    OutputExistsError,
    SceneError,
    SceneReadError,
)
from sklandslide.geodata import covered_pixels, polygon_areas
from sklandslide.geodata.grid import Window
from sklandslide.geodata.scene import Scene
from sklandslide.mapping.landslide_map import LandslideMap
from sklandslide.mapping.vectors import landslide_pixels
from sklandslide.plots.imagery import background_image

COLUMNS = ["id", "rank", "probability", "probability_max", "area_m2", "length_m", "geometry"]


@pytest.fixture(params=PLACES, ids=["utm", "rotated", "geographic", "no crs"])
def place(request):
    return request.param


@pytest.fixture
def noisy(tmp_path, place):
    return LandslideMap.open(write_map(tmp_path / "map.tif", random_values(), *place))


@pytest.fixture
def small(tmp_path):
    """Two red areas of four pixels and one; the right column is nodata."""
    values = np.full((6, 8), 0.1)
    values[1:3, 1:3] = 0.9
    values[4, 5] = 0.5
    values[:, 7] = NAN
    tags = {"SKLANDSLIDE_PATCH_SIZE": 5, "SKLANDSLIDE_STEP": 2, "SKLANDSLIDE_POSITIVE": "1"}
    return LandslideMap.open(write_map(tmp_path / "map.tif", values, tags=tags))


class TestLaws:
    @pytest.mark.parametrize("threshold", [0, 0.5, 1])
    def test_points_are_the_pixels_at_or_over_the_threshold(self, noisy, threshold):
        p = noisy.probability
        rows, cols = np.nonzero(np.nan_to_num(p, nan=-1) >= np.float32(threshold))
        points = noisy.points(threshold)
        assert len(points) == len(rows) > 0
        np.testing.assert_array_equal(points["probability"], p[rows, cols])
        xy = np.column_stack([points.geometry.x, points.geometry.y])
        np.testing.assert_allclose(noisy.grid.rowcol(xy), np.c_[rows, cols] + 0.5, atol=1e-5)
        assert points.crs == (noisy.grid.crs and pyproj.CRS(noisy.grid.crs))

    def test_polygons_cover_the_red_pixels_and_nothing_else(self, noisy):
        red = np.nan_to_num(noisy.probability, nan=-1) >= 0.5
        polygons = noisy.polygons(0.5)
        t = noisy.grid.transform
        pixel = abs(t.a * t.e - t.b * t.d)
        geometries = np.array(polygons.geometry)
        assert shapely.is_valid(geometries).all()
        assert shapely.area(geometries).sum() == pytest.approx(red.sum() * pixel)
        assert shapely.union_all(geometries).area == pytest.approx(red.sum() * pixel)
        inside, _ = landslide_pixels(geometries, noisy.grid)
        np.testing.assert_array_equal(np.sort(inside), np.flatnonzero(red))
        assert polygons["id"].tolist() == list(range(1, len(polygons) + 1))
        assert polygons.columns.tolist() == COLUMNS
        first = []
        probability = noisy.probability.ravel()
        for number, polygon in enumerate(geometries):
            pixels, _ = landslide_pixels(np.array([polygon]), noisy.grid)
            mean = probability[pixels].astype(float).mean()
            assert polygons["probability"][number] == pytest.approx(mean)
            first.append(pixels.min())
        assert first == sorted(first)

    def test_windows_are_parts_of_the_whole(self, noisy):
        window = Window(3, 4, 10, 7)
        np.testing.assert_array_equal(noisy.read(window), noisy.probability[window.slices])

    def test_a_perfect_map_scores_one(self, noisy):
        scores = noisy.score(inventory_of(noisy.polygons(0.5).geometry.tolist(), noisy))
        names = ("accuracy", "precision", "recall", "f1", "hit_rate")
        assert [scores[name] for name in names] == [1.0] * 5
        assert scores["false_alarms_per_km2"] == scores["n_outside"] == 0
        assert scores["n_hit"] == scores["n_landslides"] == len(noisy.polygons(0.5))
        assert scores["area_precision"] == pytest.approx(1, abs=1e-9)
        assert scores["area_recall"] == pytest.approx(1, abs=1e-9)
        assert scores["red_km2"] == pytest.approx(noisy.polygons(0.5)["area_m2"].sum() / 1e6)
        valid = np.isfinite(noisy.probability).sum()
        assert scores["tp"] + scores["fp"] + scores["fn"] + scores["tn"] == valid


class TestArea:
    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:3857", "EPSG:2263"])
    def test_area_is_that_on_the_ground(self, tmp_path, crs):
        x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(-73.95, 40.72)
        pixel = 1e-3 if crs == "EPSG:4326" else 50
        m = LandslideMap.open(write_map(tmp_path / "m.tif", np.ones((8, 9)), Affine(pixel, 0, x, 0, -pixel, y), crs))
        polygons = m.polygons()
        geographic = polygons.segmentize(pixel).to_crs("EPSG:4326").geometry[0]
        area = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(geographic)[0])
        assert polygons["area_m2"][0] == pytest.approx(area, rel=0.01)


class TestScore:
    def test_by_hand(self, small):
        # One landslide on three pixels, two of them red; one missed; one off the map; and one
        # polygon that is no landslide.
        inventory = inventory_of(
            [
                pixel_box(small, 1, 1, 1, 3),
                pixel_box(small, 4, 1, 1, 2),
                pixel_box(small, 40, 1),
                pixel_box(small, 4, 5),
            ],
            small,
            ["landslide", "landslide", "landslide", "farm"],
        )
        scores = small.score(inventory)
        counts = {"tp": 2, "fp": 3, "fn": 3, "tn": 34}
        assert {name: scores[name] for name in counts} == counts
        assert scores["precision"] == 2 / 5
        assert scores["recall"] == 2 / 5
        assert scores["accuracy"] == 36 / 42
        assert (scores["n_landslides"], scores["n_hit"], scores["n_outside"]) == (2, 1, 1)
        assert scores["hit_rate"] == 0.5
        assert scores["n_false_alarms"] == 1
        assert scores["valid_km2"] == pytest.approx(42 * 400e-6, rel=1e-3)
        assert small.score(inventory.to_crs("EPSG:4326"))["tp"] == 2
        assert scores["false_alarms_per_km2"] == pytest.approx(1 / (42 * 400e-6), rel=1e-3)

    def test_threshold_and_class(self, small):
        inventory = inventory_of([pixel_box(small, 4, 5)], small, ["slide"])
        assert small.score(inventory, positive="slide")["n_hit"] == 1
        assert small.score(inventory, positive="slide", threshold=0.51)["n_hit"] == 0
        assert small.score(inventory, class_column=None)["n_hit"] == 1

    def test_map_without_landslides(self, tmp_path):
        m = LandslideMap.open(write_map(tmp_path / "m.tif", np.zeros((4, 5))))
        scores = m.score(inventory_of([pixel_box(m, 1, 1)], m))
        assert math.isnan(scores["precision"])
        assert scores["recall"] == scores["hit_rate"] == scores["false_alarms_per_km2"] == 0
        assert scores["accuracy"] == 19 / 20

    def test_a_landslide_between_the_pixel_centres_can_be_found(self, small):
        x, y = small.grid.xy(4.2, 5.2)
        tiny = inventory_of([Point(x, y).buffer(1)], small)
        scores = small.score(tiny)
        assert (scores["n_hit"], scores["tp"], scores["n_false_alarms"]) == (1, 1, 1)
        assert small.score(tiny, threshold=0.6)["fn"] == 1

    def test_landslides_on_nodata_are_outside(self, small):
        half = [pixel_box(small, 0, 7), pixel_box(small, 2, 6, 1, 2)]
        scores = small.score(inventory_of(half, small))
        assert (scores["n_outside"], scores["n_landslides"], scores["fn"]) == (1, 1, 1)

    def test_overlapping_and_multipart_landslides(self, small):
        both = MultiPolygon([pixel_box(small, 1, 1), pixel_box(small, 4, 5)])
        scores = small.score(inventory_of([both, pixel_box(small, 1, 1, 2, 2)], small))
        assert (scores["n_hit"], scores["tp"], scores["n_false_alarms"]) == (2, 5, 0)

    def test_within_an_extent_only_its_pixels_count(self, small, tmp_path):
        part = small.within(inventory_of([pixel_box(small, 1, 2, 3, 5)], small))
        values = small.probability
        inside = np.zeros(values.shape, bool)
        inside[1:4, 2:7] = True
        np.testing.assert_array_equal(part.probability, np.where(inside, values, np.nan))
        np.testing.assert_array_equal(part.read(((2, 6), (1, 5))), part.probability[2:6, 1:5])
        found = part.score(inventory_of([pixel_box(small, 0, 0)], small))
        assert (found["n_landslides"], found["n_outside"]) == (0, 1)
        assert found["valid_km2"] < small.score(inventory_of([pixel_box(small, 0, 0)], small))["valid_km2"]
        assert pickle.loads(pickle.dumps(part)).points(0).equals(part.points(0))
        with pytest.raises(InventoryError, match="no polygon"):
            small.within(geopandas.GeoDataFrame(geometry=[], crs="EPSG:32654"))

    def test_inventory_errors_reach_the_user(self, small):
        with pytest.raises(InventoryError, match="column"):
            small.score(geopandas.GeoDataFrame(geometry=[box(0, 0, 1, 1)], crs="EPSG:32654"), class_column="kind")


def ground_m2(geometry, m):
    """Area on the ellipsoid, by pyproj, where the map is geographic."""
    if m.grid.crs is not None and m.grid.crs.is_geographic:
        geod = pyproj.Geod(ellps="WGS84")
        return sum(abs(geod.geometry_area_perimeter(part)[0]) for part in shapely.get_parts(geometry))
    scale = 1 if m.grid.crs is None else 0.9996  # of UTM on its central meridian
    return geometry.area / scale**2


class TestAreaScores:
    def test_areas_are_those_of_polygons_cut_with_polygons(self, noisy):
        landslides = random_landslides(noisy)
        scores = noisy.score(inventory_of(landslides, noisy))
        rows, cols = np.nonzero(~np.isnan(noisy.probability))
        valid = shapely.union_all([pixel_box(noisy, row, col) for row, col in zip(rows, cols, strict=True)])
        # A landslide is on the map if the rule by pixel says so.
        on_map = [noisy.score(inventory_of([each], noisy))["n_landslides"] for each in landslides]
        assert 5 < sum(on_map) < len(landslides)
        inventory = shapely.union_all(np.array(landslides)[np.array(on_map, bool)])
        red = shapely.union_all(noisy.polygons(0.5).geometry.to_numpy())
        areas = [ground_m2(shapely.intersection(inventory, ground), noisy) for ground in (red, valid)]
        assert scores["hit_km2"] == pytest.approx(areas[0] / 1e6, rel=1e-4)
        assert scores["landslide_km2"] == pytest.approx(areas[1] / 1e6, rel=1e-4)
        assert scores["area_precision"] == pytest.approx(areas[0] / ground_m2(red, noisy), rel=1e-4)
        assert scores["area_recall"] == pytest.approx(areas[0] / areas[1], rel=1e-4)
        assert 0 < scores["area_precision"] < 1
        assert 0 < scores["area_recall"] < 1

    def test_order_doubles_and_parts_do_not_matter(self, noisy):
        landslides = random_landslides(noisy)
        names = ("area_precision", "area_recall", "red_km2", "landslide_km2", "hit_km2")
        wanted = [noisy.score(inventory_of(landslides, noisy))[name] for name in names]
        for same in (landslides[::-1], landslides + landslides[:7]):
            scores = noisy.score(inventory_of(same, noisy))
            assert [scores[name] for name in names] == pytest.approx(wanted, rel=1e-9)

    def test_by_hand(self, small):
        # Three quarters of a red pixel and a quarter of one that is not.
        parts = [pixel_box(small, 4, 5.25, 1, 1), pixel_box(small, 4.0, 5.25, 1, 0.5)]
        scores = small.score(inventory_of(parts, small))
        assert scores["area_recall"] == pytest.approx(0.75)
        assert scores["area_precision"] == pytest.approx(0.75 / 5)
        assert scores["landslide_km2"] == pytest.approx(400e-6 / 0.9996**2, rel=1e-6)

    def test_geographic_degrees_are_not_areas(self, tmp_path):
        # Two landslides of equal size in degrees, at 60 and near 0 degrees north; the northern one is found.
        t = Affine(0.1, 0, 10, 0, -0.1, 61)
        values = np.zeros((620, 4))
        values[10:12, 1:3] = 1
        m = LandslideMap.open(write_map(tmp_path / "m.tif", values, t, "EPSG:4326"))
        north, south = pixel_box(m, 10, 1, 2, 2), pixel_box(m, 600, 1, 2, 2)
        recall = ground_m2(north, m) / (ground_m2(north, m) + ground_m2(south, m))
        scores = m.score(inventory_of([north, south], m))
        assert 0.3 < recall < 0.35
        assert scores["area_recall"] == pytest.approx(recall, rel=1e-3)
        assert scores["recall"] == 0.5

    def test_landslides_off_the_map_count_as_outside_and_nowhere_else(self, small):
        # The last two reach into valid pixels, but over no centre: pixel, landslide and area agree on the rule.
        off = [
            pixel_box(small, 40, 1),
            pixel_box(small, 0, 7),
            pixel_box(small, 2, 6.7, 1, 1.3),
            pixel_box(small, -3, 1, 3.3),
        ]
        on = [pixel_box(small, 1, 1)]
        alone, all_of_them = (small.score(inventory_of(each, small)) for each in (on, on + off))
        assert all_of_them.pop("n_outside") == alone.pop("n_outside") + 4
        assert all_of_them == alone

    def test_nothing_red_and_no_landslide_on_the_map(self, small):
        scores = small.score(inventory_of([pixel_box(small, 1, 1)], small), threshold=1)
        assert math.isnan(scores["area_precision"])
        assert scores["area_recall"] == 0
        scores = small.score(inventory_of([pixel_box(small, 40, 1)], small))
        assert math.isnan(scores["area_recall"])
        assert scores["area_precision"] == 0


class TestCoverage:
    @pytest.mark.parametrize("block", [1 << 20, 64])
    def test_shares_are_those_of_each_pixel_cut_with_the_polygons(self, noisy, monkeypatch, block):
        monkeypatch.setattr("sklandslide.geodata.ground._BLOCK", block)
        landslides = random_landslides(noisy, seed=1)
        found = np.zeros(noisy.grid.shape)
        np.add.at(found.ravel(), *covered_pixels(landslides, noisy.grid))
        boxes = np.array([[pixel_box(noisy, i, j) for j in range(found.shape[1])] for i in range(found.shape[0])])
        wanted = shapely.area(shapely.intersection(boxes, shapely.union_all(landslides))) / shapely.area(boxes)
        assert np.count_nonzero((wanted > 0.01) & (wanted < 0.99)) > 50
        np.testing.assert_allclose(found, wanted, atol=1e-6)

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2263"])
    def test_areas_of_polygons_on_the_ground(self, tmp_path, crs):
        to = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        x, y = to.transform(-73.95, 40.72)
        step = 5e-4 if crs == "EPSG:4326" else 50
        m = LandslideMap.open(write_map(tmp_path / "m.tif", np.ones((8, 9)), Affine(step, 0, x, 0, -step, y), crs))
        landslides = [pixel_box(m, 1, 1, 2, 3), pixel_box(m, -3, 4, 6, 2)]
        geographic = geopandas.GeoSeries(landslides, crs=m.grid.crs).to_crs("EPSG:4326")
        wanted = [abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(each)[0]) for each in geographic]
        np.testing.assert_allclose(polygon_areas(np.array(landslides), m.grid), wanted, rtol=2e-3)


class TestHitRates:
    @pytest.mark.parametrize("threshold, edges", [(0.5, (1000, 10_000)), (0.8, ())])
    def test_classes_add_up_to_the_scores(self, noisy, threshold, edges):
        inventory = inventory_of(random_landslides(noisy, 40), noisy)
        table = noisy.hit_rates(inventory, threshold=threshold, edges=edges)
        scores = noisy.score(inventory, threshold=threshold)
        assert len(table) == len(edges) + 1
        assert table["n_landslides"].sum() == scores["n_landslides"] > 20
        assert table["n_hit"].sum() == scores["n_hit"] > 0
        assert scores["n_outside"] > 0
        some = table[table["n_landslides"] > 0]
        np.testing.assert_allclose(some["hit_rate"], some["n_hit"] / some["n_landslides"])
        again = noisy.hit_rates(inventory[::-1], threshold=threshold, edges=edges)
        assert again.equals(table)

    def test_by_hand(self, small):
        landslides = [
            pixel_box(small, 1, 1),  # 400 m2, hit
            pixel_box(small, 3, 1),  # 400 m2, missed
            pixel_box(small, 1, 1, 1, 3),  # 1200 m2, hit
            pixel_box(small, 4, 5, 1, 40),  # 16,000 m2, most of it off the map, hit
            pixel_box(small, 40, 5),  # off the map
            pixel_box(small, 2, 7),  # on nodata
        ]
        table = small.hit_rates(
            inventory_of([*landslides, pixel_box(small, 1, 2)], small, ["landslide"] * 6 + ["farm"])
        )
        assert table.to_dict("list") == {
            "area_from_m2": [0, 1000, 10_000],
            "area_to_m2": [1000, 10_000, math.inf],
            "n_landslides": [2, 1, 1],
            "n_hit": [1, 1, 1],
            "hit_rate": [0.5, 1, 1],
        }

    def test_an_area_on_the_limit_is_in_the_class_above(self, tmp_path):
        m = LandslideMap.open(write_map(tmp_path / "m.tif", np.ones((6, 8)), crs=None))
        inventory = inventory_of([pixel_box(m, 1, 1), pixel_box(m, 3, 3)], m)
        table = m.hit_rates(inventory, edges=[400, 401])
        assert table["n_landslides"].tolist() == [0, 2, 0]
        assert math.isnan(table["hit_rate"][0])

    @pytest.mark.parametrize("edges", [(10_000, 1000), (0, 1000), (NAN,), "1000"])
    def test_edges_that_are_none(self, small, edges):
        inventory = inventory_of([pixel_box(small, 1, 1)], small)
        with pytest.raises(ValueError, match=r"edges=.* larger than 0 and increasing\. Give for instance"):
            small.hit_rates(inventory, edges=edges)


class TestOpen:
    def test_tags(self, small, noisy):
        assert (small.patch_size, small.step, small.positive) == (5, 2, "1")
        assert (noisy.patch_size, noisy.step, noisy.positive) == (None, None, None)

    def test_nodata_value_becomes_nan(self, tmp_path):
        values = np.array([[0.2, -9999.0], [0.7, 1.0]])
        m = LandslideMap.open(write_map(tmp_path / "m.tif", values, nodata=-9999))
        np.testing.assert_array_equal(np.isnan(m.probability), values < 0)
        assert m.probability.dtype == np.float32

    def test_is_a_value(self, small):
        again = pickle.loads(pickle.dumps(small))
        assert again == small == LandslideMap.open(small.path)
        assert hash(again) == hash(small)
        assert "6 x 8 pixels" in repr(small)
        with pytest.raises(AttributeError):
            small.step = 3

    @pytest.mark.parametrize(
        "values, profile, message",
        [
            (np.ones((2, 3, 3)), {}, r"2 band\(s\) of float32"),
            (np.ones((3, 3)), {"dtype": "uint8", "nodata": 0}, r"1 band\(s\) of uint8"),
            (np.ones((3, 3)), {"tags": {"SKLANDSLIDE_STEP": "two"}}, "SKLANDSLIDE_STEP='two'"),
        ],
        ids=["bands", "integers", "tag"],
    )
    def test_other_rasters_are_refused(self, tmp_path, values, profile, message):
        with pytest.raises(SceneReadError, match=message):
            LandslideMap.open(write_map(tmp_path / "m.tif", values, **profile))

    def test_missing_files_and_texts_are_refused(self, tmp_path):
        with pytest.raises(SceneReadError, match=r"no\.tif"):
            LandslideMap.open(tmp_path / "no.tif")
        (tmp_path / "m.tif").write_text("not a raster")
        with pytest.raises(SceneReadError, match="cannot be opened"):
            LandslideMap.open(tmp_path / "m.tif")

    @pytest.mark.parametrize("wrong", [-0.01, 1.5])
    def test_values_that_are_no_probabilities(self, tmp_path, wrong):
        m = LandslideMap.open(write_map(tmp_path / "m.tif", [[0.5, wrong]]))
        with pytest.raises(SceneReadError, match=f"no probability map.*{wrong:g}"):
            m.points()

    def test_replaced_file(self, small):
        write_map(small.path, np.ones((6, 9)))
        with pytest.raises(SceneReadError, match="open the map, again"):
            small.points()

    @pytest.mark.parametrize("threshold", [-0.1, NAN, "0.5", True])
    def test_threshold(self, small, threshold):
        for method in (small.points, small.polygons):
            with pytest.raises(ValueError, match=r"threshold=.*0 to 1"):
                method(threshold)

    @pytest.mark.parametrize("value", [0.1, NAN])
    def test_nothing_red(self, tmp_path, plt, value):
        m = LandslideMap.open(write_map(tmp_path / "m.tif", np.full((3, 4), value)))
        m.plot().figure.canvas.draw()
        m.to_gpkg(tmp_path / "out.gpkg")
        points, polygons = m.points(), geopandas.read_file(tmp_path / "out.gpkg", layer="polygons")
        assert len(points) == len(polygons) == 0
        assert points.columns.tolist() == ["probability", "geometry"]
        assert polygons.columns.tolist() == COLUMNS


class TestGeoPackage:
    def test_layers_come_back(self, noisy, tmp_path):
        inventory = inventory_of([pixel_box(noisy, 1, 1, 2, 2)], noisy)
        path = noisy.to_gpkg(tmp_path / "out.gpkg", threshold=0.6, inventory=inventory)
        layers = geopandas.list_layers(path).dropna()  # without the table of styles
        assert dict(zip(layers["name"], layers["geometry_type"], strict=True)) == {
            "points": "Point",
            "polygons": "Polygon",
            "inventory": "MultiPolygon",
        }
        for layer, frame in (("points", noisy.points(0.6)), ("polygons", noisy.polygons(0.6))):
            back = geopandas.read_file(path, layer=layer)
            assert len(back) == len(frame)
            assert back.geometry.geom_equals_exact(frame.set_crs(back.crs, allow_override=True).geometry, 1e-9).all()
            np.testing.assert_allclose(back["probability"], frame["probability"])
        assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "out.gpkg"]

    def test_overwrite(self, small, tmp_path, monkeypatch):
        path = tmp_path / "out.gpkg"
        small.to_gpkg(path, threshold=0.8)
        before = path.read_bytes()
        with monkeypatch.context() as patch, pytest.raises(OutputExistsError, match="overwrite=True"):
            patch.setattr(LandslideMap, "points", lambda *_: pytest.fail("computed in vain"))
            small.to_gpkg(path)
        assert path.read_bytes() == before
        small.to_gpkg(path, overwrite=True)
        assert len(geopandas.read_file(path, layer="points")) == 5

    def test_a_file_that_appears_while_it_is_written_is_kept(self, small, tmp_path, monkeypatch):
        path = tmp_path / "out.gpkg"
        monkeypatch.setattr("os.fsync", lambda _: path.write_text("precious"))
        with pytest.raises(OutputExistsError, match="overwrite=True"):
            small.to_gpkg(path)
        assert path.read_text() == "precious"
        assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "out.gpkg"]

    def test_a_failure_leaves_what_was_there(self, small, tmp_path, monkeypatch):
        path = small.to_gpkg(tmp_path / "out.gpkg")
        before = path.read_bytes()
        write = geopandas.GeoDataFrame.to_file

        def fail_at_polygons(frame, target, layer, **options):
            if layer == "polygons":
                raise OSError("disk full")
            write(frame, target, layer=layer, **options)

        monkeypatch.setattr(geopandas.GeoDataFrame, "to_file", fail_at_polygons)
        for target in (path, tmp_path / "new.gpkg"):
            with pytest.raises(OSError, match="disk full"):
                small.to_gpkg(target, overwrite=True)
        assert path.read_bytes() == before
        assert sorted(p.name for p in tmp_path.iterdir()) == ["map.tif", "out.gpkg"]

    def test_impossible_outputs(self, small, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"folder .*nowhere"):
            small.to_gpkg(tmp_path / "nowhere" / "out.gpkg")
        with pytest.raises(ValueError, match=r"\.gpkg"):
            small.to_gpkg(tmp_path / "out.shp")


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


def collection(ax, label):
    (found,) = (c for c in ax.collections if c.get_label() == label)
    return found


def scene_under(m, names=("VV_before", "VV_after", "VH_after"), **options):
    """The scene that the small map could have been made from: 17 x 21 pixels of 10 m."""
    t, (rows, cols) = m.grid.transform, m.grid.shape
    pixel = t.a / m.step
    margin = (m.patch_size - m.step) / 2 * pixel
    transform = Affine(pixel, 0, t.c - margin, 0, -pixel, t.f + margin)
    shape = (rows - 1) * m.step + m.patch_size, (cols - 1) * m.step + m.patch_size
    rng = np.random.default_rng(0)
    bands = {name: rng.random(shape) for name in names}
    return Scene.from_arrays(bands, **{"transform": transform, "crs": m.grid.crs, **options})


class TestPlot:
    def test_points_and_outlines_are_where_they_belong(self, noisy, plt):
        ring = pixel_box(noisy, 2, 2, 6, 6) - pixel_box(noisy, 4, 4, 2, 2)
        both = MultiPolygon([pixel_box(noisy, 10, 10), pixel_box(noisy, 15, 10)])
        farm = pixel_box(noisy, 1, 20)
        classes = ["landslide", "landslide", "farm"]
        ax = noisy.plot(inventory=inventory_of([ring, both, farm], noisy, classes), threshold=0.7)
        points = noisy.points(0.7)
        np.testing.assert_array_equal(
            collection(ax, "predicted landslide").get_offsets(),
            np.column_stack([points.geometry.x, points.geometry.y]),
        )
        rings = [part.boundary for part in shapely.get_parts([ring, both])]
        drawn = shapely.MultiLineString(collection(ax, "inventory").get_segments())
        assert len(drawn.geoms) == 4
        assert drawn.equals(shapely.union_all(rings))
        red = collection(ax, "predicted landslide").get_facecolor()[0]
        yellow = collection(ax, "inventory").get_edgecolor()[0]
        assert red[0] > 0.8 > 0.2 > max(red[1:3])
        assert min(yellow[:2]) > 0.8 > 0.2 > yellow[2]
        ax.figure.canvas.draw()

    def test_the_image_lies_on_its_pixels(self, noisy, plt):
        ax = noisy.plot()
        (image,) = ax.images
        np.testing.assert_array_equal(np.isnan(noisy.probability), np.ma.getmaskarray(image.get_array()))
        rows, cols = noisy.grid.shape
        corners = [[0, 0], [cols, 0], [0, rows], [cols, rows]]
        placed = (image.get_transform() - ax.transData).transform(corners)
        np.testing.assert_allclose(placed, noisy.grid.xy([0, 0, rows, rows], [0, cols, 0, cols]))
        np.testing.assert_allclose([*ax.get_xlim(), *ax.get_ylim()], _limits(noisy.grid))

    def test_shapes_are_true_to_the_ground(self, noisy, plt):
        ax = noisy.plot()
        geographic = noisy.grid.crs is not None and noisy.grid.crs.is_geographic
        # 1 / cos(42.77 degrees) on a sphere; 0.4 % less on the ellipsoid.
        assert ax.get_aspect() == pytest.approx(1.362 if geographic else 1, rel=0.005)
        label = {True: "degrees", False: "(m)"}[geographic] if noisy.grid.crs else "x"
        assert label in ax.get_xlabel()

    def test_a_scene_is_shown_whole_by_the_map_made_from_it(self, small, plt):
        scene = scene_under(small)
        ax = small.plot(background=scene)
        np.testing.assert_allclose([*ax.get_xlim(), *ax.get_ylim()], _limits(scene.grid))
        assert ax.images[0].get_array().shape == scene.grid.shape

    def test_draws_on_the_axes_given(self, small, plt):
        ax = plt.figure().add_subplot()
        assert small.plot(ax=ax, scale_bar=False, legend=False) is ax
        assert ax.get_legend() is None

    def test_legend_names_what_is_there(self, small, plt):
        texts = [t.get_text() for t in small.plot(threshold=0.6).get_legend().get_texts()]
        assert texts == ["Predicted landslide, probability \u2265 0.6 (4 windows)", "No data"]

    def test_few_points_are_larger_than_many(self, tmp_path, plt):
        sizes = []
        for share in (0.0005, 0.5):
            values = np.random.default_rng(0).random((200, 200)) < share
            m = LandslideMap.open(write_map(tmp_path / f"{share}.tif", values))
            sizes.append(collection(m.plot(), "predicted landslide").get_sizes()[0] ** 0.5)
        assert 4 < sizes[0] < 6
        assert 0.5 <= sizes[1] < 2.5

    def test_without_matplotlib(self, small, monkeypatch):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(ImportError, match=r'pip install "sklandslide\[plot\]"'):
            small.plot()


def _limits(grid):
    left, bottom, right, top = grid.bounds
    return left, right, bottom, top


class TestBackground:
    def image(self, m, background):
        return background_image(background, m.grid, 0.75)[0]

    def test_colours_before_hillshade_before_first_band(self, small):
        names = ["VV_after", "DEM", "Blue", "Green", "Red"]
        rgb = self.image(small, scene_under(small, names))
        assert rgb.shape == (15, 19, 3)
        shaded = self.image(small, scene_under(small, names[:3]))
        assert shaded.ndim == 2
        scene = scene_under(small, names[:1])
        first = self.image(small, scene)
        assert np.corrcoef(first.ravel(), scene.read()[..., 0].ravel())[0, 1] > 0.99

    def test_named_bands_and_differences(self, small):
        scene = scene_under(small)
        before, after = np.moveaxis(scene.read(["VV_before", "VV_after"]), -1, 0)
        drawn = self.image(small, (scene, ["VV_after - VV_before"]))
        assert np.corrcoef(drawn.ravel(), (after - before).ravel())[0, 1] > 0.99
        np.testing.assert_array_equal(self.image(small, (scene, "VV_after")), self.image(small, (scene, ["VV_after"])))
        assert self.image(small, (scene, "BAH")).shape == (15, 19, 3)
        linear = self.image(small, (scene_under(small, units={"VV_after": "linear"}), "VV_after"))
        assert np.corrcoef(linear.ravel(), np.log(after).ravel())[0, 1] > 0.99

    def test_stretch_keeps_order_nodata_and_flat_bands(self, small):
        flat = scene_under(small, ["A"]).read()[..., 0]
        bands = {"A": flat, "B": np.full_like(flat, 3), "C": np.full_like(flat, np.nan)}
        scene = Scene.from_arrays(bands, transform=UTM, crs="EPSG:32654")
        for name, lowest, highest in (("A", 0, 1), ("B", 0.5, 0.5)):
            image = background_image((scene, name), scene.grid, 0)[0]
            assert (image.min(), image.max()) == (lowest, highest)
        assert np.isnan(background_image((scene, "C"), scene.grid, 0)[0]).all()

    def test_hillshade_is_lit_from_the_north_west(self, small):
        rows, cols = np.mgrid[:40, :40]
        hill = -np.hypot(rows - 19.5, cols - 19.5) * 10
        scene = Scene.from_arrays({"DEM": hill}, transform=UTM, crs="EPSG:32654")
        image, _ = background_image(scene, scene.grid, 0)
        assert image[8:15, 8:15].mean() > 0.9 > 0.1 > image[25:32, 25:32].mean()

    def test_large_backgrounds_are_averaged(self, small, monkeypatch):
        monkeypatch.setattr("sklandslide.plots.imagery._MAX_SIDE", 6)
        monkeypatch.setattr("sklandslide.plots.imagery._TILE", 9)
        values = np.random.default_rng(0).random((17, 23))
        values[:4, :4] = np.nan
        scene = Scene.from_arrays({"A": values}, transform=UTM, crs="EPSG:32654")
        image, grid = background_image(scene, scene.grid, 0)
        assert image.shape == grid.shape == (5, 6)
        assert grid.transform == Affine(80, 0, UTM.c, 0, -80, UTM.f)
        blocks = [np.array_split(row, range(4, 23, 4), 1) for row in np.split(values, [4, 8, 12, 16])]
        means = np.array([[np.mean(b) for b in row] for row in blocks])
        assert np.isnan(image[0, 0])
        assert np.isnan(image).sum() == 1
        order = np.argsort(means.ravel()[1:])[2:-2]
        assert (np.diff(image.ravel()[1:][order]) >= 0).all()

    @pytest.mark.parametrize(
        "change, error, message",
        [
            (lambda s: (s, ["VV_before", "VV_after"]), BandError, "has 2 bands"),
            (lambda s: (s, "Purple"), BandError, "Purple"),
            (lambda s: "image.png", SceneError, "'image.png' is no image"),
        ],
    )
    def test_wrong_bands(self, small, change, error, message):
        with pytest.raises(error, match=message):
            self.image(small, change(scene_under(small)))

    def test_other_ground(self, small):
        with pytest.raises(SceneError, match=r"EPSG:32655 and the map EPSG:32654"):
            self.image(small, scene_under(small, crs="EPSG:32655"))
        with pytest.raises(SceneError, match="none of the map's ground"):
            self.image(small, scene_under(small, transform=Affine(10, 0, 0, 0, -10, 0)))
