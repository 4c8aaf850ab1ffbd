"""export_onnx: the same probabilities elsewhere, and what has to be known about them."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from kept_models import STORED, samples
from scenes import random_scene
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import Augmenter, BandStacker, LandslideCNN, PatchSampler, build_cnn, export_onnx, load_model
from sklandslide.exceptions import ModelFileError, OutputExistsError, OutputFolderError


def session_of(path):
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize(
    "padding, input_size, filters", [("same", 32, (3,)), ("same", None, (3, 4, 5)), ("valid", 32, (3, 4, 5))]
)
def test_probabilities_are_those_of_predict_proba(tmp_path, padding, input_size, filters):
    bands, random = len(filters), np.random.RandomState(0)
    X = random.normal(size=(12, 31, 31, bands)).astype(np.float32)
    cnn = LandslideCNN(filters=filters, padding=padding, input_size=input_size, dense_units=6, epochs=1, random_state=0)
    cnn.classes_, cnn.patch_shape_, cnn.n_features_in_ = np.array([0, 1, 2]), X.shape[1:], bands
    cnn.model_ = build_cnn(
        patch_shape=X.shape[1:], n_classes=3, filters=filters, dense_units=6, padding=padding, input_size=input_size,
        mean=random.normal(size=bands), variance=random.uniform(0.5, 2, bands),
    )  # fmt: skip
    *others, kernel, bias = cnn.model_.get_weights()
    cnn.model_.set_weights([*others, kernel * 5, random.normal(size=bias.shape)])  # so that the classes differ
    path = export_onnx(cnn, tmp_path / "model.onnx")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = session_of(path)
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.type, taken.shape) == ("patches", "tensor(float)", ["n", *X.shape[1:]])
    assert (given.name, given.shape) == ("probabilities", ["n", 3])
    expected = cnn.predict_proba(X)
    assert expected.std() > 0.02
    for n in (1, 12):
        (found,) = session.run(["probabilities"], {"patches": X[:n]})
        assert np.abs(found - expected[:n]).max() <= 1e-5


def test_pipelines_searches_and_what_they_demand(tmp_path):
    pipeline = load_model(STORED)
    path = tmp_path / "model.onnx"
    assert export_onnx(pipeline, path) == str(path)
    told = {k: json.loads(v) for k, v in session_of(path).get_modelmeta().custom_metadata_map.items()}
    assert told["bands"] == ["Red", "Green", "Blue"]
    assert told["units"] == [None] * 3
    assert told["composite"] == "RGB"
    assert told["patch_shape"] == [9, 9, 3]
    assert told["classes"] == [0, 1]
    assert told["pixel_size"] == pytest.approx([10, 10], rel=0.01)
    assert told["sklandslide_version"]
    first = path.read_bytes()
    export_onnx(load_model(STORED), path, overwrite=True)
    assert path.read_bytes() == first
    X, y = samples(random_scene())
    cnn = LandslideCNN(filters=(2,), dense_units=2, input_size=None, epochs=1, random_state=0)
    steps = make_pipeline(BandStacker("RGB"), PatchSampler(), Augmenter(), cnn)
    search = GridSearchCV(steps, {"patchsampler__patch_size": [5]}, cv=2).fit(X, y)
    patches = search.best_estimator_[:2].transform(X)
    (found,) = session_of(export_onnx(search, tmp_path / "search.onnx")).run(None, {"patches": patches})
    np.testing.assert_allclose(found, search.predict_proba(X), atol=1e-5)


def test_what_is_not_exported(tmp_path, monkeypatch):
    X, y = samples(random_scene())
    cnn = LandslideCNN(filters=(2,), dense_units=2, input_size=None, epochs=1, random_state=0)
    with pytest.raises(NotFittedError):
        export_onnx(cnn, tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match="of LogisticRegression is not exported"):
        export_onnx(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.onnx")
    scaled = make_pipeline(BandStacker("RGB"), PatchSampler(5), FunctionTransformer(np.arctan), cnn).fit(X, y)
    with pytest.raises(ModelFileError, match="FunctionTransformer, LandslideCNN is not exported"):
        export_onnx(scaled, tmp_path / "m.onnx")
    with pytest.raises(OutputFolderError):
        export_onnx(load_model(STORED), tmp_path / "none" / "m.onnx")
    (tmp_path / "there.onnx").write_text("kept")
    with pytest.raises(OutputExistsError):
        export_onnx(load_model(STORED), tmp_path / "there.onnx")
    assert (tmp_path / "there.onnx").read_text() == "kept"
    import keras

    other = scaled[-1]
    layers = [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    other.model_ = keras.Sequential([keras.Input((5, 5, 3)), *layers])
    with pytest.raises(ModelFileError, match=r"not exported.*only a network of build_cnn"):
        export_onnx(other, tmp_path / "m.onnx")
    assert [p.name for p in tmp_path.iterdir()] == ["there.onnx"]


def test_the_package_onnx_is_not_needed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    session_of(export_onnx(load_model(STORED), tmp_path / "model.onnx"))
