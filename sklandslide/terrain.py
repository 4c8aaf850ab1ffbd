"""Slope from heights, right on projected and on geographic grids."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from .grid import Grid, Window

# WGS 84 (NIMA TR8350.2): semi-major axis in metres and first eccentricity squared. GRS 80 differs by less
# than a millimetre.
_SEMI_MAJOR = 6_378_137.0
_ECCENTRICITY2 = 6.694379990141e-3
# rasterio's reproject and pyproj's Proj silence warnings of their own with `warnings.catch_warnings`, which
# threads share: two at a time let these warnings out, or leave the user's filters changed.
silencing = threading.Lock()


def slope_degrees(
    heights: np.ndarray,
    grid: Grid,
    window: Window,
    missing: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> np.ndarray:
    """Slope of the ground by Horn's third-order finite differences, in degrees.

    Parameters
    ----------
    heights : ndarray of shape (rows, cols)
        Heights in metres of the window and of a ring of one pixel about it, NaN for nodata.
    grid : Grid
        The DEM's grid.
    window : Window
        The pixels to compute, on `grid`.
    missing : pair of (int, int)
        Rows (before, after) and columns (before, after) of the ring that do not exist, because the window
        lies at the raster's edge; they are continued linearly.

    Returns
    -------
    ndarray of shape (window.height, window.width), float32
        NaN where any of the nine heights is missing.

    References
    ----------
    B. K. P. Horn, "Hill shading and the reflectance map", Proceedings of the IEEE 69 (1), 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide.grid import Grid, Window
    >>> from sklandslide.terrain import slope_degrees
    >>> plane = np.arange(5.0) * 10 * np.ones((5, 1))  # rises 10 m a pixel of 10 m
    >>> grid = Grid(None, Affine(10, 0, 0, 0, -10, 0), (5, 5))
    >>> float(slope_degrees(plane, grid, Window(1, 1, 3, 3))[0, 0])
    45.0
    """
    z = _continue_linearly(heights.astype(np.float64), missing)
    by_row = _horn(z)
    by_col = _horn(z.T).T
    t = grid.transform
    determinant = t.a * t.e - t.b * t.d
    # dz/dcol = a dz/dx + d dz/dy and dz/drow = b dz/dx + e dz/dy, solved for the map's axes
    along_x = (t.e * by_col - t.d * by_row) / determinant
    along_y = (t.a * by_row - t.b * by_col) / determinant
    metres_x, metres_y = metres_per_unit(grid, window)
    slope = np.degrees(np.arctan(np.hypot(along_x / metres_x, along_y / metres_y)))
    slope[np.isnan(z[1:-1, 1:-1])] = np.nan  # Horn's differences pass over the middle one of the nine
    return slope.astype(np.float32)


def _horn(z: np.ndarray) -> np.ndarray:
    """Change per row, averaged over three columns with weights 1, 2, 1."""
    change = (z[2:] - z[:-2]) / 2
    return (change[:, :-2] + 2 * change[:, 1:-1] + change[:, 2:]) / 4


def _continue_linearly(z: np.ndarray, missing: Sequence[tuple[int, int]]) -> np.ndarray:
    for axis, (before, after) in enumerate(missing):
        z = np.moveaxis(z, axis, 0)
        next_to = min(1, len(z) - 1)  # a raster of one row is taken as level across
        first = [2 * z[:1] - z[next_to : next_to + 1]] if before else []
        last = [2 * z[-1:] - z[-1 - next_to : len(z) - next_to]] if after else []
        z = np.moveaxis(np.concatenate([*first, z, *last]), 0, axis)
    return z


def metres_per_unit(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Length on the ground of one unit of x and of y, for each pixel or each row of the window."""
    if grid.crs is None:
        return np.ones(1), np.ones(1)
    rows = np.arange(window.row_off, window.row_off + window.height) + 0.5
    if grid.crs.is_geographic:
        cols = np.arange(window.col_off, window.col_off + window.width) + 0.5
        latitude = np.radians(grid.xy(rows[:, None], cols)[..., 1])
        curvature = 1 - _ECCENTRICITY2 * np.sin(latitude) ** 2
        east = _SEMI_MAJOR / np.sqrt(curvature) * np.cos(latitude)
        north = _SEMI_MAJOR * (1 - _ECCENTRICITY2) / curvature**1.5
        return np.radians(1) * east, np.radians(1) * north
    if not grid.crs.is_projected:
        return (_local_unit(grid),) * 2
    scale = _projection_scale(grid, rows)[:, None]
    metres = grid.crs.linear_units_factor[1] / scale
    return metres, metres


def metres_at_centre(grid: Grid) -> tuple[float, float]:
    """Metres on the ground for one map unit of x and of y, at the middle of the grid."""
    rows, cols = grid.shape
    east, north = metres_per_unit(grid, Window(rows // 2, cols // 2, 1, 1))
    return float(np.ravel(east)[0]), float(np.ravel(north)[0])


def _local_unit(grid: Grid) -> np.ndarray:
    """Metres per unit of a local engineering system, whose map length is ground length."""
    from pyproj import CRS

    axes = CRS.from_wkt(grid.crs.to_wkt()).axis_info
    return np.full(1, axes[0].unit_conversion_factor if axes else 1.0)


def _projection_scale(grid: Grid, rows: np.ndarray) -> np.ndarray:
    """Map length over ground length along the grid's middle column (2 in Mercator at 60 degrees)."""
    from pyproj import CRS, Proj, Transformer

    crs = CRS.from_wkt(grid.crs.to_wkt())
    xy = grid.xy(rows, np.full(len(rows), grid.shape[1] / 2))
    to_geographic = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    longitude, latitude = to_geographic.transform(xy[:, 0], xy[:, 1])
    with silencing:
        projection = Proj(crs)
    scale = np.sqrt(projection.get_factors(longitude, latitude).areal_scale)
    return np.where(np.isfinite(scale), scale, 1.0)
