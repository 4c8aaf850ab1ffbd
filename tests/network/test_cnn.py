"""build_cnn and LandslideCNN: the paper's network, training, seeds, weights, and clear refusals."""

import copy
import os
import pickle
import random
import subprocess
import sys
import tempfile

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import compute_class_weight

from sklandslide import LandslideCNN, build_cnn

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
    model = build_cnn(patch_shape=(25, 25, 3), n_classes=2)
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
    assert resample.output.shape == (None, 32, 32, 3)
    for convolution, filters in zip(blocks[::2], (16, 32, 64), strict=True):
        assert convolution.filters == filters
        assert convolution.kernel_size == (3, 3)
        assert convolution.strides == (1, 1)
        assert convolution.padding == "same"
        assert convolution.activation.__name__ == "relu"
        assert convolution.use_bias
    for pooling, side in zip(blocks[1::2], (16, 8, 4), strict=True):
        assert pooling.pool_size == (2, 2)
        assert pooling.strides == (2, 2)
        assert pooling.output.shape[1:3] == (side, side)
    dropout, _, dense, probabilities = layers[7:]
    assert dropout.rate == 0.2
    assert (dense.units, dense.activation.__name__) == (128, "relu")
    assert (probabilities.units, probabilities.activation.__name__) == (2, "softmax")


def test_the_papers_network_has_the_parameters_counted_by_hand():
    convolutions = (3 * 3 * 3 + 1) * 16 + (3 * 3 * 16 + 1) * 32 + (3 * 3 * 32 + 1) * 64
    dense = (4 * 4 * 64 + 1) * 128 + (128 + 1) * 2
    model = build_cnn(patch_shape=(25, 25, 3), n_classes=2)
    assert model.count_params() == convolutions + dense == 155042


def test_the_papers_network_is_compiled_with_adam_and_cross_entropy():
    import keras

    model = build_cnn(patch_shape=(25, 25, 3), n_classes=2, learning_rate=2e-4)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(2e-4)
    assert model.loss == "sparse_categorical_crossentropy"


def test_landslide_cnn_has_the_papers_defaults():
    params = LandslideCNN().get_params()
    assert params["filters"] == (16, 32, 64)
    assert (params["dense_units"], params["dropout"], params["padding"], params["input_size"]) == (128, 0.2, "same", 32)


def test_resampling_only_where_it_changes_the_size():
    def names(**changes):
        return [type(layer).__name__ for layer in build_cnn(n_classes=2, **changes).layers]

    assert "Resizing" not in names(patch_shape=(32, 32, 3))
    assert "Resizing" not in names(patch_shape=(25, 25, 3), input_size=None)
    assert "Resizing" in names(patch_shape=(32, 30, 3))


def test_valid_padding_and_other_sizes():
    model = build_cnn(patch_shape=(25, 25, 3), n_classes=4, padding="valid", filters=(5, 6), dense_units=7)
    # 32 -> 30 -> 15 -> 13 -> 6
    assert model.get_layer("pooling_2").output.shape == (None, 6, 6, 6)
    assert model.output_shape == (None, 4)
    assert model.count_params() == (27 + 1) * 5 + (45 + 1) * 6 + (216 + 1) * 7 + 8 * 4


def test_normalisation_comes_before_resampling():
    model = build_cnn(patch_shape=(25, 25, 2), n_classes=2, mean=[1, 2], variance=[3, 4])
    assert [layer.name for layer in model.layers[:2]] == ["normalise", "resample"]
    np.testing.assert_array_equal(model.layers[0].mean.numpy().ravel(), [1, 2])
    np.testing.assert_array_equal(model.layers[0].variance.numpy().ravel(), [3, 4])


@pytest.mark.parametrize(
    "changes, side",
    [
        ({"patch_shape": (7, 7, 3), "input_size": None}, "7 x 7"),
        ({"patch_shape": (40, 7, 3), "input_size": None}, "40 x 7"),
        ({"patch_shape": (25, 25, 3), "input_size": 7}, "7 x 7"),
        ({"patch_shape": (25, 25, 3), "input_size": 21, "padding": "valid"}, "21 x 21"),
    ],
)
def test_an_input_that_pooling_would_use_up_is_refused(changes, side):
    with pytest.raises(ValueError, match=f"{side} pixels is too small for 3 blocks"):
        build_cnn(n_classes=2, **changes)


