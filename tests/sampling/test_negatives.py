"""Laws of the negatives that are drawn: where they lie, how many there are, what is told, and folds."""

import geopandas
import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import event, given
from hypothesis import strategies as st
from laws import law
from scenes import random_scene
from shapely.geometry import MultiPoint, Point, box

from sklandslide import SpatialBlockKFold, sample_polygons
from sklandslide.exceptions import InventoryError, SamplingWarning, SceneReadError
from sklandslide.sampling import read_patches

CRS = "EPSG:32654"
SHAPE = (160, 180)
# Places where a degree, a foot and a metre of Web Mercator are other lengths on the ground, east and north.
SYSTEMS = {"metres": CRS, "degrees": "EPSG:4326", "feet": "EPSG:2263", "Web Mercator": "EPSG:3857"}


def pixels(r0, c0, r1, c1):
    """A box in pixels, as a polygon on the map."""
    return box(500_000 + 10 * c0, 4_700_000 - 10 * r1, 500_000 + 10 * c1, 4_700_000 - 10 * r0)


SLIDES = [pixels(40, 40, 48, 60), pixels(52, 44, 60, 50), pixels(110, 120, 118, 126), pixels(30, 140, 33, 143)]
FRAME = geopandas.GeoDataFrame(geometry=SLIDES, crs=CRS)


def scene_of(shape=SHAPE, holes=0, **options):
    return random_scene(shape, ("Red",), holes=holes, **options)


def sampled(polygons=FRAME, scene=None, **options):
    options = {"patch_size": 9, "stride": 3, "random_state": 0, "return_report": True} | options
    return sample_polygons(scene or scene_of(), polygons, **options)


def metres_apart(crs, xy, polygon):
    """Distance of places from a polygon, in metres: in a projection about each place whose distances are true."""
    to = pyproj.Transformer.from_crs(crs, 4326, always_xy=True)
    out = []
    for x, y in xy:
        lon, lat = to.transform(x, y)
        about = pyproj.Transformer.from_crs(crs, f"+proj=aeqd +lon_0={lon} +lat_0={lat} +datum=WGS84", always_xy=True)
        near = shapely.transform(polygon, lambda p, about=about: np.stack(about.transform(*p.T), axis=-1))
        out.append(near.distance(Point(0, 0)))
    return np.array(out)


# ---- where they lie ----


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("limits", [(5.0, 125.0), (40.0, 90.0)], ids=str)
def test_edges_and_background_keep_their_distance_on_the_ground(system, limits):
    crs = SYSTEMS[system]
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(
        *((-73.95, 40.72) if system == "feet" else (141.9, 60.0))
    )
    step = {"degrees": (1.8e-4, 0.9e-4), "feet": (33, 33), "Web Mercator": (20, 20)}.get(system, (10, 10))
    scene = scene_of(transform=Affine(step[0], 0, x, 0, -step[1], y), crs=crs)
    corners = [scene.grid.xy([r0, r1], [c0, c1]) for r0, c0, r1, c1 in ((40, 40, 48, 60), (110, 120, 118, 126))]
    slides = geopandas.GeoDataFrame(geometry=[box(*each.ravel()) for each in corners], crs=crs)
    X, _, _, report = sampled(slides, scene, edge_distance=limits, background=6, edge=6)
    apart = metres_apart(crs, X.xy, slides.union_all())
    edge, background = apart[report.kind == "edge"], apart[report.kind == "background"]
    assert len(edge) == len(background) > 100
    assert limits[0] - 0.2 <= edge.min() < edge.max() <= limits[1] + 0.2
    assert background.min() > limits[1] - 0.2
    # all the way through, so that the distances are no others on the map
    assert edge.min() < limits[0] + 10 and edge.max() > limits[1] - 10


def test_all_places_within_the_limits_are_drawn_alike():
    """Also those near two landslides. Each place, in the end, when as many are asked for as there are."""
    scene, union = scene_of(), FRAME.union_all()
    centres = scene.grid.xy(*np.mgrid[4:156, 4:176] + 0.5).reshape(-1, 2)
    apart = shapely.distance(union, shapely.points(centres))
    with pytest.warns(SamplingWarning, match=r"room for \d+ of the \d+ negatives that (edge|background)= asks for"):
        X, _, _, report = sampled(background=1e4, edge=1e4)
    for kind, expected in (("edge", (apart >= 5) & (apart <= 125)), ("background", apart > 125)):
        # pixels whose distance is that of a limit to the last metre may fall on either side
        doubtful = np.abs(apart[:, None] - [5, 125]).min(axis=1) < 0.2
        found = {tuple(each) for each in X.xy[report.kind == kind].round(3)}
        assert len(found) == (report.kind == kind).sum()
        assert {tuple(each) for each in centres[expected & ~doubtful].round(3)} <= found
        assert found <= {tuple(each) for each in centres[expected | doubtful].round(3)}


