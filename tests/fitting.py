"""Fitted pipelines that several test files use."""

import numpy as np
from scenes import UTM, WeightedSum, random_scene
from sklearn.pipeline import make_pipeline

from sklandslide import Augmenter, BandStacker, LandslideCNN, Locations, PatchSampler

ALL_BANDS = ("A", "B", "C", "D")
BANDS = ["Red", "Blue", "Red - Green"]
GEOTIFF = {"driver": "GTiff", "count": 1, "dtype": "float32", "crs": "EPSG:32654", "transform": UTM}


def some_locations(scene, n, patch_size, seed=0):
    margin = patch_size / 2 + 1
    rows, cols = (np.random.RandomState(seed).uniform(margin, s - margin, n) for s in scene.grid.shape)
    X = Locations(scene, scene.grid.xy(rows, cols))
    return X, np.arange(n) % 2


def fitted(scene, patch_size=5, classifier=None, bands=BANDS, y=None):
    X, labels = some_locations(scene, 20, patch_size)
    pipe = make_pipeline(BandStacker(bands), PatchSampler(patch_size=patch_size), classifier or WeightedSum())
    return pipe.fit(X, labels if y is None else y)


def randomise(model, random):
    """Random weights, the last layer scaled to logits of about one on random patches."""
    weights = [
        random.normal(scale=1 / np.sqrt(np.prod(w.shape[:-1])) if w.ndim > 1 else 0.3, size=w.shape)
        for w in model.get_weights()
    ]
    model.set_weights(weights)
    features = random.normal(size=(64, *model.input_shape[1:])).astype("float32")
    for layer in model.layers[:-1]:
        features = layer(features, training=False)
    logits = np.array(features) @ weights[-2]
    margin = logits[:, 1] - logits[:, 0]
    weights[-2] = weights[-2] * 1.5 / margin.std()
    weights[-1] = np.array([0, -1.5 * margin.mean() / margin.std()])
    model.set_weights(weights)


def pipeline(size, *, blocks=3, padding="same", bands=3, seed=0, **options):
    """A pipeline whose network has random weights that do not saturate the softmax."""
    train = random_scene((60, 60), ALL_BANDS[:bands])
    X = Locations(train, train.grid.xy(np.full(8, 30.0), np.full(8, 30.0)))
    filters = (4, 6, 5, 7)[:blocks]
    cnn = LandslideCNN(filters=filters, dense_units=8, padding=padding, input_size=None, epochs=1, **options)
    pipe = make_pipeline(BandStacker(list(ALL_BANDS[:bands])), PatchSampler(patch_size=size), Augmenter(), cnn)
    pipe.fit(X, np.arange(8) % 2)
    randomise(pipe[-1].model_, np.random.RandomState(seed))
    return pipe


def values_of(pipe, step, shape):
    """A map of a random image as one tile, by the engine itself."""
    from sklandslide.mapping.shared import shared_engine
    from sklandslide.mapping.tiles import MapTask

    size = pipe[1].patch_size
    pixels = np.random.RandomState(0).normal(size=(*((n - 1) * step + size for n in shape), 3)).astype("float32")
    engine = shared_engine()(MapTask(pipe, [pipe[0]], size, step, 1))
    return engine._values(pixels, np.ones(shape, bool))[0]
