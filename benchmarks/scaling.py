"""Time and memory of a map as scenes grow, from GeoTIFFs to a GeoTIFF, watched from another process."""

import os
import subprocess
import sys
import time

import psutil
import scenes
from timing import row

CODE = """
import sys, time, scenes
from pathlib import Path
from sklandslide import Scene, SlidingWindowPredictor
folder, size, jobs = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
scene = Scene.from_files({name: folder / f"{name}_{size}.tif" for name in scenes.BANDS})
pipe = scenes.pipeline(scenes.in_memory(100), 25, input_size=None)
predictor = SlidingWindowPredictor(pipe, **({} if jobs == "None" else {"n_jobs": int(jobs)}))
predictor.predict_map(scenes.in_memory(600), folder / "warm.tif", overwrite=True)  # compiles
start = time.perf_counter()
m = predictor.predict_map(scene, folder / f"map_{size}.tif", overwrite=True)
print(time.perf_counter() - start, m.grid.shape[0] * m.grid.shape[1])
"""


def run(options, folder):
    """A row for each size."""
    rows, first = [], None
    for side in options.sides:
        paths = scenes.large_files(folder, side)
        spent, pixels, peak = watched(folder, side, options.jobs)
        for path in [*paths.values(), folder / f"map_{side}.tif"]:
            path.unlink(missing_ok=True)
        each = spent / pixels * 1e6
        first = first or each
        detail = f"{each:.2f} us a map pixel, {spent:.0f} s; peak {peak / 2**20:,.0f} MB in all processes"
        rows.append(row(f"time a map pixel, {side:,} pixels a side", "the smallest scene", [each / first], detail))
    return rows


def watched(folder, size, jobs):
    """Seconds, map pixels, and the largest sum of the resident memory of the process and its children, in bytes."""
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-c", CODE, str(folder), str(size), str(jobs)]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, text=True) as process:
        parent, peak = psutil.Process(process.pid), 0
        while process.poll() is None:
            peak = max(peak, resident(parent))
            time.sleep(0.1)
        if process.returncode:
            raise SystemExit(f"The map of {size} pixels failed.")
        spent, pixels = (float(text) for text in process.stdout.read().split()[-2:])
    return spent, pixels, peak


def resident(parent):
    """Resident memory of a process and its descendants. Pages that they share count for each."""
    total = 0
    try:
        for process in [parent, *parent.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.NoSuchProcess:
        pass  # ended between the two calls
    return total