@given(st.integers(0, 10), st.integers(1, 9), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from([0.0, 1.0, 2.5]))
@law(25)
@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")
def test_negatives_are_valid_and_of_the_number_asked_for(seed, size, edge, background):
    random = np.random.RandomState(seed)
    boxes = [pixels(r, c, r + h, c + w) for r, c, h, w in random.randint(1, [60, 70, 12, 12], (8, 4))]
    polygons = geopandas.GeoDataFrame(
        {"class": ["lake"] * 4 + ["landslide"] * 4, "id": np.arange(8) + 5}, geometry=boxes, crs=CRS
    )
    extent, exclude = pixels(0, 0, 66, 90), pixels(30, 30, 50, 40)
    scene = scene_of((70, 90), holes=10, seed=seed)
    options = {"patch_size": size, "stride": 2, "edge": edge, "background": background, "edge_distance": (10, 60)}
    try:
        X, y, groups, report = sampled(polygons, scene, extent=extent, exclude=exclude, random_state=seed, **options)
    except InventoryError as error:
        event(str(error)[:12])
        return
    assert ((report.kind == "landslide") == (y == 1)).all()
    n = y.sum()
    for kind, ratio in (("edge", edge), ("background", background)):
        drawn = (report.kind == kind).sum()
        assert drawn <= round(ratio * n)
        if kind in report.negatives:
            assert (report.negatives[kind].asked, report.negatives[kind].drawn) == (round(ratio * n), drawn)
            assert sum(report.negatives[kind].refused.values()) > 0 or drawn == round(ratio * n)
    points = shapely.points(X.xy)
    slides, others = shapely.union_all(boxes[4:]), shapely.union_all(boxes[:4])
    inside = shapely.contains(slides, points)
    assert not inside[y == 0].any()
    drawn = np.isin(report.kind, ["edge", "background"])
    assert not shapely.contains(others, points)[drawn].any()
    assert shapely.contains(extent, points).all() and not shapely.contains(exclude, points).any()
    assert not np.isnan(read_patches(X, size)).any()
    counted = report.accepted + report.outside + report.nodata + report.surplus
    assert report.candidates == counted + report.off_extent + report.excluded + report.ambiguous
    assert len(np.unique(X.xy[drawn], axis=0)) == drawn.sum()
    # An edge is of the landslide next to it; background of none.
    for kind, group, point in zip(report.kind[drawn], groups[drawn], points[drawn], strict=True):
        if kind == "edge":
            assert boxes[group - 5].distance(point) <= shapely.distance(boxes[4:], point).min() + 0.1
        else:
            assert group not in polygons["id"].tolist()
    again = sampled(polygons, scene, extent=extent, exclude=exclude, random_state=seed, **options)
    assert np.array_equal(again[0].xy, X.xy) and np.array_equal(again[2], groups)


def test_defaults_are_four_of_each_for_landslides_only_and_none_else():
    for polygons in (FRAME, FRAME.assign(**{"class": "landslide"})):
        _, y, _, report = sampled(polygons)
        counts = {kind: (report.kind == kind).sum() for kind in ("landslide", "edge", "background")}
        assert counts == {"landslide": y.sum(), "edge": 4 * y.sum(), "background": 4 * y.sum()}
    both = FRAME.assign(**{"class": ["landslide", "landslide", "forest", "landslide"]})
    assert set(sampled(both)[3].kind) == {"landslide", "other"}
    assert set(sampled(both, background=1)[3].kind) == {"landslide", "other", "background"}
    assert set(sampled(background=0, edge=0)[1].tolist()) == {1}
    assert set(sampled(background=0)[3].kind) == {"landslide", "edge"}


