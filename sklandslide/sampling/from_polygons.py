"""From polygons to samples: X (Locations), y and groups."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..exceptions import InventoryError, NoValidDataError, SamplingWarning
from ..geodata import Inventory, beside, evenly, read_inventory, require_power
from .areas import sample_areas
from .locations import Locations, valid_patches
from .negatives import Drawing, Negatives, background_groups, draw_negatives
from .options import distances, needed_bands, ratios_of, region_of, sizes_of
from .outlines import Ground, Outlines, within
from .report import SamplingReport

_log = logging.getLogger("sklandslide")


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
    background: float | None = None,
    edge: float | None = None,
    edge_distance: tuple[float, float] = (5.0, 125.0),
    extent: Any = None,
    exclude: Any = None,
    radius: float | None = None,
    random_state: Any = None,
    return_report: bool = False,
) -> Any:
    """Sample many patches per polygon, on a lattice of the given stride (section 3.1 of the paper).

    Candidates are the pixels of a regular lattice whose centres lie in a polygon; a polygon that no lattice point
    falls into gives its representative point. A candidate becomes a sample if its patch fits the scene and holds no
    nodata.

    An inventory may hold landslides only. Negatives are then drawn at random from the pixels of the rest of the scene:
    `background` away from every landslide, and `edge` just outside their outlines, where a map's false alarms are.

    Parameters
    ----------
    scene : Scene
    polygons : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
        Of both classes or of landslides only, in any coordinate system. What carries none is taken to be in the
        scene's.
    layer : str or None, default=None
        Layer of a file of polygons that has several.
    class_column : str or None, default="class"
        Column of the class. None takes every polygon as a landslide, and so does the default where there is no such
        column.
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
        Whether to draw, from the larger class, as many samples at random as the smaller has, negatives that were drawn
        among them.
    max_per_polygon : int, default=None
        At most so many samples of a polygon, drawn at random.
    background : float or None, default=None
        Negatives for each landslide sample, drawn from pixels that lie farther from every landslide than edges do and
        on no other polygon. None draws 4 where the inventory holds landslides only, else none.
    edge : float or None, default=None
        Negatives for each landslide sample, drawn from pixels whose centres lie just outside an outline, and on no
        polygon. None draws 4 where the inventory holds landslides only, else none.
    edge_distance : (float, float), default=(5.0, 125.0)
        Distances of edges from the nearest landslide, in metres on the ground, whatever the coordinate system.
    extent : polygons as above, default=None
        Where the inventory is complete: no sample has its centre outside. The whole scene by default.
    exclude : polygons as above, default=None
        What is kept out (landslides that are uncertain, lakes): no sample has its centre on it.
    radius : float or None, default=None
        Makes discs of points in the inventory, of so many metres on the ground.
    random_state : int, RandomState instance or None, default=None
        Draws for `balance` and `max_per_polygon`, and of `edge` and `background`.
    return_report : bool, default=False
        Whether to return the `SamplingReport` as well. It is always logged to the logger ``sklandslide``.

    Returns
    -------
    X : Locations of shape (n_samples, 2)
        Centres of the samples. ``X.area`` is the ground in square metres that each stands for: the area of the
        landslides in the scene is shared out over the landslide samples, those of one polygon alike, and the rest of
        the scene over the others: what lies within the outer `edge_distance` over edges, other polygons over theirs,
        and the rest over the background. Ground outside the extent or excluded does not count; nodata does.
    y : ndarray of shape (n_samples,), int64
        1 for landslide, 0 otherwise.
    groups : ndarray of shape (n_samples,)
        Identifier of each sample's polygon; for edges that of the nearest landslide. Background has identifiers of its
        own, one for each cell of ground two patches wide.
    report : SamplingReport
        Only if `return_report`.

    Raises
    ------
    InventoryError
        If the polygons cannot be used, all lie outside the scene, extent or on what is excluded, one class gives no
        sample, or there is no room for the negatives asked for; if a ratio, distance or radius is out of range; for
        points without `radius`.
    NoValidDataError
        If every candidate that fits the scene holds nodata.
    SceneError
        If the patch does not fit the scene or a size is not a positive whole number.

    Warns
    -----
    SamplingWarning
        If some polygons give no sample, there is less room for negatives than asked for, or candidates of other ground
        lie on a landslide: they are left out.

    Examples
    --------
    >>> from sklandslide import make_scene, sample_polygons
    >>> scene, polygons = make_scene(shape=(300, 300), random_state=1)
    >>> X, y, groups = sample_polygons(scene, polygons, patch_size=15, balance=True, random_state=0)
    >>> X.shape == (len(y), 2) == (len(groups), 2), float(y.mean())
    (True, 0.5)

    Landslides only, as most inventories are:

    >>> landslides = polygons[polygons["class"] == "landslide"]
    >>> X, y, groups, report = sample_polygons(
    ...     scene, landslides, patch_size=15, background=1, edge=2, random_state=0, return_report=True)
    >>> {str(kind): int((report.kind == kind).sum() / y.sum()) for kind in ("landslide", "edge", "background")}
    {'landslide': 1, 'edge': 2, 'background': 1}
    """
    size, stride = sizes_of(scene, patch_size, stride, max_per_polygon)
    reach, random = distances(edge_distance), check_random_state(random_state)
    inventory = read_inventory(
        polygons,
        scene.grid.crs,
        layer=layer,
        class_column=class_column,
        positive=positive,
        id_column=id_column,
        radius=radius,
    )
    inventory = replace(inventory, geometries=beside(inventory.geometries, scene.grid))
    ratios = ratios_of(edge, background, inventory)
    ground = Ground(scene.grid, region_of(extent, scene, "extent"), region_of(exclude, scene, "exclude"))
    needed = needed_bands(scene, bands)
    samples = _from_polygons(scene, ground, inventory, size, stride, needed, max_per_polygon, random)
    slides = inventory.labels == 1
    outlines = Outlines(inventory.geometries[slides], scene.grid)
    drawing = Drawing(scene, ground, outlines, inventory.geometries[~slides], reach, size, needed, random)
    drawn = draw_negatives(drawing, ratios, int(slides[samples.polygon].sum()))
    xy, kind, groups = _joined(scene.grid, inventory, samples, drawn, size)
    y = (kind == "landslide").astype(np.int64)
    rows = _balanced(y, random) if balance else np.arange(len(y))
    xy, kind, groups, y = xy[rows], kind[rows], groups[rows], y[rows]
    report = _report(samples, drawn, kind)
    _log.info("%s", report)
    for message in _doubts(report, drawn, inventory, size):
        warnings.warn(message, SamplingWarning, stacklevel=2)
    both = not slides.all() or any(ratios.values())
    if missing := {0, 1} - set(y.tolist()) if both else set():
        raise InventoryError(
            f"No sample of class {missing.pop()} (1 = {positive!r}) is left: {report}. Use a smaller patch_size, or "
            "polygons farther from the scene's edge and from nodata."
        )
    polygon = samples.polygon[rows[rows < len(samples.polygon)]]
    X = Locations(scene, xy, sample_areas(ground, inventory, outlines, kind, polygon, reach[1]))
    return (X, y, groups, report) if return_report else (X, y, groups)


@dataclass(frozen=True)
class _Samples:
    """Samples of the polygons: centres, number of each one's polygon, and what became of the candidates."""

    xy: np.ndarray
    polygon: np.ndarray
    counts: dict[str, int]
    empty: np.ndarray


