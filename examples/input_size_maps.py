"""
Maps of patches as they are, or resampled to 32 pixels
======================================================

``plot_input_size.py`` asks what resampling does to the accuracy on patches. Here are the maps: networks with
``input_size=None`` and with 32 are trained on the same samples of landslides alone, and map *other* ground. Grounds
are pairs of simulated scenes and, with ``--real``, the two halves of Iburi's optical image, as in
``sampling_study.py``. The same networks also classify the balanced patches of polygons of both classes of the mapped
ground, as the paper does::

    python examples/input_size_maps.py --published --real iburi --table docs/results/input_size_maps.md
"""
# sphinx_gallery_thumbnail_path = '_static/thumbnails/input_size_maps.png'

import tempfile
import warnings
from pathlib import Path

import numpy as np
from experiments import (
    SIMULATED,
    Results,
    interval_text,
    markdown,
    pair_of_grounds,
    parse_settings,
    spread,
    verdict,
    write_table,
)
from sklearn.pipeline import make_pipeline

from sklandslide import Augmenter, BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor, sample_polygons
from sklandslide.exceptions import SamplingWarning

options = parse_settings(
    "Maps of patches as they are beside patches resampled to 32 pixels.",
    seeds=[0],
    side=250,
    patch_size=25,
    epochs=3,
    step=3,
    real="",
    published={"seeds": [0, 1, 2, 3, 4], "side": 900, "epochs": 15, "step": 2},
)
INPUT_SIZES = {"as they are": None, "resampled to 32": 32}
SCORES = {"ap": "AP", "best_f1": "best F1", "accuracy": "accuracy (%)"}


def run(place, seed, name, memory):
    """Scores of a map, and of balanced patches, on ground that the network was not trained on."""
    composite = "RGB" if place.startswith("Iburi") else "BAA"
    scene, polygons, other, truth = pair_of_grounds(place, options.side, options.real)
    drawn = {"patch_size": options.patch_size, "bands": composite, "random_state": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene
        X, y, _ = sample_polygons(scene, polygons[polygons["class"] == "landslide"], stride=4, **drawn)
        X_other, y_other, _ = sample_polygons(other, truth, stride=6, balance=True, background=0, edge=0, **drawn)
    model = make_pipeline(
        BandStacker(composite),
        PatchSampler(options.patch_size),
        Augmenter(translation=0, brightness=0 if composite == "RGB" else 0.4),
        LandslideCNN(input_size=INPUT_SIZES[name], epochs=options.epochs, random_state=seed),
    ).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        landslides = SlidingWindowPredictor(model, step=options.step).predict_map(other, Path(folder, "map.tif"))
        best = float(landslides.precision_recall(truth)["area_f1"].max())
        ap = landslides.average_precision(truth)
    return {"ap": ap, "best_f1": best, "accuracy": 100 * model.score(X_other, y_other)}


grounds = {"BAA, simulated": [(f"simulated {seed}", seed) for seed in options.seeds]}
if options.real:
    for way in ("west to east", "east to west"):
        grounds[f"RGB, Iburi {way}"] = [(f"Iburi {way}", seed) for seed in options.seeds]
keys = [(*pair, name) for pairs in grounds.values() for pair in pairs for name in INPUT_SIZES]
results = Results(options.results, options.settings)
records = {tuple(record["key"]): record for record in results.complete(run, keys, options.jobs)}


def column(ground, name, score):
    return np.array([records[(*pair, name)][score] for pair in grounds[ground]])


rows, differences = [], []
for ground in grounds:
    for name in INPUT_SIZES:
        cells = [spread(column(ground, name, score), 1 if score == "accuracy" else 3) for score in SCORES]
        rows.append([ground, name, *cells])
    for score, title in SCORES.items():
        difference = column(ground, "as they are", score) - column(ground, "resampled to 32", score)
        shown = verdict(difference, "as they are is better", "resampled is better")
        text = interval_text(difference, 1 if score == "accuracy" else 3)
        differences.append(f"- {ground}, {title}: as they are less resampled {text}; {shown}.")
parts = [
    "Trained on one ground, mapped another. AP and best F1 are those of the map, by area; accuracy is that of balanced "
    "patches of the mapped ground's polygons of both classes, at 0.5. Mean and standard deviation over the seeds: each "
    "is another pair of simulated scenes and another network, on Iburi another network and other samples. Differences "
    "are within seeds, with a 95 % confidence interval (Student's t).",
    markdown(["ground", "patches", *SCORES.values()], rows),
    "\n".join(differences),
]
print("\n\n".join(parts))
if options.table:
    real = " The colour image of Iburi is real, and its polygons are weak labels." if options.real else ""
    write_table(options, "Maps of patches as they are, or resampled to 32 pixels", *parts, data=SIMULATED + real)
