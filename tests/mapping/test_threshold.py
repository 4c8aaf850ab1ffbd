"""A threshold that was chosen stays with the model: in its file, its card, its maps, whatever engine makes them."""

import numpy as np
import pytest
import rasterio
from fitting import ALL_BANDS, fitted, pipeline, some_locations
from scenes import random_scene
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, KFold, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline

from sklandslide import LandslideMap, SlidingWindowPredictor, export_onnx, load_model, model_card, save_model
from sklandslide.mapping import threshold_of


@pytest.fixture(scope="module")
def network():
    return pipeline(9, blocks=2)


@pytest.fixture(scope="module")
def scene():
    return random_scene((50, 60), ALL_BANDS[:3], seed=3)


def with_threshold(model, threshold=0.625, **options):
    labels = model.classes_
    return FixedThresholdClassifier(FrozenEstimator(model), threshold=threshold, **options).fit([[0.0], [1.0]], labels)


@pytest.mark.parametrize("method", ["shared", "window"])
def test_the_map_is_that_of_the_pipeline_and_knows_the_threshold(tmp_path, network, scene, method):
    maps = [
        SlidingWindowPredictor(model, method=method).predict_map(scene, tmp_path / f"{i}.tif")
        for i, model in enumerate([network, with_threshold(network)])
    ]
    np.testing.assert_array_equal(maps[0].probability, maps[1].probability)
    assert [m.threshold for m in maps] == [None, 0.625]
    red = maps[1].points()["probability"]
    assert 0 < len(red) < maps[1].probability.size
    assert red.min() >= 0.625
    with rasterio.open(maps[1].path) as file:
        assert file.tags()["SKLANDSLIDE_THRESHOLD"] == "0.625"


def test_the_red_windows_are_those_that_the_model_predicts(tmp_path, network, scene):
    model = with_threshold(network, 0.4)
    m = SlidingWindowPredictor(model, step=9).predict_map(scene, tmp_path / "map.tif")
    X, _ = some_locations(scene, 1, 9)
    rows, cols = np.indices(m.grid.shape).reshape(2, -1) * 9 + 4.5
    predicted = model.predict(type(X)(scene, scene.grid.xy(rows, cols)))
    assert len(m.points()) == predicted.sum() > 0


def test_a_model_file_and_a_card_keep_it(tmp_path, network, scene):
    model = with_threshold(network, 0.8125)
    loaded = load_model(save_model(model, tmp_path / "model.skops"))
    assert (threshold_of(loaded, 1), threshold_of(loaded, 0)) == (0.8125, None)
    X, _ = some_locations(scene, 30, 9)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    card = model_card(tmp_path / "model.skops").to_markdown().replace("\\", "")
    assert "| threshold of 1 | 0.8125 |" in card
    assert "| estimator | BandStacker → PatchSampler → Augmenter → LandslideCNN |" in card
    assert "landslidecnn__dense_units | 8" in card
    assert "threshold of" not in model_card(network).to_markdown()
    export_onnx(loaded, tmp_path / "model.onnx")
    export_onnx(network, tmp_path / "bare.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == (tmp_path / "bare.onnx").read_bytes()


def test_wherever_a_threshold_stands():
    X, y = np.arange(20.0)[:, None], np.arange(20) // 10
    one = LogisticRegression().fit(X, y)
    fixed = FixedThresholdClassifier(LogisticRegression(), threshold=0.25)
    assert threshold_of(one, 1) is None
    assert threshold_of(fixed.fit(X, y), 1) == 0.25
    assert threshold_of(make_pipeline(fixed).fit(X, y), 1) == 0.25
    search = GridSearchCV(fixed, {"threshold": [0.3]}, cv=KFold(2, shuffle=True, random_state=0)).fit(X, y)
    assert threshold_of(FrozenEstimator(search), 1) == 0.3
    tuned = TunedThresholdClassifierCV(LogisticRegression(), cv=KFold(2, shuffle=True, random_state=0)).fit(X, y)
    assert threshold_of(tuned, 1) == np.clip(tuned.best_threshold_, 0, 1)
    for model in (
        with_threshold(one, "auto"),
        with_threshold(one, 0.3, response_method="decision_function"),
        with_threshold(one, 0.3, pos_label=0),
    ):
        assert threshold_of(model, 1) is None
    assert threshold_of(with_threshold(one, 0.3, pos_label=0), 0) == 0.3


def test_a_tuned_threshold_reaches_the_map(tmp_path):
    scene = random_scene()
    X, y = some_locations(scene, 40, 5)
    model = TunedThresholdClassifierCV(fitted(scene), cv=KFold(2)).fit(X, y)
    SlidingWindowPredictor(model, step=5).predict_map(scene, tmp_path / "map.tif")
    assert LandslideMap.open(tmp_path / "map.tif").threshold == np.clip(model.best_threshold_, 0, 1)
