"""cross_val_map: a map of ground that the models did not see."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import rasterio
from scipy.spatial import cKDTree
from sklearn.base import clone
from sklearn.model_selection import check_cv

from ..exceptions import NoValidDataError, SceneError, SklandslideError
from ..features import PatchSampler
from ..geodata import Window, check_output
from .estimators import fitted_parts
from .landslide_map import LandslideMap
from .predictor import SlidingWindowPredictor
from .writer import BLOCK, clear_errors, publish_map, write_geotiff

_KEPT_TAGS = ("VERSION", "PATCH_SIZE", "STEP", "POSITIVE", "ENGINE")


def cross_val_map(
    estimator: Any,
    X: Any,
    y: Any,
    path: Any,
    *,
    cv: Any,
    groups: Any = None,
    step: int = 2,
    overwrite: bool = False,
    **options: Any,
) -> LandslideMap:
    """Map a scene by cross-validation: each pixel by a model that did not see it.

    For each fold the estimator is cloned, fitted on the training samples, and maps the scene. Each pixel is taken from
    the fold whose test sample is nearest, and is NaN where its window shares a pixel of the scene with a training patch
    of that fold. So scores, curves and thresholds of this map are those of ground held out.

    Parameters
    ----------
    estimator : estimator
        As for `SlidingWindowPredictor`, but not fitted: a pipeline, or a search, which is then made in each fold.
    X : Locations of shape (n_samples, 2)
        On one scene, the one that is mapped.
    y : array-like of shape (n_samples,)
    path : path
        Of the GeoTIFF. Beside it there has to be room for as many maps as there are folds, until it is complete.
    cv : splitter, int or iterable
        Folds. With those of `SpatialBlockKFold` and ``buffer=X.patch_extent(patch_size)`` little is NaN; with random
        ones nearly all is, as there are training samples beside each test sample.
    groups : array-like of shape (n_samples,), default=None
        Polygon of each sample, for the folds.
    step : int, default=2
        Distance of windows in pixels.
    overwrite : bool, default=False
        Whether an existing file may be replaced.
    **options
        Parameters of `SlidingWindowPredictor`: ``method``, ``patch_size``, ``positive``, ``n_jobs``, ``verbose``.

    Returns
    -------
    LandslideMap

    Raises
    ------
    SceneError
        If X lies on several scenes.
    SklandslideError
        If the estimator stays fitted when it is cloned, because it is frozen.
    NoValidDataError
        If every window shares a pixel with a training patch, or as in `SlidingWindowPredictor.predict_map`.
    OutputExistsError, OutputFolderError, BandError, SceneReadError
        As in `SlidingWindowPredictor.predict_map`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklandslide import BandStacker, PatchSampler, SpatialBlockKFold, cross_val_map, make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(200, 200), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9, random_state=0)
    >>> spread = FunctionTransformer(np.std, kw_args={"axis": (1, 2)})
    >>> pipe = make_pipeline(BandStacker("BAC"), PatchSampler(9), spread, LogisticRegression())
    >>> folds = SpatialBlockKFold(3, block_size=500, buffer=X.patch_extent(9), random_state=0)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "held_out.tif"
    >>> m = cross_val_map(pipe, X, y, path, groups=groups, cv=folds, step=4)
    >>> 0 < m.choose_threshold(polygons) < 1
    True
    """
    y, scene = np.asarray(y), _only_scene(X)
    if fitted_parts(clone(estimator), PatchSampler):
        raise SklandslideError(
            f"The {type(estimator).__name__} is frozen: it would stay as it was fitted, perhaps on the ground that is "
            "mapped. Give the pipeline itself, and the threshold to the model that is fitted on all samples."
        )
    path = check_output(path, overwrite, scene.files)
    folds = list(check_cv(cv, y, classifier=True).split(X, y, groups))
    folder, name = os.path.split(path)
    with tempfile.TemporaryDirectory(prefix=f".{name}.folds-", dir=folder) as own:
        maps = []
        for number, (train, _) in enumerate(folds):
            predictor = SlidingWindowPredictor(clone(estimator).fit(X[train], y[train]), step=step, **options)
            maps.append(predictor.predict_map(scene, os.path.join(own, f"{number}.tif")))
        part = os.path.join(own, "all.tif")
        with clear_errors(path):
            tags = {**_tags(maps[0]), "FOLDS": len(folds)}
            any_valid = write_geotiff(part, maps[0].grid, tags, _held_out(maps, step, scene, X, folds))
            if any_valid:
                publish_map(part, path, tags, overwrite)
    if not any_valid:
        raise NoValidDataError(
            f"Each window of the {len(folds)} folds' test ground shares pixels with a training patch, so nothing is "
            "held out. Use SpatialBlockKFold with larger blocks."
        )
    return LandslideMap.open(path)


def _only_scene(X: Any) -> Any:
    places = np.unique(X.scene_index)
    if len(places) != 1:
        raise SceneError(
            f"X lies on {len(places)} scenes, and a map is of one. Give the rows of one: X[X.scene_index == 0]."
        )
    return X.scenes[places[0]]


def _tags(landslide_map: LandslideMap) -> dict[str, str]:
    with rasterio.open(landslide_map.path) as file:
        tags = file.tags()
    return {name: tags[f"SKLANDSLIDE_{name}"] for name in _KEPT_TAGS}


def _held_out(
    maps: Sequence[LandslideMap], step: int, scene: Any, X: Any, folds: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Iterator[np.ndarray]:
    """The map from its first row to its last, a row of blocks at a time; places are windows' first pixels."""
    size = maps[0].patch_size
    rows, cols = maps[0].grid.shape
    places = scene.grid.window_origins(X.xy, size)
    tested = np.concatenate([test for _, test in folds])
    owners = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])
    nearest = cKDTree(places[tested])
    training = [cKDTree(places[train]) for train, _ in folds]
    for row in range(0, rows, BLOCK):
        window = Window(row, 0, min(BLOCK, rows - row), cols)
        windows = (np.indices((window.height, cols)).reshape(2, -1).T + np.array([row, 0])) * step
        owner = owners[nearest.query(windows)[1]]
        values = np.full(len(windows), np.nan, np.float32)
        for fold in np.unique(owner):
            here = np.flatnonzero(owner == fold)
            # infinite where no training patch begins less than a window away
            distance, _ = training[fold].query(windows[here], p=np.inf, distance_upper_bound=size)
            free = here[np.isinf(distance)]
            values[free] = maps[fold].read(window).ravel()[free]
        yield values.reshape(window.height, cols)
