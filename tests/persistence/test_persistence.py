"""save_model and load_model: what is loaded is what was saved, for every kind of model that can be."""

import errno
import json
import logging
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from kept_models import STORED, network, samples, spread, table_pipeline
from scenes import WeightedSum, random_scene
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    TunedThresholdClassifierCV,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from sklandslide import (
    LandslideCNN,
    LandslideMap,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    load_model,
    make_scene,
    sample_polygons,
    save_model,
)
from sklandslide.exceptions import ModelFileError, OutputExistsError, OutputFolderError
from sklandslide.mapping import tiles
from sklandslide.mapping.windows import WindowEngine
from sklandslide.mapping.workers import digest_of
from sklandslide.persistence import saving

FLAT = FunctionTransformer(np.reshape, kw_args={"newshape" if np.__version__ < "2.1" else "shape": (-1, 243)})
TABLES = {
    "linear": table_pipeline,
    "pixels": lambda: table_pipeline(
        FLAT, MinMaxScaler(), PCA(5, random_state=0), RobustScaler(), LogisticRegression(class_weight={1: 2.0, 0: 1.5})
    ),
    "union": lambda: table_pipeline(
        FeatureUnion([("mean", FunctionTransformer(np.mean, kw_args={"axis": (1, 2)})), ("spread", spread())]),
        FunctionTransformer(np.arctan),
        "passthrough",
        LogisticRegression(random_state=np.random.RandomState(3)),
    ),
    "forest": lambda: table_pipeline(spread(), RandomForestClassifier(7, random_state=0)),
    "boosting": lambda: table_pipeline(spread(), HistGradientBoostingClassifier(max_iter=5, random_state=0)),
    "sigmoid": lambda: CalibratedClassifierCV(table_pipeline(), cv=StratifiedKFold(3, shuffle=True, random_state=0)),
    "isotonic": lambda: CalibratedClassifierCV(
        table_pipeline(), method="isotonic", cv=SpatialBlockKFold(3, block_size=200, random_state=0)
    ),
    "frozen": lambda: CalibratedClassifierCV(FrozenEstimator(table_pipeline().fit(*samples(random_scene())))),
    "threshold": lambda: FixedThresholdClassifier(table_pipeline(), threshold=0.3, pos_label=1),
    "tuned": lambda: TunedThresholdClassifierCV(table_pipeline(), scoring="f1", cv=2),
    "vote": lambda: VotingClassifier(
        [("a", table_pipeline()), ("b", "drop"), ("c", table_pipeline(patch_size=5))], voting="soft"
    ),
    "stack": lambda: StackingClassifier(
        [("a", table_pipeline()), ("b", table_pipeline(spread(), ExtraTreesClassifier(3, random_state=0)))], cv=3
    ),
}
NETWORKS = {
    "resampled": lambda: network(input_size=16, padding="valid", filters=[2, 3], early_stopping=True),
    "weighted": lambda: network(class_weight={0: 1, 1: 2.5}, dropout=0.0, batch_size=16),
    "calibrated": lambda: CalibratedClassifierCV(network(), cv=2),
    "with a table": lambda: VotingClassifier([("cnn", network()), ("table", table_pipeline())], voting="soft"),
}
EVERY = {**TABLES, **NETWORKS}


@pytest.fixture(scope="module")
def data():
    return samples(random_scene())


def saved(model, folder, name="model.skops"):
    return load_model(save_model(model, folder / name))


@pytest.mark.parametrize("name", EVERY)
def test_what_is_loaded_is_what_was_saved(tmp_path, data, name):
    """Also by the digest that maps are resumed by."""
    X, y = data
    model = EVERY[name]().fit(X, y)
    again = saved(model, tmp_path)
    assert type(again) is type(model)
    for method in ("predict_proba", "predict"):
        np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    assert digest_of(again) == digest_of(model)
    assert digest_of(EVERY[name]().fit(X, 1 - y)) != digest_of(model)
    fresh = clone(again)
    with pytest.raises(NotFittedError):
        check_is_fitted(fresh)
    if name in TABLES:
        np.testing.assert_array_equal(fresh.fit(X, y).predict_proba(X), model.predict_proba(X))


