"""How good a landslide map is: pure functions of masks and pixel lists.

Nothing here knows of files, coordinates or polygons; `LandslideMap.score` turns an inventory into
the arrays that these functions take. A share with nothing to share, 0 / 0, is NaN and never 0 or 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "confusion_counts",
    "confusion_scores",
    "false_alarm_areas",
    "landslide_hits",
    "map_scores",
]


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _masks(truth: Any, predicted: Any, valid: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    valid = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    if not truth.shape == predicted.shape == valid.shape:
        raise ValueError(
            f"The masks have the shapes truth {truth.shape}, predicted {predicted.shape} and valid "
            f"{valid.shape}; they must be equal. Compare masks of the same grid."
        )
    return truth, predicted, valid


def confusion_counts(truth: Any, predicted: Any, valid: Any = None) -> dict[str, int]:
    """Count true and false positives and negatives.

    Parameters
    ----------
    truth, predicted : array-like of bool
        True where there is, and where there is predicted to be, a landslide. Equal shapes.
    valid : array-like of bool, optional
        Only elements that are True here are counted; all of them by default.

    Returns
    -------
    dict
        ``tp``, ``fp``, ``fn`` and ``tn``, int.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> from sklandslide.metrics import confusion_counts
    >>> confusion_counts([1, 1, 0, 0], [1, 0, 1, 1], valid=[1, 1, 1, 0])
    {'tp': 1, 'fp': 1, 'fn': 1, 'tn': 0}
    """
    truth, predicted, valid = _masks(truth, predicted, valid)
    counts = {
        "tp": truth & predicted & valid,
        "fp": ~truth & predicted & valid,
        "fn": truth & ~predicted & valid,
        "tn": ~truth & ~predicted & valid,
    }
    return {name: int(np.count_nonzero(mask)) for name, mask in counts.items()}


def confusion_scores(tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
    """Accuracy, precision, recall and F1 from counts.

    Parameters
    ----------
    tp, fp, fn, tn : int
        True positives, false positives, false negatives and true negatives.

    Returns
    -------
    dict
        ``accuracy`` = (tp + tn) / (tp + fp + tn + fn), ``precision`` = tp / (tp + fp), ``recall`` =
        tp / (tp + fn) and ``f1`` = 2 tp / (2 tp + fp + fn), float; NaN where the divisor is 0.

    References
    ----------
    Nava et al. (2021), equations (4) to (6). The paper gives no F1; it is the harmonic mean of
    precision and recall.

    Examples
    --------
    The paper's best data set, BAA (Table 3), had 240 positives and 240 negatives in its test set:

    >>> from sklandslide.metrics import confusion_scores
    >>> scores = confusion_scores(tp=218, fp=6, fn=22, tn=234)
    >>> {name: round(100 * value, 2) for name, value in scores.items()}
    {'accuracy': 94.17, 'precision': 97.32, 'recall': 90.83, 'f1': 93.97}
    """
    return {
        "accuracy": _share(tp + tn, tp + fp + tn + fn),
        "precision": _share(tp, tp + fp),
        "recall": _share(tp, tp + fn),
        "f1": _share(2 * tp, 2 * tp + fp + fn),
    }


def landslide_hits(pixels: Any, owners: Any, n_landslides: int, predicted: Any, valid: Any = None) -> dict[str, int]:
    """Count the landslides that have at least one predicted pixel.

    Parameters
    ----------
    pixels : array-like of int, shape (n,)
        Flat indices of the pixels that lie on landslides. A pixel on two landslides is given twice.
    owners : array-like of int, shape (n,)
        Number of the landslide, 0 to ``n_landslides - 1``, that each of `pixels` lies on.
    n_landslides : int
        Number of landslides, including those without any pixel.
    predicted, valid : array-like of bool
        As in `confusion_counts`.

    Returns
    -------
    dict
        ``n_landslides`` with at least one valid pixel, ``n_hit`` of them with a valid pixel that is
        predicted, and ``n_outside``, the landslides without a valid pixel; int.

    Examples
    --------
    Landslide 0 has the pixels 0 and 1, landslide 1 has pixel 3, and landslide 2 lies off the map:

    >>> from sklandslide.metrics import landslide_hits
    >>> landslide_hits([0, 1, 3], [0, 0, 1], 3, predicted=[[0, 1], [0, 0]])
    {'n_landslides': 2, 'n_hit': 1, 'n_outside': 1}
    """
    pixels, owners = np.asarray(pixels, np.int64), np.asarray(owners, np.int64)
    predicted = np.asarray(predicted, bool).ravel()
    known = np.ones(predicted.shape, bool) if valid is None else np.asarray(valid, bool).ravel()
    on_map = known[pixels]
    inside = np.bincount(owners[on_map], minlength=n_landslides) > 0
    hit = np.bincount(owners[on_map & predicted[pixels]], minlength=n_landslides) > 0
    return {
        "n_landslides": int(inside.sum()),
        "n_hit": int(hit.sum()),
        "n_outside": int(n_landslides - inside.sum()),
    }


def false_alarm_areas(truth: Any, predicted: Any, valid: Any = None) -> int:
    """Count the connected predicted areas that have no pixel on a landslide.

    Pixels that share an edge are connected; pixels that share only a corner are not.

    Parameters
    ----------
    truth, predicted, valid : array-like of bool, shape (rows, cols)
        As in `confusion_counts`.

    Returns
    -------
    int
        Number of areas.

    Examples
    --------
    Two areas are predicted; the left one holds a landslide's pixel:

    >>> from sklandslide.metrics import false_alarm_areas
    >>> false_alarm_areas(truth=[[1, 0, 0], [0, 0, 0]], predicted=[[1, 0, 1], [1, 0, 1]])
    1
    """
    from scipy import ndimage

    truth, predicted, valid = _masks(truth, predicted, valid)
    areas, n_areas = ndimage.label(predicted & valid)
    return int(n_areas - len(np.unique(areas[truth & (areas > 0)])))


def map_scores(
    pixels: Any, owners: Any, n_landslides: int, *, predicted: Any, valid: Any, valid_km2: float
) -> dict[str, float]:
    """Every score of a map: by pixel, by landslide and by false alarm.

    Parameters
    ----------
    pixels, owners, n_landslides
        The landslides, as in `landslide_hits`.
    predicted, valid : array-like of bool, shape (rows, cols)
        As in `confusion_counts`.
    valid_km2 : float
        Ground area of the valid pixels in square kilometres; NaN if unknown.

    Returns
    -------
    dict
        The scores that `sklandslide.LandslideMap.score` describes.

    Examples
    --------
    >>> from sklandslide.metrics import map_scores
    >>> red = [[1, 0, 1], [1, 0, 0]]
    >>> scores = map_scores(
    ...     [0, 1], [0, 0], 1, predicted=red, valid=[[1, 1, 1], [1, 1, 1]], valid_km2=0.5
    ... )
    >>> scores["hit_rate"], scores["recall"], scores["false_alarms_per_km2"]
    (1.0, 0.5, 2.0)
    """
    predicted, valid = np.asarray(predicted, bool), np.asarray(valid, bool)
    truth = np.zeros(predicted.size, bool)
    truth[np.asarray(pixels, np.int64)] = True
    truth = truth.reshape(predicted.shape)
    counts = confusion_counts(truth, predicted, valid)
    hits = landslide_hits(pixels, owners, n_landslides, predicted, valid)
    n_false_alarms = false_alarm_areas(truth, predicted, valid)
    return {
        **confusion_scores(**counts),
        "hit_rate": _share(hits["n_hit"], hits["n_landslides"]),
        "false_alarms_per_km2": _share(n_false_alarms, valid_km2),
        "n_points": counts["tp"] + counts["fp"],
        **hits,
        "n_false_alarms": n_false_alarms,
        "valid_km2": float(valid_km2),
        **counts,
    }
