"""PatchSizeDisplay: the curve shows what the search found, and refuses what would mislead."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from affine import Affine
from scenes import random_scene
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, Locations, PatchSampler, PatchSizeDisplay, SpatialBlockKFold

SIZES = [3, 7, 11]
SCORES = [[0.70, 0.74, 0.72], [0.83, 0.88, 0.84], [0.83, 0.89, 0.85]]


class Threshold(ClassifierMixin, BaseEstimator):
    """Landslide where the mean of a patch is over `level`."""

    def __init__(self, level=0.0):
        self.level = level

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return (X.mean(axis=(1, 2, 3)) > self.level).astype(int)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def samples():
    """Noise whose class is the mean of its 7 x 7 patch: that size, and level 0, classify without error."""
    scene = random_scene(shape=(120, 150), bands=("Red",))
    rows, cols = (a.ravel() for a in np.mgrid[10:110:7, 10:140:7])
    X = Locations(scene, scene.grid.xy(rows + 0.5, cols + 0.5))
    y = Threshold().predict(PatchSampler(7).fit_transform(X))
    return X, y


@pytest.fixture
def pipe():
    return make_pipeline(BandStacker(["Red"]), PatchSampler(), Threshold())


def folds(X, largest=SIZES[-1]):
    return SpatialBlockKFold(3, block_size=200, buffer=X.patch_extent(largest), random_state=0)


def test_from_estimator_has_the_scores_of_cross_validation(samples, pipe):
    X, y = samples
    display = PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=[11, 3, 7], cv=folds(X))
    assert display.patch_sizes.tolist() == SIZES
    for size, scores in zip(SIZES, display.scores, strict=True):
        alone = cross_val_score(pipe.set_params(patchsampler__patch_size=size), X, y, cv=folds(X))
        np.testing.assert_array_equal(scores, alone)
    assert display.best_patch_size_ == 7
    assert (display.scores[1] == 1).all()
    assert not hasattr(pipe, "classes_")
    assert display.line_.get_xdata().tolist() == SIZES
    np.testing.assert_allclose(display.line_.get_ydata(), display.scores.mean(axis=1))
    np.testing.assert_allclose(display.points_.get_offsets()[3:6], [[7, 1]] * 3)


def test_default_folds_keep_the_largest_patch_apart(samples, pipe, monkeypatch):
    X, y = samples
    seen = []

    def fit(self, *args, **kwargs):
        seen.append(self.cv)
        return original(self, *args, **kwargs)

    original = GridSearchCV.fit
    monkeypatch.setattr(GridSearchCV, "fit", fit)
    display = PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=SIZES)
    assert display.scores.shape == (3, 3)
    for train, test in seen[0].split(X, y):
        gap = np.abs(X.xy[train][:, None] - X.xy[test]).max(axis=-1).min()
        assert gap >= 10 * max(SIZES)


def test_folds_that_let_the_largest_patch_overlap_are_refused(samples, pipe):
    X, y = samples
    with pytest.raises(ValueError, match=r"patch of 11 pixels, the largest.*buffer=X\.patch_extent\(11\)"):
        PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=SIZES, cv=folds(X, largest=7))
    PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=[3, 7], cv=folds(X, largest=7))
    random = KFold(3, shuffle=True, random_state=0)  # which makes no promise
    assert PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=SIZES, cv=random).best_patch_size_ == 7


def test_from_search_takes_the_best_over_other_parameters(samples, pipe):
    X, y = samples
    grid = {"patchsampler__patch_size": SIZES, "threshold__level": [-0.2, 0.0, 0.3]}
    search = GridSearchCV(pipe, grid, cv=folds(X), refit=False).fit(X, y)
    display = PatchSizeDisplay.from_search(search, X)
    table = search.cv_results_
    for i, size in enumerate(SIZES):
        of_size = table["param_patchsampler__patch_size"] == size
        assert display.scores[i].mean() == pytest.approx(table["mean_test_score"][of_size].max())
    assert display.params[1] == {"threshold__level": 0.0}
    assert display.best_patch_size_ == search.best_params_["patchsampler__patch_size"] == 7
    within = PatchSizeDisplay.from_estimator(
        pipe, X, y, patch_sizes=SIZES, param_grid={"threshold__level": [-0.2, 0.0, 0.3]}, cv=folds(X)
    )
    np.testing.assert_array_equal(within.scores, display.scores)


def test_nested_search_and_named_parameter(samples, pipe):
    X, y = samples
    nested = GridSearchCV(pipe, {"threshold__level": [0.0, 0.3]}, cv=KFold(2))
    assert PatchSizeDisplay.from_estimator(nested, X, y, patch_sizes=SIZES).best_patch_size_ == 7
    two = make_pipeline(BandStacker(["Red"]), PatchSampler(), PatchSampler(), Threshold())
    with pytest.raises(ValueError, match=r"2 PatchSampler steps \(patchsampler-1, patchsampler-2\)"):
        PatchSizeDisplay.from_estimator(two, X, y, patch_sizes=SIZES)
    with pytest.raises(ValueError, match="0 PatchSampler steps"):
        PatchSizeDisplay.from_estimator(Threshold(), X, y, patch_sizes=SIZES)
    named = PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=[7], param_name="patchsampler__patch_size")
    assert named.best_patch_size_ == 7


@pytest.mark.parametrize(
    ("scoring", "label"),
    [
        (None, "Accuracy"),
        ("balanced_accuracy", "Balanced accuracy"),
        ("neg_brier_score", "Negative brier score"),
        (make_scorer(f1_score), "F1 score"),
    ],
)
def test_label_of_the_score(pipe, scoring, label):
    display = PatchSizeDisplay.from_search(fitted(pipe, scoring=scoring))
    assert display.score_name == display.ax_.get_ylabel() == label
    assert display.plot(score_name="Mine").ax_.get_ylabel() == "Mine"


def test_search_with_several_scores(samples, pipe):
    X, y = samples
    grid = {"patchsampler__patch_size": SIZES}
    search = GridSearchCV(pipe, grid, scoring=["f1", "recall"], refit="recall", cv=folds(X)).fit(X, y)
    assert PatchSizeDisplay.from_search(search).score_name == "Recall"
    display = PatchSizeDisplay.from_search(search, metric="f1")
    assert display.score_name == "F1"
    np.testing.assert_allclose(display.scores.mean(axis=1), search.cv_results_["mean_test_f1"])
    search.refit = False
    with pytest.raises(ValueError, match="no score 'score'; it has f1, recall"):
        PatchSizeDisplay.from_search(search)


def table_of(sizes, name="patchsampler__patch_size", **extra):
    return {
        "params": [{name: s} for s in sizes],
        "split0_test_score": np.linspace(0.5, 0.7, len(sizes)),
        "split1_test_score": np.linspace(0.6, 0.7, len(sizes)),
        **extra,
    }


def fitted(estimator, **options):
    """A search that has results without having been run."""
    search = GridSearchCV(estimator, {}, **options)
    search.cv_results_ = table_of(SIZES)
    return search


def test_searches_that_cannot_be_shown(pipe):
    with pytest.raises(ValueError, match="is not fitted yet"):
        PatchSizeDisplay.from_search(GridSearchCV(pipe, {}))
    with pytest.raises(ValueError, match="The search went over landslidecnn__epochs;"):
        PatchSizeDisplay.from_cv_results(table_of(SIZES, "landslidecnn__epochs"))
    with pytest.raises(ValueError, match="successive halving"):
        PatchSizeDisplay.from_cv_results(table_of(SIZES, n_resources=[9, 9, 9]))
    assert PatchSizeDisplay.from_cv_results(table_of(SIZES, "size"), param_name="size").best_patch_size_ == 11
    missing = table_of(SIZES)
    missing["params"][1] = {"other": 1}
    with pytest.raises(ValueError, match="one parameter of all its candidates"):
        PatchSizeDisplay.from_cv_results(missing)


def test_choice_by_one_standard_error():
    order = [2, 0, 1]  # sizes are put in order, with what belongs to them
    display = PatchSizeDisplay(
        patch_sizes=[SIZES[i] for i in order], scores=[SCORES[i] for i in order], params=[{"a": i} for i in order]
    )
    assert display.patch_sizes.tolist() == SIZES
    assert [p["a"] for p in display.params] == [0, 1, 2]
    np.testing.assert_array_equal(display.scores, SCORES)
    best = np.array(SCORES[2])
    error = best.std(ddof=1) / np.sqrt(3)
    assert best.mean() - np.mean(SCORES[1]) < error < best.mean() - np.mean(SCORES[0])
    assert (display.best_patch_size_, display.one_standard_error_patch_size_) == (11, 7)
    one_fold = PatchSizeDisplay(patch_sizes=SIZES, scores=[[0.5], [0.7], [0.7]])
    assert (one_fold.best_patch_size_, one_fold.one_standard_error_patch_size_) == (7, 7)


def test_failed_fits_are_not_chosen():
    scores = np.array(SCORES)
    scores[2, 1] = np.nan
    display = PatchSizeDisplay(patch_sizes=SIZES, scores=scores).plot()
    assert display.best_patch_size_ == 7
    with pytest.raises(ValueError, match="no fit succeeded on all folds"):
        PatchSizeDisplay(patch_sizes=SIZES, scores=np.full((3, 2), np.nan))
    candidates = table_of([3, 7, 7])
    candidates["split0_test_score"][2] = np.nan
    assert not np.isnan(PatchSizeDisplay.from_cv_results(candidates).scores).any()


def test_data_that_do_not_fit():
    for sizes, scores in (([3, 7], SCORES), (SIZES, [0.1, 0.2, 0.3])):
        with pytest.raises(ValueError, match="give n_sizes sizes"):
            PatchSizeDisplay(patch_sizes=sizes, scores=scores)


def test_spread_and_marks():
    display = PatchSizeDisplay(patch_sizes=SIZES, scores=SCORES, score_name="Accuracy")
    assert not hasattr(display, "ax_")
    assert display.plot() is display
    (bars,) = display.errorbar_[2]
    low, high = np.array([segment[:, 1] for segment in bars.get_segments()]).T
    np.testing.assert_allclose((high - low) / 2, np.std(SCORES, axis=1))
    assert display.fill_between_ is None
    assert {name: mark.get_xdata()[0] for name, mark in display.markers_.items()} == {
        "best": 11, "one_standard_error": 7,
    }  # fmt: skip
    texts = [t.get_text() for t in display.ax_.get_legend().get_texts()]
    assert texts == [
        "mean of 3 folds, with standard deviation",
        "each fold",
        "highest mean: 11 pixels",
        "smallest within one standard error: 7 pixels",
    ]
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_xlabel() == "Patch size (pixels a side)"
    band = display.plot(std_display_style="fill_between", folds=False, mark=False)
    assert (band.errorbar_, band.points_, band.markers_) == (None, None, {})
    np.testing.assert_allclose(band.fill_between_.get_datalim(band.ax_.transData).ymax, 0.8567 + 0.0249, atol=1e-3)
    with pytest.raises(ValueError, match="std_display_style='bars'"):
        display.plot(std_display_style="bars")


def labels(axes):
    axes.figure.canvas.draw()
    return [t.get_text() for t in axes.get_xticklabels()]


def test_metres_axis():
    display = PatchSizeDisplay(patch_sizes=SIZES, scores=SCORES, pixel_size=(10.0, 10.004)).plot()
    assert labels(display.metres_axis_) == ["30", "70", "110"]
    assert labels(display.ax_) == ["3", "7", "11"]
    display = PatchSizeDisplay(patch_sizes=[25], scores=[[0.9, 0.8]], pixel_size=(5.0, 16.8)).plot()
    assert labels(display.metres_axis_) == ["125 x 420"]  # section 3.1 of the paper
    assert PatchSizeDisplay(patch_sizes=SIZES, scores=SCORES).plot().metres_axis_ is None


@pytest.mark.parametrize(
    ("transform", "crs", "metres"),
    [
        (Affine(10, 0, 500_000, 0, -20, 4_700_000), "EPSG:32654", (10, 20)),
        (Affine(1e-3, 0, 10, 0, -1e-3, 60.0), "EPSG:4326", (55.8, 111.4)),
        (Affine(10, 0, 0, 0, -10, 0), None, None),
    ],
)
def test_metres_come_from_the_scene(transform, crs, metres):
    scene = random_scene(transform=transform, crs=crs)
    X = Locations(scene, scene.grid.xy([30], [30]))
    size = PatchSizeDisplay.from_search(fitted(PatchSampler()), X).pixel_size
    assert (size is None) if metres is None else size == pytest.approx(metres, rel=2e-3)


def test_scenes_of_different_pixels_have_no_metres():
    scenes = [random_scene(transform=Affine(p, 0, 0, 0, -p, 0), crs="EPSG:32654", seed=p) for p in (10, 20)]
    X = Locations.concatenate([Locations(s, s.grid.xy([30], [30])) for s in scenes])
    assert PatchSizeDisplay.from_search(fitted(PatchSampler()), X).pixel_size is None
    assert PatchSizeDisplay.from_search(fitted(PatchSampler()), X[:1]).pixel_size is not None


def test_two_displays_on_the_same_axes():
    first = PatchSizeDisplay(patch_sizes=SIZES, scores=SCORES, pixel_size=(10, 10))
    second = PatchSizeDisplay(patch_sizes=[7, 15], scores=SCORES[:2], pixel_size=(10, 10))
    first.plot(line_kw={"label": "BAA"})
    second.plot(first.ax_, line_kw={"label": "RGB"})
    assert first.ax_ is second.ax_
    assert first.metres_axis_ is second.metres_axis_
    assert labels(first.metres_axis_) == ["30", "70", "110", "150"]
    assert first.line_.get_color() != second.line_.get_color()
    assert second.markers_["best"].get_color() == second.line_.get_color()