def test_the_smallest_inputs_that_fit():
    assert build_cnn(patch_shape=(8, 8, 1), n_classes=2, input_size=None).output_shape == (None, 2)
    assert build_cnn(patch_shape=(22, 22, 1), n_classes=2, input_size=None, padding="valid").output_shape == (None, 2)


def test_build_cnn_needs_the_shape_and_the_number_of_classes():
    with pytest.raises(ValueError, match=r"needs patch_shape=\(rows, cols, bands\) and n_classes"):
        build_cnn(patch_shape=(25, 25, 3))
    with pytest.raises(ValueError, match="needs patch_shape"):
        build_cnn(n_classes=2)


def test_build_cnn_seed():
    def kernels(seed):
        model = build_cnn(patch_shape=(8, 8, 1), n_classes=2, filters=(4,), dense_units=8, random_state=seed)
        return [variable.numpy() for variable in model.trainable_variables]

    assert all(np.array_equal(a, b) for a, b in zip(kernels(0), kernels(0), strict=True))
    assert not np.array_equal(kernels(0)[0], kernels(1)[0])


def test_bare_scikeras_takes_build_cnn():
    from scikeras.wrappers import KerasClassifier

    X, y = patches(size=8)
    labels = np.array(["forest", "landslide"])[y]
    bare = KerasClassifier(
        build_cnn, filters=(4,), dense_units=8, input_size=8, learning_rate=0.05, epochs=10, verbose=0
    )
    bare.fit(X, labels)
    assert [layer.name for layer in bare.model_.layers][:2] == ["convolution_1", "pooling_1"]
    assert bare.model_.get_layer("convolution_1").filters == 4
    assert float(bare.model_.optimizer.learning_rate.numpy()) == pytest.approx(0.05)
    probabilities = bare.predict_proba(X)
    assert probabilities.shape == (60, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert set(bare.predict(X)) <= {"forest", "landslide"}
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


def test_three_classes_are_learnt():
    X, y = patches(150, classes=3, shift=3)
    cnn = tiny(epochs=20).fit(X, y)
    assert cnn.score(*patches(60, classes=3, shift=3, seed=1)) > 0.9


def test_a_prediction_does_not_depend_on_its_batch(monkeypatch):
    X, y = patches()
    cnn = tiny().fit(X, y)
    whole = cnn.predict_proba(X)
    for i in (0, 17, 59):
        np.testing.assert_allclose(cnn.predict_proba(X[i : i + 1])[0], whole[i], atol=1e-6)
    np.testing.assert_allclose(cnn.predict_proba(X[::-1])[::-1], whole, atol=1e-6)
    monkeypatch.setattr("sklandslide.network.cnn._PREDICT_BATCH", 7)  # 60 is no multiple of it
    np.testing.assert_allclose(cnn.predict_proba(X), whole, atol=1e-6)


def test_predicting_changes_nothing_and_repeats():
    X, y = patches()
    cnn = tiny(dropout=0.5).fit(X, y)
    before = X.copy()
    np.testing.assert_array_equal(cnn.predict_proba(X), cnn.predict_proba(X))  # no dropout
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(
    "labels, expected",
    [
        (np.array(["forest", "landslide"]), str),
        (np.array(["forest", "landslide"], dtype=object), object),
        (np.array([False, True]), bool),
        (np.array([17, 3]), np.integer),
        (np.array([-1, 1], dtype=np.int8), np.int8),
        (np.array([0.0, 1.0]), np.floating),
    ],
    ids=["str", "object", "bool", "gaps", "int8", "float"],
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


def test_labels_as_a_list_and_as_a_series():
    X, y = patches()
    expected = tiny().fit(X, y)
    assert same_weights(expected, tiny().fit(X, y.tolist()))
    assert same_weights(expected, tiny().fit(X, pd.Series(y, index=np.arange(60)[::-1])))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int16, np.uint8, np.int64])
