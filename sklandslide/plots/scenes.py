"""Pictures of a scene, and of samples on it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..geodata import Grid
from .figure import draw_colorbar, draw_image, frame, point_size
from .furniture import HIGHEST, arrange, furnish, new_axes, pyplot, size_in_points, text_size
from .imagery import Picture, common_ranges, read_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..sampling import Locations

# Panels side by side before a new row begins.
_COLUMNS = 3
# Classes in sorted order, so other ground in blue and landslides in yellow: apart from grey and from each other in
# every form of colour blindness. More classes take the colours of matplotlib's cycle.
_CLASSES = ("#29b6f6", "#ffe800")
_RIM = "#262626"


def plot_scene(scene: Any, panels: tuple[Any, ...] = (), *, ax: Any = None, width: float = 7.0) -> Any:
    """Draw a scene, a panel for each of `panels`; parameters and errors are those of `Scene.plot`."""
    pyplot()
    pictures = [read_picture(scene, wanted) for wanted in panels or (None,)]
    ranges = common_ranges(pictures)
    axes = _axes_for([picture.grid for picture in pictures], ax, width)
    for i, picture in enumerate(pictures):
        alone = len(axes) == 1
        following = pictures[i + 1].bands if i + 1 < len(pictures) else ()
        bar = (
            len(following) != 1 or ranges[following[0]] != ranges[picture.bands[0]]
        )  # one for neighbours that share it
        _draw_panel(axes[i], picture, ranges, [], HIGHEST if alone and ax is None else None, bare=not alone, bar=bar)
    furnish(axes[0], pictures[0].grid, np.empty((0, 2)))
    return axes[0] if len(axes) == 1 else axes


def plot_locations(
    X: Locations, y: Any = None, *, bands: Any = None, patch_size: int | None = None, ax: Any = None, width: float = 7.0
) -> Any:
    """Draw samples on their scenes, a panel for each scene; parameters and errors are those of `Locations.plot`."""
    pyplot()
    classes, code = _classes_of(X, y)
    names = [f"{name} ({np.count_nonzero(code == i):,})" for i, name in enumerate(classes)]
    used = [i for i in range(len(X.scenes)) if (X.scene_index == i).any()] or [0]
    pictures = [read_picture(X.scenes[i], bands) for i in used]
    axes = _axes_for([picture.grid for picture in pictures], ax, width)
    for axes_, i, picture in zip(axes, used, pictures, strict=True):
        alone, here = len(axes) == 1, X.scene_index == i
        handles = sample_handles(names, class_colours(len(classes))) if axes_ is axes[0] else []
        highest = HIGHEST if alone and ax is None else None
        _draw_panel(axes_, picture, common_ranges([picture]), handles, highest, bare=not alone, bar=True)
        draw_samples(axes_, X.scenes[i].grid, X.xy[here], code[here], names, class_colours(len(classes)), patch_size)
        furnish(axes_, picture.grid, X.xy[here])
    return axes[0] if len(axes) == 1 else axes


def class_colours(n_classes: int) -> list[Any]:
    """A colour for each class, in sorted order; a single one has that of landslides."""
    return [_CLASSES[1]] if n_classes == 1 else [*_CLASSES, *(f"C{i}" for i in range(n_classes))][:n_classes]


def sample_handles(names: list[str], colours: list[Any]) -> list[Any]:
    """Entries of the legend."""
    from matplotlib.lines import Line2D

    style: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 5, "markeredgewidth": 0.5}
    style["markeredgecolor"] = _RIM
    return [Line2D([], [], color=colour, label=name, **style) for name, colour in zip(names, colours, strict=True)]


def draw_samples(
    ax: Axes,
    grid: Grid,
    xy: np.ndarray,
    code: np.ndarray,
    names: list[str],
    colours: list[Any],
    patch_size: int | None = None,
) -> list[Any]:
    """Draw points of each class, the rarest on top, and the outlines of their patches; give the points by class."""
    size = float(np.clip(point_size(ax, grid.shape, len(xy)), 2.5, 5))
    counts = np.bincount(code, minlength=len(names))
    rank = np.argsort(np.argsort(-counts, kind="stable"))
    drawn = []
    for i, (name, colour) in enumerate(zip(names, colours, strict=True)):
        places = xy[code == i]
        layer = 3 + 0.1 * float(rank[i])
        if patch_size is not None:
            _draw_patches(ax, grid, places, patch_size, colour, layer)
        drawn.append(
            ax.scatter(
                places[:, 0], places[:, 1], s=size**2, color=colour, edgecolors=_RIM, linewidths=0.3, zorder=layer,
                label=name,
            )
        )  # fmt: skip
    return drawn


def _draw_patches(ax: Axes, grid: Grid, xy: np.ndarray, patch_size: int, colour: Any, zorder: float) -> None:
    from matplotlib.collections import PolyCollection

    first = grid.window_origins(xy, patch_size)
    corners = first[:, None] + patch_size * np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    outlines = grid.xy(corners[..., 0].ravel(), corners[..., 1].ravel()).reshape(-1, 4, 2)
    squares = PolyCollection(list(outlines), facecolors="none", edgecolors=colour, linewidths=0.6, zorder=zorder)
    squares.set_label("_patches")
    ax.add_collection(squares, autolim=False)


def _classes_of(X: Locations, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Names of the classes, sorted, and the number of each sample's."""
    if y is None:
        return np.array(["samples"]), np.zeros(len(X), np.int64)
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(f"y has shape {y.shape} and X {len(X)} rows. Give one class for each row.")
    classes, code = np.unique(y, return_inverse=True)
    return np.array([f"class {name}" for name in classes]), code


