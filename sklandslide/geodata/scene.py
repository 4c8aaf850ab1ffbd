"""A scene: named bands on one grid, as an immutable value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from ..composites import check_band_name
from ..exceptions import BandError, SceneError
from .grid import Grid, Window
from .nodata import cleaner
from .options import (
    arrays_by_band,
    check_placed,
    crs_of,
    nodata_by_band,
    require_bands,
    resampling_by_band,
    units_by_band,
)
from .pictures import DrawnScene
from .raster import ArrayBand, Band, FileBand, SlopeBand, keeping_open
from .warping import blocks_on, read_onto


@dataclass(frozen=True, eq=False, repr=False)
class Scene(DrawnScene):
    """Named bands on one grid, read when they are asked for.

    Build one with `Scene.from_files` or `Scene.from_arrays`. A scene is a value: it holds paths (or read-only arrays),
    a grid, units and nodata, never an open file. It can be pickled, hashed and compared: two scenes are equal when
    their `fingerprint` is. `sklearn.base.clone` and `copy.deepcopy` return it unchanged.

    Attributes
    ----------
    bands : tuple of str
        Names of the bands. Where there is a ``DEM`` and no ``Slope``, ``Slope`` in degrees is derived from it.
    grid : Grid
        The grid that `read` delivers: ``grid.crs``, ``grid.transform``, ``grid.shape``.
    units : mapping of str to str
        Declared units of the radar bands, ``"dB"`` or ``"linear"``.
    fingerprint : str
        Hexadecimal digest of the content: file paths, sizes and modification times, or array values, with grid, units,
        nodata and resampling.

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

    _sources: tuple[tuple[str, Band], ...]
    grid: Grid
    _units: tuple[tuple[str, str], ...] = ()
    _resampling: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_files(
        cls,
        bands: Mapping[str, Any],
        *,
        units: Mapping[str, str] | None = None,
        nodata: Mapping[str, Any] | None = None,
        grid: str | Grid | None = None,
        resampling: str | Mapping[str, str] = "bilinear",
        check_polarisation: bool = True,
    ) -> Scene:
        """Make a scene of raster files, each on its own grid.

        Where a file has tags of scale and offset, values are scale * stored + offset, as GDAL defines them; nodata are
        values as they are stored. Nothing but files on this machine is read, also behind a VRT.

        Parameters
        ----------
        bands : mapping of str to path or (path, int)
            File of each band, and its number in the file where that is not 1. Of a netCDF or HDF5 file with several
            data sets, ``'NETCDF:"file.nc":variable'``.
        units : mapping of str to {"dB", "linear"}, default=None
            Units of radar bands. Linear power is converted to dB for the network. Power of zero or less and exactly
            0 dB are nodata: no measurement is, and the borders of Sentinel-1 scenes are.
        nodata : mapping of str to number or sequence of numbers, default=None
            Values that mean nodata besides the file's own tag, mask and NaN (often 0; in a DEM -32768 or -9999).
        grid : str or Grid, default=None
            The grid to read on, or the name of the band that has it; the first band's by default.
        resampling : str or mapping of str to str, default="bilinear"
            How bands on other grids are resampled, for all or by band: a name of `rasterio.enums.Resampling` that
            interpolates or averages values.
        check_polarisation : bool, default=True
            Whether to refuse a file that names another polarisation (VV, VH, HH or HV, in the description or the tags
            of its band) than the band's name does.

        Returns
        -------
        Scene

        Raises
        ------
        SceneReadError
            If a file is missing, damaged or no raster, or names an address of a network.
        SceneError
            If a file holds complex numbers or places in a table of colours, has no geotransform or no coordinate
            system where others have one, or shares no ground with the grid.
        BandError
            If a name, unit, nodata value or resampling is given for no band, or is not allowed; if a file names another
            polarisation than the band.

        Examples
        --------
        >>> import tempfile, pathlib, numpy as np, rasterio
        >>> from affine import Affine
        >>> from sklandslide import Scene
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "vv.tif"
        >>> with rasterio.open(path, "w", driver="GTiff", width=4, height=3, count=1, dtype="float32",
        ...                    crs="EPSG:32654", transform=Affine(10, 0, 0, 0, -10, 30)) as f:
        ...     f.write(np.full((1, 3, 4), 0.1, "float32"))
        >>> Scene.from_files({"VV_before": path}, units={"VV_before": "linear"})
        <Scene 3 x 4 pixels, EPSG:32654, bands VV_before [linear]>
        """
        require_bands(bands)
        declared = nodata_by_band(nodata, bands)
        sources: dict[str, Band] = {}
        for name, place in bands.items():
            path, index = place if isinstance(place, tuple) and len(place) == 2 else (place, 1)
            check_band_name(name)
            sources[name] = FileBand.open(path, index, declared.get(name, ()), name if check_polarisation else "")
        if grid is None:
            grid = next(iter(sources))
        if isinstance(grid, str):
            if grid not in sources:
                raise BandError(f"grid={grid!r} names no band; the bands are {', '.join(sources)}.")
            grid = sources[grid].grid
        if not isinstance(grid, Grid):
            raise SceneError(f"grid={grid!r} is no grid. Give a Grid, or the name of the band that has it.")
        grid = replace(grid, crs=crs_of(grid.crs))
        return cls._build(sources, grid, units, resampling)

    @classmethod
    def from_arrays(
        cls,
        bands: Mapping[str, Any],
        *,
        transform: Any,
        crs: Any = None,
        units: Mapping[str, str] | None = None,
        nodata: Mapping[str, Any] | None = None,
    ) -> Scene:
        """Make a scene of 2-D arrays on one grid.

        Parameters
        ----------
        bands : mapping of str to array-like of shape (rows, cols)
            Values of each band; NaN, infinities and what a masked array masks are nodata. The arrays are copied.
        transform : affine.Affine
            From (column, row) to map coordinates.
        crs : rasterio.crs.CRS, str, int or None, default=None
            Coordinate reference system, in any form that rasterio takes.
        units, nodata : mapping, default=None
            As in `from_files`.

        Returns
        -------
        Scene

        Raises
        ------
        SceneError
            If the arrays are not 2-D, not real numbers, or differ in shape.
        BandError
            If a name, unit or nodata value is given for no band, or is not allowed.

        Examples
        --------
        >>> import numpy as np
        >>> from affine import Affine
        >>> from sklandslide import Scene
        >>> Scene.from_arrays({"Red": np.zeros((3, 4))}, transform=Affine(1, 0, 0, 0, -1, 3))
        <Scene 3 x 4 pixels, no CRS, bands Red>
        """
        require_bands(bands)
        declared = nodata_by_band(nodata, bands)
        arrays = arrays_by_band(bands)
        grid = Grid(crs_of(crs), transform, next(iter(arrays.values())).shape)
        sources = {name: ArrayBand(array, grid, declared.get(name, ())) for name, array in arrays.items()}
        return cls._build(sources, grid, units, "bilinear")

    @classmethod
    def _build(
        cls,
        sources: Mapping[str, Band],
        grid: Grid,
        units: Mapping[str, str] | None,
        resampling: str | Mapping[str, str],
    ) -> Scene:
        units = units_by_band(units, sources)
        methods = resampling_by_band(resampling, sources)
        for name, band in sources.items():
            check_placed(name, band.grid, grid)
        if "DEM" in sources and "Slope" not in sources:
            sources = {**sources, "Slope": SlopeBand(sources["DEM"])}
            methods["Slope"] = methods.get("DEM", "bilinear")
        return cls(tuple(sources.items()), grid, tuple(sorted(units.items())), tuple(sorted(methods.items())))

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
            If a file is damaged, or was changed after the scene was built.

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
