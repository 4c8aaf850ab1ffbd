"""Pictures of scenes, samples, folds, training and errors show what is there; in notebooks too, whatever the names."""

import base64
import io
import re
import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from affine import Affine
from scenes import UTM, random_scene
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import (
    BandStacker,
    FoldsDisplay,
    HistoryDisplay,
    Locations,
    PatchesDisplay,
    PatchSampler,
    Scene,
    SpatialBlockKFold,
)
from sklandslide.exceptions import BandError, SceneError


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def radar():
    """Two dates whose levels differ, in linear power, and heights."""
    random = np.random.RandomState(0)
    power = {name: level * random.gamma(4, 0.25, (40, 50)) for name, level in (("VV_before", 0.1), ("VV_after", 0.2))}
    arrays = {**power, "DEM": random.normal(size=(40, 50))}
    return Scene.from_arrays(
        arrays, transform=UTM, crs="EPSG:32654", units={"VV_before": "linear", "VV_after": "linear"}
    )


@pytest.fixture
def samples():
    scene = random_scene()
    X = Locations(scene, scene.grid.xy(*np.random.RandomState(0).uniform(10, 50, (2, 60))))
    return X, np.arange(60) % 2


def places(points):
    return points.get_offsets().tolist()


class TestScene:
    def test_a_band_is_drawn_in_its_values_radar_in_db(self, radar):
        ax = radar.plot("VV_before")
        np.testing.assert_allclose(ax.images[0].get_array(), 10 * np.log10(radar.read("VV_before")[..., 0]), rtol=1e-6)
        assert ax.get_title() == "VV_before"
        assert ax.child_axes[0].get_ylabel() == "dB"
        left, bottom, right, top = radar.grid.bounds
        assert (*ax.get_xlim(), *ax.get_ylim()) == (left, right, bottom, top)

    def test_dates_of_a_polarisation_share_a_range_and_one_bar(self, radar):
        first, second, change, heights = radar.plot("VV_before", "VV_after", ["VV_after - VV_before"], "DEM")
        assert first.images[0].get_clim() == second.images[0].get_clim()
        low, high = first.images[0].get_clim()
        both = (
            radar.plot(["VV_before"]).images[0].get_array().mean(),
            radar.plot("VV_after").images[0].get_array().mean(),
        )
        assert low < both[0] < both[1] < high
        assert change.images[0].get_clim() != (low, high)
        assert [len(ax.child_axes) for ax in (first, second, change, heights)] == [0, 1, 1, 1]

    def test_three_bands_are_colours(self):
        scene = random_scene()
        ax = scene.plot()
        image = ax.images[0].get_array()
        assert image.shape == (*scene.grid.shape, 4)
        values = scene.read()
        low, high = np.percentile(values[..., 1], (2, 98))
        np.testing.assert_allclose(image[..., 1], np.clip((values[..., 1] - low) / (high - low), 0, 1), atol=1e-6)
        assert ax.get_title() == "R: Red, G: Green, B: Blue"
        assert scene.plot("RGB").get_title() == ax.get_title()

    def test_what_there_is_is_drawn(self, radar):
        assert radar.plot().get_title() == "hillshade"
        assert random_scene(bands=("Slope",)).plot().get_title() == "Slope"

    def test_axes_are_those_given(self, radar):
        _, axes = plt.subplots(1, 2)
        drawn = radar.plot("VV_before", "VV_after", ax=axes)
        assert list(drawn) == list(axes)
        assert radar.plot("DEM", ax=axes[0]) is axes[0]
        with pytest.raises(ValueError, match="ax has 2 axes for 3 panels"):
            radar.plot("VV_before", "VV_after", "DEM", ax=axes)

    def test_bands_that_make_no_picture_are_refused(self, radar):
        with pytest.raises(BandError, match="has 2 bands"):
            radar.plot(["VV_before", "VV_after"])
        with pytest.raises(BandError, match="There is no composite 'VH_before'"):
            radar.plot("VV_before", "VH_before")

    def test_constant_bands_nodata_and_no_crs_are_drawn(self):
        arrays = {"Red": np.full((9, 9), 3.0), "Green": np.full((9, 9), np.nan)}
        scene = Scene.from_arrays(arrays, transform=Affine(1, 0, 0, 0, -1, 9))
        for ax in scene.plot("Red", "Green"):
            ax.figure.canvas.draw()
            assert not ax.child_axes  # no range, no bar


