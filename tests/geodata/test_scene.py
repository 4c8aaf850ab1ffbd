"""Scenes: bands from files on different grids as one immutable value."""

import copy
import os
import pickle
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import rasterio
import rasterio.windows
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.warp import transform as transform_points
from rasters import TRANSFORM, UTM, centres, grid_of, random_windows, same, write
from sklearn.base import clone

from sklandslide import Scene
from sklandslide.exceptions import BandError, SceneError, SceneReadError
from sklandslide.geodata import raster as rasters
from sklandslide.geodata.grid import Window

X0, Y0 = TRANSFORM.c, TRANSFORM.f


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Files of one place: 10 m and 20 m in UTM, 30 m in the next zone, an arc second in degrees, with holes."""
    folder = tmp_path_factory.mktemp("mixed")
    rng = np.random.default_rng(0)

    def noise(shape, holes=0.02):
        pixels = rng.normal(100, 30, shape).astype(np.float32)
        pixels[rng.random(shape) < holes] = np.nan
        return pixels

    def about(crs, pixel, margin):
        """A grid that holds the 10 m grid of 300 x 290 pixels and a margin."""
        x, y = transform_points(UTM, crs, [X0, X0 + 2900, X0, X0 + 2900], [Y0, Y0, Y0 - 3000, Y0 - 3000])
        transform = Affine(pixel, 0, min(x) - margin * pixel, 0, -pixel, max(y) + margin * pixel)
        size = np.array([max(y) - min(y), max(x) - min(x)]) / pixel + 2 * margin
        return transform, tuple(size.astype(int))

    red = write(folder / "red.tif", noise((300, 290)))
    swir = write(folder / "swir.tif", noise((140, 150)), transform=Affine(20, 0, X0 + 7, 0, -20, Y0 - 3))
    paths = {"Red": red, "SWIR": swir}
    for name, crs, pixel in [("VV_after", "EPSG:32653", 30), ("DEM", "EPSG:4326", 1 / 3600)]:
        transform, shape = about(crs, pixel, margin=3)
        paths[name] = write(folder / f"{name}.tif", noise(shape), transform=transform, crs=crs)
    return paths


# Reading


@pytest.mark.parametrize(
    ("resampling", "grid"), [("bilinear", "Red"), ("nearest", "Red"), ("cubic", "VV_after"), ("average", "VV_after")]
)
def test_windows_of_a_mixed_scene_equal_the_whole_bit_for_bit(mixed, resampling, grid):
    scene = Scene.from_files(mixed, resampling=resampling, grid=grid)  # on 30 m, bands of 10 m are thinned out
    whole = scene.read()
    assert whole.shape == (*scene.grid.shape, 5)
    assert whole.dtype == np.float32
    valid = np.isfinite(whole).mean(axis=(0, 1))
    assert (valid > 0.6).all()
    for (r0, r1), (c0, c1) in random_windows(np.random.default_rng(1), scene.grid.shape, 6):
        part = scene.read(window=rasterio.windows.Window(c0, r0, c1 - c0, r1 - r0))
        assert same(part, whole[r0:r1, c0:c1])


@pytest.mark.parametrize(
    ("crs", "transform", "shape"),
    [
        (UTM, Affine(30, 0, X0 - 95, 0, -30, Y0 + 77), (40, 45)),
        (UTM, Affine(30, 0, X0 - 95, 0, 30, Y0 - 1077), (40, 45)),
        (UTM, Affine(26, 15, X0 - 800, 15, -26, Y0 + 300), (80, 80)),
        ("EPSG:4326", Affine(1 / 3600, 0, 142.2219, 0, -1 / 3600, 42.8071), (40, 60)),
        ("EPSG:3857", Affine(40, 0, 15_832_100, 0, -40, 5_282_570), (40, 45)),
    ],
    ids=["30 m", "south up", "rotated", "degrees", "Mercator"],
)
def test_a_ramp_is_resampled_to_the_same_ramp(tmp_path, crs, transform, shape):
    # Bilinear interpolation reproduces functions that are linear in the source's coordinates.
    source = grid_of(crs, transform, shape)
    x, y = centres(source)
    a, b = 300 / np.ptp(x), -500 / np.ptp(y)
    write(tmp_path / "dem.tif", 100 + a * (x - x.mean()) + b * (y - y.mean()), transform=transform, crs=crs)
    write(tmp_path / "red.tif", np.zeros((90, 100), np.float32))
    scene = Scene.from_files({"Red": tmp_path / "red.tif", "DEM": tmp_path / "dem.tif"})
    here_x, here_y = centres(scene.grid, crs)
    expected = 100 + a * (here_x - x.mean()) + b * (here_y - y.mean())
    at = source.rowcol(np.stack([here_x, here_y], axis=-1))
    inside = ((at >= 0.5) & (at <= np.array(shape) - 0.5)).all(axis=-1)
    heights = scene.read("DEM")[..., 0]
    assert inside.mean() > 0.9
    assert np.ptp(expected[inside]) > 50
    # float32 metres; between coordinate systems rasterio 1.4 interpolates along rows, to 0.125 pixels at the worst
    assert np.abs(heights - expected)[inside].max() < (2e-3 if crs == UTM else 2e-2)


def test_bands_shifted_by_whole_pixels_are_copied(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(20, 25)).astype(np.float32)
    write(tmp_path / "red.tif", np.zeros((20, 25), np.float32))
    for row, col in [(0, 0), (3, -4), (-5, 2), (19, 24), (-19, -24)]:
        place = Affine(10, 0, X0 + 10 * col, 0, -10, Y0 - 10 * row)
        write(tmp_path / "blue.tif", pixels, transform=place)
        expected = np.full((60, 75), np.nan, np.float32)
        expected[20 + row : 40 + row, 25 + col : 50 + col] = pixels
        expected = expected[20:40, 25:50]
        scene = Scene.from_files({"Red": tmp_path / "red.tif", "Blue": tmp_path / "blue.tif"})
        assert same(scene.read("Blue")[..., 0], expected)
        for (r0, r1), (c0, c1) in random_windows(rng, (20, 25), 10):
            assert same(scene.read("Blue", ((r0, r1), (c0, c1)))[..., 0], expected[r0:r1, c0:c1])


def test_nearest_repeats_and_average_averages(tmp_path):
    rng = np.random.default_rng(0)
    fine, coarse = rng.normal(size=(30, 36)).astype(np.float32), rng.normal(size=(10, 12)).astype(np.float32)
    files = {
        "Fine": write(tmp_path / "fine.tif", fine),
        "Coarse": write(tmp_path / "coarse.tif", coarse, transform=Affine(30, 0, X0, 0, -30, Y0)),
    }
    up = Scene.from_files(files, resampling={"Coarse": "nearest"})
    assert same(up.read("Coarse")[..., 0], np.kron(coarse, np.ones((3, 3), np.float32)))
    down = Scene.from_files(files, grid="Coarse", resampling="average")
    assert down.read("Fine")[..., 0] == pytest.approx(fine.reshape(10, 3, 12, 3).mean(axis=(1, 3)), abs=1e-5)


def test_the_grid_is_the_first_bands_or_the_one_asked_for(mixed):
    scene = Scene.from_files(mixed)
    assert scene.grid == grid_of(UTM, TRANSFORM, (300, 290))
    assert scene.bands == ("Red", "SWIR", "VV_after", "DEM", "Slope")
    on_swir = Scene.from_files(mixed, grid="SWIR")
    assert on_swir.grid.transform == Affine(20, 0, X0 + 7, 0, -20, Y0 - 3)
    assert on_swir.read("SWIR").shape == (140, 150, 1)
    wanted = grid_of("EPSG:3857", Affine(15, 0, 15_832_000, 0, -15, 5_281_000), (21, 22))
    assert Scene.from_files(mixed, grid=wanted).read().shape == (21, 22, 5)
    assert on_swir != scene


def test_bands_come_in_the_order_asked_for_and_as_often(mixed):
    scene = Scene.from_files(mixed)
    whole = scene.read()
    picked = scene.read(["DEM", "Red", "DEM"], ((0, 20), (0, 20)))
    assert same(picked, whole[:20, :20][..., [3, 0, 3]])
    assert same(scene.read("DEM", ((0, 20), (0, 20))), whole[:20, :20, 3:4])


def test_bands_without_coordinate_system_lie_on_one_plane(tmp_path):
    ramp = np.add.outer(np.zeros(20), np.arange(20.0)) * 3
    write(tmp_path / "a.tif", np.zeros((60, 60)), crs=None)
    write(tmp_path / "b.tif", ramp, crs=None, transform=Affine(30, 0, X0, 0, -30, Y0))
    scene = Scene.from_files({"A": tmp_path / "a.tif", "B": tmp_path / "b.tif"})
    assert scene.grid.crs is None
    assert scene.read("B")[30, 10:20, 0] == pytest.approx(np.arange(10, 20) - 1)


# Nodata


PIXELS = np.array([[0, 1, 2], [3, 250, 5]])
HOLE = np.array([[255, 255, 0], [255, 255, 255]], np.uint8)


def missing(path, **options):
    return np.isnan(Scene.from_files({"Red": path}, **options).read("Red")[..., 0])


@pytest.mark.parametrize("internal", [True, False], ids=["internal", "msk beside it"])
def test_mask_tag_and_declared_values_count_together(tmp_path, internal):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        path = write(tmp_path / "a.tif", PIXELS.astype(np.int16), mask=HOLE, nodata=250)
    assert np.array_equal(missing(path), (HOLE == 0) | (PIXELS == 250))
    both = missing(path, nodata={"Red": [0, 3]})
    assert np.array_equal(both, (HOLE == 0) | np.isin(PIXELS, [250, 0, 3]))


def test_zeros_are_nodata_only_where_declared(tmp_path):
    path = write(tmp_path / "a.tif", PIXELS.astype(np.uint16))
    assert not missing(path).any()
    assert np.array_equal(missing(path, nodata={"Red": 0}), PIXELS == 0)
    files = {"Red": path, "Blue": path}
    both = Scene.from_files(files, nodata={"Blue": 0}).read()
    assert np.isnan(both).sum(axis=(0, 1)).tolist() == [0, 1]


def test_a_file_can_hold_several_bands(tmp_path):
    stack = np.stack([PIXELS, PIXELS + 1]).astype(np.int16)
    path = write(tmp_path / "a.tif", stack)
    scene = Scene.from_files({"VV_before": (path, 2), "VV_after": (path, 1), "Red": path})
    assert np.array_equal(scene.read(), np.stack([stack[1], stack[0], stack[0]], axis=-1))
    assert scene.files == (str(path),)


# Memory and files


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_arrays_and_files_give_the_same_pixels(tmp_path, dtype):
    pixels = np.random.default_rng(0).integers(0, 200, (12, 14)).astype(dtype)
    options = {"nodata": {"DEM": [0, 7]}, "units": {"DEM": "linear"}}
    from_files = Scene.from_files({"DEM": write(tmp_path / "a.tif", pixels)}, **options)
    from_arrays = Scene.from_arrays({"DEM": pixels}, transform=TRANSFORM, crs=UTM, **options)
    assert same(from_files.read(), from_arrays.read())
    assert (from_files.grid, from_files.bands, from_files.units) == (
        from_arrays.grid,
        from_arrays.bands,
        from_arrays.units,
    )
    assert from_arrays.files == ()


def test_arrays_are_copied_once_and_for_all():
    pixels = np.eye(4)
    scene = Scene.from_arrays({"Red": pixels}, transform=TRANSFORM)
    print_before = scene.fingerprint
    pixels[:] = 9
    scene.read()[:] = 7  # what is read is the caller's
    assert same(scene.read()[..., 0], np.eye(4, dtype=np.float32))
    assert pickle.loads(pickle.dumps(scene)).fingerprint == print_before


def test_a_masked_arrays_mask_is_nodata():
    # rasterio's read(masked=True)
    masked = np.ma.masked_equal(PIXELS.astype(np.uint8), 250)
    read = Scene.from_arrays({"Red": masked}, transform=TRANSFORM).read()[..., 0]
    assert np.array_equal(np.isnan(read), PIXELS == 250)
    assert read[1, 2] == 5


# A value


def test_a_scene_is_frozen(mixed):
    scene = Scene.from_files(mixed, units={"VV_after": "linear"})
    with pytest.raises(AttributeError):
        scene.grid = None
    with pytest.raises(AttributeError):
        scene.grid.shape = (1, 1)
    with pytest.raises(AttributeError):
        scene.bands = ()
    with pytest.raises(TypeError):
        scene.units["VV_after"] = "dB"


def test_the_arrays_of_a_scene_are_read_only():
    scene = Scene.from_arrays({"Red": np.eye(4)}, transform=TRANSFORM)
    for each in (scene, pickle.loads(pickle.dumps(scene))):
        (_, band), *_ = each._sources
        with pytest.raises(ValueError, match="read-only"):
            band.array[0, 0] = 1


def scenes_of_both_kinds(mixed):
    holes = np.where(np.eye(9) > 0, np.nan, 3.0)
    return [
        Scene.from_files(mixed, units={"VV_after": "linear"}, nodata={"DEM": 0}, resampling={"DEM": "cubic"}),
        Scene.from_arrays(
            {"DEM": holes, "VV_after": np.eye(9)}, transform=TRANSFORM, crs=UTM, units={"VV_after": "dB"}
        ),
    ]


@pytest.mark.parametrize("kind", [0, 1], ids=["files", "arrays"])
def test_pickling_keeps_everything_whether_the_scene_was_used_or_not(mixed, kind):
    scene, twin = (scenes_of_both_kinds(mixed)[kind] for _ in range(2))
    scene.fingerprint  # noqa: B018
    window = ((0, 9), (0, 9))
    pixels = scene.read(window=window)
    assert pickle.dumps(scene) == pickle.dumps(twin)
    again = pickle.loads(pickle.dumps(scene))
    assert joblib.hash(again) == joblib.hash(scene) == joblib.hash(twin)
    assert again == scene
    assert hash(again) == hash(scene)
    assert (again.bands, again.units, again.grid, again.files) == (scene.bands, scene.units, scene.grid, scene.files)
    assert same(again.read(window=window), pixels)


def test_a_pickled_scene_of_files_holds_no_pixels(mixed):
    scene = Scene.from_files(mixed)
    before = len(pickle.dumps(scene))
    scene.read()
    assert len(pickle.dumps(scene)) == before
    assert before < 10_000  # four coordinate systems in words; the pixels would take a megabyte


def test_fingerprint_and_joblib_hash_are_the_same_in_another_process(mixed, tmp_path):
    scenes = scenes_of_both_kinds(mixed)
    (tmp_path / "scenes.pkl").write_bytes(pickle.dumps(scenes))
    code = "import sys, pickle, joblib; print([(s.fingerprint, joblib.hash(s)) for s in pickle.load(sys.stdin.buffer)])"
    with open(tmp_path / "scenes.pkl", "rb") as file:
        out = subprocess.run(
            [sys.executable, "-c", code], stdin=file, capture_output=True, text=True, check=True
        ).stdout
    assert out.strip() == str([(s.fingerprint, joblib.hash(s)) for s in scenes])


@pytest.mark.parametrize("function", [clone, copy.copy, copy.deepcopy])
def test_copies_of_a_scene_are_the_scene(mixed, function):
    scene = Scene.from_files(mixed)
    assert function(scene) is scene
    assert function([scene])[0] is scene


def test_equal_scenes_are_equal_and_any_difference_tells(tmp_path):
    base = {"VV_after": np.eye(4), "DEM": np.ones((4, 4))}
    options = {"transform": TRANSFORM, "crs": UTM, "units": {"VV_after": "dB"}, "nodata": {"DEM": 5}}
    scene = Scene.from_arrays(base, **options)
    assert scene == Scene.from_arrays({k: v.copy(order="F") for k, v in base.items()}, **options)
    changed = {
        "value": Scene.from_arrays({**base, "DEM": np.ones((4, 4)) * 1.5}, **options),
        "name": Scene.from_arrays({"VH_after": base["VV_after"], "DEM": base["DEM"]}, **{**options, "units": None}),
        "order": Scene.from_arrays(dict(reversed(base.items())), **options),
        "units": Scene.from_arrays(base, **{**options, "units": {"VV_after": "linear"}}),
        "no units": Scene.from_arrays(base, **{**options, "units": None}),
        "nodata": Scene.from_arrays(base, **{**options, "nodata": {"DEM": 6}}),
        "crs": Scene.from_arrays(base, **{**options, "crs": "EPSG:32653"}),
        "no crs": Scene.from_arrays(base, **{**options, "crs": None}),
        "transform": Scene.from_arrays(base, **{**options, "transform": Affine(10, 0, X0 + 1e-6, 0, -10, Y0)}),
        "swapped": Scene.from_arrays({"VV_after": base["DEM"], "DEM": base["VV_after"]}, **options),
    }
    assert [what for what, other in changed.items() if other == scene] == []
    assert len({scene, *changed.values()}) == len(changed) + 1
    assert scene != "a scene"
    path = write(tmp_path / "a.tif", np.stack([PIXELS, PIXELS]).astype(np.uint8))
    first = Scene.from_files({"Red": path})
    assert first == Scene.from_files({"Red": (path, 1)}, resampling="bilinear")
    assert first != Scene.from_files({"Red": (path, 2)})
    assert first != Scene.from_files({"Red": path}, resampling="cubic")


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path, monkeypatch):
    path = write(tmp_path / "a.tif", PIXELS.astype(np.uint8))
    scene, opened = Scene.from_files({"Red": path}), rasters._Files.dataset

    def changing(self, band):
        os.utime(path, (1, 1))
        return opened(self, band)

    monkeypatch.setattr(rasters._Files, "dataset", changing)
    with pytest.raises(SceneReadError, match=r"a\.tif was changed"):
        scene.read()


def test_a_file_that_was_rewritten_is_another_scene_and_the_old_one_says_so(tmp_path):
    path = write(tmp_path / "a.tif", PIXELS.astype(np.float32))
    old = Scene.from_files({"Red": path})
    old.read()
    size = path.stat().st_size
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    write(path, PIXELS.astype(np.float32) + 1)
    assert path.stat().st_size == size
    new = Scene.from_files({"Red": path})
    assert new != old
    assert new.read()[0, 0, 0] == 1
    for scene in (old, pickle.loads(pickle.dumps(old))):
        with pytest.raises(SceneReadError, match=r"a\.tif was changed or removed since it was opened.*Build the scene"):
            scene.read()


def test_a_new_mask_beside_the_file_is_a_change(tmp_path):
    path = write(tmp_path / "a.tif", PIXELS.astype(np.uint8))
    old = Scene.from_files({"Red": path})
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        before = path.stat()
        dataset.write_mask(HOLE)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Scene.from_files({"Red": path}) != old
    with pytest.raises(SceneReadError, match="was changed"):
        old.read()


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's /proc")
def test_no_file_stays_open(mixed):
    scene = Scene.from_files(mixed)
    scene.read()
    scene.read("Slope", ((5, 9), (5, 9)))
    names = {os.path.realpath(p) for p in mixed.values()}
    assert not names & {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}


def test_eight_threads_read_the_same(mixed):
    scene = Scene.from_files(mixed)
    windows = random_windows(np.random.default_rng(2), scene.grid.shape, 4)
    expected = [scene.read(window=w) for w in windows]

    def build_and_read(window):
        return Scene.from_files(mixed).read(window=window)

    filters = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(build_and_read, windows * 2))
    assert all(same(a, b) for a, b in zip(got, expected * 2, strict=True))
    assert warnings.filters == filters


def test_units_are_the_declared_ones_and_shown():
    scene = Scene.from_arrays(
        {"VV_after": np.eye(3), "VH_after": np.eye(3), "Red": np.eye(3)},
        transform=TRANSFORM,
        crs=UTM,
        units={"VH_after": "linear", "VV_after": "dB"},
    )
    assert dict(scene.units) == {"VV_after": "dB", "VH_after": "linear"}
    assert repr(scene) == "<Scene 3 x 3 pixels, EPSG:32654, bands VV_after [dB], VH_after [linear], Red>"
    assert scene.read("VH_after")[0, 0, 0] == 1  # as stored: units are declared, nothing is converted


# Cropping


def test_a_crop_is_what_is_read(mixed):
    scene = Scene.from_files(mixed, units={"VV_after": "linear"})
    for (r0, r1), (c0, c1) in random_windows(np.random.default_rng(3), scene.grid.shape, 6)[1:]:
        cropped = scene.crop(((r0, r1), (c0, c1)))
        assert same(cropped.read(), scene.read(window=((r0, r1), (c0, c1))))
        assert cropped.grid == scene.grid.crop(Window(r0, c0, r1 - r0, c1 - c0))
    assert cropped.bands == scene.bands
    assert cropped.units == scene.units
    assert cropped.files == ()


def test_a_crop_can_keep_some_bands(mixed):
    scene = Scene.from_files(mixed, units={"VV_after": "linear"})
    assert scene.crop(((0, 2), (0, 2)), "Red").bands == ("Red",)
    cropped = scene.crop(((0, 9), (0, 9)), bands=["Slope", "Red"])
    assert cropped.bands == ("Slope", "Red")
    assert dict(cropped.units) == {}
    assert same(cropped.read(), scene.read(["Slope", "Red"], ((0, 9), (0, 9))))
    # a crop of a DEM alone derives no slope anew: at its edges it would differ
    assert scene.crop(((0, 9), (0, 9)), bands=["DEM"]).bands == ("DEM",)


# Errors


def test_a_truncated_file_is_refused_before_it_is_read(tmp_path):
    pixels = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    path = write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=128, blockysize=128)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])  # the header is whole, and GDAL opens it
    with pytest.raises(SceneReadError, match=r"a\.tif is truncated.*pixels end at byte.*download it again"):
        Scene.from_files({"Red": path})


def test_a_damaged_file_fails_on_reading_and_not_in_silence(tmp_path):
    pixels = np.random.default_rng(0).normal(size=(512, 512)).astype(np.float32)
    path = write(tmp_path / "a.tif", pixels, tiled=True, blockxsize=128, blockysize=128, compress="deflate")
    content = bytearray(path.read_bytes())  # the second half is spoiled, but for its last tile
    content[len(content) // 2 : -100_000] = b"\xff" * (len(content) - 100_000 - len(content) // 2)
    path.write_bytes(content)
    scene = Scene.from_files({"Red": path})  # the header is whole
    assert same(scene.read(window=((0, 100), (0, 100)))[..., 0], pixels[:100, :100])
    for window in (None, ((300, 301), (300, 301))):
        with pytest.raises(SceneReadError, match=r"a\.tif cannot be read at Window.*damaged.*download it again"):
            scene.read(window=window)


def test_a_raster_without_geotransform_is_refused(tmp_path):
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        path = write(tmp_path / "a.tif", PIXELS.astype(np.uint8), transform=None)
    with pytest.raises(SceneError, match=r"a\.tif has no geotransform.*Terrain Correction.*gdalwarp"):
        Scene.from_files({"Red": path})


def test_a_raster_with_ground_control_points_alone_is_refused(tmp_path):
    # Sentinel-1 GRD as delivered: GDAL gives it an identity transform and no warning.
    points = [GroundControlPoint(r, c, 141 + c / 100, 42 - r / 100) for r, c in [(0, 0), (0, 3), (2, 0), (2, 3)]]
    path = write(tmp_path / "a.tif", PIXELS.astype(np.uint8), transform=None, crs="EPSG:4326", gcps=points)
    with pytest.raises(SceneError, match="has no geotransform"):
        Scene.from_files({"Red": path})


def test_a_band_without_crs_beside_one_with_is_refused(tmp_path):
    a, b = write(tmp_path / "a.tif", PIXELS * 1.0), write(tmp_path / "b.tif", PIXELS * 1.0, crs=None)
    with pytest.raises(SceneError, match=r"'B' has no CRS and the scene's grid EPSG:32654.*gdal_edit -a_srs"):
        Scene.from_files({"A": a, "B": b})
    with pytest.raises(SceneError, match=r"'A' has the CRS EPSG:32654 and the scene's grid none"):
        Scene.from_files({"B": b, "A": a})


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        (UTM, Affine(10, 0, X0 + 30, 0, -10, Y0)),  # begins where the grid ends
        ("EPSG:4326", Affine(1e-3, 0, 12, 0, -1e-3, 42)),
    ],
)
def test_bands_that_share_no_ground_are_refused(tmp_path, crs, transform):
    a = write(tmp_path / "a.tif", PIXELS * 1.0)
    b = write(tmp_path / "b.tif", PIXELS * 1.0, crs=crs, transform=transform)
    with pytest.raises(SceneError, match=r"'B' shares no ground with the scene's grid: it covers .*same place"):
        Scene.from_files({"A": a, "B": b})


def test_bands_that_share_one_pixel_are_taken(tmp_path):
    a = write(tmp_path / "a.tif", PIXELS * 1.0)
    b = write(tmp_path / "b.tif", PIXELS + 7.0, transform=Affine(10, 0, X0 + 20, 0, -10, Y0 - 10))
    read = Scene.from_files({"A": a, "B": b}).read("B")[..., 0]
    assert read[1, 2] == 7
    assert np.isnan(read).sum() == 5


@pytest.fixture(params=["files", "arrays"])
def make(request, tmp_path):
    """Build a scene of bands VV_after and DEM, or of those given, by either way."""
    path = write(tmp_path / "a.tif", PIXELS * 1.0)

    def make(bands=("VV_after", "DEM"), **options):
        if request.param == "files":
            return Scene.from_files(dict.fromkeys(bands, path), **options)
        return Scene.from_arrays(dict.fromkeys(bands, PIXELS), transform=TRANSFORM, crs=UTM, **options)

    return make


BOTH = ("VV_after", "DEM")


@pytest.mark.parametrize(
    ("bands", "options", "message"),
    [
        ([], {}, r"at least one band\. Give \{'VV_before'"),
        (BOTH, {"units": {"VV_afer": "dB"}}, "units names VV_afer, but the scene's bands are VV_after, DEM"),
        (BOTH, {"nodata": {"VV_afer": 0}}, "nodata names VV_afer, but the scene's bands are VV_after, DEM"),
        (BOTH, {"units": "dB"}, "units='dB': give a mapping from band names"),
        (BOTH, {"units": {"VV_after": "db"}}, "'VV_after' has units 'db'; radar units are 'dB' or 'linear'"),
        (BOTH, {"nodata": {"DEM": "zero"}}, r"'DEM' has nodata .*; give a number or a list of numbers"),
        (BOTH, {"nodata": {"DEM": [0, "x"]}}, r"'DEM' has nodata .*; give a number or a list of numbers"),
    ],
)
def test_what_is_said_of_the_bands_is_checked(make, bands, options, message):
    with pytest.raises(BandError, match=message):
        make(bands, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"resampling": {"DEM": "mode"}}, BandError, "'mode' for band 'DEM' is unknown; use 'bilinear'"),
        ({"resampling": {"DEM": None}}, BandError, "None for band 'DEM' is unknown; use 'bilinear'"),
        ({"resampling": "linear"}, BandError, "'linear' for band 'DEM' is unknown"),
        ({"resampling": {"Dem": "cubic"}}, BandError, "resampling names Dem, but the scene's bands are DEM"),
        ({"grid": "Red"}, BandError, "grid='Red' names no band; the bands are DEM"),
        ({"grid": 10}, SceneError, "grid=10 is no grid"),
    ],
)
def test_resampling_and_grid_are_checked(tmp_path, options, error, message):
    path = write(tmp_path / "a.tif", PIXELS * 1.0)
    with pytest.raises(error, match=message):
        Scene.from_files({"DEM": path}, **options)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3, 1)), np.zeros((2, 3), complex), np.zeros((2, 3), bool)],
    ids=["3-D", "complex", "bool"],
)
def test_an_array_is_2d_and_real(array):
    with pytest.raises(SceneError, match=r"'Red' is an array of shape .* and dtype .*; a band is a 2-D array of real"):
        Scene.from_arrays({"Red": array}, transform=TRANSFORM)


def test_arrays_share_a_shape():
    with pytest.raises(SceneError, match=r"'B' has shape \(3, 2\) and band 'A' \(2, 3\).*Scene\.from_files"):
        Scene.from_arrays({"A": np.zeros((2, 3)), "B": np.zeros((3, 2))}, transform=TRANSFORM)


def test_a_band_that_the_scene_does_not_have(make):
    for ask in (make().read, lambda bands: make().crop(None, [bands])):
        with pytest.raises(BandError, match=r"no band 'Red'; it has VV_after, DEM, Slope\. Add it"):
            ask("Red")


def test_what_is_no_coordinate_system():
    with pytest.raises(SceneError, match=r"crs='EPSG:bad' is no coordinate reference system.*'EPSG:32654'"):
        Scene.from_arrays({"Red": np.eye(4)}, transform=Affine(1, 0, 0, 0, -1, 4), crs="EPSG:bad")


# Blocks and masks


def test_block_shape_is_the_largest_that_bands_are_read_in(tmp_path):
    pixels = np.zeros((300, 400), np.float32)
    tiled = write(tmp_path / "tiled.tif", pixels, tiled=True, blockxsize=128, blockysize=64)
    strips = write(tmp_path / "strips.tif", pixels, blockysize=5)
    wide = write(tmp_path / "wide.tif", np.zeros((300, 900), np.float32), blockysize=5)
    coarse = write(tmp_path / "coarse.tif", pixels, transform=Affine(30, 0, X0, 0, -30, Y0), blockysize=3)
    shapes = [Scene.from_files(files).block_shape for files in ({"A": tiled}, {"A": strips}, {"A": tiled, "B": strips})]
    assert shapes == [(64, 128), (5, 400), (64, 400)]
    assert Scene.from_files({"A": strips, "B": wide}).block_shape == (5, 400)  # no more than the grid has
    assert Scene.from_files({"A": strips, "B": coarse}).block_shape == (256, 400)  # warping works in 256 x 256
    assert Scene.from_files({"DEM": tiled}).block_shape == (64, 128)  # the derived slope is read as the DEM is
    assert Scene.from_arrays({"A": pixels}, transform=TRANSFORM).block_shape == (256, 256)
    assert Scene.from_arrays({"A": pixels[:9]}, transform=TRANSFORM).block_shape == (9, 256)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tag", [-9999.0, -3.4028234663852886e38, 1e-45])
def test_a_tag_is_nodata_to_the_last_places_that_gdal_looks_at(tmp_path, dtype, tag):
    values = [np.array(tag, dtype)]
    for towards in (np.inf, -np.inf):
        value = values[0]
        for _ in range(12):
            with np.errstate(over="ignore"):
                value = np.nextafter(value, np.array(towards, dtype))
            values.append(value)
    pixels = np.array([value for value in values if not np.isinf(value)], dtype)[None]
    path = write(tmp_path / "a.tif", pixels, nodata=tag)
    with rasterio.open(path) as dataset:
        expected = (dataset.read_masks(1) == 0) | ~np.isfinite(pixels.astype(np.float32))
    found = missing(path)
    assert found[0, 0]
    if dtype == "float32":
        assert np.array_equal(found, expected)
    else:  # of float64 GDAL looks at fewer places than any file needs
        assert not (found & ~expected).any()


# One file of all bands


def two_bands(path, descriptions=("VV_before", "VV_after")):
    pixels = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    with rasterio.open(
        path, "w", driver="GTiff", width=4, height=3, count=2, dtype="float32", crs=UTM, transform=TRANSFORM
    ) as file:
        file.write(pixels)
        file.descriptions = descriptions
    return pixels


def test_one_file_of_all_bands_by_its_descriptions_or_by_names(tmp_path):
    path = tmp_path / "event.tif"
    pixels = two_bands(path)
    by_number = Scene.from_files({"VV_before": (path, 1), "VV_after": (path, 2)}, units={"VV_after": "dB"})
    assert Scene.from_files(path, units={"VV_after": "dB"}) == by_number
    assert Scene.from_files(str(path)).bands == ("VV_before", "VV_after")
    renamed = Scene.from_files(path, names=["VV_after", "VV_after2"])
    np.testing.assert_array_equal(renamed.read("VV_after2")[..., 0], pixels[1])


def test_an_open_dataset_stands_for_its_file(tmp_path):
    path = tmp_path / "event.tif"
    two_bands(path)
    with rasterio.open(path) as file:
        assert Scene.from_files(file) == Scene.from_files(path)
        assert Scene.from_files({"Red": file, "Green": (file, 2)}) == Scene.from_files(
            {"Red": path, "Green": (path, 2)}
        )


def test_bands_of_one_file_without_names_are_refused(tmp_path):
    path = tmp_path / "event.tif"
    two_bands(path, ("VV_before", None))
    with pytest.raises(BandError, match=r"1 of 2 bands of .*event\.tif have no name.*names=\[\.\.\.\]"):
        Scene.from_files(path)
    for names in (["Red"], ["Red", "Red"], "ab"):
        with pytest.raises(BandError, match=r"one name for each of the 2 bands of .*event\.tif, in order"):
            Scene.from_files(path, names=names)
    with pytest.raises(BandError, match=r"names=\['Green'\] is for one file of all bands"):
        Scene.from_files({"Red": path}, names=["Green"])
    two_bands(path, ("VV_before", "VV 2018"))
    with pytest.raises(BandError, match=r"'VV 2018' cannot name a band"):
        Scene.from_files(path)
    two_bands(path, ("VV_before", "VV_before"))
    with pytest.raises(BandError, match="none twice"):
        Scene.from_files(path)
