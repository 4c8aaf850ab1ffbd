"""What a curve over patch sizes is drawn with: axes in pixels and in metres, a legend beneath."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

XLABEL, _METRES = "Patch size (pixels a side)", "Patch size (m)"


def mark_sizes(ax: Axes, sizes: np.ndarray, mean: np.ndarray, marks: dict[str, int], color: Any) -> dict[str, Any]:
    """Mark the best size, and the smallest within one standard error of it where that is another."""
    texts = {"best": "highest mean", "one_standard_error": "smallest within one standard error"}
    drawn = {}
    for name, size in marks.items():
        if name == "best" or size != marks["best"]:
            (drawn[name],) = ax.plot(
                size, mean[sizes == size], "D", markersize=9, zorder=3, label=f"{texts[name]}: {size} pixels",
                color=color, markerfacecolor=color if name == "best" else "white",
            )  # fmt: skip
    return drawn


def legend_below(ax: Axes) -> None:
    """Below the axis label, where it hides no points."""
    wide = ax.get_window_extent().width >= 4.5 * ax.figure.dpi  # two columns have room
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=4.5, ncols=2 if wide else 1, fontsize="small",
        frameon=False,
    )  # fmt: skip


def metres_axis(ax: Axes, pixel_size: tuple[float, float]) -> Any:
    """The same ticks in metres; once for all displays on the axes."""
    width, height = pixel_size
    square = abs(width - height) <= 0.01 * width

    def metres(pixels: float, _: Any = None) -> str:
        return f"{pixels * width:.3g}" if square else f"{pixels * width:.3g} x {pixels * height:.3g}"

    above = next((child for child in ax.child_axes if child.get_xlabel() == _METRES), None)
    if above is None:
        above = ax.secondary_xaxis("top")
        above.set_xlabel(_METRES)
    above.set_xticks(ax.get_xticks())
    above.xaxis.set_major_formatter(metres)
    return above
