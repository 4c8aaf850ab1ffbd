"""xarray in and out: the bands and the grid of a dataset, by the conventions of rioxarray, odc-geo and CF.

What stands in `attrs` (fill value, scale) has not been applied yet, and is; what stands in `encoding` has been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rasterio.crs import CRS

from ..composites import check_band_name
from ..exceptions import MissingPackageError, SceneError
from .antimeridian import turn
from .grid import Grid, Window
from .options import names_for
from .raster import ArrayBand, Band, DaskBand, as_float, differ

_AXES = {
    "y": ("y", "yc", "lat", "latitude", "northing", "projection_y_coordinate"),
    "x": ("x", "xc", "lon", "longitude", "easting", "projection_x_coordinate"),
}
_FILLS = "_FillValue", "missing_value", "nodata"
# Coordinates lie on a regular grid to this part of a pixel.
_EVEN = 0.05


def xarray_and_odc() -> Any:
    """The module xarray, odc-geo being there for the places of its datasets; MissingPackageError if one is not."""
    try:
        import odc.geo.xr  # noqa: F401
        import xarray
    except ImportError as error:
        raise MissingPackageError(
            f"xarray's datasets need the extra xarray, which is not installed ({error}): pip install "
            "'sklandslide[xarray]'."
        ) from error
    return xarray


def arrays_and_grid(data: Any, names: Sequence[str] | None) -> tuple[dict[str, Any], Grid]:
    """The bands of a Dataset or DataArray by name, as DataArrays of dimensions y and x, and their grid."""
    xarray = xarray_and_odc()
    if isinstance(data, xarray.Dataset):
        # GDAL's and zarr's spatial_ref is a variable where coordinates were not decoded
        data = data.set_coords([name for name, array in data.data_vars.items() if not array.dims])
    elif not isinstance(data, xarray.DataArray):
        raise SceneError(f"{type(data).__name__} is no xarray.Dataset or DataArray. Use Scene.from_arrays for arrays.")
    data = data.rename({_axis(data, axis): axis for axis in _AXES if axis not in data.dims})
    data = data.assign_coords({axis: (axis, _even(data, axis), data[axis].attrs) for axis in _AXES})
    t = _grid(data).transform
    if t.b == t.d == 0:  # north up and east to the right, as rasters are
        backwards = {"y": t.e > 0, "x": t.a < 0}
        data = data.isel({axis: slice(None, None, -1) for axis, turned in backwards.items() if turned})
    arrays = _by_name(data, names)
    return {check_band_name(name): array.transpose("y", "x") for name, array in arrays.items()}, _grid(data)


def band_of(name: str, array: Any, grid: Grid, nodata: tuple[float, ...]) -> Band:
    """A reader of a DataArray: of chunks where dask is behind it, of its values in memory otherwise."""
    if array.dtype.kind not in "fiu":
        raise SceneError(f"Band {name!r} has dtype {array.dtype}; a band holds real numbers. Convert it: astype(...).")
    said = array.attrs
    fills = [float(value) for key in _FILLS for value in np.atleast_1d(said.get(key, np.nan))]
    tags = tuple(value for value in fills if not np.isnan(value))
    scale = float(said.get("scale_factor", 1)), float(said.get("add_offset", 0))
    if array.chunks is not None:
        return DaskBand(name, array.data, grid, nodata, tags, scale)
    values = np.array(array.values)
    return ArrayBand(as_float(values, nodata, [differ(values, tag) for tag in tags], scale), grid)


def units_said(arrays: dict[str, Any]) -> dict[str, str]:
    """Units of radar bands that are told in the arrays' attributes."""
    said = {name: array.attrs.get("units") for name, array in arrays.items()}
    return {name: unit for name, unit in said.items() if unit in ("dB", "linear")}


def _axis(data: Any, axis: str) -> str:
    """The dimension that is y, or x."""
    found = [
        dim
        for dim in data.dims
        if str(dim).lower() in _AXES[axis]
        or (dim in data.coords and data[dim].attrs.get("standard_name") in _AXES[axis])
    ]
    if len(found) != 1:
        raise SceneError(
            f"The data have the dimensions {', '.join(map(str, data.dims))}, and it is unclear which one is {axis}. "
            f"Rename it: data.rename({{...: {axis!r}}})."
        )
    return found[0]


