"""Laws of grids, reading and maps that hold for any input; each against a computation that is slow and plain."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from laws import anything, law, shapes, sizes
from rasters import centres, grid_of, rotated, same, write
from scenes import random_scene
from shapely import affinity
from shapely.geometry import Polygon, box

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import SceneError
from sklandslide.geodata import warping
from sklandslide.geodata.grid import Window, tiles
from sklandslide.mapping.tiles import MapTask, TileLayout

UTM = "EPSG:32654"


@contextmanager
def folder():
    """A folder for one example: pytest's tmp_path is one for all."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# -- the grid ---------------------------------------------------------------------------------------------------------


@given(shapes, st.integers(1, 20), st.data())
@law(100)
def test_the_tiles_that_touch_rows_are_found(shape, side, data):
    layout = TileLayout(shape, side)
    first = data.draw(st.integers(0, shape[0] - 1))
    last = data.draw(st.integers(first + 1, shape[0]))
    touching = [n for n, t in enumerate(layout.windows) if t.row_off < last and t.row_off + t.height > first]
    assert list(layout.touching(first, last)) == touching


@given(st.integers(1, 30), st.integers(1, 30), sizes, sizes, st.data())
@law(100)
def test_a_part_of_a_map_sees_the_pixels_of_all_its_windows_and_no_others(rows, cols, size, step, data):
    shape = (rows - 1) * step + size, (cols - 1) * step + size
    (r0, r1), (c0, c1) = (sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=2, unique=True)))
                          for n in (rows, cols))  # fmt: skip
    seen = np.zeros(shape, bool)
    for i in range(r0, r1):
        for j in range(c0, c1):
            seen[i * step : i * step + size, j * step : j * step + size] = True
    task = MapTask(None, [], size, step, 1)
    source = task.source(Window(r0, c0, r1 - r0, c1 - c0))
    r, c = np.nonzero(seen)
    assert (source.row_off, source.col_off) == (r.min(), c.min())
    assert (source.row_off + source.height, source.col_off + source.width) == (r.max() + 1, c.max() + 1)


@given(anything)
@law(200)
def test_whatever_is_given_for_a_window_is_one_or_is_refused(thing):
    try:
        window = Window.from_any(thing, (20, 30))
    except SceneError as error:
        assert "window" in str(error)
    else:
        assert np.zeros((20, 30))[window.slices].size == window.height * window.width > 0


# -- reading ----------------------------------------------------------------------------------------------------------


BANDS = {  # crs and transform of a band under a grid of 10 m pixels at 600 000, 4 740 000
    "same": (UTM, Affine(10, 0, 600_000, 0, -10, 4_740_000)),
    "shifted": (UTM, Affine(10, 0, 600_070, 0, -10, 4_739_960)),
    "aside": (UTM, Affine(7, 0, 600_003, 0, -11, 4_739_990)),
    "mirrored": (UTM, Affine(-10, 0, 600_450, 0, 10, 4_739_540)),
    "turned": (UTM, rotated(600_100, 4_740_050, -20, 12)),
    "degrees": ("EPSG:4326", Affine(1.2e-4, 0, 142.2205, 0, -0.9e-4, 42.8045)),
    "next zone": ("EPSG:32655", Affine(12, 0, 109_150, 0, -12, 4_750_250)),
}


def cut(draw, length):
    first = draw(st.integers(0, length - 1))
    return first, draw(st.integers(first + 1, length))


