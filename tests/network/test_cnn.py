"""build_cnn and LandslideCNN: the paper's network, training, seeds, weights, and clear refusals."""

import copy
import os
import pickle
import random
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from fitting import ALL_BANDS, pipeline
from scenes import random_scene
from sklearn.base import is_classifier
from sklearn.utils import compute_class_weight

from sklandslide import LandslideCNN, SlidingWindowPredictor, build_cnn

# Keras reads TensorFlow variables with np.array(variable) when it saves or copies weights; NumPy 2 warns of it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


def tiny(**changes):
    defaults = {
        "filters": (4,),
        "dense_units": 8,
        "input_size": None,
        "epochs": 2,
        "learning_rate": 0.01,
        "random_state": 0,
    }
    return LandslideCNN(**{**defaults, **changes})


def patches(n=60, size=4, bands=2, classes=2, seed=0, shift=1.5):
    """Noise, brighter in the first band for each further class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    X = rng.normal(size=(n, size, size, bands)).astype(np.float32)
    X[..., 0] += shift * y[:, None, None]
    return X, y


def weights(cnn):
    return [variable.numpy() for variable in cnn.model_.trainable_variables]


def same_weights(one, other):
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


# -------------------------------------------------------------------------------------------------- the paper's network


def test_the_papers_network_layer_by_layer():
    model = build_cnn(patch_shape=(25, 25, 3), n_classes=2, input_size=32)
    layers = model.layers
    assert [type(layer).__name__ for layer in layers] == [
        "Resizing",
        *["Conv2D", "MaxPooling2D"] * 3,
        "Dropout",
        "Flatten",
        "Dense",
        "Dense",
    ]
    resample, *blocks = layers[:7]
    assert (resample.height, resample.width, resample.interpolation) == (32, 32, "bilinear")
    for convolution, filters in zip(blocks[::2], (16, 32, 64), strict=True):
        assert (convolution.filters, convolution.kernel_size, convolution.strides) == (filters, (3, 3), (1, 1))
        assert (convolution.padding, convolution.activation.__name__) == ("same", "relu")
    for pooling, side in zip(blocks[1::2], (16, 8, 4), strict=True):
        assert (pooling.pool_size, pooling.strides, pooling.output.shape[1:3]) == ((2, 2), (2, 2), (side, side))
    dropout, _, dense, probabilities = layers[7:]
    assert dropout.rate == 0.2
    assert (dense.units, dense.activation.__name__) == (128, "relu")
    assert (probabilities.units, probabilities.activation.__name__) == (2, "softmax")
    convolutions = (3 * 3 * 3 + 1) * 16 + (3 * 3 * 16 + 1) * 32 + (3 * 3 * 32 + 1) * 64
    dense = (4 * 4 * 64 + 1) * 128 + (128 + 1) * 2
    assert model.count_params() == convolutions + dense == 155042


def test_resampling_only_where_it_changes_the_size():
    def names(**changes):
        return [type(layer).__name__ for layer in build_cnn(n_classes=2, **changes).layers]

    assert "Resizing" not in names(patch_shape=(32, 32, 3), input_size=32)
    assert "Resizing" not in names(patch_shape=(25, 25, 3))
    assert "Resizing" in names(patch_shape=(32, 30, 3), input_size=32)


def test_valid_padding_and_other_sizes():
    options = {"padding": "valid", "input_size": 32, "filters": (5, 6), "dense_units": 7}
    model = build_cnn(patch_shape=(25, 25, 3), n_classes=4, **options)
    # 32 -> 30 -> 15 -> 13 -> 6
    assert model.get_layer("pooling_2").output.shape == (None, 6, 6, 6)
    assert model.output_shape == (None, 4)
    assert model.count_params() == (27 + 1) * 5 + (45 + 1) * 6 + (216 + 1) * 7 + 8 * 4


def test_normalisation_comes_before_resampling():
    model = build_cnn(patch_shape=(25, 25, 2), n_classes=2, input_size=32, mean=[1, 2], variance=[3, 4])
    assert [layer.name for layer in model.layers[:2]] == ["normalise", "resample"]
    np.testing.assert_array_equal(model.layers[0].mean.numpy().ravel(), [1, 2])
    np.testing.assert_array_equal(model.layers[0].variance.numpy().ravel(), [3, 4])


@pytest.mark.parametrize(
    "changes, side",
    [
        ({"patch_shape": (40, 7, 3), "input_size": None}, "40 x 7"),
        ({"patch_shape": (25, 25, 3), "input_size": 7}, "7 x 7"),
        ({"patch_shape": (25, 25, 3), "input_size": 21, "padding": "valid"}, "21 x 21"),
    ],
)
def test_an_input_that_pooling_would_use_up_is_refused(changes, side):
    with pytest.raises(ValueError, match=f"{side} pixels is too small for 3 blocks"):
        build_cnn(n_classes=2, **changes)


def test_build_cnn_needs_the_shape_and_the_number_of_classes():
    with pytest.raises(ValueError, match=r"needs patch_shape=\(rows, cols, bands\) and n_classes"):
        build_cnn(patch_shape=(25, 25, 3))
    with pytest.raises(ValueError, match="needs patch_shape"):
        build_cnn(n_classes=2)


def test_bare_scikeras_takes_build_cnn():
    from scikeras.wrappers import KerasClassifier

    X, y = patches(size=8)
    labels = np.array(["forest", "landslide"])[y]
    options = {"filters": (4,), "dense_units": 8, "input_size": 8, "learning_rate": 0.05}
    bare = KerasClassifier(build_cnn, **options, epochs=10, verbose=0).fit(X, labels)
    assert bare.model_.get_layer("convolution_1").filters == 4
    assert float(bare.model_.optimizer.learning_rate.numpy()) == pytest.approx(0.05)
    assert np.mean(bare.predict(X) == labels) > 0.9


# ---------------------------------------------------------------------------------------------------------- learning


def textures(n, seed):
    """Horizontal against vertical stripes of random phase and sign, in noise: no pixel tells, only the pattern."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    phase = rng.integers(0, 2, n)[:, None, None]
    i, j = np.mgrid[:8, :8]
    stripes = np.where(y[:, None, None] == 1, (j + phase) % 2, (i + phase) % 2) * 2.0 - 1
    return (stripes + 0.5 * rng.normal(size=(n, 8, 8)))[..., None], y