def test_input_of_other_types_gives_the_same(dtype):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 200, (30, 4, 4, 2))  # exact in every type
    y = np.arange(30) % 2
    expected = tiny().fit(X.astype(np.float32), y)
    other = tiny().fit(X.astype(dtype), y)
    assert same_weights(expected, other)
    np.testing.assert_array_equal(expected.predict_proba(X.astype(np.float32)), other.predict_proba(X.astype(dtype)))


def test_input_that_is_not_contiguous_or_is_a_list():
    X, y = patches(20)
    expected = tiny().fit(X, y)
    assert same_weights(expected, tiny().fit(np.asfortranarray(X), y))
    assert same_weights(expected, tiny().fit(X.tolist(), y))


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


def test_a_model_put_in_place_by_hand_is_the_one_that_predicts():
    X, y = patches()
    one, other = tiny().fit(X, y), tiny(random_state=1).fit(X, y)
    one.predict_proba(X)
    one.model_ = other.model_
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("name, value", [("learning_rate", 0.05), ("batch_size", 60), ("dropout", 0.5)])
def test_training_parameters_reach_the_training(name, value):
    X, y = patches()
    assert not same_weights(tiny().fit(X, y), tiny(**{name: value}).fit(X, y))


def test_a_tiny_learning_rate_learns_nothing():
    X, y = patches()
    cnn = tiny(learning_rate=1e-12).fit(X, y)
    untrained = build_cnn(
        patch_shape=(4, 4, 2),
        n_classes=2,
        filters=(4,),
        dense_units=8,
        input_size=None,
        random_state=int(np.random.RandomState(0).randint(np.iinfo(np.int32).max, size=4)[0]),
    )
    for ours, initial in zip(weights(cnn), untrained.trainable_variables, strict=True):
        np.testing.assert_allclose(ours, initial.numpy(), atol=1e-9)


def test_verbose_speaks_and_silence_is_silent(capfd):
    X, y = patches(20)
    tiny().fit(X, y).predict(X)
    assert "loss" not in capfd.readouterr().out
    tiny(verbose=2).fit(X, y)
    out = capfd.readouterr().out
    assert "Epoch 2/2" in out and "loss" in out


# ------------------------------------------------------------------------------------------------------------- seeds


def test_same_seed_same_weights_whatever_was_trained_between():
    X, y = patches()
    first = tiny(dropout=0.5).fit(X, y)
    tiny(random_state=7, filters=(3,)).fit(*patches(seed=9, classes=3))
    assert same_weights(first, tiny(dropout=0.5).fit(X, y))
    assert not same_weights(first, tiny(dropout=0.5, random_state=1).fit(X, y))


_TRAIN = """
import sys, pathlib
import numpy as np
from sklandslide import LandslideCNN
X, y = np.load(sys.argv[1] + "/X.npy"), np.load(sys.argv[1] + "/y.npy")
cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, learning_rate=0.01, random_state=0)
np.savez(sys.argv[1] + "/weights.npz", *[v.numpy() for v in cnn.fit(X, y).model_.trainable_variables])
"""


