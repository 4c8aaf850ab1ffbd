"""X: map coordinates that carry the scene they lie on, and the reading of patches about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..exceptions import SceneError
from ..geodata import keeping_open
from .frames import frame_of, points_of
from .pictures import DrawnLocations
from .regions import regions

if TYPE_CHECKING:
    import geopandas

# Patches are copied in groups of about this many bytes, which stay in the processor's cache on their way.
_GROUP = 2**21


class Locations(DrawnLocations):
    """Map coordinates on one or several scenes: the X of every estimator in this package.

    An array-like of shape (n_samples, 2), indexed by row like an array, so that scikit-learn's splitters, searches
    and meta-estimators handle it unchanged. Rows give `Locations`; columns (``X[:, 0]``) give plain arrays.

    Parameters
    ----------
    scene : Scene
        The scene that all of `xy` lies on. Several scenes are joined with `concatenate`.
    xy : array-like of shape (n_samples, 2)
        Map coordinates in the scene's coordinate system, held as float64 (float32 loses decimetres).
    area : array-like of shape (n_samples,), default=None
        Square metres of ground that each row stands for. `sample_polygons` fills it, so that
        ``X.area[y == 1].sum() / X.area.sum()`` is the share of the ground that landslides cover.

    Attributes
    ----------
    xy : ndarray of shape (n_samples, 2), float64, read-only
    scenes : tuple of Scene
    scene_index : ndarray of shape (n_samples,), int64, read-only
        Which of `scenes` each row lies on.
    area : ndarray of shape (n_samples,), float64, read-only, or None
        Square metres of ground that each row stands for; None where that is not known.

    Raises
    ------
    SceneError
        If `xy` has another shape or coordinates that are not finite, or `area` is not a number from 0 for each row.

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide import Locations, Scene
    >>> scene = Scene.from_arrays({"Red": np.zeros((9, 9))}, transform=Affine(1, 0, 0, 0, -1, 9))
    >>> X = Locations(scene, [[1.5, 7.5], [4.5, 4.5], [6.5, 2.5]])
    >>> X.shape, X[1:].shape, X[:, 0]
    ((3, 2), (2, 2), array([1.5, 4.5, 6.5]))
    """

    area: np.ndarray | None = None

    def __init__(self, scene: Any, xy: Any, area: Any = None) -> None:
        xy = np.array(xy, dtype=np.float64)
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise SceneError(f"xy has shape {xy.shape}; map coordinates have shape (n_samples, 2).")
        if not np.isfinite(xy).all():
            row = int(np.flatnonzero(~np.isfinite(xy).all(axis=1))[0])
            raise SceneError(f"xy holds {xy[row]} at row {row}; map coordinates must be finite. Drop such rows.")
        if not hasattr(scene, "grid"):
            raise SceneError(
                f"Locations need the Scene that they lie on, not {type(scene).__name__}: Locations(scene, xy)."
            )
        self._set((scene,), np.zeros(len(xy), np.int64), xy, _areas(area, len(xy)))

    def _set(
        self, scenes: tuple[Any, ...], scene_index: np.ndarray, xy: np.ndarray, area: np.ndarray | None = None
    ) -> None:
        for array in (scene_index, xy):
            array.flags.writeable = False
        self.scenes, self.scene_index, self.xy = scenes, scene_index, xy
        if area is not None:  # without areas the state, and what joblib makes of it, is that of scenes and places
            area.flags.writeable = False
            self.area = area

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._set(**state)

    @classmethod
    def _make(
        cls, scenes: tuple[Any, ...], scene_index: np.ndarray, xy: np.ndarray, area: np.ndarray | None
    ) -> Locations:
        new = cls.__new__(cls)
        new._set(scenes, scene_index, xy, area)
        return new

    @classmethod
    def concatenate(cls, parts: Sequence[Locations]) -> Locations:
        """Join the rows of several Locations, on the same or on different scenes.

        Parameters
        ----------
        parts : sequence of Locations

        Returns
        -------
        Locations
            Rows in the order given; `area` is kept where each part has it.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Locations, Scene
        >>> a, b = (Scene.from_arrays({"Red": np.full((9, 9), v)}, transform=Affine(1, 0, 0, 0, -1, 9))
        ...         for v in (0.0, 1.0))
        >>> X = Locations.concatenate([Locations(a, [[4.5, 4.5]]), Locations(b, [[4.5, 4.5]])])
        >>> len(X), len(X.scenes)
        (2, 2)
        """
        if not parts:
            raise SceneError("There are no Locations to concatenate. Give at least one.")
        scenes: list[Any] = []
        index = []
        for part in parts:
            scenes += [scene for scene in part.scenes if scene not in scenes]
            place = [scenes.index(scene) for scene in part.scenes]
            index.append(np.array(place, np.int64)[part.scene_index])
        areas = [part.area for part in parts if part.area is not None]
        area = np.concatenate(areas) if len(areas) == len(parts) else None
        return cls._make(tuple(scenes), np.concatenate(index), np.concatenate([part.xy for part in parts]), area)

    @classmethod
    def from_geodataframe(cls, scene: Any, frame: Any) -> Locations:
        """Take points of a GeoDataFrame for locations on a scene.

        Parameters
        ----------
        scene : Scene
            The scene that the points lie on.
        frame : geopandas.GeoDataFrame
            Points; reprojected to the scene's coordinate system, or taken to be in it if they have none. A column
            ``area`` is the `area` of the rows.

        Returns
        -------
        Locations
            Rows in the order of the frame; labels and groups stay in its columns.

        Raises
        ------
        SceneError
            If a row is no point, or the scene has no coordinate system and the points have.

        Examples
        --------
        See `to_geodataframe`.
        """
        xy = points_of(frame, scene.grid.crs)
        return cls(scene, xy, frame.get("area"))

    def to_geodataframe(self, y: Any = None, groups: Any = None, **columns: Any) -> geopandas.GeoDataFrame:
        """Give the locations as points, with whatever is known of each.

        Parameters
        ----------
        y, groups : array-like of shape (n_samples,), default=None
            As `sample_polygons` gives them.
        **columns : array-like of shape (n_samples,)
            Further columns by name, such as predictions.

        Returns
        -------
        geopandas.GeoDataFrame
            Points in the scene's coordinate system. Columns ``area`` where it is known, ``scene``, the row's
            `scene_index`, where there are several scenes, ``y``, ``groups`` and `columns`.

        Raises
        ------
        SceneError
            If the scenes have different coordinate systems.
        ValueError
            If a column has not one value for each row.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Locations, Scene
        >>> scene = Scene.from_arrays({"Red": np.zeros((9, 9))}, transform=Affine(1, 0, 0, 0, -1, 9), crs=32654)
        >>> X = Locations(scene, [[1.5, 7.5], [4.5, 4.5]])
        >>> points = X.to_geodataframe(y=[0, 1], probability=[0.2, 0.9])
        >>> points.probability.max(), points.geometry.x.tolist()
        (np.float64(0.9), [1.5, 4.5])
        >>> landslides = points[points.y == 1]
        >>> Locations.from_geodataframe(scene, landslides).xy
        array([[4.5, 4.5]])
        """
        return frame_of(self, {"y": y, "groups": groups, **columns})

    def map_scenes(self, function: Callable[[Any], Any]) -> Locations:
        """Put the same rows on other scenes.

        Parameters
        ----------
        function : callable
            From a scene to one on the same grid, such as a view of other bands.

        Returns
        -------
        Locations
        """
        return self._make(tuple(function(s) for s in self.scenes), self.scene_index, self.xy, self.area)

    def patch_extent(self, patch_size: int) -> tuple[float, float]:
        """Width and height of a patch on the map, in the units of X: the largest over the scenes.

        Used as the `buffer` of `SpatialBlockKFold`, it keeps training and test patches apart.

        Parameters
        ----------
        patch_size : int
            Pixels a side.

        Returns
        -------
        (float, float)

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Locations, Scene
        >>> scene = Scene.from_arrays({"Red": np.zeros((9, 9))}, transform=Affine(10, 0, 0, 0, -10, 90))
        >>> Locations(scene, [[45, 45]]).patch_extent(5)
        (50.0, 50.0)
        """
        extents = np.array([s.grid.pixel_extent for s in self.scenes]) * patch_size
        return float(extents[:, 0].max()), float(extents[:, 1].max())

    @property
    def shape(self) -> tuple[int, int]:
        """(n_samples, 2)."""
        return self.xy.shape

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    @property
    def dtype(self) -> np.dtype:
        """Float64."""
        return self.xy.dtype

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, tuple):
            rows, *columns = key
            if all(c is ... or (isinstance(c, slice) and c == slice(None)) for c in columns):
                key = rows  # scikit-learn indexes rows as X[rows, ...]
        if isinstance(key, tuple | Integral):
            return self.xy[key]
        key = np.arange(len(self))[key]
        area = None if self.area is None else self.area[key]
        return self._make(self.scenes, self.scene_index[key], self.xy[key], area)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.xy, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        scenes = "\n ".join(repr(s) for s in self.scenes)
        return f"<{len(self)} Locations on {len(self.scenes)} scene(s)\n {scenes}>"


def _areas(area: Any, n_samples: int) -> np.ndarray | None:
    if area is None:
        return None
    area = np.array(area, dtype=np.float64)
    if area.shape != (n_samples,) or not (np.isfinite(area) & (area >= 0)).all():
        raise SceneError(
            f"area has shape {area.shape} and values {area.ravel()[:3]}; give for each of the {n_samples} rows the "
            "square metres that it stands for, numbers from 0, or area=None."
        )
    return area


def read_patches(X: Locations, patch_size: int) -> np.ndarray:
    """The patch about each location, float32 (n_samples, patch_size, patch_size, n_bands), NaN for nodata.

    Raises SceneError if a patch does not fit its scene, or the scenes have different numbers of bands.
    """
    counts = {len(scene.bands) for scene in X.scenes}
    if len(counts) > 1:
        raise SceneError(
            f"The scenes of X have {sorted(counts)} bands, so their patches cannot be stacked. Put a BandStacker "
            "before the PatchSampler."
        )
    if (outside := ~_fits(X, patch_size)).any():
        row = int(np.flatnonzero(outside)[0])
        raise SceneError(
            f"{outside.sum()} of {len(X)} patches of {patch_size} pixels do not fit the scene, the first at "
            f"x, y = {X.xy[row].tolist()} (row {row}). Drop these locations or use a smaller patch_size; "
            "sample_polygons refuses them itself."
        )
    out = np.empty((len(X), patch_size, patch_size, counts.pop()), np.float32)
    lines = out.reshape(len(out), patch_size, patch_size * out.shape[-1])
    with keeping_open():
        for rows, pixels, first in _regions(X, patch_size):
            windows = _windows(pixels, patch_size)
            step = max(1, _GROUP // lines[0].nbytes)
            for i in range(0, len(rows), step):
                row, col = first[i : i + step].T
                lines[rows[i : i + step]] = windows[row, col]
    return out


def _windows(pixels: np.ndarray, patch_size: int) -> np.ndarray:
    """Every window of an image, by its first row and column; a line of pixels and bands is one axis.

    Longer runs of memory are copied faster.
    """
    height, width, bands = pixels.shape
    line, pixel, value = pixels.strides
    shape = (height - patch_size + 1, width - patch_size + 1, patch_size, patch_size * bands)
    return as_strided(pixels, shape, (line, pixel, line, value), writeable=False)


def valid_patches(X: Locations, patch_size: int, bands: Sequence[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Which patches fit their scene, and which of these hold no nodata in these bands (all by default)."""
    fits = _fits(X, patch_size)
    inside = np.flatnonzero(fits)
    valid = np.zeros(len(X), bool)
    with keeping_open():
        for rows, pixels, first in _regions(X[inside], patch_size, bands):
            clean = windows_without(np.isnan(pixels).any(axis=-1), patch_size)
            valid[inside[rows]] = clean[first[:, 0], first[:, 1]]
    return fits, valid


