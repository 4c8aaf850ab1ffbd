"""The paper's Figure 2: red points and yellow inventory on an image.

Matplotlib is imported only when drawing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .grid import Grid, Window
from .imagery import background_image, corners_of
from .terrain import metres_per_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .scene import Scene

__all__ = ["plot_map"]

# Figure 2's colours.
_RED, _YELLOW = "#e8000b", "#ffe800"
# Diameter of a point in typographic points: never invisible, never a blot.
_SMALLEST, _LARGEST = 0.5, 4.5
# Axes of at least this many inches have their legend on one line.
_WIDE = 5.0
# Nodata: no image, grey or coloured, has a hatching of its own.
_HATCHED: dict[str, Any] = {
    "facecolor": "0.95",
    "edgecolor": "0.75",
    "hatch": "////",
    "linewidth": 0,
}


def plot_map(
    grid: Grid,
    probability: Any,
    red: Any,
    *,
    background: Scene | tuple[Scene, Any] | None = None,
    outlines: Any = (),
    threshold: float | None = None,
    margin: float = 0.0,
    ax: Axes | None = None,
    point_size: float | None = None,
    scale_bar: bool = True,
    legend: bool = True,
) -> Axes:
    """Draw a landslide map: red points at window centres, yellow outlines, an image beneath.

    Parameters
    ----------
    grid : Grid
        The map's grid.
    probability : array-like of float, shape ``grid.shape``
        Probability of landslide, NaN for nodata. Drawn in grey where there is no background.
    red : array-like of bool, shape ``grid.shape``
        Pixels to mark with a point.
    background : Scene, (Scene, bands) or None, default=None
        The image: for a scene its Red, Green and Blue, else the hillshade of its DEM, else its
        first band; for a pair the bands named, one (grey) or three (red, green, blue), or a
        composite such as ``"BAA"``; None draws the probability. Each band is stretched between its
        2nd and 98th percentile; nodata are hatched.
    outlines : sequence of shapely Polygon or MultiPolygon
        The inventory, in the grid's CRS.
    threshold : float, default=None
        Named in the legend if given.
    margin : float, default=0
        Pixels of the map to show beyond its edge, for the ground under the outermost windows.
    ax : matplotlib.axes.Axes, default=None
        Axes to draw on; by default those of a new figure.
    point_size : float, default=None
        Diameter of the points in typographic points; by default larger for few and smaller for
        many.
    scale_bar, legend : bool, default=True
        Whether to draw them. A grid without a CRS has no scale bar.

    Returns
    -------
    matplotlib.axes.Axes
        The image is ``ax.images[0]``, the points and the outlines are collections labelled
        ``"predicted landslide"`` and ``"inventory"``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    SceneError
        If the background has another CRS or shows none of the map's ground.
    BandError
        If bands are missing or their number is neither one nor three.
    ValueError
        If the arrays do not have the grid's shape.

    References
    ----------
    Nava et al. (2021), section 3.3 and Figure 2.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide.grid import Grid
    >>> from sklandslide.plotting import plot_map
    >>> grid = Grid(None, Affine(20, 0, 500, 0, -20, 900), (3, 4))
    >>> probability = np.linspace(0, 1, 12).reshape(3, 4)
    >>> ax = plot_map(grid, probability, probability > 0.8)
    >>> points, = ax.collections
    >>> points.get_offsets().data.tolist()
    [[530.0, 850.0], [550.0, 850.0], [570.0, 850.0]]
    >>> plt.close(ax.figure)
    """
    plt = _pyplot()
    probability, red = np.asarray(probability), np.asarray(red, bool)
    if not probability.shape == red.shape == grid.shape:
        raise ValueError(
            f"probability has shape {probability.shape}, red {red.shape} and the grid "
            f"{grid.shape}; they must be equal. Give the arrays of the map that the grid belongs "
            "to."
        )
    if background is None:
        image, on = probability, grid
    else:
        image, on = background_image(background, grid, margin)
    if ax is None:
        ax = _new_axes(plt, grid, colorbar=background is None)
    margin = margin if background is not None else 0.0
    drawn = _draw_image(ax, image, on)
    _frame(ax, grid, margin)  # after the image, which brings limits and an aspect of its own
    if background is None:
        drawn.set_clim(0, 1)
        _draw_colorbar(ax, drawn)
    handles = [_draw_points(ax, grid, red, threshold, point_size)]
    if len(outlines):
        handles.append(_draw_outlines(ax, outlines))
    if not np.isfinite(image).all():
        handles.append(_nodata_handle())
    if scale_bar and grid.crs is not None:
        _draw_scale_bar(ax, grid)
    if legend:
        _draw_legend(ax, handles)
    return ax


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            'Drawing a map needs matplotlib, which is not installed. Install it with: pip install "sklandslide[plot]"'
        ) from error
    return pyplot


def _new_axes(plt: Any, grid: Grid, colorbar: bool) -> Axes:
    """Axes of a new figure, at most 7 inches either way.

    Placed by hand: Matplotlib's layouts cut off labels beside axes of a fixed aspect.
    """
    left, bottom, right, top = grid.bounds
    ratio = (top - bottom) / (right - left) * _aspect(grid)
    width = float(np.clip(7.0 / ratio, 1.5, 7.0))
    height = float(np.clip(7.0 * ratio, 1.0, 7.0))
    # Inches for labels on the left, a title above, and the legend below: three lines if narrow.
    beside, above = (1.0, 0.35)
    after, below = (1.0 if colorbar else 0.25), (0.85 if width >= _WIDE else 1.25)
    # A legend may be wider than a narrow map.
    spare = max(0.0, _WIDE - 0.5 - beside - width - after) / 2
    size = beside + width + after + 2 * spare, below + height + above
    place = (
        (beside + spare) / size[0], below / size[1], width / size[0], height / size[1]
    )  # fmt: skip
    return plt.figure(figsize=size).add_axes(place, anchor="N")


def _metres_at_centre(grid: Grid) -> tuple[float, float]:
    """Metres on the ground for one map unit east and north, at the middle of the map."""
    rows, cols = grid.shape
    east, north = metres_per_unit(grid, Window(rows // 2, cols // 2, 1, 1))
    return float(np.ravel(east)[0]), float(np.ravel(north)[0])


def _aspect(grid: Grid) -> float:
    """Length on paper of a unit of y over one of x, so that shapes are true to the ground."""
    if grid.crs is None or not grid.crs.is_geographic:
        return 1.0
    east, north = _metres_at_centre(grid)
    return north / east


def _draw_image(ax: Axes, image: np.ndarray, grid: Grid) -> Any:
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


def _frame(ax: Axes, grid: Grid, margin: float) -> None:
    from matplotlib.ticker import MaxNLocator

    corners = corners_of(grid, margin)
    low, high = corners.min(axis=0), corners.max(axis=0)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    ax.set_aspect(_aspect(grid))
    x, y = "x", "y"
    if grid.crs is not None and grid.crs.is_geographic:
        x, y = "Longitude (degrees)", "Latitude (degrees)"
    elif grid.crs is not None:
        unit = {"metre": "m", "meter": "m"}.get(grid.crs.linear_units, grid.crs.linear_units)
        x, y = f"Easting ({unit})", f"Northing ({unit})"
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    for axis, points in zip((ax.xaxis, ax.yaxis), _size_in_points(ax), strict=True):
        axis.set_major_locator(MaxNLocator(int(np.clip(points // 80, 1, 5))))
    ax.ticklabel_format(useOffset=False, style="plain")


def _draw_colorbar(ax: Axes, image: Any) -> None:
    """Beside the map and as high as it; a bar that the layout places would be higher."""
    width = _size_in_points(ax)[0]
    beside = ax.inset_axes((1 + 8 / width, 0, 12 / width, 1))
    ax.figure.colorbar(image, cax=beside, label="Probability")


def _draw_points(ax: Axes, grid: Grid, red: np.ndarray, threshold: float | None, size: float | None) -> Any:
    from matplotlib.lines import Line2D

    rows, cols = np.nonzero(red)
    xy = grid.xy(rows + 0.5, cols + 0.5)
    size = _point_size(ax, grid.shape, len(xy)) if size is None else size
    ax.scatter(
        xy[:, 0], xy[:, 1], s=size**2, c=_RED, marker="o", linewidths=0, zorder=3,
        label="predicted landslide", rasterized=len(xy) > 5000, snap=False,
    )  # fmt: skip
    rule = "" if threshold is None else f", probability \u2265 {threshold:g}"
    return Line2D(
        [], [], color=_RED, marker="o", markersize=5, linestyle="", markeredgewidth=0,
        label=f"Predicted landslide{rule} ({len(xy):,} windows)",
    )  # fmt: skip


def _point_size(ax: Axes, shape: tuple[int, int], n_points: int) -> float:
    """Diameter: a little less than the distance of windows, but readable where few."""
    width, height = _size_in_points(ax)
    spacing = min(width / shape[1], height / shape[0])
    # All points together may hide about two per cent of the image before they shrink.
    scattered = (0.02 * width * height / max(n_points, 1)) ** 0.5
    return float(np.clip(max(0.8 * spacing, scattered), _SMALLEST, _LARGEST))


def _size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of the map on paper."""
    ax.apply_aspect()
    box = ax.get_window_extent()
    return 72 / ax.figure.dpi * box.width, 72 / ax.figure.dpi * box.height


