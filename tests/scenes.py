"""Small scenes and estimators that several test files use."""

import numpy as np
from affine import Affine
from sklearn.base import BaseEstimator, ClassifierMixin

from sklandslide import Scene

UTM = Affine(10, 0, 500_000, 0, -10, 4_700_000)


def random_scene(shape=(60, 70), bands=("Red", "Green", "Blue"), *, seed=0, transform=UTM, crs="EPSG:32654", holes=0):
    """Bands of independent noise, with `holes` pixels of nodata in each."""
    random = np.random.RandomState(seed)
    arrays = {}
    for band in bands:
        arrays[band] = random.normal(size=shape)
        arrays[band].flat[random.choice(shape[0] * shape[1], holes, replace=False)] = np.nan
    return Scene.from_arrays(arrays, transform=transform, crs=crs)


class WeightedSum(ClassifierMixin, BaseEstimator):
    """A classifier of patches whose answer depends on every pixel by its place: nothing can be swapped unnoticed.

    `calls` collects the number of patches of each call.
    """

    def __init__(self, calls=None):
        self.calls = calls

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.weights_ = np.random.RandomState(1).normal(size=X.shape[1:]) / np.sqrt(X[0].size)
        return self

    def predict_proba(self, X):
        if self.calls is not None:
            self.calls.append(len(X))
        return probabilities(X, self.weights_)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def probabilities(patches, weights):
    score = np.einsum("nijk,ijk->n", np.asarray(patches, np.float64), weights)
    landslide = 1 / (1 + np.exp(-score))
    return np.stack([1 - landslide, landslide], axis=1)