class TestLocations:
    def test_samples_lie_where_they_are_by_class(self, samples):
        X, y = samples
        ax = X.plot(y)
        assert [points.get_label() for points in ax.collections] == ["class 0 (30)", "class 1 (30)"]
        for label, points in enumerate(ax.collections):
            assert places(points) == X.xy[y == label].tolist()
        assert len({tuple(points.get_facecolor()[0]) for points in ax.collections}) == 2
        assert [points.get_label() for points in X.plot().collections] == ["samples (60)"]

    def test_patches_are_outlined_where_they_are_read(self, samples):
        X, _ = samples
        ax = X[:1].plot(patch_size=5)
        squares = next(c for c in ax.collections if c.get_label() == "_patches")
        row, col = X.scenes[0].grid.window_origins(X.xy[:1], 5)[0]
        corners = squares.get_paths()[0].vertices
        np.testing.assert_allclose(corners.min(axis=0), X.scenes[0].grid.xy(row + 5, col))
        np.testing.assert_allclose(corners.max(axis=0), X.scenes[0].grid.xy(row, col + 5))

    def test_each_scene_has_a_panel(self, samples):
        X, y = samples
        other = random_scene(seed=1)
        both = Locations.concatenate([X, Locations(other, X.xy[:10])])
        axes = both.plot(np.append(y, y[:10]))
        assert [sum(len(places(points)) for points in ax.collections) for ax in axes] == [60, 10]
        assert both[:60].plot(y).collections  # a single panel, as the others hold no sample

    def test_behind_a_band_stacker_the_view_is_drawn(self, samples):
        X, y = samples
        view = BandStacker(["Red - Green"]).fit_transform(X)
        assert view.plot(y).get_title() == "Red - Green"

    def test_classes_of_another_number_are_refused(self, samples):
        with pytest.raises(ValueError, match=r"y has shape \(3,\) and X 60 rows"):
            samples[0].plot([0, 1, 1])


class TestFolds:
    def test_samples_are_told_apart_by_the_fold_that_tests_them(self, samples):
        X, y = samples
        cv = SpatialBlockKFold(3, block_size=100, buffer=50, random_state=0)
        display = FoldsDisplay.from_cv(cv, X, y)
        for fold, (_, test) in enumerate(cv.split(X, y)):
            assert places(display.points_[f"test in fold {fold}"]) == X.xy[test].tolist()
        assert display.ax_.figure is display.figure_

    def test_of_one_fold_training_test_and_left_out(self, samples):
        X, y = samples
        cv = SpatialBlockKFold(3, block_size=100, buffer=50, random_state=0)
        _, ax = plt.subplots()
        display = FoldsDisplay.from_cv(cv, X, y, ax=ax, fold=1, bands="Red")
        train, test = list(cv.split(X, y))[1]
        left_out = np.setdiff1d(np.arange(60), [*train, *test])
        for name, rows in (("training", train), ("test", test), ("left out", left_out)):
            assert sorted(places(display.points_[name])) == sorted(X.xy[rows].tolist())
        assert len(left_out) > 0
        assert display.ax_ is ax
        assert len(ax.images) == 1
        with pytest.raises(ValueError, match="fold=3: there are 3 folds"):
            display.plot(fold=3)

    def test_folds_that_leave_samples_untested_and_many_folds(self, samples):
        X, _ = samples
        display = FoldsDisplay.from_cv(ShuffleSplit(1, test_size=0.25, random_state=0), X)
        assert [len(places(points)) for points in display.points_.values()] == [15, 45]
        assert "never tested" in display.points_
        many = FoldsDisplay.from_cv(KFold(12), X)
        assert len({tuple(points.get_facecolor()[0]) for points in many.points_.values()}) == 12

    def test_of_several_scenes_one_is_drawn(self, samples):
        X, _ = samples
        both = Locations.concatenate([X, Locations(random_scene(seed=1), X.xy[:10])])
        display = FoldsDisplay.from_cv(KFold(2), both, scene=1)
        assert sum(len(places(points)) for points in display.points_.values()) == 10