def windows_without(mask: np.ndarray, patch_size: int) -> np.ndarray:
    """For each window of a 2-D mask, by its first pixel, whether the mask is False all over it."""
    total = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int32 if mask.size < 2**31 else np.int64)
    np.cumsum(np.cumsum(mask, axis=0, dtype=total.dtype), axis=1, out=total[1:, 1:])
    p = patch_size
    return total[p:, p:] - total[:-p, p:] - total[p:, :-p] + total[:-p, :-p] == 0


def _fits(X: Locations, patch_size: int) -> np.ndarray:
    fits = np.zeros(len(X), bool)
    for i, scene in enumerate(X.scenes):
        rows = np.flatnonzero(X.scene_index == i)
        first = scene.grid.window_origins(X.xy[rows], patch_size)
        last = np.array(scene.grid.shape) - patch_size
        fits[rows] = ((first >= 0) & (first <= last)).all(axis=1)
    return fits


def _regions(
    X: Locations, patch_size: int, bands: Sequence[str] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read what the patches of X cover: rows of X, pixels, and where in them the patches of these rows begin."""
    for i, scene in enumerate(X.scenes):
        rows = np.flatnonzero(X.scene_index == i)
        first = scene.grid.window_origins(X.xy[rows], patch_size)
        for which, pixels, place in regions(scene, first, patch_size, bands):
            yield rows[which], pixels, place
