"""Slope from heights, right on projected and on geographic grids."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import SceneError
from .grid import Grid, Window

# Heights in metres that no land has, of this planet or of another that is mapped (Mars reaches from -8.2 to 21.2 km):
# what software writes where it has no height (-32768, -9999, 32767, 65535, 1e20).
_HEIGHTS = (-9_500.0, 30_000.0)
# The scale of a projection is computed at every so many pixels and metres, and interpolated between: it changes by
# some hundred thousandths of its square on the way.
_LATTICE_PIXELS, _LATTICE_METRES = 64, 50_000
# rasterio's reproject and pyproj's Proj silence warnings of their own with `warnings.catch_warnings`, which
# threads share: two at a time let these warnings out, or leave the user's filters changed.
silencing = threading.Lock()


def slope_degrees(
    heights: np.ndarray,
    grid: Grid,
    window: Window,
    missing: Sequence[tuple[int, int]] = ((0, 0), (0, 0)),
) -> np.ndarray:
    """Slope of the ground in degrees, by Horn's third-order differences; NaN where any of nine heights is missing.

    `heights`, in metres, are those of the window and of a ring of one pixel about it. `missing` are the rows (before,
    after) and columns (before, after) of the ring that do not exist, because the window lies at the raster's edge;
    they are continued linearly. Heights that no land has are a SceneError.

    B. K. P. Horn, "Hill shading and the reflectance map", Proceedings of the IEEE 69 (1), 1981.
    """
    check_heights(heights)
    z = _continue_linearly(heights.astype(np.float64), missing)
    along_x, along_y = per_map_unit(_horn(z), _horn(z.T).T, grid)
    xx, xy, yy = ground_metric(grid, window)
    rise = np.sqrt(xx * along_x**2 + 2 * xy * along_x * along_y + yy * along_y**2)
    slope = np.degrees(np.arctan(rise * _height_unit(grid)))
    slope[np.isnan(z[1:-1, 1:-1])] = np.nan  # Horn's differences pass over the middle one of the nine
    return slope.astype(np.float32)


def per_map_unit(by_row: Any, by_col: Any, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Changes per row and per column as changes per unit of x and of y."""
    t = grid.transform
    determinant = t.a * t.e - t.b * t.d
    # dz/dcol = a dz/dx + d dz/dy and dz/drow = b dz/dx + e dz/dy, solved for the map's axes
    return (t.e * by_col - t.d * by_row) / determinant, (t.a * by_row - t.b * by_col) / determinant


def check_heights(heights: np.ndarray) -> None:
    """Refuse heights that no land has: they are nodata that nobody declared, and slopes about them look like cliffs."""
    low, high = _HEIGHTS
    wrong = (heights < low) | (heights > high)
    if wrong.any():
        raise SceneError(
            f"The DEM holds heights such as {float(heights[wrong][0]):g} m at {int(wrong.sum())} pixels; land lies "
            f"between {low:g} and {high:g} m. If they mark nodata, say so: nodata={{'DEM': {heights[wrong][0]:g}}} "
            "(GDAL: gdal_edit -a_nodata)."
        )


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


