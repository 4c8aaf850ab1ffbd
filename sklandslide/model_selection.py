"""Folds whose training and test patches share no pixel, and a score of their test samples that is the map's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.model_selection import BaseCrossValidator, GroupKFold, StratifiedGroupKFold
from sklearn.utils import check_array, check_random_state
from sklearn.utils.multiclass import type_of_target

from .metrics import f1_of, landslide_label
from .sampling import Locations

__all__ = ["SpatialBlockKFold", "map_scorer"]

_METRICS = ("average_precision", "f1")


class SpatialBlockKFold(BaseCrossValidator):
    """K folds of spatial blocks, with a buffer between training and test samples.

    The map is cut into blocks; whole blocks go to the test side of one fold each, so that the classes are spread over
    the folds as evenly as blocks allow. Training samples closer than `buffer` to a test sample are left out. With
    ``buffer=X.patch_extent(patch_size)`` no training patch shares a pixel with a test patch; with random folds nearly
    every one does.

    Parameters
    ----------
    n_splits : int, default=5
        Number of folds, at least 2.
    block_size : float or (float, float)
        Length of a block along x and y, in the units of X.
    buffer : float or (float, float), default=0.0
        Training samples whose distance to a test sample is less than this along x *and* along y are left out, in the
        units of X.
    shuffle : bool, default=True
        Whether blocks are assigned to folds in random order.
    random_state : int, RandomState instance or None, default=None
        Order of the blocks if `shuffle`.

    Notes
    -----
    Where `groups` are given (the polygons of `sample_polygons`) each group is kept whole: it lies in the block that
    holds its centre. The assignment of blocks to folds is scikit-learn's `StratifiedGroupKFold`. Scenes that share a
    coordinate system share blocks, because they may show the same ground; scenes in different ones never do. With
    several scenes, give each event's polygons names of their own: polygon 1 of two events would be one group.

    References
    ----------
    D. R. Roberts et al., "Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic
    structure", Ecography 40, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide import SpatialBlockKFold
    >>> X = np.random.RandomState(0).uniform(0, 1000, (500, 2))
    >>> y = np.arange(500) % 2
    >>> folds = SpatialBlockKFold(n_splits=4, block_size=100, buffer=25, random_state=0)
    >>> for train, test in folds.split(X, y):
    ...     gap = np.abs(X[train][:, None] - X[test]).max(axis=-1).min()
    ...     print(len(train) + len(test) < 500, bool(gap >= 25))
    True True
    True True
    True True
    True True
    """

    # Polygons travel as `groups` through metadata routing, as for scikit-learn's own group splitters.
    __metadata_request__split = {"groups": True}

    def __init__(
        self,
        n_splits: int = 5,
        *,
        block_size: Any,
        buffer: Any = 0.0,
        shuffle: bool = True,
        random_state: Any = None,
    ) -> None:
        self.n_splits = n_splits
        self.block_size = block_size
        self.buffer = buffer
        self.shuffle = shuffle
        self.random_state = random_state

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Number of folds.

        Parameters
        ----------
        X, y, groups : ignored

        Returns
        -------
        int
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of the training and of the test set of each fold.

        Parameters
        ----------
        X : Locations or array-like of shape (n_samples, 2)
            Map coordinates.
        y : array-like of shape (n_samples,), default=None
            Classes to spread evenly; other targets are not looked at.
        groups : array-like of shape (n_samples,), default=None
            Polygon of each sample.

        Yields
        ------
        train, test : ndarray of int

        Raises
        ------
        ValueError
            If a parameter is out of range, there are fewer blocks than folds, or a buffer leaves no training sample.
        """
        coordinates, area = _coordinates(X)
        buffer = _pair(self.buffer, "buffer", zero_allowed=True)
        blocks = self._blocks(coordinates, area, groups)
        everything = np.arange(len(coordinates))
        for fold, test in enumerate(self._test_sets(blocks, y)):
            train = np.setdiff1d(everything, test)
            train = train[~_near(coordinates, area, train, test, buffer)]
            if not len(train):
                raise ValueError(
                    f"Fold {fold} has no training sample left outside the buffer of {buffer}. Use a smaller buffer, "
                    "larger blocks or more folds."
                )
            yield train, test

    def _blocks(self, coordinates: np.ndarray, area: np.ndarray, groups: Any) -> np.ndarray:
        """Number of each sample's block."""
        if groups is not None:
            _, member = np.unique(np.asarray(groups), return_inverse=True)
            count = np.bincount(member)
            centre = np.stack([np.bincount(member, c) / count for c in coordinates.T], axis=1)
            coordinates = centre[member]
            first = np.full(len(count), len(area))
            np.minimum.at(first, member, area)
            area = first[member]
        cell = np.floor((coordinates - coordinates.min(axis=0)) / _pair(self.block_size, "block_size"))
        _, blocks = np.unique(np.column_stack([area, cell]), axis=0, return_inverse=True)
        return blocks.ravel()

    def _test_sets(self, blocks: np.ndarray, y: Any) -> Iterator[np.ndarray]:
        n_splits, n_blocks = self.n_splits, blocks.max() + 1
        stratify = y is not None and type_of_target(y) in ("binary", "multiclass")
        folds = StratifiedGroupKFold(n_splits) if stratify else GroupKFold(n_splits)
        if n_blocks < n_splits:
            raise ValueError(
                f"The samples lie in {n_blocks} block(s) of block_size={self.block_size}, which cannot fill "
                f"n_splits={n_splits} folds. Use smaller blocks or fewer folds (with groups, a polygon is one block)."
            )
        if self.shuffle:
            # scikit-learn deals blocks out in the order of their numbers. Its own shuffling loses the balance of
            # classes in version 1.7.
            blocks = check_random_state(self.random_state).permutation(n_blocks)[blocks]
        for fold, (_, test) in enumerate(folds.split(np.zeros(len(blocks)), y if stratify else None, blocks)):
            if not len(test):
                raise ValueError(
                    f"Fold {fold} has no test sample: {n_blocks} blocks could not be spread over {n_splits} folds. Use "
                    "smaller blocks or fewer folds."
                )
            yield test


