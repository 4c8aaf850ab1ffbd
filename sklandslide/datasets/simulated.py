"""A simulated scene with landslides and its polygons."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from ..exceptions import OutputExistsError, SceneError
from ..geodata import Grid
from .optical import BANDS as OPTICAL
from .site import Look, Site, inventory_of
from .terrain import cells

if TYPE_CHECKING:
    from ..geodata import Scene

MIN_SIDE = 64  # pixels; less has no room for a landslide, 80 m of distance and other ground
PIXEL_SIZES = (5.0, 30.0)  # metres for which the speckle and the landslide sizes were measured
INCIDENCES = (20.0, 50.0)  # degrees; Sentinel-1 looks at 29 to 46
_CORNER = (600_000.0, 4_738_000.0)  # upper left x, y in metres: Atsuma in UTM zone 54 N
_INVENTORY = "polygons.gpkg"
_CHOICES = {
    "units": {"dB": "decibels", "linear": "power"},
    "orbit": {"ascending": "looks east", "descending": "looks west", "both": "both"},
    "backscatter": {"sigma0": "on the ellipsoid", "gamma0": "radiometrically terrain-corrected"},
}
_GROUND = {"shape": (600, 600), "pixel_size": 10.0, "crs": "EPSG:32654"}  # defaults, of simulated ground only


def make_scene(
    *,
    shape: tuple[int, int] = (600, 600),
    pixel_size: float = 10.0,
    density: float = 3.5,
    n_dates: int = 3,
    n_before: int = 1,
    units: str = "dB",
    crs: Any = "EPSG:32654",
    orbit: str = "ascending",
    incidence: float = 37.5,
    backscatter: str = "sigma0",
    event: int = 0,
    dem: Any = None,
    polygons: Any = None,
    class_column: str | None = "class",
    positive: Any = "landslide",
    directory: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    random_state: Any = None,
) -> tuple[Scene, Any]:
    """Simulate a scene with landslides, and the polygons that an interpreter would draw on it.

    Fractal hills and valleys, forest, farm parcels, settlements, a river and lakes; landslides of
    varied size, shape and bearing on the slopes; VV and VH on two or three dates as a side-looking
    radar sees them, with weather and correlated multiplicative speckle; red, green and blue after the
    event. Everything runs on it without a download. On a real DEM, and with real landslide polygons,
    only the radar is simulated.

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
    n_before : int, default=1
        Dates before the event, 1 to 30; further ones are named ``VV_before2``, ``VV_before3`` and so on, for a
        composite of a stack of dates. `n_dates` counts the first one only.
    units : {"dB", "linear"}, default="dB"
        Units of VV and VH: decibels or power.
    crs : str, int or CRS, default="EPSG:32654"
        Projected coordinate system in metres. It only labels the scene: the ground is flat and
        north is up.
    orbit : {"ascending", "descending", "both"}, default="ascending"
        From where the radar looks: ascending passes look east, descending ones west. The same
        ground and landslides with the same `random_state`. With "both", the descending bands have
        names of their own: ``VV_before_descending`` and so on.
    incidence : float, default=37.5
        Incidence angle on flat ground at the middle of the scene, in degrees, 20 to 50.
    backscatter : {"sigma0", "gamma0"}, default="sigma0"
        sigma0 on the ellipsoid, as SNAP's and Earth Engine's terrain-corrected GRD products, where slopes that
        face the radar are bright; or gamma0 after radiometric terrain correction, as ASF's and
        OPERA's RTC products, where they are not.
    event : int, default=0
        Number of the event: another one has other landslides, other dates and other weather on the
        same ground.
    dem : path or Scene, default=None
        Real ground: a raster of elevation in metres, or a scene with a band ``DEM``, with
        pixels of 4 to 35 m. The result has its grid, and its other bands but VV and VH; `shape`,
        `pixel_size` and `crs` are left at their defaults. No data there are no data in the radar.
    polygons : path, geopandas.GeoDataFrame or object with ``__geo_interface__``, default=None
        Real inventory, with `dem`: fresh debris lies where its landslides are. Its other polygons are
        returned as well; where it has none, boxes of other ground are drawn.
    class_column, positive : default="class", "landslide"
        As in `sample_polygons`: the column of the class, None if every polygon is a landslide, and
        the class that is landslide.
    directory : path, default=None
        Folder to write one GeoTIFF for each band into, and ``polygons.gpkg``; made when missing.
        None keeps the bands in memory. The pixels are the same. Scenes of any size can be
        written: they are made in squares of 1024 pixels, one in memory at a time.
    overwrite : bool, default=False
        Replace files that exist in `directory`.
    random_state : int, RandomState, Generator or None, default=None
        Seed. The same seed and parameters give the same scene; a date does not depend on how many
        others there are. None draws a fresh scene; NumPy's global random state is never
        touched.

    Returns
    -------
    scene : Scene
        Bands, all float32 when read: ``VV_before``, ``VH_before``, ``VV_after``, ``VH_after`` and,
        with more dates, ``VV_after2``, ``VH_after2``, ``VV_before2``, ... (`backscatter` in `units`); on simulated
        ground ``DEM`` (metres), from which the scene derives ``Slope`` (degrees), and ``Red``,
        ``Green``, ``Blue`` (reflectance x 10000).
    polygons : geopandas.GeoDataFrame
        Columns ``class`` ("landslide" or "non-landslide"), ``id`` (1, 2, ...) and ``geometry`` in
        the scene's CRS. Drawn ones lie inside the scene; drawn boxes overlap nothing that was drawn and
        keep 80 m from any landslide.

    Raises
    ------
    SceneError
        If a parameter is out of its range, or no polygon of a class fits the scene.
    OutputExistsError
        If a file to write exists and `overwrite` is False. Nothing is written then.
    SceneReadError, InventoryError
        If `dem` or `polygons` cannot be read.

    Notes
    -----
    Reflectance, slopes and landslide sizes come from Atsuma in Iburi, Hokkaido (Sentinel-2 and AW3D30 [1]_), levels of
    VV and VH and what a landslide does to them from 7147 labelled patches [2]_, looks and autocorrelation of speckle
    from RTC-S1 time series [3]_. ``benchmarks/calibrate_scene.py`` prints each statistic beside the measured one.

    As in the real patches a landslide hardly moves the *mean* of the radar difference; it widens its *spread*, in
    pixels by about half, differently by aspect, and stays on the second date. Optically landslides are plain, though
    ploughed fields are bare as well. Real ground gets its land cover from its slope: forest, and fields where it is
    flat.

    An accuracy on this scene says that software works. It says nothing about accuracy on real landslides. What
    the simulator leaves out stands in the documentation under "What the simulator is, and what it is not".

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
    _check(density, n_dates, n_before, event, incidence, {"units": units, "orbit": orbit, "backscatter": backscatter})
    ground = None
    if dem is None:
        if polygons is not None:
            raise SceneError("polygons= is given without dem=: real landslides need the ground they lie on. Give both.")
        grid = _grid(_shape(shape, pixel_size), float(pixel_size), crs)
    else:
        ground = _real(dem, {"shape": shape, "pixel_size": pixel_size, "crs": crs})
        grid = ground.grid
    look = Look(orbit, float(incidence), backscatter, int(n_dates), int(event), int(n_before))
    site = Site(_seed(random_state), grid, look, ground)
    paths = _paths(directory, site.names, overwrite)
    landslides = boxes = None
    if polygons is not None:
        landslides, boxes = inventory_of(polygons, grid, class_column, positive)
    frame = site.polygons(float(density), landslides, boxes or None)
    return (_write(site, paths, units, frame) if paths else _keep(site, units)), frame


