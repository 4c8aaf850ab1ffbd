"""Augmenter: variants of training patches against the same resampling by SciPy, and that only `fit` sees them."""

import numpy as np
import pytest
from affine import Affine
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import Augmenter, BandStacker, LandslideCNN, Locations, PatchSampler, Scene
from sklandslide.features.augmentation import AugmentedPatches, Ranges

STILL = {"flip": None, "rotation": 0, "zoom": 0, "translation": 0, "brightness": 0}


def noise(n=6, rows=9, cols=9, bands=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, rows, cols, bands)).astype(np.float32)


def only(**changes):
    return Augmenter(**{"random_state": 0, **STILL, **changes})


def tiny_cnn(**changes):
    return LandslideCNN(
        **{"filters": (4,), "dense_units": 8, "input_size": 8, "epochs": 2, "random_state": 0, **changes}
    )


def weights(cnn):
    return [variable.numpy() for variable in cnn.model_.trainable_variables]


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


# ------------------------------------------------------------------------------------------------- the transformer


def test_transform_gives_its_input_itself():
    X = noise()
    augmenter = Augmenter(random_state=0).fit(X)
    assert augmenter.transform(X) is X
    assert augmenter.n_features_in_ == 2


def test_fit_transform_gives_as_many_patches():
    X = noise()
    before = X.copy()
    out = Augmenter().fit_transform(X, np.arange(6))
    assert isinstance(out, AugmentedPatches)
    assert (len(out), out.shape, out.ndim, out.dtype) == (6, X.shape, 4, np.float32)
    variant = np.asarray(out)
    assert variant.shape == X.shape and variant.dtype == np.float32
    assert np.abs(variant - X).max(axis=(1, 2, 3)).min() > 0.1  # every one is changed
    np.testing.assert_array_equal(X, before)
    assert np.asarray(out, dtype=np.float64).dtype == np.float64


def test_seeded_variants_repeat_and_unseeded_ones_are_fresh():
    X = noise()
    seeded = Augmenter(random_state=0).fit_transform(X)
    np.testing.assert_array_equal(np.asarray(seeded), np.asarray(seeded))
    np.testing.assert_array_equal(np.asarray(seeded), np.asarray(Augmenter(random_state=0).fit_transform(X)))
    assert not np.array_equal(np.asarray(seeded), np.asarray(Augmenter(random_state=1).fit_transform(X)))
    for unseeded in (None, np.random.RandomState(0)):
        augmenter = Augmenter(random_state=unseeded)
        assert not np.array_equal(np.asarray(augmenter.fit_transform(X)), np.asarray(augmenter.fit_transform(X)))


