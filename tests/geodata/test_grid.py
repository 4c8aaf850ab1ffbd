"""The pixel grid: laws of coordinates, windows, tiles and map grids."""

import pickle

import numpy as np
import pytest
import rasterio.windows
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasters import UTM, grid_of

from sklandslide.exceptions import SceneError
from sklandslide.geodata.grid import Grid, Window, origins, tiles

quick = settings(max_examples=60, deadline=None)

NORTH_UP = Affine(10, 0, 600_000, 0, -10, 4_740_000)
TRANSFORMS = {
    "north up": NORTH_UP,
    "south up": Affine(10, 0, 600_000, 0, 10, 4_739_000),
    "oblong": Affine(7, 0, 600_000, 0, -20, 4_740_000),
    "rotated": Affine(8.66, 5, 600_000, 5, -8.66, 4_740_000),
    "sheared": Affine(10, 1.7, 600_000, -3.6, -10, 4_740_000),
    "degrees": Affine(1e-4, 0, 141.9, 0, -1e-4, 42.8),
}
each_transform = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
sizes = st.integers(1, 40)
steps = st.integers(1, 9)


def pixel(grid, row, col):
    return grid.xy([row], [col])


@each_transform
def test_xy_is_the_affine_transform_of_col_and_row(transform):
    grid = Grid(None, transform, (5, 7))
    a, b, c, d, e, f = transform[:6]
    assert grid.xy(2.25, 6.5) == pytest.approx((a * 6.5 + b * 2.25 + c, d * 6.5 + e * 2.25 + f), rel=1e-15)
    assert grid.xy(np.zeros((3, 2)), np.ones((3, 2))).shape == (3, 2, 2)
    assert grid.xy(0, 0).dtype == np.float64


@each_transform
@quick
@given(row=st.floats(-1e4, 1e4), col=st.floats(-1e4, 1e4))
def test_rowcol_undoes_xy(transform, row, col):
    back = Grid(None, transform, (5, 7)).rowcol(Grid(None, transform, (5, 7)).xy(row, col))
    assert back == pytest.approx((row, col), abs=1e-6)


@each_transform
def test_bounds_hold_every_corner_and_touch_the_extremes(transform):
    grid = Grid(None, transform, (5, 7))
    a, b, c, d, e, f = transform[:6]
    corners = np.array([(a * x + b * y + c, d * x + e * y + f) for x in (0, 7) for y in (0, 5)])
    assert grid.bounds == pytest.approx((*corners.min(axis=0), *corners.max(axis=0)), rel=1e-15)


@each_transform
def test_pixel_extent_is_the_box_about_one_pixel(transform):
    left, bottom, right, top = Grid(None, transform, (1, 1)).bounds
    # Differences of coordinates near 5e6 lose nine digits.
    assert Grid(None, transform, (5, 7)).pixel_extent == pytest.approx((right - left, top - bottom), rel=1e-6)


@each_transform
def test_crop_keeps_every_pixel_in_its_place(transform):
    grid = grid_of(UTM, transform, (20, 30))
    cropped = grid.crop(Window(4, 7, 5, 6))
    assert cropped.shape == (5, 6)
    assert cropped.crs == grid.crs
    assert np.allclose(cropped.xy(1.5, 2.5), grid.xy(5.5, 9.5), rtol=1e-14)


@quick
@given(shape=st.tuples(sizes, sizes), size=sizes)
def test_tiles_hold_each_pixel_exactly_once(shape, size):
    times = np.zeros(shape, int)
    for tile in tiles(shape, size):
        assert max(tile.height, tile.width) <= size
        assert times[tile.slices].shape == (tile.height, tile.width)  # no tile hangs over the edge
        times[tile.slices] += 1
    assert (times == 1).all()


@quick
@given(length=st.integers(1, 60), size=sizes, step=steps)
def test_origins_are_every_window_that_fits(length, size, step):
    fitting = [first for first in range(length) if first % step == 0 and first + size <= length]
    assert list(origins(length, size, step)) == fitting


