"""Displays that a threshold is chosen by: free-response ROC, precision and recall of ground area."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..metrics import average_precision_of
from .furniture import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The axis of false alarms per km2 is linear below this, so that none at all has a place, and logarithmic above.
_LINEAR = 0.1


class FROCDisplay:
    """Free-response ROC of a map: share of landslides hit against false alarms per km2.

    It is recommended to make one with `from_map`.

    Parameters
    ----------
    false_alarms_per_km2, hit_rate : array-like of float, shape (n_thresholds,)
        With falling thresholds, as `sklandslide.metrics.froc_curve` gives them.
    operating_point : (float, float) or None, default=None
        False alarms per km2 and hit rate at a threshold that was chosen, to be marked.
    name : str or None, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the curve is drawn. These and what follows are there after `plot`.
    line_ : matplotlib.lines.Line2D
        The curve.
    point_ : matplotlib.lines.Line2D or None
        The threshold chosen.

    Notes
    -----
    The curve ends where false alarms are most: at lower thresholds red areas grow together, and their number falls.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklandslide import FROCDisplay
    >>> display = FROCDisplay(false_alarms_per_km2=[0.0, 0.5, 2.0, 0.1], hit_rate=[0.2, 0.6, 0.8, 1.0])
    >>> display.plot().line_.get_ydata().tolist()
    [0.2, 0.6, 0.8]
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        false_alarms_per_km2: Any,
        hit_rate: Any,
        operating_point: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        self.false_alarms_per_km2, self.hit_rate = np.asarray(false_alarms_per_km2), np.asarray(hit_rate)
        self.operating_point, self.name = operating_point, name

    @classmethod
    def from_map(
        cls,
        landslide_map: Any,
        inventory: Any,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        line_kw: dict | None = None,
        **options: Any,
    ) -> FROCDisplay:
        """Compare a map with an inventory, and plot; the map's own threshold is marked if it has one.

        Parameters
        ----------
        landslide_map : LandslideMap
        inventory, **options
            As in `LandslideMap.froc`.
        name : str or None, default=None
        ax, line_kw
            As in `plot`.

        Returns
        -------
        FROCDisplay

        Raises
        ------
        InventoryError, SceneReadError
            As in `LandslideMap.froc`.
        """
        columns = ["false_alarms_per_km2", "hit_rate"]
        curve = landslide_map.froc(inventory, **options)[columns]
        point = None
        if landslide_map.threshold is not None:
            here = landslide_map.froc(inventory, **{**options, "thresholds": [landslide_map.threshold]})
            point = tuple(here.loc[0, columns])
        display = cls(**curve, operating_point=point, name=name)
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax: Axes | None = None, *, line_kw: dict | None = None) -> FROCDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        line_kw : dict, default=None
            Handed on to ``ax.plot``.

        Returns
        -------
        FROCDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        end = int(np.argmax(self.false_alarms_per_km2)) + 1
        self.ax_, self.line_, self.point_ = _drawn(
            self.name, ax, self.false_alarms_per_km2[:end], self.hit_rate[:end], line_kw, self.operating_point
        )
        self.figure_ = self.ax_.figure
        self.ax_.set_xscale("symlog", linthresh=_LINEAR)
        self.ax_.set_xlim(left=0)
        self.ax_.xaxis.set_major_formatter("{x:g}")
        self.ax_.set(xlabel="False alarms per km$^2$", ylabel="Share of landslides hit", ylim=(0, 1.02))
        return self


