"""What a search over patch sizes is asked about: names of parameters, scores by fold, folds, pixels in metres."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..features import PatchSampler
from ..geodata import metres_at_centre
from ..model_selection import SpatialBlockKFold
from ..sampling import Locations

__all__ = ["check_buffer", "patch_size_name", "pixel_in_metres", "score_label", "searched_name", "split_scores"]


def patch_size_name(estimator: Any, param_name: str | None) -> str:
    """Name of the patch size among the estimator's parameters."""
    names = estimator.get_params()
    if param_name is not None:
        if param_name not in names:
            raise ValueError(f"The estimator has no parameter {param_name!r}. See estimator.get_params().")
        return param_name
    samplers = [name for name, value in names.items() if isinstance(value, PatchSampler)]
    if len(samplers) != 1:
        raise ValueError(
            f"The estimator has {len(samplers)} PatchSampler steps ({', '.join(samplers) or 'none'}); one is needed to "
            "tell which patch size is meant. Put one in the pipeline, or give param_name."
        )
    return f"{samplers[0]}__patch_size"


def searched_name(params: list[dict[str, Any]], param_name: str | None) -> str:
    """Name of the patch size among the parameters searched."""
    searched = sorted(set().union(*params))
    names = [param_name] if param_name else [n for n in searched if re.fullmatch(r"(.+__)?patch_size", n)]
    if len(names) != 1 or any(names[0] not in candidate for candidate in params):
        raise ValueError(
            f"The search went over {', '.join(searched) or 'nothing'}; one parameter in all its candidates has to be "
            "the patch size. Search for example 'patchsampler__patch_size', or give param_name."
        )
    return names[0]


def split_scores(cv_results: Mapping[str, Any], metric: str) -> np.ndarray:
    """Score of each candidate on each fold."""
    splits = [n for n in cv_results if re.fullmatch(rf"split\d+_test_{re.escape(metric)}", n)]
    if not splits:
        known = sorted(n.removeprefix("mean_test_") for n in cv_results if n.startswith("mean_test_"))
        raise ValueError(f"The search has no score {metric!r}; it has {', '.join(known) or 'none'}. Give metric.")
    return np.column_stack([np.asarray(cv_results[name], np.float64) for name in splits])


def check_buffer(cv: Any, X: Any, largest: int) -> None:
    """Refuse folds in which a training patch of the largest size can share a pixel with a test patch."""
    if not isinstance(cv, SpatialBlockKFold):
        return
    needed = X.patch_extent(largest)
    if (np.broadcast_to(cv.buffer, 2) < np.array(needed) * (1 - 1e-9)).any():
        raise ValueError(
            f"The folds have buffer={cv.buffer!r}, but a patch of {largest} pixels, the largest, is {needed} wide and "
            "high: its training and test patches would overlap, which flatters it. Use "
            f"buffer=X.patch_extent({largest})."
        )


def pixel_in_metres(X: Any) -> tuple[float, float] | None:
    """Width and height of a pixel in metres, where all scenes have the same to 1 %."""
    scenes = [X.scenes[i] for i in np.unique(X.scene_index)] if isinstance(X, Locations) else []
    if not scenes or any(scene.grid.crs is None for scene in scenes):
        return None
    sizes = np.array([np.multiply(scene.grid.pixel_extent, metres_at_centre(scene.grid)) for scene in scenes])
    mean = sizes.mean(axis=0)
    if (np.abs(sizes - mean) > 0.01 * mean).any():
        return None
    return float(mean[0]), float(mean[1])


def score_label(scoring: Any, estimator: Any = None) -> str:
    """Label for the axis of scores."""
    if scoring is None:
        return "Accuracy" if estimator is not None and is_classifier(estimator) else "Score"
    function = getattr(scoring, "_score_func", scoring)
    words = scoring if isinstance(scoring, str) else getattr(function, "__name__", "")
    if not words.isidentifier():  # a lambda has no name to show
        return "Score"
    return re.sub("^neg ", "negative ", words.replace("_", " ")).capitalize()
