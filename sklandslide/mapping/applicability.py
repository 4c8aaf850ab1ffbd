"""ApplicabilityArea: which windows are like those that a model was trained on."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import check_cv
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from ..exceptions import SklandslideError
from ..network import state_of
from .estimators import own_pipeline

# Axes that windows are compared along: with more, what is outside stays outside, and maps become slower.
_AXES = 16
# Variance of a normalised band below which a window counts as flat: rounding is no texture.
FLAT = 1e-4


class ApplicabilityArea(BaseEstimator):
    """The area of applicability of a fitted model (Meyer and Pebesma 2021): where it has seen the like.

    The dissimilarity index of a window is its distance to the nearest training window over the mean distance of
    training windows. Its threshold is what training windows have to those of other folds, without outliers: the upper
    whisker of a boxplot, as in the R package CAST. A window above it is unlike everything that the model was trained
    on, and what the model says of it is a guess.

    Parameters
    ----------
    estimator : estimator
        The fitted pipeline that ends with a `LandslideCNN`; or a search that found one, or one with a chosen threshold.
        It is not fitted again. As scikit-learn's `clone` forgets what was fitted, wrap it in a
        ``sklearn.frozen.FrozenEstimator`` where the area is to be cloned.
    cv : int, cross-validation generator or iterable, default=5
        The folds, as in scikit-learn; use the `SpatialBlockKFold` that the model was validated with. Random folds give
        a threshold that is too low: the nearest training window of another fold shares pixels then.
    n_references : int, default=1024
        Training windows that distances are measured to, drawn at random if there are more. All training windows count
        for the threshold, so it is right for so many references. More of them make maps slower.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw.

    Attributes
    ----------
    threshold_ : float
        Largest dissimilarity index inside the area.
    train_dissimilarity_ : ndarray of shape (n_samples,), float32
        Of each training window that is in a test fold, to the references in the training part of that fold.
    mean_distance_ : float
        Of training windows to the references.
    references_ : ndarray of shape (n_references, n_axes), float32
        The training windows that stand for all.
    centre_ : ndarray of shape (n_features,), float32
        Mean of the features.
    axes_ : ndarray of shape (n_features, n_axes), float32
        What turns features into places: their scale and principal axes, 16 of them.

    Notes
    -----
    A window's features are the activations of the network's last hidden layer and, of each band as the network
    normalises it, the mean, the standard deviation and the correlation of neighbouring pixels. The four kinds have the
    same variance over the training windows. The hidden layer alone does not see what matters here: it is made to
    overlook what does not tell the classes apart, and saturates on what it never saw (see
    :doc:`/explanations/trust`).

    References
    ----------
    H. Meyer, E. Pebesma, "Predicting into unknown space? Estimating the area of applicability of spatial prediction
    models", Methods in Ecology and Evolution 12, 2021.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklandslide import (
    ...     ApplicabilityArea, BandStacker, LandslideCNN, PatchSampler, SpatialBlockKFold, make_scene, sample_polygons
    ... )
    >>> scene, polygons = make_scene(shape=(200, 200), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9, random_state=0)
    >>> cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, random_state=0)
    >>> pipe = make_pipeline(BandStacker("RGB"), PatchSampler(9), cnn).fit(X, y)
    >>> folds = SpatialBlockKFold(3, block_size=500, buffer=X.patch_extent(9), random_state=0)
    >>> area = ApplicabilityArea(pipe, cv=folds, random_state=0).fit(X, y)
    >>> bool(area.predict(X).mean() > 0.9)
    True
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict_proba"])],
        "cv": ["cv_object"],
        "n_references": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any, *, cv: Any = 5, n_references: int = 1024, random_state: Any = None) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_references = n_references
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> ApplicabilityArea:
        """Find the threshold from the windows that the estimator was fitted on.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)
            What the estimator was fitted on.
        y : array-like of shape (n_samples,), default=None
            Labels, for folds that are drawn by class.
        groups : array-like of shape (n_samples,), default=None
            Groups, for folds that keep them together.

        Returns
        -------
        ApplicabilityArea
            Itself.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        SklandslideError
            If it is no pipeline of this package's steps with a network, or a fold has no reference to compare with.
        """
        self._validate_params()
        pipeline = self._pipeline()
        patches = pipeline[:-1].transform(X)
        features = features_of(pipeline, patches, pipeline[-1].predict_proba_and_features(patches)[1])
        places = self._fit_axes(features, pipeline[-1].patch_shape_[-1])
        n = len(places)
        random = check_random_state(self.random_state)
        rows = np.sort(random.choice(n, min(self.n_references, n), replace=False))
        self.references_ = places[rows]
        distances = pairwise_distances(places, self.references_)
        self.mean_distance_ = float(distances.sum() / (distances.size - len(rows)))  # none from itself
        nearest = np.full(n, np.nan, np.float32)
        for train, test in check_cv(self.cv, y, classifier=True).split(X, y, groups):
            others = np.isin(rows, train)
            if not others.any():
                raise SklandslideError(
                    f"None of the {len(rows)} references lies in the training part of a fold of {len(train)} windows. "
                    "Give a larger n_references, or fewer folds."
                )
            nearest[test] = distances[test][:, others].min(axis=1)
        self.train_dissimilarity_ = nearest[np.isfinite(nearest)] / self.mean_distance_
        self.threshold_ = upper_whisker(self.train_dissimilarity_)
        return self

    def dissimilarity(self, X: Any) -> np.ndarray:
        """Dissimilarity index of windows.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)

        Returns
        -------
        ndarray of shape (n_samples,), float32
            0 for a reference; above `threshold_` outside the area.

        Raises
        ------
        NotFittedError
            If the area is not fitted.
        """
        check_is_fitted(self)
        pipeline = self._pipeline()
        patches = pipeline[:-1].transform(X)
        features = features_of(pipeline, patches, pipeline[-1].predict_proba_and_features(patches)[1])
        return relative_dissimilarity(self, features) * np.float32(self.threshold_)

    def predict(self, X: Any) -> np.ndarray:
        """Whether windows lie inside the area.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)

        Returns
        -------
        ndarray of shape (n_samples,), bool
            True where `dissimilarity` is at most `threshold_`.
        """
        return self.dissimilarity(X) <= self.threshold_

    def _fit_axes(self, features: np.ndarray, n_bands: int) -> np.ndarray:
        """Give the hidden layer and each kind of statistics the same variance; find the axes, and places along them."""
        spread = features.std(axis=0)
        hidden, statistics = spread[: -3 * n_bands], spread[-3 * n_bands :]
        scale = np.concatenate([np.full_like(hidden, (hidden**2).sum() ** 0.5), statistics * n_bands**0.5])
        scale[scale == 0] = 1  # constant in training
        pca = PCA(min(_AXES, *features.shape), svd_solver="full").fit(features / scale)
        self.centre_ = features.mean(axis=0)
        self.axes_ = (pca.components_.T / scale[:, None]).astype(np.float32)
        return (features - self.centre_) @ self.axes_

    def _pipeline(self) -> Any:
        check_is_fitted(self.estimator)
        pipeline = own_pipeline(self.estimator)
        if pipeline is None:
            raise SklandslideError(
                f"{type(self.estimator).__name__} is no pipeline of BandStacker, PatchSampler, Augmenter and "
                "LandslideCNN, so there is no hidden layer to compare windows by. Give the pipeline with the network."
            )
        return pipeline


