"""What a fitted estimator is made of: the steps of this package inside it, however nested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.pipeline import Pipeline

from ..features import Augmenter, BandStacker, PatchSampler
from ..network import LandslideCNN


def own_pipeline(estimator: Any) -> Pipeline | None:
    """The pipeline of this package's own steps that an estimator is, or that a search or a chosen threshold holds."""
    pipeline = getattr(estimator, "best_estimator_", estimator)
    if isinstance(pipeline, FixedThresholdClassifier | TunedThresholdClassifierCV):
        pipeline = getattr(pipeline, "estimator_", None)
    if isinstance(pipeline, FrozenEstimator):
        pipeline = pipeline.estimator
    if not isinstance(pipeline, Pipeline):
        return None
    kinds = [type(step) for _, step in pipeline.steps if step not in (None, "passthrough")]
    while Augmenter in kinds:
        kinds.remove(Augmenter)
    if kinds[:1] == [BandStacker]:
        kinds = kinds[1:]
    return pipeline if kinds == [PatchSampler, LandslideCNN] else None


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