def _draw_outlines(ax: Axes, outlines: Any) -> Any:
    import shapely
    from matplotlib.collections import LineCollection
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    rings = shapely.get_rings(shapely.get_parts(np.asarray(outlines, dtype=object)))
    width = _line_width(ax, rings)
    # Yellow is lost on bright ground without a darker edge.
    halo = [withStroke(linewidth=2 * width, foreground="0.15", alpha=0.6)]
    lines = LineCollection(
        [shapely.get_coordinates(ring) for ring in rings],
        colors=_YELLOW, linewidths=width, zorder=4, label="inventory", path_effects=halo,
    )  # fmt: skip
    ax.add_collection(lines, autolim=False)
    return Line2D([], [], color=_YELLOW, linewidth=1.5, path_effects=halo, label="Landslide inventory")


def _line_width(ax: Axes, rings: Any) -> float:
    """Thin enough that the typical outline leaves its inside visible."""
    import shapely

    boxes = shapely.bounds(rings)
    low, high = ax.get_xlim()
    across = np.median(boxes[:, 2] - boxes[:, 0]) / abs(high - low) * _size_in_points(ax)[0]
    return float(np.clip(0.2 * across, 0.4, 1.2))


def _nodata_handle() -> Any:
    from matplotlib.patches import Patch

    return Patch(label="No data", **_HATCHED)


