"""Where longitudes jump by a whole turn: the same ground has coordinates on both sides of 180 degrees.

A raster that crosses the meridian of 180 degrees counts on (179, 180, 181) or starts below -180; polygons and other
rasters of the same ground may have been written with -179 for 181. Such places are moved by whole turns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .grid import Grid

__all__ = ["beside", "joined", "turn"]


def turn(crs: Any) -> float | None:
    """A whole turn of longitude in the units of a geographic coordinate system; None for any other.

    Examples
    --------
    >>> from rasterio.crs import CRS
    >>> from sklandslide.geodata.antimeridian import turn
    >>> turn(CRS.from_epsg(4326)), turn(CRS.from_epsg(32654))
    (360.0, None)
    """
    if crs is None or not crs.is_geographic:
        return None
    return float(round(2 * np.pi / crs.units_factor[1], 9))


def joined(geometries: np.ndarray, crs: Any) -> np.ndarray:
    """Polygons whose rings do not jump from one side of the meridian of 180 degrees to the other.

    A ring with corners at 179.9 and -179.9 is taken to be a fifth of a degree wide: no polygon of an inventory goes
    the other way round the Earth. Longitudes then count on beyond 180. In any other than a geographic coordinate
    system nothing is to be done.

    Parameters
    ----------
    geometries : ndarray of shape (n,), shapely geometries
    crs : rasterio.crs.CRS or None

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from rasterio.crs import CRS
    >>> from shapely.geometry import box
    >>> from sklandslide.geodata.antimeridian import joined
    >>> joined(np.array([box(-179.5, 0, 179.5, 1)]), CRS.from_epsg(4326))[0].area
    1.0
    """
    import shapely

    whole = turn(crs)
    if whole is None or not len(geometries):
        return geometries
    bounds = shapely.bounds(geometries)
    wide = bounds[:, 2] - bounds[:, 0] > whole / 2
    out = np.array(geometries, dtype=object)
    for i in np.flatnonzero(wide):
        parts = [_joined(part, whole) for part in shapely.get_parts(geometries[i])]
        out[i] = parts[0] if len(parts) == 1 else shapely.multipolygons(parts)
    return out


def beside(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Polygons moved by whole turns of longitude to where a grid has their ground.

    Each part of a polygon comes to lie as close to the grid's middle as it can. On a grid in any other than a
    geographic coordinate system nothing is to be done.

    Parameters
    ----------
    geometries : ndarray of shape (n,), shapely Polygon or MultiPolygon
        In the grid's CRS.
    grid : Grid

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from rasterio.crs import CRS
    >>> from shapely.geometry import box
    >>> from sklandslide.geodata.antimeridian import beside
    >>> from sklandslide.geodata.grid import Grid
    >>> grid = Grid(CRS.from_epsg(4326), Affine(0.1, 0, 179, 0, -0.1, 1), (20, 20))  # to 181 degrees
    >>> beside(np.array([box(-179.5, 0, -179.25, 0.5)]), grid)[0].bounds
    (180.5, 0.0, 180.75, 0.5)
    """
    import shapely

    whole = turn(grid.crs)
    if whole is None or not len(geometries):
        return geometries
    left, _, right, _ = grid.bounds
    middle = (left + right) / 2
    bounds = shapely.bounds(geometries)
    far = (np.abs(bounds[:, [0, 2]] - middle) > whole / 2).any(axis=1)
    out = np.array(geometries, dtype=object)
    for i in np.flatnonzero(far):
        parts = [_moved(part, middle, whole) for part in shapely.get_parts(geometries[i])]
        out[i] = parts[0] if len(parts) == 1 else shapely.union_all(parts)  # parts cut at the meridian grow together
    return out


def _joined(polygon: Any, whole: float) -> Any:
    import shapely

    def join(xy: np.ndarray) -> np.ndarray:
        return np.stack([xy[:, 0] - whole * np.round((xy[:, 0] - xy[0, 0]) / whole), xy[:, 1]], axis=1)

    narrow = shapely.transform(polygon, join)
    # A frame about the whole Earth would be left without width.
    return narrow if narrow.area > 0 and not _jumps(narrow, whole) and _jumps(polygon, whole) else polygon


def _jumps(polygon: Any, whole: float) -> bool:
    """Whether an edge is longer than half a turn."""
    import shapely

    rings = shapely.get_rings(polygon)
    return any((np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])) > whole / 2).any() for ring in rings)


def _moved(part: Any, middle: float, whole: float) -> Any:
    import shapely

    low, _, high, _ = part.bounds
    by = whole * np.round((middle - (low + high) / 2) / whole)
    return shapely.transform(part, lambda xy: xy + np.array([by, 0.0]))
