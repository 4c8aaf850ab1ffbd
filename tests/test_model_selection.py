"""Laws of the spatial folds."""

import numpy as np
import pytest
import sklearn
from affine import Affine
from hypothesis import event, given
from hypothesis import strategies as st
from laws import law, transforms
from scenes import UTM, random_scene
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score

from sklandslide import Locations, Scene, SpatialBlockKFold
from sklandslide.geodata import Grid, Window


def lattice(n=1200, seed=0, shape=(400, 500), transform=UTM, crs="EPSG:32654", margin=20):
    """Pixel centres at random places of an empty scene, with labels that are patchy in space."""
    random = np.random.RandomState(seed)
    scene = Scene.from_arrays({"Red": np.zeros(shape, "float32")}, transform=transform, crs=crs)
    rows, cols = (random.randint(margin, s - margin, n) for s in shape)
    y = ((np.sin(rows / 60) + np.sin(cols / 45) + random.normal(scale=0.5, size=n)) > 0.6).astype(int)
    return Locations(scene, scene.grid.xy(rows + 0.5, cols + 0.5)), y


@pytest.mark.parametrize(
    ("transform", "crs"),
    [(UTM, "EPSG:32654"), (Affine(9e-5, 0, 141.9, 0, -7e-5, 42.7), "EPSG:4326")],
    ids=["square", "geographic"],
)
def test_no_training_patch_shares_a_pixel_with_a_test_patch(transform, crs):
    X, y = lattice(transform=transform, crs=crs)
    block = tuple(60 * e for e in X.patch_extent(1))

    def apart(folds):
        first = X.scenes[0].grid.window_origins(X.xy, 25)
        return [np.abs(first[train][:, None] - first[test]).max(axis=-1).min() for train, test in folds.split(X, y)]

    assert min(apart(SpatialBlockKFold(3, block_size=block, buffer=X.patch_extent(25), random_state=0))) >= 25
    assert min(apart(SpatialBlockKFold(3, block_size=block, random_state=0))) < 25


@given(
    transforms(),
    st.integers(0, 20),
    st.integers(2, 4),
    st.integers(1, 7),
    st.floats(1, 3),
    st.integers(4, 20),
    st.booleans(),
    st.booleans(),
)
@law(60)
def test_folds_part_the_samples_and_share_no_pixel(transform, seed, n_splits, size, wider, block, grouped, shuffle):
    random = np.random.RandomState(seed)
    grid = Grid(None, transform, (80, 80))
    scenes = [random_scene((50, 50), ("A",), seed=s, transform=grid.crop(Window(o, o, 50, 50)).transform, crs=None)
              for s, o in ((0, 0), (1, 20))]  # fmt: skip
    X = Locations.concatenate(
        [Locations(s, s.grid.xy(*(random.randint(8, 42, (2, 40)) + random.choice([0, 0.25, 0.5])))) for s in scenes]
    )
    y = random.randint(0, 2, len(X))
    groups = random.randint(0, 15, len(X)) if grouped else None
    buffer = np.array(X.patch_extent(size)) * wider
    folds = SpatialBlockKFold(
        n_splits=n_splits, block_size=tuple(block * np.array(grid.pixel_extent)), buffer=tuple(buffer), shuffle=shuffle,
        random_state=seed if shuffle else None,
    )  # fmt: skip
    try:
        splits = list(folds.split(X, y, groups))
    except ValueError as error:
        event(str(error).split()[-3])
        assert any(text in str(error) for text in ("no training sample left", "cannot fill", "no test sample"))
        return
    assert sorted(np.concatenate([test for _, test in splits]).tolist()) == list(range(len(X)))
    first = grid.window_origins(X.xy, size)
    for train, test in splits:
        assert not set(train) & set(test) and len(train) and len(test)
        if grouped:
            assert not set(groups[train]) & set(groups[test])
        gap = np.abs(first[train][:, None] - first[test]).max(axis=-1)
        assert gap.min() >= size
        # Left out is what is near along both axes, and nothing else.
        distance = (np.abs(X.xy[:, None] - X.xy[test]) / buffer).max(axis=-1).min(axis=1)
        rest = np.setdiff1d(np.arange(len(X)), test)
        assert not set(rest[distance[rest] < 1 - 1e-9]) & set(train)
        assert set(rest[distance[rest] > 1 + 1e-9]) <= set(train)
    for (a, b), (c, d) in zip(splits, folds.split(X, y, groups), strict=True):
        assert np.array_equal(a, c) and np.array_equal(b, d)


def test_blocks_are_kept_whole_and_have_the_size_asked_for():
    X, y = lattice()
    block = np.floor((X.xy - X.xy.min(axis=0)) / [400, 700])
    for train, test in SpatialBlockKFold(3, block_size=(400, 700), random_state=0).split(X, y):
        assert not set(map(tuple, block[train])) & set(map(tuple, block[test]))


