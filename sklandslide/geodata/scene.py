"""A scene: named bands on one grid, as an immutable value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import BandError
from .grid import Window
from .making import SceneMaking
from .nodata import cleaner
from .pictures import DrawnScene
from .raster import ArrayBand, Band, FileBand, compute_together, keeping_open
from .warping import blocks_on, read_onto
from .xarrays import lazy_dataset

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True, eq=False, repr=False)
class Scene(SceneMaking, DrawnScene):
    """Named bands on one grid, read when they are asked for.

    Build one with `Scene.from_files`, `Scene.from_arrays` or `Scene.from_xarray`. A scene is a value: it holds paths
    (or read-only arrays, or dask's), a grid, units and nodata, never an open file. It can be pickled, hashed and
    compared: two scenes are equal when their `fingerprint` is. `sklearn.base.clone` and `copy.deepcopy` return it
    unchanged.

    Attributes
    ----------
    bands : tuple of str
        Names of the bands. Where there is a ``DEM`` and no ``Slope``, ``Slope`` in degrees is derived from it.
    grid : Grid
        The grid that `read` delivers: ``grid.crs``, ``grid.transform``, ``grid.shape``.
    units : mapping of str to str
        Declared units of the radar bands, ``"dB"`` or ``"linear"``.
    fingerprint : str
        Hexadecimal digest of the content: file paths, sizes and modification times, array values, or the names that
        dask gives to arrays, with grid, units, nodata and resampling.

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide import Scene
    >>> heights = np.add.outer(np.arange(4.0), np.zeros(5)) * 10
    >>> scene = Scene.from_arrays({"DEM": heights}, transform=Affine(10, 0, 5e5, 0, -10, 4.7e6), crs="EPSG:32654")
    >>> scene.bands
    ('DEM', 'Slope')
    >>> scene.read(["DEM", "Slope"]).shape
    (4, 5, 2)
    >>> scene.read("Slope").round(1).max()
    np.float32(45.0)
    """

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands, in the order given."""
        return tuple(name for name, _ in self._sources)

    @property
    def units(self) -> Mapping[str, str]:
        """Declared units of the radar bands."""
        return MappingProxyType(dict(self._units))

    @property
    def files(self) -> tuple[str, ...]:
        """Absolute paths of the files that the bands are read from; behind a VRT, also those that it names."""
        files = [band for _, band in self._sources if isinstance(band, FileBand)]
        return tuple(dict.fromkeys(path for band in files for path in band.files))

    @property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of the largest blocks that the bands are stored, or warped, in.

        What is read in parts between multiples of these is read from each file once.
        """
        shapes = [blocks_on(band, self.grid) for _, band in self._sources]
        rows, cols = np.minimum(np.max(shapes, axis=0), self.grid.shape).tolist()
        return rows, cols

    def read(self, bands: str | Iterable[str] | None = None, window: Any = None) -> np.ndarray:
        """Read pixels, in the bands' own units.

        Parameters
        ----------
        bands : str or iterable of str, default=None
            Bands to read; all by default.
        window : Window, rasterio.windows.Window or ((row, row), (col, col)), default=None
            Part of the grid; all by default.

        Returns
        -------
        ndarray of shape (rows, cols, n_bands), float32
            NaN for nodata and where a band has no pixels.

        Raises
        ------
        BandError
            If the scene has no such band.
        SceneError
            If the window does not lie on the grid.
        SceneReadError
            If a file is damaged, or was changed after the scene was built; if dask cannot compute a band.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Scene
        >>> scene = Scene.from_arrays({"Red": np.eye(3)}, transform=Affine(1, 0, 0, 0, -1, 3))
        >>> scene.read("Red", window=((0, 1), (0, 2)))[..., 0]
        array([[1., 0.]], dtype=float32)
        """
        names = self._names(bands)
        where = Window.from_any(window, self.grid.shape)
        out = np.empty((where.height, where.width, len(names)), np.float32)
        resampling = dict(self._resampling)
        with keeping_open():
            compute_together((self._source(name) for name in names), where)
            for i, name in enumerate(names):
                method = resampling.get(name, "bilinear")
                clean = cleaner(name, self.units.get(name))
                out[..., i] = read_onto(self._source(name), self.grid, where, method, clean)
        return out

    def crop(self, window: Any, bands: str | Iterable[str] | None = None) -> Scene:
        """Read a window into a scene of its own, in memory.

        Parameters
        ----------
        window : Window, rasterio.windows.Window or ((row, row), (col, col))
            Part of the grid.
        bands : str or iterable of str, default=None
            Bands to keep; all by default, derived ones included.

        Returns
        -------
        Scene
            With the same values, units and place on the map.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Scene
        >>> scene = Scene.from_arrays({"Red": np.eye(3)}, transform=Affine(1, 0, 0, 0, -1, 3))
        >>> scene.crop(((1, 3), (1, 3))).grid.bounds
        (1.0, 0.0, 3.0, 2.0)
        """
        where = Window.from_any(window, self.grid.shape)
        names = self._names(bands)
        pixels = self.read(names, where)
        grid = self.grid.crop(where)
        sources = tuple((name, ArrayBand(np.ascontiguousarray(pixels[..., i]), grid)) for i, name in enumerate(names))
        kept = tuple((name, unit) for name, unit in self._units if name in names)
        return Scene(sources, grid, kept)

    def to_xarray(self, bands: str | Iterable[str] | None = None) -> xarray.Dataset:
        """Give the bands as an xarray Dataset that is read when it is computed, in chunks of dask.

        Parameters
        ----------
        bands : str or iterable of str, default=None
            Bands to give; all by default, derived ones included.

        Returns
        -------
        xarray.Dataset
            A float32 variable of dimensions y and x for each band, NaN for nodata, its declared units in
            ``attrs["units"]``; the CRS and the geotransform in the coordinate ``spatial_ref``, as rioxarray and odc-geo
            have it.

        Raises
        ------
        MissingPackageError
            If the extra ``xarray`` is not installed.
        BandError
            If the scene has no such band.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Scene
        >>> scene = Scene.from_arrays({"Red": np.eye(3)}, transform=Affine(10, 0, 5e5, 0, -10, 4.7e6), crs=32654)
        >>> data = scene.to_xarray()
        >>> data.Red.sel(x=500015, y=4699985).item()
        1.0
        >>> Scene.from_xarray(data).grid == scene.grid
        True
        """
        names = self._names(bands)
        for name in names:
            self._source(name)
        reads = {name: partial(_image, self, name) for name in names}
        data = lazy_dataset(reads, self.grid, self.block_shape, self.fingerprint)
        for name in names:
            if name in self.units:
                data[name].attrs["units"] = self.units[name]
        return data

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal digest of the content."""
        crs = None if self.grid.crs is None else self.grid.crs.to_wkt()
        parts = [crs, tuple(self.grid.transform), self.grid.shape, self._units, self._resampling]
        parts += [(name, band.identity) for name, band in self._sources]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _names(self, bands: str | Iterable[str] | None) -> tuple[str, ...]:
        return self.bands if bands is None else (bands,) if isinstance(bands, str) else tuple(bands)

    def _source(self, name: str) -> Band:
        if name not in self.bands:
            raise BandError(
                f"The scene has no band {name!r}; it has {', '.join(self.bands)}. Add it to the scene or use another "
                "composite."
            )
        return dict(self._sources)[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scene) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __getstate__(self) -> dict[str, Any]:
        # The cached digest stays behind: the same scene must always pickle, and be hashed, to the same bytes.
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __copy__(self) -> Scene:
        return self

    def __deepcopy__(self, memo: dict) -> Scene:
        return self

    def __sklearn_clone__(self) -> Scene:
        return self

    def __repr__(self) -> str:
        crs = "no CRS" if self.grid.crs is None else self.grid.crs.to_string()
        names = ", ".join(f"{b} [{self.units[b]}]" if b in self.units else b for b in self.bands)
        return f"<Scene {self.grid.shape[0]} x {self.grid.shape[1]} pixels, {crs}, bands {names}>"


def _image(scene: Scene, name: str, window: Window) -> np.ndarray:
    return scene.read(name, window)[..., 0]