def test_seeds_draw_other_places_and_samples_of_polygons_stay():
    one, same, other = (sampled(random_state=seed) for seed in (0, 0, 1))
    assert np.array_equal(one[0].xy, same[0].xy)
    drawn = one[1] == 0
    assert not np.array_equal(one[0].xy[drawn], other[0].xy[drawn])
    assert np.array_equal(one[0].xy[~drawn], other[0].xy[~drawn])


def test_a_large_scene_is_looked_at_by_random_places(monkeypatch):
    monkeypatch.setattr("sklandslide.sampling.negatives._PLACES", 2000)
    X, _, _, report = sampled()
    drawn = report.kind == "background"
    rows = scene_of().grid.rowcol(X.xy[drawn])
    assert len(np.unique(rows, axis=0)) == drawn.sum() == report.negatives["background"].asked
    assert rows.min(axis=0).max() < 20 and (rows.max(axis=0) > np.array(SHAPE) - 20).all()


def test_balance_counts_negatives_too():
    _, y, _, report = sampled(balance=True)
    assert y.mean() == 0.5
    assert sum(each.drawn for each in report.negatives.values()) == (y == 0).sum()
    assert report.negatives["edge"].refused["over the limits asked for"] > 0


# ---- the ground that they stand for ----


@pytest.mark.parametrize("options", [{}, {"edge": 0}, {"background": 0}, {"balance": True}], ids=str)
def test_areas_are_those_of_the_parts_of_the_ground(options):
    extent, exclude = pixels(20, 20, 150, 150), pixels(70, 20, 90, 150)
    X, _, _, report = sampled(extent=extent, exclude=exclude, **options)
    ground, slides = extent.difference(exclude), FRAME.union_all()
    near = slides.buffer(125).intersection(ground)
    area = {kind: X.area[report.kind == kind].sum() for kind in set(report.kind.tolist())}
    assert sum(area.values()) == pytest.approx(ground.area, rel=1e-3)
    assert area["landslide"] == pytest.approx(slides.intersection(ground).area, rel=1e-3)
    if len(area) == 3:
        assert area["edge"] == pytest.approx(near.area - area["landslide"], rel=5e-3)
    assert (X.area > 0).all()


# ---- folds ----


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("numbered", [True, False])
def test_no_test_patch_shares_a_pixel_with_a_training_patch(seed, numbered):
    random, size = np.random.RandomState(seed), 9
    names = np.arange(12) if numbered else [f"background {i}" for i in range(12)]
    boxes = [pixels(r, c, r + 4, c + 5) for r, c in random.randint(15, 280, (12, 2))]
    scene = scene_of((300, 300))
    slides = geopandas.GeoDataFrame({"id": names}, geometry=boxes, crs=CRS)
    X, y, groups, report = sampled(slides, scene, background=10)
    drawn = report.kind == "background"
    assert not set(groups[drawn]) & set(names)
    assert groups.dtype.kind == ("i" if numbered else "O")
    assert len(set(groups[drawn])) > 30
    folds = SpatialBlockKFold(3, block_size=500, buffer=X.patch_extent(size), random_state=seed)
    first = scene.grid.window_origins(X.xy, size)
    for train, test in folds.split(X, y, groups):
        assert not set(groups[train]) & set(groups[test])
        assert np.abs(first[train][:, None] - first[test]).max(axis=-1).min() >= size
        assert {"landslide", "edge", "background"} == set(report.kind[train]) == set(report.kind[test])


def test_background_of_one_cell_is_one_group():
    X, _, groups, report = sampled()
    drawn = report.kind == "background"
    cell = np.floor(X.scenes[0].grid.rowcol(X.xy[drawn]) / 18)
    pairs = {(*c, g) for c, g in zip(cell.tolist(), groups[drawn], strict=True) for c in [tuple(c)]}
    assert len(pairs) == len(set(groups[drawn])) == len(np.unique(cell, axis=0))


# ---- points ----


@pytest.mark.parametrize("system", SYSTEMS)
def test_points_become_discs_of_metres_on_the_ground(system):
    from sklandslide.geodata import read_inventory

    crs, place = SYSTEMS[system], (-73.95, 40.72) if system == "feet" else (141.9, 60.0)
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(*place)
    for points in (geopandas.GeoDataFrame(geometry=[Point(*place)], crs=4326), geopandas.GeoSeries([Point(x, y)])):
        (disc,) = read_inventory(points, pyproj_crs(crs), radius=80).geometries
        corners = np.array(disc.exterior.coords)
        lon, lat = pyproj.Transformer.from_crs(crs, 4326, always_xy=True).transform(*corners.T)
        n = len(corners)
        _, _, apart = pyproj.Geod(ellps="WGS84").inv(np.full(n, place[0]), np.full(n, place[1]), lon, lat)
        np.testing.assert_allclose(apart, 80, atol=0.05)