def _coordinates(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Map coordinates, and for each sample the number of its coordinate system."""
    if not isinstance(X, Locations):
        coordinates = check_array(X, dtype=np.float64)
        if coordinates.shape[1] != 2:
            raise ValueError(
                f"X has shape {coordinates.shape}; SpatialBlockKFold needs map coordinates of shape (n_samples, 2), "
                "such as the Locations that sample_polygons returns."
            )
        return coordinates, np.zeros(len(coordinates), int)
    systems: list[Any] = []
    for scene in X.scenes:
        if scene.grid.crs not in systems:
            systems.append(scene.grid.crs)
    number = np.array([systems.index(scene.grid.crs) for scene in X.scenes])
    return X.xy, number[X.scene_index]


def _pair(value: Any, name: str, zero_allowed: bool = False) -> np.ndarray:
    pair = np.broadcast_to(np.asarray(value, np.float64), (2,))
    if not np.isfinite(pair).all() or (pair < 0).any() or (not zero_allowed and (pair == 0).any()):
        raise ValueError(
            f"{name}={value!r}: give a {'non-negative' if zero_allowed else 'positive'} length in the units of X, or "
            "two, along x and y."
        )
    return pair


def _near(
    coordinates: np.ndarray, area: np.ndarray, train: np.ndarray, test: np.ndarray, buffer: np.ndarray
) -> np.ndarray:
    """Which training samples lie within the buffer of a test sample, along both axes."""
    near = np.zeros(len(train), bool)
    if (buffer == 0).any():
        return near
    for system in np.unique(area[test]):
        rows = np.flatnonzero(area[train] == system)
        tree = cKDTree(coordinates[test[area[test] == system]] / buffer)
        distance, _ = tree.query(coordinates[train[rows]] / buffer, p=np.inf, distance_upper_bound=1.0)
        near[rows] = distance < 1.0
    return near


def map_scorer(metric: str = "average_precision") -> Any:
    """Make a scorer that says of test samples how good the map would be, for the ``scoring`` of a search.

    Samples are not the ground: landslides are half of them and a few hundredths of it, so accuracy on samples hardly
    counts the false alarms that fill a map. Here each test sample counts with the ground that it stands for,
    ``X.area``.

    Parameters
    ----------
    metric : {"average_precision", "f1"}, default="average_precision"
        Average precision of ground area, or the highest F1 of ground area of any threshold: a threshold is chosen
        later, on the map. Average precision looks at all thresholds and so varies less from fold to fold.

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)`` gives a float, the higher the better. It raises a ValueError where X carries no
        area, the classes hold none of 1, True and ``"landslide"``, or the samples hold no landslide.

    Raises
    ------
    ValueError
        If there is no such metric.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklandslide import BandStacker, PatchSampler, SpatialBlockKFold, make_scene, map_scorer, sample_polygons
    >>> scene, polygons = make_scene(shape=(200, 200), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=[5, 9], random_state=0)
    >>> spread = FunctionTransformer(np.std, kw_args={"axis": (1, 2)})
    >>> pipe = make_pipeline(BandStacker("BAC"), PatchSampler(), spread, LogisticRegression())
    >>> folds = SpatialBlockKFold(3, block_size=500, buffer=X.patch_extent(9), random_state=0)
    >>> search = GridSearchCV(pipe, {"patchsampler__patch_size": [5, 9]}, cv=folds, scoring=map_scorer())
    >>> search.fit(X, y, groups=groups).best_params_
    {'patchsampler__patch_size': 9}
    """
    if metric not in _METRICS:
        raise ValueError(f"metric={metric!r}: choose one of {_METRICS}.")
    return _MapScorer(metric)


class _MapScorer:
    """What `map_scorer` makes: a value, which can be pickled, cloned and compared."""

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def __repr__(self) -> str:
        return f"map_scorer({self.metric!r})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _MapScorer) and self.metric == other.metric

    def __hash__(self) -> int:
        return hash(self.metric)

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        area = getattr(X, "area", None)
        if area is None:
            raise ValueError(
                f"{self!r} weights samples by the ground that each stands for, and X carries no area. Take the X of "
                "sample_polygons, or give it: Locations(scene, xy, area)."
            )
        label = landslide_label(estimator.classes_)
        truth = np.asarray(y) == label
        if not truth.any():
            raise ValueError(
                f"None of the {len(truth)} test samples is a landslide, so there is nothing to find. Use fewer folds, "
                "or blocks over which landslides are spread evenly."
            )
        probability = estimator.predict_proba(X)[:, estimator.classes_ == label].ravel()
        if self.metric == "average_precision":
            return float(average_precision_score(truth, probability, sample_weight=area))
        precision, recall, _ = precision_recall_curve(truth, probability, sample_weight=area)
        return float(f1_of(precision, recall).max())
