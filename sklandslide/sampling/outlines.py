"""Outlines on the ground: which points lie in polygons, and how far from them in metres."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..geodata import covered_area, ground_metric_at, polygon_areas

# Boxes about polygons are made a little wider: the scale of a map changes over the length of a landslide.
_MARGIN = 1.02


def within(geometries: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Which points lie in a polygon."""
    import shapely

    inside = np.zeros(len(xy), bool)
    shapely.prepare(geometries)
    point, polygon = shapely.STRtree(geometries).query(shapely.points(xy))
    inside[point[shapely.contains_xy(geometries[polygon], *xy[point].T)]] = True
    return inside


class Outlines:
    """Polygons, part by part, with distances in metres on the ground.

    Each part is measured in a plane of its own, in which metres near the part are metres on the ground: the map's
    coordinates times a matrix. `owner` is the polygon of each part.
    """

    def __init__(self, geometries: np.ndarray, grid: Any) -> None:
        import shapely

        self.parts, self.owner = shapely.get_parts(geometries, return_index=True)
        self._metric = ground_metric_at(grid, shapely.get_coordinates(shapely.centroid(self.parts)))
        # distances go with the inverse of the metric of gradients
        self._to_plane = np.swapaxes(np.linalg.cholesky(np.linalg.inv(self._metric)), -1, -2)
        self._planar = self._transformed(self.parts, self._to_plane)

    def boxes(self, metres: float) -> np.ndarray:
        """Boxes on the map, (n, 4), about what lies within a distance of each part."""
        import shapely

        reach = _MARGIN * metres * np.sqrt(np.diagonal(self._metric, axis1=1, axis2=2))
        return shapely.bounds(self.parts) + np.concatenate([-reach, reach], axis=1)

    def nearest(self, xy: np.ndarray, metres: float) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the nearest part and its number; infinite, and -1, where none lies within `metres`."""
        import shapely

        tree = shapely.STRtree(shapely.box(*self.boxes(metres).T))
        point, part = tree.query(shapely.points(xy))
        planar = np.einsum("nij,nj->ni", self._to_plane[part], xy[point])
        apart = shapely.distance(shapely.points(planar), self._planar[part])
        order = np.lexsort((part, apart, point))
        order = order[apart[order] <= metres]
        found, first = np.unique(point[order], return_index=True)
        distance, number = np.full(len(xy), np.inf), np.full(len(xy), -1)
        distance[found], number[found] = apart[order[first]], part[order[first]]
        return distance, number

    def buffered(self, metres: float) -> np.ndarray:
        """The parts and what lies within a distance of each, as polygons on the map."""
        import shapely

        return self._transformed(shapely.buffer(self._planar, metres), np.linalg.inv(self._to_plane))

    @staticmethod
    def _transformed(geometries: np.ndarray, matrices: np.ndarray) -> np.ndarray:
        import shapely

        xy, which = shapely.get_coordinates(geometries, return_index=True)
        return shapely.set_coordinates(geometries.copy(), np.einsum("nij,nj->ni", matrices[which], xy))


@dataclass(frozen=True)
class Ground:
    """The ground that samples are drawn from: the scene, or what of it lies in `extent`, without `exclude`."""

    grid: Any
    extent: np.ndarray | None = None
    exclude: np.ndarray | None = None

    def refuse(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which points lie outside the extent, and which others on what is excluded."""
        none = np.zeros(len(xy), bool)
        off = none if self.extent is None else ~within(self.extent, xy)
        return off, none if self.exclude is None else within(self.exclude, xy) & ~off

    @cached_property
    def area(self) -> float:
        """Square metres."""
        return covered_area(np.array([self._region]), self.grid)

    def covered(self, geometries: np.ndarray) -> float:
        """Square metres that polygons cover; what lies on several counts once."""
        import shapely

        clipped = self._clipped(geometries)
        return covered_area(clipped[~shapely.is_empty(clipped)], self.grid)

    def each(self, geometries: np.ndarray) -> np.ndarray:
        """Square metres that each polygon covers."""
        import shapely

        clipped = self._clipped(geometries)
        out, some = np.zeros(len(clipped)), ~shapely.is_empty(clipped)
        out[some] = polygon_areas(clipped[some], self.grid)
        return out

    @cached_property
    def _region(self) -> Any:
        import shapely

        rows, cols = self.grid.shape
        region = shapely.polygons(self.grid.xy([0, 0, rows, rows], [0, cols, cols, 0]))
        if self.extent is not None:
            region = shapely.intersection(region, shapely.union_all(self.extent))
        if self.exclude is not None:
            region = shapely.difference(region, shapely.union_all(self.exclude))
        shapely.prepare(region)
        return region

    def _clipped(self, geometries: np.ndarray) -> np.ndarray:
        import shapely

        out = np.array(geometries, dtype=object)
        cut = ~shapely.contains_properly(self._region, out)
        out[cut] = shapely.intersection(out[cut], self._region)
        return out
