"""Areas on the ground: of pixels, of polygons, and of what polygons cover of each pixel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .grid import Grid, Window
from .terrain import square_metres_per_unit

# Areas are summed in blocks of about this many pixels, to bound the memory.
_BLOCK = 1 << 20
# A share of a pixel that is none.
_ROUNDING = 1e-9


def ground_area(grid: Grid, areas: np.ndarray, n_areas: int) -> np.ndarray:
    """Square metres on the ground of the pixels with each number in `areas`, 0 to `n_areas`.

    Without a CRS the grid's units are taken as metres.
    """
    out = np.zeros(n_areas + 1)
    for block in _row_blocks(grid):
        out += np.bincount(areas[block.slices].ravel(), _block_areas(grid, block).ravel(), n_areas + 1)
    return out


def pixel_areas(grid: Grid, pixels: np.ndarray) -> np.ndarray:
    """Square metres on the ground of each of the pixels, given by flat indices."""
    out, order, cols = np.empty(len(pixels)), np.argsort(pixels), grid.shape[1]
    for block in _row_blocks(grid):
        first = block.row_off * cols
        ends = np.searchsorted(pixels, [first, first + block.height * cols], sorter=order)
        if ends[0] < ends[1]:
            here = order[slice(*ends)]
            out[here] = _block_areas(grid, block).ravel()[pixels[here] - first]
    return out


def polygon_areas(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Square metres on the ground of whole polygons, also where they reach beyond the grid.

    A polygon is measured with the pixel under its centroid, or the grid's nearest: over the length of a landslide
    the size of a pixel on the ground does not change.
    """
    import shapely

    centroids = grid.rowcol(shapely.get_coordinates(shapely.centroid(geometries)))
    row, col = np.clip(np.floor(centroids).astype(np.int64), 0, np.subtract(grid.shape, 1)).T
    return shapely.area(geometries) / _map_area(grid) * pixel_areas(grid, row * grid.shape[1] + col)


