"""save_model and load_model: what is loaded is what was saved, for every kind of model that can be."""

import errno
import json
import logging
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from make_models import STEP, stored_scene
from model_bytes import calibrated_vote, document_of, members_of, samples, spread, table_pipeline
from scenes import WeightedSum, random_scene
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
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
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    load_model,
    save_model,
)
from sklandslide.exceptions import ModelFileError, OutputExistsError, OutputFolderError
from sklandslide.persistence import files

MODELS = Path(__file__).parents[1] / "models"
FLAT = FunctionTransformer(np.reshape, kw_args={"shape": (-1, 243)})


def network(**options):
    options = {"filters": (3,), "dense_units": 4, "input_size": None, "epochs": 1, "random_state": 0, **options}
    return make_pipeline(BandStacker("RGB"), PatchSampler(9), Augmenter(), LandslideCNN(**options))


def lines():
    return VotingClassifier(
        [("a", table_pipeline()), ("b", "drop"), ("c", table_pipeline(patch_size=5))], voting="soft"
    )


TABLES = {
    "linear": table_pipeline,
    "pixels": lambda: table_pipeline(
        FLAT, MinMaxScaler(), PCA(5, random_state=0), RobustScaler(), LogisticRegression(class_weight={1: 2.0, 0: 1.5})
    ),
    "union": lambda: table_pipeline(
        FeatureUnion([("mean", FunctionTransformer(np.mean, kw_args={"axis": (1, 2)})), ("spread", spread())]),
        FunctionTransformer(np.arctan),
        "passthrough",
        StandardScaler(with_mean=False),
        LogisticRegression(),
    ),
    "random state": lambda: table_pipeline(spread(), LogisticRegression(random_state=np.random.RandomState(3))),
    "sigmoid": lambda: CalibratedClassifierCV(table_pipeline(), cv=StratifiedKFold(3, shuffle=True, random_state=0)),
    "isotonic": lambda: CalibratedClassifierCV(
        table_pipeline(), method="isotonic", cv=SpatialBlockKFold(3, block_size=200, random_state=0)
    ),
    "one for all": lambda: CalibratedClassifierCV(table_pipeline(), cv=2, ensemble=False),
    "threshold": lambda: FixedThresholdClassifier(table_pipeline(), threshold=0.3, pos_label=1),
    "vote": lines,
    "stack": lambda: StackingClassifier(
        [("a", table_pipeline()), ("b", table_pipeline(FLAT, LogisticRegression()))], cv=3
    ),
    "vote calibrated": calibrated_vote,
}
NETWORKS = {
    "network": network,
    "resampled": lambda: network(input_size=16, padding="valid", filters=[2, 3], early_stopping=True),
    "weighted": lambda: network(class_weight={0: 1, 1: 2.5}, dropout=0.0, verbose=0, batch_size=16),
    "calibrated": lambda: CalibratedClassifierCV(network(), cv=2),
    "with a table": lambda: VotingClassifier([("cnn", network()), ("table", table_pipeline())], voting="soft"),
}
EVERY = {**TABLES, **NETWORKS}


@pytest.fixture(scope="module")
def scene():
    return random_scene((60, 66))


@pytest.fixture(scope="module")
def data(scene):
    X, y = samples(scene)
    return X, y


def saved(model, folder, name="model.zip"):
    path = save_model(model, folder / name)
    return load_model(path), Path(path).read_bytes()