def pyproj_crs(name):
    from rasterio.crs import CRS as Rasterio

    return Rasterio.from_string(name)


def test_points_in_one_geometry_polygons_beside_them_and_no_coordinate_system():
    several = geopandas.GeoSeries([MultiPoint([(501_000, 4_699_000), (501_005, 4_699_000)]), SLIDES[0]])
    X, y, groups, _ = sampled(several, scene_of(crs=None), radius=60)
    assert set(groups[y == 1]) == {0, 1}
    disc = Point(501_000, 4_699_000).buffer(66)
    assert all(disc.contains(Point(each)) for each in X.xy[(groups == 0) & (y == 1)])


# ---- bad input ----


def test_points_without_a_radius_are_refused():
    points = geopandas.GeoDataFrame(geometry=[Point(500_800, 4_699_200)], crs=CRS)
    with pytest.raises(InventoryError, match=r"holds Point; .*radius=\.\.\.\) makes discs"):
        sampled(points)
    for radius in (0, -5, np.nan, np.inf, "50"):
        with pytest.raises(InventoryError, match=r"radius=.*in metres, larger than 0"):
            sampled(points, radius=radius)


@pytest.mark.parametrize("name", ["background", "edge"])
@pytest.mark.parametrize("value", [-1, np.nan, np.inf, "2"], ids=str)
def test_ratios_are_numbers_from_zero(name, value):
    with pytest.raises(InventoryError, match=rf"{name}=.*for each landslide sample, from 0"):
        sampled(**{name: value})


@pytest.mark.parametrize("value", [(125, 15), (-1, 5), (5, 5), 15, (1, np.inf), ("a", "b"), None], ids=str)
def test_distances_of_edges_are_increasing(value):
    with pytest.raises(InventoryError, match=r"edge_distance=.*smallest and the largest"):
        sampled(edge_distance=value)


def test_an_extent_without_landslides_is_refused():
    with pytest.raises(InventoryError, match=r"None of the 4 landslides lies in the extent"):
        sampled(extent=pixels(130, 0, 160, 60))
    with pytest.raises(InventoryError, match=r"None of the 4 landslides"):
        sampled(exclude=geopandas.GeoSeries(SLIDES).buffer(5))
    with pytest.raises(InventoryError, match=r"extent=: There is no polygon"):
        sampled(extent=FRAME[:0])
    with pytest.raises(SceneReadError):
        sampled(exclude="nowhere.gpkg")


def test_negatives_without_room_are_refused():
    near = geopandas.GeoSeries(SLIDES).buffer(100).union_all()
    with pytest.raises(InventoryError, match=r"room for 0 of the \d+ negatives that background= .*nearer outer"):
        sampled(edge=0, extent=near)
    with pytest.raises(InventoryError, match=r"room for 0 of the \d+ negatives that edge= .*outside the extent"):
        sampled(extent=geopandas.GeoSeries(SLIDES).union_all())


def test_less_room_than_asked_for_is_told():
    near = geopandas.GeoSeries(SLIDES).buffer(150).union_all()
    with pytest.warns(SamplingWarning, match=r"room for \d+ of the \d+ negatives that background= asks") as caught:
        *_, report = sampled(background=100, extent=near)
    drawn = report.negatives["background"]
    assert 0 < drawn.drawn < drawn.asked
    assert str(drawn) in str(caught[0].message)
    assert drawn.refused["within 125 m of a landslide"] > 0
    assert str(drawn) in str(report)


def test_other_ground_on_a_landslide_is_left_out_and_told():
    both = geopandas.GeoDataFrame(
        {"class": ["landslide", "forest"]}, geometry=[SLIDES[0], pixels(30, 30, 70, 70)], crs=CRS
    )
    with pytest.warns(SamplingWarning, match=r"\d+ candidates of other ground lie on a landslide"):
        X, y, _, report = sampled(both)
    points = [Point(each) for each in X.xy]
    assert [SLIDES[0].contains(point) for point in points] == (y == 1).tolist()
    assert report.ambiguous > 10
