"""Landslide objects: red areas that are joined, measured on the ground and ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, sparse

from ..exceptions import SceneError
from ..geodata import Grid, Scene, Window, ground_area, ground_metric_at, tiles

if TYPE_CHECKING:
    import geopandas

# Pixels a side of the parts of a map that are looked at together.
_PART = 256


def landslide_objects(
    grid: Grid, probability: np.ndarray, red: np.ndarray, join_m: float, min_area_m2: float, scene: Scene | None
) -> geopandas.GeoDataFrame:
    """Outline red areas, joined where they are closer than `join_m`, with what a field team asks of them."""
    import geopandas

    areas, n_areas = ndimage.label(red)
    areas = areas.astype(np.int32, copy=False)
    owner = _joined(grid, areas, n_areas, join_m)
    n_objects = owner.max(initial=-1) + 1
    square_metres = np.bincount(owner, ground_area(grid, areas, n_areas)[1:], n_objects)
    kept = square_metres >= min_area_m2
    of_pixel, values = owner[areas[red] - 1], probability[red]
    highest = np.zeros(n_objects, np.float32)
    np.maximum.at(highest, of_pixel, values)
    columns = {
        "probability": np.bincount(of_pixel, values, n_objects) / np.bincount(of_pixel, minlength=n_objects),
        "probability_max": highest.astype(np.float64),
        "area_m2": square_metres,
    }
    if scene is not None:
        columns["slope"] = _mean_slope(scene, grid, areas, owner)
    columns = {name: column[kept] for name, column in columns.items()}
    geometry = _outlines(grid, areas, np.where(kept, np.cumsum(kept), 0)[owner], many=join_m > 0)
    expected = columns["probability"] * columns["area_m2"]
    rank = np.empty(len(geometry), np.int64)
    rank[np.argsort(-expected, kind="stable")] = np.arange(1, len(geometry) + 1)
    first = {"id": np.arange(1, len(geometry) + 1), "rank": rank}
    frame = geopandas.GeoDataFrame({**first, **columns}, geometry=geometry, crs=grid.crs)
    frame.insert(frame.columns.get_loc("area_m2") + 1, "length_m", _lengths(geometry, grid))
    return frame


def _joined(grid: Grid, areas: np.ndarray, n_areas: int, join_m: float) -> np.ndarray:
    """Number of the object that each area belongs to, from 0, in the order of the areas."""
    if not join_m:
        return np.arange(n_areas)
    rows, cols = areas.shape
    edge = np.flatnonzero(_edge(areas > 0))
    own = areas.ravel()[edge]
    row, col = np.divmod(edge, cols)
    across, skew, down = _pixel_metric(grid, edge)
    determinant = across * down - skew**2
    # a gap is the distance between pixels' sides, one less than that between their centres
    far = [int(join_m * np.sqrt((m / determinant).max(initial=0))) + 1 for m in (across, down)]
    pairs = [np.empty((0, 2), np.int64)]
    for by_row in range(far[0] + 1):
        for by_col in range(-far[1] if by_row else 1, far[1] + 1):
            y, x = max(by_row - 1, 0), np.sign(by_col) * max(abs(by_col) - 1, 0)
            near = across * x**2 + 2 * skew * x * y + down * y**2 < join_m**2
            near &= (row + by_row < rows) & (col + by_col >= 0) & (col + by_col < cols)
            pair = np.stack([own[near], areas.ravel()[edge[near] + by_row * cols + by_col]], axis=1)
            pairs.append(np.unique(pair[(pair[:, 1] > 0) & (pair[:, 0] != pair[:, 1])], axis=0))
    one, other = np.concatenate(pairs).T - 1
    graph = sparse.coo_array((np.ones(len(one)), (one, other)), shape=(n_areas, n_areas))
    return sparse.csgraph.connected_components(graph, directed=False)[1]


def _edge(red: np.ndarray) -> np.ndarray:
    """Red pixels with a neighbour that is not: what is nearest to another area is among them."""
    inner = red.copy()
    inner[1:] &= red[:-1]
    inner[:-1] &= red[1:]
    inner[:, 1:] &= red[:, :-1]
    inner[:, :-1] &= red[:, 1:]
    return red & ~inner


def _outlines(grid: Grid, areas: np.ndarray, numbers: np.ndarray, many: bool) -> np.ndarray:
    """Outlines of objects 1 to n, given the object of each area (0 for none): polygons, or `many` in each."""
    import shapely
    from rasterio.features import shapes
    from shapely.geometry import shape

    of_area = np.concatenate([[0], numbers])
    found = list(shapes(areas, mask=(of_area > 0)[areas], connectivity=4, transform=grid.transform))
    numbers = of_area[[int(area) for _, area in found]] if found else np.empty(0, np.int64)
    order = np.argsort(numbers, kind="stable")
    outlines = np.array([shape(outline) for outline, _ in found], dtype=object)[order]
    return shapely.multipolygons(outlines, indices=numbers[order] - 1) if many and found else outlines


def _lengths(geometry: np.ndarray, grid: Grid) -> np.ndarray:
    """Longer side of the smallest rectangle about each object, in metres on the ground.

    An object is measured with the pixel under its middle: over its length the size of a pixel does not change.
    """
    import shapely

    if not len(geometry):
        return np.empty(0)
    hulls = shapely.convex_hull(geometry)
    middle = np.floor(grid.rowcol(shapely.get_coordinates(shapely.centroid(hulls)))).astype(np.int64)
    row, col = np.clip(middle, 0, np.subtract(grid.shape, 1)).T
    across, skew, down = _pixel_metric(grid, row * grid.shape[1] + col)
    places, hull = shapely.get_coordinates(hulls, return_index=True)
    y, x = grid.rowcol(places).T
    # axes at right angles on the ground, the first along the pixels' rows
    east = np.sqrt(across)[hull] * x + (skew / np.sqrt(across))[hull] * y
    north = np.sqrt(down - skew**2 / across)[hull] * y
    boxes = shapely.oriented_envelope(shapely.set_coordinates(hulls, np.stack([east, north], axis=1)))
    corners = shapely.get_coordinates(boxes).reshape(len(boxes), 5, 2)
    return np.hypot(*np.moveaxis(np.diff(corners[:, :3], axis=1), 2, 0)).max(axis=1)


def _pixel_metric(grid: Grid, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ground's metric in pixels, at flat indices: a way of x columns and y rows, ground length by its square.

    ``across * x**2 + 2 * skew * x * y + down * y**2``, in square metres.
    """
    row, col = np.divmod(pixels, grid.shape[1])
    t = grid.transform
    step = np.array([[t.a, t.b], [t.d, t.e]])
    # the metric is of changes per metre: that of lengths is its inverse
    metric = step.T @ np.linalg.inv(ground_metric_at(grid, grid.xy(row + 0.5, col + 0.5))) @ step
    return metric[:, 0, 0], metric[:, 0, 1], metric[:, 1, 1]


