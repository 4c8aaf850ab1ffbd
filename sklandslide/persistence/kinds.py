"""The estimators that a model file may hold, and what of each: a closed list.

Nothing is imported by a name from a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from . import checks as c
from . import rules as r

__all__ = ["KINDS", "Kind", "class_of", "is_kind", "why_not"]


_GROWN = re.compile(r"[a-z][a-z0-9]{0,40}(_[a-z0-9]{1,40}){0,6}_")


@dataclass(frozen=True)
class Kind:
    """What a model file holds of an estimator.

    Attributes
    ----------
    module : str
        Where its class lies.
    fitted : mapping of str to Rule
        The attributes that fitting sets.
    optional : tuple of str
        Those that it may lack.
    others : Rule or None
        Of attributes under other names, for classes whose attributes may grow; None has none.
    carries : tuple of str
        Parameters whose estimators are fitted with it.
    parts : mapping of str to Rule
        Parameters that hold estimators.
    functions : tuple of str
        Parameters that may be functions.
    params : tuple of str
        Names of the parameters, where the class does not tell.
    derived : tuple of str
        Attributes that follow from the others and are not kept.
    finish : callable or None
        Sets them.
    options : callable or None
        Returns what is wrong with the parameters as a whole, or None.
    check : callable or None
        Returns what is wrong with a fitted one as a whole, or None.
    """

    module: str
    fitted: Mapping[str, r.Rule] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    others: r.Rule | None = None
    carries: tuple[str, ...] = ()
    parts: Mapping[str, r.Rule] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    params: tuple[str, ...] | None = None
    derived: tuple[str, ...] = ()
    finish: Callable[[Any], None] | None = None
    options: Callable[[Any], str | None] | None = None
    check: Callable[[Any], str | None] | None = None

    def rule_of(self, name: str, owner: type) -> r.Rule | None:
        """The rule of a fitted attribute, or None if there is no such attribute."""
        if name in self.fitted:
            return self.fitted[name]
        grown = _GROWN.fullmatch(name) and not hasattr(owner, name)
        return self.others if grown else None


def class_of(name: str) -> Any:
    """The class of a kind."""
    return getattr(import_module(KINDS[name].module), name)


def is_kind(value: Any) -> bool:
    """Whether a value is of exactly a class that model files hold."""
    name = type(value).__name__
    return name in KINDS and type(value).__module__.startswith(_PACKAGES) and class_of(name) is type(value)


def why_not(value: Any) -> str:
    """Why a model file does not hold an estimator, and what to do."""
    kind = type(value)
    where = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__.startswith(_COMPILED):
        return (
            f"{where} predicts with compiled structures (nodes of trees, vectors of a library) that are taken on "
            "trust: a file made by a stranger could make it read other memory. Use a pickle among people who trust "
            "each other, or another classifier such as LogisticRegression."
        )
    if kind.__name__ in KINDS:
        return f"{where} is another class than {KINDS[kind.__name__].module}.{kind.__name__}. Use a pickle."
    if not hasattr(value, "get_params"):
        return f"{where} is no estimator that a model file can hold. Use a pickle."
    return f"{where} is none of the estimators that a model file can hold ({', '.join(sorted(_PUBLIC))}). Use a pickle."


_PACKAGES = ("sklearn.", "sklandslide.")
_COMPILED = (
    "sklearn.tree",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._hist",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._iforest",
    "sklearn.neighbors",
    "sklearn.svm",
    "xgboost",
    "lightgbm",
    "catboost",
)
_ANY = r.of_class()
_OR_PASSED = r.or_none(r.of_class(words=("passthrough",)))
_OR_DROPPED = r.of_class(words=("drop",))
_OR_BOTH = r.of_class(words=("drop", "passthrough"))
_FOLDS = r.or_none(
    r.either(
        r.whole(2),
        r.one_of("prefit"),
        r.of_class(
            ("SpatialBlockKFold", "KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "LeaveOneGroupOut")
        ),
    )
)
_N, _FEATURES, _MAYBE = {"n_features_in_": r.size("n")}, r.array("n"), r.or_none(r.array("n"))
_SEEN = r.either(r.number(0), r.array("n", kinds="if"))

KINDS: dict[str, Kind] = {
    "BandStacker": Kind(
        "sklandslide",
        {"bands_": r.bands, "units_": r.units, "pixel_size_": r.pixel_size, "n_features_in_": r.one_of(2)},
        optional=("pixel_size_",),
        others=r.plain,
    ),
    "PatchSampler": Kind(
        "sklandslide",
        {
            "n_features_in_": r.one_of(2),
            "patch_size_": r.whole(1),
            "bands_": r.bands,
            "units_": r.units,
            "value_quantiles_": r.or_none(r.quantiles),
        },
        optional=("patch_size_", "bands_", "units_", "value_quantiles_"),
        others=r.plain,
    ),
    "Augmenter": Kind("sklandslide", {"n_features_in_": r.whole(1)}, others=r.plain),
    "LandslideCNN": Kind(
        "sklandslide",
        {
            "n_features_in_": r.size("n"),
            "model_": r.anything,
            "history_": r.history,
            "classes_": r.labels("c"),
            "n_iter_": r.whole(1),
            "patch_shape_": r.patch_shape,
            "class_count_": r.array("c", kinds="i"),
        },
        optional=("class_count_",),
        check=c.wrong_network,
    ),
    "Pipeline": Kind(
        "sklearn.pipeline", parts={"steps": r.named(_OR_PASSED)}, carries=("steps",), options=c.wrong_pipeline
    ),
    "FeatureUnion": Kind(
        "sklearn.pipeline",
        parts={"transformer_list": r.named(_OR_BOTH)},
        carries=("transformer_list",),
        options=c.wrong_transformers,
    ),
    "FrozenEstimator": Kind("sklearn.frozen", parts={"estimator": _ANY}, carries=("estimator",)),
    "FunctionTransformer": Kind(
        "sklearn.preprocessing",
        {"n_features_in_": r.size("n")},
        optional=("n_features_in_",),
        functions=("func", "inverse_func"),
        options=c.wrong_function,
    ),
    "StandardScaler": Kind(
        "sklearn.preprocessing", {**_N, "mean_": _MAYBE, "var_": _MAYBE, "scale_": _MAYBE, "n_samples_seen_": _SEEN}
    ),
    "MinMaxScaler": Kind(
        "sklearn.preprocessing",
        {
            **_N,
            **dict.fromkeys(("min_", "scale_", "data_min_", "data_max_", "data_range_"), _FEATURES),
            "n_samples_seen_": _SEEN,
        },
    ),
    "RobustScaler": Kind("sklearn.preprocessing", {**_N, "center_": _MAYBE, "scale_": _MAYBE}),
    "PCA": Kind(
        "sklearn.decomposition",
        {
            **_N,
            "components_": r.array("k", "n"),
            **dict.fromkeys(("explained_variance_", "explained_variance_ratio_", "singular_values_"), r.array("k")),
            "mean_": _FEATURES,
            "n_components_": r.size("k"),
            "n_samples_": r.whole(1),
            "noise_variance_": r.number(),
            "_fit_svd_solver": r.one_of("full", "covariance_eigh", "arpack", "randomized"),
        },
    ),
    "LogisticRegression": Kind(
        "sklearn.linear_model",
        {
            **_N,
            "classes_": r.labels("c"),
            "coef_": r.array("k", "n"),
            "intercept_": r.array("k"),
            "n_iter_": r.array("i", kinds="i"),
        },
        check=c.wrong_logistic,
    ),
    "LabelEncoder": Kind("sklearn.preprocessing", {"classes_": r.labels("c")}),
    "IsotonicRegression": Kind(
        "sklearn.isotonic",
        {
            "X_min_": r.number(),
            "X_max_": r.number(),
            "X_thresholds_": r.array("m"),
            "y_thresholds_": r.array("m"),
            "increasing_": r.truth,
        },
        derived=("f_",),
        finish=c.interpolate,
        check=c.wrong_steps,
    ),
    "_SigmoidCalibration": Kind("sklearn.calibration", {"a_": r.number(), "b_": r.number()}),
    "_TemperatureScaling": Kind("sklearn.calibration", {"beta_": r.number()}),
    "_CalibratedClassifier": Kind(
        "sklearn.calibration",
        params=("estimator", "calibrators", "classes", "method"),
        parts={
            "estimator": _ANY,
            "calibrators": r.each(r.of_class(("_SigmoidCalibration", "IsotonicRegression", "_TemperatureScaling"))),
            "classes": r.labels("c"),
            "method": r.one_of("sigmoid", "isotonic", "temperature"),
        },
        carries=("estimator", "calibrators"),
        options=c.wrong_calibration,
    ),
    "CalibratedClassifierCV": Kind(
        "sklearn.calibration",
        {
            "calibrated_classifiers_": r.each(r.of_class(("_CalibratedClassifier",))),
            "classes_": r.labels("c"),
            "n_features_in_": r.size("n"),
        },
        optional=("n_features_in_",),
        parts={"estimator": r.or_none(_ANY), "cv": _FOLDS},
    ),
    "FixedThresholdClassifier": Kind(
        "sklearn.model_selection",
        {"estimator_": _ANY, "n_features_in_": r.size("n")},
        optional=("n_features_in_",),
        parts={"estimator": _ANY},
    ),
    "VotingClassifier": Kind(
        "sklearn.ensemble",
        {"estimators_": r.each(_ANY), "le_": r.of_class(("LabelEncoder",)), "classes_": r.labels("c")},
        parts={"estimators": r.named(_OR_DROPPED)},
        derived=("named_estimators_",),
        finish=c.name_parts,
        check=c.wrong_parts,
    ),
    "StackingClassifier": Kind(
        "sklearn.ensemble",
        {
            "estimators_": r.each(_ANY),
            "final_estimator_": _ANY,
            "stack_method_": r.each(r.one_of("predict_proba", "decision_function", "predict")),
            "_label_encoder": r.of_class(("LabelEncoder",)),
            "_n_feature_outs": r.each(r.whole(1)),
            "classes_": r.labels("c"),
        },
        parts={"estimators": r.named(_OR_DROPPED), "final_estimator": r.or_none(_ANY), "cv": _FOLDS},
        derived=("named_estimators_",),
        finish=c.name_parts,
        check=c.wrong_stack,
    ),
}
# Folds, of meta-estimators: only for fitting again.
_DRAWN = ("n_splits", "shuffle", "random_state")
_SPLITTERS = ("KFold", "StratifiedKFold", "GroupKFold", "StratifiedGroupKFold", "LeaveOneGroupOut")
KINDS["SpatialBlockKFold"] = Kind("sklandslide", params=("n_splits", "block_size", "buffer", "shuffle", "random_state"))
for _name in _SPLITTERS:
    KINDS[_name] = Kind("sklearn.model_selection", params=_DRAWN if _name != "LeaveOneGroupOut" else ())
_PUBLIC = [name for name in KINDS if not name.startswith("_")]
