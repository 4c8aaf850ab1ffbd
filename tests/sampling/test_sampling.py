"""Laws of sampling: inside the polygons, on the lattice, whole and valid; and what is told of the rest."""

import logging

import geopandas
import numpy as np
import pyproj
import pytest
import rasterio.transform
import shapely
from affine import Affine
from hypothesis import assume, event, given
from hypothesis import strategies as st
from laws import law
from scenes import UTM, random_scene
from shapely.geometry import MultiPolygon, Point, Polygon, box

from sklandslide import Scene, sample_polygons
from sklandslide.exceptions import InventoryError, NoValidDataError, SamplingWarning, SceneError
from sklandslide.sampling import read_patches

SHAPE = (200, 260)


def scene_with(holes=(), shape=SHAPE, crs="EPSG:32654", transform=UTM):
    arrays = {band: np.random.RandomState(i).normal(size=shape) for i, band in enumerate(("Red", "DEM"))}
    for r, c in holes:
        arrays["Red"][r, c] = np.nan
    return Scene.from_arrays(arrays, transform=transform, crs=crs)


def pixels(r0, c0, r1, c1):
    """A box in pixels, as a polygon on the map."""
    return box(500_000 + 10 * c0, 4_700_000 - 10 * r1, 500_000 + 10 * c1, 4_700_000 - 10 * r0)


def frame(landslides, others, crs="EPSG:32654"):
    classes = ["landslide"] * len(landslides) + ["forest"] * len(others)
    ids = [f"p{i}" for i in range(len(classes))]
    return geopandas.GeoDataFrame({"class": classes, "id": ids}, geometry=[*landslides, *others], crs=crs)


POLYGONS = frame(
    [pixels(40, 40, 75, 90), Point(501_500, 4_699_200).buffer(170)],
    [pixels(100, 30, 160, 80), MultiPolygon([pixels(20, 180, 40, 200), pixels(150, 200, 170, 230)])],
)


def lattice_points(geometry, step):
    """Centres of the lattice's pixels that lie in a polygon, row by row."""
    rows, cols = (np.arange(0, n, step) for n in SHAPE)
    x, y = rasterio.transform.xy(UTM, *(a.ravel() for a in np.meshgrid(rows, cols, indexing="ij")))
    points = np.stack([np.ravel(x), np.ravel(y)], axis=-1)
    return points[shapely.contains_xy(geometry, points)]