def test_labels_of_any_kind_and_number(tmp_path, data):
    X, y = data
    for labels in (["forest", "landslide"], np.array(["é", "z"], object), [False, True], [-1.0, 2.0], np.uint8([3, 9])):
        model = table_pipeline().fit(X, np.asarray(labels)[y])
        again = saved(model, tmp_path, f"{labels[0]}.skops")
        assert again.classes_.dtype == model.classes_.dtype
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model = network().fit(X, np.arange(len(y)) % 3)
    np.testing.assert_array_equal(saved(model, tmp_path).predict_proba(X), model.predict_proba(X))


def test_parameters_set_after_fitting_do_not_change_the_network(tmp_path, data):
    X, y = data
    model = network().fit(X, y)
    before = model.predict_proba(X)
    model.set_params(landslidecnn__filters=(9, 9), landslidecnn__input_size=30, landslidecnn__padding="valid")
    again = saved(model, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), before)
    assert again[-1].filters == (9, 9)


@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_searches_are_saved_as_what_they_found(tmp_path, data, kind):
    X, y = data
    count = {"n_iter": 2, "random_state": 0} if kind is RandomizedSearchCV else {}
    search = kind(table_pipeline(), {"patchsampler__patch_size": [5, 9]}, cv=2, **count).fit(X, y)
    again = saved(search, tmp_path)
    assert type(again) is type(search.best_estimator_)
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))


def test_places_on_this_machine_are_not_saved(tmp_path, data):
    X, y = data
    cache = str(tmp_path / "secret-cache")
    model = network(memory=cache).set_params(memory=cache, patchsampler__memory=cache).fit(X, y)
    again = saved(model, tmp_path)
    assert b"secret-cache" not in (tmp_path / "model.skops").read_bytes()
    assert (again.memory, again[1].memory, again[3].memory) == (None, None, None)
    assert (model.memory, model[1].memory, model[3].memory) == (cache, cache, cache)


def test_no_raster_and_no_path_is_kept(tmp_path):
    scene, polygons = make_scene(shape=(150, 150), random_state=0, directory=tmp_path / "training-scene")
    X, y, _ = sample_polygons(scene, polygons[:12], patch_size=9, random_state=0)
    model = table_pipeline().fit(X, y)
    kept = pickle.dumps(model) + Path(save_model(model, tmp_path / "model.skops")).read_bytes()
    assert len(kept) < 100_000
    for word in (b"training-scene", bytes(tmp_path), b".tif", b"EPSG", scene.read("Red")[75, 70:80].tobytes()):
        assert word not in kept


def own_function(patches):
    return patches.mean(axis=(1, 2))


def own_score(y, predicted):
    return f1_score(y, predicted)


class OwnRegression(LogisticRegression):
    pass


class OwnFolds(StratifiedKFold):
    pass


