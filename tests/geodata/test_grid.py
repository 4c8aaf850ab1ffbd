"""The pixel grid by examples: coordinates, windows, tiles, map grids."""

import pickle

import numpy as np
import pytest
import rasterio.windows
from affine import Affine
from rasters import UTM, grid_of

from sklandslide.exceptions import SceneError
from sklandslide.geodata.grid import Grid, Window, origins, tiles

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


def test_tiles_are_cut_row_by_row_and_end_at_the_edge():
    corners = [(t.row_off, t.col_off, t.height, t.width) for t in tiles((3, 5), 2)]
    assert corners == [(0, 0, 2, 2), (0, 2, 2, 2), (0, 4, 2, 1), (2, 0, 1, 2), (2, 2, 1, 2), (2, 4, 1, 1)]


def test_origins_reach_the_last_row():
    assert list(origins(10, 4, 2)) == [0, 2, 4, 6]  # 6, 7, 8, 9: ends on the last pixel
    assert list(origins(10, 10, 3)) == [0]
    assert list(origins(9, 10, 3)) == []


@each_transform
def test_centre_of_a_map_pixel_is_the_centre_of_its_window(transform):
    grid = grid_of(UTM, transform, (20, 31))
    on_map = grid.map_grid(7, 3)
    assert (on_map.shape, on_map.crs) == ((5, 9), grid.crs)
    for i, j in [(0, 0), (0, 8), (4, 0)]:
        assert np.allclose(on_map.xy(i + 0.5, j + 0.5), grid.xy(i * 3 + 3.5, j * 3 + 3.5), rtol=0, atol=1e-6)


def test_a_patch_larger_than_the_scene_has_no_map():
    with pytest.raises(SceneError, match=r"patch of 21 x 21 .* 20 x 31 .*smaller patch_size"):
        grid_of(UTM, NORTH_UP, (20, 31)).map_grid(21, 3)


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


@pytest.mark.parametrize(
    "window",
    [Window(2, 3, 4, 5), rasterio.windows.Window(3, 2, 5, 4), ((2, 6), (3, 8)), [[2.0, 6.0], [3, 8]]],
    ids=["Window", "rasterio", "pairs", "whole floats"],
)
def test_a_window_is_taken_in_any_form(window):
    assert Window.from_any(window, (6, 8)) == Window(2, 3, 4, 5)
    assert Window.from_any(None, (6, 8)) == Window(0, 0, 6, 8)


@pytest.mark.parametrize(
    "window",
    [((0, 7), (0, 8)), ((0, 6), (0, 9)), ((-1, 3), (0, 8)), ((0, 3), (-1, 8)), ((2, 2), (0, 8))],
)
def test_a_window_off_the_grid_is_refused(window):
    with pytest.raises(SceneError, match=r"Window\(.*does not lie on the grid of 6 rows and 8 columns. Clip"):
        Window.from_any(window, (6, 8))


@pytest.mark.parametrize("window", ["all", (1, 2), ((0, 2.5), (0, 3)), ((0, float("nan")), (0, 3))])
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


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
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
