"""The area of applicability: what it takes for strange, and that every way to map gives the same."""

import pickle

import numpy as np
import pytest
from fitting import pipeline, some_locations
from rasters import same
from scenes import random_scene
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from sklandslide import (
    ApplicabilityArea,
    LandslideMap,
    Locations,
    Scene,
    SlidingWindowPredictor,
    load_model,
    save_model,
)
from sklandslide.exceptions import SklandslideError
from sklandslide.mapping import tiles
from sklandslide.mapping.applicability import features_of, relative_dissimilarity, upper_whisker

BANDS = ("A", "B", "C")
TRAINING = random_scene((400, 400), BANDS, seed=1)


def scene_of(seed=3, shape=(75, 91), scale=1.0, shift=0.0, holes=2):
    scene = random_scene(shape, BANDS, seed=seed, holes=holes)
    bands = {band: scene.read(band)[..., 0] * scale + shift for band in BANDS}
    return Scene.from_arrays(bands, transform=scene.grid.transform, crs=scene.grid.crs)


def area_of(pipe, n=300, size=15, **parameters):
    X, y = some_locations(TRAINING, n, size)
    return ApplicabilityArea(pipe, random_state=0, **parameters).fit(X, y)


@pytest.fixture(scope="module")
def pipe():
    return pipeline(15, blocks=2)


@pytest.fixture(scope="module")
def area(pipe):
    return area_of(pipe)


def mapped(pipe, scene, path, area, **parameters):
    return SlidingWindowPredictor(pipe, applicability=area, **parameters).predict_map(scene, path)


# ------------------------------------------------------------------------------------------------------------ the index
def test_what_the_training_ground_is_like_is_inside_and_other_ground_is_not(area):
    like, _ = some_locations(random_scene((300, 300), BANDS, seed=7), 200, 15)
    assert area.predict(like).mean() > 0.9
    for other in (scene_of(shift=1.0, holes=0), scene_of(scale=2.0, holes=0)):
        X, _ = some_locations(other, 200, 15)
        assert area.predict(X).mean() < 0.1
    smooth = random_scene((120, 120), BANDS, seed=8)
    bands = {band: np.repeat(np.repeat(smooth.read(band)[:60, :60, 0], 2, 0), 2, 1) for band in BANDS}
    X, _ = some_locations(Scene.from_arrays(bands, transform=smooth.grid.transform, crs=smooth.grid.crs), 200, 15)
    assert area.predict(X).mean() < 0.1  # the same values, and another texture


def test_the_index_is_the_distance_to_the_nearest_reference_over_the_mean_one(pipe):
    """By hand: with all training windows as references, each is at 0; with folds, at its nearest in the others."""
    X, y = some_locations(TRAINING, 30, 15)
    folds = [(np.arange(10, 30), np.arange(10)), (np.arange(20), np.arange(20, 30))]
    area = ApplicabilityArea(pipe, cv=folds, random_state=0).fit(X, y)
    places = area.references_.astype(np.float64)
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    mean = distances[~np.eye(30, dtype=bool)].mean()
    nearest = np.concatenate([distances[test][:, train].min(axis=1) for train, test in folds]) / mean
    np.testing.assert_allclose(area.train_dissimilarity_, nearest, rtol=1e-3)
    assert area.threshold_ == pytest.approx(upper_whisker(nearest), rel=1e-3)
    assert area.dissimilarity(X).max() < 0.02
    patches = pipe[:-1].transform(X)
    features = features_of(pipe, patches, pipe[-1].predict_proba_and_features(patches)[1])
    np.testing.assert_allclose(
        relative_dissimilarity(area, features) * area.threshold_, area.dissimilarity(X), atol=1e-6
    )


def test_the_whisker_leaves_out_what_lies_far_above_the_box():
    assert upper_whisker(np.array([1.0, 2, 3, 4, 5, 100])) == 5
    assert upper_whisker(np.array([1.0, 2, 3])) == 3


