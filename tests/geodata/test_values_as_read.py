"""What scale tags, shifts and resampling do to values and to nodata."""

import numpy as np
import pytest
from affine import Affine
from rasters import TRANSFORM, write

from sklandslide import Scene


@pytest.mark.parametrize("shift", [(0.5, 0.5), (0.25, -0.4), (-0.1, 0.02), (7.5, -3.01)])
def test_a_band_that_lies_off_by_a_part_of_a_pixel_is_resampled(tmp_path, shift):
    """The smallest shifts are the ones that copying would hide: a ramp tells them."""
    row, col = shift
    place = Affine(10, 0, TRANSFORM.c + 10 * col, 0, -10, TRANSFORM.f - 10 * row)
    rows, cols = np.mgrid[:40, :50] + 0.5
    write(tmp_path / "red.tif", np.zeros((40, 50), np.float32))
    write(tmp_path / "dem.tif", (100 * rows + cols).astype(np.float32), transform=place)
    scene = Scene.from_files({"Red": tmp_path / "red.tif", "DEM": tmp_path / "dem.tif"})
    expected = (100 * (rows - row) + (cols - col))[10:-10, 10:-10]
    np.testing.assert_allclose(scene.read("DEM")[10:-10, 10:-10, 0], expected, rtol=0, atol=0.1)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "lanczos"])
def test_a_hole_grows_by_no_pixel_when_it_is_resampled(tmp_path, resampling):
    """A pixel is nodata exactly where the one that it lies in is."""
    heights = np.full((20, 20), 50, np.float32)
    heights[np.random.default_rng(0).random((20, 20)) < 0.1] = np.nan
    fine = Affine(10, 0, TRANSFORM.c, 0, -10, TRANSFORM.f)
    write(tmp_path / "red.tif", np.zeros((60, 60), np.float32), transform=fine)
    write(tmp_path / "dem.tif", heights, transform=Affine(30, 0, TRANSFORM.c, 0, -30, TRANSFORM.f))
    files = {"Red": tmp_path / "red.tif", "DEM": tmp_path / "dem.tif"}
    read = Scene.from_files(files, resampling=resampling).read("DEM")[..., 0]
    holes = np.isnan(np.kron(heights, np.ones((3, 3))))
    assert 0 < holes.sum() == np.isnan(read).sum()
    assert np.isnan(read).tolist() == holes.tolist()
    assert read[~holes] == pytest.approx(50)