@pytest.mark.parametrize("patch_size, stride", [(8, None), (25, 7)])
def test_samples_are_all_the_lattice_points_in_the_polygons(patch_size, stride):
    X, y, groups = sample_polygons(scene_with(), POLYGONS, patch_size=patch_size, stride=stride)
    expected = []
    for geometry, kind, name in zip(POLYGONS.geometry, POLYGONS["class"], POLYGONS["id"], strict=True):
        points = lattice_points(geometry, stride or (patch_size + 1) // 2)
        expected += [(*point, int(kind == "landslide"), name) for point in points.tolist()]
    assert list(zip(*X.xy.T.tolist(), y.tolist(), groups.tolist(), strict=True)) == expected
    assert X.dtype == np.float64


@pytest.mark.parametrize("sizes", [[8, 25], np.array([32, 25, 7])], ids=str)
def test_samples_fit_the_scene_and_are_valid_at_the_largest_size(sizes):
    scene, largest = scene_with([(60, 60), (120, 50)]), max(sizes)
    near_edges = frame([pixels(0, 0, 80, 100)], [pixels(100, 0, 200, 260)])
    X, y, _, report = sample_polygons(scene, near_edges, patch_size=sizes, stride=3, return_report=True)
    points = np.concatenate([lattice_points(geometry, 3) for geometry in near_edges.geometry])
    first = scene.grid.window_origins(points, largest)
    fits = ((first >= 0) & (first + largest <= SHAPE)).all(axis=1)
    red = scene.read("Red")[..., 0]
    whole = np.array([np.isfinite(red[r : r + largest, c : c + largest]).all() for r, c in np.maximum(first, 0)])
    assert X.xy.tolist() == points[fits & whole].tolist()
    assert (report.outside, report.nodata) == ((~fits).sum(), (fits & ~whole).sum())
    assert min(report.outside, report.nodata) > 0
    assert report.accepted == len(X) == len(y)
    assert report.candidates == report.accepted + report.outside + report.nodata + report.surplus


def test_every_small_polygon_gives_a_sample_inside_its_pixel():
    small = [pixels(50.2, 50.1 + 3 * k, 50.6, 50.5 + 3 * k) for k in range(20)]
    X, y, groups = sample_polygons(scene_with(), frame(small[:10], small[10:]), patch_size=25)
    assert groups.tolist() == [f"p{i}" for i in range(20)]
    assert y.tolist() == [1] * 10 + [0] * 10
    at = X.scenes[0].grid.rowcol(X.xy)
    np.testing.assert_allclose(at, [[50.5, 50.5 + 3 * k] for k in range(20)], atol=1e-6)


def test_polygons_in_another_system_file_and_form_are_the_same(tmp_path):
    scene = scene_with()
    expected = sample_polygons(scene, POLYGONS, stride=5)
    geographic = POLYGONS.to_crs(4326)
    geographic.to_file(tmp_path / "p.gpkg")
    geographic.to_file(tmp_path / "p.geojson")
    POLYGONS.to_file(tmp_path / "p.shp")
    sources = [geographic, tmp_path / "p.gpkg", str(tmp_path / "p.geojson"), tmp_path / "p.shp"]
    sources += [POLYGONS.__geo_interface__, POLYGONS.set_crs(None, allow_override=True)]
    for source in sources:
        X, y, groups = sample_polygons(scene, source, stride=5)
        assert X.xy.tolist() == expected[0].xy.tolist()
        assert y.tolist() == expected[1].tolist()
        assert groups.tolist() == expected[2].tolist()


def test_columns_and_classes_can_be_named():
    other = POLYGONS.rename(columns={"class": "type", "id": "name"}).replace({"type": {"landslide": 7, "forest": 3}})
    expected = sample_polygons(scene_with(), POLYGONS)
    X, y, groups = sample_polygons(scene_with(), other, class_column="type", positive=7, id_column="name")
    assert X.xy.tolist() == expected[0].xy.tolist()
    assert y.tolist() == expected[1].tolist()
    assert groups.tolist() == expected[2].tolist()
    _, _, numbered = sample_polygons(scene_with(), POLYGONS.drop(columns="id"))
    assert sorted(set(numbered.tolist())) == [0, 1, 2, 3]
    _, y, _ = sample_polygons(scene_with(), POLYGONS[:2], class_column=None)
    assert set(y.tolist()) == {1}


def test_balance_and_limit_are_random_subsets_by_seed():
    scene = scene_with()
    X, y, _groups = sample_polygons(scene, POLYGONS, stride=3)
    everything = {tuple(p) for p in X.xy.tolist()}
    smaller = min(np.bincount(y))
    assert np.bincount(y)[0] != np.bincount(y)[1]
    B, b, _, report = sample_polygons(scene, POLYGONS, stride=3, balance=True, random_state=0, return_report=True)
    assert np.bincount(b).tolist() == [smaller, smaller]
    assert {tuple(p) for p in B.xy.tolist()} < everything
    assert report.surplus == len(X) - 2 * smaller
    L, _, limited = sample_polygons(scene, POLYGONS, stride=3, max_per_polygon=9, random_state=0)
    assert {name: (limited == name).sum() for name in set(limited)} == dict.fromkeys(POLYGONS["id"], 9)
    again = sample_polygons(scene, POLYGONS, stride=3, max_per_polygon=9, random_state=0)[0]
    other = sample_polygons(scene, POLYGONS, stride=3, max_per_polygon=9, random_state=1)[0]
    assert L.xy.tolist() == again.xy.tolist() != other.xy.tolist()
    assert limited.tolist() == sorted(limited.tolist(), key=POLYGONS["id"].tolist().index)  # order is kept


def test_only_the_bands_named_must_be_valid():
    scene = scene_with([(r, c) for r in range(0, 200, 5) for c in range(0, 260, 5)])
    with pytest.raises(NoValidDataError, match=r"All \d+ candidates hold nodata in a patch of 25 pixels"):
        sample_polygons(scene, POLYGONS)
    X, _, _ = sample_polygons(scene, POLYGONS, bands=["DEM"])
    assert len(X) == len(sample_polygons(scene_with(), POLYGONS)[0])
    with pytest.raises(NoValidDataError):
        sample_polygons(scene, POLYGONS, bands=["Red - DEM"])


def test_what_is_refused_is_told(caplog):
    outside = frame([pixels(60, 60, 90, 90), pixels(900, 900, 940, 940)], [pixels(100, 100, 150, 150)])
    with caplog.at_level(logging.INFO, "sklandslide"), pytest.warns(SamplingWarning, match="1 of 3 polygons give no"):
        *_, report = sample_polygons(scene_with(), outside, return_report=True)
    assert report.empty_polygons == ("p1",)
    assert report.outside >= 1
    assert str(report) in caplog.text
    assert f"{report.accepted} samples of {report.candidates} candidates" in str(report)


def test_geographic_scene():
    transform = Affine(9e-5, 0, 141.9, 0, -9e-5, 42.7)
    scene = scene_with(crs="EPSG:4326", transform=transform)
    boxes = [box(141.903, 42.690, 141.908, 42.695), box(141.912, 42.690, 141.917, 42.695)]
    X, y, _ = sample_polygons(scene, frame(boxes[:1], boxes[1:], crs=4326), patch_size=9)
    inside = [boxes[0 if label else 1].contains(Point(p)) for p, label in zip(X.xy, y, strict=True)]
    assert len(inside) > 50
    assert all(inside)


@pytest.mark.parametrize("options", [{}, {"balance": True}, {"max_per_polygon": 2}], ids=str)
def test_areas_add_up_to_the_ground(options):
    slides = [pixels(40, 40, 75, 90), pixels(60, 80, 90, 100), pixels(-30, 10, 20, 30), pixels(900, 900, 940, 940)]
    polygons = frame(slides, [pixels(100, 30, 160, 80)])
    with pytest.warns(SamplingWarning):
        X, y, groups = sample_polygons(scene_with(), polygons, patch_size=9, random_state=0, **options)
    covered = shapely.union_all(slides).intersection(pixels(0, 0, *SHAPE)).area
    assert X.area[y == 1].sum() == pytest.approx(covered, rel=1e-3)
    assert X.area.sum() == pytest.approx(SHAPE[0] * SHAPE[1] * 100, rel=1e-3)
    assert len(np.unique(X.area[y == 0])) == 1
    one, other = (X.area[groups == name].sum() for name in ("p0", "p1"))
    assert one / other == pytest.approx(slides[0].area / slides[1].area, rel=1e-6)


@pytest.mark.parametrize("crs", [4326, 2263])  # degrees; feet
def test_areas_are_those_on_the_ground(crs):
    x, y = pyproj.Transformer.from_crs(4326, crs, always_xy=True).transform(-73.95, 40.72)
    step = 5e-4 if crs == 4326 else 50
    scene = scene_with(crs=crs, transform=Affine(step, 0, x, 0, -step, y))
    boxes = [box(x + step * c, y - step * (c + 60), x + step * (c + 30), y - step * c) for c in (20, 130)]
    X, label, _ = sample_polygons(scene, frame(boxes[:1], boxes[1:], crs=crs), patch_size=9)
    geographic = geopandas.GeoSeries([boxes[0], box(*scene.grid.bounds)], crs=crs).to_crs(4326)
    wanted = [abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(each)[0]) for each in geographic]
    assert [X.area[label == 1].sum(), X.area.sum()] == pytest.approx(wanted, rel=2e-3)