def _axes_for(grids: list[Grid], ax: Any, width: float) -> np.ndarray:
    """Axes for each picture: those given, or those of a new figure."""
    if ax is not None:
        given = np.array(ax, dtype=object).ravel()
        if len(given) != len(grids):
            raise ValueError(f"ax has {len(given)} axes for {len(grids)} panels. Give one for each.")
        return given
    if len(grids) == 1:
        return np.array([new_axes(width)], dtype=object)
    columns = min(len(grids), _COLUMNS)
    rows = -(-len(grids) // columns)
    height = min(width / columns * grids[0].shape[0] / grids[0].shape[1] + 0.3, 2 * width)
    figure, axes = pyplot().subplots(
        rows, columns, figsize=(width, rows * height), layout="constrained", squeeze=False, sharex=False
    )
    for spare in axes.ravel()[len(grids) :]:
        figure.delaxes(spare)
    return axes.ravel()[: len(grids)]


def _draw_panel(
    ax: Axes, picture: Picture, ranges: dict, handles: list[Any], highest: float | None, *, bare: bool, bar: bool
) -> None:
    """An image with its title, bar of greys and axes; `bare` without coordinates."""
    grey = len(picture.bands) == 1 and picture.bands != ("hillshade",)
    drawn = draw_image(ax, picture.values[..., 0] if grey else picture.stretched(ranges), picture.grid)
    low, high = ranges[picture.bands[0]]
    drawn.set_clim(*((low, high) if grey else (0, 1)))
    frame(ax, picture.grid, 0.0)
    if bare:
        ax.set(xticks=[], yticks=[])
        if handles:
            ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False, fontsize=7)
    else:
        arrange(ax, picture.grid, handles, highest)
    width = size_in_points(ax)[0]
    size = text_size(width)
    ax.set_title(textwrap.fill(band_title(picture.bands), max(12, int(1.6 * width / size))), fontsize=size)
    if grey and bar and high > low:
        draw_colorbar(ax, drawn, picture.units[0] or "")
    if not bare:
        arrange(ax, picture.grid, handles, highest)  # beside the bar


def band_title(bands: Sequence[str]) -> str:
    """The band that is drawn, or the colours of three."""
    return ", ".join(f"{colour}: {band}" for colour, band in zip("RGB", bands, strict=True)) if bands[1:] else bands[0]