def test_it_learns_a_texture_and_recognises_it_on_unseen_patches():
    cnn = tiny(filters=(8,), dense_units=16, epochs=12).fit(*textures(300, seed=0))
    X, y = textures(300, seed=1)
    assert cnn.score(X, y) > 0.9
    assert cnn.history_["loss"][-1] < cnn.history_["loss"][0] / 2


def test_probabilities_and_classes_agree():
    X, y = patches(classes=3)
    cnn = tiny(epochs=5).fit(X, y)
    probabilities = cnn.predict_proba(X)
    assert probabilities.shape == (60, 3) and probabilities.dtype == np.float32
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(cnn.predict(X), cnn.classes_[probabilities.argmax(axis=1)])


def test_a_prediction_does_not_depend_on_its_batch(monkeypatch):
    X, y = patches()
    cnn = tiny().fit(X, y)
    whole = cnn.predict_proba(X)
    for i in (0, 17, 59):
        np.testing.assert_allclose(cnn.predict_proba(X[i : i + 1])[0], whole[i], atol=1e-6)
    np.testing.assert_allclose(cnn.predict_proba(X[::-1])[::-1], whole, atol=1e-6)
    monkeypatch.setattr("sklandslide.network.cnn._PREDICT_BATCH", 7)  # 60 is no multiple of it
    np.testing.assert_allclose(cnn.predict_proba(X), whole, atol=1e-6)


@pytest.mark.parametrize(
    "labels, expected", [(np.array(["forest", "landslide"]), str), (np.array([17, 3]), np.integer)]
)
def test_labels_of_any_type(labels, expected):
    X, codes = patches(shift=3)
    y = labels[codes]
    cnn = tiny(epochs=8).fit(X, y)
    np.testing.assert_array_equal(cnn.classes_, np.sort(labels))
    predicted = cnn.predict(X)
    assert np.issubdtype(predicted.dtype, expected)
    assert cnn.score(X, y) > 0.9  # and so the columns are not swapped
    brightest = X[..., 0].mean(axis=(1, 2)).argmax()
    column = list(cnn.classes_).index(labels[1])
    assert cnn.predict_proba(X)[brightest, column] > 0.5


