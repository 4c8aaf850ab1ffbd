"""How good a landslide map is: pure functions of masks and pixel lists.

Nothing here knows of files, coordinates or polygons; `LandslideMap.score` turns an inventory into
the arrays that these functions take. A share with nothing to share, 0 / 0, is NaN and never 0 or 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "area_precision_recall",
    "area_reliability",
    "area_scores",
    "confusion_counts",
    "confusion_scores",
    "false_alarm_areas",
    "froc_curve",
    "hits_by_size",
    "landslide_hits",
    "map_scores",
    "on_map_and_hit",
]


def landslide_label(classes: Any) -> Any:
    """Which of a classifier's classes is landslide: 1, True or ``"landslide"``; ValueError if none of them is there."""
    labels = np.asarray(classes).tolist()
    for label in (1, "landslide"):
        if label in labels:
            return label
    raise ValueError(
        f"None of 1, True and 'landslide' is among the classes {labels}, so it is unclear which are landslides. Label "
        "them 1."
    )


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


def _masks(truth: Any, predicted: Any, valid: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    truth, predicted = np.asarray(truth, bool), np.asarray(predicted, bool)
    valid = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    if not truth.shape == predicted.shape == valid.shape:
        raise ValueError(
            f"The masks have the shapes truth {truth.shape}, predicted {predicted.shape} and valid "
            f"{valid.shape}; they must be equal. Compare masks of the same grid."
        )
    return truth, predicted, valid


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


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def landslide_hits(pixels: Any, owners: Any, n_landslides: int, predicted: Any, valid: Any = None) -> dict[str, int]:
    """Count the landslides on the valid map, those of them that are hit, and those outside it.

    Landslide ``owners[i]``, 0 to ``n_landslides - 1``, covers the pixel of the flat index ``pixels[i]``; a pixel on two
    landslides is given twice. A landslide is hit if one of its valid pixels is predicted.

    Examples
    --------
    Landslide 0 has the pixels 0 and 1, landslide 1 has pixel 3, and landslide 2 lies off the map:

    >>> from sklandslide.metrics import landslide_hits
    >>> landslide_hits([0, 1, 3], [0, 0, 1], 3, predicted=[[0, 1], [0, 0]])
    {'n_landslides': 2, 'n_hit': 1, 'n_outside': 1}
    """
    on_map, hit = on_map_and_hit(pixels, owners, n_landslides, predicted, valid)
    return {
        "n_landslides": int(on_map.sum()),
        "n_hit": int(hit.sum()),
        "n_outside": int(n_landslides - on_map.sum()),
    }


def on_map_and_hit(
    pixels: Any, owners: Any, n_landslides: int, predicted: Any, valid: Any = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which landslides have a valid pixel, and which a valid pixel that is predicted; bool, shape (n_landslides,)."""
    pixels, owners = np.asarray(pixels, np.int64), np.asarray(owners, np.int64)
    predicted = np.asarray(predicted, bool).ravel()
    known = np.ones(predicted.shape, bool) if valid is None else np.asarray(valid, bool).ravel()
    valid_pixel = known[pixels]
    on_map = np.bincount(owners[valid_pixel], minlength=n_landslides) > 0
    hit = np.bincount(owners[valid_pixel & predicted[pixels]], minlength=n_landslides) > 0
    return on_map, hit


def hits_by_size(areas_m2: Any, on_map: Any, hit: Any, edges: Any) -> dict[str, np.ndarray]:
    """Share of landslides hit in each class of size.

    `edges` are the limits between the classes in square metres, larger than 0 and increasing (else ValueError); a
    landslide whose area is a limit belongs to the class above it, one off the map to none. Each array of the result has
    a value for each class; ``hit_rate`` is NaN where there is no landslide.

    Examples
    --------
    >>> from sklandslide.metrics import hits_by_size
    >>> table = hits_by_size([500, 1000, 3000], [True, True, True], [False, True, True], edges=[1000])
    >>> table["n_landslides"].tolist(), table["hit_rate"].tolist()
    ([1, 2], [0.0, 1.0])
    """
    limits = _size_limits(edges)
    on_map, hit = np.asarray(on_map, bool), np.asarray(hit, bool)
    sizes = np.searchsorted(limits, np.asarray(areas_m2, float), side="right")
    n_landslides = np.bincount(sizes[on_map], minlength=len(limits) + 1)
    n_hit = np.bincount(sizes[on_map & hit], minlength=len(limits) + 1)
    return {
        "area_from_m2": np.array([0.0, *limits]),
        "area_to_m2": np.array([*limits, np.inf]),
        "n_landslides": n_landslides,
        "n_hit": n_hit,
        "hit_rate": np.array([_share(part, whole) for part, whole in zip(n_hit, n_landslides, strict=True)]),
    }


def _size_limits(edges: Any) -> np.ndarray:
    limits = np.asarray(edges, float)
    if limits.ndim != 1 or not np.isfinite(limits).all() or (np.diff(limits, prepend=0) <= 0).any():
        raise ValueError(
            f"edges={edges!r} are no limits of size classes; they are finite areas in square metres, larger than 0 and "
            "increasing. Give for instance (1000, 10000), and leave out 0 and infinity, which are always there."
        )
    return limits


def area_scores(red_m2: float, landslide_m2: float, both_m2: float) -> dict[str, float]:
    """Precision and recall of area, from areas on the ground within the valid map; NaN where the divisor is 0.

    Areas predicted as landslide, of the landslides (ground on several of them counted once), and of the intersection.
    """
    return {
        "area_precision": _share(both_m2, red_m2),
        "area_recall": _share(both_m2, landslide_m2),
        "red_km2": red_m2 / 1e6,
        "landslide_km2": landslide_m2 / 1e6,
        "hit_km2": both_m2 / 1e6,
    }


def false_alarm_areas(truth: Any, predicted: Any, valid: Any = None) -> int:
    """Count the connected predicted areas that have no pixel on a landslide, in masks of shape (rows, cols).

    Pixels that share an edge are connected; pixels that share only a corner are not.
    """
    from scipy import ndimage

    truth, predicted, valid = _masks(truth, predicted, valid)
    areas, n_areas = ndimage.label(predicted & valid)
    return int(n_areas - len(np.unique(areas[truth & (areas > 0)])))


def map_scores(
    pixels: Any, owners: Any, n_landslides: int, *, predicted: Any, valid: Any, valid_km2: float
) -> dict[str, float]:
    """Scores of a map by pixel, by landslide and by false alarm: those of `LandslideMap.score` but for `area_scores`.

    Landslides are given as in `landslide_hits`, masks (rows, cols) as in `confusion_counts`; `valid_km2` is the ground
    area of the valid pixels, NaN if unknown.
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


def froc_curve(
    probability: Any, pixels: Any, owners: Any, n_landslides: int, *, valid_km2: float, thresholds: Any = None
) -> dict[str, np.ndarray]:
    """Free-response ROC: landslides hit against false alarms per km2, by threshold.

    Parameters
    ----------
    probability : array-like of float, shape (rows, cols)
        NaN is no part of the valid map.
    pixels, owners, n_landslides
        As in `landslide_hits`.
    valid_km2 : float
        Ground area of the valid pixels.
    thresholds : array-like of float, shape (n_thresholds,), default=None
        By default about a hundred values of the map, such that the red area grows by the same factor from each to the
        next: from one pixel in ten thousand to the whole map.

    Returns
    -------
    dict of str to ndarray of shape (n_thresholds,)
        ``threshold`` (falling, float32), ``n_hit``, ``hit_rate`` (NaN without a landslide on the valid map),
        ``n_false_alarms`` and ``false_alarms_per_km2``: what `map_scores` gives with ``predicted = probability >=
        threshold``.

    Notes
    -----
    The hit rate never falls as the threshold does. False alarms rise, and fall again where red areas grow together:
    in a map that is red all over there is one area, which lies on a landslide.

    References
    ----------
    P. C. Bunch, J. F. Hamilton, G. K. Sanderson, A. H. Simmons, "A free response approach to the measurement and
    characterization of radiographic observer performance", Proceedings of SPIE 127, 1977.

    Examples
    --------
    Landslide 0 has the first pixel; the other red areas are false alarms:

    >>> from sklandslide.metrics import froc_curve
    >>> curve = froc_curve([[0.6, 0.1, 0.9, 0.1, 0.5]], [0], [0], 1, valid_km2=2.0, thresholds=[0.9, 0.6, 0.5, 0.1])
    >>> curve["hit_rate"].tolist(), curve["false_alarms_per_km2"].tolist()
    ([0.0, 1.0, 1.0, 1.0], [0.5, 0.5, 1.0, 0.0])
    """
    probability = np.asarray(probability, np.float32)
    pixels, owners = np.asarray(pixels, np.int64), np.asarray(owners, np.int64)
    values = probability[~np.isnan(probability)]
    limits = _spread_thresholds(values) if thresholds is None else np.asarray(thresholds, np.float32)
    limits = np.sort(limits)[::-1]
    highest = np.full(n_landslides, -np.inf, np.float32)
    np.fmax.at(highest, owners, probability.ravel()[pixels])
    on_map = highest > -np.inf
    n_hit = (highest[on_map] >= limits[:, None]).sum(axis=1)
    truth = np.zeros(probability.shape, bool)
    truth.flat[pixels] = True
    alarms = np.array([false_alarm_areas(truth, probability >= limit) for limit in limits], np.int64)
    return {
        "threshold": limits,
        "n_hit": n_hit,
        "hit_rate": n_hit / on_map.sum() if on_map.any() else np.full(len(limits), np.nan),
        "n_false_alarms": alarms,
        "false_alarms_per_km2": alarms / valid_km2,
    }


def _spread_thresholds(values: np.ndarray) -> np.ndarray:
    """About a hundred of a map's values, at red shares in equal ratios."""
    shares = np.geomspace(min(1e-4, 1 / max(len(values), 1)), 1, 100)
    return np.unique(np.quantile(values, 1 - shares, method="higher")) if len(values) else values


def area_precision_recall(
    probability: Any, ground_m2: Any, landslide_m2: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Precision and recall of ground area by threshold, and their average precision.

    Each pixel counts with its area, and as landslide with exactly the part of it that lies on one.

    Parameters
    ----------
    probability, ground_m2, landslide_m2 : array-like of float, shape (n_pixels,)
        Of each valid pixel; its area on the ground, and how much of that is landslide.

    Returns
    -------
    precision, recall, threshold : ndarray of shape (n_thresholds,)
        With rising thresholds, values of the map: `area_precision` and `area_recall` of `area_scores` where pixels with
        at least the threshold are red. Thresholds that change nothing but precision, between others, are left out.
    average_precision : float
        Sum over thresholds of precision times the gain in recall, as scikit-learn's ``average_precision_score``.

    Examples
    --------
    >>> from sklandslide.metrics import area_precision_recall
    >>> precision, recall, threshold, ap = area_precision_recall([0.9, 0.6, 0.2], [400, 400, 400], [300, 100, 0])
    >>> precision.round(3).tolist(), recall.tolist(), round(ap, 4)
    ([0.333, 0.5, 0.75], [1.0, 1.0, 0.75], 0.6875)
    """
    from sklearn.metrics import precision_recall_curve

    probability, ground, slides = np.asarray(probability), np.asarray(ground_m2), np.asarray(landslide_m2)
    covered = np.flatnonzero(slides > 0)
    truth = np.repeat([0, 1], [len(probability), len(covered)])
    score = np.concatenate([probability, probability[covered]])
    weight = np.concatenate([np.maximum(ground - slides, 0), slides[covered]])
    precision, recall, threshold = precision_recall_curve(truth, score, sample_weight=weight, drop_intermediate=True)
    # the last point of scikit-learn's curve belongs to no threshold
    precision, recall = precision[:-1], recall[:-1]
    return precision, recall, threshold, average_precision_of(precision, recall)


def average_precision_of(precision: Any, recall: Any) -> float:
    """Average precision of a curve with rising thresholds: the sum of precision times the gain in recall."""
    return float(-np.diff(recall, append=0.0) @ np.asarray(precision))


def f1_of(precision: Any, recall: Any) -> np.ndarray:
    """F1 at each point of a curve: the harmonic mean, 0 where both are."""
    return 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)


def area_reliability(probability: Any, ground_m2: Any, landslide_m2: Any, n_bins: int = 10) -> dict[str, np.ndarray]:
    """Mean probability and share of landslide by area, in bins of probability of equal width.

    The arrays are those of `area_precision_recall`. Each array of the result has a value for each bin; ground of
    probability 1 is in the last one. Without ground ``mean_probability`` and ``landslide_share`` are NaN.

    Examples
    --------
    >>> from sklandslide.metrics import area_reliability
    >>> bins = area_reliability([0.1, 0.3, 0.9], [400, 400, 400], [0, 100, 300], n_bins=2)
    >>> bins["mean_probability"].tolist(), bins["landslide_share"].tolist()
    ([0.2, 0.9], [0.125, 0.75])
    """
    probability, ground = np.asarray(probability, np.float64), np.asarray(ground_m2)
    limits = np.linspace(0, 1, n_bins + 1)
    bins = np.clip(np.searchsorted(limits, probability, side="right") - 1, 0, n_bins - 1)
    total, mass, slides = (np.bincount(bins, w, n_bins) for w in (ground, ground * probability, landslide_m2))
    with np.errstate(invalid="ignore"):
        mean, share = mass / total, slides / total
    return {
        "probability_from": limits[:-1],
        "probability_to": limits[1:],
        "mean_probability": mean,
        "landslide_share": share,
        "ground_km2": total / 1e6,
    }