def test_rows_of_augmented_patches():
    X, key = noise(), np.array([5, 5, 0])
    part = only().fit_transform(X)[key]
    assert isinstance(part, AugmentedPatches)
    np.testing.assert_array_equal(np.asarray(part), X[key])
    assert part.ranges == Ranges(None, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "name, value", [("flip", "diagonal"), ("rotation", 181), ("zoom", -0.1), ("translation", 1.0), ("brightness", -0.1)]
)
def test_wrong_parameters_are_refused_when_fitted(name, value):
    augmenter = Augmenter(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of Augmenter must be"):
        augmenter.fit_transform(noise())


def test_what_is_no_patch_is_refused():
    with pytest.raises(
        ValueError, match=r"Patches have shape \(n_samples, rows, cols, n_bands\); X has shape.*Sampler"
    ):
        Augmenter().fit(np.zeros((4, 9, 9)))


def test_nodata_is_refused():
    X = noise()
    X[3, 2, 2, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        Augmenter().fit_transform(X)


# ----------------------------------------------------------------------------------------------------- the variants


def by_scipy(X, augmented):
    """Redo the variants with scipy.ndimage from the numbers drawn: mirror, rotate and scale about the centre, shift."""
    import tensorflow as tf

    ranges = augmented.ranges
    seed = np.random.RandomState(augmented.seed).randint(np.iinfo(np.int32).max)
    draw = tf.random.stateless_uniform((len(X), 6), (seed, 0), -1.0, 1.0).numpy().astype(np.float64)
    rows, cols = X.shape[1:3]
    centre = (np.array([rows, cols]) - 1) / 2
    out = np.empty_like(X)
    for i, (x, y, turn, zoom, right, down) in enumerate(draw):
        mirror = np.diag(
            [
                -1.0 if "vertical" in (ranges.flip or "") and y < 0 else 1.0,
                -1.0 if "horizontal" in (ranges.flip or "") and x < 0 else 1.0,
            ]
        )
        angle = np.radians(turn * ranges.rotation)
        # in (row, column): a turn of (column, row) by the angle
        rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        matrix = (1 + zoom * ranges.zoom) * rotation @ mirror
        shift = np.array([down * ranges.translation * rows, right * ranges.translation * cols])
        for band in range(X.shape[-1]):
            out[i, ..., band] = ndimage.affine_transform(
                X[i, ..., band], matrix, centre + shift - matrix @ centre, order=1, mode="reflect"
            )
    return out


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"flip": "horizontal"},
        {"flip": "horizontal_and_vertical", "rotation": 36, "zoom": 0.1, "translation": 0.1},
        {"flip": "vertical", "rotation": 180, "zoom": 0.9, "translation": 0.9},
    ],
    ids=str,
)
def test_variants_agree_with_scipy(changes):
    X = noise(40, 8, 12)
    augmented = only(**changes).fit_transform(X)
    # float32 coordinates: errors of about 1e-5 pixels times differences of a few units
    np.testing.assert_allclose(np.asarray(augmented), by_scipy(X, augmented), atol=2e-4)


def test_patches_of_one_pixel_are_left_alone():
    X = noise(rows=1, cols=1)
    np.testing.assert_array_equal(np.asarray(Augmenter(random_state=0).fit_transform(X)), X)


def test_brightness_shifts_each_band_of_each_patch_by_itself_in_its_own_units():
    X = noise(400, 5, 5) * np.float32([1, 50])
    shift = np.asarray(only(brightness=0.5).fit_transform(X)) - X
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], X.shape), atol=1e-4)  # a level, no pattern
    levels = shift[:, 0, 0] / X.std(axis=(0, 1, 2))
    assert np.abs(levels).max() <= 0.5001 and np.abs(levels).max() > 0.48
    assert abs(levels.mean()) < 0.05
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.15
    turned = only(brightness=0.5, rotation=36).fit_transform(X)
    plain = only(rotation=36).fit_transform(X)
    np.testing.assert_allclose(np.asarray(turned) - np.asarray(plain), shift, atol=1e-4)  # drawn apart from the turns


# ----------------------------------------------------------------------------------------------------- in the network


def test_brightness_makes_a_network_that_a_shift_of_a_whole_scene_fools_less():
    random = np.random.RandomState(0)
    X = random.normal(size=(300, 8, 8, 2)).astype(np.float32)
    y = np.arange(300) % 2
    X[y == 1] *= 1.5
    X[..., 0] += y[:, None, None] * 0.7  # a level that another day does not repeat
    later = X + np.float32([-1.5, 0])

    def accuracy(**changes):
        cnn = LandslideCNN(filters=(8,), input_size=None, epochs=12, random_state=0)
        return cnn.fit(only(**changes).fit_transform(X), y).score(later, y)

    assert accuracy(brightness=1.5) > accuracy() + 0.1


def training_patches(n=40):
    X = noise(n, 8, 8, 1)
    y = np.arange(n) % 2
    X[y == 1, :4] += 2
    return X, y


