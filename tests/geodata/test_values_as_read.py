"""What scale tags, shifts and resampling do to values and to nodata."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import TRANSFORM, same, write

from sklandslide import Scene


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_tag_of_scale_and_offset_is_applied_to_values_and_not_to_nodata(tmp_path, dtype):
    """Nodata, tagged or declared, are stored values: 0 is not the value that 0 stands for."""
    stored = np.arange(-10, 40, dtype=dtype).reshape(5, 10)
    with rasterio.open(write(tmp_path / "dem.tif", stored, nodata=0), "r+") as file:
        file.scales, file.offsets = (0.5,), (100.0,)
    read = Scene.from_files({"DEM": tmp_path / "dem.tif"}, nodata={"DEM": 7}).read("DEM")[..., 0]
    expected = np.where((stored == 0) | (stored == 7), np.nan, stored * 0.5 + 100).astype(np.float32)
    assert same(read, expected)


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
