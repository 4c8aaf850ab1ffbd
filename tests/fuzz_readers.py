"""Damaged files of every kind that the package reads: each is read, or refused with an error of the package.

``python tests/fuzz_readers.py --cases 20000 --seed 1`` prints how many were read and refused, and ends with status 1
where anything else was raised, took too long, or gave a wrong shape. Bytes of pixels may be damaged without a trace, as
GDAL's formats have no checksums: then the values differ, and nothing else. netCDF and HDF5 are left out: their
libraries crash on damaged files.
"""

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import box

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import SklandslideError
from sklandslide.geodata.inventory import read_inventory

UTM = CRS.from_epsg(32654)
PLACE = Affine(10, 0, 600_000, 0, -10, 4_740_000)
# Beyond what the process has when it begins: a bomb is a failure.
MEMORY = 500 * 2**20
# One case; it takes a few thousandths of a second.
SECONDS = 10
RASTERS = {
    "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16},
    "deflate": {"compress": "deflate", "predictor": 3},
    "lzw": {"compress": "lzw", "dtype": "int16", "nodata": -1},
    "zstd": {"compress": "zstd", "bigtiff": "YES"},
    "mask": {"dtype": "uint8", "compress": "deflate"},
    "bands": {"count": 3, "interleave": "pixel", "compress": "packbits"},
}


def rasters(folder):
    """Write one raster of each kind; give their paths with what belongs to each."""
    pixels = np.random.default_rng(0).random((30, 40))
    for name, options in RASTERS.items():
        profile = {"count": 1, "dtype": "float32", **options}
        whole = (pixels if profile["dtype"] == "float32" else pixels * 100).astype(profile["dtype"])
        path = folder / f"{name}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=40, height=30, crs=UTM, transform=PLACE, **profile
        ) as dataset:
            for band in range(1, profile["count"] + 1):
                dataset.write(whole, band)
            if name == "mask":
                dataset.write_mask(np.where(pixels > 0.5, 255, 0).astype(np.uint8))
            dataset.update_tags(SKLANDSLIDE_PATCH_SIZE=5, SKLANDSLIDE_STEP=2, SKLANDSLIDE_POSITIVE="1")
            dataset.scales = (0.5,) * profile["count"]
        yield path, [path, *folder.glob(f"{name}.tif.*")]
    for driver, path in (("ENVI", folder / "a.img"), ("HFA", folder / "b.img"), ("VRT", folder / "c.vrt")):
        with rasterio.Env():
            rasterio.shutil.copy(folder / "tiled.tif", path, driver=driver)
        yield path, [path, *(p for p in folder.glob(f"{path.stem}.*") if p != path)]


def inventories(folder):
    """The same for polygons."""
    x, y = 600_000, 4_739_700
    frame = geopandas.GeoDataFrame(
        {"class": ["landslide", "farm"] * 10, "id": range(20)},
        geometry=[box(x + 10 * i, y, x + 10 * i + 8, y + 9) for i in range(20)],
        crs=UTM.to_wkt(),
    )
    for name in ("p.gpkg", "p.geojson", "p.shp", "p.fgb"):
        frame.to_file(folder / name)
        yield folder / name, sorted(folder.glob("p.*")) if name.endswith("shp") else [folder / name]


def mutated(content, random):
    """A few bytes, numbers or parts of a file changed, mostly in headers: at the front, or behind the pixels."""
    content = bytearray(content)
    for _ in range(random.integers(1, 4)):
        if not content:
            break
        span = min(len(content), 400) if random.random() < 0.5 else len(content)
        at = int(random.integers(span))
        if random.random() < 0.2:
            at = len(content) - 1 - int(random.integers(min(len(content), 600)))
        match random.integers(6):
            case 0:
                content[at] ^= 1 << int(random.integers(8))
            case 1:
                content[at] = int(random.integers(256))
            case 2:
                size = int(random.choice([2, 4, 8]))
                value = int(random.choice([0, 1, -1, 2**31 - 1, 2**15, 65535, len(content)])) % 2 ** (8 * size)
                content[at : at + size] = value.to_bytes(size, "little")
            case 3:
                del content[at:]
            case 4:
                del content[at : at + int(random.integers(1, 20))]
            case 5:
                content[at:at] = random.bytes(int(random.integers(1, 20)))
    return bytes(content)


def read_scene(path):
    scene = Scene.from_files({"Red": path})
    rows, cols = scene.grid.shape
    window = ((0, min(rows, 50)), (max(0, cols - 50), cols))
    pixels = scene.read(window=window)
    assert pixels.shape == (window[0][1], cols - window[1][0], 1), pixels.shape
    assert pixels.dtype == np.float32


def read_map(path):
    landslides = LandslideMap.open(path)
    rows, cols = landslides.grid.shape
    values = landslides.read(((0, min(rows, 50)), (0, min(cols, 50))))
    assert values.dtype == np.float32
    assert not (values > 1.01).any()
    if rows * cols <= 10**6:
        assert (landslides.points(0.5)["probability"] >= 0.5).all()


def read_polygons(path):
    inventory = read_inventory(path, UTM)
    assert len(inventory.geometries) == len(inventory.labels) == len(inventory.ids) > 0
    assert all(shape.is_valid and not shape.is_empty for shape in inventory.geometries)


def main(cases, seed):
    """Try `cases` damaged files; return a count of what came of them, and the failures."""
    warnings.simplefilter("ignore")
    outcome, failures = Counter(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = [(read_scene, *kind) for kind in rasters(folder)]
        seeds += [(read_map, *kind) for kind in seeds_of_maps(seeds)]
        seeds += [(read_polygons, *kind) for kind in inventories(folder)]
        for read, path, _ in seeds:
            if read is not read_map or path.stem in ("tiled", "deflate"):
                with contextlib.suppress(SklandslideError):
                    read(path)
        limit = in_use() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for case in range(cases):
            read, path, files = seeds[case % len(seeds)]
            random = np.random.default_rng([seed, case])
            damaged = files[int(random.integers(len(files)))]
            whole = damaged.read_bytes()
            begun = time.perf_counter()
            print(f"case {case}: {read.__name__} {damaged.name}", file=sys.stderr)  # what a crash leaves behind
            try:
                damaged.write_bytes(mutated(whole, random))
                read(path)
                outcome["read"] += 1
            except SklandslideError as error:
                outcome["refused"] += 1
                assert str(error)
            except BaseException as error:
                failures.append(f"case {case}, {damaged.name}: {error!r}\n{traceback.format_exc(limit=-4)}")
            finally:
                damaged.write_bytes(whole)
            if (took := time.perf_counter() - begun) > SECONDS:
                failures.append(f"case {case}, {damaged.name}: {took:.0f} seconds")
    return outcome, failures


def seeds_of_maps(seeds):
    return [(path, files) for _, path, files in seeds if path.name in ("tiled.tif", "deflate.tif", "zstd.tif")]


def in_use():
    """Bytes of address space."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counted, wrong = main(options.cases, options.seed)
    print("\n".join(wrong[:20]))
    print(f"{options.cases} cases: {dict(sorted(counted.items()))}, {len(wrong)} failures")
    sys.exit(bool(wrong))
