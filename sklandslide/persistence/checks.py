"""Checks of estimators as a whole, and the attributes that follow from others.

A check returns what is wrong, or None.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .functions import wrong_options

__all__ = [
    "interpolate",
    "name_parts",
    "wrong_calibration",
    "wrong_function",
    "wrong_logistic",
    "wrong_network",
    "wrong_parts",
    "wrong_pipeline",
    "wrong_stack",
    "wrong_steps",
    "wrong_transformers",
]

_OWN_STEPS = ("BandStacker", "PatchSampler", "Augmenter", "LandslideCNN")


def _named(estimators: Any, fitted: Any) -> Any:
    from sklearn.utils import Bunch

    found = iter(fitted)
    return Bunch(**{name: part if part == "drop" else next(found) for name, part in estimators})


def name_parts(ensemble: Any) -> None:
    """Give the fitted estimators of an ensemble their names."""
    ensemble.named_estimators_ = _named(ensemble.estimators, ensemble.estimators_)


def wrong_parts(ensemble: Any) -> str | None:
    """There is a fitted estimator for each that is not dropped."""
    kept = [part for _, part in ensemble.estimators if part != "drop"]
    return None if len(kept) == len(ensemble.estimators_) else "has another number of estimators than of fitted ones"


def wrong_stack(stack: Any) -> str | None:
    """There is a method for each fitted estimator."""
    return wrong_parts(stack) or (
        None
        if len(stack.stack_method_) == len(stack.estimators_)
        else "has another number of methods than of estimators"
    )


def wrong_logistic(model: Any) -> str | None:
    """There is a row of coefficients for each class, or one for two."""
    classes = len(model.classes_)
    rows = 1 if classes == 2 else classes
    return (
        None
        if classes >= 2 and len(model.coef_) == rows
        else f"has {len(model.coef_)} rows of coef_ for {classes} classes"
    )


def wrong_function(transformer: Any) -> str | None:
    """The functions of a `FunctionTransformer` get options of the list only."""
    for options, function in (("kw_args", "func"), ("inv_kw_args", "inverse_func")):
        wrong = wrong_options(getattr(transformer, function), getattr(transformer, options))
        if wrong:
            return f"{options} {wrong}"
    right = transformer.feature_names_out in (None, "one-to-one")
    return None if right else "has a function for feature_names_out"


def wrong_steps(isotonic: Any) -> str | None:
    """The thresholds of an isotonic regression grow."""
    thresholds = isotonic.X_thresholds_
    return None if (np.diff(thresholds) > 0).all() and len(thresholds) else "has thresholds that do not grow"


def interpolate(isotonic: Any) -> None:
    """Make the function that an isotonic regression predicts with."""
    isotonic._build_f(isotonic.X_thresholds_, isotonic.y_thresholds_)


def wrong_calibration(calibrated: Any) -> str | None:
    """The calibrators are those of the method, as many as there are classes."""
    classes = len(calibrated.classes)
    one = classes == 2 or calibrated.method == "temperature"
    expected = {
        "sigmoid": "_SigmoidCalibration",
        "isotonic": "IsotonicRegression",
        "temperature": "_TemperatureScaling",
    }
    wrong = [c for c in calibrated.calibrators if type(c).__name__ != expected[calibrated.method]]
    if wrong or len(calibrated.calibrators) != (1 if one else classes):
        return f"has calibrators that do not fit method={calibrated.method!r} and {classes} classes"
    return None


def wrong_network(cnn: Any) -> str | None:
    """The network is for the patches and classes of its classifier."""
    rows, cols, bands = cnn.patch_shape_
    if cnn.model_.input_shape[1:] != (rows, cols, bands):
        return f"has a network for patches of {cnn.model_.input_shape[1:]}, but patch_shape_ {cnn.patch_shape_}"
    if cnn.model_.output_shape[-1] != len(cnn.classes_) or len(cnn.classes_) < 2:
        return f"has a network for {cnn.model_.output_shape[-1]} classes, but {len(cnn.classes_)} classes"
    return None if cnn.n_iter_ == len(cnn.history_["loss"]) else "has another number of epochs than its history"


def wrong_pipeline(pipeline: Any) -> str | None:
    """A network behind this package's own steps is for the patches that they give."""
    parts = {type(step).__name__: step for _, step in pipeline.steps if type(step).__name__ in _OWN_STEPS}
    if len(parts) < len(pipeline.steps) or not {"BandStacker", "PatchSampler", "LandslideCNN"} <= set(parts):
        return None
    stacker, sampler, cnn = parts["BandStacker"], parts["PatchSampler"], parts["LandslideCNN"]
    if not (hasattr(cnn, "patch_shape_") and hasattr(stacker, "bands_")):
        return None
    given = (int(sampler.patch_size), int(sampler.patch_size), len(stacker.bands_))
    return None if given == tuple(cnn.patch_shape_) else f"cuts patches of {given} for a network of {cnn.patch_shape_}"


def wrong_transformers(union: Any) -> str | None:
    """Weights are of transformers that there are."""
    weights = union.transformer_weights
    names = {name for name, _ in union.transformer_list}
    return None if weights is None or set(weights) <= names else "has weights of other transformers"
