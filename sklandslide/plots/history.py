"""How training went: loss or accuracy by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .furniture import pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class HistoryDisplay:
    """Training curves of a network.

    It is recommended to make one with `from_estimator`.

    Parameters
    ----------
    history : mapping of str to sequence of float
        A value for each epoch, such as ``history_`` of `LandslideCNN` or ``history`` of a Keras ``History``.
    name : str or None, default=None
        Name of the curves in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib.axes.Axes, matplotlib.figure.Figure
        Where the curves are drawn. These and what follows are there after `plot`.
    line_ : matplotlib.lines.Line2D
        On the training samples.
    validation_line_, point_ : matplotlib.lines.Line2D or None
        On the samples set aside, and its best epoch, whose weights early stopping keeps; None without validation.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> from sklandslide import HistoryDisplay
    >>> display = HistoryDisplay(history={"loss": [0.7, 0.5, 0.4], "val_loss": [0.8, 0.6, 0.7]}).plot()
    >>> int(display.point_.get_xdata()[0])
    2
    >>> plt.close(display.figure_)
    """

    def __init__(self, *, history: Mapping[str, Sequence[float]], name: str | None = None) -> None:
        self.history, self.name = history, name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, metric: str = "loss", name: str | None = None, ax: Axes | None = None, **plot_kw: Any
    ) -> HistoryDisplay:
        """Take the history from a fitted network, and plot.

        Parameters
        ----------
        estimator : LandslideCNN, Pipeline or fitted search
            Of a search its best estimator counts, of a pipeline its last step.
        metric, ax, **plot_kw
            As in `plot`.
        name : str or None, default=None

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If the estimator is not fitted, or has no history.
        """
        model = getattr(estimator, "best_estimator_", estimator)
        model = model[-1] if hasattr(model, "steps") else model
        if not hasattr(model, "history_"):
            raise ValueError(
                f"{type(model).__name__} has no history_: it is not fitted, or is no network. Give a fitted "
                "LandslideCNN, a pipeline that ends in one, or a search that refitted one."
            )
        return cls(history=model.history_, name=name).plot(ax=ax, metric=metric, **plot_kw)

    def plot(self, ax: Axes | None = None, *, metric: str = "loss", line_kw: dict | None = None) -> HistoryDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on; by default those of a new figure.
        metric : str, default="loss"
            What to draw, such as ``"accuracy"``.
        line_kw : dict, default=None
            Handed on to ``ax.plot``.

        Returns
        -------
        HistoryDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the history has no such metric.
        """
        if metric not in self.history:
            raise ValueError(f"metric={metric!r}: the history has {', '.join(self.history)}. Choose one of them.")
        ax = pyplot().subplots(layout="constrained")[1] if ax is None else ax
        from matplotlib.ticker import MaxNLocator

        first = "" if self.name is None else f"{self.name}, "
        values = np.asarray(self.history[metric])
        epochs = np.arange(1, len(values) + 1)
        self.line_ = ax.plot(epochs, values, **{"label": f"{first}training", **(line_kw or {})})[0]
        self.validation_line_ = self.point_ = None
        if (held_out := self.history.get(f"val_{metric}")) is not None:
            colour = self.line_.get_color()
            label = f"{first}set aside"
            style = {**(line_kw or {}), "label": label, "linestyle": "--", "color": colour}
            (self.validation_line_,) = ax.plot(epochs, held_out, **style)
            # the epoch of the lowest loss, whatever is drawn: that is what early stopping goes by
            best = int(np.argmin(self.history.get("val_loss", held_out)))
            (self.point_,) = ax.plot(
                epochs[best], held_out[best], "o", color=colour, label=f"{first}lowest loss set aside"
            )
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="Epoch", ylabel=metric.capitalize())
        ax.legend(frameon=False, fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self