def _from_polygons(
    scene: Any,
    ground: Ground,
    inventory: Inventory,
    size: int,
    stride: int,
    needed: tuple[str, ...],
    max_per_polygon: int | None,
    random: np.random.RandomState,
) -> _Samples:
    points = [_lattice_points(scene.grid, geometry, size, stride) for geometry in inventory.geometries]
    X = Locations(scene, np.concatenate(points))
    polygon = np.repeat(np.arange(len(points)), [len(some) for some in points])
    slides = inventory.labels == 1
    off, excluded = ground.refuse(X.xy)
    ambiguous = ~slides[polygon] & ~off & ~excluded
    ambiguous[ambiguous] = within(inventory.geometries[slides], X.xy[ambiguous])
    left = ~(off | excluded | ambiguous)
    X, polygon = X[left], polygon[left]
    if not slides[polygon].any():
        raise InventoryError(
            f"None of the {int(slides.sum())} landslides lies in the extent and off what is excluded. Check the place "
            "and the coordinate system of extent= and exclude=, or leave them out."
        )
    fits, valid = _valid(X, size, needed, inventory)
    keep = _limited(np.flatnonzero(valid), polygon, max_per_polygon, random)
    counts = {
        "candidates": len(left),
        "outside": int((~fits).sum()),
        "nodata": int((fits & ~valid).sum()),
        "off_extent": int(off.sum()),
        "excluded": int(excluded.sum()),
        "ambiguous": int(ambiguous.sum()),
    }
    empty = inventory.ids[np.setdiff1d(polygon, polygon[valid])]
    return _Samples(X.xy[keep], polygon[keep], {**counts, "valid": int(valid.sum())}, empty)


