"""The same seed gives the same weights, searches and maps, whatever else the process has done or is set to."""

import hashlib
import json
import locale
import os
import pickle
import random
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fitting import some_locations
from scenes import random_scene
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import Augmenter, BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor
from sklandslide.mapping import tiles

HERE = Path(__file__).parents[1]
NETWORK = {"filters": (4,), "dense_units": 8, "dropout": 0.3, "epochs": 2, "learning_rate": 0.01, "random_state": 0}


def patches():
    X = np.random.RandomState(0).normal(size=(60, 8, 8, 2)).astype(np.float32)
    y = np.arange(60) % 2
    X[..., 1] *= 1e-4  # a band whose spread is near Keras's epsilon
    X[y == 1] *= 1.5
    return X, y


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def trained():
    """Digest of weights, history and predictions: plain, and resampled with a validation part."""
    X, y = patches()
    found = []
    for options in ({"input_size": None}, {"input_size": 10, "early_stopping": True}):
        cnn = LandslideCNN(**NETWORK, **options).fit(X, y)
        history = [cnn.history_[name] for name in sorted(cnn.history_)]
        found.append(digest(*[v.numpy() for v in cnn.model_.trainable_variables], *history, cnn.predict_proba(X)))
    return found


def fresh(monkeypatch):
    """Compile anew what is needed, as a process does that has compiled nothing before."""
    from sklandslide.network import programs as _programs

    monkeypatch.setattr(_programs, "_idle", [])
    monkeypatch.setattr(_programs, "_forward", type(_programs._forward)())


@pytest.fixture(scope="module")
def usual():
    """What training gives in a process that nothing was done to."""
    return trained()


# ------------------------------------------------------------------------------------------------ settings of a process


@contextmanager
def keras_policy(name):
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    yield lambda: keras.config.dtype_policy().name
    keras.config.set_dtype_policy(before)


@contextmanager
def keras_setting(name, value):
    from keras import config

    before = getattr(config, name)()
    getattr(config, f"set_{name}")(value)
    yield getattr(config, name)
    getattr(config, f"set_{name}")(before)


@contextmanager
def op_determinism():
    from tensorflow.python.framework import config

    config.enable_op_determinism()
    yield config.is_op_determinism_enabled
    config.disable_op_determinism()


@contextmanager
def eager():
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield tf.config.functions_run_eagerly
    tf.config.run_functions_eagerly(False)


@contextmanager
def numpy_errors():
    before = np.seterr(over="raise", invalid="raise")
    yield lambda: sorted(np.geterr().items())
    np.seterr(**before)


SETTINGS = {
    "mixed_float16": lambda: keras_policy("mixed_float16"),
    "float64 policy": lambda: keras_policy("float64"),
    "floatx float16": lambda: keras_setting("floatx", "float16"),
    "floatx float64": lambda: keras_setting("floatx", "float64"),
    "channels first": lambda: keras_setting("image_data_format", "channels_first"),
    "epsilon": lambda: keras_setting("epsilon", 0.01),
    "op determinism": op_determinism,
    "eager functions": eager,
    "numpy errors": numpy_errors,
}


@pytest.mark.parametrize("name", SETTINGS)
def test_training_is_the_same_whatever_the_process_is_set_to_and_leaves_it_so(usual, monkeypatch, name):
    fresh(monkeypatch)
    with SETTINGS[name]() as setting:
        before = setting()
        assert trained() == usual
        assert setting() == before
    # and what was compiled under that setting serves the usual one
    assert trained() == usual


def test_threads_that_leave_at_different_times_restore_the_settings():
    from keras import config

    from sklandslide.network.settings import usual_settings

    with keras_setting("floatx", "float16"):
        first, second = usual_settings(), usual_settings()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert config.floatx() == "float32"  # the second is still inside
        second.__exit__(None, None, None)
        assert config.floatx() == "float16"
        with pytest.raises(ValueError, match="stop"), usual_settings():
            raise ValueError("stop")
        assert config.floatx() == "float16"
        LandslideCNN(**NETWORK, input_size=None).fit(*patches())
        assert config.floatx() == "float16"


def test_a_network_is_read_back_the_same_whatever_keras_is_set_to(usual):
    import copy

    X, y = patches()
    cnn = LandslideCNN(**NETWORK, input_size=10).fit(X, y)
    expected = cnn.predict_proba(X)
    with keras_policy("mixed_float16"), keras_setting("image_data_format", "channels_first"):
        again = copy.deepcopy(cnn)
    assert np.array_equal(again.predict_proba(X), expected)
    assert [str(layer.dtype_policy.name) for layer in again.model_.layers] == ["float32"] * len(cnn.model_.layers)


# ------------------------------------------------------------------------------------------ what was trained before


def test_training_is_the_same_after_any_other_model(usual, monkeypatch):
    import keras
    import tensorflow as tf
    from scikeras.wrappers import KerasClassifier
    from tensorflow.python.framework import config

    from sklandslide import build_cnn

    X, y = patches()
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        LandslideCNN(**{**NETWORK, "random_state": 9, "filters": (3,)}, input_size=None).fit(X, y)
        fresh(monkeypatch)
        assert trained() == usual
        plain = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
        plain.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        plain.fit(X, y, epochs=1, verbose=0)
        KerasClassifier(build_cnn, filters=(4,), dense_units=8, epochs=1, verbose=0, random_state=0).fit(X, y)
        tf.config.experimental.enable_op_determinism()  # as scikeras does while it trains
        keras.utils.set_random_seed(5)
        tf.random.set_seed(6)
        np.random.seed(7)  # noqa: NPY002
        fresh(monkeypatch)
        assert trained() == usual
    finally:
        config.disable_op_determinism()
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])