def test_statistics_of_a_patch_by_hand(pipe):
    patches = np.random.RandomState(0).normal(size=(4, 15, 15, 3)).astype(np.float32)
    normalise = pipe[-1].model_.get_layer("normalise")
    z = (patches - np.ravel(normalise.mean)) / np.sqrt(np.ravel(normalise.variance))
    found = features_of(pipe, patches, np.zeros((4, 8), np.float32))
    np.testing.assert_allclose(found[:, 8:11], z.mean(axis=(1, 2)), atol=1e-5)
    np.testing.assert_allclose(found[:, 11:14], z.std(axis=(1, 2)), atol=1e-5)
    assert np.abs(found[:, 14:]).max() < 0.3  # noise: neighbours know nothing of each other
    flat = features_of(pipe, np.ones_like(patches), np.zeros((4, 8), np.float32))
    np.testing.assert_allclose(flat[:, 14:], 1)


def test_fewer_references_measure_the_same_thing(pipe):
    few, many = area_of(pipe, n_references=40), area_of(pipe)
    assert len(few.references_) == 40
    assert few.threshold_ > many.threshold_  # all are farther from fewer
    like, _ = some_locations(random_scene((300, 300), BANDS, seed=7), 300, 15)
    assert few.predict(like).mean() > 0.9


def test_the_area_is_kept_and_cloned(area, tmp_path):
    X, _ = some_locations(scene_of(holes=0), 20, 15)
    loaded = load_model(save_model(area, tmp_path / "area.skops"))
    assert same(loaded.dissimilarity(X), area.dissimilarity(X))
    assert same(pickle.loads(pickle.dumps(area)).dissimilarity(X), area.dissimilarity(X))
    frozen = clone(ApplicabilityArea(FrozenEstimator(area.estimator), random_state=0))
    assert frozen.fit(*some_locations(TRAINING, 300, 15)).threshold_ == area.threshold_


def test_what_cannot_be_compared_is_refused(pipe, area, tmp_path):
    X, y = some_locations(TRAINING, 20, 15)
    with pytest.raises(NotFittedError):
        ApplicabilityArea(clone(pipe)).fit(X, y)
    with pytest.raises(NotFittedError):
        ApplicabilityArea(pipe).predict(X)
    with pytest.raises(SklandslideError, match="no hidden layer to compare windows by"):
        ApplicabilityArea(LogisticRegression().fit([[0.0], [1.0]], [0, 1])).fit(X, y)
    with pytest.raises(SklandslideError, match="Give a larger n_references"):
        ApplicabilityArea(pipe, n_references=2, cv=[([0], np.arange(1, 20))], random_state=0).fit(X, y)
    with pytest.raises(SklandslideError, match="fitted with another network"):
        mapped(pipeline(15, blocks=2, seed=1), scene_of(), tmp_path / "map.tif", area)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------------- the map
@pytest.mark.parametrize("step", [2, 3])
def test_every_way_to_map_gives_the_index_of_each_window(pipe, area, tmp_path, monkeypatch, step):
    scene = scene_of(shift=0.1)
    plain = SlidingWindowPredictor(pipe, step=step).predict_map(scene, tmp_path / "plain.tif")
    assert plain.dissimilarity is None
    shared = mapped(pipe, scene, tmp_path / "shared.tif", area, step=step, method="shared")
    window = mapped(pipe, scene, tmp_path / "window.tif", area, step=step, method="window")
    monkeypatch.setattr("sklandslide.mapping.windows._onnx_network", lambda task: (None, None))
    network = mapped(pipe, scene, tmp_path / "network.tif", area, step=step, method="window")
    X = Locations(scene, scene.grid.xy(*(np.argwhere(np.isfinite(plain.probability)).T * step + 7.5)))
    expected = np.full(plain.grid.shape, np.nan, np.float32)
    expected[np.isfinite(plain.probability)] = area.dissimilarity(X) / area.threshold_
    assert np.nanmin(expected) < 1 < np.nanmax(expected)
    for m in (shared, window, network):
        np.testing.assert_allclose(m.probability, plain.probability, atol=1e-5)
        np.testing.assert_allclose(m.dissimilarity, expected, rtol=1e-3, atol=1e-3)


