"""Small models that the tests of persistence keep, and the stored one. ``python tests/kept_models.py`` makes it anew.

Do that only when a file of the version before is no longer to be read, and say so in the changelog: a file that is made
again proves nothing about the old one.
"""

import json
from pathlib import Path

import numpy as np
from scenes import random_scene
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklandslide import Augmenter, BandStacker, LandslideCNN, Locations, PatchSampler, save_model

STORED = Path(__file__).parent / "persistence" / "stored.skops"


def spread():
    """From patches to a table."""
    return FunctionTransformer(np.std, kw_args={"axis": (1, 2)})


def table_pipeline(*steps, patch_size=9):
    return make_pipeline(
        BandStacker("RGB"), PatchSampler(patch_size), *(steps or (spread(), StandardScaler(), LogisticRegression()))
    )


def network(**options):
    options = {"filters": (3,), "dense_units": 4, "input_size": None, "epochs": 1, "random_state": 0, **options}
    return make_pipeline(BandStacker("RGB"), PatchSampler(9), Augmenter(), LandslideCNN(**options))


def samples(scene, n=80, seed=0):
    random = np.random.RandomState(seed)
    rows, cols = scene.grid.shape
    xy = scene.grid.xy(random.uniform(12, rows - 12, n), random.uniform(12, cols - 12, n))
    return Locations(scene, xy), random.randint(0, 2, n)


def main():
    X, y = samples(random_scene())
    model = network(epochs=3, input_size=12).fit(X, y)
    save_model(model, STORED, overwrite=True)
    gave = {"probabilities": model.predict_proba(X)[:, 1].tolist()}
    STORED.with_suffix(".json").write_text(json.dumps(gave) + "\n")


if __name__ == "__main__":
    main()
