"""The paper's Figure 2: red points and yellow inventory on an image.

Matplotlib is imported only when drawing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..geodata import Grid
from .furniture import (
    HIGHEST,
    arrange,
    aspect,
    furnish,
    new_axes,
    pyplot,
    size_in_points,
    text_size,
)
from .imagery import background_image, corners_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..geodata import Scene


class Palette(NamedTuple):
    """Colours of the marks and of the thin rims that set them off from any ground."""

    points: str
    points_rim: str | None
    outlines: str
    outlines_rim: str


# "paper": Figure 2's red and yellow. "colorblind": violet and yellow lie across the confusion lines of all three
# dichromacies and differ in lightness (L* 36 and 91); the rims, white and near black, are apart from any grey.
# tests/plots/test_plotting.py computes the differences.
PALETTES = {
    "paper": Palette("#e8000b", None, "#ffe800", "#262626"),
    "colorblind": Palette("#8a00c2", "#ffffff", "#ffe800", "#262626"),
}
# Diameter of a point in typographic points: never invisible, never a blot.
_SMALLEST, _LARGEST = 0.5, 4.5
# Width of a rim in typographic points.
_RIM = 0.5
# Outside the area of applicability.
_GREY = (0.45, 0.5, 0.6)
# Nodata: no image, grey or coloured, has a hatching of its own.
_HATCHED: dict[str, Any] = {"facecolor": "0.95", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}


def plot_map(
    grid: Grid,
    probability: Any,
    red: Any,
    *,
    background: Scene | tuple[Scene, Any] | None = None,
    outlines: Any = (),
    threshold: float | None = None,
    margin: float = 0.0,
    palette: str = "paper",
    width: float = 7.0,
    ax: Axes | None = None,
    point_size: float | None = None,
    scale_bar: bool = True,
    north_arrow: bool = True,
    legend: bool = True,
    outside: Any = None,
) -> Axes:
    """Draw a landslide map: red points at window centres, yellow outlines, an image beneath.

    Each band of the background is stretched between its 2nd and 98th percentile, radar in dB; nodata are hatched. Texts
    have 7 to 9 points on paper, by the width of the map.

    The image is ``ax.images[0]``; points and outlines are collections labelled ``"predicted landslide"`` and
    ``"inventory"``. Errors are those of `LandslideMap.plot`.

    Parameters
    ----------
    grid : Grid
        The map's grid.
    probability : array-like of float, shape ``grid.shape``
        NaN for nodata. Drawn in grey where there is no background.
    red : array-like of bool, shape ``grid.shape``
        Pixels to mark with a point.
    background, threshold, palette, width, ax
        As in `LandslideMap.plot`; the threshold is only named in the legend.
    outlines : sequence of shapely Polygon or MultiPolygon
        The inventory, in the grid's CRS.
    margin : float, default=0
        Pixels of the map to show beyond its edge, for the ground under the outermost windows.
    point_size : float, default=None
        Diameter of the points in typographic points; by default larger for few and smaller for many.
    scale_bar, north_arrow, legend : bool, default=True
        Whether to draw them. Bar and arrow are right at the middle of the map, and stand in the corners where they
        hide the fewest points and outlines. A map without a CRS has neither, one on a pole no arrow.
    outside : array-like of bool, shape ``grid.shape``, default=None
        Pixels outside the model's area of applicability, greyed: ``ax.images[1]``.
    """
    pyplot()
    probability, red = np.asarray(probability), np.asarray(red, bool)
    if palette not in PALETTES:
        raise ValueError(f"palette={palette!r} is none of {', '.join(map(repr, PALETTES))}. Choose one of them.")
    colours = PALETTES[palette]
    image, on = (probability, grid) if background is None else background_image(background, grid, margin)
    highest = HIGHEST if ax is None else None
    ax = new_axes(width) if ax is None else ax
    drawn = draw_image(ax, image, on)
    if outside is not None:
        draw_image(ax, np.where(np.asarray(outside)[..., None], _GREY, np.nan), grid)
    # After the image, which brings limits and an aspect of its own.
    frame(ax, grid, 0.0 if background is None else margin)
    handles = _legend_handles(red, threshold, outlines, image, outside, colours) if legend else []
    arrange(ax, grid, handles, highest)
    if background is None:
        drawn.set_clim(0, 1)
        draw_colorbar(ax, drawn, "Probability")
        arrange(ax, grid, handles, highest)  # beside the bar
    # From here on sizes depend on the size of the axes, which stands now.
    busy = [_draw_points(ax, grid, red, colours, point_size)]
    busy += _draw_outlines(ax, outlines, colours) if len(outlines) else []
    places = np.concatenate(busy)
    furnish(ax, grid, places, north_arrow=north_arrow, scale_bar=scale_bar)
    return ax


def draw_image(ax: Axes, image: np.ndarray, grid: Grid) -> Any:
    """Place an image by its grid's transform; NaN is left transparent."""
    from matplotlib import colormaps
    from matplotlib.transforms import Affine2D

    t, (rows, cols) = grid.transform, grid.shape
    if image.ndim == 3:
        known = np.isfinite(image).all(axis=-1, keepdims=True)
        image = np.concatenate([np.where(known, image, 0), known], axis=-1)
    drawn = ax.imshow(
        image,
        cmap=colormaps["gray"],
        extent=(0, cols, rows, 0),
        transform=Affine2D.from_values(t.a, t.d, t.b, t.e, t.c, t.f) + ax.transData,
        zorder=1,
    )
    ax.patch.set(**_HATCHED)
    return drawn