@given(st.data(), st.sampled_from(sorted(BANDS)), st.sampled_from(["bilinear", "nearest", "cubic", "average"]))
@law(35)
def test_a_window_is_that_part_of_the_whole(data, kind, resampling):
    """Of any band and of its slope, stored in any blocks, warped in any, copied or read through the edge."""
    crs, transform = BANDS[kind]
    shape = data.draw(st.tuples(st.integers(20, 45), st.integers(20, 45)))
    random = np.random.RandomState(data.draw(st.integers(0, 9)))
    values = random.uniform(0, 100, (40, 48)).astype("float32")
    values[random.uniform(size=values.shape) < 0.03] = -9999
    blocks = data.draw(st.sampled_from([{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}, {"blockysize": 5}]))
    window = cut(data.draw, shape[0]), cut(data.draw, shape[1])
    side = data.draw(st.sampled_from([13, 16, 256]))
    before = warping._WARP_BLOCK
    warping._WARP_BLOCK = side
    try:
        with folder() as path:
            file = write(path / "a.tif", values, transform=transform, crs=crs, nodata=-9999, **blocks)
            grid = grid_of(*BANDS["same"], shape)
            scene = Scene.from_files({"DEM": file}, grid=grid, resampling=resampling)
            whole = scene.read()
            (r0, r1), (c0, c1) = window
            assert same(scene.read(window=window), whole[r0:r1, c0:c1])
            assert same(scene.read(["Slope", "DEM"], window), whole[r0:r1, c0:c1, ::-1])
            parts = np.full_like(whole, np.inf)
            for tile in tiles(shape, side):
                parts[tile.slices] = scene.read(window=tile)
            assert same(parts, whole)
            assert same(scene.crop(window).read(), whole[r0:r1, c0:c1])
    finally:
        warping._WARP_BLOCK = before


# -- the map ----------------------------------------------------------------------------------------------------------

probabilities = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 7), st.integers(1, 8)),
    elements=st.sampled_from([0.0, 0.25, 0.5, np.nextafter(np.float32(0.5), np.float32(0)), 0.75, 1.0, np.nan]),
)  # fmt: skip


@given(probabilities, st.sampled_from([0.0, 0.5, 0.25, 1.0]), st.sampled_from(sorted(BANDS)), st.data())
@example(np.array([[0.0, np.nan], [1.0, 0.5]], "float32"), 0.0, "same", None)
@law(50)
def test_points_polygons_and_scores_are_those_of_each_pixel(values, threshold, kind, data):
    crs, transform = BANDS[kind]
    with folder() as path:
        m = LandslideMap.open(write(path / "m.tif", values, transform=transform, crs=crs, nodata=np.nan))
        check_map(m, values, threshold, None if data is None else data.draw(st.integers(0, 99)))