def _shape(shape: Any, pixel_size: Any) -> tuple[int, int]:
    """Return the shape as two ints, once it and the size of a pixel are known to be in range."""
    whole = isinstance(shape, tuple | list) and len(shape) == 2 and all(isinstance(n, int | np.integer) for n in shape)
    if not whole or min(shape) < MIN_SIDE:
        raise SceneError(
            f"shape is {shape!r}; it has to be two whole numbers of at least {MIN_SIDE} pixels, "
            "which a landslide and other ground 80 m from it need. Give for example shape=(600, 600)."
        )
    _require_number("pixel_size", pixel_size, *PIXEL_SIZES, "m, for which the statistics hold: for example 10")
    return int(shape[0]), int(shape[1])


def _check(density: Any, n_dates: Any, n_before: Any, event: Any, incidence: Any, choices: dict[str, Any]) -> None:
    _require_number("density", density, 0.01, 50, "landslides per km2: for example the default, 3.5")
    _require_number("incidence", incidence, *INCIDENCES, "degrees; Sentinel-1 looks at 29 to 46")
    if not isinstance(n_dates, int | np.integer) or n_dates not in (2, 3):
        raise SceneError(f"n_dates is {n_dates!r}; it has to be 2 (before, after) or 3 (a second date after).")
    if not isinstance(n_before, int | np.integer) or not 1 <= n_before <= 30:
        raise SceneError(f"n_before is {n_before!r}; it has to be a whole number of dates before the event, 1 to 30.")
    if isinstance(event, bool) or not isinstance(event, int | np.integer) or event < 0:
        raise SceneError(f"event is {event!r}; it has to be the number of an event: 0, 1, 2 and so on.")
    for name, value in choices.items():
        if not isinstance(value, str) or value not in _CHOICES[name]:
            known = " or ".join(f"{choice!r} ({meaning})" for choice, meaning in _CHOICES[name].items())
            raise SceneError(f"{name} is {value!r}; it has to be {known}.")


