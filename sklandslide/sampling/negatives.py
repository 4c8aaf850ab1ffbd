"""Negatives drawn at random: background far from landslides, and places just outside their outlines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from ..exceptions import InventoryError
from .locations import Locations, valid_patches
from .outlines import Ground, Outlines, within
from .report import NegativesReport

# Of a scene with more places than this, so many are looked at.
_PLACES = 2**21
# Places looked at together, at least.
_TOGETHER = 4096
# Background is kept together, in cross-validation, in square cells of so many patches a side.
_CELL_PATCHES = 2


@dataclass(frozen=True)
class Negatives:
    """Negatives of one kind: centres of pixels, the number of the landslide of each (edges), and what was refused."""

    kind: str
    xy: np.ndarray
    landslide: np.ndarray
    asked: int
    refused: dict[str, int]

    def report(self, drawn: int) -> NegativesReport:
        """With how many of them are left in the end."""
        refused = self.refused | {"over the limits asked for": len(self.xy) - drawn}
        return NegativesReport(self.asked, drawn, refused)

    def shortage(self) -> str:
        """What to warn of where there was less room than asked for; refused where there was none."""
        found = len(self.xy)
        if found == self.asked:
            return ""
        distance = "wider" if self.kind == "edge" else "nearer outer"
        said = (
            f"There is room for {found} of the {self.asked} negatives that {self.kind}= asks for: "
            f"{self.report(found)}. Use a smaller ratio, a {distance} edge_distance, a smaller patch_size or more "
            "ground."
        )
        if not found:
            raise InventoryError(said)
        return said


@dataclass(frozen=True)
class Drawing:
    """What the drawing of negatives needs to know.

    `distance` are the limits of edges in metres, `taken` the polygons of other classes.
    """

    scene: Any
    ground: Ground
    outlines: Outlines
    taken: np.ndarray
    distance: tuple[float, float]
    size: int
    bands: tuple[str, ...]
    random: np.random.RandomState

    def edges(self, asked: int) -> Negatives:
        """Places whose distance from the nearest landslide lies between the limits."""
        low, high = self.distance

        def choose(xy: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            apart, part = self.outlines.nearest(xy, high)
            # A place in several boxes counts in that of the nearest landslide: each is drawn alike.
            return (part == box) & (apart >= low) & (apart > 0), {}

        return self._draw("edge", asked, self.outlines.boxes(high), choose)

    def background(self, asked: int) -> Negatives:
        """Places farther from any landslide than edges are."""
        import shapely

        extent = self.ground.extent

        def choose(xy: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            near = np.isfinite(self.outlines.nearest(xy, self.distance[1])[0])
            return np.ones(len(xy), bool), {f"within {self.distance[1]:g} m of a landslide": near}

        bounds = self.scene.grid.bounds if extent is None else shapely.total_bounds(extent)
        return self._draw("background", asked, np.array([bounds]), choose)

    def _draw(self, kind: str, asked: int, boxes: np.ndarray, choose: Callable) -> Negatives:
        """Look at places in random order until there are as many as asked for."""
        xy, which = np.empty((0, 2)), np.empty(0, np.int64)
        refused: dict[str, int] = {}
        for places, box in self._places(boxes, asked):
            candidates, reasons = choose(places, box)
            off, excluded = self.ground.refuse(places)
            reasons = {"outside the extent": off, "on what is excluded": excluded, **reasons}
            reasons["on a polygon of another class"] = within(self.taken, places)
            for reason, applies in reasons.items():
                refused[reason] = refused.get(reason, 0) + int((candidates & applies).sum())
                candidates &= ~applies
            rows = np.flatnonzero(candidates)
            while len(rows) and len(xy) < asked:
                # few more than are wanted: patches have to be read
                now, rows = np.split(rows, [(asked - len(xy)) * 5 // 4 + 16])
                _, valid = valid_patches(Locations(self.scene, places[now]), self.size, self.bands)
                refused["with nodata"] = refused.get("with nodata", 0) + int((~valid).sum())
                good = now[valid][: asked - len(xy)]
                xy, which = np.concatenate([xy, places[good]]), np.concatenate([which, box[good]])
            if len(xy) == asked:
                break
        return Negatives(kind, xy, self.outlines.owner[which] if kind == "edge" else which, asked, refused)

    def _places(self, boxes: np.ndarray, asked: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Centres of pixels in boxes on the map whose patches fit the scene, in random order, and the box of each."""
        grid = self.scene.grid
        first = (self.size - 1) // 2
        last = np.array(grid.shape) - self.size + first + 1
        low, high = (np.clip(ends, first, last).astype(np.int64) for ends in grid.pixel_box(boxes))
        counts = (high - low).prod(axis=1)
        ends = np.cumsum(counts)
        count = int(ends[-1]) if len(ends) else 0
        most = max(_PLACES, 20 * asked)
        if count <= most:
            order = self.random.permutation(count)
        else:
            order = self.random.randint(count, size=most, dtype=np.int64)
            order = order[np.sort(np.unique(order, return_index=True)[1])]
        step = max(_TOGETHER, 2 * asked)
        for start in range(0, len(order), step):
            place = order[start : start + step]
            box = np.searchsorted(ends, place, side="right")
            width = (high - low)[box, 1]
            at = place - (ends - counts)[box]
            row, col = low[box, 0] + at // width, low[box, 1] + at % width
            yield grid.xy(row + 0.5, col + 0.5), box


def draw_negatives(drawing: Drawing, ratios: dict[str, float], n_slides: int) -> list[Negatives]:
    """Negatives of each kind that is asked for, by their ratio to landslide samples."""
    kinds = {"edge": drawing.edges, "background": drawing.background}
    return [kinds[name](round(ratio * n_slides)) for name, ratio in ratios.items() if round(ratio * n_slides)]


def background_groups(grid: Any, xy: np.ndarray, size: int, ids: np.ndarray) -> np.ndarray:
    """The cell of ground of each place, as an identifier that no polygon has, of the polygons' kind."""
    cell = np.floor(grid.rowcol(xy) / (_CELL_PATCHES * size)).astype(np.int64)
    _, number = np.unique(cell, axis=0, return_inverse=True)
    number = number.ravel()
    if all(isinstance(each, Number) for each in ids):
        return max(ids.tolist()) + 1 + number
    name = "background"
    while any(str(each).startswith(name) for each in ids):
        name += "_"
    return np.array([f"{name} {each}" for each in number], dtype=ids.dtype if ids.dtype == object else None)