# ---- bad input ----


def test_one_class_only():
    with pytest.raises(InventoryError, match=r"All 2 polygons have class == 'landslide'.*class_column=None"):
        sample_polygons(scene_with(), POLYGONS[:2])
    with pytest.raises(InventoryError, match=r"No polygon has class == 'slide'; the values are 'forest', 'landslide'"):
        sample_polygons(scene_with(), POLYGONS, positive="slide")
    far = frame([pixels(60, 60, 90, 90)], [pixels(900, 900, 940, 940)])
    with pytest.warns(SamplingWarning), pytest.raises(InventoryError, match="No sample of class 0 "):
        sample_polygons(scene_with(), far)


def test_polygons_outside_the_scene():
    far = frame([pixels(900, 900, 940, 940)], [pixels(960, 900, 990, 940)])
    with pytest.raises(InventoryError, match=r"No sample fits the scene: the polygons cover .* and the scene"):
        sample_polygons(scene_with(), far)


def test_scene_without_a_coordinate_system_or_smaller_than_a_patch():
    with pytest.raises(InventoryError, match=r"EPSG:32654.*the scene has none"):
        sample_polygons(scene_with(crs=None), POLYGONS)
    with pytest.raises(SceneError, match="201 x 201 pixels does not fit the scene of 200 x 260"):
        sample_polygons(scene_with(), POLYGONS, patch_size=[25, 201])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 0}, "patch_size=0"),
        ({"patch_size": 2.5}, "patch_size=2.5"),
        ({"stride": 0}, "stride=0"),
        ({"max_per_polygon": -1}, "max_per_polygon=-1"),
    ],
)
def test_bad_numbers(options, message):
    with pytest.raises(SceneError, match=message):
        sample_polygons(scene_with(), POLYGONS, **options)