def covered_pixels(geometries: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels polygons in the grid's CRS cover: increasing flat indices, and exactly what share of each.

    Ground that lies on several polygons counts once.
    """
    pixels, shares = [np.empty(0, np.int64)], [np.empty(0)]
    for window, covered in _covered_windows(geometries, grid):
        rows, cols = np.nonzero(covered > _ROUNDING)
        pixels.append((rows + window.row_off) * grid.shape[1] + cols + window.col_off)
        shares.append(covered[rows, cols])
    return np.concatenate(pixels), np.concatenate(shares)


def covered_area(geometries: np.ndarray, grid: Grid) -> float:
    """Square metres on the ground of what polygons cover of a grid; what lies on several counts once."""
    return float(
        sum((cover * _block_areas(grid, window)).sum() for window, cover in _covered_windows(geometries, grid))
    )


def grid_area(grid: Grid) -> float:
    """Square metres on the ground of a whole grid."""
    return float(sum(_block_areas(grid, block).sum() for block in _row_blocks(grid)))


def _covered_windows(geometries: np.ndarray, grid: Grid) -> Iterator[tuple[Window, np.ndarray]]:
    """The parts of a grid that polygons reach, and what share of each pixel they cover."""
    edges = _edges(_apart(geometries), grid)
    for block in _row_blocks(grid):
        here = edges[
            (edges[..., 0].max(axis=1) > block.row_off) & (edges[..., 0].min(axis=1) < block.row_off + block.height)
        ]
        if not len(here):
            continue
        first = max(int(np.floor(here[..., 1].min())), 0)
        last = min(int(np.ceil(here[..., 1].max())), grid.shape[1])
        if last > first:
            window = Window(block.row_off, first, block.height, last - first)
            yield window, _coverage(here, window)


def _apart(geometries: np.ndarray) -> np.ndarray:
    """Polygons that cover the same ground without overlapping."""
    import shapely

    geometries = np.asarray(geometries, dtype=object)
    one, other = shapely.STRtree(geometries).query(geometries, predicate="intersects")
    touched = np.zeros(len(geometries), bool)
    touched[one[one != other]] = True
    # Most landslides touch no other, and the union of many is slow.
    parts = [shapely.get_parts(geometries[~touched]), shapely.get_parts(shapely.union_all(geometries[touched]))]
    return np.concatenate(parts)


def _edges(polygons: np.ndarray, grid: Grid) -> np.ndarray:
    """Edges of polygons, (n, 2 ends, (row, col, sign)); with the sign all rings add up to the polygons."""
    import shapely

    rings, polygon = shapely.get_rings(polygons, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    at = grid.rowcol(xy)
    joined = ring[1:] == ring[:-1]
    ring = ring[1:][joined]
    ends = np.stack([at[:-1][joined], at[1:][joined]], axis=1)
    twice_area = np.bincount(ring, ends[:, 0, 1] * ends[:, 1, 0] - ends[:, 1, 1] * ends[:, 0, 0], len(rings))
    outer = np.diff(polygon, prepend=-1) > 0  # a polygon's first ring; the others are holes
    sign = np.where(outer, -1, 1) * np.sign(twice_area)
    return np.concatenate([ends, np.broadcast_to(sign[ring, None, None], (*ends.shape[:2], 1))], axis=-1)


def _coverage(edges: np.ndarray, window: Window) -> np.ndarray:
    """Share of each pixel of a window that lies within the edges, (height, width).

    Each edge is cut where it passes from pixel to pixel. A piece covers, with its sign, what lies to the right of it
    in its row: a part of its own pixel and the whole of all further ones. Summed along the rows, pieces of both sides
    of a polygon leave what lies between them.
    """
    y, x = edges[..., 0] - window.row_off, edges[..., 1] - window.col_off
    by_row, by_col = _crossings(y[:, 0], y[:, 1], window.height), _crossings(x[:, 0], x[:, 1], window.width)
    every = np.arange(len(edges))
    number = np.concatenate([every, every, by_row[0], by_col[0]])
    cut = np.concatenate([np.zeros(len(edges)), np.ones(len(edges)), by_row[1], by_col[1]])
    order = np.lexsort((cut, number))
    number, cut = number[order], cut[order]
    whole = number[1:] == number[:-1]
    number, start, end = number[1:][whole], cut[:-1][whole], cut[1:][whole]
    middle = (start + end) / 2
    height = (end - start) * (y[number, 1] - y[number, 0]) * edges[number, 0, 2]
    row = np.floor(y[number, 0] + middle * (y[number, 1] - y[number, 0])).astype(np.int64)
    # Left of the window a piece covers whole rows of it, right of it nothing.
    at = np.clip(x[number, 0] + middle * (x[number, 1] - x[number, 0]), 0, window.width)
    col = np.floor(at).astype(np.int64)
    inside = (row >= 0) & (row < window.height)
    row, col, at, height = row[inside], col[inside], at[inside], height[inside]
    width = window.width + 2
    size = window.height * width
    out = np.bincount(row * width + col, height * (col + 1 - at), size)
    out += np.bincount(row * width + col + 1, height * (at - col), size)
    return np.clip(np.cumsum(out.reshape(window.height, width), axis=1)[:, : window.width], 0, 1)


def _crossings(start: np.ndarray, end: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Where edges cross the whole numbers 0 to `length`: numbers of edges, and positions on them, 0 to 1."""
    low = np.clip(np.ceil(np.minimum(start, end)), 0, length + 1).astype(np.int64)
    high = np.clip(np.floor(np.maximum(start, end)), -1, length).astype(np.int64)
    count = np.where(start == end, 0, np.maximum(high - low + 1, 0))
    number = np.repeat(np.arange(len(start)), count)
    line = low[number] + np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return number, (line - start[number]) / (end - start)[number]


def _map_area(grid: Grid) -> float:
    """Area of a pixel in square map units."""
    return abs(grid.transform.determinant)


def _block_areas(grid: Grid, block: Window) -> np.ndarray:
    """Square metres on the ground of each pixel of a block."""
    return np.broadcast_to(_map_area(grid) * square_metres_per_unit(grid, block), (block.height, block.width))


def _row_blocks(grid: Grid) -> Iterator[Window]:
    rows, cols = grid.shape
    height = max(1, _BLOCK // cols)
    for row in range(0, rows, height):
        yield Window(row, 0, min(height, rows - row), cols)
