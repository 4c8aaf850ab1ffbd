"""A whole Sentinel-1 frame on one machine, and a smaller map on Dask clusters of several sizes, from file to file."""

import os
import time

import numpy as np
import psutil
import rasterio
import scaling
import scenes
from timing import cores, row

from sklandslide import LandslideMap, Scene, SlidingWindowPredictor

WORKERS = (1, 2, 4)


def run(options, folder):
    """The frame, and the clusters."""
    return [_frame(options, folder), *_clusters(options, folder)]


def _frame(options, folder):
    rows, cols = options.frame
    scenes.large_files(folder, (rows, cols))
    spent, pixels, peak = scaling.watched(folder, f"{rows}x{cols}", options.jobs)
    path = folder / f"map_{rows}x{cols}.tif"
    with rasterio.open(path) as file:
        levels = file.overviews(1)
        least = file.read(1, out_shape=tuple(-(-n // levels[-1]) for n in file.shape)) if levels else file.read(1)
    found = LandslideMap.open(path)
    if not np.isfinite(least).all() or found.grid.shape[0] * found.grid.shape[1] != pixels:
        raise AssertionError(f"{path} is not whole.")
    detail = (
        f"{spent:.0f} s, {pixels / 1e6:.0f} million windows, {pixels / spent:,.0f} windows/s; peak {peak / 2**20:,.0f} "
        f"MB in all processes; file of {path.stat().st_size / 2**20:,.0f} MB with {len(levels)} overviews"
    )
    made = row(f"frame of {cols:,} x {rows:,} pixels, 25 px, step 2", "ten minutes", [600 / spent], detail)
    if options.keep:
        path.replace(options.keep)
    return made


def _clusters(options, folder):
    """Time of one worker over that of several, each on a core of its own as far as there are any."""
    from dask.distributed import Client, LocalCluster
    from joblib import parallel_config

    scene = Scene.from_files(scenes.large_files(folder, options.cluster_side))
    pipe = scenes.pipeline(scenes.in_memory(100), 25, input_size=None)
    rows, first = [], None
    for workers in WORKERS:
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.wait_for_workers(workers)
            for number, address in enumerate(client.scheduler_info()["workers"]):
                client.run(os.sched_setaffinity, 0, {number % cores()}, workers=[address])
            predictor = SlidingWindowPredictor(pipe)
            with parallel_config(backend="dask"):
                predictor.predict_map(scenes.in_memory(600), folder / "warm.tif", overwrite=True)  # imports
                start, busy = time.perf_counter(), psutil.Process().cpu_times()
                predictor.predict_map(scene, folder / "cluster.tif", overwrite=True)
                spent = time.perf_counter() - start
            after = psutil.Process().cpu_times()
        own = after.user + after.system - busy.user - busy.system
        first = first or spent
        what = f"Dask, {workers} worker{'s' * (workers > 1)} of one core, {options.cluster_side:,} pixels a side"
        detail = f"{spent:.1f} s; {own:.1f} s of a core in the process that reads, writes and schedules"
        rows.append(row(what, "one worker", [first / spent], detail))
    return rows