class AreaPrecisionRecallDisplay:
    """Precision of a map against its recall, by ground area.

    It is recommended to make one with `from_map`.

    Parameters
    ----------
    precision, recall : array-like of float, shape (n_thresholds,)
    average_precision : float or None, default=None
        Named in the legend.
    landslide_share : float or None, default=None
        Share of landslide on the ground, the precision of a map that knows nothing, drawn as a line.
    operating_point : (float, float) or None, default=None
        Precision and recall at a threshold that was chosen, to be marked.
    name : str or None, default=None
        Name of the curve in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the curve is drawn. These and what follows are there after `plot`.
    line_ : matplotlib.lines.Line2D
        The curve.
    point_, chance_level_ : matplotlib.lines.Line2D or None
        The threshold chosen; the share of landslide on the ground.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklandslide import AreaPrecisionRecallDisplay
    >>> display = AreaPrecisionRecallDisplay(precision=[0.1, 0.5, 0.9], recall=[1.0, 0.6, 0.2], average_precision=0.56)
    >>> display.plot().line_.get_label()
    'average precision 0.56'
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        *,
        precision: Any,
        recall: Any,
        average_precision: float | None = None,
        landslide_share: float | None = None,
        operating_point: tuple[float, float] | None = None,
        name: str | None = None,
    ) -> None:
        self.precision, self.recall = np.asarray(precision), np.asarray(recall)
        self.average_precision, self.landslide_share = average_precision, landslide_share
        self.operating_point, self.name = operating_point, name

    @classmethod
    def from_map(
        cls,
        landslide_map: Any,
        inventory: Any,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        line_kw: dict | None = None,
        **options: Any,
    ) -> AreaPrecisionRecallDisplay:
        """Compare a map with an inventory, and plot; the map's own threshold is marked if it has one.

        Parameters
        ----------
        landslide_map : LandslideMap
        inventory, **options
            As in `LandslideMap.precision_recall`.
        name : str or None, default=None
        ax, line_kw
            As in `plot`.

        Returns
        -------
        AreaPrecisionRecallDisplay

        Raises
        ------
        InventoryError, SceneReadError
            As in `LandslideMap.precision_recall`.
        """
        curve = landslide_map.precision_recall(inventory, **options)
        point = None
        if landslide_map.threshold is not None:
            scores = landslide_map.score(inventory, **options)
            point = scores["area_precision"], scores["area_recall"]
        display = cls(
            precision=curve["area_precision"],
            recall=curve["area_recall"],
            average_precision=average_precision_of(curve["area_precision"], curve["area_recall"]),
            landslide_share=curve["area_precision"][0],  # at the lowest threshold all is red
            operating_point=point,
            name=name,
        )
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax: Axes | None = None, *, line_kw: dict | None = None) -> AreaPrecisionRecallDisplay:
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        line_kw : dict, default=None
            Handed on to ``ax.plot``.

        Returns
        -------
        AreaPrecisionRecallDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        drawn = None if self.average_precision is None else f"average precision {self.average_precision:.2f}"
        point = None if self.operating_point is None else self.operating_point[::-1]
        name = ", ".join(text for text in (self.name, drawn) if text)
        self.ax_, self.line_, self.point_ = _drawn(name, ax, self.recall, self.precision, line_kw, point)
        self.figure_ = self.ax_.figure
        self.chance_level_ = None
        if self.landslide_share is not None:
            label = f"landslides on the ground, {self.landslide_share:.1%}"
            (self.chance_level_,) = self.ax_.plot(
                [0, 1], [self.landslide_share] * 2, ":", color=self.line_.get_color(), lw=1, label=label
            )
            self.ax_.legend(frameon=False, fontsize="small")
        self.ax_.set(xlabel="Recall of area", ylabel="Precision of area", xlim=(0, 1.02), ylim=(0, 1.02))
        return self


def _drawn(
    name: str | None,
    ax: Axes | None,
    x: np.ndarray,
    y: np.ndarray,
    line_kw: dict | None,
    point: tuple[float, float] | None,
) -> tuple[Axes, Any, Any]:
    """Draw a curve, the threshold chosen, the legend; give the axes and both."""
    ax = pyplot().subplots(layout="constrained")[1] if ax is None else ax
    (line,) = ax.plot(x, y, **{"label": name or None, **(line_kw or {})})
    marked = None
    if point is not None:
        (marked,) = ax.plot(*point, "o", color=line.get_color(), label="the map's threshold")
    if ax.get_legend_handles_labels()[1]:
        ax.legend(frameon=False, fontsize="small")
    return ax, line, marked