def check_map(m, values, threshold, seed):
    pixel = {
        (r, c): Polygon(m.grid.xy([r, r, r + 1, r + 1], [c, c + 1, c + 1, c])) for r, c in np.ndindex(values.shape)
    }
    valid = {at for at in pixel if not np.isnan(values[at])}
    red = {at for at in valid if values[at] >= threshold}
    points = m.points(threshold)
    assert [at for at in pixel for p in points.geometry if pixel[at].contains(p)] == sorted(red)
    assert points["probability"].tolist() == [values[at] for at in sorted(red)]
    polygons = m.polygons(threshold)
    parts = list(map(set, connected(red)))
    assert len(polygons) == len(parts)
    for part, polygon, mean in zip(parts, polygons.geometry, polygons["probability"], strict=True):
        assert polygon.is_valid
        np.testing.assert_allclose(polygon.area, sum(pixel[at].area for at in part), rtol=1e-6)
        assert all(polygon.contains(pixel[at].centroid) for at in part)
        np.testing.assert_allclose(mean, np.mean([values[at] for at in part]), rtol=1e-6)
    if seed is None:
        return
    random = np.random.RandomState(seed)
    corners = random.uniform(-1, 1.2, (2, 2)) * values.shape
    slides = []
    for row, col in corners:
        square = Polygon(m.grid.xy(row + np.array([0, 0, 3, 3.0]), col + np.array([0, 2.5, 2.5, 0])))
        slides.append(affinity.rotate(square, 17))
    scores = m.score(geopandas.GeoDataFrame(geometry=slides, crs=m.grid.crs and m.grid.crs.to_wkt()), class_column=None,
                     threshold=threshold)  # fmt: skip
    owned = []
    for slide in slides:
        own = {at for at in pixel if slide.contains(pixel[at].centroid)}
        inner = m.grid.rowcol(np.ravel(slide.representative_point().coords))
        owned.append(own or {tuple(np.floor(inner).astype(int).tolist())} & set(pixel))
    on = set.union(*owned) & valid
    expected = {
        "tp": len(on & red),
        "fp": len(red - on),
        "fn": len(on - red),
        "tn": len(valid - on - red),
        "n_points": len(red),
        "n_landslides": sum(bool(own & valid) for own in owned),
        "n_outside": sum(not own & valid for own in owned),
        "n_hit": sum(bool(own & red) for own in owned),
        "n_false_alarms": sum(not part & on for part in parts),
    }
    assert {name: scores[name] for name in expected} == expected
    counted = [slide for slide, own in zip(slides, owned, strict=True) if own & valid]
    ground = counted[0].union(counted[-1]) if counted else Polygon()
    unit = scores["valid_km2"] / max(sum(pixel[at].area for at in valid), 1e-300)
    covered = {at: pixel[at].intersection(ground).area for at in valid}
    np.testing.assert_allclose(scores["landslide_km2"], sum(covered.values()) * unit, rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(scores["hit_km2"], sum(covered[at] for at in red) * unit, rtol=1e-3, atol=1e-9)


def connected(pixels):
    """Areas of pixels that share an edge, in the order of their first."""
    left = set(pixels)
    for start in sorted(pixels):
        if start not in left:
            continue
        area, edge = set(), [start]
        left.discard(start)
        while edge:
            r, c = edge.pop()
            area.add((r, c))
            near = {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & left
            left -= near
            edge += near
        yield area


SYSTEMS = [
    *("EPSG:4326", "EPSG:32654", "EPSG:6668", "EPSG:2225", "EPSG:3413", "EPSG:32654+5773", "EPSG:4979", "EPSG:27572"),
    *("+proj=sinu +R=6371007.181", 'LOCAL_CS["site",UNIT["metre",1]]', None),
]


@pytest.mark.parametrize("crs", SYSTEMS)
@pytest.mark.filterwarnings("ignore:'crs' was not provided")
def test_a_coordinate_system_survives_files_of_every_kind(tmp_path, crs):
    transform = Affine(1e-3, 0, 14, 0, -1e-3, 42)
    scene = random_scene((6, 6), transform=transform, crs=crs)
    values = np.zeros((6, 6), "float32")
    values[2, 3] = 1
    m = LandslideMap.open(write(tmp_path / "m.tif", values, transform=transform, crs=scene.grid.crs, nodata=np.nan))
    assert m.grid.transform == transform
    assert (m.grid.crs is None) == (crs is None)
    points = geopandas.read_file(m.to_gpkg(tmp_path / "m.gpkg"), layer="points")
    np.testing.assert_allclose([points.geometry.x[0], points.geometry.y[0]], m.grid.xy(2.5, 3.5), atol=1e-12)
    if crs is None or crs.startswith("LOCAL"):
        return
    # What files keep may be named otherwise, but means the same places.
    x, y = (np.ravel(v) for v in centres(scene.grid))
    known = rasterio.warp.transform(scene.grid.crs, "EPSG:4326", x, y)
    for other in (m.grid.crs, rasterio.crs.CRS.from_wkt(points.crs.to_wkt())):
        np.testing.assert_allclose(rasterio.warp.transform(other, "EPSG:4326", x, y), known, atol=1e-8)


@given(st.lists(st.tuples(st.floats(1, 170), st.floats(-60, 60)), min_size=1, max_size=5), st.integers(-3, 3))
@law(40)
def test_polygons_come_beside_the_grid_from_any_number_of_turns_away(places, turns):
    from sklandslide.geodata.antimeridian import beside, joined

    grid = grid_of("EPSG:4326", Affine(0.01, 0, 179.5, 0, -0.01, 0.5), (100, 100))
    squares = np.array([box(x - 1, y - 1, x + 1, y + 1) for x, y in places], dtype=object)
    moved = np.array([affinity.translate(s, 360 * turns, 0) for s in squares], dtype=object)
    for one, other in zip(beside(joined(squares, grid.crs), grid), beside(joined(moved, grid.crs), grid), strict=True):
        np.testing.assert_allclose(one.bounds, other.bounds, atol=1e-9)
        assert abs((one.bounds[0] + one.bounds[2]) / 2 - 180) <= 180
