"""From polygons to samples: X (Locations), y and groups."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..composites import band_inputs, resolve_composite
from ..exceptions import InventoryError, NoValidDataError, SamplingWarning, SceneError
from ..geodata import (
    Inventory,
    beside,
    covered_area,
    evenly,
    grid_area,
    polygon_areas,
    read_inventory,
    require_power,
)
from .locations import Locations, valid_patches

_log = logging.getLogger("sklandslide")


@dataclass(frozen=True)
class SamplingReport:
    """How many candidates became samples, and why the others did not.

    Attributes
    ----------
    candidates, accepted : int
    outside : int
        The patch does not fit the scene.
    nodata : int
        The patch holds nodata.
    surplus : int
        Left out by `max_per_polygon` or `balance`.
    empty_polygons : tuple
        Ids of the polygons that gave no sample because all their candidates lay outside or held nodata.
    """

    candidates: int
    accepted: int
    outside: int
    nodata: int
    surplus: int
    empty_polygons: tuple

    def __str__(self) -> str:
        return (
            f"{self.accepted} samples of {self.candidates} candidates; refused: {self.outside} whose patch does not "
            f"fit the scene, {self.nodata} with nodata, {self.surplus} over the limits asked for; "
            f"{len(self.empty_polygons)} polygons gave none"
        )


def sample_polygons(
    scene: Any,
    polygons: Any,
    *,
    layer: str | None = None,
    class_column: str | None = "class",
    positive: Any = "landslide",
    id_column: str | None = "id",
    patch_size: int | Iterable[int] = 25,
    stride: int | None = None,
    bands: str | Sequence[str] | None = None,
    balance: bool = False,
    max_per_polygon: int | None = None,
    random_state: Any = None,
    return_report: bool = False,
) -> Any:
    """Sample many patches per polygon, on a lattice of the given stride (section 3.1 of the paper).

    Candidates are the pixels of a regular lattice whose centres lie in a polygon; a polygon that no lattice point
    falls into gives its representative point. A candidate becomes a sample if its patch fits the scene and holds no
    nodata.

    Parameters
    ----------
    scene : Scene
    polygons : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
        Of both classes, in any coordinate system. What carries none is taken to be in the scene's.
    layer : str or None, default=None
        Layer of a file of polygons that has several.
    class_column : str or None, default="class"
        Column of the class. None takes every polygon as a landslide.
    positive : object, default="landslide"
        The class that gets label 1; every other one gets 0.
    id_column : str or None, default="id"
        Column of unique polygon identifiers; polygons are numbered from 0 where there is none.
    patch_size : int or iterable of int, default=25
        Pixels a side; the largest counts where a search over several is meant.
    stride : int, default=None
        Distance of lattice points in pixels; half of the patch by default.
    bands : str or sequence of str, default=None
        A composite or list of bands that must be free of nodata; all bands of the scene by default.
    balance : bool, default=False
        Whether to draw, from the larger class, as many samples at random as the smaller has.
    max_per_polygon : int, default=None
        At most so many samples of a polygon, drawn at random.
    random_state : int, RandomState instance or None, default=None
        Draws for `balance` and `max_per_polygon`.
    return_report : bool, default=False
        Whether to return the `SamplingReport` as well. It is always logged to the logger ``sklandslide``.

    Returns
    -------
    X : Locations of shape (n_samples, 2)
        Centres of the samples. ``X.area`` is the ground in square metres that each stands for: the area of the
        landslides in the scene is shared out over the landslide samples, those of one polygon alike, and the rest of
        the scene over the others.
    y : ndarray of shape (n_samples,), int64
        1 for landslide, 0 otherwise.
    groups : ndarray of shape (n_samples,)
        Identifier of each sample's polygon.
    report : SamplingReport
        Only if `return_report`.

    Raises
    ------
    InventoryError
        If the polygons cannot be used, all lie outside the scene, or one class is missing or gives no sample.
    NoValidDataError
        If every candidate that fits the scene holds nodata.
    SceneError
        If the patch does not fit the scene or a size is not a positive whole number.

    Warns
    -----
    SamplingWarning
        If some polygons give no sample.

    Examples
    --------
    >>> from sklandslide import make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(300, 300), random_state=1)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=15, balance=True, random_state=0)
    >>> X.shape == (len(y), 2) == (len(groups), 2), float(y.mean())
    (True, 0.5)
    """
    sizes = patch_size if isinstance(patch_size, Iterable) else [patch_size]
    size = max(_positive(size, "patch_size") for size in sizes)
    stride = _positive((size + 1) // 2 if stride is None else stride, "stride")
    if max_per_polygon is not None:
        _positive(max_per_polygon, "max_per_polygon")
    if size > min(scene.grid.shape):
        raise SceneError(
            f"A patch of {size} x {size} pixels does not fit the scene of {scene.grid.shape[0]} x "
            f"{scene.grid.shape[1]} pixels. Use a larger scene or a smaller patch_size."
        )
    inventory = read_inventory(
        polygons, scene.grid.crs, layer=layer, class_column=class_column, positive=positive, id_column=id_column
    )
    if class_column is not None and inventory.labels.all():
        raise InventoryError(
            f"All {len(inventory.ids)} polygons have {class_column} == {positive!r}; a classifier needs both classes. "
            "Add polygons of other ground, or pass class_column=None to sample landslides alone."
        )
    inventory = replace(inventory, geometries=beside(inventory.geometries, scene.grid))
    points = [_lattice_points(scene.grid, geometry, size, stride) for geometry in inventory.geometries]
    X = Locations(scene, np.concatenate(points))
    polygon = np.repeat(np.arange(len(points)), [len(some) for some in points])
    labels = inventory.labels[polygon]
    fits, valid = _valid(X, size, bands, inventory)
    keep = _draw(valid, polygon, labels, balance, max_per_polygon, check_random_state(random_state))
    empty = np.setdiff1d(np.arange(len(inventory.ids)), polygon[valid])
    report = SamplingReport(
        candidates=len(X),
        accepted=len(keep),
        outside=int((~fits).sum()),
        nodata=int((fits & ~valid).sum()),
        surplus=int(valid.sum()) - len(keep),
        empty_polygons=tuple(inventory.ids[empty].tolist()),
    )
    _log.info("%s", report)
    if len(empty):
        warnings.warn(
            f"{len(empty)} of {len(inventory.ids)} polygons give no sample: their patches of {size} pixels do not fit "
            f"the scene or hold nodata. {report}.",
            SamplingWarning,
            stacklevel=2,
        )
    missing = {0, 1} - set(labels[keep].tolist()) if class_column is not None else set()
    if missing:
        raise InventoryError(
            f"No sample of class {missing.pop()} (1 = {positive!r}) is left: {report}. Use a smaller patch_size, or "
            "polygons farther from the scene's edge and from nodata."
        )
    areas = _areas(scene.grid, inventory, polygon[keep])
    result = Locations(scene, X.xy[keep], areas), labels[keep], inventory.ids[polygon[keep]]
    return (*result, report) if return_report else result


def _positive(value: Any, name: str) -> int:
    if not isinstance(value, Integral) or value < 1:
        raise SceneError(f"{name}={value!r}: give a whole number of pixels or samples, at least 1.")
    return int(value)


def _lattice_points(grid: Any, geometry: Any, size: int, stride: int) -> np.ndarray:
    """Centres of the candidates' pixels in a polygon."""
    import shapely

    left, bottom, right, top = geometry.bounds
    corners = grid.rowcol([[left, bottom], [left, top], [right, bottom], [right, top]])
    # Beyond the scene's edge, candidates within one patch of it are enough to be counted as refused.
    beyond = np.array(grid.shape) + size
    low = np.clip(np.floor(corners.min(axis=0)), -size, beyond).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), -size, beyond).astype(int)
    rows, cols = (np.arange(-(-a // stride) * stride, b, stride) for a, b in zip(low, high, strict=True))
    points = grid.xy(rows[:, None] + 0.5, cols[None, :] + 0.5).reshape(-1, 2)
    shapely.prepare(geometry)
    points = points[shapely.contains_xy(geometry, points[:, 0], points[:, 1])]
    if len(points):
        return points
    inner = geometry.representative_point()
    row, col = np.floor(grid.rowcol([inner.x, inner.y])) + 0.5
    return grid.xy([row], [col])


def _valid(
    X: Locations, size: int, bands: str | Sequence[str] | None, inventory: Inventory
) -> tuple[np.ndarray, np.ndarray]:
    """Which candidates fit the scene, and which of these hold no nodata; refused if there is none."""
    import shapely

    (scene,) = X.scenes
    wanted = scene.bands if bands is None else resolve_composite(bands, scene.bands)
    needed = tuple(dict.fromkeys(name for band in wanted for name in band_inputs(band)))
    fits, valid = valid_patches(X, size, needed)
    if not fits.any():
        raise InventoryError(
            f"No sample fits the scene: the polygons cover {shapely.total_bounds(inventory.geometries).tolist()} "
            f"and the scene {scene.grid.bounds} (left, bottom, right, top), and a patch has {size} pixels a side. "
            "Check the polygons' coordinate system and place."
        )
    if not valid.any():
        some = scene.grid.rowcol(X.xy[fits][evenly(int(fits.sum()))])
        require_power(scene, needed, *np.floor(some).astype(int).T.tolist())
        raise NoValidDataError(
            f"All {int(fits.sum())} candidates hold nodata in a patch of {size} pixels. Check the nodata values of the "
            "rasters, or name with bands= only the bands that you need."
        )
    return fits, valid


def _areas(grid: Any, inventory: Inventory, polygon: np.ndarray) -> np.ndarray:
    """Square metres of ground that each sample stands for, given the polygon of each; they add up to the scene's."""
    import shapely

    landslide = inventory.labels[polygon] == 1
    sampled = np.unique(polygon[landslide])
    rows, cols = grid.shape
    scene = shapely.polygons(grid.xy([0, 0, rows, rows], [0, cols, cols, 0]))
    own = np.zeros(len(inventory.ids))
    own[sampled] = polygon_areas(shapely.intersection(inventory.geometries[sampled], scene), grid)
    covered = covered_area(inventory.geometries[inventory.labels == 1], grid)
    out = own[polygon] / np.bincount(polygon)[polygon]
    # Landslides that overlap count once, and those without a sample are spoken for by the others.
    out[landslide] *= covered / out[landslide].sum()
    out[~landslide] = max(grid_area(grid) - covered, 0.0) / max((~landslide).sum(), 1)
    return out


def _draw(
    valid: np.ndarray,
    polygon: np.ndarray,
    labels: np.ndarray,
    balance: bool,
    max_per_polygon: int | None,
    random: np.random.RandomState,
) -> np.ndarray:
    """Positions of the candidates to keep, in order."""
    keep = np.flatnonzero(valid)
    if max_per_polygon is not None:
        shuffled = random.permutation(keep)
        shuffled = shuffled[np.argsort(polygon[shuffled], kind="stable")]
        owner = polygon[shuffled]
        rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
        keep = np.sort(shuffled[rank < max_per_polygon])
    if balance:
        ones, zeros = keep[labels[keep] == 1], keep[labels[keep] == 0]
        count = min(len(ones), len(zeros))
        drawn = [random.choice(part, count, replace=False) for part in (ones, zeros)]
        keep = np.sort(np.concatenate(drawn))
    return keep
