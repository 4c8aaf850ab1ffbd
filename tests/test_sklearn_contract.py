"""scikit-learn's contract: its estimator checks, and its tools on a whole pipeline on Locations."""

import pickle
import warnings

import numpy as np
import pytest
import verde
from affine import Affine
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
)

# ------------------------------------------------------------------------------------- scikit-learn's estimator checks

# X of two dimensions is patches of one pixel, so every check of a classifier runs. Large batches, a high learning rate
# and no dropout, because the checks train about eighty networks and some demand an accuracy of 0.83 on blobs.
CHECKED = LandslideCNN(
    filters=(4,),
    dense_units=16,
    dropout=0.0,
    input_size=2,
    learning_rate=0.03,
    batch_size=256,
    epochs=30,
    random_state=0,
)

EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": (
        "Repeating a sample and doubling its weight are not the same to a network, as they are not to scikit-learn's "
        "MLPClassifier: a step's loss is the mean over the samples of its batch, whose number repetition changes; the "
        "mean and variance that patches are normalised with count samples, not weights; and repeated samples make "
        "up other mini-batches."
    ),
}


_checks = parametrize_with_checks([CHECKED], expected_failed_checks=lambda estimator: EXPECTED_FAILURES).mark


# scikit-learn 1.7 hands pytest a generator, which pytest 9 deprecates: the same mark with a list.
@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), **_checks.kwargs)
def test_landslide_cnn_passes_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_checks_are_dozens():
    checks = list(estimator_checks.estimator_checks_generator(CHECKED))
    assert len(checks) >= 55
    names = {getattr(check, "func", check).__name__ for _, check in checks}
    assert set(EXPECTED_FAILURES) <= names  # no reason is left over from a check that is gone


# What scikit-learn can check without giving an estimator 2-D data. Its own list of checks gives nothing but
# check_estimator_cloneable for estimators that take Locations or patches, so these are named. None is expected to fail.
STRUCTURAL = [
    "check_estimator_cloneable",
    "check_estimator_tags_renamed",
    "check_valid_tag_types",
    "check_estimator_repr",
    "check_no_attributes_set_in_init",
    "check_mixin_order",
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_parameters_default_constructible",
    "check_get_params_invariance",
    "check_set_params",
]


@pytest.mark.parametrize("check", STRUCTURAL)
@pytest.mark.parametrize(
    "estimator",
    [BandStacker(), PatchSampler(), Augmenter(), SlidingWindowPredictor(DummyClassifier())],
    ids=lambda estimator: type(estimator).__name__,
)
def test_structural_checks(estimator, check):
    with warnings.catch_warnings():
        if isinstance(estimator, SlidingWindowPredictor):
            # Its `estimator` is required; scikit-learn's check says so and builds one itself.
            warnings.filterwarnings("ignore", category=estimator_checks.SkipTestWarning)
        getattr(estimator_checks, check)(type(estimator).__name__, estimator)


# ------------------------------------------------------------------------------------------------- a pipeline and data


