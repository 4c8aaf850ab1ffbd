"""The network in ONNX Runtime: the same probabilities, where it is installed."""

import numpy as np
import pytest
from fitting import fitted, randomise
from scenes import random_scene

from sklandslide import LandslideCNN, SlidingWindowPredictor
from sklandslide.mapping import windows


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
    assert "with ONNX Runtime" in caplog.text
    monkeypatch.setattr(windows, "_onnx_network", lambda task: (None, None))
    plain = predictor.predict_map(scene, tmp_path / "keras.tif").probability
    assert np.isnan(fast).tolist() == np.isnan(plain).tolist()
    assert np.nanmax(np.abs(fast - plain)) <= 1e-5
    assert (fast != plain).any()  # it did run elsewhere
