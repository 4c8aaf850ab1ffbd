"""How a notebook shows a scene, samples and a map: a thumbnail beside a few facts.

Whatever came from a file or its name is text, never HTML.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..exceptions import SklandslideError
from ..features import scene_behind
from ..geodata import Grid, Window, is_local
from .imagery import read_picture

# Pixels a side of a thumbnail, and of the ground that is read for it: a view must not take longer than a blink.
_THUMBNAIL, _READ = 160, 1200
_YELLOW = (255, 232, 0, 255)
# Landslide probability: below the threshold ever paler, from it yellow to red, as in the styles for QGIS.
_COLOURS = ((255, 255, 178), (255, 255, 178), (253, 141, 60), (189, 0, 38))
_ALPHA = (0, 110, 220, 255)


def scene_html(scene: Any) -> str:
    """Facts and a thumbnail of a scene, as HTML."""
    bands = ", ".join(f"{band} [{scene.units[band]}]" if band in scene.units else band for band in scene.bands)
    image, part = _thumbnail(scene)
    return facts_html("Scene", {**_facts(scene.grid), "bands": bands, **part}, image)


def locations_html(X: Any) -> str:
    """Facts and a thumbnail of samples on their first scene, as HTML."""
    facts = {"samples": f"{len(X):,} on {len(X.scenes)} scene(s)"}
    if X.area is not None:
        facts["stand for"] = f"{X.area.sum() / 1e6:,.4g} km2"
    scene = scene_behind(X.scenes[0])
    image, part = _thumbnail(scene, X.xy[X.scene_index == 0])
    return facts_html("Locations", {**facts, "first scene": repr(scene), **part}, image)


def facts_html(title: str, facts: Mapping[str, str], image: np.ndarray | None) -> str:
    """A title, facts, and beside them an image of bytes (rows, cols, 4)."""
    import pandas

    with pandas.option_context("display.max_colwidth", 100):
        table = pandas.Series(facts, dtype=object).to_frame().to_html(header=False, border=0, escape=True)
    left = "" if image is None else f'<img alt="" style="max-width: {_THUMBNAIL}px" src="{_png(image)}">'
    style = "display: flex; gap: 1em; align-items: flex-start"
    return f'<div style="{style}">{left}<div><b>{html.escape(title)}</b>{table}</div></div>'


def map_html(title: str, grid: Grid, facts: Mapping[str, str], probability: np.ndarray | None, threshold: float) -> str:
    """Facts and a thumbnail of a landslide map, as HTML; the probability is that of a coarser grid."""
    image = None if probability is None else probability_colours(probability, threshold)
    return facts_html(title, {**_facts(grid), **facts}, image)


def probability_colours(probability: np.ndarray, threshold: float) -> np.ndarray:
    """Probability in colour, bytes (rows, cols, 4): red where sure, yellow at the threshold, clear at 0 and nodata."""
    # apart, also for a threshold at an end
    stops = np.array([0, threshold, (1 + threshold) / 2, 1]) + 1e-6 * np.arange(4)
    known = np.nan_to_num(probability, nan=0)
    channels = [*np.transpose(_COLOURS), _ALPHA]
    return np.stack([np.interp(known, stops, channel) for channel in channels], axis=-1).round().astype(np.uint8)


def _facts(grid: Grid) -> dict[str, str]:
    width, height = grid.pixel_extent
    crs = "no CRS" if grid.crs is None else grid.crs.to_string()
    return {
        "size": f"{grid.shape[0]:,} x {grid.shape[1]:,} pixels of {width:.6g} x {height:.6g}",
        "CRS": crs[:100],
        "bounds": ", ".join(f"{end:.10g}" for end in grid.bounds),
    }


def _thumbnail(scene: Any, marks: Any = ()) -> tuple[np.ndarray | None, dict[str, str]]:
    """A small picture of a scene, of its middle where it is large, with places marked; and what is to be said of it."""
    if not is_local(scene):
        return None, {}
    shape = np.array(scene.grid.shape)
    size = np.minimum(shape, _READ)
    window = Window(*((shape - size) // 2).tolist(), *size.tolist())
    try:
        picture = read_picture(scene, None, window, _THUMBNAIL)
    except SklandslideError as error:
        return None, {"no picture": str(error)}
    values = picture.stretched({})
    values = np.repeat(values[..., None], 3, axis=-1) if values.ndim == 2 else values
    known = np.isfinite(values).all(axis=-1, keepdims=True)
    image = (255 * np.concatenate([np.where(known, values, 0), known], axis=-1)).round().astype(np.uint8)
    if len(marks):
        at = np.floor(picture.grid.rowcol(marks)).astype(int)
        at = at[((at >= 0) & (at < picture.grid.shape)).all(axis=1)]
        image[at[:, 0], at[:, 1]] = _YELLOW
    return image, {} if (size == shape).all() else {"picture": f"the middle {size[0]:,} x {size[1]:,} pixels"}


def _png(image: np.ndarray) -> str:
    """An image as an address that holds it."""
    import warnings

    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    with warnings.catch_warnings(), MemoryFile() as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        profile = {"driver": "PNG", "count": 4, "dtype": "uint8", "height": image.shape[0], "width": image.shape[1]}
        with memory.open(**profile) as file:
            file.write(np.moveaxis(image, -1, 0))
        data = memory.read()
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"
