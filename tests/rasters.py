"""Rasters for the tests: written to a folder, or computed from a function of map coordinates."""

import numpy as np
import rasterio
from affine import Affine
from rasterio.warp import transform as transform_points

from sklandslide.geodata.grid import Grid

UTM = "EPSG:32654"  # Hokkaido, the paper's study area
TRANSFORM = Affine(10, 0, 600_000, 0, -10, 4_740_000)


def write(path, pixels, *, transform=TRANSFORM, crs=UTM, mask=None, **profile):
    """Write a 2-D array, or a (bands, rows, cols) stack, as a GeoTIFF and return its path."""
    pixels = np.asarray(pixels)
    stack = pixels[None] if pixels.ndim == 2 else pixels
    if transform is not None:
        profile["transform"] = transform
    count, height, width = stack.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=stack.dtype.name, crs=crs, **profile
    ) as dataset:
        dataset.write(stack)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def rotated(x, y, degrees, size):
    """Pixels of a size in metres, turned about the grid's first corner (by the numbers: the operator is affine 3's)."""
    cos, sin = size * np.cos(np.deg2rad(degrees)), size * np.sin(np.deg2rad(degrees))
    return Affine(cos, sin, x, sin, -cos, y)


def centres(grid, crs=None):
    """x and y of the pixel centres, each of the grid's shape, in the grid's coordinates or in `crs`."""
    rows, cols = np.mgrid[: grid.shape[0], : grid.shape[1]] + 0.5
    xy = grid.xy(rows, cols)
    if crs is None:
        return xy[..., 0], xy[..., 1]
    x, y = transform_points(grid.crs, crs, xy[..., 0].ravel(), xy[..., 1].ravel())
    return np.reshape(x, grid.shape), np.reshape(y, grid.shape)


def grid_of(crs, transform, shape):
    """A Grid, the coordinate system given in any form."""
    return Grid(None if crs is None else rasterio.crs.CRS.from_user_input(crs), transform, shape)


def same(a, b):
    """Whether two arrays are the same bit for bit, NaN included."""
    return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)


def random_windows(rng, shape, n):
    """`n` windows as ((row, row), (col, col)) that lie on a grid of `shape`, the whole and the corners among them."""
    rows, cols = shape
    fixed = [
        ((0, rows), (0, cols)),
        ((0, 1), (0, 1)),
        ((rows - 1, rows), (cols - 1, cols)),
        ((0, rows), (cols - 1, cols)),
        ((rows - 1, rows), (0, cols)),
    ]
    drawn = []
    for _ in range(n):
        r = np.sort(rng.choice(rows + 1, 2, replace=False)).tolist()
        c = np.sort(rng.choice(cols + 1, 2, replace=False)).tolist()
        drawn.append((tuple(r), tuple(c)))
    return fixed + drawn
