"""LocalChange: the log-ratio and the local energy of differences."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LocalChange, PatchSampler, SlidingWindowPredictor, make_scene, sample_polygons


@pytest.mark.parametrize("side, size, first", [(7, 7, 0), (9, 3, 3), (8, 3, 2), (8, 4, 2), (5, 1, 2)])
def test_it_is_the_change_in_the_middle(side, size, first):
    patches = np.random.RandomState(0).normal(size=(6, side, side, 2))
    middle = patches[:, first : first + size, first : first + size]
    energy = LocalChange(size).fit_transform(patches)
    np.testing.assert_allclose(energy[:, 0], np.sqrt((middle**2).mean(axis=(1, 2, 3))), rtol=1e-6)
    ratio = LocalChange(size, statistic="log_ratio").fit_transform(patches)
    np.testing.assert_allclose(ratio[:, 0], np.sqrt((middle.mean(axis=(1, 2)) ** 2).mean(axis=1)), rtol=1e-6)
    assert energy.dtype == ratio.dtype == np.float32


def test_patches_that_will_not_do_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 5, 5, 1\); LocalChange\(size=7\).*patch_size"):
        LocalChange().fit(np.zeros((2, 5, 5, 1)))
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        LocalChange(1).fit(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="has 2 bands, but LocalChange was fitted on 1"):
        LocalChange(1).fit(np.zeros((2, 3, 3, 1))).transform(np.zeros((2, 3, 3, 2)))
    with pytest.raises(ValueError, match="'statistic' parameter"):
        LocalChange(statistic="mean").fit(np.zeros((2, 9, 9, 1)))


@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")
def test_a_threshold_on_it_is_a_pipeline_like_any_other(tmp_path):
    scene, polygons = make_scene(shape=(200, 200), n_dates=2, random_state=0)
    X, y, _ = sample_polygons(scene, polygons, patch_size=7, balance=True, random_state=0)
    bands = ["VV_after - VV_before", "VH_after - VH_before"]
    pipe = make_pipeline(BandStacker(bands), PatchSampler(7), LocalChange(5), LogisticRegression())
    pipe = clone(pipe).fit(X, y)
    change = pipe[:-1].transform(X)[:, 0]
    assert change[y == 1].mean() > change[y == 0].mean()
    order = np.argsort(change)
    assert (np.diff(pipe.predict_proba(X)[order, 1]) >= 0).all()  # one threshold
    found = SlidingWindowPredictor(pipe, step=20).predict_map(scene, tmp_path / "map.tif")
    at = found.grid.xy([3.5], [4.5])
    expected = pipe.predict_proba(type(X)(scene, at))[0, 1]
    assert found.probability[3, 4] == pytest.approx(expected, abs=1e-6)
