"""The ground that each sample stands for."""

from __future__ import annotations

import numpy as np

from ..geodata import Inventory
from .outlines import Ground, Outlines


def sample_areas(
    ground: Ground, inventory: Inventory, outlines: Outlines, kind: np.ndarray, polygon: np.ndarray, reach: float
) -> np.ndarray:
    """Square metres for each sample, given its kind and, first those of polygons, the number of the polygon.

    The ground is parted into landslides, what lies within `reach` of them, other polygons, and the rest; each sort of
    samples shares its part, the last sort there is all that is left. So they add up to the ground.
    """
    slides = inventory.labels == 1
    out, landslide = np.ones(len(kind)), kind == "landslide"
    sampled, which = np.unique(polygon[landslide[: len(polygon)]], return_inverse=True)
    out[landslide] = (ground.each(inventory.geometries[sampled]) / np.bincount(which))[which]
    zones = {"landslide": inventory.geometries[slides], "other": inventory.geometries[~slides]}
    kinds = [name for name in ("landslide", "edge", "other", "background") if (kind == name).any()]
    covers, before = [], 0.0
    for name in kinds:
        rows = kind == name
        if name == kinds[-1] and name != "landslide":
            total = ground.area
        else:
            covers.append(outlines.buffered(reach) if name == "edge" else zones[name])
            total = ground.covered(np.concatenate(covers))
        # Landslides that overlap count once, and those without a sample are spoken for by the others.
        out[rows] *= max(total - before, 0.0) / out[rows].sum()
        before = total
    return out