def test_input_of_other_types_gives_the_same():
    X = np.random.default_rng(0).integers(0, 200, (30, 4, 4, 2))  # exact in every type
    y = np.arange(30) % 2
    expected, other = tiny().fit(X.astype(np.float32), y), tiny().fit(X.astype(np.uint8), y)
    assert same_weights(expected, other)
    np.testing.assert_array_equal(expected.predict_proba(X.astype(np.float32)), other.predict_proba(X.astype(np.uint8)))


def test_two_dimensions_are_patches_of_one_pixel():
    X, y = patches(size=1)
    flat = tiny(input_size=4).fit(X[:, 0, 0], y)
    assert flat.patch_shape_ == (1, 1, 2)
    assert same_weights(flat, tiny(input_size=4).fit(X, y))
    np.testing.assert_array_equal(flat.predict_proba(X), flat.predict_proba(X[:, 0, 0]))


def test_fitted_attributes():
    X, y = patches(size=5, bands=3)
    cnn = tiny(epochs=3).fit(X, y)
    assert cnn.n_iter_ == 3
    assert set(cnn.history_) == {"loss", "accuracy"}
    assert all(len(v) == 3 and all(type(x) is float for x in v) for v in cnn.history_.values())
    assert cnn.patch_shape_ == (5, 5, 3)
    assert cnn.n_features_in_ == 3
    assert cnn.model_.input_shape == (None, 5, 5, 3) and cnn.model_.output_shape == (None, 2)
    assert is_classifier(cnn)
    assert cnn.fit(X, y) is cnn


def test_fitting_again_starts_anew():
    X, y = patches()
    cnn = tiny().fit(X, y)
    first = cnn.predict_proba(X)
    np.testing.assert_array_equal(cnn.fit(X, y).predict_proba(X), first)
    wide, three = patches(size=6, bands=1, classes=3, seed=4)
    cnn.fit(wide, three)
    assert cnn.patch_shape_ == (6, 6, 1) and cnn.predict_proba(wide).shape == (60, 3)


@pytest.mark.parametrize("name, value", [("learning_rate", 0.05), ("batch_size", 60), ("dropout", 0.5)])
def test_training_parameters_reach_the_training(name, value):
    X, y = patches()
    assert not same_weights(tiny().fit(X, y), tiny(**{name: value}).fit(X, y))


def test_verbose_speaks_and_silence_is_silent(capfd):
    X, y = patches(20)
    tiny().fit(X, y).predict(X)
    assert "loss" not in capfd.readouterr().out
    tiny(verbose=2).fit(X, y)
    out = capfd.readouterr().out
    assert "Epoch 2/2" in out and "loss" in out


# ------------------------------------------------------------------------------------------------------------- seeds


def test_a_random_state_instance_moves_on():
    X, y = patches()
    state = np.random.RandomState(0)
    first = tiny(random_state=state).fit(X, y)
    assert not same_weights(first, tiny(random_state=state).fit(X, y))
    assert same_weights(first, tiny(random_state=np.random.RandomState(0)).fit(X, y))


@pytest.fixture
def restored_globals():
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    np.random.set_state(numpy_state)  # noqa: NPY002
    random.setstate(python_state)


def test_without_a_seed_numpys_global_one_counts(restored_globals):
    X, y = patches()

    def train():
        return tiny(random_state=None).fit(X, y)

    np.random.seed(5)  # noqa: NPY002
    first, second = train(), train()
    assert not same_weights(first, second)
    np.random.seed(5)  # noqa: NPY002
    assert same_weights(first, train())


def test_no_global_generator_is_drawn_from(restored_globals):
    import keras
    import tensorflow as tf

    X, y = patches()
    cnn = tiny(early_stopping=True, validation_fraction=0.2)

    def numbers(between):
        keras.utils.set_random_seed(3)  # Python, NumPy, TensorFlow and Keras at once
        between()
        return [np.random.random(), random.random(), float(tf.random.uniform(())), float(keras.random.uniform(()))]  # noqa: NPY002

    undisturbed = numbers(lambda: None)
    assert numbers(lambda: cnn.fit(X, y)) == undisturbed
    assert numbers(lambda: cnn.predict_proba(X)) == undisturbed
    assert numbers(lambda: pickle.loads(pickle.dumps(cnn))) == undisturbed


