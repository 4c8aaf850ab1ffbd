"""SlidingWindowPredictor: from a fitted pipeline and a scene to a map."""

from __future__ import annotations

import logging
from contextlib import closing
from importlib.metadata import version
from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._version import __version__
from ..exceptions import NoValidDataError, SklandslideError
from ..features import BandStacker, PatchSampler, patch_side, require_scene
from ..geodata import check_output
from ..network import LandslideCNN, state_of
from .applicability import ApplicabilityArea
from .estimators import fitted_parts, threshold_of
from .landslide_map import LandslideMap
from .shared import SharedEngine, shared_engine, why_not_shared
from .source import TileSource
from .tiles import MapTask, TileLayout, tile_side
from .unfinished import UnfinishedMap
from .windows import WindowEngine
from .workers import computed_tiles, digest_of

_log = logging.getLogger("sklandslide")


class SlidingWindowPredictor(BaseEstimator):
    """Map a scene with a sliding window (section 3.3 of the paper).

    Parameters
    ----------
    estimator : estimator
        Fitted, taking `Locations` and offering `predict_proba`: a pipeline, or a search, calibration, ensemble or other
        meta-estimator over pipelines. The threshold of a ``FixedThresholdClassifier`` becomes the map's own.
    step : int, default=2
        Distance of windows in pixels; the paper's is 2.
    method : {"auto", "window", "shared"}, default="auto"
        How the map is computed; the map is the same. ``"window"`` asks the estimator about each window. ``"shared"``
        computes what overlapping windows share once, several times faster; it raises where that is not exact, such as
        with resampled patches. ``"auto"`` takes ``"shared"`` where it is exact and windows share anything.
    patch_size : int, default=None
        Side of the window in pixels; found in the estimator's `PatchSampler` by default (the largest of several). In a
        larger window the patches lie about its centre; it is NaN where nodata lies anywhere in it.
    positive : label, default=None
        The class to map. By default 1, True or ``"landslide"``, whichever is among the classes.
    n_jobs : int, default=None
        Workers, as in scikit-learn: None is 1 unless in a `joblib.parallel_config` context, -1 takes all cores. With
        ``parallel_config(backend="dask")`` the workers are those of a Dask cluster, which need not see the scene's
        files. The map is the same, bit for bit.
    verbose : int, default=0
        1 shows a progress bar, in a notebook the notebook's own.
    applicability : ApplicabilityArea, default=None
        Fitted. The map has a second band then, the dissimilarity of each window to the training windows over its
        threshold: above 1 the window lies outside the area (``LandslideMap.dissimilarity``). It is computed with the
        map, in the same pass of the network where the estimator is the area's own pipeline or a search that found it.

    Attributes
    ----------
    engine_ : {"window", "shared", "shared-graph"}
        How the last map was computed. ``"shared-graph"`` is shared computation in TensorFlow, which is slower
        and stands in where the package was installed without a C compiler.
    engine_reason_ : str or None
        Why it was not shared computation.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer, StandardScaler
    >>> from sklandslide import BandStacker, PatchSampler, SlidingWindowPredictor, make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(300, 300), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9)
    >>> flat = FunctionTransformer(lambda patches: patches.mean(axis=(1, 2)))
    >>> pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=9), flat, StandardScaler(),
    ...                      LogisticRegression())
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "map.tif"
    >>> m = SlidingWindowPredictor(pipe.fit(X, y), step=4).predict_map(scene, path)
    >>> m.probability.shape
    (73, 73)
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["predict_proba"])],
        "step": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions({"auto", "window", "shared"})],
        "patch_size": [Interval(Integral, 1, None, closed="left"), None],
        "positive": "no_validation",
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "applicability": [ApplicabilityArea, None],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        step: int = 2,
        method: str = "auto",
        patch_size: int | None = None,
        positive: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        applicability: Any = None,
    ) -> None:
        self.estimator = estimator
        self.step = step
        self.method = method
        self.patch_size = patch_size
        self.positive = positive
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.applicability = applicability

    def predict_map(self, scene: Any, path: Any, *, overwrite: bool = False) -> LandslideMap:
        """Write the probability of landslide over a whole scene as a GeoTIFF.

        Map pixel (i, j) is the window whose first pixel is (i * step, j * step), and lies at the window's centre. Every
        window that fits is in the map; it is NaN exactly where its window touches nodata.

        Finished tiles are kept beside the map, in the folder ``.<name>.tiles``, until the map is whole. When the call
        is interrupted in whatever way (an error, a full disk, a killed process, a power cut), the same call with the
        same scene, estimator and parameters goes on from there, and the file is the same as if nothing had happened.
        With anything else it starts over, and the log says why.

        Parameters
        ----------
        scene : Scene
            With the bands, in the units, that the estimator was fitted on.
        path : path
            Of the GeoTIFF: float32, tiled, compressed. It appears when it is complete.
        overwrite : bool, default=False
            Whether an existing file may be replaced, when the map is complete, with what GDAL would read together with
            it (mask, overviews, ``.aux.xml``). A link is replaced, not the file that it leads to.

        Returns
        -------
        LandslideMap

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        OutputExistsError
            If the file, or one that GDAL would read together with it, exists and `overwrite` is false.
        OutputFolderError
            If the folder of the file does not exist.
        BandError
            If the scene lacks a band, or has it in other units or with values that cannot be what the estimator was
            fitted on (some hundred pixels all over the scene are looked at).
        SceneError
            If the scene's pixels are of another size than those that the estimator was fitted on, no window fits the
            scene, or the path is one of the scene's own rasters.
        NoValidDataError
            If every window touches nodata. No file is written.
        SceneReadError
            If a raster of the scene cannot be read, or was changed or replaced, even while the map is made.
        SklandslideError
            If the file cannot be written, or something else changes what is being written; if `applicability` is that
            of a network that the estimator does not hold.
        """
        self._validate_params()
        check_is_fitted(self.estimator)
        self._check_area()
        path = check_output(path, overwrite, scene.files)
        patch_size = self._find_patch_size()
        column, label = self._find_column()
        grid = scene.grid.map_grid(patch_size, self.step)
        stackers = fitted_parts(self.estimator, BandStacker)
        task = MapTask(self.estimator, stackers, patch_size, self.step, column, self.applicability)
        bands = task.bands(scene)
        require_scene(fitted_parts(self.estimator, PatchSampler), task.views(scene))
        engine = self._choose_engine(task)
        layout = TileLayout(grid.shape, tile_side(self.step, engine.side))
        tags = {"VERSION": __version__, "PATCH_SIZE": patch_size, "STEP": self.step, "POSITIVE": label}
        tags |= {"ENGINE": engine.name}
        if (threshold := threshold_of(self.estimator, label)) is not None:
            tags["THRESHOLD"] = threshold
        with UnfinishedMap(path, layout, self._key(scene, engine, str(label))) as unfinished:
            self._compute(engine, TileSource(scene, task, layout), unfinished)
            made = unfinished.publish(grid, tags, overwrite, task.n_bands)
        if not made:
            raise NoValidDataError(
                f"Every window of {patch_size} pixels touches nodata in one of the bands {', '.join(bands)}, "
                "so there is nothing to map. Check the nodata values and the overlap of the rasters."
            )
        self.engine_ = engine.name
        return LandslideMap.open(path)

    def _compute(self, engine: WindowEngine | SharedEngine, source: TileSource, unfinished: UnfinishedMap) -> None:
        """Compute and keep the tiles that are missing."""
        from tqdm.auto import tqdm

        missing = unfinished.missing
        windows = unfinished.layout.windows
        total = unfinished.layout.shape[0] * unfinished.layout.shape[1]
        done = total - sum(windows[number].height * windows[number].width for number in missing)
        bar = tqdm(total=total, initial=done, unit="window", unit_scale=True, disable=not self.verbose)
        with bar, closing(computed_tiles(engine, source.parts, missing, self.n_jobs)) as computed:
            for number, values in computed:
                unfinished.add(number, values)
                bar.update(values[0].size)

    def _key(self, scene: Any, engine: WindowEngine | SharedEngine, label: str) -> dict[str, Any]:
        """Everything that the values of the map depend on, by the name that the user is told."""
        return {
            "scene": scene.fingerprint,
            "estimator": digest_of(self.estimator),
            "patch size": engine.task.patch_size,
            "step": self.step,
            "class": label,
            "area of applicability": None if self.applicability is None else digest_of(self.applicability),
            "method": [engine.name, engine.runtime],
            "version": [__version__, *(version(package) for package in ("tensorflow", "scikit-learn", "numpy"))],
        }

    def _choose_engine(self, task: MapTask) -> WindowEngine | SharedEngine:
        asked = "method='window' was asked for" if self.method == "window" else None
        reason = asked or why_not_shared(self.estimator, task.patch_size)
        if self.method == "shared" and reason:
            raise SklandslideError(f"method='shared' would not be exact: {reason}. Use method='auto' or 'window'.")
        engine = WindowEngine(task) if reason else shared_engine()(task)
        if self.method == "auto" and reason is None and engine.side == 1:
            reason = f"windows {task.step} pixels apart share so little that it would be no faster"
            engine = WindowEngine(task)
        how = "by shared computation" if reason is None else f"window by window ({reason})"
        by = engine.runtime or type(self.estimator).__name__
        _log.info("Mapping %s with %s, patch size %d, step %d.", how, by, task.patch_size, self.step)
        self.engine_reason_ = reason
        return engine

    def _check_area(self) -> None:
        """Refuse an area of another network."""
        if self.applicability is None:
            return
        check_is_fitted(self.applicability)
        models = self.estimator, self.applicability.estimator
        ours, theirs = (
            {digest_of(state_of(cnn)["weights"]) for cnn in fitted_parts(model, LandslideCNN)} for model in models
        )
        if not theirs <= ours:
            raise SklandslideError(
                "applicability was fitted with another network than the estimator's, so it does not tell where this "
                "one is applicable. Fit ApplicabilityArea(estimator) with this one."
            )

    def _find_patch_size(self) -> int:
        sizes = {patch_side(sampler) for sampler in fitted_parts(self.estimator, PatchSampler)}
        if self.patch_size is None and not sizes:
            raise SklandslideError(
                f"{type(self.estimator).__name__} holds no fitted PatchSampler, so the size of its windows is unknown. "
                "Put a PatchSampler into the pipeline, or pass patch_size=."
            )
        if self.patch_size is None:
            return max(sizes)
        if sizes and self.patch_size < max(sizes):
            raise SklandslideError(
                f"patch_size={self.patch_size} of the windows is smaller than the patches of {max(sizes)} pixels that "
                "the estimator's PatchSampler cuts. Leave patch_size out, or fit the estimator with smaller patches."
            )
        return int(self.patch_size)

    def _find_column(self) -> tuple[int, Any]:
        classes = self.estimator.classes_.tolist()
        wanted = [1, "landslide"] if self.positive is None else [self.positive]
        for label in wanted:
            if label in classes:
                return classes.index(label), label
        raise SklandslideError(
            f"None of {wanted} is among the estimator's classes {classes}, so it is unclear which probability to map. "
            "Pass positive= with the label of landslides."
        )
