"""Patches, labels and weights of samples, checked, as the network trains on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.utils import assert_all_finite, check_array, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d

from ..metrics import landslide_label


def checked_patches(classifier: Any, X: Any, *, reset: bool) -> np.ndarray:
    """Patches as float32, of the shape that the classifier was trained on unless it is being fitted."""
    patches = check_array(X, dtype=np.float32, allow_nd=True, input_name="X", estimator=classifier)
    if patches.ndim not in (2, 4):
        raise ValueError(
            f"X has shape {patches.shape}; {type(classifier).__name__} takes patches of shape (n_samples, rows, cols, "
            "n_bands). Put a PatchSampler before it."
        )
    if reset:
        classifier.n_features_in_ = patches.shape[-1]
    elif patches.ndim == 2 and patches.shape[1] != classifier.n_features_in_:
        raise ValueError(
            f"X has {patches.shape[1]} features, but {type(classifier).__name__} is expecting "
            f"{classifier.n_features_in_} features as input."
        )
    if patches.ndim == 2:
        patches = patches[:, None, None, :]
    if not reset and patches.shape[1:] != tuple(classifier.patch_shape_):
        raise ValueError(
            f"The patches have shape {patches.shape[1:]} (rows, cols, bands), but the network was trained on "
            f"{tuple(classifier.patch_shape_)}. Use the same patch_size and composite as in training, or train again."
        )
    return patches


def checked_labels(classifier: Any, patches: np.ndarray, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """The classes, sorted, and the place of each sample's label among them."""
    name = type(classifier).__name__
    if y is None:
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    y = column_or_1d(y, warn=True)
    check_consistent_length(patches, y)
    assert_all_finite(y, estimator_name=name, input_name="y")
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"{name} needs samples of at least two classes, but y holds only one class, {classes[0]!r}. Add samples "
            "of other ground."
        )
    return classes, codes


def combined_weights(
    patches: np.ndarray, classes: np.ndarray, codes: np.ndarray, class_weight: Any, sample_weight: Any
) -> np.ndarray | None:
    """Weight of each sample, float32, or None if all count the same."""
    if sample_weight is None and class_weight is None:
        return None
    weights = _check_sample_weight(sample_weight, patches, dtype=np.float32, ensure_non_negative=True)
    if class_weight is not None:
        weights = weights * compute_class_weight(class_weight, classes=classes, y=classes[codes])[codes]
    return weights.astype(np.float32)


def prevalence_shift(
    classes: np.ndarray, codes: np.ndarray, weights: np.ndarray | None, prevalence: float
) -> np.ndarray:
    """What to add to the network's last biases so that its probabilities are right at a stated share of landslides.

    Trained on another share, it gives odds that are wrong by the ratio of the odds of both shares.
    """
    landslide = classes == landslide_label(classes)
    share = np.average(landslide[codes], weights=weights)
    return np.where(landslide, logit(prevalence) - logit(share), 0.0)