# ---------------------------------------------------------------------------------- the compiled programs of training


def by_hand(X, y, epochs, batch_size, learning_rate, sample_weight=None, seed=0):
    """`fit` without dropout, written again: batches, gradients and Adam in NumPy and eager TensorFlow."""
    import tensorflow as tf

    seeds = np.random.RandomState(seed).randint(np.iinfo(np.int32).max, size=4)
    options = {"filters": (4,), "dense_units": 8, "dropout": 0.0, "input_size": None, "random_state": int(seeds[0])}
    network = build_cnn(patch_shape=X.shape[1:], n_classes=2, **options)
    mean, std = X.mean(axis=(0, 1, 2), dtype=np.float64), X.std(axis=(0, 1, 2), dtype=np.float64)
    X = ((X - mean) / std).astype(np.float32)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    variables = [v.value for v in network.trainable_variables]
    first, second = ([np.zeros(v.shape) for v in variables] for _ in range(2))
    order, t, history = np.random.default_rng(seeds[3]), 0, []
    for _ in range(epochs):
        rows, total = order.permutation(len(X)), 0.0
        for start in range(0, len(X), batch_size):
            part, t = rows[start : start + batch_size], t + 1
            with tf.GradientTape() as tape:
                of_class = tf.gather(network(X[part], training=True), y[part], batch_dims=1)
                loss = -tf.reduce_sum(weight[part].astype(np.float32) * tf.math.log(of_class)) / len(part)
            total += float(loss) * len(part)
            for i, gradient in enumerate(tape.gradient(loss, variables)):
                first[i] += 0.1 * (gradient.numpy() - first[i])
                second[i] += 0.001 * (gradient.numpy() ** 2 - second[i])
                # the paper's "epsilon hat", as in Keras
                step = first[i] * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(second[i]) + 1e-7)
                variables[i].assign_sub((learning_rate * step).astype(np.float32))
        history.append(total / len(X))
    return [v.numpy() for v in variables], history


@pytest.mark.parametrize("n, batch_size, weighted", [(60, 16, False), (61, 20, True), (5, 32, False)])
def test_training_agrees_with_one_written_by_hand(n, batch_size, weighted):
    X, y = patches(n, bands=3)
    weight = np.random.default_rng(1).uniform(0.5, 2, n) if weighted else None
    cnn = tiny(dropout=0.0, epochs=3, batch_size=batch_size, learning_rate=1e-3).fit(X, y, sample_weight=weight)
    expected, history = by_hand(X, y, 3, batch_size, 1e-3, weight)
    for ours, theirs in zip(weights(cnn), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)  # nine steps of 1e-3
    np.testing.assert_allclose(cnn.history_["loss"], history, rtol=1e-4)


def test_spans_of_batches_are_one_epoch(monkeypatch):
    X, y = patches(100)
    whole = tiny(batch_size=8, dropout=0.5).fit(X, y)
    from sklandslide.network import training as _training

    monkeypatch.setattr(_training, "_SPAN", 3)
    parts = tiny(batch_size=8, dropout=0.5).fit(X, y)
    assert same_weights(whole, parts)
    np.testing.assert_allclose(whole.history_["loss"], parts.history_["loss"], rtol=1e-6)


def test_one_architecture_is_compiled_once(monkeypatch):
    from sklandslide.network import programs as _programs

    monkeypatch.setattr(_programs, "_idle", [])
    monkeypatch.setattr(_programs, "_forward", type(_programs._forward)())
    X, y = patches(classes=2)
    for i, n in enumerate((60, 45, 20)):
        cnn = tiny(
            learning_rate=10.0**-i, batch_size=8 * (i + 1), epochs=i + 1, random_state=i, class_weight="balanced"
        )
        cnn.fit(X[:n] * (i + 1), y[:n]).predict(X)
    assert len(_programs._idle) == len(_programs._forward) == 1
    tiny(dropout=0.5).fit(X, y)  # other numbers inside the graph
    assert len(_programs._idle) == 2


