"""What can be said about a fitted model: what it takes, what it gives, what it was trained on. Plain values."""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from .._version import __version__
from ..features import BandStacker, PatchSampler
from ..mapping import fitted_parts
from ..network import LandslideCNN
from .tree import search_summary

__all__ = ["contract_of", "simple", "training_of", "versions"]


def versions() -> dict[str, str | None]:
    """Versions of what a model depends on; None for what is not installed."""
    out: dict[str, str | None] = {"sklandslide": __version__}
    for package in ("scikit-learn", "keras", "tensorflow", "numpy"):
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            out[package] = None
    return out


def simple(value: Any) -> Any:
    """A value in JSON's own types; what has no such form as a string."""
    if isinstance(value, np.ndarray | np.generic):
        return simple(value.tolist())
    if isinstance(value, dict):
        return {str(k): simple(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [simple(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else type(value).__name__


def contract_of(model: Any) -> dict[str, Any]:
    """What a model demands of a scene, and what it gives.

    Parameters
    ----------
    model : fitted estimator

    Returns
    -------
    dict
        ``inputs``: of each `BandStacker`, its parameters and what it learnt (bands, units, pixel size, and whatever
        else it demands); ``patches``: the same of each `PatchSampler`; ``patch_sizes`` in pixels; ``classes``.
    """
    samplers = fitted_parts(model, PatchSampler)
    sizes = {int(sampler.patch_size) for sampler in samplers}
    if not sizes:
        sizes = {int(cnn.patch_shape_[0]) for cnn in fitted_parts(model, LandslideCNN)}
    return {
        "inputs": [_demands(stacker) for stacker in fitted_parts(model, BandStacker)],
        "patches": [_demands(sampler) for sampler in samplers],
        "patch_sizes": sorted(sizes),
        "classes": simple(np.asarray(model.classes_)),
    }


def _demands(step: Any) -> dict[str, Any]:
    """Parameters of a step, and what it learnt, under the names without the underscore."""
    learnt = {k.removesuffix("_"): v for k, v in vars(step).items() if k.endswith("_") and k != "n_features_in_"}
    params = {k: v for k, v in step.get_params(deep=False).items() if k != "memory"}
    return {**simple(params), **simple(learnt)}


def training_of(model: Any) -> dict[str, Any]:
    """What a model was trained on, as far as it knows.

    Parameters
    ----------
    model : fitted estimator

    Returns
    -------
    dict
        ``networks``: of each `LandslideCNN`, samples of each class, epochs, and the last value of each number in its
        history; ``search``: what a search found, or None.
    """
    networks = []
    for cnn in fitted_parts(model, LandslideCNN):
        counts = simple(cnn.class_count_) if hasattr(cnn, "class_count_") else None
        last = {name: values[-1] for name, values in sorted(cnn.history_.items())}
        networks.append({"samples": counts, "epochs": int(cnn.n_iter_), "last": simple(last)})
    search = search_summary(model)
    return {"networks": networks, "search": simple(search)}