class TestHistory:
    history = {"loss": [0.7, 0.5, 0.4], "accuracy": [0.5, 0.6, 0.7], "val_loss": [0.7, 0.5, 0.6]}
    history["val_accuracy"] = [0.5, 0.6, 0.8]

    def test_curves_are_the_history_and_the_best_epoch_that_of_the_loss(self):
        display = HistoryDisplay(history=self.history).plot(metric="accuracy")
        assert display.line_.get_xydata().tolist() == [[1, 0.5], [2, 0.6], [3, 0.7]]
        assert display.validation_line_.get_ydata().tolist() == [0.5, 0.6, 0.8]
        assert display.point_.get_xydata().tolist() == [[2, 0.6]]
        alone = HistoryDisplay(history={"loss": [1.0]}, name="a").plot(ax=display.ax_, line_kw={"color": "red"})
        assert alone.point_ is alone.validation_line_ is None
        assert alone.line_.get_label() == "a, training"

    def test_from_networks_however_wrapped(self):
        from sklearn.base import BaseEstimator

        class Network(BaseEstimator):
            def fit(self, X, y=None):
                self.history_ = TestHistory.history
                return self

            def score(self, X, y=None):
                return 0.0

        fitted = make_pipeline("passthrough", Network()).fit([[0]])
        search = GridSearchCV(Network(), {}, cv=2).fit([[0], [1]])
        for model in (fitted, fitted[-1], search):
            assert HistoryDisplay.from_estimator(model).line_.get_ydata().tolist() == self.history["loss"]
        with pytest.raises(ValueError, match="Network has no history_: it is not fitted"):
            HistoryDisplay.from_estimator(Network())
        with pytest.raises(ValueError, match="metric='auc': the history has loss, accuracy"):
            HistoryDisplay.from_estimator(fitted, metric="auc")


class TestPatches:
    def test_the_worst_come_first_as_they_are_read(self, samples):
        X, y = samples
        score = np.random.RandomState(0).uniform(size=60)
        display = PatchesDisplay.from_predictions(X, y, score, patch_size=5, bands="Red", n_patches=7)
        error = np.abs(y - score)
        assert error[display.rows].tolist() == sorted(error)[::-1][:7]
        np.testing.assert_array_equal(
            display.patches, PatchSampler(5).fit_transform(BandStacker(["Red"]).fit_transform(X[display.rows]))
        )
        texts = [text.get_text() for text in display.ax_.texts]
        assert texts == [f"{score[row]:.2f}  #{row}" for row in display.rows]

    def test_frames_tell_missed_landslides_from_false_alarms(self, samples):
        X, _ = samples
        _, ax = plt.subplots()
        display = PatchesDisplay.from_predictions(X[:3], [1, 0, 1], [0.1, 0.8, 0.9], patch_size=5, bands="RGB", ax=ax)
        colours = [patch.get_edgecolor() for patch in display.ax_.patches]
        legend = {h.get_label(): h.get_edgecolor() for h in display.ax_.get_legend().legend_handles}
        assert colours == [legend["landslide missed"], legend["false alarm"], legend["right at 0.5"]]
        assert display.ax_ is ax

    def test_the_sheet_shows_each_patch_in_its_place(self):
        patches = np.arange(2 * 4 * 4, dtype=float).reshape(2, 4, 4, 1)
        patches[0, 0, 0] = np.nan
        display = PatchesDisplay(patches=patches, y_true=[1, 0], y_score=[0, 1]).plot(columns=1)
        sheet = np.asarray(display.image_.get_array())
        frames = display.ax_.patches
        for patch, frame in zip(patches, frames, strict=True):
            left, top = (round(end + 0.5) for end in frame.get_xy())
            shown = sheet[top : top + 4, left : left + 4, 0]
            order = np.argsort(np.nan_to_num(patch[..., 0]).ravel()[1:])
            assert (np.diff(shown.ravel()[1:][order]) >= 0).all()
        assert sheet[frames[0].get_xy()[1].__ceil__(), 0].tolist() == [0.5] * 3

    def test_from_an_estimator_size_and_bands_are_its_own(self, samples):
        X, y = samples
        flat = FunctionTransformer(lambda patches: patches.reshape(len(patches), -1))
        pipe = make_pipeline(BandStacker("RGB"), PatchSampler(3), flat, LogisticRegression())
        search = GridSearchCV(pipe, {"patchsampler__patch_size": [3, 5]}, cv=2).fit(X, y)
        display = PatchesDisplay.from_estimator(search, X, y)
        best = search.best_params_["patchsampler__patch_size"]
        assert display.patches.shape == (24, best, best, 3)
        np.testing.assert_array_equal(display.y_score, search.predict_proba(X)[display.rows, 1])
        two = make_pipeline(BandStacker(["Red", "Blue"]), PatchSampler(3), flat, LogisticRegression()).fit(X, y)
        assert PatchesDisplay.from_estimator(two, X, y).bands == ("Red",)
        with pytest.raises(ValueError, match="0 PatchSampler steps"):
            PatchesDisplay.from_estimator(LogisticRegression().fit(X.xy, y), X, y)

    @pytest.mark.parametrize(
        ("change", "error", "words"),
        [
            ({"y_score": [0.5]}, ValueError, r"y_score has shape \(1,\) and X 60 rows"),
            ({"y_score": np.full(60, 1.5)}, ValueError, "probabilities of landslide, from 0 to 1"),
            ({"y_true": np.full(60, "slide")}, ValueError, "1 for landslide and 0 for other ground"),
            ({"bands": ["Red", "Blue"]}, BandError, "Red, Blue are 2 bands"),
            ({"patch_size": 59}, SceneError, "do not fit the scene"),
        ],
    )
    def test_what_cannot_be_shown_is_refused(self, samples, change, error, words):
        X, y = samples
        given = {"y_true": y, "y_score": np.full(60, 0.5), "patch_size": 5, "bands": "RGB", **change}
        with pytest.raises(error, match=words):
            PatchesDisplay.from_predictions(X, **given)


