"""cross_val_map: each pixel by the model of the fold whose test sample is nearest, where that model did not see it."""

import numpy as np
import pytest
import rasterio
from scenes import WeightedSum, random_scene
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, KFold
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, Locations, PatchSampler, SpatialBlockKFold, cross_val_map
from sklandslide.exceptions import NoValidDataError, OutputExistsError, SceneError, SklandslideError
from sklandslide.sampling import valid_patches

SIZE = 7


class Mean(ClassifierMixin, BaseEstimator):
    """Its probability is one number that tells the training samples apart."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.value_ = 1 / (1 + np.exp(-100 * X.mean()))
        return self

    def predict_proba(self, X):
        return np.tile([1 - self.value_, self.value_], (len(X), 1)).astype(np.float32)


def samples(scene, n):
    """Places all over the scene whose patches hold no nodata."""
    rows, cols = np.random.RandomState(0).uniform(4, np.subtract(scene.grid.shape, 4), (2 * n, 2)).T
    X = Locations(scene, scene.grid.xy(rows, cols))
    X = X[valid_patches(X, SIZE)[1]][:n]
    return X, np.arange(n) % 2


def blocks(X):
    return SpatialBlockKFold(3, block_size=250, buffer=X.patch_extent(SIZE), random_state=0)


def unfitted(classifier):
    return make_pipeline(BandStacker("RGB"), PatchSampler(SIZE), classifier)


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("block", [256, 16])
def test_by_brute_force(tmp_path, monkeypatch, step, block):
    monkeypatch.setattr("sklandslide.mapping.writer.BLOCK", block)
    monkeypatch.setattr("sklandslide.mapping.unfinished.BLOCK", block)
    monkeypatch.setattr("sklandslide.mapping.cross_val.BLOCK", block)
    scene = random_scene((60, 90), holes=3)
    X, y = samples(scene, 60)
    pipe = unfitted(Mean())
    m = cross_val_map(pipe, X, y, tmp_path / "map.tif", cv=blocks(X), step=step, method="window")
    folds = list(blocks(X).split(X, y))
    values = [clone(pipe).fit(X[train], y[train])[-1].value_ for train, _ in folds]
    assert len(set(values)) == 3
    first = scene.grid.window_origins(X.xy, SIZE)
    holes = np.isnan(scene.read(["Red", "Green", "Blue"])).any(axis=-1)
    found, kept = m.probability, 0
    for i, j in np.ndindex(*m.grid.shape):
        place = np.array([i, j]) * step
        seen = holes[place[0] : place[0] + SIZE, place[1] : place[1] + SIZE].any()
        distance = np.array([np.hypot(*(first[test] - place).T).min() for _, test in folds])
        fold = distance.argmin()
        taken = np.sort(distance)
        train = folds[fold][0]
        shares = (np.abs(first[train] - place) < SIZE).all(axis=1).any()
        if seen or shares:
            assert np.isnan(found[i, j])
        elif taken[0] < taken[1]:  # else either may stand there
            assert found[i, j] == np.float32(values[fold])
            kept += 1
    assert kept > 0.2 * found.size


def test_it_is_a_map_like_others(tmp_path):
    scene = random_scene()
    X, y = samples(scene, 60)
    m = cross_val_map(unfitted(WeightedSum()), X, y, tmp_path / "map.tif", cv=blocks(X), step=2, positive=0)
    assert (m.patch_size, m.step, m.positive, m.threshold) == (SIZE, 2, "0", None)
    assert m.grid == scene.grid.map_grid(SIZE, 2)
    with rasterio.open(m.path) as file:
        assert file.tags()["SKLANDSLIDE_FOLDS"] == "3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif"]
    before = m.probability
    with pytest.raises(OutputExistsError):
        cross_val_map(unfitted(WeightedSum()), X, y, m.path, cv=blocks(X))
    again = cross_val_map(unfitted(WeightedSum()), X, y, m.path, cv=blocks(X), positive=0, overwrite=True)
    np.testing.assert_array_equal(again.probability, before)


def test_polygons_are_kept_whole_by_their_groups(tmp_path):
    """The groups reach the folds: another splitter would refuse without them."""
    from sklearn.model_selection import LeaveOneGroupOut

    scene = random_scene()
    X, y = samples(scene, 30)
    west = (X[:, 0] < np.median(X[:, 0])).astype(int)
    m = cross_val_map(unfitted(Mean()), X, y, tmp_path / "m.tif", cv=LeaveOneGroupOut(), groups=west, method="window")
    assert np.isfinite(m.probability).any()


def test_random_folds_hold_out_nothing(tmp_path):
    scene = random_scene((30, 30))
    X, y = samples(scene, 200)
    with pytest.raises(NoValidDataError, match="Each window of the 2 folds' test ground shares pixels"):
        cross_val_map(unfitted(Mean()), X, y, tmp_path / "map.tif", cv=KFold(2, shuffle=True, random_state=0))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_held_out_is_refused(tmp_path):
    scene = random_scene()
    X, y = samples(scene, 30)
    frozen = FixedThresholdClassifier(FrozenEstimator(unfitted(Mean()).fit(X, y)), threshold=0.4).fit(X, y)
    with pytest.raises(SklandslideError, match="FixedThresholdClassifier is frozen"):
        cross_val_map(frozen, X, y, tmp_path / "map.tif", cv=3)
    both = Locations.concatenate([X, samples(random_scene(seed=1), 30)[0]])
    with pytest.raises(SceneError, match="X lies on 2 scenes"):
        cross_val_map(unfitted(Mean()), both, np.tile(y, 2), tmp_path / "map.tif", cv=3)