def frame(ax: Axes, grid: Grid, margin: float) -> None:
    """Show all of a grid, and so many pixels beyond it."""
    corners = corners_of(grid, margin)
    low, high = corners.min(axis=0), corners.max(axis=0)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect(aspect(grid))


def draw_colorbar(ax: Axes, image: Any, label: str) -> None:
    """Beside the map and as high as it; a bar that the layout places would be higher."""
    width = size_in_points(ax)[0]
    size = text_size(width)
    beside = ax.inset_axes((1 + 6 / width, 0, size / width, 1))
    bar = ax.figure.colorbar(image, cax=beside)
    bar.set_label(label, fontsize=size)
    bar.ax.tick_params(labelsize=size, length=3, pad=2)


def _legend_handles(
    red: np.ndarray, threshold: float | None, outlines: Any, image: Any, outside: Any, colours: Palette
) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rule = "" if threshold is None else f", probability \u2265 {threshold:.3g}"
    handles: list[Any] = [
        Line2D(
            [], [], color=colours.points, marker="o", markersize=5, linestyle="", markeredgecolor=colours.points_rim,
            markeredgewidth=_RIM if colours.points_rim else 0,
            label=f"Predicted landslide{rule} ({np.count_nonzero(red):,} windows)",
        )
    ]  # fmt: skip
    if len(outlines):
        rim = _rim_of_lines(colours, 1.5)
        line = Line2D([], [], color=colours.outlines, linewidth=1.5, path_effects=rim, label="Landslide inventory")
        handles.append(line)
    if not np.isfinite(image).all():
        handles.append(Patch(label="No data", **_HATCHED))
    if outside is not None and np.any(outside):
        handles.append(Patch(label="Outside the area of applicability", facecolor=_GREY))
    return handles


def _draw_points(ax: Axes, grid: Grid, red: np.ndarray, colours: Palette, size: float | None) -> np.ndarray:
    """Returns the points' map coordinates."""
    rows, cols = np.nonzero(red)
    xy = grid.xy(rows + 0.5, cols + 0.5)
    size = point_size(ax, grid.shape, len(xy)) if size is None else size
    common: dict[str, Any] = {"marker": "o", "linewidths": 0, "rasterized": len(xy) > 5000, "snap": False}
    if colours.points_rim:
        # Beneath all points, so that it runs about groups of them and does not pale their inside.
        ax.scatter(
            xy[:, 0], xy[:, 1], s=(size + 2 * _RIM) ** 2, c=colours.points_rim, zorder=2.9, label="_rim", **common
        )
    ax.scatter(xy[:, 0], xy[:, 1], s=size**2, c=colours.points, zorder=3, label="predicted landslide", **common)
    return xy


def point_size(ax: Axes, shape: tuple[int, int], n_points: int) -> float:
    """Diameter: a little less than the distance of windows, but readable where few."""
    width, height = size_in_points(ax)
    spacing = min(width / shape[1], height / shape[0])
    # All points together may hide about two per cent of the image before they shrink.
    scattered = (0.02 * width * height / max(n_points, 1)) ** 0.5
    return float(np.clip(max(0.8 * spacing, scattered), _SMALLEST, _LARGEST))


def _rim_of_lines(colours: Palette, width: float) -> list[Any]:
    """Yellow is lost on bright ground without a darker edge."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2 * width, foreground=colours.outlines_rim)]


def _draw_outlines(ax: Axes, outlines: Any, colours: Palette) -> list[np.ndarray]:
    """Returns the map coordinates of each ring."""
    import shapely
    from matplotlib.collections import LineCollection

    rings = shapely.get_rings(shapely.get_parts(np.asarray(outlines, dtype=object)))
    boxes = shapely.bounds(rings)
    # Thin enough that the typical outline leaves its inside visible.
    across = np.median(boxes[:, 2] - boxes[:, 0]) / abs(np.diff(ax.get_xlim()).item()) * size_in_points(ax)[0]
    width = float(np.clip(0.2 * across, 0.4, 1.2))
    segments = [shapely.get_coordinates(ring) for ring in rings]
    lines = LineCollection(
        segments, colors=colours.outlines, linewidths=width, zorder=4, label="inventory",
        path_effects=_rim_of_lines(colours, width),
    )  # fmt: skip
    ax.add_collection(lines, autolim=False)
    return segments
