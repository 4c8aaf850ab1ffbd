"""Laws that a run of `mutants.py` found unguarded: each of these fails with a small fault that no other test saw."""

import json
import os
import struct

import numpy as np
import pytest
import rasterio
from affine import Affine
from fitting import GEOTIFF, fitted
from rasterio.windows import Window
from rasters import TRANSFORM, centres, same, write
from scenes import WeightedSum, random_scene
from sklearn.pipeline import make_pipeline
from test_model_selection import lattice
from test_sampling import POLYGONS, scene_with

from sklandslide import (
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    sample_polygons,
)
from sklandslide.exceptions import OutputExistsError, SceneError, SklandslideError
from sklandslide.mapping.journal import Journal
from sklandslide.mapping.tiles import MapTask, TileLayout
from sklandslide.mapping.workers import _Engines, _packed
from sklandslide.mapping.writer import BLOCK, MapWriter
from sklandslide.sampling import regions

# ---------------------------------------------------------------------------------------------------- rasters, grids


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


# ---------------------------------------------------------------------------------------------------- samples, folds


class Read:
    """A view of nothing but numbers that remembers which windows were read."""

    block_shape = (16, 32)

    def __init__(self, shape):
        self.pixels, self.windows = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1), []

    def read(self, bands, window):
        self.windows.append(window)
        return self.pixels[window.slices]


