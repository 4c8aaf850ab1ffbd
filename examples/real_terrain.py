"""
Simulated radar on real ground
==============================

A real DEM and a real inventory, with the radar that they would have been seen by: Sentinel-1 is simulated, ground and
landslides are not. The composites BAA and BAH are trained on the western part, tested on the eastern, and mapped, as in
the paper's Figure 2::

    python examples/real_terrain.py --dem DEM.tif --grid Red_after.tif --polygons polygons.gpkg --out out

``--grid`` is a raster whose pixels (about 10 m) the radar is simulated on; without it, those of the DEM. The folder
``--out`` gets ``real_terrain.png``, ``real_terrain.md`` (kept as ``docs/results/real_terrain.md``) and a map
for each composite. The radar is SIMULATED: the
figures say that the method runs on real slopes and outlines, and nothing about its accuracy on real radar.
"""

# sphinx_gallery_thumbnail_path = 'images/real_terrain.png'

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
    make_scene,
    sample_polygons,
)

COMPOSITES = ("BAA", "BAH")
HELD_OUT = 0.7  # share of the width that lies west of the held-out region


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dem", required=True, metavar="FILE", help="elevation in metres")
    parser.add_argument("--grid", metavar="FILE", help="raster whose grid the radar is simulated on")
    parser.add_argument("--polygons", required=True, metavar="FILE", help="inventory, with or without other ground")
    parser.add_argument("--class-column", default="class")
    parser.add_argument("--positive", default="landslide")
    parser.add_argument("--orbit", default="ascending", choices=("ascending", "descending"))
    parser.add_argument("--patch-size", type=int, default=25)
    parser.add_argument("--stride", type=int, default=6, help="distance of samples in pixels")
    parser.add_argument("--max-per-polygon", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--step", type=int, default=2, help="of the sliding window in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="processes for the maps")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    return parser.parse_args(arguments)


def simulate(options):
    """Radar on the real ground, and the polygons."""
    bands = {"Grid": options.grid} if options.grid else {}
    ground = Scene.from_files({**bands, "DEM": options.dem})
    return make_scene(
        dem=ground, polygons=options.polygons, class_column=options.class_column, positive=options.positive,
        orbit=options.orbit, random_state=options.seed,
    )  # fmt: skip


def split(scene, X, patch_size):
    """Rows west and rows east of a line; between them a patch's width is left out."""
    left, _, right, _ = scene.grid.bounds
    line = left + HELD_OUT * (right - left)
    reach = X.patch_extent(patch_size)[0] / 2  # half a patch to either side of its centre
    x = np.asarray(X)[:, 0]
    return np.flatnonzero(x < line - reach), np.flatnonzero(x >= line + reach), line


def train(composite, X, y, options):
    pipeline = make_pipeline(
        BandStacker(composite),
        PatchSampler(patch_size=options.patch_size),
        Augmenter(),
        LandslideCNN(input_size=32, epochs=options.epochs, random_state=options.seed),
    )
    return pipeline.fit(X, y)


def scores(model, X, y):
    predicted = model.predict(X)
    (tn, fp), (fn, tp) = confusion_matrix(y, predicted, labels=[0, 1])
    values = [f(y, predicted) for f in (accuracy_score, precision_score, recall_score)]
    return [*(f"{100 * value:.1f}" for value in values), tp, fp, fn, tn]


def draw(maps, scene, polygons, line, path):
    figure, axes = plt.subplots(len(maps), 1, figsize=(7, 5.3 * len(maps)), gridspec_kw={"hspace": 0.36})
    landslides = polygons[polygons["class"] == "landslide"]
    for ax, (composite, landslide_map) in zip(axes, maps.items(), strict=True):
        landslide_map.plot(background=(scene, "hillshade"), inventory=landslides, ax=ax)
        ax.axvline(line, color="white", linewidth=1, linestyle="--")
        ax.set_title(f"{composite}, simulated radar on real ground (held out: right of the dashed line)", fontsize=9)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)


def main(arguments=None):
    options = parse_arguments(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    scene, polygons = simulate(options)
    X, y, _ = sample_polygons(
        scene, polygons, patch_size=options.patch_size, stride=options.stride,
        max_per_polygon=options.max_per_polygon, balance=True, random_state=options.seed,
    )  # fmt: skip
    west, east, line = split(scene, X, options.patch_size)
    print(
        f"{len(west)} samples for training, {len(east)} held out; {(polygons['class'] == 'landslide').sum()} landslides"
    )
    rows, maps = [], {}
    for composite in COMPOSITES:
        model = train(composite, X[west], y[west], options)
        found = SlidingWindowPredictor(model, step=options.step, n_jobs=options.jobs).predict_map(
            scene, options.out / f"{composite}.tif", overwrite=True
        )
        maps[composite] = found
        on_map = found.score(polygons)
        rows.append([composite, *scores(model, X[east], y[east]), f"{on_map['hit_rate']:.2f}",
                     f"{on_map['false_alarms_per_km2']:.2f}"])  # fmt: skip
    head = "composite|accuracy (%)|precision (%)|recall (%)|TP|FP|FN|TN|hit rate, map|false alarms per km2, map"
    lines = ["| " + " | ".join(head.split("|")) + " |", "| --- " * 10 + "|"]
    lines += ["| " + " | ".join(str(value) for value in row) + " |" for row in rows]
    print("\n".join(lines))
    grid = f" --grid {Path(options.grid).name}" if options.grid else ""
    command = (
        f"python examples/real_terrain.py --dem {Path(options.dem).name}{grid} "
        f"--polygons {Path(options.polygons).name} --epochs {options.epochs} --seed {options.seed}"
    )
    title = "# Scores of simulated radar on real ground"
    head = [f"<!-- {command} -->", "", title, "", f"`{command}` wrote this table.", ""]
    (options.out / "real_terrain.md").write_text("\n".join([*head, *lines, ""]))
    draw(maps, scene, polygons, line, options.out / "real_terrain.png")


if __name__ == "__main__":
    sys.exit(main())
