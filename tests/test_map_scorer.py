"""map_scorer: test samples count with the ground that they stand for."""

import pickle

import numpy as np
import pytest
from affine import Affine
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.metrics import average_precision_score, f1_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score

from sklandslide import Locations, PatchSizeDisplay, Scene, map_scorer
from sklandslide.plots.searches import score_label

SCENE = Scene.from_arrays({"Red": np.zeros((9, 9))}, transform=Affine(1, 0, 0, 0, -1, 9))


class ByX(ClassifierMixin, BaseEstimator):
    """Its probability is the x coordinate, or `1 - x`."""

    def __init__(self, turned=False):
        self.turned = turned

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        p = 1 - X[:, 0] if self.turned else X[:, 0]
        return np.stack([1 - p, p], axis=1)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def locations(x, area):
    return Locations(SCENE, np.stack([x, np.zeros(len(x))], axis=1), area)


def drawn(n=200, seed=0):
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return locations(np.clip(0.3 * y + 0.6 * random.random(n), 0, 1), np.where(y, 1.0, 19.0)), y


def test_by_hand():
    # from the highest: landslide of 1, other ground of 3, landslide of 2
    X, y = locations([0.9, 0.8, 0.7, 0.1], [1, 3, 2, 10]), np.array([1, 0, 1, 0])
    model = ByX().fit(X, y)
    assert map_scorer()(model, X, y) == pytest.approx(1 / 3 * 1 + 2 / 3 * 3 / 6)
    assert map_scorer("f1")(model, X, y) == pytest.approx(2 * 0.5 * 1 / 1.5)


def test_a_sample_of_much_ground_is_that_sample_many_times():
    X, y = drawn()
    model = ByX().fit(X, y)
    many = np.repeat(np.arange(len(y)), X.area.astype(int))
    p, truth = X[many][:, 0], y[many]
    assert map_scorer()(model, X, y) == pytest.approx(average_precision_score(truth, p))
    best = max(f1_score(truth, p >= t) for t in np.unique(p))
    assert map_scorer("f1")(model, X, y) == pytest.approx(best)


def test_balance_does_not_flatter():
    """Half as many samples of other ground, each for twice the ground, is the same score; accuracy is another."""
    X, y = drawn(4000)
    fewer = np.flatnonzero((y == 1) | (np.arange(len(y)) % 4 == 0))
    Z = locations(X[fewer][:, 0], X.area[fewer] * np.where(y[fewer], 1, 2))
    model = ByX().fit(X, y)
    for metric in ("average_precision", "f1"):
        assert map_scorer(metric)(model, Z, y[fewer]) == pytest.approx(map_scorer(metric)(model, X, y), abs=0.02)
    plain = average_precision_score(y, X[:, 0]), average_precision_score(y[fewer], Z[:, 0])
    assert plain[1] - plain[0] > 0.04


def test_a_search_takes_it():
    X, y = drawn()
    several = {"map": map_scorer("f1"), "accuracy": "accuracy"}
    for scoring, refit in ((map_scorer(), True), (several, "map")):
        search = GridSearchCV(ByX(), {"turned": [True, False]}, scoring=scoring, cv=KFold(3), refit=refit)
        assert search.fit(X, y).best_params_ == {"turned": False}
    again = clone(GridSearchCV(ByX(), {}, scoring=map_scorer("f1"))).scoring
    assert pickle.loads(pickle.dumps(again)) == again == map_scorer("f1") != map_scorer()
    assert len({again, map_scorer("f1"), map_scorer()}) == 2
    assert repr(again) == "map_scorer('f1')"
    folds = cross_val_score(ByX(), X, y, cv=KFold(3), scoring=map_scorer())
    assert folds[0] == map_scorer()(ByX().fit(X, y), X[:67], y[:67])


def test_words_are_labels_too():
    X, y = drawn()
    words = np.where(y == 1, "landslide", "forest")
    assert map_scorer()(ByX().fit(X, words), X, words) == map_scorer()(ByX().fit(X, y), X, y)


def test_a_display_names_it():
    assert score_label(map_scorer()) == "Average precision"
    assert PatchSizeDisplay(patch_sizes=[3], scores=[[1]], score_name=score_label("accuracy")).score_name == "Accuracy"


def test_what_it_needs():
    X, y = drawn()
    with pytest.raises(ValueError, match="metric='accuracy': choose one of"):
        map_scorer("accuracy")
    with pytest.raises(ValueError, match="X carries no area"):
        map_scorer()(ByX().fit(X, y), Locations(SCENE, X.xy), y)
    with pytest.raises(ValueError, match="None of the 100 test samples is a landslide"):
        map_scorer()(ByX().fit(X, y), X[y == 0], y[y == 0])
    with pytest.raises(ValueError, match=r"None of 1, True and 'landslide' is among the classes \[2, 3\]"):
        map_scorer()(DummyClassifier().fit(X, y + 2), X, y + 2)