def _require_number(name: str, value: Any, low: float, high: float, unit: str) -> None:
    if not isinstance(value, int | float | np.integer | np.floating) or not low <= value <= high:
        raise SceneError(f"{name} is {value!r}; it has to be a number from {low:g} to {high:g} {unit}.")


def _real(dem: Any, ground: dict[str, Any]) -> Scene:
    """Real ground as a scene, once its pixels are known to be of a size that the simulator is good for."""
    from ..geodata import Scene

    set_too = [name for name, value in ground.items() if value != _GROUND[name]]
    if set_too:
        raise SceneError(f"{', '.join(set_too)} cannot be given with dem=, which brings its own grid. Leave it out.")
    scene = dem if isinstance(dem, Scene) else Scene.from_files({"DEM": dem})
    if min(scene.grid.shape) < MIN_SIDE:
        raise SceneError(
            f"dem has {scene.grid.shape[0]} x {scene.grid.shape[1]} pixels; at least {MIN_SIDE} a side are needed. "
            "Give a larger one, or a scene whose first band has finer pixels."
        )
    return scene


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


def _seed(random_state: Any) -> int:
    """One draw from the caller's random state."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**63))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    return int(check_random_state(random_state).randint(2**31 - 1))


def _in_units(bands: dict[str, np.ndarray], radar: list[str], units: str) -> dict[str, np.ndarray]:
    if units == "linear":
        bands |= {name: np.power(np.float32(10), bands[name] / 10) for name in radar}
    return bands


def _keep(site: Site, units: str) -> Scene:
    """The scene in memory."""
    from ..geodata import Scene

    arrays = {name: np.empty(site.grid.shape, np.float32) for name in site.names}
    for cell in cells(site.grid.shape):
        for name, band in _in_units(site.bands(cell), site.radar, units).items():
            arrays[name][cell.slices] = band
    labels = dict.fromkeys(site.radar, units)
    return Scene.from_arrays(arrays, transform=site.grid.transform, crs=site.grid.crs, units=labels)


def _paths(directory: Any, names: list[str], overwrite: bool) -> dict[str, Path]:
    """Where each band goes, and the polygons; nothing for a scene in memory."""
    if directory is None:
        return {}
    folder = Path(directory)
    paths = {name: folder / f"{name}.tif" for name in names}
    paths[_INVENTORY] = folder / _INVENTORY
    there = [path.name for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{folder} already has {', '.join(there)}. Give another directory, or overwrite=True to replace them."
        )
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file. Give a directory to write the bands into.")
    return paths


def _write(site: Site, paths: dict[str, Path], units: str, polygons: Any) -> Scene:
    """Write bands cell by cell, and the polygons; the files get their names when all are whole."""
    from contextlib import ExitStack

    from ..geodata import Scene

    inventory = paths.pop(_INVENTORY)
    inventory.parent.mkdir(parents=True, exist_ok=True)
    parts = {name: path.with_name(f".{path.name}.part") for name, path in paths.items()}
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(_geotiff(part, name, site)) for name, part in parts.items()}
            for cell in cells(site.grid.shape):
                for name, band in _in_units(site.bands(cell), site.radar, units).items():
                    file = files[name]
                    place = ((cell.row_off, cell.row_off + cell.height), (cell.col_off, cell.col_off + cell.width))
                    file.write(band.astype(file.dtypes[0]), 1, window=place)
        inventory.unlink(missing_ok=True)
        polygons.to_file(inventory, driver="GPKG")
        for name, path in paths.items():
            parts[name].replace(path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    return Scene.from_files(paths, units=dict.fromkeys(site.radar, units))


def _geotiff(path: Path, name: str, site: Site) -> Any:
    """Open one tiled, deflated GeoTIFF: whole numbers with nodata 0 for simulated reflectance, NaN otherwise."""
    import rasterio

    whole = name in OPTICAL and site.simulated
    rows, cols = site.grid.shape
    return rasterio.open(
        path, "w", driver="GTiff", height=rows, width=cols, count=1,
        crs=site.grid.crs, transform=site.grid.transform,
        dtype="uint16" if whole else "float32", nodata=0 if whole else np.nan, predictor=2 if whole else 3,
        compress="deflate", tiled=True, blockxsize=256, blockysize=256, bigtiff="if_safer",
    )  # fmt: skip
