"""Slope: Horn's, the same in every window. test_geometry.py has it in every coordinate system."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from rasters import UTM, centres, grid_of, random_windows, same, write

from sklandslide import Scene
from sklandslide.geodata.grid import Window
from sklandslide.geodata.terrain import metres_per_unit

NORTH_UP = Affine(10, 0, 600_000, 0, -10, 4_740_000)
ROTATED = Affine(8.66, 5, 600_000, 5, -8.66, 4_740_000)


def slope(heights, grid, window=None):
    scene = Scene.from_arrays({"DEM": heights}, transform=grid.transform, crs=grid.crs)
    return scene.read("Slope", window)[..., 0]


def brute_force_horn(z, dx, dy):
    """Horn's formula, cell by cell, for the inner pixels of a north-up grid."""
    out = np.full(z.shape, np.nan)
    for i in range(1, z.shape[0] - 1):
        for j in range(1, z.shape[1] - 1):
            (a, b, c), (d, _, f), (g, h, k) = z[i - 1 : i + 2, j - 1 : j + 2]
            east = ((c + 2 * f + k) - (a + 2 * d + g)) / (8 * dx)
            south = ((g + 2 * h + k) - (a + 2 * b + c)) / (8 * dy)
            out[i, j] = np.degrees(np.arctan(np.sqrt(east**2 + south**2)))
    return out


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.5, 50), st.floats(0.5, 50))
def test_slope_is_horns(seed, dx, dy):
    z = np.random.default_rng(seed).normal(scale=20, size=(6, 7))
    expected = brute_force_horn(z, dx, dy)
    grid = grid_of(None, Affine(dx, 0, 0, 0, -dy, 0), z.shape)
    # float32 heights: seven digits
    assert slope(z, grid)[1:-1, 1:-1] == pytest.approx(expected[1:-1, 1:-1], rel=1e-4, abs=1e-3)


def test_slope_does_not_depend_on_the_datum_of_heights_or_on_their_sign():
    grid = grid_of(UTM, NORTH_UP, (20, 20))
    z = np.random.default_rng(0).integers(0, 300, (20, 20)).astype(float)
    assert same(slope(z, grid), slope(z + 1000, grid))
    assert same(slope(z, grid), slope(-z, grid))
    assert (slope(np.full((20, 20), 77.0), grid) == 0).all()


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, NORTH_UP),
        (UTM, ROTATED),
        ("EPSG:4326", Affine(1e-4, 0, 10, 0, -1e-4, 60)),
        ("EPSG:3857", Affine(30, 0, 1e6, 0, -30, 8.4e6)),
        (None, NORTH_UP),
    ],
    ids=["UTM", "rotated", "degrees", "Mercator", "no CRS"],
)
def test_windows_equal_the_whole_bit_for_bit(crs, transform):
    rng = np.random.default_rng(0)
    z = rng.normal(scale=50, size=(23, 31))
    z[rng.random(z.shape) < 0.02] = np.nan
    grid = grid_of(crs, transform, z.shape)
    whole = slope(z, grid)
    assert np.isfinite(whole).mean() > 0.5
    for window in random_windows(rng, z.shape, 60):
        (r0, r1), (c0, c1) = window
        assert same(slope(z, grid, window), whole[r0:r1, c0:c1])


@pytest.mark.parametrize("hole", [(5, 6), (0, 6), (11, 13), (1, 1)])
def test_a_hole_is_a_hole_and_spreads_to_its_eight_neighbours_only(hole):
    z = np.random.default_rng(0).normal(size=(12, 14))
    z[hole] = np.nan
    expected = np.zeros(z.shape, bool)
    r, c = hole
    expected[max(0, r - 1) : r + 2, max(0, c - 1) : c + 2] = True
    missing = np.isnan(slope(z, grid_of(UTM, NORTH_UP, z.shape)))
    assert np.array_equal(missing, expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (2, 2)])
def test_small_rasters_have_a_slope(shape):
    grid = grid_of(None, Affine(10, 0, 0, 0, -10, 0), shape)
    x, y = centres(grid)
    rise = np.hypot(0 if shape[1] == 1 else 1, 0 if shape[0] == 1 else 2)
    assert slope(x + 2 * y, grid) == pytest.approx(np.full(shape, np.degrees(np.arctan(rise))), rel=1e-5)


def test_slope_is_computed_on_the_dems_own_grid_and_then_resampled(tmp_path):
    rng = np.random.default_rng(0)
    heights = rng.normal(scale=30, size=(20, 20)).astype(np.float32)
    coarse = NORTH_UP[:6]
    dem = write(tmp_path / "dem.tif", heights, transform=Affine(30, 0, coarse[2], 0, -30, coarse[5]))
    red = write(tmp_path / "red.tif", np.zeros((60, 60), np.float32))
    native = Scene.from_files({"DEM": dem}).read("Slope")[..., 0]
    stored = write(tmp_path / "slope.tif", native, transform=Affine(30, 0, coarse[2], 0, -30, coarse[5]))
    derived = Scene.from_files({"Red": red, "DEM": dem}).read("Slope")
    assert same(derived, Scene.from_files({"Red": red, "Slope": stored}).read("Slope"))
    # and not the slope of resampled heights, which are smoother
    resampled = Scene.from_files({"Red": red, "DEM": dem}).read("DEM")[..., 0]
    smooth = slope(resampled, grid_of(UTM, NORTH_UP, (60, 60)))
    assert not np.allclose(derived[..., 0], smooth, atol=1, equal_nan=True)


def test_a_slope_band_that_is_given_is_kept():
    given_slope = np.full((4, 4), 12.5)
    scene = Scene.from_arrays({"Slope": given_slope, "DEM": np.eye(4) * 50}, transform=NORTH_UP, crs=UTM)
    assert scene.bands == ("Slope", "DEM")
    assert (scene.read("Slope") == 12.5).all()


@pytest.mark.parametrize("lat", [-42.0, 0.0, 60.0])
def test_the_length_of_a_degree_is_the_ellipsoids(lat):
    grid = grid_of("EPSG:4326", Affine(1e-3, 0, 20, 0, -1e-3, lat + 5e-4), (1, 1))
    metres_x, metres_y = metres_per_unit(grid, Window(0, 0, 1, 1))
    geod = Geod(ellps="WGS84")
    east = geod.inv(20, lat, 20.001, lat)[2] * 1000
    north = geod.inv(20, lat - 5e-4, 20, lat + 5e-4)[2] * 1000
    assert (np.squeeze(metres_x), np.squeeze(metres_y)) == pytest.approx((east, north), rel=1e-6)


@pytest.mark.parametrize(
    ("wkt", "metres"),
    [('LOCAL_CS["site",UNIT["metre",1]]', 1.0), ('LOCAL_CS["site",UNIT["foot",0.3048]]', 0.3048)],
)
def test_a_local_site_system_has_a_slope(wkt, metres):
    grid = grid_of(wkt, Affine(10, 0, 0, 0, -10, 0), (5, 5))
    x, _ = centres(grid)
    assert slope(x, grid) == pytest.approx(np.full((5, 5), np.degrees(np.arctan(1 / metres))), rel=1e-5)
