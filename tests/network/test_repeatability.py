"""The same seed gives the same weights, searches and maps, whatever else the process has done."""

import copy
import hashlib
import json
import locale
import os
import random
import subprocess
import sys
import warnings
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

HERE = Path(__file__).parents[1]  # the folder of tests
NETWORK = {"filters": (4,), "dense_units": 8, "dropout": 0.3, "epochs": 2, "learning_rate": 0.01, "random_state": 0}


def patches():
    X = np.random.RandomState(0).normal(size=(60, 8, 8, 2)).astype(np.float32)
    y = np.arange(60) % 2
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


@pytest.fixture
def half_precision():
    """As a user sets it for models of his own."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    assert keras.config.dtype_policy().name == "mixed_float16"
    keras.config.set_dtype_policy(before)


def test_half_precision_for_other_models_does_not_reach_the_network(usual, half_precision, monkeypatch):
    fresh(monkeypatch)
    assert trained() == usual
    X, y = patches()
    cnn = LandslideCNN(**NETWORK, input_size=10).fit(X, y)
    again = copy.deepcopy(cnn)
    assert np.array_equal(again.predict_proba(X), cnn.predict_proba(X))
    for model in (cnn.model_, again.model_):
        assert [layer.dtype_policy.name for layer in model.layers] == ["float32"] * len(model.layers)


@pytest.fixture
def op_determinism():
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()  # TensorFlow has no public way back


def test_with_op_determinism_the_network_trains_and_predicts(op_determinism, monkeypatch):
    fresh(monkeypatch)
    assert trained() == trained()


# ------------------------------------------------------------------------------------------ what was trained before


def test_training_is_the_same_after_any_other_model(usual, monkeypatch):
    import keras
    import tensorflow as tf
    from scikeras.wrappers import KerasClassifier

    from sklandslide import build_cnn

    X, y = patches()
    states = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        LandslideCNN(**{**NETWORK, "random_state": 9, "filters": (3,)}, input_size=None).fit(X, y)
        plain = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
        plain.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        plain.fit(X, y, epochs=1, verbose=0)
        KerasClassifier(build_cnn, filters=(4,), dense_units=8, epochs=1, verbose=0, random_state=0).fit(X, y)
        keras.utils.set_random_seed(5)
        tf.random.set_seed(6)
        np.random.seed(7)  # noqa: NPY002
        fresh(monkeypatch)
        assert trained() == usual
    finally:
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


def maps_of(model, folder):
    found = {}
    for method in ("window", "shared"):
        mapper = SlidingWindowPredictor(model, step=2, method=method)
        m = mapper.predict_map(random_scene((60, 150), seed=4), Path(folder) / f"{method}.tif", overwrite=True)
        found[method] = hashlib.sha256(Path(m.path).read_bytes()).hexdigest()
    return found


def everything(folder, n_jobs=None):
    """Digests of all that a seed is to fix."""
    search = fitted_search(n_jobs)
    found = {"training": trained(), "search": results_of(search), "maps": maps_of(search, folder)}
    return json.loads(json.dumps(found))


def in_a_new_process(code, *arguments, **environment):
    """What an expression gives in another process, from names of this file."""
    code = f"import json, pickle, sys; from test_repeatability import *; tiles._LARGEST = 32; print(json.dumps({code}))"
    folders = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), **environment}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=HERE / "network", env=settings, capture_output=True, text=True, check=False, timeout=500
    )
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
    fresh(monkeypatch)
    assert everything(tmp_path) == found


@pytest.mark.slow
def test_in_another_process_with_two_workers(found, tmp_path):
    environment = {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    assert in_a_new_process("everything(sys.argv[1], 2)", tmp_path, **environment) == found


@pytest.mark.slow
def test_with_another_number_of_threads_asked_for(found, tmp_path):
    assert in_a_new_process("everything(sys.argv[1])", tmp_path, OMP_NUM_THREADS="3") == found


# -------------------------------------------------------------------------------------------------- global state


def test_training_and_mapping_leave_the_process_as_it_was(found, tmp_path, monkeypatch):
    import keras
    import tensorflow as tf

    def state():
        return {
            "floatx": keras.config.floatx(),
            "policy": keras.config.dtype_policy().name,
            "eager": tf.config.functions_run_eagerly(),
            "threads": (tf.config.threading.get_intra_op_parallelism_threads(),),
            "numpy": digest(*np.random.get_state()[1:3]),  # noqa: NPY002
            "numpy errors": np.geterr(),
            "python": random.getstate(),
            "locale": locale.setlocale(locale.LC_ALL),
            "warnings": list(warnings.filters),
            "gdal": rasterio.env.getenv() if rasterio.env.hasenv() else None,
            "environment": dict(os.environ),
            "folder": os.getcwd(),
        }

    fresh(monkeypatch)  # compiling, too, draws nothing
    with rasterio.Env(GDAL_CACHEMAX=64, GDAL_NUM_THREADS=2):
        before = state()
        assert everything(tmp_path)["training"] == found["training"]
        assert state() == before
