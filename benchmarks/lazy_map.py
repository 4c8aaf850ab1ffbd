"""Map a zarr dataset that is larger than what the map may take of memory, and count what is read of it.

``python benchmarks/lazy_map.py`` writes 20,000 x 5,000 pixels of three float32 bands (1.2 GB) into a temporary folder
and maps them through xarray and dask in a process of its own. It prints that process's peak of memory, and how often
each chunk was read: once for the map, and sixteen once more before it, for the 64 pixels that are held against what the
model was fitted on. ``--shape 2000 1000`` is small. Needs the ``benchmarks`` extra.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import scenes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import BandStacker, PatchSampler, Scene, SlidingWindowPredictor

PATCH, STEP = 16, 16


def write_zarr(path, shape, chunk):
    """Noise, as odc.stac.load would have loaded it, chunk by chunk."""
    import dask.array
    import xarray
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    random = dask.array.random.default_rng(0)
    coords = xr_coords(GeoBox(shape, scenes.TRANSFORM, scenes.CRS))
    bands = {name: (("y", "x"), random.normal(size=shape, chunks=chunk).astype("float32")) for name in scenes.BANDS}
    raw = {name: {"compressors": None} for name in bands}
    xarray.Dataset(bands, coords).to_zarr(path, encoding=raw, zarr_format=3, consolidated=False)


def count_reads():
    """Count, from now on, how often each chunk of the bands is read from the disk."""
    from zarr.storage import LocalStore

    counts, get = Counter(), LocalStore.get

    async def counting(self, key, *args, **kwargs):
        if key.split("/")[0] in scenes.BANDS and "/c/" in key:
            counts[key] += 1
        return await get(self, key, *args, **kwargs)

    LocalStore.get = counting
    return counts


def pipeline():
    """A classifier of means over patches, fitted on noise: this is about reading."""
    scene = scenes.in_memory(100)
    mean = FunctionTransformer(np.mean, kw_args={"axis": (1, 2)})
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=PATCH), mean, LogisticRegression())
    return pipe.fit(scenes.locations(scene, 32, PATCH), np.arange(32) % 2)


def mapped(folder):
    """Map the dataset; the seconds that takes, this process's peak of memory in bytes, and reads of each chunk."""
    import xarray

    pipe, before = pipeline(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    counts, start = count_reads(), time.perf_counter()
    data = xarray.open_zarr(folder / "event.zarr", decode_coords="all", consolidated=False)[list(scenes.BANDS)]
    scene = Scene.from_xarray(data)
    SlidingWindowPredictor(pipe, step=STEP, verbose=1).predict_map(scene, folder / "map.tif")
    seconds = time.perf_counter() - start
    return seconds, 1024 * before, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, counts


def main():
    """Write, map, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=2, default=[20_000, 5_000], metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--chunk", type=int, default=1024, help="pixels a side of a chunk (1024)")
    parser.add_argument("--folder", type=Path, default=None, help="where to put the temporary dataset and map")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write_zarr(Path(folder) / "event.zarr", tuple(options.shape), options.chunk)
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            seconds, before, peak, counts = alone.submit(mapped, Path(folder)).result()
    chunks = len(scenes.BANDS) * int(np.prod([-(-n // options.chunk) for n in options.shape]))
    reads = np.array([*counts.values(), *[0] * (chunks - len(counts))])
    print(f"{options.shape[0]:,} x {options.shape[1]:,} pixels, 3 bands, chunks of {options.chunk}: {seconds:.0f} s")
    print(f"peak of memory {peak / 2**30:.2f} GiB, of which {before / 2**30:.2f} before anything was read")
    print(
        f"{chunks} chunks, read {reads.sum()} times: {reads.mean():.2f} times each, from {reads.min()} to {reads.max()}"
    )


if __name__ == "__main__":
    main()
