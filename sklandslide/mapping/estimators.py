"""What a fitted estimator is made of: the steps of this package inside it, however nested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from ..features import Augmenter, BandStacker, PatchSampler
from ..network import LandslideCNN


def bare(estimator: Any) -> Any:
    """The estimator whose probabilities these are: found by a search, frozen, given a threshold."""
    while True:
        if isinstance(estimator, FixedThresholdClassifier | TunedThresholdClassifierCV):
            inner = getattr(estimator, "estimator_", estimator.estimator)
        elif isinstance(estimator, FrozenEstimator):
            inner = estimator.estimator
        else:
            inner = getattr(estimator, "best_estimator_", estimator)
        if inner is estimator:
            return estimator
        estimator = inner


def own_pipeline(estimator: Any) -> Pipeline | None:
    """The pipeline of this package's own steps that an estimator is, as `bare` finds it."""
    pipeline = bare(estimator)
    if not isinstance(pipeline, Pipeline):
        return None
    kinds = [type(step) for _, step in pipeline.steps if step not in (None, "passthrough")]
    while Augmenter in kinds:
        kinds.remove(Augmenter)
    if kinds[:1] == [BandStacker]:
        kinds = kinds[1:]
    return pipeline if kinds == [PatchSampler, LandslideCNN] else None


def threshold_of(estimator: Any, label: Any) -> float | None:
    """The probability of a class from which an estimator predicts it, where one was chosen."""
    if isinstance(estimator, Pipeline):
        return threshold_of(estimator[-1], label)
    if isinstance(estimator, FrozenEstimator):
        return threshold_of(estimator.estimator, label)
    if hasattr(estimator, "best_estimator_"):
        return threshold_of(estimator.best_estimator_, label)
    if (
        not isinstance(estimator, FixedThresholdClassifier | TunedThresholdClassifierCV)
        or estimator.response_method == "decision_function"
    ):
        return None
    threshold = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", "auto"))
    positive = getattr(estimator, "pos_label", None)
    positive = estimator.classes_[1] if positive is None else positive
    if threshold == "auto" or positive != label:
        return None
    return float(np.clip(threshold, 0, 1))


def fitted_parts(estimator: Any, kind: type) -> list[Any]:
    """The fitted estimators of a class inside a fitted estimator."""
    return list({id(part): part for part in _walk(estimator, kind)}.values())


def _walk(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        if hasattr(value, "n_features_in_"):
            yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _walk(item, kind)
    elif isinstance(value, dict):
        yield from _walk(list(value.values()), kind)
    elif isinstance(value, BaseEstimator) or type(value).__module__.startswith("sklearn."):
        attributes = getattr(value, "__dict__", {})
        # A meta-estimator keeps its unfitted template beside what it fitted: only the latter counts.
        best = {"best_estimator_": attributes["best_estimator_"]} if "best_estimator_" in attributes else None
        learnt = {k: v for k, v in attributes.items() if k.endswith("_") and not k.startswith("_")}
        fitted = list(_walk(list((best or learnt).values()), kind))
        yield from fitted or _walk(list(attributes.values()), kind)
