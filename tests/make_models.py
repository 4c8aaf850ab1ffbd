"""Make the stored models of tests/models, which show that files of earlier versions are still read.

With the code of the version that the files are to stand for::

    PYTHONPATH=FOLDER_OF_THAT_VERSION python tests/make_models.py pickle  # VERSION.pkl
    PYTHONPATH=FOLDER_OF_THAT_VERSION python tests/make_models.py file    # format-NUMBER.zip
    PYTHONPATH=FOLDER_OF_THAT_VERSION python tests/make_models.py scene   # the inputs that all of them share

Make a pickle for each release and a file for each format, once, and keep them: a model that is made again proves
nothing about the old one. Beside each lies a JSON file with what it gave then.
"""

import argparse
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import sklearn
from affine import Affine
from sklearn.pipeline import make_pipeline

import sklandslide
from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
    make_scene,
    sample_polygons,
)

MODELS = Path(__file__).resolve().parent / "models"
BANDS = ("VV_before", "VV_after", "VV_after2")
STEP = 4


def stored_scene():
    """The scene that the stored models are asked about, and places on it."""
    with np.load(MODELS / "scene.npz", allow_pickle=False) as stored:
        arrays = {band: stored[band] for band in BANDS}
        scene = Scene.from_arrays(
            arrays, transform=Affine(*stored["transform"]), crs=str(stored["crs"]), units=dict.fromkeys(BANDS, "dB")
        )
        return scene, stored["xy"]


def make_inputs():
    scene, _ = make_scene(shape=(150, 150), random_state=7)
    part = scene.crop(((40, 88), (30, 78)))
    random = np.random.RandomState(0)
    xy = part.grid.xy(random.uniform(6, 42, 20), random.uniform(6, 42, 20))
    pixels = part.read(BANDS)
    arrays = {band: pixels[..., i] for i, band in enumerate(BANDS)}
    place = {"transform": np.array(part.grid.transform[:6]), "crs": np.array(str(part.grid.crs)), "xy": xy}
    np.savez_compressed(MODELS / "scene.npz", **arrays, **place)


def trained():
    warnings.simplefilter("ignore")  # polygons at the edge of the scene give no sample
    scene, polygons = make_scene(shape=(300, 300), random_state=0)
    X, y, _ = sample_polygons(scene, polygons, patch_size=9, max_per_polygon=6, balance=True, random_state=0)
    cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=8, random_state=0)
    return make_pipeline(BandStacker("BAA"), PatchSampler(9), Augmenter(), cnn).fit(X, y)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pickle", "file", "scene"])
    what = parser.parse_args().what
    if what == "scene":
        make_inputs()
        return
    model = trained()
    if what == "pickle":
        name = sklandslide.__version__
        (MODELS / f"{name}.pkl").write_bytes(pickle.dumps(model))
    else:
        from sklandslide.persistence.archive import FORMAT

        name = f"format-{FORMAT}"
        sklandslide.save_model(model, MODELS / f"{name}.zip", overwrite=True)
    scene, xy = stored_scene()
    landslides = SlidingWindowPredictor(model, step=STEP).predict_map(scene, MODELS / "map.tif")
    gave = {
        "scikit-learn": sklearn.__version__,
        "probabilities": model.predict_proba(Locations(scene, xy))[:, 1].tolist(),
        "map": landslides.probability.tolist(),
    }
    (MODELS / "map.tif").unlink()
    (MODELS / f"{name}.json").write_text(json.dumps(gave) + "\n")


if __name__ == "__main__":
    main()