def test_pixels_that_the_network_leaves_out_count_for_the_statistics(tmp_path):
    """Padding "valid" drops a window's last ones of 17; the shared engine has to read them nevertheless."""
    pipe = pipeline(17, blocks=2, padding="valid")
    area, scene = area_of(pipe, size=17), scene_of()
    shared = mapped(pipe, scene, tmp_path / "shared.tif", area, method="shared")
    window = mapped(pipe, scene, tmp_path / "window.tif", area, method="window")
    np.testing.assert_allclose(shared.dissimilarity, window.dissimilarity, rtol=1e-3, atol=1e-3)


def test_another_area_of_the_same_network_is_not_mixed_up_with_the_first(pipe, area, tmp_path):
    """The compiled graph stays on the network and gets its references when it runs."""
    other, scene = area_of(pipe, cv=2), scene_of()
    one = mapped(pipe, scene, tmp_path / "one.tif", area).dissimilarity
    two = mapped(pipe, scene, tmp_path / "two.tif", other).dissimilarity
    np.testing.assert_allclose(one * area.threshold_, two * other.threshold_, rtol=1e-3)
    assert area.threshold_ != other.threshold_


def test_models_around_the_pipeline_have_its_area(pipe, area, tmp_path):
    scene = scene_of()
    X, y = some_locations(TRAINING, 300, 15)
    chosen = FixedThresholdClassifier(FrozenEstimator(pipe), threshold=0.3).fit(X, y)
    calibrated = CalibratedClassifierCV(FrozenEstimator(pipe), method="sigmoid").fit(X, y)
    wanted = mapped(pipe, scene, tmp_path / "pipe.tif", area, step=4)
    predictor = SlidingWindowPredictor(chosen, step=4, applicability=area)
    same_values = predictor.predict_map(scene, tmp_path / "chosen.tif")
    assert predictor.engine_ == "shared"
    assert same(same_values.probability, wanted.probability)
    assert same(same_values.dissimilarity, wanted.dissimilarity)
    other = mapped(calibrated, scene, tmp_path / "calibrated.tif", area, step=4)
    np.testing.assert_allclose(other.dissimilarity, wanted.dissimilarity, rtol=1e-3, atol=1e-3)
    assert not np.allclose(other.probability, wanted.probability, equal_nan=True)


@pytest.mark.parametrize("method", ["shared", "window"])
def test_a_map_that_was_stopped_goes_on_to_the_same_bytes(pipe, area, tmp_path, monkeypatch, method):
    from sklandslide.mapping.unfinished import UnfinishedMap

    monkeypatch.setattr(tiles, "_LARGEST", 16)
    scene, add, left = scene_of(), UnfinishedMap.add, [3]
    mapped(pipe, scene, tmp_path / "whole.tif", area, method=method)

    def stopping(self, *tile):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        add(self, *tile)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(UnfinishedMap, "add", stopping)
        mapped(pipe, scene, tmp_path / "map.tif", area, method=method)
    assert not (tmp_path / "map.tif").exists()
    counted = []
    monkeypatch.setattr(UnfinishedMap, "add", lambda self, *tile: (counted.append(tile[0]), add(self, *tile)))
    mapped(pipe, scene, tmp_path / "map.tif", area, method=method)
    assert len(counted) == len(set(counted)) == 3  # of 6 tiles
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()
    assert not np.isnan(LandslideMap.open(tmp_path / "map.tif").dissimilarity).all()


def test_the_plot_greys_what_lies_outside(pipe, area, tmp_path):
    m = mapped(pipe, scene_of(shift=0.3), tmp_path / "map.tif", area)
    ax = m.plot()
    outside = ax.images[-1].get_array()[..., 3] > 0
    assert outside.tolist() == (m.dissimilarity > 1).tolist()
    assert any("Outside the area of applicability" in text.get_text() for text in ax.figure.findobj(type(ax.title)))