def test_classes_are_balanced_better_than_by_chance():
    X, y = lattice()
    folds = SpatialBlockKFold(4, block_size=400, random_state=0)
    spread = np.std([y[test].mean() for _, test in folds.split(X, y)])
    by_chance = np.std([y[test].mean() for _, test in folds.split(X)])
    assert spread < 0.5 * by_chance
    assert spread < 0.03


def test_same_seed_same_folds_and_splitting_changes_nothing():
    X, y = lattice()

    def tests(folds):
        return [test.tolist() for _, test in folds.split(X, y)]

    folds = SpatialBlockKFold(3, block_size=300, random_state=0)
    first = tests(folds)
    assert first == tests(folds) == tests(SpatialBlockKFold(3, block_size=300, random_state=0))
    assert first != tests(SpatialBlockKFold(3, block_size=300, random_state=1))
    ordered = SpatialBlockKFold(3, block_size=300, shuffle=False)
    assert tests(ordered) == tests(ordered)


def test_plain_coordinates_and_any_labels():
    X, y = lattice(300)
    names = np.array(["other", "landslide"])[y]
    folds = SpatialBlockKFold(3, block_size=300, random_state=0)
    for (a, b), (c, d) in zip(folds.split(X, y), folds.split(X.xy.tolist(), names), strict=True):
        assert a.tolist() == c.tolist()
        assert b.tolist() == d.tolist()


def test_scenes_in_one_system_share_blocks_and_in_two_do_not():
    X, y = lattice(400)
    again, y2 = lattice(400, seed=1)
    far, y3 = lattice(400, seed=2, crs="EPSG:32655")
    folds = SpatialBlockKFold(3, block_size=500, buffer=100, random_state=0)
    both = Locations.concatenate([X, again])
    for train, test in folds.split(both, np.r_[y, y2]):
        assert np.abs(both.xy[train][:, None] - both.xy[test]).max(axis=-1).min() >= 100
    apart = Locations.concatenate([X, far])
    for train, test in folds.split(apart, np.r_[y, y3]):
        assert np.abs(apart.xy[train][:, None] - apart.xy[test]).max(axis=-1).min() < 100
        for k in (0, 1):
            a, b = (rows[apart.scene_index[rows] == k] for rows in (train, test))
            if len(a) and len(b):
                assert np.abs(apart.xy[a][:, None] - apart.xy[b]).max(axis=-1).min() >= 100


def test_each_coordinate_system_has_blocks_of_its_own():
    """Two scenes with the same numbers for coordinates, in two systems, are two places."""
    X, y = lattice(400)
    far, _ = lattice(400, crs="EPSG:32655")
    assert far.xy.tolist() == X.xy.tolist()
    half = (X.xy[:, 0] - X.xy[:, 0].min()).max() * 0.6
    folds = SpatialBlockKFold(3, block_size=(half, 1e9), random_state=0)
    with pytest.raises(ValueError, match=r"lie in 2 block\(s\)"):
        list(folds.split(X, y))
    assert len(list(folds.split(Locations.concatenate([X, far]), np.r_[y, y]))) == 3


def test_in_scikit_learn_with_groups():
    X, y = lattice(400)
    groups = np.arange(400) // 4
    folds = SpatialBlockKFold(3, block_size=500, random_state=0)
    assert len(cross_val_score(LogisticRegression(), X.xy, y, cv=folds, groups=groups)) == 3
    GridSearchCV(LogisticRegression(), {"C": [1.0, 2.0]}, cv=folds).fit(X.xy, y, groups=groups)
    with sklearn.config_context(enable_metadata_routing=True):
        asked = folds.get_metadata_routing().split.requests
        assert asked["groups"] is True
        GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=folds).fit(X.xy, y, groups=groups)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_splits": 1, "block_size": 300}, "n_splits=1"),
        ({"block_size": 0}, "block_size=0.*positive"),
        ({"block_size": (300, -1)}, "block_size="),
        ({"block_size": 300, "buffer": -1}, "buffer=-1.*non-negative"),
        ({"block_size": 1e6}, "1 block.*n_splits=5.*smaller blocks"),
        ({"n_splits": 2, "block_size": 2000, "buffer": 1e5}, "no training sample.*smaller buffer"),
    ],
)
def test_bad_parameters(parameters, message):
    X, y = lattice(200)
    with pytest.raises(ValueError, match=message):
        list(SpatialBlockKFold(**parameters).split(X, y))


def test_bad_coordinates():
    folds = SpatialBlockKFold(block_size=1)
    with pytest.raises(ValueError, match=r"shape \(5, 3\)"):
        list(folds.split(np.zeros((5, 3))))
    with pytest.raises(ValueError, match="NaN"):
        list(folds.split(np.full((5, 2), np.nan)))
