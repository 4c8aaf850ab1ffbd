"""What a model file may hold beyond what skops trusts by itself: a fixed list of names, and checks of what they hold.

skops trusts scikit-learn's estimators and NumPy's ufuncs. It does not trust trees, because scikit-learn's compiled code
follows the numbers of their nodes without looking whether they are right.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator


def _named(module: str, names: str) -> list[str]:
    return [f"{module}.{name}" for name in names.split()]


TRUSTED = [
    *_named("sklandslide", "ApplicabilityArea BandStacker PatchSampler Augmenter LocalChange LandslideCNN"),
    *_named("sklandslide", "SpatialBlockKFold"),
    *_named("numpy", "clip max mean median min nan_to_num nanmean nanmedian nanstd percentile ptp quantile reshape"),
    *_named("numpy", "std sum var dtype"),
    *_named("sklearn.calibration", "_CalibratedClassifier _SigmoidCalibration _TemperatureScaling"),
    *_named("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
    *_named("sklearn.feature_selection._univariate_selection", "f_classif"),
    *_named("sklearn.metrics._classification", "accuracy_score balanced_accuracy_score f1_score fbeta_score"),
    *_named("sklearn.metrics._classification", "jaccard_score matthews_corrcoef precision_score recall_score"),
    *_named("sklearn.metrics._scorer", "_CurveScorer _Scorer"),
    *_named("sklearn.model_selection._split", "GroupKFold KFold LeaveOneGroupOut StratifiedGroupKFold StratifiedKFold"),
    *_named("sklearn.neural_network._stochastic_optimizers", "AdamOptimizer SGDOptimizer"),
    *_named("sklearn.tree._tree", "Tree"),
    *_named("sklearn.utils._bunch", "Bunch"),
    *_named("sklearn.utils._metadata_requests", "MetadataRequest MethodMetadataRequest"),
]

# The parts of scikit-learn whose estimators predict by NumPy, and trees. Support vectors, neighbours, clusters and the
# older boosting hand the numbers of a model to compiled code that takes them on trust.
_TAKEN = [
    *_named("sklearn", "_loss base calibration compose decomposition discriminant_analysis dummy ensemble frozen"),
    *_named("sklearn", "feature_selection impute isotonic kernel_approximation linear_model metrics model_selection"),
    *_named("sklearn", "multiclass naive_bayes neural_network pipeline preprocessing tree utils"),
]
_NOT_TAKEN = ("sklearn.ensemble._gb", "sklearn.ensemble._iforest")


def _parts_of(model: Any) -> Iterator[tuple[Any, Any]]:
    """Everything inside a model, each with one that holds it."""
    seen: dict[int, Any] = {}
    left: list[tuple[Any, Any]] = [(None, model)]
    while left:
        owner, part = left.pop()
        yield owner, part
        if id(part) in seen:
            continue
        seen[id(part)] = part
        if isinstance(part, dict):
            held = list(part.values())
        elif isinstance(part, list | tuple | set):
            held = list(part)
        elif isinstance(part, np.ndarray):
            held = part.ravel().tolist() if part.dtype.hasobject else []
        elif type(part).__module__.split(".")[0] in ("sklearn", "sklandslide"):
            held = list(getattr(part, "__dict__", {}).values())
        else:
            held = []
        left += [(part, one) for one in held]


def places_in(model: Any) -> list[Any]:
    """The estimators inside a model that keep results in a folder."""
    return [part for part in _estimators_in(model) if getattr(part, "memory", None) is not None]


def callers_in(model: Any) -> list[Any]:
    """The estimators inside a model that callbacks of scikit-learn are set on."""
    return [part for part in _estimators_in(model) if hasattr(part, "_skl_callbacks")]


def _estimators_in(model: Any) -> Iterator[Any]:
    return (part for _, part in _parts_of(model) if isinstance(part, BaseEstimator))


def check_parts(model: Any) -> None:
    """Refuse, by a ValueError, what could make compiled code read where it should not, and places on a disk."""
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._hist_gradient_boosting.gradient_boosting import BaseHistGradientBoosting
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    for owner, part in _parts_of(model):
        kind = type(part)
        room = ".".join(kind.__module__.split(".")[:2])
        if room.startswith("sklearn.") and (room not in _TAKEN or kind.__module__ in _NOT_TAKEN):
            raise ValueError(
                f"a {kind.__name__} predicts with compiled code that takes its numbers on trust. Use another, such as "
                "HistGradientBoostingClassifier, or a pickle"
            )
        if isinstance(part, Tree):
            if not isinstance(owner, BaseDecisionTree) or owner.n_features_in_ != part.n_features:
                raise ValueError("a tree is not that of its classifier")
            _check_nodes(part.children_left != -1, part.children_left, part.children_right, part.feature, owner)
        elif isinstance(part, BaseForest) and hasattr(part, "estimators_"):
            if {tree.n_features_in_ for tree in part.estimators_} != {part.n_features_in_}:
                raise ValueError("a forest has trees for other features than its own")
        elif isinstance(part, BaseHistGradientBoosting) and hasattr(part, "_predictors"):
            if part._preprocessor is not None:
                raise ValueError("boosting with categories is not kept. Use numbers only, or a pickle")
            for tree in chain(*part._predictors):
                nodes = tree.nodes
                if nodes["is_categorical"].any():
                    raise ValueError("a tree asks for categories that there are not")
                _check_nodes(nodes["is_leaf"] == 0, nodes["left"], nodes["right"], nodes["feature_idx"], part)
    for part in places_in(model):
        raise ValueError(f"a {type(part).__name__} has memory={part.memory!r}, a place on somebody's disk")


def _check_nodes(inner: np.ndarray, left: np.ndarray, right: np.ndarray, feature: np.ndarray, owner: Any) -> None:
    """Each node leads on to later ones that there are, by a feature that there is."""
    numbers = np.arange(len(inner))[inner]
    following = np.array([left[inner], right[inner]], dtype=np.int64)
    features = feature[inner].astype(np.int64)
    if not len(inner) or (following <= numbers).any() or (following >= len(inner)).any():
        raise ValueError("the nodes of a tree lead nowhere")
    if (features < 0).any() or (features >= owner.n_features_in_).any():
        raise ValueError("the nodes of a tree ask for features that there are not")
