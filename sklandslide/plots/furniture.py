"""What a printed map carries beside its picture: axes, scale bar, north arrow, legend, and the room for them.

Texts have a fixed size on paper, so places are found by measuring texts rather than by fractions of the figure.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geodata import Grid, metres_at_centre

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Sizes in typographic points. Journals ask for 6 at least in print; a column of 3.4 inches has 7, a page 9.
_SMALLEST_TEXT, _LARGEST_TEXT = 7.0, 9.0
# White space at the figure's edge, and room above for one line of title, in inches.
_EDGE, _TITLE = 0.04, 0.26
# The legend stands on one line if it fits, else in fewer columns, else its entries are wrapped at so many letters.
_WRAP = 34
# A map's greatest height in inches: a page with room for its caption.
HIGHEST = 7.0
# The scale bar takes this part of the map's width at most.
_BAR = 0.25


def pyplot() -> Any:
    """matplotlib.pyplot, if all that drawing takes is installed."""
    try:
        import matplotlib_scalebar  # noqa: F401
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError(
            f'Drawing needs {error.name}, which is not installed. Install it with: pip install "sklandslide[plot]"'
        ) from error
    return pyplot


def new_axes(width: float) -> Axes:
    """Axes of a new figure so many inches wide, to be fitted by `arrange`.

    The figure is without a layout, which a style may bring along.
    """
    return pyplot().figure(figsize=(width, width), layout="none").add_axes((0.2, 0.2, 0.6, 0.6), anchor="N")


def size_in_points(ax: Axes) -> tuple[float, float]:
    """Width and height of the map on paper."""
    ax.apply_aspect()
    box = ax.get_window_extent()
    return 72 / ax.figure.dpi * box.width, 72 / ax.figure.dpi * box.height


def text_size(width: float) -> float:
    """Size of texts, in points, on a map so many points wide."""
    return float(np.clip(width / 36, _SMALLEST_TEXT, _LARGEST_TEXT))


def aspect(grid: Grid) -> float:
    """Length on paper of a unit of y over one of x, so that shapes are true to the ground."""
    if grid.crs is None or not grid.crs.is_geographic:
        return 1.0
    east, north = metres_at_centre(grid)
    return north / east


def true_north(grid: Grid) -> np.ndarray | None:
    """Direction of true north at the middle of a map, as a vector of length 1 along x and y.

    None if the grid has no CRS or a local one, or lies on a pole, where no direction is north.
    """
    if grid.crs is None or not (grid.crs.is_geographic or grid.crs.is_projected):
        return None
    from pyproj import CRS, Transformer

    crs = CRS.from_wkt(grid.crs.to_wkt())
    x, y = grid.xy(grid.shape[0] / 2, grid.shape[1] / 2)
    to_geographic = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    longitude, latitude = to_geographic.transform(x, y)
    # About ten metres to the south and to the north: the axes' own directions (some count south and west) and
    # any convergence are in the difference.
    along = latitude + np.array([-1e-4, 1e-4])
    step = np.diff(to_geographic.transform(np.repeat(longitude, 2), along, direction="INVERSE"), axis=1)[:, 0]
    length = np.hypot(*step)
    return step / length if np.isfinite(length) and length > 0 else None


def arrange(ax: Axes, grid: Grid, handles: list[Any], highest: float | None) -> None:
    """Label the axes and draw the legend; a figure of our own is made as high as the map, `highest` inches at most.

    Matplotlib's layouts cut off labels beside axes of a fixed aspect.
    """
    for _ in range(2 if highest else 0):  # other ticks may be found to fit
        _draw_axes(ax, grid)
        _draw_legend(ax, handles)
        _fit_figure(ax, highest or 0)
    _draw_axes(ax, grid)
    _draw_legend(ax, handles)


def _fit_figure(ax: Axes, highest: float) -> None:
    """Give the axes all the width that labels leave, and the figure the height that map and legend need."""
    axes: Any = ax
    figure = axes.figure
    total = figure.get_figwidth()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    ratio = (top - bottom) / (right - left) * float(ax.get_aspect())
    ax.apply_aspect()
    x0, _, x1, y1 = axes.get_tightbbox(bbox_extra_artists=ax.child_axes).extents  # a legend may be wider than the map
    whole = x0, axes.get_tightbbox().y0, x1, y1
    beyond = np.abs(np.subtract(ax.get_window_extent().extents, whole)) / figure.dpi + _EDGE
    left, below, right, above = np.maximum(beyond, [0, 0, 0, _TITLE])
    width = min(total - left - right, max(highest / ratio, 1.0))
    height = float(np.clip(width * ratio, 0.3, highest))
    # A map that is narrower than the figure stands in its middle.
    x = left + (total - left - right - width) / 2
    size = below + height + above
    figure.set_size_inches(total, size)
    ax.set_position((x / total, below / size, width / total, height / size))


def _draw_axes(ax: Axes, grid: Grid) -> None:
    """Ticks, and labels that name what the CRS counts: easting and northing in its unit, or degrees."""
    lengths = size_in_points(ax)
    size = text_size(lengths[0])
    ax.tick_params(labelsize=size, length=3, pad=2)
    ax.tick_params(axis="y", labelrotation=90)
    plain, up, name = _axis_labels(grid.crs)
    ax.set_xlabel(f"{plain}, {name}" if name else plain, fontsize=size, labelpad=2)
    ax.set_ylabel(up, fontsize=size, labelpad=2)
    if ax.xaxis.label.get_window_extent().width > _room(ax):
        ax.set_xlabel(plain)
    ax.ticklabel_format(useOffset=False, style="plain")
    for axis, length in zip((ax.xaxis, ax.yaxis), lengths, strict=True):
        _set_ticks(axis, length, size)


def _axis_labels(crs: Any) -> tuple[str, str, str]:
    """Labels of x and y, and the name of the coordinate system, if it has one."""
    if crs is None:
        return "x", "y", ""
    from pyproj import CRS

    system = CRS.from_wkt(crs.to_wkt())
    name = "" if system.name.lower() in ("unknown", "unnamed", "undefined") else system.name
    if crs.is_geographic:
        return "Longitude (degrees)", "Latitude (degrees)", name
    unit = {"metre": "m", "meter": "m"}.get(crs.linear_units, crs.linear_units)
    names = {"east": "Easting", "west": "Westing", "north": "Northing", "south": "Southing"}
    # GDAL's x is the axis that runs east or west; polar systems have two that run north, or south.
    directions = {axis.direction for axis in system.axis_info[:2]}
    along_x, along_y = directions & {"east", "west"}, directions & {"north", "south"}
    if len(along_x) == len(along_y) == 1:
        return f"{names[along_x.pop()]} ({unit})", f"{names[along_y.pop()]} ({unit})", name
    return f"x ({unit})", f"y ({unit})", name


def _set_ticks(axis: Any, length: float, size: float) -> None:
    """At most five, whose labels, about six letters long, keep apart and reach round no corner of a map so long."""
    from matplotlib.ticker import MaxNLocator

    low, high = sorted(axis.get_view_interval())
    half_label = min(3 * size / length, 0.3) * (high - low)
    first, last = low + half_label, high - half_label
    number = int(np.clip((length / size - 6) / 5.3, 1, 5))
    ticks = MaxNLocator(number, min_n_ticks=1).tick_values(first, last)
    axis.set_ticks(ticks[(ticks >= first) & (ticks <= last)])


def _room(ax: Axes) -> float:
    """Width in display units of the widest thing that can be centred on the axes without being cut off."""
    box, frame = ax.get_window_extent(), ax.figure.bbox
    middle = (box.x0 + box.x1) / 2
    return 2 * (min(middle - frame.x0, frame.x1 - middle) - _EDGE * ax.figure.dpi)


def _draw_legend(ax: Axes, handles: list[Any]) -> None:
    """Below the axes, on one line if it fits."""
    if not handles:
        return
    figure: Any = ax.figure
    labelled: Any = ax.xaxis.get_tightbbox()
    size = text_size(size_in_points(ax)[0])
    # Below the labels by half a letter, whatever becomes of the axes; matplotlib counts the distance in letters.
    down = (ax.get_window_extent().y0 - labelled.y0) / figure.dpi * 72 / size + 0.5
    labels = [handle.get_label() for handle in handles]
    wrapped = [textwrap.fill(label, _WRAP) for label in labels]
    for texts, columns in [*((labels, n) for n in range(len(handles), 0, -1)), (wrapped, 1)]:
        legend = ax.legend(
            handles, texts, ncols=columns, loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=down,
            borderpad=0.2, frameon=False, fontsize=size, handlelength=1.6, columnspacing=1.5,
        )  # fmt: skip
        if legend.get_window_extent().width <= _room(ax):
            return


def draw_scale_bar(ax: Axes, grid: Grid, busy: np.ndarray, beside: str | None) -> None:
    """A bar of a round length on the ground, at the middle of the map, in the lower corner that hides fewer `busy`.

    On a low map it stands on the other side than the north arrow, which is in the corner `beside`.
    """
    from matplotlib_scalebar.scalebar import ScaleBar

    width, height = size_in_points(ax)
    size = text_size(width)
    box = width * _BAR + 2 * size, 3.2 * size
    corners = ["lower right", "lower left"]
    if beside and height < box[1] + 5.5 * size:
        corners = ["lower right" if "left" in beside else "lower left"]
    bar = ScaleBar(
        metres_at_centre(grid)[0], "m", length_fraction=_BAR, width_fraction=1.5 / height, rotation="horizontal-only",
        location=min(corners, key=lambda corner: _hidden(ax, busy, corner, box)),
        pad=0.3, border_pad=0.5, sep=2, box_alpha=0.8, font_properties={"size": size},
    )  # fmt: skip
    bar.set_zorder(5)
    ax.add_artist(bar)


def furnish(ax: Axes, grid: Grid, busy: np.ndarray, *, north_arrow: bool = True, scale_bar: bool = True) -> None:
    """Draw an arrow to north and a scale bar off busy places, where there is a north and a length of the ground."""
    corner = draw_north_arrow(ax, grid, busy) if north_arrow else None
    if scale_bar and grid.crs is not None:
        draw_scale_bar(ax, grid, busy, corner)


def draw_north_arrow(ax: Axes, grid: Grid, busy: np.ndarray) -> str | None:
    """An arrow to true north at the middle of the map, in the emptier upper corner; returns the corner.

    Nothing is drawn, and None returned, where there is no north (see `true_north`).
    """
    from matplotlib.font_manager import FontProperties
    from matplotlib.offsetbox import AnchoredOffsetbox, DrawingArea
    from matplotlib.patches import Polygon
    from matplotlib.text import Text

    north = true_north(grid)
    if north is None:
        return None
    size = text_size(size_in_points(ax)[0])
    side = 3.2 * size  # a square in which the arrow can turn
    centre = grid.xy(grid.shape[0] / 2, grid.shape[1] / 2)
    along = np.subtract(*ax.transData.transform([centre + north * np.hypot(*grid.pixel_extent), centre]))
    along /= np.hypot(*along)
    across = np.array([along[1], -along[0]])
    # A needle: tip, right foot, notch, left foot, in units of half the square; the letter beyond the tip.
    needle = np.array([[0.30, 0], [-0.95, 0.38], [-0.66, 0], [-0.95, -0.38]])
    middle = np.array([side / 2, side / 2])
    area = DrawingArea(side, side)
    area.add_artist(Polygon(middle + side / 2 * needle @ [along, across], facecolor="black", linewidth=0))
    x, y = middle + side / 2 * 0.66 * along
    style: dict[str, Any] = {"fontsize": size, "fontweight": "bold", "color": "black"}
    area.add_artist(Text(x, y, "N", ha="center", va="center_baseline", **style))
    corner = min(["upper left", "upper right"], key=lambda c: _hidden(ax, busy, c, (side + 1.5 * size,) * 2))
    box = AnchoredOffsetbox(corner, child=area, pad=0.1, borderpad=0.5, prop=FontProperties(size=size))
    box.patch.set(alpha=0.8, linewidth=0)
    box.set(zorder=5, label="north arrow")
    ax.add_artist(box)
    return corner


def _hidden(ax: Axes, xy: np.ndarray, corner: str, box: tuple[float, float]) -> int:
    """How many places a box of so many points, in a corner, would hide."""
    if not len(xy):
        return 0
    places = ax.transAxes.inverted().transform(ax.transData.transform(xy))
    share = np.divide(box, size_in_points(ax))
    x = places[:, 0] if "left" in corner else 1 - places[:, 0]
    y = places[:, 1] if "lower" in corner else 1 - places[:, 1]
    return int(np.count_nonzero((x < share[0]) & (y < share[1])))