def features_of(pipeline: Any, patches: np.ndarray, hidden: np.ndarray) -> np.ndarray:
    """What windows are compared by: the hidden layer, and mean, spread and texture of each normalised band."""
    state = state_of(pipeline[-1])
    patches = (patches - state["mean"]) / np.sqrt(state["variance"])
    mean, variance = patches.mean(axis=(1, 2)), patches.var(axis=(1, 2))
    down, right = np.diff(patches, axis=1), np.diff(patches, axis=2)
    differences = ((down**2).mean(axis=(1, 2)) + (right**2).mean(axis=(1, 2))) / 2
    return np.concatenate([hidden, mean, np.sqrt(variance), 1 - differences / (2 * np.maximum(variance, FLAT))], axis=1)


def relative_dissimilarity(area: ApplicabilityArea, features: np.ndarray) -> np.ndarray:
    """Dissimilarity over its threshold, of windows with these features: one product with all references."""
    centre, axes, references, unit = parts_of(area)
    places = (features - centre) @ axes
    squares = places @ (-2 * references.T) + (references**2).sum(axis=1)
    nearest = squares.min(axis=1) + (places**2).sum(axis=1)
    return np.sqrt(np.maximum(nearest, 0)) / unit


def parts_of(area: ApplicabilityArea) -> tuple[np.ndarray, ...]:
    """What `relative_dissimilarity` computes with."""
    unit = np.asarray(area.mean_distance_ * area.threshold_, np.float32)
    return area.centre_, area.axes_, area.references_, unit


def upper_whisker(values: np.ndarray) -> float:
    """The end of a boxplot's upper whisker: the largest value that is no more than 1.5 box lengths above the box."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + 1.5 * (high - low)].max())
