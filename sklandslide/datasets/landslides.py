"""Landslides of the simulated scene: where they start, their outlines, and the debris that lies there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import ndimage

from ..exceptions import SceneError
from ..geodata import Grid, Window
from .noise import Seeds, grow, noise_in_metres
from .terrain import FOREST, Terrain, cells, samples

# Areas in m2 that 10, 50 and 90 % of the Iburi landslides stay below (weak labels, 751 polygons and
# a rule on the image): a lognormal with a longer upper half.
AREA_PERCENTILES = (1_000.0, 4_000.0, 30_000.0)
AREA_LIMITS = (500.0, 80_000.0)
MAX_SHARE = 0.03  # of a small scene that one landslide may take
# Length over width of a lobe: the tightest box about a whole outline then has sides of 1.2 / 1.9 /
# 3.4 to one (10, 50, 90 %), against 1.1 / 1.8 / 2.9 in Iburi.
ELONGATION, ELONGATION_SPREAD = 3.8, 0.4
LOBE_AREA = 8_000.0  # m2; a landslide has one lobe and, on average, one more for each of these
# Where landslides lie: ever likelier about this slope in degrees, taken over START_SIZE metres;
# gives a median inside of about 18.7, as in Iburi. CLUSTERING is the standard deviation of the log
# density from valley to valley.
START_SLOPE, START_SLOPE_WIDTH, START_SIZE = 20.0, 2.5, 40.0
CLUSTERING = 0.8
# Metres by which outlines and debris differ (standard deviation along each axis), and over which the error changes.
SHIFT, SHIFT_SIZE = 8.0, 400.0
_STEPS = 12  # points along the path of a landslide
_ROUNDS = 30


def metric_grid(ground: Any) -> Grid:
    """Grid of the scene in metres from its upper left corner; outlines are drawn on it."""
    from affine import Affine

    north, east = ground.pixel
    return Grid(None, Affine(east, 0, 0, 0, -north, 0), ground.shape)


def draw_landslides(seeds: Seeds, ground: Any, grid: Grid, density: float) -> list[Any]:
    """Outlines of landslides in metres, at least one; those that touch are one.

    `grid` is the scene's in metres, `density` landslides per km2 before those that touch are joined.
    """
    import shapely

    extent = grid.shape[0] * grid.shape[1] * grid.pixel_extent[0] * grid.pixel_extent[1]  # m2
    starts = _Starts(seeds, ground)
    inner = shapely.box(*grid.bounds).buffer(-max(grid.pixel_extent), join_style="mitre")
    placed: list[Any] = []
    one = len(list(cells(grid.shape))) == 1
    for i, cell in enumerate(cells(grid.shape)):
        rng = (seeds / "outline" / i).rng
        weight, downhill, around = starts.of(cell)
        expected = density * extent / 1e6 * starts.share(weight)
        n = max(1, round(expected)) if one else int(expected + rng.random())
        areas = _areas(rng, n, MAX_SHARE * extent)
        for _ in range(_ROUNDS):
            if not areas.size or not weight.any():
                break
            drawn = _outlines(rng, areas, np.cumsum(weight, dtype=np.float64), downhill, grid.crop(around))
            fits = shapely.within(drawn, inner)
            placed += drawn[fits].tolist()
            areas = areas[~fits]
    if not placed:
        raise SceneError(
            f"No landslide fits the scene of {grid.shape[0]} x {grid.shape[1]} pixels of {grid.pixel_extent[0]:g} "
            "m. Use a larger shape or another random_state (with dem=, ground that has slopes)."
        )
    joined = shapely.get_parts(shapely.union_all(placed))
    # A hole that touching landslides enclose is debris as well.
    return [shapely.Polygon(part.exterior) for part in joined]


class _Starts:
    """How likely a landslide starts where."""

    def __init__(self, seeds: Seeds, ground: Any) -> None:
        self._ground, (rows, cols) = ground, ground.shape
        self._cluster = noise_in_metres(seeds / "cluster", 1200.0, 3.6, ground.pixel)
        self._margin = int(np.ceil(700.0 / min(ground.pixel)))  # a landslide, and the smoothing, beyond the cell
        some = [self.of(window)[0] for window in samples(ground.shape)]
        mean = sum(float(w.sum(dtype=np.float64)) for w in some) / sum(self._inside(w) for w in some)
        self._total = mean * rows * cols

    def _inside(self, weight: np.ndarray) -> int:
        return (weight.shape[0] - 2 * self._margin) * (weight.shape[1] - 2 * self._margin)

    def share(self, weight: np.ndarray) -> float:
        """Share of the scene's landslides that start in a cell."""
        return float(weight.sum(dtype=np.float64)) / self._total if self._total else 0.0

    def of(self, cell: Window) -> tuple[np.ndarray, np.ndarray, Window]:
        """Weight of each pixel, 0 about the cell, direction of steepest descent, and the window of both."""
        around, m = grow(cell, self._margin), self._margin
        terrain = self._ground.terrain(around)
        slope = ndimage.gaussian_filter(terrain.slope, [START_SIZE / p for p in terrain.pixel])
        steep = 1 / (1 + np.exp(-(slope - START_SLOPE) / START_SLOPE_WIDTH))
        weight = steep * np.exp(CLUSTERING * self._cluster(around)) * ((terrain.cover == FOREST) & terrain.known)
        weight[:m], weight[-m:], weight[:, :m], weight[:, -m:] = 0, 0, 0, 0
        return weight, _downhill(terrain), around


