"""The pixel grid: pixels and map coordinates, windows and tiles. Pure numpy.

Row and column are written in that order and counted from the upper left corner of the first pixel, so
that the *centre* of pixel ``(i, j)`` has row ``i + 0.5`` and column ``j + 0.5``. Map coordinates are
written ``x, y``. The two are never mixed in one argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exceptions import SceneError

# A window's first pixel is found by rounding; a tie (an even patch about a pixel centre) must fall the
# same way whatever the last bits of the map coordinates say. In pixels.
_TIE = 1e-6
# Farther than any raster reaches, and still a whole number. In pixels.
_FAR = 2.0**50


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels: first row and column, number of rows and columns.

    The attributes have the names that `rasterio.windows.Window` uses, so either can be passed where a
    window is asked for.
    """

    row_off: int
    col_off: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices of the window in an array of the whole grid."""
        return slice(self.row_off, self.row_off + self.height), slice(self.col_off, self.col_off + self.width)

    @classmethod
    def from_any(cls, window: Any, shape: tuple[int, int]) -> Window:
        """Take None (the whole grid), a Window, a rasterio Window or ``((r0, r1), (c0, c1))``; or a SceneError."""
        if window is None:
            return cls(0, 0, *shape)
        try:
            if hasattr(window, "row_off"):
                values = (window.row_off, window.col_off, window.height, window.width)
            else:
                (r0, r1), (c0, c1) = window
                values = (r0, c0, r1 - r0, c1 - c0)
            out = cls(*(int(v) for v in values))
            whole = tuple(values) == (out.row_off, out.col_off, out.height, out.width)
        except (TypeError, ValueError, OverflowError):
            whole = False
        if not whole:
            raise SceneError(
                f"{window!r} is no window: give a Window, a rasterio Window or ((row, row), (col, col)), all in whole "
                "pixels."
            )
        ends = out.row_off + out.height, out.col_off + out.width
        inside = min(out.row_off, out.col_off) >= 0 and ends[0] <= shape[0] and ends[1] <= shape[1]
        if not inside or min(out.height, out.width) <= 0:
            raise SceneError(
                f"The window {out} does not lie on the grid of {shape[0]} rows and {shape[1]} columns. "
                "Clip the window to the grid."
            )
        return out


@dataclass(frozen=True)
class Grid:
    """An immutable pixel grid: coordinate system, affine transform and shape.

    Parameters
    ----------
    crs : rasterio.crs.CRS or None
        Coordinate reference system; None for a grid that has none.
    transform : affine.Affine
        From (column, row) to map (x, y), as rasterio writes it.
    shape : (int, int)
        Rows and columns.

    Examples
    --------
    >>> from affine import Affine
    >>> from sklandslide.geodata.grid import Grid
    >>> grid = Grid(None, Affine(10, 0, 500, 0, -10, 900), (3, 4))
    >>> grid.xy(0.5, 0.5)
    array([505., 895.])
    >>> grid.rowcol([[505.0, 895.0]])
    array([[0.5, 0.5]])
    >>> grid.bounds
    (500.0, 870.0, 540.0, 900.0)
    """

    crs: Any
    transform: Any
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        t = self.transform
        if not hasattr(t, "a"):
            raise SceneError(f"{t!r} is no transform; give an affine.Affine (rasterio.transform makes them).")
        area = t.a * t.e - t.b * t.d
        if not np.isfinite([t.a, t.b, t.c, t.d, t.e, t.f, area]).all() or area == 0:
            raise SceneError(
                f"The transform {tuple(t)[:6]} cannot be inverted: pixels must have a finite, non-zero size. "
                "Give the raster a geotransform (rasterio: transform=...)."
            )
        rows, cols = (int(n) for n in self.shape)
        if min(rows, cols) < 1:
            raise SceneError(f"The grid has shape {self.shape}; it needs at least one row and one column.")
        object.__setattr__(self, "shape", (rows, cols))

    def xy(self, row: Any, col: Any) -> np.ndarray:
        """Map coordinates of (fractional) rows and columns, float64, shape (..., 2)."""
        row, col = np.asarray(row, np.float64), np.asarray(col, np.float64)
        t = self.transform
        return np.stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f], axis=-1)

    def rowcol(self, xy: Any) -> np.ndarray:
        """Fractional rows and columns of map coordinates, float64, shape (..., 2)."""
        xy = np.asarray(xy, np.float64)
        t = self.transform
        x, y = xy[..., 0] - t.c, xy[..., 1] - t.f
        det = t.a * t.e - t.b * t.d
        return np.stack([(t.a * y - t.d * x) / det, (t.e * x - t.b * y) / det], axis=-1)

    def pixel_box(self, bounds: Any) -> tuple[np.ndarray, np.ndarray]:
        """First row and column, and those after the last, of the pixels that boxes on the map touch.

        Boxes (..., 4) are smallest x, smallest y, largest x, largest y; whole numbers as float64, shape (..., 2), also
        beyond the grid.
        """
        left, bottom, right, top = np.moveaxis(np.asarray(bounds, np.float64), -1, 0)
        corners = self.rowcol(np.stack([[left, left, right, right], [bottom, top, bottom, top]], axis=-1))
        return np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))

    def window_origins(self, xy: Any, patch_size: int) -> np.ndarray:
        """First row and column of the patch about each point, int64, shape (n, 2).

        A patch with an odd number of pixels is centred on the pixel that holds the point; one with an
        even number has its centre on the pixel corner next to the point, the lower right one on a tie.
        """
        corner = self.rowcol(xy) - patch_size / 2
        return np.floor(np.clip(corner, -_FAR, _FAR) + (0.5 + _TIE)).astype(np.int64)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Smallest x, smallest y, largest x, largest y of the grid's corners."""
        rows, cols = self.shape
        corners = self.xy([0, 0, rows, rows], [0, cols, 0, cols])
        low, high = corners.min(axis=0), corners.max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    @property
    def pixel_extent(self) -> tuple[float, float]:
        """Width and height of the box about one pixel, in map units."""
        t = self.transform
        return abs(t.a) + abs(t.b), abs(t.d) + abs(t.e)

    def crop(self, window: Window) -> Grid:
        """The grid of a window."""
        return self.rescale(window.row_off, window.col_off, 1, (window.height, window.width))

    def rescale(self, row: float, col: float, step: float, shape: tuple[int, int]) -> Grid:
        """The grid whose first corner lies at (`row`, `col`) and whose pixels are `step` times as long."""
        t = self.transform
        x, y = self.xy(row, col)
        return Grid(self.crs, type(t)(t.a * step, t.b * step, float(x), t.d * step, t.e * step, float(y)), shape)

    def map_grid(self, patch_size: int, step: int) -> Grid:
        """The grid of the map made with a sliding window.

        Map pixel (i, j) is the window whose first pixel is (i * step, j * step); its centre is the
        window's centre. Every window that fits is in the map.
        """
        rows, cols = (len(origins(n, patch_size, step)) for n in self.shape)
        if min(rows, cols) < 1:
            raise SceneError(
                f"A patch of {patch_size} x {patch_size} pixels does not fit the scene of "
                f"{self.shape[0]} x {self.shape[1]} pixels. Use a larger scene or a smaller patch_size."
            )
        first = (patch_size - step) / 2
        return self.rescale(first, first, step, (rows, cols))


def origins(length: int, patch_size: int, step: int) -> range:
    """First pixels, along one axis, of every window that fits."""
    return range(0, max(0, length - patch_size + 1), step)


def tiles(shape: tuple[int, int], size: int) -> Iterator[Window]:
    """Cut a grid into tiles of at most `size` pixels a side, row by row, each pixel in exactly one."""
    for row in range(0, shape[0], size):
        for col in range(0, shape[1], size):
            yield Window(row, col, min(size, shape[0] - row), min(size, shape[1] - col))