# ---- any polygons ----

SMALL = (45, 50)


@st.composite
def blobs(draw, x=UTM.c, y=UTM.f):
    """A polygon on or about the scene, in any size down to less than a pixel."""
    centre = draw(st.floats(-5, 55)), draw(st.floats(-5, 50))
    corners = draw(st.integers(3, 8))
    angles = (np.arange(corners) + [draw(st.floats(0, 0.9)) for _ in range(corners)]) * 2 * np.pi / corners
    radius = draw(st.sampled_from([0.3, 2.0, 9.0]))
    lengths = np.array([draw(st.floats(0.4, 1.0)) for _ in range(corners)]) * radius
    col, row = centre[0] + lengths * np.cos(angles), centre[1] + lengths * np.sin(angles)
    polygon = Polygon(np.stack([x + 10 * col, y - 10 * row], axis=-1))
    assume(polygon.is_valid and polygon.area > 1)
    return polygon


def sampled(scene, polygons, labels, **options):
    classes = np.where(labels, "landslide", "forest")
    frame = geopandas.GeoDataFrame(
        {"class": classes, "id": np.arange(len(labels)) + 100}, geometry=polygons, crs="EPSG:32654"
    )
    return sample_polygons(scene, frame, **options)


@given(
    st.lists(blobs(), min_size=2, max_size=5),
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(0, 5),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
)
@law(60)
@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")
def test_samples_are_what_looking_at_each_pixel_finds(polygons, size, stride, seed, most, balance):
    scene = random_scene(SMALL, seed=seed, transform=UTM, crs="EPSG:32654", holes=seed * 4)
    labels = np.arange(len(polygons)) % 2
    whole = scene.read()
    expected = {}
    for number, polygon in enumerate(polygons):
        # Lattice points within a patch beyond the edge are found and refused; only then is no other place looked for.
        lattice = np.array([(r, c) for r in range(-36, 90) for c in range(-36, 90) if r % stride == 0 == c % stride])
        reach = ((lattice >= -size) & (lattice < np.array(SMALL) + size)).all(axis=1)
        inside = shapely.contains_xy(polygon, *scene.grid.xy(*(lattice.T + 0.5)).T) & reach
        at = lattice[inside].tolist()
        if not at:
            at = [np.floor(scene.grid.rowcol(np.ravel(polygon.representative_point().coords))).astype(int).tolist()]
        good = []
        for r, c in at:
            # The middle pixel of an odd patch; an even one has this pixel's lower right corner in its middle.
            r0, c0 = (i - (size - 1) // 2 if size % 2 else i + 1 - size // 2 for i in (r, c))
            inside = r0 >= 0 and c0 >= 0 and r0 + size <= SMALL[0] and c0 + size <= SMALL[1]
            if inside and not np.isnan(whole[r0 : r0 + size, c0 : c0 + size]).any():
                good.append((r, c))
        expected[number + 100] = good
    counts = [sum(len(expected[i + 100]) for i in np.flatnonzero(labels == k)) for k in (0, 1)]
    options = {"patch_size": size, "stride": stride, "max_per_polygon": most, "balance": balance, "random_state": seed}
    if not all(counts):
        event("too few")
        with pytest.raises((InventoryError, NoValidDataError)):
            sampled(scene, polygons, labels, **options)
        return
    X, y, groups = sampled(scene, polygons, labels, **options)
    assert (y == labels[groups - 100]).all()
    pixel = np.floor(scene.grid.rowcol(X.xy)).astype(int)
    np.testing.assert_allclose(scene.grid.rowcol(X.xy), pixel + 0.5, atol=1e-6)
    for name, good in expected.items():
        found = list(map(tuple, pixel[groups == name].tolist()))
        assert len(set(found)) == len(found) and set(found) <= set(good)
        if not balance:
            assert len(found) == (len(good) if most is None else min(most, len(good)))
    if balance:
        limited = [sum(min(most or 10**9, len(expected[i + 100])) for i in np.flatnonzero(labels == k)) for k in (0, 1)]
        assert (y == 1).sum() == (y == 0).sum() == min(limited)
    assert not np.isnan(read_patches(X, size)).any()
    again = sampled(scene, polygons, labels, **options)
    assert all(np.array_equal(a, b) for a, b in zip((X.xy, y, groups), (again[0].xy, *again[1:]), strict=True))
