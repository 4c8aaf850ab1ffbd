"""A pickled pipeline in another process, on another scene."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    make_scene,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

OTHER_PROCESS = """
import pickle, sys
import numpy as np
from sklandslide import Locations, Scene, SlidingWindowPredictor
model, folder = sys.argv[1:]
with open(model, "rb") as f:
    model = pickle.load(f)
bands = ["VV_before", "VV_after", "VV_after2"]
scene = Scene.from_files({b: f"{folder}/{b}.tif" for b in bands}, units=dict.fromkeys(bands, "dB"))
xy = np.load(f"{folder}/xy.npy")
np.save(f"{folder}/there.npy", model.predict_proba(Locations(scene, xy)))
SlidingWindowPredictor(model, step=8).predict_map(scene, f"{folder}/there.tif")
"""


@pytest.mark.slow
def test_model_in_another_process_on_another_scene(tmp_path, simulated):
    from sklandslide import LandslideMap, SlidingWindowPredictor

    here = tmp_path / "training-scene"
    scene, polygons = make_scene(shape=(300, 300), random_state=0, directory=here)
    with pytest.warns(SamplingWarning):  # a few polygons lie at the edge
        X, y, _ = sample_polygons(scene, polygons, patch_size=25, balance=True, random_state=0)
    model = make_pipeline(BandStacker("BAA"), PatchSampler(), Augmenter(), LandslideCNN(epochs=1, random_state=0)).fit(
        X, y
    )

    pickled = pickle.dumps(model)
    assert len(pickled) < 5e6
    for word in ("training-scene", str(tmp_path), ".tif", "EPSG"):
        assert word.encode() not in pickled
    for band in ("VV_before", "VV_after"):
        row = scene.read(band)[100, 100:110].tobytes()
        assert row not in pickled
    (tmp_path / "model.pkl").write_bytes(pickled)

    there = tmp_path / "other"
    other, _ = make_scene(shape=(200, 260), random_state=7, directory=there)
    random = np.random.RandomState(0)
    xy = other.grid.xy(random.uniform(13, 187, 300), random.uniform(13, 247, 300))
    np.save(there / "xy.npy", xy)
    subprocess.run([sys.executable, "-c", OTHER_PROCESS, tmp_path / "model.pkl", there], check=True, timeout=300)
    here_proba = model.predict_proba(Locations(other, xy))
    np.testing.assert_array_equal(np.load(there / "there.npy"), here_proba)
    assert np.ptp(here_proba[:, 1]) > 0.01  # a constant would prove nothing
    mapped = SlidingWindowPredictor(model, step=8).predict_map(other, there / "here.tif")
    np.testing.assert_array_equal(LandslideMap.open(there / "there.tif").probability, mapped.probability)
