"""Callbacks of scikit-learn 1.9 hear of candidates, folds and epochs, and change nothing; before 1.9 there are none."""

import pickle
import runpy
import sys

import numpy as np
import pytest
import sklearn
from fitting import some_locations
from packaging.version import Version
from scenes import random_scene
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import Augmenter, BandStacker, LandslideCNN, LocalChange, PatchSampler, load_model, save_model
from sklandslide.features import callbacks
from sklandslide.mapping.workers import digest_of

OPTIONS = {"filters": (2,), "dense_units": 4, "input_size": None, "random_state": 0}
there_are_callbacks = pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.9"), reason="callbacks came with scikit-learn 1.9"
)


def patches(n=40):
    y = np.arange(n) % 2
    X = np.random.RandomState(0).normal(size=(n, 6, 6, 2)) + y[:, None, None, None] / 2
    return X.astype("float32"), np.array(["forest", "landslide"])[y]


def same_network(one, other):
    return all(map(np.array_equal, one.model_.get_weights(), other.model_.get_weights()))


class Listener:
    """A callback that notes the tasks that end, and asks for an end after some epochs."""

    def __init__(self, enough=None):
        self.heard, self.enough = [], enough

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.heard.append(context.task_name)
        return context.task_name == "epoch" and context.task_id + 1 == self.enough


@there_are_callbacks
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_search_shows_candidates_folds_and_epochs(n_jobs, capsys, monkeypatch):
    from sklearn.callback import ProgressBar

    monkeypatch.setenv("COLUMNS", "200")
    X, y = some_locations(random_scene((40, 40)), 24, 7)
    pipe = make_pipeline(
        BandStacker(["Red"]), PatchSampler(patch_size=5), Augmenter(), LandslideCNN(**OPTIONS, epochs=2)
    )
    grid = {"patchsampler__patch_size": [5, 7]}
    plain = GridSearchCV(pipe, grid, cv=3).fit(X, y)
    search = GridSearchCV(pipe, grid, cv=3, n_jobs=n_jobs).set_callbacks(ProgressBar(max_propagation_depth=2))
    search.fit(X, y)
    bars = capsys.readouterr().out.splitlines()
    fits = [bar for bar in bars if "candidate-split-evaluation | Pipeline - fit" in bar]
    epochs = [bar for bar in bars if "fit-final-estimator | LandslideCNN - epochs" in bar]
    assert (len(fits), len(epochs)) == (6, 7)  # two candidates, three folds, and the best again
    assert all("100%" in bar for bar in bars if bar)
    assert same_network(search.best_estimator_[-1], plain.best_estimator_[-1])
    assert (search.cv_results_["mean_test_score"] == plain.cv_results_["mean_test_score"]).all()


@there_are_callbacks
@pytest.mark.parametrize("options", [{}, {"prevalence": 0.05}])
def test_a_monitor_sees_the_classifier_as_if_training_had_ended_with_the_epoch(options):
    from sklearn.callback import ScoringMonitor

    X, y = patches()
    weights = np.linspace(0.5, 1.5, len(y))
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    cnn = LandslideCNN(**OPTIONS, **options, epochs=3).set_callbacks(monitor)
    for _ in range(2):  # a fitted one again
        cnn.fit(Augmenter().fit_transform(X), y, sample_weight=weights)
        log = monitor.get_logs().data
        epochs = [row for row in log if row["task_name"] == "epoch"]
        assert len(epochs) == 3
        for row in epochs:
            shorter = LandslideCNN(**OPTIONS, **options, epochs=row["task_id"] + 1)
            shorter.fit(Augmenter().fit_transform(X), y, sample_weight=weights)
            right = shorter.predict(X) == y
            assert row["accuracy"] == pytest.approx(np.average(right, weights=weights))
            given = shorter.predict_proba(X)[np.arange(len(y)), (y == "landslide").astype(int)]
            assert row["neg_log_loss"] == pytest.approx(np.average(np.log(given), weights=weights), rel=1e-5)
        assert log[0] == {**log[-1], **{name: log[0][name] for name in log[0] if name.startswith(("task", "parent"))}}
    assert same_network(cnn, shorter)


