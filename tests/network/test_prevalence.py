"""Probabilities at a stated share of landslides: the odds of a network, times a known factor."""

import pickle

import numpy as np
import pytest
from fitting import some_locations
from scenes import random_scene
from scipy.special import expit, logit
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor, load_model, save_model
from sklandslide.network import OnnxNetwork, state_of

LAST = {"filters": (3,), "dense_units": 4, "input_size": None, "epochs": 2, "random_state": 0}


def cnn(**options):
    return LandslideCNN(**{**LAST, **options})


def data(n=60, share=0.5, seed=0):
    random = np.random.RandomState(seed)
    y = (np.arange(n) < share * n).astype(int)
    return (random.normal(size=(n, 4, 4, 2)) + y[:, None, None, None]).astype(np.float32), y


def log_odds(model, X, column=1):
    p = model.predict_proba(X).astype(np.float64)
    return np.log(p[:, column]) - np.log(np.delete(p, column, axis=1).sum(axis=1))


@pytest.mark.parametrize(
    ("options", "sample_weight", "share"),
    [
        ({}, None, 0.25),
        ({"class_weight": "balanced"}, None, 0.5),
        ({"class_weight": {0: 1, 1: 9}}, None, 0.75),
        ({}, np.repeat([3.0, 1.0], [15, 45]), 0.5),
        ({"early_stopping": True, "epochs": 4}, None, 0.25),
    ],
    ids=["plain", "balanced", "class weights", "sample weights", "early stopping"],
)
def test_odds_are_multiplied_by_the_ratio_of_both_shares(options, sample_weight, share):
    X, y = data(share=0.25)
    before = cnn(**options).fit(X, y, sample_weight)
    after = cnn(**options, prevalence=0.03).fit(X, y, sample_weight)
    change = log_odds(after, X) - log_odds(before, X)
    np.testing.assert_allclose(change, logit(0.03) - logit(share), atol=2e-6)
    *ours, bias = after.model_.get_weights()
    *theirs, other = before.model_.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert bias[0] == other[0]
    assert after.history_ == before.history_


def test_the_training_share_changes_nothing():
    X, y = data(share=0.5)
    np.testing.assert_array_equal(cnn(prevalence=0.5).fit(X, y).predict_proba(X), cnn().fit(X, y).predict_proba(X))


def test_the_class_is_landslide_wherever_it_is_sorted():
    X, y = data()
    words = np.array(["other", "landslide"])[y]
    words[:5] = "edge"
    before, after = (cnn(prevalence=p).fit(X, words) for p in (None, 0.01))
    assert after.classes_.tolist() == ["edge", "landslide", "other"]
    share = (words == "landslide").mean()
    change = log_odds(after, X) - log_odds(before, X)
    np.testing.assert_allclose(change, logit(0.01) - logit(share), atol=2e-6)
    others = after.predict_proba(X)[:, [0, 2]] / before.predict_proba(X)[:, [0, 2]]
    np.testing.assert_allclose(others[:, 0], others[:, 1], rtol=1e-5)
    with pytest.raises(ValueError, match=r"None of 1, True and 'landslide' is among the classes \['rock'"):
        cnn(prevalence=0.1).fit(X, np.array(["rock", "soil"])[y])


def test_maps_files_and_other_runtimes_follow(tmp_path):
    train = random_scene((60, 60))
    X, y = some_locations(train, 40, 9)
    maps = {}
    for prevalence in (None, 0.02):
        model = make_pipeline(BandStacker("RGB"), PatchSampler(9), cnn(prevalence=prevalence)).fit(X, y)
        save_model(model, tmp_path / "model.skops", overwrite=True)
        for method in ("shared", "window"):
            predictor = SlidingWindowPredictor(load_model(tmp_path / "model.skops"), method=method, step=3)
            m = predictor.predict_map(random_scene((50, 50), seed=1), tmp_path / "m.tif", overwrite=True)
            maps[prevalence, method] = m.probability.astype(np.float64)
    expected = expit(logit(maps[None, "window"]) + logit(0.02) - logit(0.5))
    for method in ("shared", "window"):
        np.testing.assert_allclose(maps[0.02, method], expected, rtol=2e-5)
    patches = np.random.RandomState(0).normal(size=(5, 9, 9, 3)).astype(np.float32)
    (onnx,) = OnnxNetwork(state_of(model[-1])).predict(np.moveaxis(patches, -1, 1))
    np.testing.assert_allclose(onnx, model[-1].predict_proba(patches), rtol=1e-5)


def test_one_fit_in_memory_serves_every_prevalence(tmp_path, monkeypatch):
    X, y = data()
    fitted = cnn(memory=str(tmp_path)).fit(X, y)
    monkeypatch.setattr(LandslideCNN, "_make", None)  # it would have to be called for another fit
    for prevalence in (0.1, 0.01):
        again = cnn(memory=str(tmp_path), prevalence=prevalence).fit(X, y)
        change = log_odds(again, X) - log_odds(fitted, X)
        np.testing.assert_allclose(change, logit(prevalence) - logit(0.5), atol=2e-6)


@pytest.mark.parametrize("prevalence", [0, 1, -0.1, "half"])
def test_what_is_no_share(prevalence):
    with pytest.raises(ValueError, match="'prevalence' parameter of LandslideCNN must be"):
        cnn(prevalence=prevalence).fit(*data())


def test_a_model_kept_by_the_version_before_has_none():
    X, y = data()
    state = cnn().fit(X, y).__getstate__()
    del state["prevalence"]
    old = LandslideCNN.__new__(LandslideCNN)
    old.__setstate__(state)
    assert old.get_params()["prevalence"] is None
    assert pickle.loads(pickle.dumps(old)).predict(X).shape == y.shape
