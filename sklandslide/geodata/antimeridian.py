"""Where longitudes jump by a whole turn: the same ground has coordinates on both sides of 180 degrees.

A raster that crosses the meridian of 180 degrees counts on (179, 180, 181) or starts below -180; polygons and other
rasters of the same ground may have been written with -179 for 181. Such places are moved by whole turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .grid import Grid


def turn(crs: Any) -> float | None:
    """A whole turn of longitude in the units of a geographic coordinate system; None for any other."""
    if crs is None or not crs.is_geographic:
        return None
    return float(round(2 * np.pi / crs.units_factor[1], 9))


def joined(geometries: np.ndarray, crs: Any) -> np.ndarray:
    """Polygons whose rings do not jump from one side of the meridian of 180 degrees to the other.

    A ring with corners at 179.9 and -179.9 is taken to be a fifth of a degree wide: no polygon of an inventory goes
    the other way round the Earth. Longitudes then count on beyond 180.
    """
    import shapely

    whole = turn(crs)
    if whole is None or not len(geometries):
        return geometries

    def join(xy: np.ndarray) -> np.ndarray:
        turns = np.round((np.unwrap(xy[:, 0], period=whole) - xy[:, 0]) / whole)
        return np.stack([xy[:, 0] + whole * turns, xy[:, 1]], axis=1)

    out = np.array(geometries, dtype=object)
    bounds = shapely.bounds(out)
    for i in np.flatnonzero(bounds[:, 2] - bounds[:, 0] > whole / 2):
        parts = [shapely.transform(part, join) for part in shapely.get_parts(out[i])]
        out[i] = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
    return out


def beside(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Polygons moved by whole turns of longitude to where a grid of the same coordinate system has their ground.

    Each part of a polygon comes to lie as close to the grid's middle as it can; parts that were cut at the meridian
    grow together.
    """
    import shapely

    whole = turn(grid.crs)
    if whole is None or not len(geometries):
        return geometries
    middle = (grid.bounds[0] + grid.bounds[2]) / 2

    def moved(part: Any) -> Any:
        low, _, high, _ = part.bounds
        by = whole * np.round((middle - (low + high) / 2) / whole)
        return shapely.transform(part, lambda xy: xy + np.array([by, 0.0]))

    out = np.array(geometries, dtype=object)
    bounds = shapely.bounds(out)
    for i in np.flatnonzero((np.abs(bounds[:, [0, 2]] - middle) > whole / 2).any(axis=1)):
        parts = [moved(part) for part in shapely.get_parts(out[i])]
        out[i] = parts[0] if len(parts) == 1 else shapely.union_all(parts)
    return out