@there_are_callbacks
def test_a_callback_can_end_the_training():
    X, y = patches()
    listener = Listener(enough=2)
    cnn = LandslideCNN(**OPTIONS, epochs=5).set_callbacks(listener).fit(X, y)
    assert listener.heard == ["setup", "epoch", "epoch", "epochs", "teardown"]
    assert cnn.n_iter_ == 2
    assert same_network(cnn, LandslideCNN(**OPTIONS, epochs=2).fit(X, y))


@there_are_callbacks
def test_early_stopping_is_the_same_with_a_monitor():
    from sklearn.callback import ScoringMonitor

    X, y = patches()
    stopping = LandslideCNN(**OPTIONS, epochs=8, learning_rate=0.1, early_stopping=True, n_iter_no_change=1)
    heard = clone(stopping).set_callbacks(ScoringMonitor(scoring="accuracy"), Listener()).fit(X, y)
    assert same_network(heard, stopping.fit(X, y))
    assert heard.history_ == stopping.history_


@there_are_callbacks
def test_a_fit_from_the_memory_has_no_epochs(tmp_path):
    X, y = patches()
    listener = Listener()
    cnn = LandslideCNN(**OPTIONS, epochs=2, memory=str(tmp_path)).set_callbacks(listener)
    made, recalled = cnn.fit(X, y).history_, cnn.fit(X, y).history_
    assert made == recalled
    assert listener.heard == ["setup", "epoch", "epoch", "epochs", "teardown", "setup", "epochs", "teardown"]


@there_are_callbacks
def test_steps_before_the_network_are_tasks_too():
    scene = random_scene((40, 40))
    X, y = some_locations(scene, 8, 7)
    for step in (BandStacker(["Red"]), PatchSampler(patch_size=7)):
        listener = Listener()
        step.set_callbacks(listener)
        made = [step.fit(X, y).transform(X), step.fit_transform(X, y)]
        assert np.array_equal(*map(np.asarray, made))
        assert listener.heard == 2 * ["setup", "fit", "teardown"]
    for step in (Augmenter(), LocalChange(3)):
        listener = Listener()
        step.set_callbacks(listener).fit_transform(made[1])
        assert listener.heard == ["setup", "fit", "teardown"]


@there_are_callbacks
def test_models_with_callbacks_are_cloned_pickled_and_saved(tmp_path):
    from sklearn.callback import ProgressBar, ScoringMonitor

    X, y = patches()
    pipe = make_pipeline(Augmenter(), LandslideCNN(**OPTIONS, epochs=1))
    without = clone(pipe).fit(X, y)
    monitor = ScoringMonitor(scoring="accuracy")
    pipe[-1].set_callbacks(monitor)
    pipe.set_callbacks(ProgressBar())
    again = clone(pipe.fit(X, y)).fit(X, y)
    assert len(monitor.get_logs(select="all")) == 2
    saved = load_model(save_model(pipe, tmp_path / "model.skops"))
    for other in (again, pickle.loads(pickle.dumps(pipe)), saved):
        assert same_network(other[-1], pipe[-1])
    assert not hasattr(saved[-1], "_skl_callbacks")
    assert pipe[-1]._skl_callbacks == [monitor]
    assert digest_of(pipe) == digest_of(without) == digest_of(again)  # so that a map goes on


def test_before_scikit_learn_1_9_there_are_no_callbacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    older = runpy.run_path(callbacks.__file__)

    class Step(older["CallbackSupportMixin"], BaseEstimator):
        @older["with_callbacks"]
        @older["one_task"]
        def fit(self, X, y=None):
            self.fitted_ = X
            return self

    assert Step().fit(3).fitted_ == 3
    assert not hasattr(Step(), "set_callbacks")
    assert hasattr(LandslideCNN(), "set_callbacks") == (Version(sklearn.__version__) >= Version("1.9"))
