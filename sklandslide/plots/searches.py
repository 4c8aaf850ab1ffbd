"""What a search over patch sizes found: scores by fold, their name, pixels in metres."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..geodata import metres_at_centre


def best_by_size(
    cv_results: Mapping[str, Any], param_name: str | None, metric: str
) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Patch sizes, the scores by fold of the best candidate of each, and its other parameters."""
    if "n_resources" in cv_results:
        raise ValueError(
            "This search tried its candidates on different numbers of samples (successive halving), so their "
            "scores cannot be compared. Use GridSearchCV or RandomizedSearchCV."
        )
    params = [dict(candidate) for candidate in cv_results["params"]]
    names = [param_name] if param_name else [name for name in params[0] if name.split("__")[-1] == "patch_size"]
    if len(names) != 1 or not all(names[0] in candidate for candidate in params):
        raise ValueError(
            f"The search went over {', '.join(params[0]) or 'nothing'}; one parameter of all its candidates has to be "
            "the patch size. Search for example 'patchsampler__patch_size', or give param_name."
        )
    columns = [name for name in cv_results if re.fullmatch(rf"split\d+_test_{re.escape(metric)}", name)]
    if not columns:
        known = [name.removeprefix("mean_test_") for name in cv_results if name.startswith("mean_test_")]
        raise ValueError(f"The search has no score {metric!r}; it has {', '.join(known)}. Give metric.")
    sizes = np.array([candidate.pop(names[0]) for candidate in params])
    scores = np.column_stack([cv_results[name] for name in columns])
    mean = np.nan_to_num(scores.mean(axis=1), nan=-np.inf)
    rows = [max(np.flatnonzero(sizes == size), key=mean.__getitem__) for size in np.unique(sizes)]
    return sizes[rows], scores[rows], [params[row] for row in rows]


def score_label(scoring: Any) -> str:
    """Label for the axis of scores, from a scorer or its name."""
    name = scoring
    if not isinstance(scoring, str):
        ours = getattr(scoring, "metric", "score")  # of map_scorer
        name = getattr(getattr(scoring, "_score_func", None), "__name__", ours)
    return name.replace("neg_", "negative ").replace("_", " ").capitalize()


def pixel_in_metres(X: Any) -> tuple[float, float] | None:
    """Width and height of a pixel in metres, where all scenes have the same to 1 %."""
    grids = [X.scenes[i].grid for i in np.unique(X.scene_index)]
    if any(grid.crs is None for grid in grids):
        return None
    sizes = np.array([np.multiply(grid.pixel_extent, metres_at_centre(grid)) for grid in grids])
    return None if (np.ptp(sizes, axis=0) > 0.01 * sizes[0]).any() else (float(sizes[0, 0]), float(sizes[0, 1]))