# --------------------------------------------------------------------------------------- searches, maps, processes


def fitted_search(n_jobs=None):
    scene = random_scene(seed=3)
    X, y = some_locations(scene, 60, 8)
    cnn = LandslideCNN(**NETWORK, input_size=None)
    pipe = make_pipeline(BandStacker(["Red", "Blue"]), PatchSampler(patch_size=8), Augmenter(), cnn)
    grid = {"landslidecnn__learning_rate": [0.01, 0.03]}
    return GridSearchCV(pipe, grid, cv=2, n_jobs=n_jobs, scoring="neg_log_loss").fit(X, y)


def results_of(search):
    """What a search found, but for the times."""
    results = {name: np.asarray(values).tolist() for name, values in search.cv_results_.items() if name != "params"}
    results = {name: values for name, values in results.items() if not name.endswith("_time")}
    weights = [v.numpy() for v in search.best_estimator_[-1].model_.trainable_variables]
    return {**results, "best": search.best_params_, "weights": digest(*weights)}


def maps_of(model, folder, n_jobs=None):
    found = {}
    for method in ("window", "shared"):
        mapper = SlidingWindowPredictor(model, step=2, method=method, n_jobs=n_jobs)
        m = mapper.predict_map(random_scene((60, 150), seed=4), Path(folder) / f"{method}.tif", overwrite=True)
        found[method] = hashlib.sha256(Path(m.path).read_bytes()).hexdigest()
    return found


def everything(folder, n_jobs=None):
    """Digests of all that a seed is to fix."""
    search = fitted_search(n_jobs)
    found = {"training": trained(), "search": results_of(search), "maps": maps_of(search, folder, n_jobs)}
    return json.loads(json.dumps(found))


def in_a_new_process(code, *arguments, **environment):
    """What an expression gives in another process, from names of this file."""
    code = f"import json, pickle, sys; from test_repeatability import *; tiles._LARGEST = 32; print(json.dumps({code}))"
    settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=HERE, env=settings, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """All of it, once in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 32)
        return everything(tmp_path_factory.mktemp("first"))


def test_twice_in_one_process(found, tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 32)
    assert everything(tmp_path) == found
    fresh(monkeypatch)
    assert everything(tmp_path) == found


@pytest.mark.slow
def test_in_another_process_with_two_workers(found, tmp_path):
    environment = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    assert in_a_new_process("everything(sys.argv[1], 2)", tmp_path, **environment) == found


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "3"])
def test_with_another_number_of_threads_asked_for(found, tmp_path, threads):
    assert in_a_new_process("everything(sys.argv[1])", tmp_path, OMP_NUM_THREADS=threads) == found


@pytest.mark.slow
def test_a_search_with_eight_workers(found):
    assert in_a_new_process("results_of(fitted_search(8))", PYTHONHASHSEED="3") == found["search"]


@pytest.mark.slow
def test_a_search_with_one_thread_everywhere():
    one = {"TF_NUM_INTRAOP_THREADS": "1"}
    by_itself = in_a_new_process("results_of(fitted_search())", **one)
    assert in_a_new_process("results_of(fitted_search(2))", **one) == by_itself


@pytest.mark.slow
def test_a_model_maps_the_same_with_any_number_of_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 32)
    search = fitted_search()
    here = maps_of(search, tmp_path)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(search))
    code = "maps_of(pickle.load(open(sys.argv[1] + '/model.pickle', 'rb')), sys.argv[1])"
    for threads in ("1", "3"):
        assert in_a_new_process(code, tmp_path, OMP_NUM_THREADS=threads) == here


# -------------------------------------------------------------------------------------------------- global state


def test_training_and_mapping_leave_the_process_as_it_was(found, tmp_path, monkeypatch):
    import keras
    import tensorflow as tf
    from tensorflow.python.framework import config

    def state():
        return {
            "floatx": keras.config.floatx(),
            "epsilon": keras.config.epsilon(),
            "format": keras.config.image_data_format(),
            "policy": keras.config.dtype_policy().name,
            "determinism": config.is_op_determinism_enabled(),
            "eager": tf.config.functions_run_eagerly(),
            "threads": (tf.config.threading.get_intra_op_parallelism_threads(),),
            "numpy": digest(*np.random.get_state()[1:3]),  # noqa: NPY002
            "numpy errors": np.geterr(),
            "numpy print": np.get_printoptions(),
            "python": random.getstate(),
            "locale": locale.setlocale(locale.LC_ALL),
            "warnings": list(warnings.filters),
            "gdal": rasterio.env.getenv() if rasterio.env.hasenv() else None,
            "environment": dict(os.environ),
            "folder": os.getcwd(),
        }

    fresh(monkeypatch)  # compiling, too, draws nothing
    before = state()
    everything(tmp_path)
    assert state() == before
    with rasterio.Env(GDAL_CACHEMAX=64, GDAL_NUM_THREADS=2):
        before = state()
        assert everything(tmp_path)["training"] == found["training"]
        assert state() == before