def test_nothing_of_a_fit_is_left_for_the_next(monkeypatch):
    from sklandslide.network import programs as _programs

    options = {"dropout": 0.5, "early_stopping": True, "validation_fraction": 0.2}
    X, y = patches()
    monkeypatch.setattr(_programs, "_idle", [])
    first = tiny(**options).fit(X, y)
    tiny(**options, learning_rate=0.5, epochs=3, random_state=4).fit(X[::-1] * 7 + 3, 1 - y)
    assert same_weights(first, tiny(**options).fit(X, y))
    assert not same_weights(first, tiny(**options, random_state=1).fit(X, y))


def test_few_programs_are_kept_and_the_latest_stay(monkeypatch):
    from sklandslide.network import programs as _programs

    monkeypatch.setattr(_programs, "_idle", [])
    monkeypatch.setattr(_programs, "_forward", type(_programs._forward)())
    monkeypatch.setattr(_programs, "_KEPT", 2)
    X, y = patches(20)
    for units in (2, 3, 2, 4):
        tiny(dense_units=units, epochs=1).fit(X, y).predict(X)
    kept = [str(key) for key, _ in _programs._idle]
    assert len(kept) == len(_programs._forward) == 2
    assert '"units": 2' in kept[0] and '"units": 4' in kept[1]


def test_fits_at_the_same_time_in_threads():
    from concurrent.futures import ThreadPoolExecutor

    X, y = patches()

    def train(seed):
        return tiny(dropout=0.5, epochs=4, random_state=seed).fit(X, y)

    alone = [train(seed) for seed in range(3)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(train, range(3)))
    assert all(map(same_weights, alone, together))


def test_models_of_one_architecture_share_a_graph_and_no_weights():
    X, y = patches()
    one, other = tiny().fit(X, y), tiny(random_state=1).fit(X * 5 + 3, y)
    np.testing.assert_allclose(one.predict_proba(X), one.model_.predict(X, verbose=0), atol=1e-6)
    np.testing.assert_allclose(other.predict_proba(X), other.model_.predict(X, verbose=0), atol=1e-6)
    other.model_.set_weights(one.model_.get_weights())
    np.testing.assert_allclose(other.predict_proba(X * 5 + 3), one.predict_proba(X), atol=1e-4)
    expected = one.predict_proba(X)
    one.model_.trainable = False
    np.testing.assert_array_equal(one.predict_proba(X), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).predict_proba(X), expected)


def test_another_network_in_place_of_its_own_is_refused(tmp_path):
    import keras

    pipe = pipeline(5, blocks=1)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    pipe[-1].model_ = keras.Sequential([keras.Input((5, 5, 3)), *layers])
    refused = pytest.raises(ValueError, match="only a network of build_cnn can stand there")
    with refused:
        pipe[-1].predict_proba(np.zeros((1, 5, 5, 3)))
    for method in ("auto", "window", "shared"):
        with refused:
            SlidingWindowPredictor(pipe, method=method).predict_map(random_scene(bands=ALL_BANDS), tmp_path / "map.tif")
    with refused:
        pickle.dumps(pipe)