REFUSED = {
    "lambda": (lambda: table_pipeline(FunctionTransformer(lambda p: p[:, 0, 0]), LogisticRegression()), "<lambda>"),
    "function": (lambda: table_pipeline(FunctionTransformer(own_function), LogisticRegression()), "own_function"),
    "older boosting": (lambda: table_pipeline(spread(), GradientBoostingClassifier(n_estimators=2)), "compiled code"),
    "categories": (
        lambda: table_pipeline(
            spread(), FunctionTransformer(np.rint), HistGradientBoostingClassifier(max_iter=2, categorical_features=[0])
        ),
        "check_array",
    ),
    "vectors": (lambda: table_pipeline(spread(), SVC()), "compiled code"),
    "neighbours": (lambda: table_pipeline(spread(), KNeighborsClassifier()), "KDTree|compiled code"),
    "own class": (lambda: table_pipeline(spread(), OwnRegression()), "OwnRegression"),
    "another package": (lambda: table_pipeline(WeightedSum()), "scenes.WeightedSum"),
    "own folds": (lambda: CalibratedClassifierCV(table_pipeline(), cv=OwnFolds(2)), "OwnFolds"),
    "own score": (
        lambda: TunedThresholdClassifierCV(table_pipeline(), scoring=make_scorer(own_score), cv=2),
        "own_score",
    ),
    "no classifier": (StandardScaler, "classifies nothing"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_hold_is_refused_with_the_reason(tmp_path, data, name):
    make, reason = REFUSED[name]
    model = make().fit(*(data if name != "no classifier" else ([[0.0], [1.0]],)))
    with pytest.raises(ModelFileError, match=f"is not saved.*({reason}).*pickle"):
        save_model(model, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_networks_of_ones_own_are_refused(tmp_path, data):
    import keras

    model = network().fit(*data)
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    model[-1].model_ = keras.Sequential([keras.Input((9, 9, 3)), *layers])
    with pytest.raises(ModelFileError, match=r"not saved.*only a network of build_cnn"):
        save_model(model, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_not_fitted_are_refused(tmp_path):
    for model in (table_pipeline(), LandslideCNN(), GridSearchCV(table_pipeline(), {})):
        with pytest.raises(NotFittedError):
            save_model(model, tmp_path / "model.skops")
    with pytest.raises(TypeError):
        save_model({"a": 1}, tmp_path / "model.skops")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the file


def test_existing_files_and_folders(tmp_path, data):
    model = table_pipeline().fit(*data)
    path = tmp_path / "model.skops"
    path.write_text("kept")
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        save_model(model, path)
    assert path.read_text() == "kept"
    assert save_model(model, path, overwrite=True) == str(path)
    load_model(str(path))
    with pytest.raises(OutputExistsError, match="folder"):
        save_model(model, tmp_path, overwrite=True)
    with pytest.raises(OutputFolderError, match="Create it first"):
        save_model(model, tmp_path / "none" / "model.skops")
    assert [p.name for p in tmp_path.iterdir()] == ["model.skops"]
    with zipfile.ZipFile(path) as archive:
        assert str(tmp_path) not in archive.read("schema.json").decode()


def test_a_model_has_its_name_when_its_bytes_are_on_the_disk(tmp_path, data, monkeypatch):
    disk = Mock()
    for name in ("fsync", "replace"):
        disk.attach_mock(Mock(wraps=getattr(os, name)), name)
        monkeypatch.setattr(saving.os, name, getattr(disk, name))
    save_model(table_pipeline().fit(*data), tmp_path / "model.skops")
    assert [call[0] for call in disk.mock_calls] == ["fsync", "replace"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path, data, monkeypatch, step):
    path = tmp_path / "model.skops"
    path.write_text("kept")
    model = table_pipeline().fit(*data)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(saving.os, step, full)
        with pytest.raises(ModelFileError, match="could not be written: No space left"):
            save_model(model, path, overwrite=True)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["kept"]


def test_a_file_that_appears_while_the_model_is_written_is_kept(tmp_path, data, monkeypatch):
    path = tmp_path / "model.skops"
    monkeypatch.setattr(saving.os, "fsync", lambda _: path.write_text("precious"))
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        save_model(table_pipeline().fit(*data), path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["precious"]


# ---------------------------------------------------------------- tomorrow, elsewhere


def test_a_stored_model_gives_what_it_gave(data):
    """A file of an earlier version, made by tests/kept_models.py."""
    gave = json.loads(STORED.with_suffix(".json").read_text())["probabilities"]
    np.testing.assert_allclose(load_model(STORED).predict_proba(data[0])[:, 1], gave, atol=1e-6)
    assert np.ptp(gave) > 0.02  # a constant would prove nothing


def test_other_versions_are_told(tmp_path, data, caplog, monkeypatch):
    path = save_model(table_pipeline().fit(*data), tmp_path / "model.skops")
    monkeypatch.setattr(saving, "versions", lambda: {"numpy": "1.2.3"})
    with caplog.at_level(logging.INFO, "sklandslide"):
        load_model(path)
    assert f"numpy {np.__version__} (here 1.2.3)" in caplog.text


ELSEWHERE = """
import logging, sys
import numpy as np
logging.basicConfig(level="INFO")
sys.path.insert(0, sys.argv[2])
from kept_models import samples
from scenes import random_scene
from sklandslide import SlidingWindowPredictor, load_model
from sklandslide.mapping import tiles
tiles._LARGEST = 64
model = load_model(f"{sys.argv[1]}/model.skops")
assert "tensorflow" not in sys.modules or sys.argv[3] == "network"
np.save(f"{sys.argv[1]}/there.npy", model.predict_proba(samples(random_scene())[0]))
SlidingWindowPredictor(model, step=5).predict_map(random_scene((600, 600), seed=1), f"{sys.argv[1]}/map.tif")
"""


@pytest.mark.parametrize(
    "kind, make", [("table", TABLES["forest"]), pytest.param("network", NETWORKS["calibrated"], marks=pytest.mark.slow)]
)
def test_another_process_gives_the_same_and_finishes_the_map_that_one_began(tmp_path, data, monkeypatch, kind, make):
    monkeypatch.setattr(tiles, "_LARGEST", 64)
    X, y = data
    model, scene = make().fit(X, y), random_scene((600, 600), seed=1)
    save_model(model, tmp_path / "model.skops")
    SlidingWindowPredictor(model, step=5).predict_map(scene, tmp_path / "whole.tif")
    calls, tile = [], WindowEngine.tile

    def stopping(self, part):
        calls.append(part)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return tile(self, part)

    with monkeypatch.context() as patch:
        patch.setattr(WindowEngine, "tile", stopping)
        with pytest.raises(KeyboardInterrupt):
            SlidingWindowPredictor(model, step=5).predict_map(scene, tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path, Path(__file__).parents[1], kind],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Going on with" in done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "there.npy"), model.predict_proba(X))
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_loaded_models_map_without_tensorflow(tmp_path):
    """Their numbers are enough, and TensorFlow takes seconds and hundreds of megabytes in each worker."""
    scene = random_scene()
    X, y = samples(scene)
    here = {}
    for name, input_size in (("shared", None), ("window", 12)):
        pipe = network(input_size=input_size).fit(X, y)
        predictor = SlidingWindowPredictor(pipe, step=3)
        here[name] = predictor.predict_map(scene, tmp_path / f"{name}.tif").probability
        assert predictor.engine_.startswith(name)
        save_model(pipe, tmp_path / f"{name}.skops")
        (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps((pipe, scene)))
    code = f"""if True:
        import pathlib, pickle, sys
        from sklandslide import SlidingWindowPredictor, load_model
        folder, engines = pathlib.Path({str(tmp_path)!r}), set()
        for name in ("shared", "window"):
            pickled, scene = pickle.loads((folder / f"{{name}}.pkl").read_bytes())
            loaded = load_model(folder / f"{{name}}.skops")
            for kind, pipe in (("pickled", pickled), ("loaded", loaded)):
                predictor = SlidingWindowPredictor(pipe, step=3)
                predictor.predict_map(scene, folder / f"{{name}}_{{kind}}.tif")
                engines.add(predictor.engine_)
        heavy = {{"tensorflow", "keras", "scikeras"}} & set(sys.modules)
        assert not heavy or "shared-graph" in engines, heavy
        pickle.dumps(loaded)
        assert loaded[-1].model_.count_params() > 0
    """
    subprocess.run([sys.executable, "-c", code], check=True)
    for name, expected in here.items():
        for kind in ("pickled", "loaded"):
            there = LandslideMap.open(tmp_path / f"{name}_{kind}.tif").probability
            np.testing.assert_array_equal(expected, there)