def _joined(
    grid: Any, inventory: Inventory, samples: _Samples, drawn: list[Negatives], size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, kinds and groups of all samples, those of the polygons first."""
    xy = [samples.xy]
    kind = [np.where(inventory.labels[samples.polygon] == 1, "landslide", "other")]
    groups = [inventory.ids[samples.polygon]]
    for some in drawn:
        xy.append(some.xy)
        kind.append(np.full(len(some.xy), some.kind))
        if some.kind == "edge":
            groups.append(inventory.ids[inventory.labels == 1][some.landslide])
        else:
            groups.append(background_groups(grid, some.xy, size, inventory.ids))
    return np.concatenate(xy), np.concatenate(kind), np.concatenate(groups)


def _report(samples: _Samples, drawn: list[Negatives], kind: np.ndarray) -> SamplingReport:
    counts = dict(samples.counts)
    accepted = int(np.isin(kind, ["landslide", "other"]).sum())
    return SamplingReport(
        accepted=accepted,
        surplus=counts.pop("valid") - accepted,
        empty_polygons=tuple(samples.empty.tolist()),
        negatives={some.kind: some.report(int((kind == some.kind).sum())) for some in drawn},
        kind=kind,
        **counts,
    )


def _doubts(report: SamplingReport, drawn: list[Negatives], inventory: Inventory, size: int) -> list[str]:
    """What a user should be warned of."""
    out = [said for some in drawn if (said := some.shortage())]
    if report.empty_polygons:
        out.append(
            f"{len(report.empty_polygons)} of {len(inventory.ids)} polygons give no sample: their patches of {size} "
            f"pixels do not fit the scene or hold nodata. {report}."
        )
    if report.ambiguous:
        out.append(
            f"{report.ambiguous} candidates of other ground lie on a landslide, and are left out: the polygons of the "
            f"two classes overlap. {report}."
        )
    return out


def _lattice_points(grid: Any, geometry: Any, size: int, stride: int) -> np.ndarray:
    """Centres of the candidates' pixels in a polygon."""
    import shapely

    # Beyond the scene's edge, candidates within one patch of it are enough to be counted as refused.
    beyond = np.array(grid.shape) + size
    low, high = (np.clip(ends, -size, beyond).astype(int) for ends in grid.pixel_box(geometry.bounds))
    rows, cols = (np.arange(-(-a // stride) * stride, b, stride) for a, b in zip(low, high, strict=True))
    points = grid.xy(rows[:, None] + 0.5, cols[None, :] + 0.5).reshape(-1, 2)
    shapely.prepare(geometry)
    points = points[shapely.contains_xy(geometry, points[:, 0], points[:, 1])]
    if len(points):
        return points
    inner = geometry.representative_point()
    row, col = np.floor(grid.rowcol([inner.x, inner.y])) + 0.5
    return grid.xy([row], [col])


def _valid(X: Locations, size: int, needed: tuple[str, ...], inventory: Inventory) -> tuple[np.ndarray, np.ndarray]:
    """Which candidates fit the scene, and which of these hold no nodata; refused if there is none."""
    import shapely

    (scene,) = X.scenes
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


def _limited(
    keep: np.ndarray, polygon: np.ndarray, max_per_polygon: int | None, random: np.random.RandomState
) -> np.ndarray:
    """Positions of at most so many candidates of each polygon, in order."""
    if max_per_polygon is None:
        return keep
    shuffled = random.permutation(keep)
    shuffled = shuffled[np.argsort(polygon[shuffled], kind="stable")]
    owner = polygon[shuffled]
    rank = np.arange(len(owner)) - np.searchsorted(owner, owner)
    return np.sort(shuffled[rank < max_per_polygon])


def _balanced(y: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Positions of as many samples of one class as of the other, in order."""
    ones, zeros = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    count = min(len(ones), len(zeros))
    return np.sort(np.concatenate([random.choice(part, count, replace=False) for part in (ones, zeros)]))
