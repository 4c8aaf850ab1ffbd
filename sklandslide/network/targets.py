"""Labels and weights of samples, checked, as the network trains on them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.utils import assert_all_finite, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, column_or_1d

from ..metrics import landslide_label


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