def _mean_slope(scene: Scene, grid: Grid, areas: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Mean of the scene's slope at the centres of each object's pixels; NaN where it is known at none."""
    if scene.grid.crs != grid.crs:
        names = ["no CRS" if g.crs is None else g.crs.to_string() for g in (scene.grid, grid)]
        raise SceneError(
            f"The scene has {names[0]} and the map {names[1]}; they must have the same for slopes. Give the scene that "
            "the map was made from, or one in the map's CRS."
        )
    n_objects = owner.max(initial=-1) + 1
    total, count = np.zeros(n_objects), np.zeros(n_objects)
    scene.read("Slope", Window(0, 0, 1, 1))  # whether there is one, also where nothing is red
    for part in tiles(grid.shape, _PART):
        rows, cols = np.nonzero(areas[part.slices])
        at = np.floor(scene.grid.rowcol(grid.xy(rows + part.row_off + 0.5, cols + part.col_off + 0.5))).astype(int)
        inside = ((at >= 0) & (at < scene.grid.shape)).all(axis=1)
        if not inside.any():
            continue
        at, of_pixel = at[inside], owner[areas[part.slices][rows[inside], cols[inside]] - 1]
        low, high = at.min(axis=0), at.max(axis=0) + 1
        slope = scene.read("Slope", Window(*low.tolist(), *(high - low).tolist()))[*(at - low).T, 0]
        known = np.isfinite(slope)
        total += np.bincount(of_pixel[known], slope[known], n_objects)
        count += np.bincount(of_pixel[known], minlength=n_objects)
    return np.divide(total, count, out=np.full(n_objects, np.nan), where=count > 0)