def ground_metric(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How changes per map unit become changes per metre on the ground.

    What changes by gx and gy per unit of x and y changes on the ground, where it is steepest, by the square root of
    ``xx * gx**2 + 2 * xy * gx * gy + yy * gy**2`` per metre. That holds in any projection: in plate carree a unit of x
    is shorter on the ground than one of y, in a sinusoidal one the axes are not at right angles there. The three
    broadcast to the window's shape: one value for each pixel, each row or all of the window.
    """
    none = np.zeros((1, 1))
    if grid.crs is None:
        return none + 1, none, none + 1
    if grid.crs.is_projected:
        return _on_lattice(grid, window)
    if not grid.crs.is_geographic:
        axes = _system(grid).axis_info  # a local system, whose map length is ground length
        metres = axes[0].unit_conversion_factor if axes else 1.0
        return none + metres**-2, none, none + metres**-2
    rows = np.arange(window.row_off, window.row_off + window.height) + 0.5
    cols = np.arange(window.col_off, window.col_off + window.width) + 0.5
    if grid.transform.d == 0:
        cols = cols[:1]  # latitude is that of the row
    return _geographic_metric(grid, grid.xy(rows[:, None], cols))


def ground_metric_at(grid: Grid, xy: np.ndarray) -> np.ndarray:
    """What `ground_metric` says, at places on the map: symmetric matrices, (n, 2, 2)."""
    if not len(xy):  # PROJ takes one place at least
        return np.empty((0, 2, 2))
    if grid.crs is not None and grid.crs.is_projected:
        xx, mixed, yy = _projected_metric(grid, xy)
    elif grid.crs is not None and grid.crs.is_geographic:
        xx, mixed, yy = _geographic_metric(grid, xy)
    else:
        xx, mixed, yy = (np.repeat(part.ravel(), len(xy)) for part in ground_metric(grid, Window(0, 0, 1, 1)))
    return np.stack([np.stack([xx, mixed], axis=-1), np.stack([mixed, yy], axis=-1)], axis=-2)


def metres_per_unit(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Length on the ground of one unit of x and of y, for each pixel, each row or all of the window."""
    xx, xy, yy = ground_metric(grid, window)
    determinant = xx * yy - xy**2
    return np.sqrt(yy / determinant), np.sqrt(xx / determinant)


def square_metres_per_unit(grid: Grid, window: Window) -> np.ndarray:
    """Area on the ground of a square of one map unit, for each pixel, each row or all of the window."""
    xx, xy, yy = ground_metric(grid, window)
    return (xx * yy - xy**2) ** -0.5


def metres_at_centre(grid: Grid) -> tuple[float, float]:
    """Metres on the ground for one map unit of x and of y, at the middle of the grid."""
    rows, cols = grid.shape
    east, north = metres_per_unit(grid, Window(rows // 2, cols // 2, 1, 1))
    return float(np.ravel(east)[0]), float(np.ravel(north)[0])


def _system(grid: Grid) -> Any:
    from pyproj import CRS

    return CRS.from_wkt(grid.crs.to_wkt())


def _radii(ellipsoid: Any, latitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Metres on the ground of a radian of longitude and of one of latitude (in radians)."""
    major, minor = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    eccentricity2 = 1 - (minor / major) ** 2
    curvature = 1 - eccentricity2 * np.sin(latitude) ** 2
    # Rasters of the whole globe may reach beyond the poles by half a pixel.
    east = major / np.sqrt(curvature) * np.abs(np.cos(latitude))
    return east, major * (1 - eccentricity2) / curvature**1.5


def _height_unit(grid: Grid) -> float:
    """Metres per unit of height, where the coordinate system says so (a compound one in feet); else 1."""
    if grid.crs is None or not (grid.crs.is_projected or grid.crs.is_geographic):
        return 1.0
    axes = _system(grid).axis_info
    return axes[2].unit_conversion_factor if len(axes) > 2 else 1.0


def _on_lattice(grid: Grid, window: Window) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground's metric in a projection, interpolated between points of a lattice that is fixed to the grid."""
    pixel = max(grid.pixel_extent) * grid.crs.linear_units_factor[1]
    spacing = int(np.clip(_LATTICE_METRES / pixel, 1, _LATTICE_PIXELS))
    rows, row, down = _between(window.row_off, window.height, spacing, grid.shape[0])
    cols, col, along = _between(window.col_off, window.width, spacing, grid.shape[1])
    nodes = _projected_metric(grid, grid.xy(rows[:, None], cols))
    out = []
    for values in nodes:
        lines = values[row] * (1 - down)[:, None] + values[row + 1] * down[:, None]
        out.append(lines[:, col] * (1 - along) + lines[:, col + 1] * along)
    return out[0], out[1], out[2]


def _between(first: int, count: int, spacing: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of the lattice along one axis; for each pixel the point before it, and how far on the way to the next."""
    start = first // spacing
    points = np.minimum(np.arange(start, -(-(first + count) // spacing) + 1) * spacing, length).astype(np.float64)
    centres = np.arange(first, first + count) + 0.5
    before = (centres // spacing).astype(np.int64) - start
    return points, before, (centres - points[before]) / (points[before + 1] - points[before])


def _geographic_metric(grid: Grid, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground's metric at places in longitude and latitude."""
    radians = grid.crs.units_factor[1]
    latitude = xy[..., 1] * radians
    east, north = _radii(_system(grid).ellipsoid, latitude)
    return (radians * east) ** -2.0, np.zeros_like(latitude), (radians * north) ** -2.0


def _projected_metric(grid: Grid, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground's metric at points of a projection, from the derivatives of x and y by longitude and latitude."""
    from pyproj import Proj, Transformer

    system = _system(grid)
    geographic = system.geodetic_crs
    to_geographic = Transformer.from_crs(system, geographic, always_xy=True)
    unit = geographic.axis_info[0].unit_conversion_factor
    longitude, latitude = np.array(to_geographic.transform(xy[..., 0].ravel(), xy[..., 1].ravel())) * unit
    with silencing:
        projection = Proj(system)
    factors = projection.get_factors(longitude, latitude, radians=True)
    east, north = (system.ellipsoid.semi_major_metre / length for length in _radii(system.ellipsoid, latitude))
    # PROJ's derivatives are those of a projection of an ellipsoid of size 1.
    x_east, x_north = factors.dx_dlam * east, factors.dx_dphi * north
    y_east, y_north = factors.dy_dlam * east, factors.dy_dphi * north
    metric = x_east**2 + x_north**2, x_east * y_east + x_north * y_north, y_east**2 + y_north**2
    known = np.isfinite(metric).all(axis=0)
    per_square_metre = grid.crs.linear_units_factor[1] ** -2.0
    xx, xy_, yy = (
        (np.where(known, values, level) * per_square_metre).reshape(xy.shape[:-1])
        for values, level in zip(metric, (1.0, 0.0, 1.0), strict=True)
    )
    return xx, xy_, yy
