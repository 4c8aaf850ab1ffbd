"""A simulated scene with landslides and its polygons."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from ..exceptions import OutputExistsError, SceneError
from ..grid import Grid
from ._optical import BANDS as OPTICAL
from ._optical import optical_bands
from ._outlines import draw_boxes, draw_landslides, footprint
from ._radar import radar_bands
from ._terrain import make_terrain

if TYPE_CHECKING:
    from ..scene import Scene

__all__ = ["make_scene"]

MIN_SIDE = 64  # pixels; less has no room for a landslide, 80 m of distance and other ground
PIXEL_SIZES = (5.0, 30.0)  # metres for which the speckle and the landslide sizes were measured
_CORNER = (600_000.0, 4_738_000.0)  # upper left x, y in metres: Atsuma in UTM zone 54 N
_INVENTORY = "polygons.gpkg"
_UNITS = {"dB", "linear"}


def make_scene(
    *,
    shape: tuple[int, int] = (600, 600),
    pixel_size: float = 10.0,
    density: float = 3.5,
    n_dates: int = 3,
    units: str = "dB",
    crs: Any = "EPSG:32654",
    directory: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    random_state: Any = None,
) -> tuple[Scene, Any]:
    """Simulate a scene with landslides, and the polygons that an interpreter would draw on it.

    Fractal hills and valleys, forest, farm parcels, settlements, a river and lakes; landslides of
    varied size, shape and bearing on the slopes; VV and VH on two or three dates with correlated
    multiplicative speckle; red, green and blue after the event. Everything runs on it without a
    download.

    Parameters
    ----------
    shape : (int, int), default=(600, 600)
        Rows and columns, at least 64 each.
    pixel_size : float, default=10.0
        Side of a pixel in metres, 5 to 30.
    density : float, default=3.5
        Landslides per km2, before those that touch are joined; at least one is made. Iburi had up
        to 7.
    n_dates : {2, 3}, default=3
        Radar dates: before and after the event, and a second time after it.
    units : {"dB", "linear"}, default="dB"
        Units of VV and VH: decibels or power.
    crs : str, int or CRS, default="EPSG:32654"
        Projected coordinate system in metres. It only labels the scene: the ground is flat and
        north is up.
    directory : path, default=None
        Folder to write one GeoTIFF for each band into, and ``polygons.gpkg``; made when missing.
        None keeps the bands in memory. The pixels are the same.
    overwrite : bool, default=False
        Replace files that exist in `directory`.
    random_state : int, RandomState, Generator or None, default=None
        Seed. The same seed and parameters give the same scene, and the first two dates are the same
        with `n_dates` 2 and 3. None draws a fresh scene; NumPy's global random state is never
        touched.

    Returns
    -------
    scene : Scene
        Bands, all float32 when read: ``VV_before``, ``VH_before``, ``VV_after``, ``VH_after`` and,
        with three dates, ``VV_after2``, ``VH_after2`` (sigma0 in `units`); ``DEM`` (metres), from
        which the scene derives ``Slope`` (degrees); ``Red``, ``Green``, ``Blue`` (reflectance x
        10000).
    polygons : geopandas.GeoDataFrame
        Columns ``class`` ("landslide" or "non-landslide"), ``id`` (1, 2, ...) and ``geometry`` in
        `crs`. All lie inside the scene; non-landslide boxes overlap nothing and keep 80 m from any
        landslide.

    Raises
    ------
    SceneError
        If a parameter is out of its range, or no polygon of a class fits the scene.
    OutputExistsError
        If a file to write exists and `overwrite` is False. Nothing is written then.

    Notes
    -----
    **What it is.** A statistical picture. Reflectance, slopes and landslide sizes come from Atsuma
    in Iburi, Hokkaido (Sentinel-2 and AW3D30 [1]_), levels of VV and VH and what a landslide does
    to them from 7147 labelled patches [2]_, looks and autocorrelation of speckle from RTC-S1 time
    series [3]_. As in the real patches, a landslide hardly moves the *mean* of the radar
    difference; it widens its *spread*, for slopes that face the radar brighten and others darken,
    and the debris keeps that change on the second date. A threshold on single pixels of the
    difference finds next to nothing. Optically landslides are plain, though ploughed fields are
    bare as well. The polygons follow the debris only roughly, as hand-drawn ones do.

    **What it is not.** There are no layover, shadow, orbits, rivers that run downhill, roads,
    clouds or snow; the terrain has no geology, landslides leave the DEM as it was, and debris
    scatters by a rule of thumb rather than by electromagnetic theory. An accuracy on this scene
    says that software works. It says nothing about accuracy on real landslides.

    References
    ----------
    .. [1] Modified Copernicus Sentinel-2 data 2018 and AW3D30 (JAXA) of Atsuma, from
       https://github.com/ChenyuZhang16/landslide-mapping-with-cnn, with 751 weak landslide labels.
    .. [2] "Classification for Landslide Detection" challenge data, Sentinel-1 and -2, CC BY-SA 4.0.
    .. [3] OPERA Radiometric Terrain Corrected SAR Backscatter from Sentinel-1, NASA/JPL, windows in
       California without landslides, 2021 to 2025.

    Examples
    --------
    >>> from sklandslide import make_scene
    >>> scene, polygons = make_scene(shape=(120, 150), n_dates=2, random_state=0)
    >>> scene.grid.shape
    (120, 150)
    >>> scene.read(["VV_before", "VV_after"]).shape
    (120, 150, 2)
    >>> sorted(set(polygons["class"]))
    ['landslide', 'non-landslide']
    """
    shape = _check(shape, pixel_size, density, n_dates, units)
    grid = _grid(shape, float(pixel_size), crs)
    paths = _paths(directory, n_dates, overwrite)
    bands, polygons = _simulate(_generator(random_state), grid, float(density), n_dates)
    labels = {name: units for name in bands if name.startswith(("VV", "VH"))}
    if units == "linear":
        bands |= {name: np.power(np.float32(10), bands[name] / 10) for name in labels}
    from ..scene import Scene

    if not paths:
        scene = Scene.from_arrays(bands, transform=grid.transform, crs=grid.crs, units=labels)
        return scene, polygons
    inventory = paths.pop(_INVENTORY)
    inventory.parent.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        _write(path, bands[name], grid)
    inventory.unlink(missing_ok=True)
    polygons.to_file(inventory, driver="GPKG")
    return Scene.from_files(paths, units=labels), polygons


def _check(shape: Any, pixel_size: Any, density: Any, n_dates: Any, units: Any) -> tuple[int, int]:
    """Return the shape as two ints, once everything is known to be in range."""
    try:
        rows, cols = (int(n) for n in shape)
        whole = bool((rows, cols) == tuple(shape))
    except (TypeError, ValueError):
        whole = False
    if not whole or min(rows, cols) < MIN_SIDE:
        raise SceneError(
            f"shape is {shape!r}; it has to be two whole numbers of at least {MIN_SIDE} pixels, "
            "which a landslide and other ground 80 m from it need. Give for example shape=(600, 600)."
        )
    low, high = PIXEL_SIZES
    if not _is_number(pixel_size) or not low <= pixel_size <= high:
        raise SceneError(
            f"pixel_size is {pixel_size!r}; the statistics hold for {low:g} to {high:g} m. Give a "
            "number of metres in that range, for example 10."
        )
    if not _is_number(density) or not 0 < density <= 50:
        raise SceneError(
            f"density is {density!r}; it has to be landslides per km2, above 0 and up to 50. Give "
            "for example the default, 3.5."
        )
    if not isinstance(n_dates, int | np.integer) or n_dates not in (2, 3):
        raise SceneError(f"n_dates is {n_dates!r}; it has to be 2 (before, after) or 3 (a second date after).")
    if not isinstance(units, str) or units not in _UNITS:
        raise SceneError(f"units is {units!r}; it has to be 'dB' or 'linear' (power).")
    return rows, cols


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))


def _grid(shape: tuple[int, int], pixel_size: float, crs: Any) -> Grid:
    from affine import Affine
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        system = CRS.from_user_input(crs)
    except CRSError as error:
        raise SceneError(f"crs is {crs!r}, which is no coordinate system: {error}") from error
    if not system.is_projected or system.linear_units_factor[1] != 1:
        raise SceneError(
            f"crs is {crs!r}; pixels are in metres, so it has to be a projected system in metres. "
            "Give for example 'EPSG:32654' (UTM zone 54 N)."
        )
    x, y = _CORNER
    return Grid(system, Affine(pixel_size, 0, x, 0, -pixel_size, y), shape)


def _generator(random_state: Any) -> np.random.Generator:
    """Make a generator of the scene's own, seeded by one draw from the caller's."""
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, np.random.Generator):
        return np.random.default_rng(random_state.integers(2**63))
    return np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))


def _simulate(rng: np.random.Generator, grid: Grid, density: float, n_dates: int) -> tuple[dict[str, np.ndarray], Any]:
    """Make bands (radar in dB) and polygons; each part has a random stream of its own."""
    import geopandas

    ground, outline, box, fray, radar, optical = rng.spawn(6)
    pixel = grid.pixel_extent[0]
    terrain = make_terrain(ground, grid.shape, pixel)
    landslides = draw_landslides(outline, terrain, grid, density)
    boxes = draw_boxes(box, terrain, grid, landslides)
    debris = footprint(fray, landslides, grid)
    bands = radar_bands(radar, terrain, debris, pixel, n_dates)
    bands["DEM"] = terrain.dem
    bands |= optical_bands(optical, terrain, debris, pixel)
    polygons = geopandas.GeoDataFrame(
        {
            "class": ["landslide"] * len(landslides) + ["non-landslide"] * len(boxes),
            "id": np.arange(1, len(landslides) + len(boxes) + 1),
        },
        geometry=landslides + boxes,
        crs=grid.crs,
    )
    return bands, polygons


def _paths(directory: Any, n_dates: int, overwrite: bool) -> dict[str, Path]:
    """Where each band goes, and the polygons; nothing for a scene in memory."""
    if directory is None:
        return {}
    from ._radar import DATES

    radar = [f"{pol}_{date}" for date in DATES[:n_dates] for pol in ("VV", "VH")]
    folder = Path(directory)
    paths = {name: folder / f"{name}.tif" for name in (*radar, "DEM", *OPTICAL)}
    paths[_INVENTORY] = folder / _INVENTORY
    there = [path.name for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{folder} already has {', '.join(there)}. Give another directory, or overwrite=True to replace them."
        )
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file. Give a directory to write the bands into.")
    return paths


def _write(path: Path, band: np.ndarray, grid: Grid) -> None:
    """One tiled, deflated GeoTIFF: whole numbers with nodata 0 for optical bands, NaN otherwise."""
    import rasterio

    optical = path.stem in OPTICAL
    profile = {
        "driver": "GTiff",
        "dtype": "uint16" if optical else "float32",
        "nodata": 0 if optical else np.nan,
        "predictor": 2 if optical else 3,
        "compress": "deflate",
        "tiled": True,
        "blockxsize": 256,
        "blockysize": 256,
    }
    rows, cols = grid.shape
    with rasterio.open(
        path,
        "w",
        height=rows,
        width=cols,
        count=1,
        crs=grid.crs,
        transform=grid.transform,
        **profile,
    ) as out:
        out.write(band.astype(np.uint16 if optical else np.float32), 1)
