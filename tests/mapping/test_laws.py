"""Laws of maps that small faults broke unseen by other tests: places, classes, models and files of their own."""

import os

import numpy as np
import pytest
import rasterio
from fitting import GEOTIFF, fitted, pipeline
from rasters import centres, same
from scenes import WeightedSum, random_scene
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LandslideCNN, PatchSampler, Scene, SlidingWindowPredictor
from sklandslide.exceptions import OutputExistsError, SceneError
from sklandslide.mapping import shared
from sklandslide.mapping.tiles import MapTask
from sklandslide.mapping.workers import _Engines, _packed
from sklandslide.mapping.writer import BLOCK, write_geotiff
from sklandslide.network import state_of


@pytest.mark.parametrize("engine", ["shared", "shared-graph"])
def test_both_classes_of_one_network_are_mapped_by_shared_computation(tmp_path, monkeypatch, engine):
    """One after the other with the same fitted network, in many squares; the two maps add up to one."""
    if engine == "shared-graph":
        monkeypatch.setattr(shared, "find_spec", lambda *_: None)
    monkeypatch.setattr(shared, "_LIVE_BYTES", 1 << 17)
    pipe, scene = pipeline(15, blocks=1), random_scene((75, 91), ("A", "B", "C"), seed=3, holes=2)
    maps = []
    for label, method in [(1, "shared"), (0, "shared"), (1, "window")]:
        predictor = SlidingWindowPredictor(pipe, positive=label, method=method)
        maps.append(predictor.predict_map(scene, tmp_path / f"{label}{method}.tif").probability)
    one, zero, window = maps
    assert predictor.engine_ == "window"
    assert min(one.shape) > 2 * shared._cheapest(15, 2, shared._take_apart(state_of(pipe[-1])))[0]
    assert np.nanstd(one) > 0.02
    np.testing.assert_allclose(one, window, rtol=0, atol=1e-5)
    np.testing.assert_allclose(one + zero, np.where(np.isnan(window), np.nan, 1), rtol=0, atol=1e-6)


def test_windows_larger_than_the_networks_patches_are_not_shared():
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=15), LandslideCNN())
    assert shared.why_not_shared(pipe, 17) == "the windows have 17 pixels and the network's patches 15"


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


def test_a_file_that_is_there_is_kept_and_nothing_is_computed_in_vain(tmp_path):
    scene, calls, path = random_scene((30, 30)), [], tmp_path / "map.tif"
    path.write_text("precious")
    with pytest.raises(OutputExistsError, match="Pass overwrite=True"):
        SlidingWindowPredictor(fitted(scene, 5, WeightedSum(calls))).predict_map(scene, path)
    assert path.read_text() == "precious"
    assert calls == []
    SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, path, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["map.qml", "map.tif"]


def test_a_file_that_appears_while_the_map_is_made_is_kept(tmp_path):
    class Slow(WeightedSum):
        def predict_proba(self, X):
            (tmp_path / "map.tif").write_text("precious")
            return super().predict_proba(X)

    scene = random_scene((30, 30))
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        SlidingWindowPredictor(fitted(scene, 5, Slow())).predict_map(scene, tmp_path / "map.tif")
    assert (tmp_path / "map.tif").read_text() == "precious"


def test_a_scene_is_not_overwritten_under_any_name_of_its_file(tmp_path):
    with rasterio.open(tmp_path / "Red.tif", "w", width=30, height=30, **GEOTIFF) as f:
        f.write(np.random.RandomState(0).rand(1, 30, 30).astype("float32"))
    before = (tmp_path / "Red.tif").read_bytes()
    os.symlink(tmp_path / "Red.tif", tmp_path / "link.tif")
    scene = Scene.from_files({"Red": tmp_path / "Red.tif"})
    for name in ("Red.tif", "link.tif"):
        with pytest.raises(SceneError, match="one of the scene's own rasters"):
            SlidingWindowPredictor(fitted(scene, 5, bands=["Red"])).predict_map(scene, tmp_path / name, overwrite=True)
    assert (tmp_path / "Red.tif").read_bytes() == before


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


def test_a_map_has_its_name_when_its_bytes_are_on_the_disk(tmp_path, done):
    scene = random_scene((30, 30))
    SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, tmp_path / "map.tif")
    part, named, style, named_style = (step for step in done if isinstance(step, str) or step[1].startswith("map."))
    assert named == (part, "map.tif")
    assert named_style == (style, "map.qml")


def test_a_map_of_several_blocks_is_written_as_it_is(tmp_path):
    grid = random_scene((2 * BLOCK + 70, BLOCK + 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)
    write_geotiff(tmp_path / "map.tif", grid, {}, (values[row : row + BLOCK] for row in range(0, len(values), BLOCK)))
    with rasterio.open(tmp_path / "map.tif") as file:
        assert same(file.read(1), values)
        x, y = rasterio.transform.xy(file.transform, *np.indices(grid.shape).reshape(2, -1))
    for found, expected in zip((x, y), centres(grid), strict=True):
        np.testing.assert_allclose(found, expected.ravel(), rtol=0, atol=1e-6)


def test_overviews_average_the_valid_pixels_and_stand_before_the_map(tmp_path):
    grid = random_scene((2 * BLOCK + 70, 2 * BLOCK + 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)
    values[::7, ::3] = np.nan
    values[20:24, 30:34] = np.nan
    write_geotiff(tmp_path / "map.tif", grid, {}, (values[row : row + BLOCK] for row in range(0, len(values), BLOCK)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.tif"]
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.overviews(1) == [2]
    quads = values.reshape(grid.shape[0] // 2, 2, grid.shape[1] // 2, 2).swapaxes(1, 2).reshape(-1, 4)
    known = np.isfinite(quads)
    expected = np.where(known, quads, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    with rasterio.open(tmp_path / "map.tif", overview_level=0) as file:
        np.testing.assert_allclose(file.read(1).ravel(), expected, rtol=1e-6)