def _even(data: Any, axis: str) -> np.ndarray:
    """Coordinates of the pixels' centres along y or x, checked to be evenly spaced, without the jump at 180 degrees."""
    if axis not in data.coords:
        raise SceneError(
            f"The data have no coordinates along {axis}. Give each pixel's centre: data.assign_coords({axis}=...), or "
            "write GeoTIFFs and use Scene.from_files."
        )
    given = data[axis].values
    values = given.astype(np.float64)
    if axis == "x" and np.ptp(values) > 180 and (whole := turn(_crs(data))) is not None:
        values = np.unwrap(values, period=whole)
    even = np.linspace(values[0], values[-1], len(values))
    off = np.abs(values - even)
    step = abs(even[-1] - even[0]) / max(len(even) - 1, 1)
    rounding = np.spacing(np.abs(given).max()) if given.dtype.kind == "f" else 0
    if len(values) > 1 and not off.max() <= max(_EVEN * step, rounding) < step:
        at = int(np.argmax(off))
        raise SceneError(
            f"The coordinates along {axis} are not evenly spaced: {given[at]} at {at}, where {even[at]:.10g} would be. "
            "A scene lies on a regular grid of pixels: resample the data onto one (data.odc.reproject(...), "
            f"data.interp({axis}=...))."
        )
    return even


def _grid(data: Any) -> Grid:
    from odc.geo.geobox import GeoBox

    box = data.odc.geobox
    if not isinstance(box, GeoBox):
        raise SceneError(
            "The data have no place on the map: a single row or column without a GeoTransform, or ground control "
            "points. Terrain-correct or georeference them first."
        )
    return Grid(_crs(data), box.transform, (data.sizes["y"], data.sizes["x"]))


def _crs(data: Any) -> CRS:
    if data.odc.crs is None:
        raise SceneError(
            "The data have no coordinate reference system. Say which it is: data.odc.assign_crs('EPSG:32654') or "
            "data.rio.write_crs('EPSG:32654'); open zarr and netCDF with decode_coords='all', which keeps it with each "
            "variable."
        )
    crs = CRS.from_wkt(data.odc.crs.to_wkt())
    code = crs.to_epsg(confidence_threshold=100)
    return crs if code is None else CRS.from_epsg(code)  # as a GeoTIFF has it


def _by_name(data: Any, names: Sequence[str] | None) -> dict[str, Any]:
    """The bands by name, each of two dimensions."""
    if hasattr(data, "data_vars"):
        given = names_for(data.data_vars, names, "variables")
        return {name: _flat(array, name) for name, array in zip(given, data.data_vars.values(), strict=True)}
    beside = [dim for dim in data.dims if dim not in _AXES and data.sizes[dim] > 1]
    if not beside:
        (name,) = names_for([data.name], names, "bands")
        return {name: _flat(data, name)}
    along = beside[0]
    described = data.attrs.get("long_name")
    labels = list(data[along].values) if along in data.coords else []
    if not all(isinstance(label, str) for label in labels) or not labels:
        labels = list(described) if isinstance(described, tuple | list) else [None] * data.sizes[along]
    given = names_for(labels, names, f"values along {along!r}")
    return {name: _flat(_layer(data, along, i), name) for i, name in enumerate(given)}


def _layer(data: Any, along: Any, i: int) -> Any:
    """One of several bands of an array, with what rioxarray says of each."""
    layer = data.isel({along: i}, drop=True)
    for one, each in (("scale_factor", "scales"), ("add_offset", "offsets")):
        if each in data.attrs:
            layer.attrs[one] = data.attrs[each][i]
    return layer


def _flat(array: Any, name: str) -> Any:
    """A band without dimensions of length 1 beside y and x."""
    beside = [dim for dim in array.dims if dim not in _AXES]
    if long := [f"{array.sizes[dim]} values along {dim!r}" for dim in beside if array.sizes[dim] > 1]:
        raise SceneError(
            f"Band {name!r} has {' and '.join(long)}; a band of a scene is one image. Choose one: "
            f"data.isel({beside[0]}=0), or name each in an array of its own: Scene.from_xarray(data[{name!r}], "
            "names=[...])."
        )
    return array.isel(dict.fromkeys(beside, 0), drop=True)


def lazy_dataset(
    bands: Mapping[str, Callable[[Window], np.ndarray]], grid: Grid, block_shape: tuple[int, int], token: str
) -> Any:
    """A Dataset of bands that are read, each by its function of a window, when dask computes them.

    `token` is the same for the same content only.
    """
    xarray = xarray_and_odc()
    import dask.array
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    chunks = dask.array.core.normalize_chunks(block_shape, grid.shape)
    box = GeoBox(grid.shape, grid.transform, None if grid.crs is None else grid.crs.to_string())
    data = xarray.Dataset(coords=xr_coords(box, always_yx=True))
    for name, read in bands.items():
        pixels = dask.array.map_blocks(_block, read, chunks=chunks, dtype=np.float32, name=f"{name}-{token}")
        data[name] = ("y", "x"), pixels
        if grid.crs is not None:
            data[name].encoding["grid_mapping"] = "spatial_ref"
    return data


def _block(read: Callable[[Window], np.ndarray], block_info: Any = None) -> np.ndarray:
    (top, bottom), (left, right) = block_info[None]["array-location"]
    return read(Window(top, left, bottom - top, right - left))
