"""The folds of a cross-validation as a picture."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sampling import Locations
from .figure import draw_image, frame
from .furniture import HIGHEST, arrange, furnish, new_axes, pyplot
from .imagery import read_picture
from .scenes import draw_samples, sample_handles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROLES = {"left out": "white", "training": "#1f77b4", "test": "#e66100"}


class FoldsDisplay:
    """Where the samples of each fold lie.

    It is recommended to make one with `from_cv`.

    Parameters
    ----------
    X : Locations
    folds : iterable of (ndarray, ndarray)
        Rows of training and of test samples of each fold, as a splitter's ``split`` gives them.

    Attributes
    ----------
    folds : list of (ndarray, ndarray)
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the samples are drawn. These and what follows are there after `plot`.
    points_ : dict of str to matplotlib.collections.PathCollection
        The samples by what they are labelled.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklandslide import FoldsDisplay, SpatialBlockKFold, make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(150, 150), random_state=0)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9, stride=5)
    >>> cv = SpatialBlockKFold(3, block_size=300, buffer=X.patch_extent(9), random_state=0)
    >>> display = FoldsDisplay.from_cv(cv, X, y, groups)
    >>> list(display.points_)
    ['test in fold 0', 'test in fold 1', 'test in fold 2']
    >>> list(display.plot(fold=0).points_)
    ['left out', 'training', 'test']
    >>> plt.close("all")
    """

    def __init__(self, *, X: Locations, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        self.X, self.folds = X, list(folds)

    @classmethod
    def from_cv(
        cls, cv: Any, X: Locations, y: Any = None, groups: Any = None, *, ax: Axes | None = None, **plot_kw: Any
    ) -> FoldsDisplay:
        """Split the samples, and plot.

        Parameters
        ----------
        cv : cross-validation splitter
            Such as `SpatialBlockKFold`, or one of scikit-learn's.
        X : Locations
        y, groups : array-like of shape (n_samples,), default=None
            Handed on to ``cv.split``.
        ax : matplotlib.axes.Axes, default=None
        **plot_kw : dict
            Handed on to `plot`.

        Returns
        -------
        FoldsDisplay

        Raises
        ------
        ValueError
            As in `plot`, or in ``cv.split``.
        """
        return cls(X=X, folds=cv.split(X, y, groups)).plot(ax=ax, **plot_kw)

    def plot(
        self, ax: Axes | None = None, *, fold: int | None = None, scene: int = 0, bands: Any = None, width: float = 7.0
    ) -> FoldsDisplay:
        """Draw the samples of a scene: by the fold that tests them, or by what they are to one fold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        fold : int, default=None
            The fold whose training and test samples, and those that it leaves out, are told apart; None colours each
            sample by the fold that tests it.
        scene : int, default=0
            Which of ``X.scenes`` to draw.
        bands : str or sequence of str, default=None
            An image beneath, as a panel of `Scene.plot`; none by default.
        width : float, default=7.0
            Width of a new figure in inches.

        Returns
        -------
        FoldsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib or matplotlib-scalebar is not installed.
        ValueError
            If there is no such fold.
        """
        pyplot()
        if fold is not None and fold not in range(len(self.folds)):
            raise ValueError(f"fold={fold!r}: there are {len(self.folds)} folds. Give a number from 0, or None.")
        names, colours, code = self._by_test() if fold is None else self._roles(fold)
        here = self.X.scene_index == scene
        grid, xy, code = self.X.scenes[scene].grid, self.X.xy[here], code[here]
        highest = HIGHEST if ax is None else None
        ax = new_axes(width) if ax is None else ax
        if bands is not None:
            picture = read_picture(self.X.scenes[scene], bands)
            draw_image(ax, picture.stretched({}), picture.grid)
        frame(ax, grid, 0.0)
        counted = [f"{name} ({np.count_nonzero(code == i):,})" for i, name in enumerate(names)]
        arrange(ax, grid, sample_handles(counted, colours), highest)
        self.points_ = dict(zip(names, draw_samples(ax, grid, xy, code, names, colours), strict=True))
        furnish(ax, grid, xy)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _by_test(self) -> tuple[list[str], list[Any], np.ndarray]:
        """Names, colours and each sample's number: of the fold that tests it, and after the last one of none."""
        from matplotlib import colormaps

        n = len(self.folds)
        code = np.full(len(self.X), n)
        for i, (_, test) in enumerate(self.folds):
            code[test] = i
        colours = [
            *colormaps["tab10" if n <= 10 else "gist_rainbow"](np.arange(n) if n <= 10 else np.linspace(0, 1, n))
        ]
        names = [f"test in fold {i}" for i in range(n)]
        return (names, colours, code) if (code < n).all() else ([*names, "never tested"], [*colours, "white"], code)

    def _roles(self, fold: int) -> tuple[list[str], list[Any], np.ndarray]:
        """Names, colours and each sample's number, for what it is to a fold."""
        code = np.zeros(len(self.X), np.int64)
        for i, rows in enumerate(self.folds[fold], 1):
            code[rows] = i
        return list(_ROLES), list(_ROLES.values()), code
