"""What `sample_polygons` is asked for, checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from ..composites import band_inputs, resolve_composite
from ..exceptions import InventoryError, SceneError
from ..geodata import Inventory, beside, read_inventory

# Negatives of either kind for each landslide sample, where an inventory holds landslides only
# (docs/results/sampling.md compares ratios by the map).
_RATIO = 4.0


def sizes_of(scene: Any, patch_size: Any, stride: Any, max_per_polygon: Any) -> tuple[int, int]:
    """Largest patch size and stride, checked."""
    sizes = patch_size if isinstance(patch_size, Iterable) else [patch_size]
    size = max(_positive(size, "patch_size") for size in sizes)
    if max_per_polygon is not None:
        _positive(max_per_polygon, "max_per_polygon")
    if size > min(scene.grid.shape):
        raise SceneError(
            f"A patch of {size} x {size} pixels does not fit the scene of {scene.grid.shape[0]} x "
            f"{scene.grid.shape[1]} pixels. Use a larger scene or a smaller patch_size."
        )
    return size, _positive((size + 1) // 2 if stride is None else stride, "stride")


def ratios_of(edge: Any, background: Any, inventory: Inventory) -> dict[str, float]:
    """Negatives of each kind for a landslide sample."""
    ratios = {"edge": edge, "background": background}
    for name, value in ratios.items():
        if value is not None and not (isinstance(value, int | float | np.number) and 0 <= value < np.inf):
            raise InventoryError(
                f"{name}={value!r}: give the number of such negatives for each landslide sample, from 0 (none)."
            )
    alone = _RATIO if inventory.labels.all() else 0.0
    return {name: alone if value is None else float(value) for name, value in ratios.items()}


def distances(edge_distance: Any) -> tuple[float, float]:
    """Limits of edges in metres, checked."""
    limits = np.asarray(edge_distance)
    if limits.shape != (2,) or limits.dtype.kind not in "iuf" or not 0 <= limits[0] < limits[1] < np.inf:
        raise InventoryError(
            f"edge_distance={edge_distance!r}: give the smallest and the largest distance of edges from a landslide in "
            "metres, such as (5.0, 125.0)."
        )
    return float(limits[0]), float(limits[1])


def region_of(polygons: Any, scene: Any, name: str) -> np.ndarray | None:
    """Polygons without classes, on the scene."""
    if polygons is None:
        return None
    try:
        read = read_inventory(polygons, scene.grid.crs, class_column=None, id_column=None)
    except InventoryError as error:
        raise InventoryError(f"{name}=: {error}") from error
    return beside(read.geometries, scene.grid)


def needed_bands(scene: Any, bands: str | Sequence[str] | None) -> tuple[str, ...]:
    """Bands that must be free of nodata."""
    wanted = scene.bands if bands is None else resolve_composite(bands, scene.bands)
    return tuple(dict.fromkeys(name for band in wanted for name in band_inputs(band)))


def _positive(value: Any, name: str) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise SceneError(f"{name}={value!r}: give a whole number of pixels or samples, at least 1.")
    return int(value)