@pytest.mark.parametrize("early_stopping", [False, True])
def test_each_batch_of_each_epoch_sees_its_own_variants_and_validation_none(monkeypatch, early_stopping):
    import tensorflow as tf

    from sklandslide.network import programs as _programs
    from sklandslide.network import training

    seen = []
    resampled = _programs.resampled

    def spy(images, maps):
        tf.py_function(lambda m: seen.append(m.numpy()), [maps], [])
        return resampled(images, maps)

    monkeypatch.setattr(_programs, "resampled", spy)
    monkeypatch.setattr(_programs, "_idle", [])  # a graph compiled before would not see the spy, nor be left to others
    monkeypatch.setattr(training, "_SPAN", 2)
    X, y = training_patches(50)
    cnn = tiny_cnn(epochs=3, batch_size=16, early_stopping=early_stopping, validation_fraction=0.2)
    cnn.fit(Augmenter().fit_transform(X), y)
    # the next batch is drawn while one trains: in no fixed order, and nothing behind the last
    expected = ([16, 16, 8] if early_stopping else [16, 16, 16, 2]) * 3
    assert sorted(len(maps) for maps in seen if len(maps)) == sorted(expected)
    maps = np.concatenate(seen)
    assert len(np.unique(maps, axis=0)) == len(maps)
    seen.clear()
    cnn.predict_proba(X)
    assert seen == []


def test_ranges_reach_the_training_though_its_graph_is_shared():
    X, y = training_patches()

    def train(**changes):
        return tiny_cnn().fit(only(**changes).fit_transform(X), y)

    changes = [{}, {"flip": "vertical"}, {"flip": "horizontal"}, {"rotation": 36}, {"zoom": 0.5}, {"translation": 0.5}]
    changes += [{"brightness": 0.5}]
    trained = [train(**change) for change in changes]
    assert same_weights(trained[0], tiny_cnn().fit(X, y))  # no range is no augmentation
    for i, one in enumerate(trained):
        assert not any(same_weights(one, other) for other in trained[:i])
    assert same_weights(trained[3], train(rotation=36))


def test_the_network_learns_its_normalisation_from_the_patches_not_from_a_variant():
    X, y = training_patches()
    cnn = tiny_cnn().fit(Augmenter(rotation=180, zoom=0.9).fit_transform(X), y)
    mean = cnn.model_.get_layer("normalise").mean
    np.testing.assert_allclose(mean.numpy().ravel(), X.mean(axis=(0, 1, 2)), rtol=1e-5)


def test_whose_seed_counts():
    X, y = training_patches()

    def train(cnn_seed, augmenter_seed):
        return tiny_cnn(random_state=cnn_seed).fit(Augmenter(random_state=augmenter_seed).fit_transform(X), y)

    unseeded = train(0, None)
    assert same_weights(unseeded, train(0, None))  # the network's seed decides
    assert not same_weights(unseeded, train(1, None))
    seeded = train(0, 5)
    assert same_weights(seeded, train(0, 5))
    assert not same_weights(seeded, train(0, 6))


# ------------------------------------------------------------------------------------------------------ in a pipeline


def scene_samples():
    rng = np.random.default_rng(0)
    y = np.arange(36) % 2
    bright = np.kron(y.reshape(6, 6) + (np.arange(6) % 2)[:, None] * (1 - 2 * y.reshape(6, 6)), np.ones((10, 10)))
    y = bright[5::10, 5::10].ravel().astype(int)
    scene = Scene.from_arrays(
        {"VV_before": rng.normal(size=(60, 60)), "VV_after": rng.normal(size=(60, 60)) + 2 * bright},
        transform=Affine(1, 0, 0, 0, -1, 60),
        units={"VV_before": "dB", "VV_after": "dB"},
    )
    row, col = np.mgrid[5:60:10, 5:60:10]
    return Locations(scene, scene.grid.xy(row.ravel() + 0.5, col.ravel() + 0.5)), y


def test_another_classifier_sees_one_variant_of_each():
    X, y = scene_samples()
    given = []

    def flatten(patches):
        given.append(patches)
        return np.asarray(patches).reshape(len(patches), -1)

    pipe = make_pipeline(
        BandStacker("BAC"),
        PatchSampler(patch_size=7),
        Augmenter(random_state=0),
        FunctionTransformer(flatten),
        LogisticRegression(max_iter=1000),
    ).fit(X, y)
    assert isinstance(given[0], AugmentedPatches)
    assert pipe[-1].n_features_in_ == 7 * 7 * 3
    assert pipe.score(X, y) > 0.9
    assert isinstance(given[1], np.ndarray)  # predicting: the patches themselves
    np.testing.assert_array_equal(pipe.predict_proba(X), pipe.predict_proba(X))
