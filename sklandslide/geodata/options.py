"""What a user says about the bands of a scene (values, units, nodata, resampling, place), checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.warp import Resampling

from ..composites import check_band_name
from ..exceptions import BandError, SceneError
from .grid import Grid
from .warping import overlaps

_UNITS = ("dB", "linear")


def require_bands(bands: Any) -> None:
    """Raise BandError unless there is a band, by name."""
    if not bands or not isinstance(bands, Mapping):
        raise BandError(f"bands={bands!r}: a scene needs at least one band. Give {{'VV_before': ..., ...}}.")


def names_for(labels: Iterable[Any], names: Sequence[str] | None, what: str) -> list[str]:
    """Names of bands: those given, as many as there are labels, or the labels."""
    labels = list(labels)
    if names is None:
        if lacking := sum(not label for label in labels):
            raise BandError(
                f"{lacking} of {len(labels)} {what} have no name to take for a band. Give names=[...], in order."
            )
        names = [str(label) for label in labels]
    if isinstance(names, str) or len(names) != len(labels) or len(set(names)) != len(names):
        raise BandError(
            f"names={names!r}: there is to be one name for each of the {len(labels)} {what}, in order, and none twice."
        )
    return list(names)


def units_by_band(units: Mapping[str, str] | None, bands: Iterable[str]) -> dict[str, str]:
    """The declared units of bands."""
    declared = _by_band(units, bands, "units")
    for name, unit in declared.items():
        if unit not in _UNITS:
            raise BandError(f"Band {name!r} has units {unit!r}; radar units are 'dB' or 'linear' (power).")
    return declared


def nodata_by_band(nodata: Mapping[str, Any] | None, bands: Iterable[str]) -> dict[str, tuple[float, ...]]:
    """The declared nodata values of bands, as numbers."""
    numbers = {}
    for name, given in _by_band(nodata, bands, "nodata").items():
        try:
            numbers[name] = tuple(float(v) for v in np.atleast_1d(given))
        except (TypeError, ValueError):
            raise BandError(f"Band {name!r} has nodata {given!r}; give a number or a list of numbers.") from None
    return numbers


def resampling_by_band(resampling: str | Mapping[str, str], bands: Iterable[str]) -> dict[str, str]:
    """The method by which each band, or each that is named, is resampled."""
    if isinstance(resampling, str):
        resampling = dict.fromkeys(bands, resampling)
    methods = _by_band(resampling, bands, "resampling")
    for name, method in methods.items():
        if method not in Resampling.__members__ or method in ("gauss", "mode"):
            raise BandError(
                f"resampling={method!r} for band {name!r} is unknown; use 'bilinear', 'nearest', 'cubic', "
                "'average' or another of rasterio.enums.Resampling."
            )
    return methods


def _by_band(values: Mapping[str, Any] | None, bands: Iterable[str], what: str) -> dict[str, Any]:
    """Check that an option given by band names only bands that there are."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise BandError(f"{what}={values!r}: give a mapping from band names, such as {{'VV_before': ...}}.")
    unknown = [str(name) for name in values if name not in bands]
    if unknown:
        raise BandError(
            f"{what} names {', '.join(unknown)}, but the scene's bands are {', '.join(bands)}. "
            "Name only bands that the scene is given."
        )
    return dict(values)


def arrays_by_band(bands: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Copies of the bands' arrays, of one shape; masked values (rasterio's read(masked=True)) become NaN."""
    arrays = {check_band_name(name): _copied(array) for name, array in bands.items()}
    first, shape = next((name, array.shape) for name, array in arrays.items())
    for name, array in arrays.items():
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise SceneError(
                f"Band {name!r} is an array of shape {array.shape} and dtype {array.dtype}; a band is a 2-D "
                "array of real numbers."
            )
        if array.shape != shape:
            raise SceneError(
                f"Band {name!r} has shape {array.shape} and band {first!r} {shape}; arrays share one grid. "
                "Resample them, or write them as GeoTIFFs and use Scene.from_files."
            )
    return arrays


def _copied(array: Any) -> np.ndarray:
    if isinstance(array, np.ma.MaskedArray) and array.dtype.kind in "fiu":
        return np.ma.filled(array.astype(np.result_type(array.dtype, np.float32)), np.nan)
    return np.array(array)


def crs_of(crs: Any) -> CRS | None:
    """A coordinate reference system, from any form that rasterio takes."""
    try:
        return None if crs is None else CRS.from_user_input(crs)
    except (CRSError, ValueError) as error:
        raise SceneError(
            f"crs={crs!r} is no coordinate reference system: {error}. Give one such as 'EPSG:32654'."
        ) from None


def check_placed(name: str, band: Grid, grid: Grid) -> None:
    """Raise SceneError if a band cannot be placed on the scene's grid, or lies beside it."""
    if (band.crs is None) != (grid.crs is None):
        raise SceneError(
            f"Band {name!r} has {'no CRS' if band.crs is None else 'the CRS ' + band.crs.to_string()} and the "
            f"scene's grid {'none' if grid.crs is None else grid.crs.to_string()}; one cannot be placed on the "
            "other. Assign the missing CRS (GDAL: gdal_edit -a_srs)."
        )
    if not overlaps(band, grid):
        raise SceneError(
            f"Band {name!r} shares no ground with the scene's grid: it covers {band.bounds} in "
            f"{band.crs and band.crs.to_string()}, the grid {grid.bounds} in {grid.crs and grid.crs.to_string()} "
            "(left, bottom, right, top). Check that the files show the same place."
        )