def landslides(n=8, cell=9, seed=0):
    """A scene of n x n cells, a third of them landslides: brighter after the event, and nothing in the colours."""
    rng = np.random.default_rng(seed)
    side = n * cell
    y = (rng.permutation(n * n) < n * n // 3).astype(int)
    bright = np.kron(y.reshape(n, n), np.ones((cell, cell)))
    names = ("VV_before", "VV_after", "VV_after2", "Red", "Green", "Blue", "DEM")
    bands = {name: rng.normal(size=(side, side)) for name in names}
    bands["VV_after"] += bright
    bands["VV_after2"] += bright
    scene = Scene.from_arrays(
        bands,
        transform=Affine(10, 0, 5e5, 0, -10, 4.7e6),
        crs="EPSG:32654",
        units={name: "dB" for name in names if name.startswith("VV")},
    )
    row, col = np.mgrid[:n, :n].reshape(2, -1) * cell + cell / 2
    return Locations(scene, scene.grid.xy(row, col)), y


def cnn(**changes):
    defaults = {
        "filters": (4,),
        "dense_units": 8,
        "input_size": 8,
        "epochs": 10,
        "learning_rate": 0.03,
        "random_state": 0,
    }
    return LandslideCNN(**{**defaults, **changes})


def pipeline(composite="BAA", patch_size=7, **changes):
    return make_pipeline(
        BandStacker(composite), PatchSampler(patch_size=patch_size), Augmenter(rotation=10), cnn(**changes)
    )


@pytest.fixture(scope="module")
def data():
    return landslides()


@pytest.fixture(scope="module")
def fitted(data):
    return pipeline().fit(*data)


# ------------------------------------------------------------------------------------------- scikit-learn's tools on it


def test_the_pipeline_learns_and_holds_on_another_scene(fitted, data):
    assert fitted.score(*data) > 0.95
    assert fitted.score(*landslides(seed=1)) > 0.9


def test_an_integer_cv_gives_stratified_folds(data):
    X, y = data
    order = np.argsort(y, kind="stable")  # sorted by class: unstratified folds would lack one
    X, y = X[order], y[order]
    pipe = pipeline()
    assert is_classifier(pipe) and is_classifier(cnn())
    out = cross_validate(pipe, X, y, cv=3, return_indices=True, error_score="raise")
    for part in ("train", "test"):
        for rows in out["indices"][part]:
            assert y[rows].mean() == pytest.approx(y.mean(), abs=0.05)
    assert out["test_score"].mean() > 0.9
    np.testing.assert_array_equal(cross_val_score(pipe, X, y, cv=3), out["test_score"])


def test_calibration(data):
    X, y = data
    calibrated = CalibratedClassifierCV(pipeline(), method="sigmoid", cv=3).fit(X, y)
    probabilities = calibrated.predict_proba(X)
    assert probabilities.shape == (64, 2)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert calibrated.score(X, y) > 0.9
    # Three networks were trained, on other samples each.
    networks = [c.estimator[-1] for c in calibrated.calibrated_classifiers_]
    means = {float(n.model_.get_layer("normalise").mean.numpy().ravel()[0]) for n in networks}
    assert len(networks) == len(means) == 3
    # A sigmoid of the pipelines' probabilities, not these themselves.
    raw = np.mean([c.estimator.predict_proba(X) for c in calibrated.calibrated_classifiers_], axis=0)
    assert np.abs(probabilities - raw).max() > 0.005


def test_threshold_tuning(data):
    X, y = data
    tuned = TunedThresholdClassifierCV(pipeline(epochs=4), scoring="balanced_accuracy", cv=3, thresholds=50).fit(X, y)
    assert 0 < tuned.best_threshold_ < 1
    assert tuned.best_score_ > 0.8
    probabilities = tuned.predict_proba(X)[:, 1]
    np.testing.assert_array_equal(tuned.predict(X), (probabilities >= tuned.best_threshold_).astype(int))
    assert balanced_accuracy_score(y, tuned.predict(X)) > 0.9


def test_stacking_of_composites_and_patch_sizes(data):
    X, y = data
    members = [("radar", pipeline("BAA", 7)), ("colour", pipeline("RGB", 5, input_size=None, epochs=4))]
    stack = StackingClassifier(members, final_estimator=LogisticRegression(), cv=3).fit(X, y)
    columns = stack.transform(X)
    assert columns.shape == (64, 2)
    for column, member in zip(columns.T, stack.estimators_, strict=True):
        np.testing.assert_array_equal(column, member.predict_proba(X)[:, 1])
    assert [member[1].patch_size for member in stack.estimators_] == [7, 5]
    probabilities = stack.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert stack.score(X, y) > 0.9
    # The colours tell nothing here, and out of fold the final estimator sees that.
    radar, colour = stack.final_estimator_.coef_[0]
    assert radar > 3 * abs(colour)


def test_clone_keeps_parameters_and_forgets_the_rest(fitted):
    copied = clone(fitted)
    assert [name for name, _ in copied.steps] == [name for name, _ in fitted.steps]
    for step, original in zip(copied, fitted, strict=True):
        assert step is not original
        assert step.get_params() == original.get_params()
        assert not [name for name in vars(step) if name.endswith("_")]
        assert [name for name in vars(original) if name.endswith("_")]


def test_set_params_reaches_the_steps(data):
    pipe = pipeline()
    pipe.set_params(
        bandstacker__composite="RGB",
        patchsampler__patch_size=5,
        augmenter__flip=None,
        landslidecnn__epochs=1,
        landslidecnn__filters=(3, 2),
    )
    params = pipe.get_params()
    assert params["landslidecnn__filters"] == (3, 2) and params["augmenter__flip"] is None
    pipe.fit(*data)
    assert pipe[0].bands_ == ("Red", "Green", "Blue")
    assert pipe[-1].patch_shape_ == (5, 5, 3) and pipe[-1].n_iter_ == 1
    assert pipe[-1].model_.get_layer("convolution_2").filters == 2
    with pytest.raises(ValueError, match="Invalid parameter 'size' for estimator PatchSampler"):
        pipe.set_params(patchsampler__size=5)


def test_sample_weight_reaches_the_network(data):
    X, y = data
    weighted = pipeline(epochs=1).fit(X, y, landslidecnn__sample_weight=np.where(y == 1, 5.0, 1.0))
    by_class = pipeline(epochs=1, class_weight={1: 5.0}).fit(X, y)
    np.testing.assert_array_equal(weighted.predict_proba(X), by_class.predict_proba(X))
    assert np.abs(weighted.predict_proba(X) - pipeline(epochs=1).fit(X, y).predict_proba(X)).max() > 1e-3


def test_a_pickled_pipeline_is_small_and_predicts_the_same(fitted, data):
    X, _ = data
    with warnings.catch_warnings():
        # Keras reads TensorFlow variables with np.array(variable) when it saves them; NumPy 2 warns of it.
        warnings.filterwarnings("ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning)
        state = pickle.dumps(fitted)
    assert len(state) < 100_000  # the scene alone has 72 x 72 x 7 values of 8 bytes
    np.testing.assert_array_equal(pickle.loads(state).predict_proba(X), fitted.predict_proba(X))


# --------------------------------------------------------------------------------------------------- verde's BlockKFold


def test_verdes_blocks_as_cv(data):
    X, y = data
    blocks = verde.BlockKFold(spacing=180, n_splits=3, shuffle=True, random_state=0)
    _, block = verde.block_split((X[:, 0], X[:, 1]), spacing=180)
    assert len(np.unique(block)) >= 9
    tested = []
    for train, test in blocks.split(X, y):
        assert not set(block[train]) & set(block[test])
        tested.extend(test)
    np.testing.assert_array_equal(np.sort(tested), np.arange(64))
    scores = cross_val_score(pipeline(), X, y, cv=blocks, error_score="raise")
    assert scores.shape == (3,) and scores.mean() > 0.9


# ------------------------------------------------------------------------------------------------------- a grid search


@pytest.mark.slow
def test_a_parallel_grid_search_finds_the_planted_optimum(data):
    X, y = data
    grid = {
        "bandstacker__composite": ["RGB", "BAA"],  # only radar tells
        "landslidecnn__learning_rate": [1e-7, 0.03],  # the first learns nothing
    }
    search = GridSearchCV(pipeline(), grid, cv=2, scoring="roc_auc", n_jobs=2, error_score="raise").fit(X, y)
    assert search.best_params_ == {"bandstacker__composite": "BAA", "landslidecnn__learning_rate": 0.03}
    assert search.best_score_ > 0.95
    assert search.best_estimator_[-1].patch_shape_ == (7, 7, 3)
    # Another process gives what this one gives.
    alone = cross_val_score(clone(search.best_estimator_), X, y, cv=2, scoring="roc_auc")
    at_best = [search.cv_results_[f"split{i}_test_score"][search.best_index_] for i in range(2)]
    np.testing.assert_allclose(alone, at_best, atol=1e-6)
    assert search.score(*landslides(seed=1)) > 0.95