_MEMORY = """
import gc
import numpy as np, psutil
from sklandslide import LandslideCNN
random = np.random.default_rng(0)
patches = [random.normal(size=(64, side, side, 2)).astype(np.float32) for side in (8, 10)]
y = np.arange(64) % 2
def resident(fits):
    for i in fits:
        cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, learning_rate=1e-3 * (i + 1))
        cnn.fit(patches[i % 2], y).predict_proba(patches[i % 2])
    del cnn
    gc.collect()
    return psutil.Process().memory_info().rss
before = resident(range(6))
print((resident(range(6, 30)) - before) / 24 / 1e6)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_fits():
    pytest.importorskip("psutil")
    done = subprocess.run([sys.executable, "-c", _MEMORY], capture_output=True, text=True, check=True, timeout=300)
    assert float(done.stdout) < 2  # MB for each fit


# ------------------------------------------------------------------------------------------------------ normalisation


def test_normalisation_is_that_of_the_training_patches():
    X, y = patches(bands=3)
    X = X * [1, 100, 0.01] + [0, -500, 7]
    layer = tiny().fit(X, y).model_.get_layer("normalise")
    X = X.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(layer.mean.numpy().ravel(), X.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.variance.numpy().ravel(), X.var(axis=(0, 1, 2)), rtol=1e-4)


def test_normalisation_leaves_out_the_validation_part_which_is_drawn_by_class():
    # One pixel with value 2**i in sample i: the sum tells which samples were averaged.
    X = (2.0 ** np.arange(20))[:, None]
    y = np.arange(20) % 2
    cnn = tiny(input_size=2, early_stopping=True, validation_fraction=0.2).fit(X, y)
    total = round(float(cnn.model_.get_layer("normalise").mean.numpy().item()) * 16)
    averaged = np.array([bool(total >> i & 1) for i in range(20)])
    assert averaged.sum() == 16
    assert y[~averaged].sum() == 2  # two of each class


def test_mean_and_variance_are_computed_in_double_precision():
    X, y = patches(1000, size=8, bands=2)
    X = X / 10 + np.float32(5000)
    exact = X.astype(np.float64).var(axis=(0, 1, 2))
    # float32 sums of 64000 such values are off by far more than their spread
    assert not np.allclose(X.var(axis=(0, 1, 2)), exact, rtol=0.1)
    layer = tiny(epochs=1, batch_size=500).fit(X, y).model_.get_layer("normalise")
    np.testing.assert_allclose(layer.variance.numpy().ravel(), exact, rtol=1e-3)


def test_a_constant_band_is_harmless():
    X, y = patches(shift=3)
    X[..., 1] = -9999
    cnn = tiny(epochs=8).fit(X, y)
    assert np.isfinite(cnn.predict_proba(X)).all()
    assert cnn.score(X, y) > 0.9
    nearly = X.copy()
    nearly[..., 1] += 0.01  # not blown up
    np.testing.assert_allclose(cnn.predict_proba(nearly), cnn.predict_proba(X), atol=0.05)


# ------------------------------------------------------------------------------------------------------------ weights


def test_class_weight_is_a_sample_weight_by_class():
    X, y = patches()
    y = np.where(np.arange(60) % 3 == 0, "landslide", "forest")
    by_class = tiny(class_weight={"landslide": 4.0, "forest": 0.5}).fit(X, y)
    by_sample = tiny().fit(X, y, sample_weight=np.where(y == "landslide", 4.0, 0.5))
    assert same_weights(by_class, by_sample)
    assert not same_weights(by_class, tiny().fit(X, y))
    partial = tiny(class_weight={"landslide": 4.0}).fit(X, y)
    assert same_weights(partial, tiny().fit(X, y, sample_weight=np.where(y == "landslide", 4.0, 1.0)))


def test_balanced_is_scikit_learns_balanced():
    X, _ = patches()
    y = np.where(np.arange(60) % 5 == 0, 1, 0)
    values = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
    assert same_weights(
        tiny(class_weight="balanced").fit(X, y), tiny(class_weight={0: values[0], 1: values[1]}).fit(X, y)
    )


def test_class_and_sample_weights_multiply():
    X, y = patches()
    given = np.linspace(0.5, 2, 60)
    both = tiny(class_weight={0: 2.0, 1: 0.25}).fit(X, y, sample_weight=given)
    product = tiny().fit(X, y, sample_weight=given * np.where(y == 1, 0.25, 2.0))
    assert same_weights(both, product)


def test_samples_of_zero_weight_teach_nothing():
    X, y = patches(80, shift=3)
    twice, contradictory = np.concatenate([X, X]), np.concatenate([y, 1 - y])
    weight = np.repeat([1.0, 0.0], 80)
    cnn = tiny(epochs=15, early_stopping=True, validation_fraction=0.2)
    assert cnn.fit(twice, contradictory, sample_weight=weight).score(X, y) > 0.9
    assert cnn.fit(twice, contradictory, sample_weight=1 - weight).score(X, y) < 0.1


def test_wrong_weights_are_refused():
    X, y = patches()
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        tiny().fit(X, y, sample_weight=np.r_[-1.0, np.ones(59)])
    with pytest.raises(ValueError, match="class_weight"):
        tiny(class_weight={"landslide": 2.0}).fit(X, y)


# ----------------------------------------------------------------------------------------------------- early stopping


def unlearnable(n=80):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4, 4, 2)).astype(np.float32), rng.integers(0, 2, n)


def test_early_stopping_stops_and_keeps_the_best_epoch():
    X, y = unlearnable()
    options = {"early_stopping": True, "validation_fraction": 0.25, "learning_rate": 0.02}
    cnn = tiny(epochs=60, n_iter_no_change=3, **options).fit(X, y)
    assert set(cnn.history_) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    best = int(np.argmin(cnn.history_["val_loss"]))
    assert cnn.n_iter_ == len(cnn.history_["val_loss"]) == best + 1 + 3 < 60
    # Training only up to the best epoch gives the very weights that were kept.
    until_best = tiny(epochs=best + 1, n_iter_no_change=3, **options).fit(X, y)
    assert same_weights(cnn, until_best)
    longer = tiny(epochs=best + 3, n_iter_no_change=60, **options).fit(X, y)
    assert same_weights(cnn, longer)


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name, value", [("filters", 4), ("dropout", 1.0), ("padding", "reflect"), ("epochs", 0)])
def test_wrong_parameters_are_refused_when_fitted(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of LandslideCNN must be"):
        tiny(**{name: value}).fit(*patches(20))


@pytest.mark.parametrize("filters", [(0,), (2.5,), ()])
def test_filters_that_are_no_numbers_of_filters_are_refused(filters):
    with pytest.raises(ValueError, match="give the number of filters of each convolution block"):
        tiny(filters=filters).fit(*patches(20))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: X[:, :3], r"\(3, 4, 2\) \(rows, cols, bands\), but the network was trained on \(4, 4, 2\)"),
        (lambda X: X[..., :1], r"\(4, 4, 1\).*trained on \(4, 4, 2\)\. Use the same patch_size and composite"),
        (lambda X: X[..., 0], r"X has shape \(20, 4, 4\);.*\(n_samples, rows, cols, n_bands\)"),
        (lambda X: np.where(X > 1, np.nan, X), "Input X contains NaN"),
        (lambda X: X[:, 0, 0, :1], "X has 1 features, but LandslideCNN is expecting 2 features"),
        (lambda X: X[:, 0, 0], r"\(1, 1, 2\).*trained on \(4, 4, 2\)"),
    ],
)
def test_other_input_than_trained_on_is_refused(change, match):
    X, y = patches(20)
    cnn = tiny(epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=match):
        cnn.predict_proba(change(X))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X, y: (X[..., 0], y), "Put a PatchSampler before it"),
        (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
        (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[20, 19\]"),
        (lambda X, y: (X, np.zeros(20, int)), "at least two classes, but y holds only one class"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        tiny().fit(*change(*patches(20)))


# -------------------------------------------------------------------------------------------------------- persistence


def test_pickle_and_deepcopy_predict_the_same():
    X, y = patches()
    cnn = tiny().fit(X, y)
    expected = cnn.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(cnn)), copy.deepcopy(cnn)):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert other.history_ == cnn.history_ and other.patch_shape_ == cnn.patch_shape_
        other.model_.set_weights([w * 0 for w in other.model_.get_weights()])  # they share nothing
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


def test_a_pickled_network_of_full_size_is_small_and_names_no_place():
    X, y = patches(20, size=25, bands=3)
    cnn = LandslideCNN(epochs=1, random_state=0).fit(X, y)
    cnn.predict_proba(X)
    data = pickle.dumps(cnn)
    assert len(data) < 5e6
    config = repr(cnn.model_.get_config()).encode()
    for place in {tempfile.gettempdir(), os.getcwd(), os.path.expanduser("~"), sys.prefix}:
        if len(place) > 1:
            assert place.encode() not in data and place.encode() not in config
    np.testing.assert_array_equal(pickle.loads(data).predict_proba(X), cnn.predict_proba(X))


@pytest.mark.parametrize("classes", [2, 3])
def test_decision_function_is_the_log_odds_of_the_probabilities(classes):
    X, y = patches()
    y = np.arange(len(X)) % classes
    model = tiny().fit(X, y)
    odds = model.decision_function(X)
    probability = model.predict_proba(X).astype(np.float64)
    assert odds.dtype == np.float64
    if classes == 2:
        np.testing.assert_allclose(odds, np.log(probability[:, 1] / probability[:, 0]), rtol=1e-4, atol=1e-6)
        assert np.array_equal((odds > 0).astype(int), model.predict(X))
    else:
        np.testing.assert_allclose(odds, np.log(probability), rtol=1e-4, atol=1e-6)