@pytest.mark.slow
def test_same_seed_same_weights_in_another_process(tmp_path):
    X, y = patches()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    environment = {**os.environ, "PYTHONHASHSEED": "123", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", _TRAIN, str(tmp_path)], check=True, env=environment, timeout=300)
    with np.load(tmp_path / "weights.npz") as there:
        for name, ours in zip(there.files, weights(tiny().fit(X, y)), strict=True):
            np.testing.assert_array_equal(there[name], ours)


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


def test_no_global_state_is_changed(restored_globals):
    import keras
    import tensorflow as tf
    from tensorflow.python.framework import config

    X, y = patches()

    def switches():
        return (
            keras.config.floatx(),
            keras.config.epsilon(),
            keras.config.image_data_format(),
            config.is_op_determinism_enabled(),
            tf.config.functions_run_eagerly(),
            dict(os.environ),
        )

    def numbers(between):
        keras.utils.set_random_seed(3)  # Python, NumPy, TensorFlow and Keras at once
        drawn = [np.random.random(), random.random(), float(tf.random.uniform(())), float(keras.random.uniform(()))]  # noqa: NPY002
        between()
        drawn += [np.random.random(), random.random(), float(tf.random.uniform(())), float(keras.random.uniform(()))]  # noqa: NPY002
        return drawn

    cnn = tiny(early_stopping=True, validation_fraction=0.2)
    before = switches()
    undisturbed = numbers(lambda: None)
    assert numbers(lambda: cnn.fit(X, y)) == undisturbed
    assert numbers(lambda: cnn.predict_proba(X)) == undisturbed
    assert numbers(lambda: pickle.loads(pickle.dumps(cnn))) == undisturbed
    assert switches() == before


def test_global_seeds_do_not_reach_a_seeded_network(restored_globals):
    import tensorflow as tf

    X, y = patches()
    first = tiny(dropout=0.5).fit(X, y)
    np.random.seed(11)  # noqa: NPY002
    random.seed(11)
    tf.random.set_seed(11)
    assert same_weights(first, tiny(dropout=0.5).fit(X, y))


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


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, batch_size", [(60, 16), (60, 60), (61, 20), (5, 32)])
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


@pytest.mark.parametrize("early_stopping", [False, True])
def test_nothing_of_a_fit_is_left_for_the_next(monkeypatch, early_stopping):
    from sklandslide.network import programs as _programs

    options = {"dropout": 0.5, "early_stopping": early_stopping, "validation_fraction": 0.2}
    X, y = patches()
    monkeypatch.setattr(_programs, "_idle", [])
    first = tiny(**options).fit(X, y)
    tiny(**options, learning_rate=0.5, epochs=3, random_state=4).fit(X[::-1] * 7 + 3, 1 - y)
    assert same_weights(first, tiny(**options).fit(X, y))


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

    alone = [train(seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(train, range(4)))
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


def test_any_keras_model_put_in_place_predicts():
    import keras

    X, y = patches()
    cnn = tiny().fit(X, y)
    inputs = keras.Input((4, 4, 2))
    out = keras.layers.Dense(2, activation=lambda x: keras.ops.softmax(2 * x))(keras.layers.Flatten()(inputs))
    for other in (
        keras.Model(inputs, out),
        keras.Sequential(
            [
                keras.Input((4, 4, 2)),
                keras.layers.Normalization(axis=(1, 2, 3), mean=X.mean(axis=0), variance=X.var(axis=0)),
                keras.layers.PReLU(),
                keras.layers.Flatten(),
                keras.layers.Dense(2, activation=keras.ops.softmax),
            ]
        ),
    ):
        cnn.model_ = other
        np.testing.assert_allclose(cnn.predict_proba(X), other.predict(X, verbose=0), atol=1e-6)


def compiled(seed=0):
    import keras

    from sklandslide.network.training import training_model

    network = build_cnn(
        patch_shape=(4, 4, 2), n_classes=2, filters=(4,), dense_units=8, input_size=None, random_state=seed
    )
    model = training_model(network, None, (1, 2))
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_keras_callbacks_are_heard_and_may_change_rate_and_weights():
    import keras

    X, y = patches()
    heard = []

    class Listener(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            heard.append(f"begin {epoch}")

        def on_epoch_end(self, epoch, logs=None):
            heard.append(f"end {sorted(logs)}")
            if epoch == 1:
                self.model.set_weights(start)
                self.model.optimizer.learning_rate = 1e-12

    model = compiled()
    start = model.get_weights()
    history = model.fit(X, y, batch_size=32, epochs=3, callbacks=[Listener()], validation_data=(X, y))
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert heard == [f"{x}" for epoch in range(3) for x in (f"begin {epoch}", f"end {names}")]
    assert sorted(history.history) == names
    for before, after in zip(start, model.get_weights(), strict=True):
        np.testing.assert_allclose(before, after, atol=1e-9)
    losses = model.network.predict(X, verbose=0)[np.arange(60), y]
    assert history.history["val_loss"][-1] == pytest.approx(-np.log(losses).mean(), rel=1e-5)


def test_an_interrupted_fit_leaves_no_trace():
    import keras

    X, y = patches()
    expected = tiny(dropout=0.2).fit(X, y)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compiled().fit(X, y, batch_size=32, epochs=5, callbacks=[Interrupt()])
    assert same_weights(expected, tiny(dropout=0.2).fit(X, y))


def test_other_keras_models_train_as_before():
    X, y = patches()

    def train():
        model = build_cnn(
            patch_shape=(4, 4, 2), n_classes=2, filters=(4,), dense_units=8, input_size=None, random_state=0
        )
        model.fit(X, y, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    before = train()
    tiny().fit(X, y)
    assert all(np.array_equal(a, b) for a, b in zip(before, train(), strict=True))


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


_SHARE = """
import numpy as np
from sklandslide import LandslideCNN
X = np.random.default_rng(0).normal(size=(20, 4, 4, 1))
LandslideCNN(filters=(2,), dense_units=2, input_size=None, epochs=1, random_state=0).fit(X, np.arange(20) % 2)
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads(), tf.config.threading.get_inter_op_parallelism_threads())
"""
_VARIABLE = "import os; os.environ['TF_NUM_INTRAOP_THREADS'] = '3'"
_USERS_OWN = "import tensorflow as tf; tf.config.threading.set_intra_op_parallelism_threads(5)"
_STARTED = "import tensorflow as tf; tf.zeros(1)"


@pytest.mark.slow
@pytest.mark.parametrize(
    "before, variable, expected",
    [
        ("", "1", "cores 1"),
        ("", "3,1", "cores 3"),
        ("", None, "cores 0"),
        ("", "many", "cores 0"),
        (_VARIABLE, "1", "0 1"),
        (_USERS_OWN, "1", "5 0"),
        (_STARTED, "1", "0 0"),
    ],
    ids=["share", "nested", "none", "no number", "variable", "user's own", "started"],
)
def test_a_workers_share_of_the_cores(before, variable, expected):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {} if variable is None else {"OMP_NUM_THREADS": variable}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", before + _SHARE],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        timeout=300,
    )
    assert done.stdout.strip() == expected.replace("cores", str(joblib.cpu_count()))


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


def test_scale_and_offset_of_a_band_do_not_matter():
    X, y = patches()
    plain = tiny(epochs=4).fit(X, y)
    changed = X * np.float32(1024) + np.float32([2048, -4096])
    other = tiny(epochs=4).fit(changed, y)
    np.testing.assert_allclose(plain.predict_proba(X), other.predict_proba(changed), atol=2e-3)
    # but a fitted model keeps the normalisation of its training
    assert np.abs(plain.predict_proba(changed) - plain.predict_proba(X)).max() > 0.1


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


def test_balanced_finds_more_of_a_rare_class():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [180, 20])
    X = (rng.normal(size=(200, 1, 1, 1)) + y[:, None, None, None]).astype(np.float32)
    plain, balanced = (
        tiny(filters=(4,), input_size=2, epochs=15, class_weight=w).fit(X, y).predict(X).mean()
        for w in (None, "balanced")
    )
    assert balanced > plain + 0.1


def test_class_and_sample_weights_multiply():
    X, y = patches()
    given = np.linspace(0.5, 2, 60)
    both = tiny(class_weight={0: 2.0, 1: 0.25}).fit(X, y, sample_weight=given)
    product = tiny().fit(X, y, sample_weight=given * np.where(y == 1, 0.25, 2.0))
    assert same_weights(both, product)


def test_equal_weights_are_no_weights():
    X, y = patches()
    assert same_weights(tiny().fit(X, y), tiny().fit(X, y, sample_weight=np.ones(60)))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_samples_of_zero_weight_teach_nothing(early_stopping):
    X, y = patches(80, shift=3)
    twice, contradictory = np.concatenate([X, X]), np.concatenate([y, 1 - y])
    weight = np.repeat([1.0, 0.0], 80)
    options = {"epochs": 15, "early_stopping": early_stopping, "validation_fraction": 0.2}
    right = tiny(**options).fit(twice, contradictory, sample_weight=weight)
    wrong = tiny(**options).fit(twice, contradictory, sample_weight=1 - weight)
    assert right.score(X, y) > 0.9
    assert wrong.score(X, y) < 0.1


@pytest.mark.parametrize(
    "weight, match",
    [
        (np.ones(59), "sample_weight.shape|inconsistent|shape"),
        (np.ones((60, 2)), "1D|dimension"),
        (np.r_[-1.0, np.ones(59)], "[Nn]egative"),
        (np.r_[np.nan, np.ones(59)], "NaN"),
    ],
    ids=["length", "2-D", "negative", "NaN"],
)
def test_wrong_sample_weights_are_refused(weight, match):
    X, y = patches()
    with pytest.raises(ValueError, match=match):
        tiny().fit(X, y, sample_weight=weight)


def test_a_class_weight_for_no_class_is_refused():
    X, y = patches()
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


def test_early_stopping_goes_on_while_it_helps():
    X, y = patches(shift=3)
    cnn = tiny(epochs=4, early_stopping=True, n_iter_no_change=4, validation_fraction=0.2).fit(X, y)
    assert cnn.n_iter_ == 4


def test_without_early_stopping_all_patches_are_trained_on_for_all_epochs():
    X, y = unlearnable()
    cnn = tiny(epochs=6, n_iter_no_change=1, learning_rate=0.05).fit(X, y)
    assert cnn.n_iter_ == 6 and "val_loss" not in cnn.history_
    np.testing.assert_allclose(
        cnn.model_.get_layer("normalise").mean.numpy().ravel(), X.mean(axis=(0, 1, 2)), atol=1e-6
    )


def test_the_validation_part_is_drawn_with_the_seed():
    X, y = unlearnable()

    def mean(seed):
        cnn = tiny(epochs=1, early_stopping=True, random_state=seed).fit(X, y)
        return cnn.model_.get_layer("normalise").mean.numpy().ravel()

    np.testing.assert_array_equal(mean(0), mean(0))
    assert not np.array_equal(mean(0), mean(1))


def test_a_validation_part_too_small_for_the_classes_is_refused():
    X, y = patches(10)
    with pytest.raises(ValueError, match="number of classes"):
        tiny(early_stopping=True, validation_fraction=0.1).fit(X, y)


# ----------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "name, value",
    [
        ("filters", 4),
        ("filters", "many"),
        ("dense_units", 0),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("padding", "reflect"),
        ("input_size", 0),
        ("input_size", 8.5),
        ("learning_rate", 0),
        ("batch_size", 0),
        ("epochs", 0),
        ("early_stopping", "yes"),
        ("validation_fraction", 0.0),
        ("validation_fraction", 1.0),
        ("n_iter_no_change", 0),
        ("class_weight", "even"),
        ("random_state", "seed"),
        ("verbose", -1),
    ],
)
def test_wrong_parameters_are_refused_when_fitted(name, value):
    cnn = tiny(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of LandslideCNN must be"):
        cnn.fit(*patches(20))


@pytest.mark.parametrize("filters", [(0,), (-1,), (2.5,), ("a",), ()])
def test_filters_that_are_no_numbers_of_filters_are_refused(filters):
    with pytest.raises(ValueError, match="filters"):
        tiny(filters=filters).fit(*patches(20))


def test_a_patch_that_pooling_would_use_up_is_refused():
    with pytest.raises(ValueError, match="4 x 4 pixels is too small for 3 blocks"):
        tiny(filters=(2, 2, 2)).fit(*patches(20))
    with pytest.raises(ValueError, match="input_size=32"):
        tiny(filters=(2, 2, 2)).fit(*patches(20))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: X[:, :3], r"\(3, 4, 2\) \(rows, cols, bands\), but the network was trained on \(4, 4, 2\)"),
        (lambda X: X[..., :1], r"\(4, 4, 1\).*trained on \(4, 4, 2\)\. Use the same patch_size and composite"),
        (lambda X: np.repeat(X, 2, axis=1), r"\(8, 4, 2\).*trained on"),
        (lambda X: X[..., 0], r"X has shape \(20, 4, 4\);.*\(n_samples, rows, cols, n_bands\)"),
        (lambda X: X[0, 0, 0, 0], "scalar|0D|array"),
        (lambda X: X[..., None], r"X has shape \(20, 4, 4, 2, 1\)"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: np.where(X > 1, np.nan, X), "Input X contains NaN"),
        (lambda X: np.where(X > 1, np.inf, X), "Input X contains infinity"),
        (lambda X: X[:, 0, 0, :1], "X has 1 features, but LandslideCNN is expecting 2 features"),
        (lambda X: X[:, 0, 0], r"\(1, 1, 2\).*trained on \(4, 4, 2\)"),
        (lambda X: X.astype(complex), "[Cc]omplex"),
        (lambda X: X.astype(str).astype(object) + "x", "could not convert|string"),
    ],
)
def test_other_input_than_trained_on_is_refused(change, match):
    X, y = patches(20)
    cnn = tiny(epochs=1).fit(X, y)
    with pytest.raises(ValueError, match=match):
        cnn.predict_proba(change(X))
    with pytest.raises(ValueError, match=match):
        cnn.predict(change(X))


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X, y: (X[..., 0], y), "Put a PatchSampler before it"),
        (lambda X, y: (np.where(X > 1, np.nan, X), y), "Input X contains NaN"),
        (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
        (lambda X, y: (X, y[:-1]), r"inconsistent numbers of samples: \[20, 19\]"),
        (lambda X, y: (X, np.zeros(20, int)), "at least two classes, but y holds only one class"),
        (lambda X, y: (X, np.full(20, "forest")), "only one class.*forest"),
        (lambda X, y: (X, np.stack([y, y], axis=1)), "1d array|shape"),
        (lambda X, y: (X, y + 0.25), "continuous|Unknown label type"),
        (lambda X, y: (X, np.where(y == 0, np.nan, 1.0)), "NaN"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        tiny().fit(*change(*patches(20)))


def test_unfitted_is_refused():
    X, _ = patches(20)
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(tiny(), method)(X)


# -------------------------------------------------------------------------------------------------------- persistence


def test_pickle_and_deepcopy_predict_the_same():
    X, y = patches()
    cnn = tiny().fit(X, y)
    expected = cnn.predict_proba(X)
    for other in (pickle.loads(pickle.dumps(cnn)), copy.deepcopy(cnn), pickle.loads(pickle.dumps(cnn))):
        np.testing.assert_array_equal(other.predict_proba(X), expected)
        assert other.history_ == cnn.history_ and other.patch_shape_ == cnn.patch_shape_
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(other)).predict_proba(X), expected)
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)


def test_a_deep_copy_shares_no_weights():
    X, y = patches()
    cnn = tiny().fit(X, y)
    expected = cnn.predict_proba(X)
    other = copy.deepcopy(cnn)
    other.model_.get_layer("probabilities").kernel.assign(np.zeros((8, 2)))
    np.testing.assert_array_equal(cnn.predict_proba(X), expected)
    np.testing.assert_allclose(other.predict_proba(X)[:, :1], other.predict_proba(X)[:1, :1].repeat(60, axis=0))


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


def test_clone_forgets_what_was_learnt():
    X, y = patches(20)
    cnn = tiny(epochs=1, class_weight={0: 1.0, 1: 2.0}).fit(X, y)
    copied = clone(cnn)
    assert copied.get_params() == cnn.get_params()
    assert not [name for name in vars(copied) if name.endswith("_")]
    assert [name for name in vars(cnn) if name.endswith("_")]


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
