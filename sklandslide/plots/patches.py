"""The patches that a classifier is most wrong about, on one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import BandError
from ..features import BandStacker, PatchSampler
from ..sampling import Locations
from .furniture import pyplot
from .imagery import usual_range
from .scenes import band_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Landslides that were missed and false alarms, apart in every form of colour blindness; what is right is grey.
_MISSED, _FALSE_ALARM, _RIGHT = "#d55e00", "#0072b2", "0.5"
# White between patches, as a share of their size.
_GAP = 0.12


class PatchesDisplay:
    """A sheet of patches, the worst errors first.

    It is recommended to make one with `from_predictions` or `from_estimator`.

    Parameters
    ----------
    patches : array-like of float, shape (n_patches, rows, cols, 1 or 3)
        In grey, or red, green and blue; NaN for nodata.
    y_true : array-like of int, shape (n_patches,)
        Class, 1 for landslide and 0 for other ground.
    y_score : array-like of float, shape (n_patches,)
        Probability of landslide.
    rows : array-like of int, shape (n_patches,), default=None
        Row of X that each patch comes from; it is written above the patch.
    bands : sequence of str, default=()
        What is drawn, for the title.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the sheet is drawn. These and what follows are there after `plot`.
    image_ : matplotlib.image.AxesImage
        The sheet.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from sklandslide import PatchesDisplay, make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(150, 150), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9, stride=5)
    >>> score = np.linspace(0, 1, len(X))  # of a classifier that knows nothing
    >>> display = PatchesDisplay.from_predictions(X, y, score, patch_size=9, bands="RGB", n_patches=12)
    >>> error = np.abs(y - score)
    >>> bool(error[display.rows].min() >= np.sort(error)[-12])
    True
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, patches: Any, y_true: Any, y_score: Any, rows: Any = None, bands: Any = ()) -> None:
        self.patches, self.y_true, self.y_score = np.asarray(patches), np.asarray(y_true), np.asarray(y_score)
        self.rows, self.bands = None if rows is None else np.asarray(rows), tuple(bands)

    @classmethod
    def from_predictions(
        cls,
        X: Locations,
        y_true: Any,
        y_score: Any,
        *,
        patch_size: int,
        bands: Any,
        n_patches: int = 24,
        ax: Axes | None = None,
        **plot_kw: Any,
    ) -> PatchesDisplay:
        """Read the patches whose probability is farthest from their class, and plot.

        Parameters
        ----------
        X : Locations
        y_true : array-like of int, shape (n_samples,)
            Class, 1 for landslide and 0 for other ground, as `sample_polygons` gives it.
        y_score : array-like of float, shape (n_samples,)
            Probability of landslide, such as
            ``cross_val_predict(pipeline, X, y, groups=groups, cv=cv, method="predict_proba")[:, 1]``.
        patch_size : int
            Pixels a side of the patches to show: that of the model, or larger to see the ground about.
        bands : str or sequence of str
            One band or three, or a composite, as for `BandStacker`.
        n_patches : int, default=24
            How many, at most.
        ax : matplotlib.axes.Axes, default=None
        **plot_kw : dict
            Handed on to `plot`.

        Returns
        -------
        PatchesDisplay

        Raises
        ------
        ValueError
            If `y_true` or `y_score` has not one value for each row of X, or are no classes 0 and 1 and probabilities.
        BandError
            If the bands are not one or three, or the scene does not have them.
        SceneError
            If a patch does not fit its scene.
        """
        y_true, y_score = np.asarray(y_true), np.asarray(y_score, np.float64)
        for name, values in (("y_true", y_true), ("y_score", y_score)):
            if values.shape != (len(X),):
                raise ValueError(f"{name} has shape {values.shape} and X {len(X)} rows. Give one value for each row.")
        if not np.isin(y_true, (0, 1)).all() or not ((y_score >= 0) & (y_score <= 1)).all():
            raise ValueError(
                "y_true are classes, 1 for landslide and 0 for other ground, and y_score probabilities of landslide, "
                f"from 0 to 1; given are {np.unique(y_true)[:5]} and {y_score.min():g} to {y_score.max():g}."
            )
        rows = np.argsort(-np.abs(y_true - y_score), kind="stable")[:n_patches]
        seen = BandStacker([bands] if bands in X.scenes[0].bands else bands).fit(X)
        if len(seen.bands_) not in (1, 3):
            raise BandError(
                f"{', '.join(seen.bands_)} are {len(seen.bands_)} bands; a picture has one (grey) or three (red, "
                "green, blue). Name one or three."
            )
        patches = PatchSampler(patch_size).fit_transform(seen.transform(X[rows]))
        display = cls(patches=patches, y_true=y_true[rows], y_score=y_score[rows], rows=rows, bands=seen.bands_)
        return display.plot(ax=ax, **plot_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Locations,
        y: Any,
        *,
        patch_size: int | None = None,
        bands: Any = None,
        n_patches: int = 24,
        ax: Axes | None = None,
        **plot_kw: Any,
    ) -> PatchesDisplay:
        """Predict, and plot the worst errors.

        Parameters
        ----------
        estimator : fitted Pipeline or search
            With ``predict_proba``. Samples that it was trained on look better than they are: give others.
        X : Locations
        y : array-like of int, shape (n_samples,)
            Class, 1 for landslide and 0 for other ground.
        patch_size, bands : default=None
            As in `from_predictions`; by default those of the pipeline's `PatchSampler` and `BandStacker`, of bands that
            are neither one nor three the first.
        n_patches, ax, **plot_kw
            As in `from_predictions`.

        Returns
        -------
        PatchesDisplay

        Raises
        ------
        ValueError, BandError, SceneError
            As in `from_predictions`; a ValueError also if the pipeline does not tell what is not given.
        """
        steps = getattr(estimator, "best_estimator_", estimator).get_params().values()
        if patch_size is None:
            patch_size = _only(steps, PatchSampler, "patch_size").patch_size
        if bands is None:
            names = _only(steps, BandStacker, "bands").bands_
            bands = names if len(names) == 3 else names[:1]
        column = list(estimator.classes_).index(1)
        score = estimator.predict_proba(X)[:, column]
        return cls.from_predictions(
            X, y, score, patch_size=patch_size, bands=bands, n_patches=n_patches, ax=ax, **plot_kw
        )

    def plot(self, ax: Axes | None = None, *, columns: int = 8) -> PatchesDisplay:
        """Draw the sheet, row by row.

        Each patch is framed and has its probability of landslide and its row of X above it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        columns : int, default=8
            Patches side by side.

        Returns
        -------
        PatchesDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = pyplot()
        n, height, width = self.patches.shape[:3]
        columns = min(columns, n)
        lines = -(-n // columns)
        tall, wide = round(height * (1 + 2.2 * _GAP)), round(width * (1 + _GAP))
        if ax is None:
            ax = plt.subplots(figsize=(columns, lines * tall / wide + 0.6), layout="constrained")[1]
        self.image_ = ax.imshow(self._sheet(lines, columns, tall, wide))
        size = float(np.clip(72 * ax.get_window_extent().width / ax.figure.dpi / columns / 10, 4, 8))
        for i, (label, score) in enumerate(zip(self.y_true, self.y_score, strict=True)):
            top, left = tall * (i // columns), wide * (i % columns)
            self._frame(ax, left, top + tall - height, label, score)
            row = "" if self.rows is None else f"  #{self.rows[i]}"
            ax.text(left + width / 2, top + tall - height - 1, f"{score:.2f}{row}", ha="center", va="bottom", size=size)
        ax.set(xlim=(-1, columns * wide), ylim=(lines * tall, 0))
        ax.axis("off")
        ax.set_title(band_title(self.bands) if self.bands else "", fontsize=size + 1)
        self._legend(ax, size)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _sheet(self, lines: int, columns: int, tall: int, wide: int) -> np.ndarray:
        """All patches in one image with white between them, each band over its usual range."""
        height, width, bands = self.patches.shape[1:]
        ends = [usual_range([self.patches[..., band]]) for band in range(bands)]
        low, high = np.transpose(ends)
        values = np.clip((self.patches - low) / np.where(high > low, high - low, 1), 0, 1)
        sheet = np.ones((lines * tall, columns * wide, 3))
        for i, patch in enumerate(np.nan_to_num(values, nan=0.5)):
            top, left = tall * (i // columns + 1) - height, wide * (i % columns)
            sheet[top : top + height, left : left + width] = patch
        return sheet

    def _frame(self, ax: Axes, left: int, top: int, label: int, score: float) -> None:
        from matplotlib.patches import Rectangle

        height, width = self.patches.shape[1:3]
        colour = _RIGHT if (score >= 0.5) == (label == 1) else _MISSED if label == 1 else _FALSE_ALARM
        ax.add_patch(
            Rectangle((left - 0.5, top - 0.5), width, height, facecolor="none", edgecolor=colour, linewidth=1.8)
        )

    def _legend(self, ax: Axes, size: float) -> None:
        from matplotlib.patches import Patch

        kinds = {"landslide missed": _MISSED, "false alarm": _FALSE_ALARM, "right at 0.5": _RIGHT}
        handles = [Patch(facecolor="none", edgecolor=colour, lw=1.8, label=name) for name, colour in kinds.items()]
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False, fontsize=size + 1
        )


def _only(steps: Any, kind: type, option: str) -> Any:
    """The step of a pipeline that is of a kind."""
    found = [step for step in steps if isinstance(step, kind)]
    if len(found) != 1:
        raise ValueError(
            f"The estimator has {len(found)} {kind.__name__} steps; one is needed to tell {option}. Give {option}=."
        )
    return found[0]