def _draw_scale_bar(ax: Axes, grid: Grid) -> None:
    from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

    metres = _metres_at_centre(grid)[0]
    left, right = ax.get_xlim()
    # The largest 1, 2 or 5 times a power of ten that takes a quarter of the width at most.
    longest = abs(right - left) * metres / 4
    power = 10.0 ** np.floor(np.log10(longest))
    length = max(n * power for n in (1, 2, 5) if n * power <= longest)
    label = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    bar = AnchoredSizeBar(
        ax.transData, length / metres, label, "lower right",
        pad=0.4, borderpad=0.6, sep=3, color="black", size_vertical=0, fontproperties={"size": 8},
    )  # fmt: skip
    bar.patch.set(alpha=0.8, linewidth=0)
    bar.set_zorder(5)
    ax.add_artist(bar)


def _draw_legend(ax: Axes, handles: list[Any]) -> None:
    from matplotlib.transforms import ScaledTranslation

    # A fixed distance below the axis label, whatever the size of the axes.
    below = ax.transAxes + ScaledTranslation(0, -36 / 72, ax.figure.dpi_scale_trans)
    ax.legend(
        handles=handles,
        ncols=1 if _size_in_points(ax)[0] < 72 * _WIDE else len(handles),
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        borderaxespad=0,
        frameon=False,
        fontsize=9,
    )