def picture_in(html):
    """The image that HTML holds, as bytes (rows, cols, 4)."""
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", html)[1])
    return (255 * plt.imread(io.BytesIO(data))).round().astype(np.uint8)


class TestNotebook:
    def test_a_scene_is_facts_and_a_thumbnail(self, radar):
        html = radar._repr_html_()
        for fact in ("40 x 50 pixels of 10 x 10", "EPSG:32654", "VV_before [linear]", "DEM"):
            assert fact in html
        assert picture_in(html).shape == (40, 50, 4)
        assert len(html) < 20_000

    def test_nodata_is_clear(self):
        arrays = {"Red": np.array([[0.0, 1.0], [2.0, np.nan]])}
        scene = Scene.from_arrays(arrays, transform=Affine(1, 0, 0, 0, -1, 2))
        assert picture_in(scene._repr_html_())[..., 3].tolist() == [[255, 255], [255, 0]]

    def test_a_large_scene_is_seen_by_its_middle(self):
        values = np.zeros((10, 3000), np.float32)
        values[:, 900:2100] = np.linspace(1, 2, 1200)
        scene = Scene.from_arrays({"Red": values}, transform=Affine(1, 0, 0, 0, -1, 10))
        html = scene._repr_html_()
        assert "the middle 10 x 1,200 pixels" in html
        image = picture_in(html)
        assert max(image.shape[:2]) == 150
        assert (np.diff(image[0, :, 0].astype(int)) >= 0).all()
        assert image[0, 0, 0] < 10

    def test_samples_are_marked(self):
        scene = random_scene()
        X = Locations(scene, scene.grid.xy([30.5], [20.5]))
        image = picture_in(X._repr_html_())
        assert image[30, 20].tolist() == [255, 232, 0, 255]
        assert "1 on 1 scene(s)" in X._repr_html_()
        assert "first scene" in BandStacker(["Red"]).fit_transform(X)._repr_html_()

    def test_a_file_that_is_gone_leaves_the_facts(self, tmp_path):
        from rasters import write

        path = write(tmp_path / "a.tif", np.ones((1, 5, 5), "float32"))
        scene = Scene.from_files({"Red": path})
        path.unlink()
        html = scene._repr_html_()
        assert "5 x 5 pixels" in html
        assert "no picture" in html
        assert "<img" not in html

    def test_names_are_text(self, tmp_path):
        import rasterio

        folder = tmp_path / "<script>alert(1)</script>".replace("/", "_")
        folder.mkdir()
        crs = 'LOCAL_CS["<img src=x onerror=alert(1)>",UNIT["metre",1]]'
        with rasterio.open(
            folder / "a.tif", "w", driver="GTiff", width=3, height=3, count=1, dtype="float32", transform=UTM, crs=crs
        ) as file:
            file.write(np.ones((1, 3, 3), "float32"))
        scene = Scene.from_files({"Red": folder / "a.tif"})
        (folder / "a.tif").unlink()  # so that the error, which holds the path, is shown
        for html in (scene._repr_html_(), Locations(scene, [[500_010, 4_699_990]])._repr_html_()):
            assert "<script" not in html
            assert "<img src=x" not in html


@pytest.mark.slow
def test_the_gallery_shows_each_of_these_pictures(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    names = runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples" / "plot_looking.py"))
    assert len(plt.get_fignums()) == 5
    assert len(names["panels"]) == 6
    assert names["history"].validation_line_ is not None
    assert len(names["errors"].patches) == 16
