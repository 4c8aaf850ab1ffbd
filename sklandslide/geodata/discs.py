"""Inventories of points: discs about them, of a radius on the ground."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from ..exceptions import InventoryError

# Corners of a disc.
_CORNERS = 64


def with_discs(frame: Any, radius: float, crs: Any) -> Any:
    """A frame whose points have become discs of `radius` metres on the ground; all else in it stays as it is.

    What carries no coordinate system is taken to be in `crs`; without that, map units are taken as metres.
    """
    import shapely

    if not isinstance(radius, Real) or not 0 < radius < np.inf:
        raise InventoryError(f"radius={radius!r}: give the radius of discs about points in metres, larger than 0.")
    system = frame.crs if frame.crs is not None or crs is None else crs.to_wkt()
    geometries = np.array(frame.geometry.array, dtype=object)
    which = np.flatnonzero(np.isin(shapely.get_type_id(geometries), [0, 4]) & ~shapely.is_empty(geometries))
    if not len(which):
        return frame
    xy, owner = shapely.get_coordinates(geometries[which], return_index=True)
    discs = shapely.polygons(_circles(xy, float(radius), system))
    several = np.bincount(owner) > 1
    geometries[which] = [
        shapely.union_all(discs[owner == i]) if several[i] else discs[first]
        for i, first in enumerate(np.searchsorted(owner, np.arange(len(which))))
    ]
    return frame.set_geometry(type(frame.geometry)(geometries, index=frame.index, crs=frame.crs))


def _circles(xy: np.ndarray, radius: float, system: Any) -> np.ndarray:
    """Corners of discs, (n, corners, 2)."""
    angles = np.linspace(0, 360, _CORNERS, endpoint=False)
    if system is None:
        around = np.stack([np.sin(np.radians(angles)), np.cos(np.radians(angles))], axis=-1)
        return xy[:, None] + radius * around
    from pyproj import CRS, Geod, Transformer

    geographic: Any = CRS(system).geodetic_crs
    to_geographic = Transformer.from_crs(system, geographic, always_xy=True)
    lon, lat = (np.repeat(part, _CORNERS) for part in to_geographic.transform(*xy.T))
    unit = np.degrees(geographic.axis_info[0].unit_conversion_factor)
    ellipsoid = Geod(a=geographic.ellipsoid.semi_major_metre, b=geographic.ellipsoid.semi_minor_metre)
    lon, lat, _ = ellipsoid.fwd(lon * unit, lat * unit, np.tile(angles, len(xy)), np.full(len(lon), radius))
    corners = to_geographic.transform(np.divide(lon, unit), np.divide(lat, unit), direction="INVERSE")
    return np.stack(corners, axis=-1).reshape(len(xy), _CORNERS, 2)
