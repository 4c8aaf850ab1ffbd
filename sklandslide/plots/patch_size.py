"""PatchSizeDisplay: the score over the patch size, by cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from ..features import PatchSampler
from ..model_selection import SpatialBlockKFold
from .curve import XLABEL, legend_below, mark_sizes, metres_axis
from .furniture import pyplot
from .searches import best_by_size, pixel_in_metres, score_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("errorbar", "fill_between", None)


class PatchSizeDisplay:
    """The score of a pipeline over the patch size, by cross-validation (section 3.1 of the paper).

    Mean over folds, its spread, the score of each fold, and the size to choose. It is recommended to make one with
    `from_estimator`, which computes the scores, or `from_search`, which takes them from a search that was made.

    Parameters
    ----------
    patch_sizes : array-like of int, shape (n_sizes,)
        Pixels a side; they are put in ascending order.
    scores : array-like of float, shape (n_sizes, n_splits)
        Score of each size on each fold, the higher the better. NaN for a fit that failed.
    score_name : str, default="Score"
        Label of the axis of scores.
    pixel_size : (float, float) or None, default=None
        Width and height of a pixel in metres, for a second axis in metres.
    params : sequence of dict, default=None
        Values of the other parameters that each size has its scores from.

    Attributes
    ----------
    best_patch_size_ : int
        The size of the highest mean.
    one_standard_error_patch_size_ : int
        The smallest size whose mean is within one standard error of the highest.
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the curve is drawn. These and what follows are there after `plot`.
    line_ : matplotlib.lines.Line2D
        The means.
    errorbar_, fill_between_ : matplotlib artists or None
        Their spread, one standard deviation over the folds, as bars or as a band.
    points_ : matplotlib.collections.PathCollection or None
        The score of each fold.
    markers_ : dict of str to matplotlib.lines.Line2D
        The sizes marked: ``"best"``, and ``"one_standard_error"`` if it is another.
    metres_axis_ : matplotlib.axes.Axes or None
        The second axis.

    Raises
    ------
    ValueError
        If the shapes do not fit, or no size has all its scores.

    Notes
    -----
    The sizes can only be compared if all see the same samples and no training patch of any size shares a pixel with a
    test patch. So sample with ``sample_polygons(patch_size=[...])``, all sizes in the list, and give the folds
    ``buffer=X.patch_extent(largest)``; `from_estimator` refuses less.

    The means of neighbouring sizes often differ by less than they vary from fold to fold. The one-standard-error rule
    [1]_ takes the simplest model that is as good as the best as far as the folds can tell. Here that is the smallest
    patch: it maps faster, and it says more exactly where the landslide is. The standard error is that of the folds of
    the best size; folds share training samples, so it is rather too small.

    The score of the size chosen is the highest of several and thus too good: measure it on a region held out.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen, C. Stone, "Classification and Regression Trees", Wadsworth, 1984,
       section 3.4.3.
    .. [2] L. Nava, O. Monserrat, F. Catani, "Improving landslide detection on SAR data through deep learning", 2021.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklandslide import PatchSizeDisplay
    >>> scores = [[0.70, 0.74, 0.72], [0.82, 0.88, 0.84], [0.83, 0.89, 0.83]]
    >>> display = PatchSizeDisplay(patch_sizes=[9, 17, 25], scores=scores, score_name="Accuracy")
    >>> display.best_patch_size_, display.one_standard_error_patch_size_
    (25, 17)
    >>> display.plot().ax_.get_ylabel()
    'Accuracy'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        patch_sizes: Any,
        scores: Any,
        score_name: str = "Score",
        pixel_size: tuple[float, float] | None = None,
        params: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        patch_sizes, scores = np.asarray(patch_sizes), np.asarray(scores, np.float64)
        if patch_sizes.ndim != 1 or scores.ndim != 2 or len(scores) != len(patch_sizes) or not scores.size:
            raise ValueError(
                f"patch_sizes has shape {patch_sizes.shape} and scores {scores.shape}; give n_sizes sizes and scores "
                "of shape (n_sizes, n_splits), a row for each size."
            )
        if np.isnan(scores).any(axis=1).all():
            raise ValueError(
                "Each patch size has a fold without a score: no fit succeeded on all folds. Run the search with "
                "error_score='raise' to see why."
            )
        order = np.argsort(patch_sizes)
        self.patch_sizes, self.scores = patch_sizes[order], scores[order]
        self.score_name, self.pixel_size = score_name, pixel_size
        self.params = None if params is None else [dict(params[i]) for i in order]
        mean, n_splits = self.scores.mean(axis=1), self.scores.shape[1]
        best = int(np.nanargmax(mean))  # the first, so the smallest, of equals
        error = self.scores[best].std(ddof=1) / np.sqrt(n_splits) if n_splits > 1 else 0.0
        self.best_patch_size_ = int(self.patch_sizes[best])
        near = np.flatnonzero(mean >= mean[best] - error)
        self.one_standard_error_patch_size_ = int(self.patch_sizes[near[0]])

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        patch_sizes: Sequence[int],
        param_name: str | None = None,
        param_grid: Mapping[str, Any] | None = None,
        groups: Any = None,
        cv: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        error_score: Any = "raise",
        ax: Axes | None = None,
        **plot_kw: Any,
    ) -> PatchSizeDisplay:
        """Cross-validate a pipeline at each patch size, and plot.

        Parameters
        ----------
        estimator : Pipeline or search over one
            With a `PatchSampler` in it. It is cloned, not fitted.
        X : Locations of shape (n_samples, 2)
        y : array-like of shape (n_samples,)
        patch_sizes : sequence of int
            Pixels a side.
        param_name : str, default=None
            Name of the patch size among the estimator's parameters; that of its only `PatchSampler` by default.
        param_grid : dict of str to list, default=None
            Other parameters to search at each size, such as ``{"landslidecnn__learning_rate": [3e-4, 1e-3]}``: what
            is best may depend on the size. The highest mean counts.
        groups : array-like of shape (n_samples,), default=None
            Polygon of each sample, for the folds.
        cv : splitter, int or iterable, default=None
            Folds. By default three of `SpatialBlockKFold`, with blocks of an eighth of the area's width and height,
            or twice the largest patch if that is more, and the largest patch as buffer.
        scoring : str, callable or None, default=None
            As in scikit-learn; by default the estimator's own, which is accuracy for classifiers.
        n_jobs, verbose, error_score
            As in `GridSearchCV`, but a fit that fails raises its error by default.
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        **plot_kw : dict
            Handed on to `plot`.

        Returns
        -------
        PatchSizeDisplay

        Raises
        ------
        ValueError
            If the estimator has no single `PatchSampler`, or `cv` is a `SpatialBlockKFold` whose buffer is smaller
            than the largest patch.
        SceneError, NoValidDataError
            If a patch of some size does not fit its scene or holds nodata.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklandslide import BandStacker, LandslideCNN, PatchSampler, PatchSizeDisplay
        >>> from sklandslide import make_scene, sample_polygons
        >>> scene, polygons = make_scene(shape=(150, 150), random_state=0)
        >>> X, y, groups = sample_polygons(scene, polygons, patch_size=[5, 9], stride=5)
        >>> cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, random_state=0)
        >>> pipe = make_pipeline(BandStacker(["Red"]), PatchSampler(), cnn)
        >>> display = PatchSizeDisplay.from_estimator(pipe, X, y, patch_sizes=[5, 9])
        >>> display.scores.shape, display.score_name
        ((2, 3), 'Accuracy')
        """
        largest = max(patch_sizes)
        if param_name is None:
            samplers = [name for name, value in estimator.get_params().items() if isinstance(value, PatchSampler)]
            if len(samplers) != 1:
                raise ValueError(
                    f"The estimator has {len(samplers)} PatchSampler steps ({', '.join(samplers) or 'none'}); one is "
                    "needed to tell which patch size is meant. Put one in the pipeline, or give param_name."
                )
            param_name = f"{samplers[0]}__patch_size"
        buffer = X.patch_extent(largest)
        if cv is None:
            block = np.maximum(np.ptp(np.asarray(X), axis=0) / 8, 2 * np.array(buffer))
            cv = SpatialBlockKFold(3, block_size=tuple(block), buffer=buffer, random_state=0)
        elif isinstance(cv, SpatialBlockKFold) and (np.array(cv.buffer) < np.array(buffer) * (1 - 1e-9)).any():
            raise ValueError(
                f"The folds have buffer={cv.buffer!r}, but a patch of {largest} pixels, the largest, is {buffer} wide "
                "and high: its training and test patches would overlap, which flatters it. Use "
                f"buffer=X.patch_extent({largest})."
            )
        search = GridSearchCV(
            estimator,
            {**(param_grid or {}), param_name: list(patch_sizes)},
            scoring=scoring, cv=cv, n_jobs=n_jobs, verbose=verbose, error_score=error_score, refit=False,
        )  # fmt: skip
        search.fit(X, y, groups=groups)
        return cls.from_search(search, X, param_name=param_name, ax=ax, **plot_kw)

    @classmethod
    def from_search(
        cls,
        search: Any,
        X: Any = None,
        *,
        param_name: str | None = None,
        metric: str | None = None,
        ax: Axes | None = None,
        **plot_kw: Any,
    ) -> PatchSizeDisplay:
        """Take the scores from a fitted search, and plot.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or another with ``cv_results_``
        X : Locations, default=None
            What the search was fitted on, or any with the same pixels: gives the axis in metres.
        param_name : str, default=None
            Name of the patch size among the parameters searched; the one that ends in ``patch_size`` by default.
        metric : str, default=None
            Which score of a search with several; the one it was refitted on by default.
        ax : matplotlib.axes.Axes, default=None
        **plot_kw : dict
            Handed on to `plot`.

        Returns
        -------
        PatchSizeDisplay

        Raises
        ------
        ValueError
            If the search is not fitted, did not search the patch size, or tried its candidates on different samples
            (successive halving).
        """
        check_is_fitted(search, "cv_results_")
        if metric is None and getattr(search, "multimetric_", False) and isinstance(search.refit, str):
            metric = search.refit
        scoring = metric or search.scoring or ("accuracy" if is_classifier(search.estimator) else "score")
        display = cls.from_cv_results(
            search.cv_results_,
            param_name=param_name,
            metric=metric or "score",
            score_name=score_label(scoring),
            pixel_size=None if X is None else pixel_in_metres(X),
        )
        return display.plot(ax=ax, **plot_kw)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        param_name: str | None = None,
        metric: str = "score",
        score_name: str | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> PatchSizeDisplay:
        """Take the scores from the table of a search, without plotting.

        At each patch size the candidate with the highest mean counts, whatever its other parameters.

        Parameters
        ----------
        cv_results : dict or pandas.DataFrame
            ``cv_results_`` of a search.
        param_name, metric
            As in `from_search`.
        score_name, pixel_size
            As for the class; the name is made of `metric` by default.

        Returns
        -------
        PatchSizeDisplay

        Raises
        ------
        ValueError
            As in `from_search`.

        Examples
        --------
        >>> from sklandslide import PatchSizeDisplay
        >>> results = {"params": [{"sampler__patch_size": s, "cnn__learning_rate": r} for s in (9, 25) for r in (1, 2)],
        ...            "split0_test_score": [0.6, 0.7, 0.8, 0.7], "split1_test_score": [0.6, 0.6, 0.9, 0.7]}
        >>> display = PatchSizeDisplay.from_cv_results(results)
        >>> display.scores.tolist(), display.params
        ([[0.7, 0.6], [0.8, 0.9]], [{'cnn__learning_rate': 2}, {'cnn__learning_rate': 1}])
        """
        sizes, scores, params = best_by_size(cv_results, param_name, metric)
        label = score_name or score_label(metric)
        return cls(patch_sizes=sizes, scores=scores, score_name=label, pixel_size=pixel_size, params=params)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        score_name: str | None = None,
        std_display_style: str | None = "errorbar",
        folds: bool = True,
        mark: bool = True,
        line_kw: dict | None = None,
    ) -> PatchSizeDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        score_name : str, default=None
            Label of the axis of scores, in place of the display's own.
        std_display_style : {"errorbar", "fill_between"} or None, default="errorbar"
            How the standard deviation over the folds is drawn.
        folds, mark : bool, default=True
            Whether to draw the score of each fold, and to mark the size of the highest mean and the smallest within
            one standard error of it.
        line_kw : dict, default=None
            Handed on to ``ax.plot`` for the means. With a ``label``, several displays can share axes.

        Returns
        -------
        PatchSizeDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `std_display_style` is another.
        """
        if std_display_style not in _STYLES:
            raise ValueError(f"std_display_style={std_display_style!r}: choose one of {_STYLES}.")
        ax = pyplot().subplots(layout="constrained")[1] if ax is None else ax
        mean, std = self.scores.mean(axis=1), self.scores.std(axis=1)
        label = f"mean of {self.scores.shape[1]} folds" + (", with standard deviation" if std_display_style else "")
        style = {"label": label, "marker": "o", "markersize": 4, **(line_kw or {})}
        self.line_ = ax.plot(self.patch_sizes, mean, **style)[0]
        color = self.line_.get_color()
        self.errorbar_ = self.fill_between_ = self.points_ = self.metres_axis_ = None
        if std_display_style == "errorbar":
            self.errorbar_ = ax.errorbar(self.patch_sizes, mean, std, fmt="none", ecolor=color, capsize=3)
        elif std_display_style == "fill_between":
            self.fill_between_ = ax.fill_between(self.patch_sizes, mean - std, mean + std, color=color, alpha=0.2, lw=0)
        if folds:
            places = np.repeat(self.patch_sizes, self.scores.shape[1])
            self.points_ = ax.scatter(places, self.scores.ravel(), s=16, color=color, alpha=0.5, linewidths=0)
            if "label" not in (line_kw or {}):
                self.points_.set_label("each fold")
        marks = {"best": self.best_patch_size_, "one_standard_error": self.one_standard_error_patch_size_}
        self.markers_ = mark_sizes(ax, self.patch_sizes, mean, marks, color) if mark else {}
        others: Any = ax.get_xticks() if ax.get_xlabel() == XLABEL else []  # of a display on the same axes
        ax.set_xticks(np.union1d(others, self.patch_sizes))
        ax.set(xlabel=XLABEL, ylabel=score_name or self.score_name)
        if self.pixel_size is not None:
            self.metres_axis_ = metres_axis(ax, self.pixel_size)
        legend_below(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
