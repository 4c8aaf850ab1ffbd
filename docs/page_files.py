"""The small files that the pages' code reads, and what code of the pages is not run, with the reason."""

from __future__ import annotations

from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# Blocks are known by a word in them. What needs a program, a service or a cluster that is not ours to start is not run.
NOT_RUN = {
    "pip install": "would change the environment that runs the tests; .ci/run installs by the README's commands",
    "gpt ": "needs ESA SNAP",
    "qgis ": "opens a window of QGIS",
    "python -m sphinx": "builds the site that the block stands on; .ci/run does it",
    "benchmarks/run.py": "takes minutes by design; .ci/run and its own tests run it",
    "planetary_computer": "asks a catalogue on the internet; the next block does the same with files",
    "ProgressBar": "draws bars as wide as the terminal; tests/network/test_callbacks.py runs it",
    "dask scheduler": "starts the services of a cluster, which do not end",
}


def not_run(page: Path, code: str) -> str | None:
    """Say why a block is not run, or return None."""
    return next((reason for word, reason in NOT_RUN.items() if word in code), None)


def prepare(page: Path, folder: Path) -> None:
    """Make the files that a page's code reads, in the folder that it runs in."""
    (folder / "examples").symlink_to(ROOT / "examples")
    make = _FILES.get(page.relative_to(DOCS).as_posix())
    if make is not None:
        make(folder)


def _sentinel1_products(folder: Path) -> None:
    """Write what SNAP, ASF and Earth Engine give, in their layouts, units and nodata, from simulated scenes."""
    from sklandslide import make_scene

    scene, polygons = make_scene(shape=(300, 300), random_state=0, units="linear")
    polygons.to_file(folder / "polygons.gpkg")
    _snap(folder, scene)
    gamma0, _ = make_scene(shape=(300, 300), random_state=0, units="linear", backscatter="gamma0")
    _asf(folder, gamma0)
    _amplitude(folder, gamma0)
    _earth_engine(folder, make_scene(shape=(300, 300), random_state=0)[0])


def _snap(folder: Path, scene) -> None:
    """SNAP: one file a date with VH and VV as bands, linear, zeros outside the swath and no nodata tag."""
    for date, name in {"20180901": "before", "20180913": "after", "20180925": "after2"}.items():
        pixels = scene.read([f"VH_{name}", f"VV_{name}"])
        pixels[:, :12] = 0
        _write(
            folder / f"S1A_IW_GRDH_{date}_Orb_NR_Cal_TC.tif",
            pixels,
            scene.grid,
            descriptions=("Sigma0_VH", "Sigma0_VV"),
        )


def _asf(folder: Path, scene) -> None:
    """HyP3: one file a polarisation, gamma0 power, nodata 0; OPERA: a file for each burst, nodata NaN."""
    for date, name in {"20180901T084523": "before", "20180913T084524": "after"}.items():
        for polarisation in ("VV", "VH"):
            pixels = scene.read(f"{polarisation}_{name}")
            pixels[-10:] = 0
            base = f"S1A_IW_{date}_DVP_RTC10_G_gpuned_1A2B"
            _write(folder / base / f"{base}_{polarisation}.tif", pixels, scene.grid, nodata=0)
            if polarisation == "VV":
                for burst, columns in {"IW2": slice(0, 180), "IW3": slice(160, 300)}.items():
                    from sklandslide.geodata.grid import Window

                    where = Window(0, columns.start, scene.grid.shape[0], columns.stop - columns.start)
                    path = folder / f"OPERA_L2_RTC-S1_T046-098283-{burst}_{date}Z_VV.tif"
                    _write(path, scene.read("VV_" + name)[:, columns], scene.grid.crop(where))


def _amplitude(folder: Path, scene) -> None:
    """HyP3 with the scale "amplitude": the root of power."""
    _write(folder / "amplitude_VV.tif", scene.read("VV_before") ** 0.5, scene.grid, nodata=0)


def _earth_engine(folder: Path, scene) -> None:
    """Earth Engine: one file with all bands, dB, the masked pixels -9999."""
    pixels = scene.read(["VV_before", "VV_after", "VV_after2"])
    pixels[:8, :8] = -9999
    _write(
        folder / "iburi_s1.tif", pixels, scene.grid, nodata=-9999, descriptions=("VV_before", "VV_after", "VV_after2")
    )


def _catalogue(folder: Path) -> None:
    """Files of two tracks and a DEM, and a catalogue of them: items.json."""
    import pystac
    import shapely
    from rasterio.warp import transform_geom

    from sklandslide import make_scene

    scene, _ = make_scene(shape=(150, 200), random_state=0, units="linear", orbit="both", n_before=2)
    left, bottom, right, top = scene.grid.bounds
    box = shapely.geometry.mapping(shapely.box(left, bottom, right, top))
    footprint = transform_geom(scene.grid.crs, "EPSG:4326", box)
    placed = {
        "proj:code": scene.grid.crs.to_string(),
        "proj:transform": list(scene.grid.transform)[:6],
        "proj:shape": list(scene.grid.shape),
    }
    dates = {"2018-08-19T20:42": "before2", "2018-08-31T20:42": "before", "2018-09-12T20:42": "after"}
    dates |= {
        "2018-09-24T20:42": "after2",
        "2018-09-02T08:42": "before_descending",
        "2018-09-14T08:42": "after_descending",
    }
    items = []
    for time, role in dates.items():
        # the simulator's first orbit stands in for the track that is used
        orbit, state = (68, "ascending") if "descending" in role else (46, "descending")
        said = {"sat:relative_orbit": orbit, "sat:orbit_state": state, "platform": "SENTINEL-1B", **placed}
        bands = {polarisation.lower(): f"{polarisation}_{role}" for polarisation in ("VV", "VH")}
        items.append(_item(folder, scene, f"S1B_{time[:10]}_{orbit}", "sentinel-1-rtc", time, footprint, said, bands))
    items.append(_item(folder, scene, "dem", "cop-dem-glo-30", "2021-04-22T00:00", footprint, placed, {"data": "DEM"}))
    pystac.ItemCollection(items).save_object(str(folder / "items.json"))


def _item(folder: Path, scene, name: str, collection: str, time: str, footprint: dict, said: dict, bands: dict):
    from datetime import UTC, datetime

    import pystac
    import shapely

    bounds = list(shapely.geometry.shape(footprint).bounds)
    moment = datetime.fromisoformat(time).replace(tzinfo=UTC)
    item = pystac.Item(name, footprint, bounds, moment, said, collection=collection)
    item.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
    for key, band in bands.items():
        path = folder / f"{name}_{key}.tif"
        _write(path, scene.read(band), scene.grid)
        item.add_asset(key, pystac.Asset(str(path), media_type="image/tiff"))
    return item


def _write(path: Path, pixels, grid, *, nodata=None, descriptions=()) -> None:
    import numpy as np
    import rasterio

    path.parent.mkdir(exist_ok=True)
    rows, cols, count = pixels.shape
    profile = {"height": rows, "width": cols, "count": count, "dtype": "float32", "nodata": nodata}
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=grid.transform, **profile) as out:
        out.write(np.moveaxis(pixels, -1, 0).astype("float32"))
        for i, name in enumerate(descriptions, 1):
            out.set_band_description(i, name)


_FILES = {
    "how_to/from_catalogue.md": _catalogue,
    "how_to/own_sentinel1.md": _sentinel1_products,
}