@pytest.mark.parametrize("at_once", [1, 2_000, 2**19])
def test_what_is_read_at_once_begins_and_ends_between_blocks(monkeypatch, at_once):
    """However little that is: no block is read twice."""
    monkeypatch.setattr(regions, "_AT_ONCE", at_once)
    scene, size = Read((300, 400)), 9
    first = np.random.default_rng(0).integers([3, 5], [280, 380], (300, 2))
    for which, pixels, place in regions.regions(scene, first, size):
        for (row, col), (r, c) in zip(place, first[which], strict=True):
            assert same(pixels[row : row + size, col : col + size], scene.pixels[r : r + size, c : c + size])
    times = np.zeros((-(-300 // 16), -(-400 // 32)), int)
    for window in scene.windows:
        pairs = zip(window.slices, scene.block_shape, strict=True)
        times[tuple(slice(s.start // n, -(-s.stop // n)) for s, n in pairs)] += 1
    assert times.max() == 1
    assert (len(scene.windows) > 100) == (at_once == 1)


def test_a_drawn_sample_is_drawn_once():
    for seed in range(5):
        X, y, _ = sample_polygons(scene_with(), POLYGONS, stride=2, balance=True, random_state=seed)
        assert len({tuple(place) for place in X.xy.tolist()}) == len(X) == 2 * y.sum()


def test_each_coordinate_system_has_blocks_of_its_own():
    """Two scenes with the same numbers for coordinates, in two systems, are two places."""
    X, y = lattice(400)
    far, _ = lattice(400, crs="EPSG:32655")
    assert far.xy.tolist() == X.xy.tolist()
    half = (X.xy[:, 0] - X.xy[:, 0].min()).max() * 0.6
    folds = SpatialBlockKFold(3, block_size=(half, 1e9), random_state=0)
    with pytest.raises(ValueError, match=r"lie in 2 block\(s\)"):
        list(folds.split(X, y))
    assert len(list(folds.split(Locations.concatenate([X, far]), np.r_[y, y]))) == 3


# ----------------------------------------------------------------------------------------------- shared computation


def test_both_classes_of_one_network_are_mapped_by_shared_computation(tmp_path, monkeypatch):
    """One after the other with the same fitted network, in many squares; the two maps add up to one."""
    from fitting import pipeline

    from sklandslide.mapping import shared

    monkeypatch.setattr(shared, "_LIVE_BYTES", 1 << 17)
    pipe, scene = pipeline(15, blocks=1), random_scene((75, 91), ("A", "B", "C"), seed=3, holes=2)
    maps = []
    for label, method in [(1, "shared"), (0, "shared"), (1, "window")]:
        predictor = SlidingWindowPredictor(pipe, positive=label, method=method)
        maps.append(predictor.predict_map(scene, tmp_path / f"{label}{method}.tif").probability)
    one, zero, window = maps
    assert predictor.engine_ == "window"
    assert min(one.shape) > 2 * shared._cheapest(15, 2, shared._take_apart(pipe[-1].model_))[0]
    assert np.nanstd(one) > 0.02
    np.testing.assert_allclose(one, window, rtol=0, atol=1e-5)
    np.testing.assert_allclose(one + zero, np.where(np.isnan(window), np.nan, 1), rtol=0, atol=1e-6)


def test_windows_larger_than_the_networks_patches_are_not_shared():
    from sklandslide.mapping.shared import why_not_shared

    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=15), LandslideCNN())
    assert why_not_shared(pipe, 17) == "the windows have 17 pixels and the network's patches 15"


@pytest.mark.parametrize("patch_size", [4, 5])
def test_an_estimator_is_asked_about_the_places_where_the_map_shows_its_answers(tmp_path, patch_size):
    """To the last bits: one that works with coordinates, and not with pixels alone, would see any shift."""

    class Noting(WeightedSum):
        def predict_proba(self, X):
            asked.extend(map(tuple, X.xy.tolist()))
            return np.full((len(X), 2), 0.5)

    asked = []
    scene = random_scene((30, 41))
    estimator = Noting()
    estimator.classes_ = np.array([0, 1])
    m = SlidingWindowPredictor(estimator, step=3, patch_size=patch_size).predict_map(scene, tmp_path / "map.tif")
    expected = np.stack(centres(m.grid), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose(sorted(asked), sorted(map(tuple, expected.tolist())), rtol=0, atol=1e-6)


def test_a_worker_takes_the_model_that_it_is_sent():
    scene = random_scene((20, 20))
    engines, values = _Engines(), []
    for seed in (0, 1, 0):
        pipe = fitted(random_scene(), 5, WeightedSum())
        pipe[-1].weights_ = np.random.RandomState(seed).normal(size=pipe[-1].weights_.shape)
        payload, digest = _packed(MapTask(pipe, [pipe[0]], 5, 2, 1))
        values.append(engines.get(payload, digest, "window").tile(scene))
    assert same(values[0], values[2])
    assert not np.allclose(values[0], values[1])


# ------------------------------------------------------------------------------------------------ journal and file


def journal_of(folder, n=4):
    """The layout, values and file of a journal with `n` tiles of one shape."""
    layout = TileLayout((32, 16 * n // 2), 16)
    values = [np.full((16, 16), number + 1, np.float32) for number in range(n)]
    with Journal(str(folder / "map.tif"), layout, {"scene": "a"}) as record:
        for number, tile in enumerate(values):
            record.add(number, tile)
    return layout, values, folder / ".map.tif.journal"


def test_whatever_bit_of_a_record_is_wrong_each_tile_that_counts_is_the_right_one(tmp_path):
    """The number of a tile is as good as its values: tiles of one shape could take each other's place."""
    layout, values, path = journal_of(tmp_path)
    whole = path.read_bytes()
    length = 16 + 4 * 16 * 16
    header = len(whole) - len(values) * length
    for record in range(len(values)):
        for bit in [*range(8 * 16), 8 * 16 + 5, 8 * (length - 1)]:
            damaged = bytearray(whole)
            damaged[header + record * length + bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as kept:
                assert kept.missing == list(range(record, len(values)))
                assert all(same(kept.read(number), values[number]) for number in range(record))
                kept.add(record, values[record])  # or it would be removed on leaving


def test_a_tile_that_was_changed_after_it_was_recorded_is_not_used(tmp_path):
    layout, values, path = journal_of(tmp_path)
    with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as record:
        with open(path, "r+b") as file:
            file.seek(-5, os.SEEK_END)
            file.write(struct.pack("<f", 0.5)[:1])
        assert same(record.read(0), values[0])
        with pytest.raises(SklandslideError, match="tile 3 is not what was recorded"):
            record.read(3)


def test_a_record_of_another_map_is_known_by_any_part_of_its_key(tmp_path):
    layout, _, _ = journal_of(tmp_path)
    key = {"scene": "a", "step": 2}
    with Journal(str(tmp_path / "map.tif"), layout, key) as record:
        assert len(record) == 0
        record.add(0, np.zeros((16, 16), np.float32))
    for other in ({**key, "scene": "b"}, {**key, "step": 3}, {"scene": "a"}):
        assert json.dumps(other) != json.dumps(key)
        with Journal(str(tmp_path / "map.tif"), layout, key) as record:
            record.add(0, np.zeros((16, 16), np.float32))
        with Journal(str(tmp_path / "map.tif"), layout, other) as record:
            assert len(record) == 0


@pytest.fixture
def done(monkeypatch):
    """What reached the disk, and what got its name, in order."""
    done, fsync, named = [], os.fsync, {name: getattr(os, name) for name in ("replace", "link")}

    def synced(file):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    def naming(name):
        def function(source, target):
            named[name](source, target)
            done.append((os.path.basename(source), os.path.basename(target)))

        return function

    monkeypatch.setattr(os, "fsync", synced)
    for name in named:
        monkeypatch.setattr(os, name, naming(name))
    return done


def assert_bytes_before_name(done, name, folder):
    """In this order, or a power cut leaves a file of zeros or none under the name."""
    ((part, _),) = (pair for pair in done if pair[1:] == (name,))
    assert done == [part, (part, name), folder]


def test_a_map_has_its_name_when_its_bytes_are_on_the_disk_and_the_name_follows(tmp_path, done):
    scene = random_scene((30, 30))
    SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, tmp_path / "map.tif")
    assert_bytes_before_name(done, "map.tif", tmp_path.name)


def test_a_file_that_is_there_is_kept_and_nothing_is_computed_in_vain(tmp_path):
    scene, calls, path = random_scene((30, 30)), [], tmp_path / "map.tif"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match="Pass overwrite=True"):
        SlidingWindowPredictor(fitted(scene, 5, WeightedSum(calls))).predict_map(scene, path)
    assert path.read_text() == "precious"
    assert calls == []
    assert os.listdir(tmp_path) == ["map.tif"]


def test_a_file_that_appears_while_the_map_is_made_is_kept(tmp_path):
    class Slow(WeightedSum):
        def predict_proba(self, X):
            (tmp_path / "map.tif").write_text("precious")
            return super().predict_proba(X)

    scene = random_scene((30, 30))
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        SlidingWindowPredictor(fitted(scene, 5, Slow())).predict_map(scene, tmp_path / "map.tif")
    assert (tmp_path / "map.tif").read_text() == "precious"


def test_a_file_that_is_not_what_was_written_gets_no_name(tmp_path):
    """Whatever happened to it: one value that differs is enough."""
    grid = random_scene((BLOCK + 40, 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)

    def write_map(changed):
        with MapWriter(str(tmp_path / "map.tif"), grid, {}) as writer:
            for row in range(0, grid.shape[0], BLOCK):
                writer.write_rows(values[row : row + BLOCK], row)
            if changed:
                rows = values[:BLOCK].copy()
                rows[100, 20] += 1e-3
                writer._dataset.write(rows, 1, window=Window(0, 0, grid.shape[1], BLOCK))

    with pytest.raises(SklandslideError, match="not what was written"):
        write_map(changed=True)
    assert os.listdir(tmp_path) == []
    write_map(changed=False)
    assert os.listdir(tmp_path) == ["map.tif"]


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_scene_is_not_overwritten_under_another_name_of_its_file(tmp_path, link):
    with rasterio.open(tmp_path / "Red.tif", "w", width=30, height=30, **GEOTIFF) as f:
        f.write(np.random.RandomState(0).rand(1, 30, 30).astype("float32"))
    before = (tmp_path / "Red.tif").read_bytes()
    link(tmp_path / "Red.tif", tmp_path / "map.tif")
    scene = Scene.from_files({"Red": tmp_path / "Red.tif"})
    pipe = fitted(scene, 5, bands=["Red"])
    if link is os.symlink:
        with pytest.raises(SceneError, match="one of the scene's own rasters"):
            SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif", overwrite=True)
    else:  # the map gets the name, the scene keeps its file
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif", overwrite=True)
    assert (tmp_path / "Red.tif").read_bytes() == before


def test_a_map_of_several_blocks_is_written_as_it_is(tmp_path):
    grid = random_scene((2 * BLOCK + 70, BLOCK + 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)
    with MapWriter(str(tmp_path / "map.tif"), grid, {}) as writer:
        for row in range(0, grid.shape[0], BLOCK):
            writer.write_rows(values[row : row + BLOCK], row)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert same(file.read(1), values)
        x, y = rasterio.transform.xy(file.transform, *np.indices(grid.shape).reshape(2, -1))
    for found, expected in zip((x, y), centres(grid), strict=True):
        np.testing.assert_allclose(found, expected.ravel(), rtol=0, atol=1e-6)