def _areas(rng: np.random.Generator, n: int, largest: float) -> np.ndarray:
    low, middle, high = np.log(AREA_PERCENTILES)
    z = rng.standard_normal(n)
    spread = np.where(z < 0, middle - low, high - middle) / 1.2816  # the 90 % quantile of a normal
    areas = np.exp(middle + spread * z)
    upper = min(AREA_LIMITS[1], largest)
    return np.clip(areas, min(AREA_LIMITS[0], upper), upper)


def _downhill(terrain: Terrain) -> np.ndarray:
    """Direction (along a row, along a column) of steepest descent at the scale of a landslide, shape (2, ...)."""
    smooth = ndimage.gaussian_filter(terrain.dem, [35.0 / p for p in terrain.pixel])
    south, east = np.gradient(smooth, *terrain.pixel)
    return np.stack([-east, -south]) / np.maximum(np.hypot(east, south), 1e-6)


def _outlines(
    rng: np.random.Generator,
    areas: np.ndarray,
    starts: np.ndarray,
    downhill: np.ndarray,
    grid: Grid,
) -> np.ndarray:
    """One outline for each area: lobes that run down the slope from heads side by side."""
    import shapely

    pixel, n = np.array(grid.pixel_extent)[:, None], areas.size  # along a row, along a column
    head = np.searchsorted(starts, rng.random(n) * starts[-1], side="right")
    row, col = np.unravel_index(np.minimum(head, starts.size - 1), grid.shape)
    lobes = 1 + rng.poisson(np.minimum(areas / LOBE_AREA, 4.0))
    of = np.repeat(np.arange(n), lobes)
    elongation = ELONGATION * np.exp(ELONGATION_SPREAD * rng.standard_normal(of.size))
    elongation = np.clip(elongation, 1.5, 9.0)
    width = np.sqrt(areas[of] / lobes[of] / (0.85 * elongation))
    step = (elongation - 1) * width / (_STEPS - 1)
    side = downhill[::-1, row, col] * np.array([[-1.0], [1.0]])  # along the contour line
    place = rng.uniform(-0.6, 0.6, of.size) * lobes[of] * width
    heads = np.stack([col, row])[:, of] + 0.5 + side[:, of] * place * (lobes[of] > 1) / pixel
    # The pixel drawn for its slope is the middle of the landslide, not its head.
    heads -= downhill[:, row, col][:, of] * step * (_STEPS - 1) / 2 / pixel
    path = _descend(rng, heads, step / pixel, downhill)
    bodies = _widen(rng, grid.xy(path[1].T, path[0].T), width)
    first = np.searchsorted(of, np.arange(n + 1))
    joined = [shapely.union_all(bodies[a:b]) for a, b in pairwise(first)]
    outlines = [_to_area(body, area) for body, area in zip(joined, areas, strict=True)]
    return np.array(outlines, dtype=object)