@pytest.mark.parametrize("name", EVERY)
def test_what_is_loaded_is_what_was_saved(tmp_path, scene, data, name):
    X, y = data
    model = EVERY[name]().fit(X, y)
    again, first = saved(model, tmp_path)
    assert type(again) is type(model)
    for method in ("predict_proba", "predict"):
        np.testing.assert_array_equal(getattr(again, method)(X), getattr(model, method)(X))
    _, second = saved(again, tmp_path, "again.zip")
    assert second == first
    assert saved(model, tmp_path, "once_more.zip")[1] == first
    maps = [
        SlidingWindowPredictor(m, step=12).predict_map(scene, tmp_path / f"{i}.tif")
        for i, m in enumerate((model, again))
    ]
    np.testing.assert_array_equal(maps[0].probability, maps[1].probability)
    fresh = clone(again)
    assert type(fresh) is type(model)
    if name != "random state":  # whose representation is an address
        assert repr(fresh) == repr(clone(model))
    with pytest.raises(NotFittedError):
        check_is_fitted(fresh)
    if name in TABLES:
        np.testing.assert_array_equal(fresh.fit(X, y).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("name", ["network", "resampled", "linear", "isotonic"])
def test_a_loaded_model_is_as_an_unpickled_one(tmp_path, data, name):
    """So the map that one began, the other goes on with."""
    model = EVERY[name]().fit(*data)
    assert joblib.hash(saved(model, tmp_path)[0]) == joblib.hash(pickle.loads(pickle.dumps(model)))


def test_labels_of_any_kind(tmp_path, data):
    X, y = data
    for labels in (["forest", "landslide"], np.array(["é", "z"], object), [False, True], [-1.0, 2.0], np.uint8([3, 9])):
        model = table_pipeline().fit(X, np.asarray(labels)[y])
        again, _ = saved(model, tmp_path, f"{labels[0]}.zip")
        assert again.classes_.dtype == model.classes_.dtype
        assert again.classes_.tolist() == model.classes_.tolist()
        np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_more_than_two_classes(tmp_path, data):
    X, y = data
    three = np.arange(len(y)) % 3
    for model in (CalibratedClassifierCV(table_pipeline(), cv=2), network()):
        again, _ = saved(model.fit(X, three), tmp_path, f"{type(model).__name__}.zip")
        np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("kind", [GridSearchCV, RandomizedSearchCV])
def test_searches_are_saved_as_what_they_found(tmp_path, data, kind, caplog):
    X, y = data
    count = {"n_iter": 2, "random_state": 0} if kind is RandomizedSearchCV else {}
    search = kind(table_pipeline(), {"patchsampler__patch_size": [5, 9]}, cv=2, **count).fit(X, y)
    again, first = saved(search, tmp_path)
    assert type(again) is type(search.best_estimator_)
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again.search_["best_params"] == search.best_params_
    assert again.search_["best_score"] == search.best_score_
    assert again.search_["candidates"] == 2
    assert saved(again, tmp_path, "again.zip")[1] == first
    assert document_of(first)["training"]["search"]["search"] == kind.__name__


def test_a_search_without_a_best_estimator_is_refused(tmp_path, data):
    search = GridSearchCV(table_pipeline(), {"patchsampler__patch_size": [5, 9]}, cv=2, refit=False).fit(*data)
    search.best_params_, search.predict = {}, None  # as if it were fitted
    with pytest.raises((ModelFileError, NotFittedError), match=r"best_estimator_|not fitted"):
        save_model(search, tmp_path / "model.zip")


def test_tuned_thresholds_are_saved_as_fixed_ones(tmp_path, data):
    X, y = data
    labels = np.array(["forest", "landslide"])[y]
    score = make_scorer(f1_score, pos_label="forest")
    for given, scoring in ((y, "f1"), (labels, score)):
        tuned = TunedThresholdClassifierCV(table_pipeline(), scoring=scoring, cv=2).fit(X, given)
        again, first = saved(tuned, tmp_path, f"{given.dtype}.zip")
        assert isinstance(again, FixedThresholdClassifier)
        assert again.threshold == tuned.best_threshold_
        np.testing.assert_array_equal(again.predict(X), tuned.predict(X))
        np.testing.assert_array_equal(again.predict_proba(X), tuned.predict_proba(X))
        assert saved(again, tmp_path, f"{given.dtype}-again.zip")[1] == first


def test_frozen_estimators_are_kept_once(tmp_path, data):
    X, y = data
    inner = network().fit(X, y)
    model = CalibratedClassifierCV(FrozenEstimator(inner)).fit(X, y)
    again, first = saved(model, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert again.estimator is again.calibrated_classifiers_[0].estimator
    assert len(first) < len(saved(inner, tmp_path, "inner.zip")[1]) + 9_000


def test_places_on_this_machine_are_not_saved(tmp_path, data, caplog):
    X, y = data
    cache = tmp_path / "secret-cache"
    model = network(memory=str(cache)).set_params(memory=str(cache), patchsampler__memory=str(cache)).fit(X, y)
    with caplog.at_level(logging.INFO, "sklandslide"):
        again, first = saved(model, tmp_path)
    assert b"secret-cache" not in first
    assert caplog.text.count("saved as None") >= 3
    assert (again.memory, again[1].memory, again[3].memory) == (None, None, None)


def test_folds_of_other_classes_are_left_out_and_said_so(tmp_path, data, caplog):
    class Watched(StratifiedKFold):
        pass

    model = CalibratedClassifierCV(table_pipeline(), cv=Watched(2)).fit(*data)
    again, _ = saved(model, tmp_path)
    assert again.cv is None
    assert "CalibratedClassifierCV.cv cannot be kept" in caplog.text
    np.testing.assert_array_equal(again.predict_proba(data[0]), model.predict_proba(data[0]))


def own_function(patches):
    return patches.mean(axis=(1, 2))


class OwnRegression(LogisticRegression):
    pass


REFUSED = {
    "lambda": (lambda: table_pipeline(FunctionTransformer(lambda p: p[:, 0, 0]), LogisticRegression()), "is code"),
    "function": (lambda: table_pipeline(FunctionTransformer(own_function), LogisticRegression()), "'own_function'"),
    "option": (
        lambda: table_pipeline(
            FunctionTransformer(np.mean, kw_args={"axis": (1, 2), "dtype": "f4"}), LogisticRegression()
        ),
        "'dtype'",
    ),
    "trees": (lambda: table_pipeline(spread(), RandomForestClassifier(3)), "compiled structures"),
    "boosting": (lambda: table_pipeline(spread(), HistGradientBoostingClassifier(max_iter=2)), "compiled structures"),
    "vectors": (lambda: table_pipeline(spread(), SVC()), "compiled structures"),
    "neighbours": (lambda: table_pipeline(spread(), KNeighborsClassifier()), "compiled structures"),
    "own class": (lambda: table_pipeline(spread(), OwnRegression()), "OwnRegression is none of"),
    "another package": (lambda: table_pipeline(WeightedSum()), "scenes.WeightedSum is none of"),
    "in a vote": (lambda: VotingClassifier([("a", table_pipeline(spread(), RandomForestClassifier(2)))]), "compiled"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_file_cannot_hold_is_refused_with_the_reason(tmp_path, data, name):
    make, reason = REFUSED[name]
    model = make().fit(*data)
    with pytest.raises(ModelFileError, match=f"is not saved.*{reason}") as caught:
        save_model(model, tmp_path / "model.zip")
    assert "pickle" in str(caught.value) or name == "option"
    assert list(tmp_path.iterdir()) == []


def test_attributes_of_ones_own_are_refused(tmp_path, data):
    model = table_pipeline().fit(*data)
    model[-1].notes_ = "mine"
    with pytest.raises(ModelFileError, match="attribute 'notes_'"):
        save_model(model, tmp_path / "model.zip")


def test_networks_of_ones_own_are_refused(tmp_path, data):
    import keras

    model = network().fit(*data)
    L = keras.layers
    last = {"activation": "softmax", "kernel_initializer": keras.initializers.GlorotUniform(1)}
    for layers, reason in [
        ([L.LayerNormalization(), L.Flatten(), L.Dense(2, activation="softmax")], "LayerNormalization"),
        ([L.Flatten(), L.Dense(2, **last, kernel_regularizer="l2")], "options that build_cnn does not make"),
        ([L.Flatten(), L.Dense(2, **last, use_bias=False)], "weights"),
        ([L.Lambda(lambda x: x[:, 0, 0]), L.Dense(2, activation="softmax")], "Lambda"),
    ]:  # fmt: skip
        model[-1].model_ = keras.Sequential([keras.Input((9, 9, 3), name="patches"), *layers], name="landslide_cnn")
        with pytest.raises(ModelFileError, match=f"not saved.*{reason}"):
            save_model(model, tmp_path / "model.zip")
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_not_fitted_are_refused(tmp_path, data):
    for model in (table_pipeline(), network(), LandslideCNN(), lines()):
        with pytest.raises(NotFittedError):
            save_model(model, tmp_path / "model.zip")
    half = table_pipeline().fit(*data)
    half.steps[0] = ("bandstacker", BandStacker())
    with pytest.raises(ModelFileError, match="not fitted"):
        save_model(half, tmp_path / "model.zip")
    with pytest.raises((ModelFileError, TypeError)):
        save_model({"a": 1}, tmp_path / "model.zip")
    with pytest.raises(ModelFileError, match="classifies nothing"):
        save_model(StandardScaler().fit([[0.0], [1.0]]), tmp_path / "model.zip")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- the file


def test_the_file_is_an_ordinary_zip_of_data(tmp_path, data):
    X, y = data
    model = network().fit(X, y)
    path = tmp_path / "model.zip"
    assert save_model(model, path) == str(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist()[0] == "model.json"
        assert archive.namelist()[-1] == "README.md"
        arrays = [np.load(archive.open(name)) for name in archive.namelist() if name.endswith(".npy")]
    weights = model[-1].model_.get_weights()
    for array in weights:
        assert any(array.shape == other.shape and (array == other).all() for other in arrays)
    document = document_of(path.read_bytes())
    assert document["contract"]["inputs"][0]["bands"] == ["Red", "Green", "Blue"]
    assert document["contract"]["patch_sizes"] == [9]
    assert document["contract"]["classes"] == [0, 1]
    assert document["training"]["networks"][0]["samples"] == np.bincount(y).tolist()
    assert document["versions"]["numpy"] == np.__version__
    assert "# Landslide model" in members_of(path.read_bytes())["README.md"].decode()
    assert str(tmp_path).encode() not in path.read_bytes()


def test_arrays_in_any_order_and_kind(tmp_path):
    from sklandslide.persistence.arrays import array_bytes, parsed_array
    from sklandslide.persistence.values import Decoder, Encoder

    random = np.random.RandomState(0)
    for array in (
        random.normal(size=(3, 4)), np.asfortranarray(random.normal(size=(3, 4))), random.normal(size=(6, 8))[::2, ::3],
        np.array(2.5), np.zeros((0, 3)), np.array(["é", "abc"]), np.array([True, False]), np.arange(3, dtype=">i4"),
        np.float32([1, np.nan, np.inf]), np.array([b"ab"]), np.float16([1.5]),
    ):  # fmt: skip
        data = array_bytes(array)
        (tmp_path / "a.npy").write_bytes(data)
        for again in (parsed_array(data, "a"), np.load(tmp_path / "a.npy")):
            assert again.dtype == array.dtype.newbyteorder("=")
            np.testing.assert_array_equal(again, array)
        assert parsed_array(data, "a").flags.writeable
    values = [
        None, True, 3, -1.5, "é\u2028", float("inf"), [], (), {}, [1, (2, {"a": [None]})], {1: "x", None: 2.0, "k": {}},
        np.float32(0.1), np.int64(7), np.bool_(True), np.str_("s"), np.array(["a", "bb"], object),
    ]  # fmt: skip
    for value in values:
        encoder = Encoder()
        node = json.loads(json.dumps(encoder.encode(value, "it")))
        again = Decoder(encoder.arrays).decode(node, "it")
        assert type(again) is type(value)
        assert repr(again) == repr(value)
    encoder = Encoder()
    assert np.isnan(Decoder([]).decode(encoder.encode(float("nan"), "it"), "it"))
    assert np.isnan(Decoder([]).decode(encoder.encode(np.float32("nan"), "it"), "it"))
    for value in (object(), {1, 2}, b"bytes", 2**70, Path("x"), np.array([object()]), np.longdouble(1), 1j, print):
        with pytest.raises(ModelFileError, match="cannot hold"):
            encoder.encode(value, "it")


def test_existing_files_and_folders(tmp_path, data):
    model = table_pipeline().fit(*data)
    path = tmp_path / "model.zip"
    path.write_text("kept")
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        save_model(model, path)
    assert path.read_text() == "kept"
    save_model(model, path, overwrite=True)
    load_model(str(path))
    with pytest.raises(OutputExistsError, match="folder"):
        save_model(model, tmp_path, overwrite=True)
    with pytest.raises(OutputFolderError, match="Create it first"):
        save_model(model, tmp_path / "none" / "model.zip")
    assert [p.name for p in tmp_path.iterdir()] == ["model.zip"]
    assert path.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_another_process_was_quicker(tmp_path, data, monkeypatch):
    """The file appears between the check and the writing: it is not replaced."""
    path = tmp_path / "model.zip"
    fsync = os.fsync

    def slow(file):
        path.write_text("theirs")
        fsync(file)

    monkeypatch.setattr(files.os, "fsync", slow)
    with pytest.raises(OutputExistsError):
        save_model(table_pipeline().fit(*data), path)
    assert path.read_text() == "theirs"
    assert [p.name for p in tmp_path.iterdir()] == ["model.zip"]


@pytest.mark.parametrize("step", ["open", "fsync", "link"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_nothing_behind(tmp_path, data, monkeypatch, step, overwrite):
    path = tmp_path / "model.zip"
    if overwrite:
        path.write_text("kept")
    model = table_pipeline().fit(*data)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, step, full)
        if step == "link":
            patch.setattr(files.os, "replace", full)
        with pytest.raises(ModelFileError, match="could not be written: No space left"):
            save_model(model, path, overwrite=overwrite)
    assert [p.read_text() for p in tmp_path.iterdir()] == (["kept"] if overwrite else [])


def test_a_folder_that_cannot_be_written_to(tmp_path, data):
    if os.geteuid() == 0 and not Path("/proc/self").is_dir():
        pytest.skip("needs a folder that nobody can write to")
    folder = Path("/proc/self") if os.geteuid() == 0 else tmp_path
    if os.geteuid() != 0:
        tmp_path.chmod(0o500)
    with pytest.raises(ModelFileError, match="could not be written"):
        save_model(table_pipeline().fit(*data), folder / "model.zip")


# ---------------------------------------------------------------- tomorrow, elsewhere

ALONE = """
import socket, sys
def none(*_, **__):
    raise OSError("no network")
socket.socket.connect = socket.create_connection = none
from sklandslide import Locations, load_model
model = load_model(sys.argv[1])
assert "tensorflow" not in sys.modules or sys.argv[2] == "network"
sys.path.insert(0, sys.argv[3])
from make_models import stored_scene
scene, xy = stored_scene()
print(model.predict_proba(Locations(scene, xy))[:, 1].tolist())
"""


def alone(path, kind, folder):
    done = subprocess.run(
        [sys.executable, "-c", ALONE, path, kind, Path(__file__).parents[1]],
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_the_stored_file_in_a_process_of_its_own(tmp_path):
    """Without network, without anything from here; as it was when it was saved."""
    found = alone(MODELS / "format-1.zip", "network", tmp_path)
    expected = json.loads((MODELS / "format-1.json").read_text())["probabilities"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_tables_load_without_tensorflow(tmp_path):
    scene, xy = stored_scene()
    X, y = Locations(scene, xy), np.arange(len(xy)) % 2
    model = make_pipeline(BandStacker("BAA"), PatchSampler(9), spread(), LogisticRegression()).fit(X, y)
    path = save_model(model, tmp_path / "model.zip")
    np.testing.assert_array_equal(alone(path, "table", tmp_path), model.predict_proba(X)[:, 1])


STORED = sorted(p.stem for p in MODELS.glob("*.json"))


@pytest.mark.parametrize("name", STORED)
def test_stored_models_give_what_they_gave(tmp_path, name):
    """Files of earlier versions, made by tests/make_models.py."""
    gave = json.loads((MODELS / f"{name}.json").read_text())
    if (MODELS / f"{name}.zip").exists():
        model = load_model(MODELS / f"{name}.zip")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            model = pickle.loads((MODELS / f"{name}.pkl").read_bytes())
    scene, xy = stored_scene()
    np.testing.assert_allclose(model.predict_proba(Locations(scene, xy))[:, 1], gave["probabilities"], atol=1e-6)
    mapped = SlidingWindowPredictor(model, step=STEP).predict_map(scene, tmp_path / "map.tif")
    np.testing.assert_allclose(mapped.probability, gave["map"], atol=1e-6)
    assert np.ptp(gave["map"]) > 0.05  # a constant would prove nothing
    again, _ = saved(model, tmp_path)  # and is saved as a file of today
    np.testing.assert_array_equal(again.predict_proba(Locations(scene, xy)), model.predict_proba(Locations(scene, xy)))


def test_a_file_of_each_format_and_a_pickle_are_stored():
    from sklandslide.persistence.archive import FORMAT

    assert {f"format-{n}" for n in range(1, FORMAT + 1)} <= set(STORED)
    assert list(MODELS.glob("*.pkl"))
    assert max(p.stat().st_size for p in MODELS.iterdir()) < 60_000


def test_other_versions_are_told(tmp_path, data, caplog):
    from model_bytes import put, with_document

    path = Path(save_model(table_pipeline().fit(*data), tmp_path / "model.zip"))
    path.write_bytes(
        with_document(path.read_bytes(), put(document_of(path.read_bytes()), ("versions", "numpy"), "1.2.3"))
    )
    with caplog.at_level(logging.INFO, "sklandslide"):
        load_model(path)
    assert "was written with numpy 1.2.3 (here" in caplog.text
