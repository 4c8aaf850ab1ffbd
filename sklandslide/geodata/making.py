"""How a scene is made: of files, of arrays, of xarray's datasets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from rasterio.io import DatasetReader

from ..composites import check_band_name
from ..exceptions import BandError, SceneError
from .grid import Grid
from .opening import faults_of, files_behind, open_raster, raster_name
from .options import (
    arrays_by_band,
    check_placed,
    crs_of,
    names_for,
    nodata_by_band,
    require_bands,
    resampling_by_band,
    units_by_band,
)
from .raster import ArrayBand, Band, FileBand, SlopeBand
from .xarrays import arrays_and_grid, band_of, units_said


@dataclass(frozen=True, eq=False, repr=False)
class SceneMaking:
    """What a scene consists of, and the ways to make one; `sklandslide.Scene` is one."""

    _sources: tuple[tuple[str, Band], ...]
    grid: Grid
    _units: tuple[tuple[str, str], ...] = ()
    _resampling: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_files(
        cls,
        bands: Mapping[str, Any] | Any,
        *,
        names: Sequence[str] | None = None,
        units: Mapping[str, str] | None = None,
        nodata: Mapping[str, Any] | None = None,
        grid: str | Grid | None = None,
        resampling: str | Mapping[str, str] = "bilinear",
        check_polarisation: bool = True,
    ) -> Self:
        """Make a scene of raster files, each on its own grid.

        Where a file has tags of scale and offset, values are scale * stored + offset, as GDAL defines them; nodata are
        values as they are stored. Nothing but files on this machine is read, also behind a VRT.

        Parameters
        ----------
        bands : mapping of str to path or (path, int), or path
            File of each band, and its number in the file where that is not 1. Of a netCDF or HDF5 file with several
            data sets, ``'NETCDF:"file.nc":variable'``. Or one file of all bands. A dataset that rasterio has open
            stands for its file.
        names : sequence of str, default=None
            Names of the bands of one file, in order; its descriptions by default.
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
            polarisation than the band; if bands of one file have no names.

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
        if isinstance(bands, str | os.PathLike | DatasetReader):
            bands = _bands_of_file(bands, names)
        elif names is not None:
            raise BandError(f"names={names!r} is for one file of all bands; bands= names them already. Leave it out.")
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
    ) -> Self:
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
    def from_xarray(
        cls,
        data: Any,
        *,
        names: Sequence[str] | None = None,
        units: Mapping[str, str] | None = None,
        nodata: Mapping[str, Any] | None = None,
    ) -> Self:
        """Make a scene of an xarray Dataset or DataArray, as rioxarray, odc-stac, zarr or Earth Engine's xee give it.

        Arrays of dask stay lazy: they are computed part by part when the scene is read, in this process, and none of
        their chunks twice for a map. Their content is known by the name that dask gives them. Others are read into
        memory here; open large data with ``chunks={}``.

        Dimensions may come in any order. x and y, or longitude and latitude, are the centres of pixels and evenly
        spaced; the scene is north up whichever way they run. Fill values, scale and offset in ``attrs`` are applied as
        those of a file; in ``encoding`` xarray has applied them.

        Parameters
        ----------
        data : xarray.Dataset or xarray.DataArray
            Bands are the variables, or lie along the dimension beside y and x. Needs the extra ``xarray``. Choose
            variables, and their order, with ``data[["VV_before", "VV_after"]]``: zarr may list them in any.
        names : sequence of str, default=None
            Names of the bands, in order. By default those of the variables, or the labels along the dimension, or the
            descriptions that rioxarray keeps.
        units : mapping of str to {"dB", "linear"}, default=None
            As in `from_files`; by default what a variable says in ``attrs["units"]``, if it is one of the two.
        nodata : mapping of str to number or sequence of numbers, default=None
            As in `from_files`, besides the fill value in the attributes and NaN.

        Returns
        -------
        Scene

        Raises
        ------
        MissingPackageError
            If the extra ``xarray`` is not installed.
        SceneError
            If the data have no coordinate reference system, coordinates that are not evenly spaced, several images in
            a band (a time dimension left in), or no real numbers.
        BandError
            If bands have no names, or a unit or nodata value is given for no band.

        Examples
        --------
        >>> import numpy as np, xarray as xr
        >>> from sklandslide import Scene
        >>> data = xr.Dataset(
        ...     {"VV_before": (("y", "x"), np.full((3, 4), -9.0)), "VV_after": (("y", "x"), np.full((3, 4), -7.0))},
        ...     {"y": [25.0, 15.0, 5.0], "x": [5.0, 15.0, 25.0, 35.0]}, {"crs": "EPSG:32654"})
        >>> Scene.from_xarray(data, units={"VV_before": "dB", "VV_after": "dB"})
        <Scene 3 x 4 pixels, EPSG:32654, bands VV_before [dB], VV_after [dB]>
        """
        arrays, grid = arrays_and_grid(data, names)
        require_bands(arrays)
        declared = nodata_by_band(nodata, arrays)
        sources = {name: band_of(name, array, grid, declared.get(name, ())) for name, array in arrays.items()}
        return cls._build(sources, grid, {**units_said(arrays), **units_by_band(units, arrays)}, "bilinear")

    @classmethod
    def _build(
        cls,
        sources: Mapping[str, Band],
        grid: Grid,
        units: Mapping[str, str] | None,
        resampling: str | Mapping[str, str],
    ) -> Self:
        units = units_by_band(units, sources)
        methods = resampling_by_band(resampling, sources)
        for name, band in sources.items():
            check_placed(name, band.grid, grid)
        if "DEM" in sources and "Slope" not in sources:
            sources = {**sources, "Slope": SlopeBand(sources["DEM"])}
            methods["Slope"] = methods.get("DEM", "bilinear")
        return cls(tuple(sources.items()), grid, tuple(sorted(units.items())), tuple(sorted(methods.items())))


def _bands_of_file(path: Any, names: Sequence[str] | None) -> dict[str, tuple[str, int]]:
    """The places of all bands of a file, by the names given or their descriptions."""
    path = raster_name(path)
    files_behind(path)
    with faults_of(path), open_raster(path) as dataset:
        descriptions = dataset.descriptions
    return {name: (path, i) for i, name in enumerate(names_for(descriptions, names, f"bands of {path}"), 1)}
