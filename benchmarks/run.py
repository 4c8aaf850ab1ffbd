"""Time maps against the ways people make them today, as ratios in one run.

``python benchmarks/run.py`` prints a table and writes ``benchmarks/results.json``. Each row times sklandslide and its
rival in turn, several times, and gives the median of the pairwise ratios with their range: the machine's speed drifts,
ratios taken in the same minute do not.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, LandslideCNN, Locations, PatchSampler, Scene, SlidingWindowPredictor


def scene_and_pipeline(patch_size, side, padding, input_size):
    """A scene of noise and the paper's network, hardly trained: speed does not depend on what it learnt."""
    random = np.random.default_rng(0)
    bands = {name: random.normal(size=(side, side)).astype("float32") for name in ("Red", "Green", "Blue")}
    scene = Scene.from_arrays(bands, transform=Affine(10, 0, 500_000, 0, -10, 4_700_000), crs="EPSG:32654")
    middle = scene.grid.xy(np.full(8, side / 2), np.full(8, side / 2))
    cnn = LandslideCNN(padding=padding, input_size=input_size, epochs=1, random_state=0)
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=patch_size), cnn)
    return scene, pipe.fit(Locations(scene, middle), np.arange(8) % 2)


def mapped(scene, pipe, method, folder):
    """Windows mapped by sklandslide, file written."""
    predictor = SlidingWindowPredictor(pipe, method=method)
    return predictor.predict_map(scene, folder / f"{method}.tif", overwrite=True).probability


def usual_loop(scene, pipe, rows):
    """The published loop: cut out every window of some rows of the map, stack them, `model.predict`."""
    image, size = scene.read(), pipe[1].patch_size
    out = []
    for i in range(rows):
        patches = [image[2 * i : 2 * i + size, j : j + size] for j in range(0, image.shape[1] - size + 1, 2)]
        out.append(pipe[-1].model_.predict(np.stack(patches), verbose=0)[:, 1])
    return np.stack(out)


def cut_windows(scene, pipe, rows):
    """All windows of some rows of the map, cut beforehand."""
    size = pipe[1].patch_size
    windows = sliding_window_view(scene.read(), (size, size), axis=(0, 1))[: 2 * rows : 2, ::2]
    return np.ascontiguousarray(windows.transpose(0, 1, 3, 4, 2)).reshape(-1, size, size, 3)


def rate(function, *arguments):
    """Windows a second, and the result."""
    start = time.perf_counter()
    result = function(*arguments)
    return result.size / (time.perf_counter() - start), result


def compare(name, ours, rival, repeats):
    """Ratio of the two rates, pair by pair, after one run of each that does not count."""
    ours(), rival()
    ratios = []
    for _ in range(repeats):
        mine, result = rate(ours)
        theirs, expected = rate(rival)
        ratios.append(mine / theirs)
        difference = float(np.abs(result.ravel()[: expected.size] - expected.ravel()).max())
    row = {"what": name, "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    row["windows_per_second"], row["largest_difference"] = mine, difference
    print(
        f"{name:<62} {row['ratio']:6.2f} x  ({row['low']:.2f} to {row['high']:.2f})  {mine:9,.0f}/s  {difference:.0e}",
        flush=True,
    )
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1200, help="pixels a side of the scene")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    options = parser.parse_args()
    rows, table = 25, []
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        print(f"{'paper network, step 2, against':<62} {'ratio':>8}  (range)  our windows/s  largest difference")
        for size, padding in ((25, "same"), (32, "same"), (32, "valid")):
            scene, pipe = scene_and_pipeline(size, options.side, padding, None)
            cut = cut_windows(scene, pipe, rows)
            label = f"shared, {size} px, {padding}: "
            rivals = {
                "usual loop": lambda scene=scene, pipe=pipe: usual_loop(scene, pipe, rows),
                "model.predict on windows cut beforehand": lambda pipe=pipe, cut=cut: pipe[-1].model_.predict(
                    cut, batch_size=1024, verbose=0
                )[:, 1],
                "our window by window": lambda scene=scene, pipe=pipe: mapped(scene, pipe, "window", folder),
            }
            for name, rival in rivals.items():
                ours = lambda scene=scene, pipe=pipe: mapped(scene, pipe, "shared", folder)  # noqa: E731
                table.append(compare(label + name, ours, rival, options.repeats))
    options.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