def test_origins_reach_the_last_row():
    assert list(origins(10, 4, 2)) == [0, 2, 4, 6]  # 6, 7, 8, 9: ends on the last pixel
    assert list(origins(10, 10, 3)) == [0]
    assert list(origins(9, 10, 3)) == []


@quick
@given(shape=st.tuples(st.integers(1, 60), st.integers(1, 60)), size=sizes, step=steps)
def test_centre_of_a_map_pixel_is_the_centre_of_its_window(shape, size, step):
    grid = grid_of(UTM, TRANSFORMS["rotated"], shape)
    if size > min(shape):
        with pytest.raises(
            SceneError, match=rf"patch of {size} x {size} .* {shape[0]} x {shape[1]} .*smaller patch_size"
        ):
            grid.map_grid(size, step)
        return
    result = grid.map_grid(size, step)
    assert result.shape == ((shape[0] - size) // step + 1, (shape[1] - size) // step + 1)
    for i, j in [(0, 0), (0, result.shape[1] - 1), (result.shape[0] - 1, 0)]:
        window_centre = grid.xy(i * step + size / 2, j * step + size / 2)
        assert np.allclose(result.xy(i + 0.5, j + 0.5), window_centre, rtol=0, atol=1e-6)
    assert result.crs == grid.crs


@each_transform
@quick
@given(row=st.integers(0, 10_000), col=st.integers(0, 10_000), size=sizes)
def test_the_patch_about_a_window_centre_is_that_window(transform, row, col, size):
    grid = Grid(None, transform, (5, 5))
    assert grid.window_origins(pixel(grid, row + size / 2, col + size / 2), size).tolist() == [[row, col]]


@quick
@given(row=st.floats(0, 1000), col=st.floats(0, 1000), size=st.integers(0, 20).map(lambda n: 2 * n + 1))
def test_an_odd_patch_is_centred_on_the_pixel_that_holds_the_point(row, col, size):
    grid = Grid(None, Affine(1, 0, 0, 0, 1, 0), (5, 5))
    (first,) = grid.window_origins(pixel(grid, row, col), size)
    assert first.tolist() == [np.floor(row + 1e-6) - size // 2, np.floor(col + 1e-6) - size // 2]


@quick
@given(row=st.floats(0, 1000), col=st.floats(0, 1000), size=st.integers(1, 20).map(lambda n: 2 * n))
def test_the_centre_of_an_even_patch_is_the_nearest_corner(row, col, size):
    grid = Grid(None, Affine(1, 0, 0, 0, 1, 0), (5, 5))
    centre = grid.window_origins(pixel(grid, row, col), size)[0] + size / 2
    assert (np.abs(centre - [row, col]) <= 0.5 + 2e-6).all()


def test_an_even_patch_about_a_pixel_centre_takes_the_lower_right_corner():
    grid = Grid(None, NORTH_UP, (50, 50))
    assert grid.window_origins(pixel(grid, 20.5, 30.5), 4).tolist() == [[19, 29]]  # 19-22: centre 21, below 20.5
    assert grid.window_origins(pixel(grid, 20.5, 30.5), 5).tolist() == [[18, 28]]


@each_transform
@pytest.mark.parametrize("size", [1, 2, 7, 8, 25, 32])
def test_ties_fall_the_same_way_under_noise_and_after_a_crop(transform, size):
    grid = Grid(None, transform, (400, 400))
    rng = np.random.default_rng(0)
    half = rng.integers(80, 700, (300, 2)) / 2  # corners and centres of pixels: every tie there is
    xy = grid.xy(half[:, 0], half[:, 1])
    expected = np.floor(half - size / 2 + 0.5).astype(int)
    assert np.array_equal(grid.window_origins(xy, size), expected)
    noise = rng.choice([-1e-9, 1e-9], (300, 2))
    assert np.array_equal(grid.window_origins(grid.xy(*(half + noise).T), size), expected)
    cropped = grid.crop(Window(13, 29, 300, 300))
    assert np.array_equal(cropped.window_origins(xy, size), expected - [13, 29])


@quick
@given(row=st.floats(-50, 1000), col=st.floats(-50, 1000), p=sizes, q=sizes)
def test_a_smaller_patch_about_a_point_lies_inside_the_larger(row, col, p, q):
    grid = Grid(None, Affine(1, 0, 0, 0, -1, 0), (5, 5))
    small, large = sorted((p, q))
    xy = pixel(grid, row, col)
    inner, outer = grid.window_origins(xy, small), grid.window_origins(xy, large)
    assert (inner >= outer).all()
    assert (inner + small <= outer + large).all()


def test_window_origins_take_many_points_and_keep_rows_before_columns():
    grid = Grid(None, NORTH_UP, (50, 50))
    first = grid.window_origins(grid.xy([10.5, 20.5], [30.5, 5.5]), 3)
    assert first.dtype == np.int64
    assert first.tolist() == [[9, 29], [19, 4]]


@pytest.mark.parametrize(
    "window",
    [Window(2, 3, 4, 5), rasterio.windows.Window(3, 2, 5, 4), ((2, 6), (3, 8)), [[2.0, 6.0], [3, 8]]],
    ids=["Window", "rasterio", "pairs", "whole floats"],
)
def test_a_window_is_taken_in_any_form(window):
    assert Window.from_any(window, (6, 8)) == Window(2, 3, 4, 5)


def test_no_window_is_the_whole_grid():
    assert Window.from_any(None, (6, 8)) == Window(0, 0, 6, 8)


@pytest.mark.parametrize(
    "window",
    [((0, 7), (0, 8)), ((0, 6), (0, 9)), ((-1, 3), (0, 8)), ((0, 3), (-1, 8)), ((2, 2), (0, 8)), ((4, 2), (0, 8))],
)
def test_a_window_off_the_grid_is_refused(window):
    with pytest.raises(SceneError, match=r"Window\(.*does not lie on the grid of 6 rows and 8 columns. Clip"):
        Window.from_any(window, (6, 8))


def test_a_window_with_parts_of_pixels_is_refused():
    with pytest.raises(SceneError, match=r"2\.5.*whole pixels"):
        Window.from_any(((0, 2.5), (0, 3)), (6, 8))


@pytest.mark.parametrize(
    "window", ["all", 5, (1, 2), ((0, float("nan")), (0, 3)), ((0, 1), (0, float("inf"))), ((0, 1),)]
)
def test_what_is_no_window_is_refused(window):
    with pytest.raises(SceneError, match=r"is no window: give a Window, a rasterio Window or \(\(row, row\)"):
        Window.from_any(window, (6, 8))


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0, 0, 1, 0, -10, 1),
        Affine(1, 2, 0, 2, 4, 0),
        Affine(float("nan"), 0, 0, 0, 1, 0),
        Affine(1, 0, float("inf"), 0, 1, 0),
    ],
)
def test_a_transform_without_inverse_is_refused(transform):
    with pytest.raises(SceneError, match=r"cannot be inverted.*transform="):
        Grid(None, transform, (3, 4))


@pytest.mark.parametrize("transform", [None, (10, 0, 0, 0, -10, 0)])
def test_a_transform_is_an_affine(transform):
    with pytest.raises(SceneError, match=r"is no transform; give an affine\.Affine"):
        Grid(None, transform, (3, 4))


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (-1, 2)])
def test_a_grid_has_pixels(shape):
    with pytest.raises(SceneError, match="at least one row and one column"):
        Grid(None, NORTH_UP, shape)


def test_a_grid_is_an_immutable_value():
    a, b = grid_of(UTM, NORTH_UP, (3, 4)), grid_of(UTM, Affine(*NORTH_UP[:6]), (np.int64(3), np.int64(4)))
    assert a == b
    assert hash(a) == hash(b)
    assert pickle.loads(pickle.dumps(a)) == a
    assert a != grid_of(UTM, NORTH_UP, (4, 3))
    assert a != grid_of("EPSG:32653", NORTH_UP, (3, 4))
    with pytest.raises(AttributeError):
        a.shape = (1, 1)
    with pytest.raises(AttributeError):
        Window(0, 0, 1, 1).height = 2