def _widen(rng: np.random.Generator, path: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Polygons about paths (n, steps, 2) in map coordinates, of a width that wavers along them."""
    import shapely

    n = len(path)
    along = np.linspace(0, 1, _STEPS)
    waver = ndimage.gaussian_filter1d(rng.standard_normal((n, _STEPS)), 0.8, axis=1)
    aside = ndimage.gaussian_filter1d(rng.standard_normal((n, _STEPS, 2)), 0.8, axis=1)
    profile = (0.55 + 0.6 * np.sin(np.pi * along) ** 0.7) * np.exp(0.4 * waver)
    centres = shapely.points(path + 0.25 * width[:, None, None] * aside)
    discs = shapely.buffer(centres, 0.5 * width[:, None] * profile, quad_segs=6)
    pairs = np.stack([discs[:, :-1], discs[:, 1:]], axis=-1)
    return shapely.union_all(shapely.convex_hull(shapely.union_all(pairs, axis=-1)), axis=1)


def _descend(rng: np.random.Generator, head: np.ndarray, step: np.ndarray, downhill: np.ndarray) -> np.ndarray:
    """Follow the slope from each head; (column, row) of every point, shape (2, steps, n)."""
    limit = np.array(downhill.shape[:0:-1])[:, None] - 1  # columns, rows
    points = [head]
    col, row = np.clip(head.astype(np.intp), 0, limit)
    heading = downhill[:, row, col] + 0.2 * rng.standard_normal(head.shape)
    for _ in range(_STEPS - 1):
        col, row = np.clip(points[-1].astype(np.intp), 0, limit)
        heading = 0.7 * heading + 0.3 * downhill[:, row, col]  # debris does not turn at once
        heading /= np.maximum(np.hypot(*heading), 1e-12)
        points.append(points[-1] + step * heading)
    return np.stack(points, axis=1)


def _to_area(body: Any, area: float) -> Any:
    from shapely import Polygon, affinity

    largest = max(getattr(body, "geoms", [body]), key=lambda part: part.area)
    body = Polygon(largest.exterior)
    factor = np.sqrt(area / body.area)
    return affinity.scale(body, factor, factor).simplify(1.0)


class Footprint:
    """Share of each pixel that is fresh debris, 0 to 1, float32; any window of it.

    The ground truth of the pictures: the inventory's outlines follow it only roughly, as drawn by
    hand. Edges are mixed pixels and frayed, and islands of trees stay inside.
    """

    _oversample = 4

    def __init__(self, seeds: Seeds, outlines: list[Any], grid: Grid) -> None:
        import shapely

        self._outlines, self._grid = np.array(outlines, dtype=object), grid
        self._tree = shapely.STRtree(self._outlines)
        east, north = grid.pixel_extent
        self._fray = noise_in_metres(seeds / "fray", 60.0, 2.5, (north, east))
        self._shift = [noise_in_metres(seeds / "shift" / i, SHIFT_SIZE, 4.0, (north, east)) for i in range(2)]
        self._shift_size = SHIFT / north, SHIFT / east
        self._margin = 3 + int(np.ceil(5 * max(self._shift_size)))

    def __call__(self, window: Window) -> np.ndarray:
        import shapely
        from rasterio.features import rasterize

        wide, n, m = grow(window, self._margin), self._oversample, self._margin
        there = self._tree.query(shapely.box(*self._grid.crop(wide).bounds))
        if not there.size:
            return np.zeros((window.height, window.width), np.float32)
        rows, cols = wide.height, wide.width
        fine = self._grid.rescale(wide.row_off, wide.col_off, 1 / n, (rows * n, cols * n))
        mask = rasterize(self._outlines[np.sort(there)], out_shape=fine.shape, transform=fine.transform, dtype="uint8")
        share = mask.reshape(rows, n, cols, n).mean((1, 3), dtype=np.float32)
        # Drawn by hand on another image: the outline is off by some metres, here to one side, there to another.
        place = [
            np.arange(size).reshape(shape) + scale * shift(wide)
            for size, shape, scale, shift in zip(
                (rows, cols), ((-1, 1), (1, -1)), self._shift_size, self._shift, strict=True
            )
        ]
        share = ndimage.map_coordinates(share, place, order=1, mode="constant")
        share = ndimage.gaussian_filter(share, 0.5)
        share = np.clip(share + 0.15 * self._fray(wide) * np.sqrt(share), 0, 1) * (share > 0.02)
        return share[m:-m, m:-m]
