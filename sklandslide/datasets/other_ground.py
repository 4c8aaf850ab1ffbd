"""Polygons of other ground than landslides: boxes of forest, farmland, settlement and water."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from ..exceptions import SceneError
from ..geodata import Grid, Window
from .noise import Seeds
from .terrain import FARMLAND, FOREST, SETTLEMENT, WATER, cells

CLEARANCE = 80.0  # metres between other ground and any landslide, as in the Iburi polygons
BOX_AREA = (20_000.0, 150_000.0)  # m2; Iburi's run from 46 000 to 210 000
_SHRINK = 1.0, 0.5, 0.25, 0.12, 0.06  # tried in turn where no box fits: a small scene, many landslides
BOXES_PER_KM2 = 1.5
_COVER_SHARE = {FOREST: 0.45, FARMLAND: 0.3, SETTLEMENT: 0.15, WATER: 0.1}


def draw_boxes(seeds: Seeds, ground: Any, grid: Grid, landslides: list[Any]) -> list[Any]:
    """Boxes of forest, farmland, settlement and water, apart from each other and from landslides; all in metres."""
    import shapely

    slides = shapely.STRtree(landslides)
    for shrink in _SHRINK:
        accepted = [
            box
            for i, cell in enumerate(cells(grid.shape))
            for box in _boxes_of(cell, seeds / "box" / i / shrink, ground, grid.crop(cell), slides, shrink)
        ]
        if accepted:
            return accepted
    raise SceneError(
        f"No polygon of other ground fits {CLEARANCE:g} m away from the {len(landslides)} "
        f"landslides of the scene of {grid.shape[0]} x {grid.shape[1]} pixels of {grid.pixel_extent[0]:g} m. Use a "
        "larger shape, a lower density or another random_state."
    )


def _boxes_of(cell: Window, seeds: Seeds, ground: Any, grid: Grid, landslides: Any, shrink: float) -> list[Any]:
    """Boxes in one of the squares that a scene is made in, whose grid this is."""
    import shapely

    terrain = ground.terrain(cell)
    extent = grid.shape[0] * grid.shape[1] * grid.pixel_extent[0] * grid.pixel_extent[1]  # m2
    inner = shapely.box(*grid.bounds).buffer(-max(grid.pixel_extent), join_style="mitre")
    inside: list[Any] = []
    for cover, share in _COVER_SHARE.items():
        quota = max(1, round(share * BOXES_PER_KM2 * extent / 1e6))
        where = _mostly((terrain.cover == cover) & terrain.known, grid.pixel_extent[0])
        boxes = _candidates((seeds / cover).rng, where, grid, 100 * quota, shrink)
        boxes = boxes[shapely.within(boxes, inner)]
        near = landslides.query(boxes, predicate="dwithin", distance=CLEARANCE)[0]
        inside += _apart(np.delete(boxes, np.unique(near)), quota, inside)
    return inside


def _mostly(ground: np.ndarray, pixel: float) -> np.ndarray:
    """Pixels about which at least 70 % within a small box is that ground."""
    size = max(1, round(BOX_AREA[0] ** 0.5 / pixel))
    return ndimage.uniform_filter(ground.astype(np.float32), size, mode="nearest") > 0.7


def _candidates(rng: np.random.Generator, ground: np.ndarray, grid: Grid, n: int, shrink: float) -> np.ndarray:
    """Boxes of random size, sides and bearing with their centres on the ground."""
    import shapely

    (where,) = np.nonzero(ground.ravel())
    if not where.size:
        return np.empty(0, dtype=object)
    row, col = np.unravel_index(rng.choice(where, n), grid.shape)
    area = shrink * np.exp(rng.uniform(np.log(BOX_AREA[0]), np.log(BOX_AREA[1]), n))
    ratio = np.sqrt(rng.uniform(1, 2.2, n))
    half = 0.5 * np.sqrt(area) * np.stack([ratio, 1 / ratio])
    angle = rng.uniform(0, np.pi, n)
    along = half[0] * np.stack([np.cos(angle), np.sin(angle)])
    aside = half[1] * np.stack([-np.sin(angle), np.cos(angle)])
    corners = np.stack([along + aside, along - aside, -along - aside, aside - along])
    return shapely.polygons(grid.xy(row + 0.5, col + 0.5)[:, None] + corners.transpose(2, 0, 1))


def _apart(boxes: np.ndarray, quota: int, others: list[Any]) -> list[Any]:
    """Choose the first boxes, up to the quota, that overlap neither each other nor the others."""
    import shapely

    chosen: list[Any] = []
    for box in boxes:
        if len(chosen) == quota:
            break
        if not shapely.intersects(box, others + chosen).any():
            chosen.append(box)
    return chosen
