"""The network in ONNX Runtime: the same probabilities, where it is installed."""

import numpy as np
import pytest
from fitting import fitted, randomise
from scenes import random_scene

from sklandslide import LandslideCNN, SlidingWindowPredictor, build_cnn
from sklandslide.mapping import windows

pytest.importorskip("onnxruntime", reason="ONNX Runtime is an extra")


@pytest.mark.parametrize(
    ("padding", "size", "input_size", "bands"), [("same", 25, 32, 3), ("valid", 40, 32, 1), ("same", 33, None, 3)]
)
def test_probabilities_are_those_of_keras(padding, size, input_size, bands):
    from sklandslide.network.onnx_network import OnnxNetwork

    random = np.random.RandomState(0)
    mean, variance = random.normal(size=bands), random.uniform(0.5, 2, bands)
    model = build_cnn(
        patch_shape=(size, size, bands), n_classes=2, filters=(5, 7), dense_units=9, padding=padding,
        input_size=input_size, mean=mean, variance=variance,
    )  # fmt: skip
    kernels = [w for w in model.get_weights() if w.dtype.kind == "f" and w.shape != (bands,)]
    model.layers[-1].set_weights([kernels[-2] * 3, random.normal(size=2)])
    patches = random.normal(size=(150, size, size, bands)).astype("float32")
    expected = model.predict(patches, verbose=0)
    found = OnnxNetwork(model).predict(np.ascontiguousarray(patches.transpose(0, 3, 1, 2)))
    assert expected.std() > 0.02
    assert np.abs(found - expected).max() <= 1e-5


def test_other_layers_are_refused():
    import keras

    from sklandslide.network.onnx_network import to_onnx

    L = keras.layers
    everywhere = L.Normalization(axis=(1, 2, 3), mean=np.zeros((9, 9, 2)), variance=np.ones((9, 9, 2)))
    refused = [
        (L.LayerNormalization(), "LayerNormalization"),
        (L.Conv2D(2, 3, activation="gelu"), "gelu"),
        (everywhere, "Normalization"),
        (L.Normalization(mean=[0.0, 0.0], variance=[1.0, 1.0], invert=True), "Normalization"),
        (L.Dense(3), "Dense"),
        (L.Resizing(16, 16, interpolation="nearest"), "Resizing"),
        (L.Resizing(16, 12, pad_to_aspect_ratio=True), "Resizing"),
    ]
    for layer, word in refused:
        model = keras.Sequential([keras.Input((9, 9, 2)), layer, L.Flatten(), L.Dense(2, activation="softmax")])
        with pytest.raises(ValueError, match=rf"{word}.* has no counterpart in ONNX"):
            to_onnx(model)


@pytest.mark.parametrize("input_size", [None, 16])
def test_map_is_the_same_with_and_without(tmp_path, monkeypatch, caplog, input_size):
    scene = random_scene((70, 61), holes=3)
    cnn = LandslideCNN(filters=(4, 6), dense_units=8, input_size=input_size, epochs=1, random_state=0)
    pipe = fitted(random_scene(), 12, cnn, bands=["Red", "Green - Blue"])
    if input_size is None:
        randomise(pipe[-1].model_, np.random.RandomState(0))
    predictor = SlidingWindowPredictor(pipe, method="window")
    with caplog.at_level("INFO", "sklandslide"):
        fast = predictor.predict_map(scene, tmp_path / "onnx.tif").probability
    assert "Mapping window by window (ONNX Runtime" in caplog.text
    monkeypatch.setattr(windows, "_onnx_network", lambda task: (None, None))
    plain = predictor.predict_map(scene, tmp_path / "keras.tif").probability
    assert np.isnan(fast).tolist() == np.isnan(plain).tolist()
    assert np.nanmax(np.abs(fast - plain)) <= 1e-5
    assert (fast != plain).any()  # it did run elsewhere


def test_other_networks_and_estimators_are_asked_themselves(tmp_path, monkeypatch):
    import keras

    pipe = fitted(random_scene(), 9, LandslideCNN(filters=(2,), dense_units=4, input_size=None, epochs=1), bands="RGB")
    layers = [keras.Input((9, 9, 3)), keras.layers.LayerNormalization(), keras.layers.Flatten()]
    monkeypatch.setattr(pipe[-1], "model_", keras.Sequential([*layers, keras.layers.Dense(2, activation="softmax")]))
    scene = random_scene((40, 33))
    m = SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    patches = np.stack([scene.read()[r : r + 9, c : c + 9] for r in range(0, 32, 2) for c in range(0, 25, 2)])
    np.testing.assert_allclose(m.probability.ravel(), pipe[-1].predict_proba(patches)[:, 1], atol=1e-6)
