"""
Does the score of a search rank candidates as the map does?
===========================================================

A search chooses the candidate with the highest score on folds of the training ground. Here many candidates (patch
sizes, learning rates, epochs) are scored so, by accuracy and by ``map_scorer()``, and each is then trained on all of
that ground and maps *other* ground. The rank correlation (Spearman) says how far the order that a score gives is that
of the maps::

    python examples/scorer_ranks.py --published --table docs/results/scorer_ranks.md

Grounds and samples are those of ``sampling_study.py``.
"""
# sphinx_gallery_thumbnail_path = '_static/thumbnails/scorer_ranks.png'

import tempfile
import warnings
from pathlib import Path

import numpy as np
from experiments import (
    SIMULATED,
    Results,
    markdown,
    pair_of_grounds,
    parse_settings,
    spatial_folds,
    spread,
    write_table,
)
from scipy.stats import spearmanr
from sklearn.model_selection import ParameterGrid, cross_validate
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    SlidingWindowPredictor,
    map_scorer,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

options = parse_settings(
    "Does the score of a search rank candidates as the map does?",
    pairs=1,
    side=250,
    patch_sizes=[9, 13],
    learning_rates=[1e-3],
    epochs=[1, 2],
    stride=6,
    folds=3,
    step=3,
    real="",
    published={
        "pairs": 2, "side": 600, "patch_sizes": [9, 13, 17, 25, 33], "learning_rates": [3e-4, 3e-3], "epochs": [4, 16],
    },
)  # fmt: skip
CANDIDATES = list(
    ParameterGrid({"patch": options.patch_sizes, "rate": options.learning_rates, "epochs": options.epochs})
)
SCORES = {
    "accuracy": "accuracy",
    "map_scorer()": map_scorer(),
    'map_scorer("f1")': map_scorer("f1"),
}


def run(place, number, memory):
    """Cross-validated scores of a candidate, and those of its map of other ground."""
    composite, candidate = "RGB" if place.startswith("Iburi") else "BAA", CANDIDATES[number]
    scene, polygons, other, truth = pair_of_grounds(place, options.side, options.real)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene
        X, y, groups = sample_polygons(
            scene, polygons[polygons["class"] == "landslide"], patch_size=options.patch_sizes,
            stride=options.stride, bands=composite, random_state=0,
        )  # fmt: skip
    model = make_pipeline(
        BandStacker(composite),
        PatchSampler(candidate["patch"]),
        Augmenter(translation=0, brightness=0 if composite == "RGB" else 0.4),
        LandslideCNN(input_size=None, learning_rate=candidate["rate"], epochs=candidate["epochs"], random_state=number),
    )
    folds = spatial_folds(X, options.folds, max(options.patch_sizes), seed=0)
    found = cross_validate(model, X, y, cv=folds, scoring=SCORES, groups=groups)
    model.fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        landslides = SlidingWindowPredictor(model, step=options.step).predict_map(other, Path(folder, "map.tif"))
        curve = landslides.precision_recall(truth)
        maps = {"map_ap": landslides.average_precision(truth), "map_f1": float(curve["area_f1"].max())}
    return {**{name: float(found[f"test_{name}"].mean()) for name in SCORES}, **maps}


places = [f"simulated {number}" for number in range(options.pairs)]
if options.real:
    places += ["Iburi west to east", "Iburi east to west"]
keys = [(place, number) for place in places for number in range(len(CANDIDATES))]
results = Results(options.results, options.settings)
records = {tuple(record["key"]): record for record in results.complete(run, keys, options.jobs)}


def scores_of(place, name):
    return np.array([records[place, number][name] for number in range(len(CANDIDATES))])


rows = []
for place in places:
    for name in SCORES:
        score, best_f1, ap = (scores_of(place, each) for each in (name, "map_f1", "map_ap"))
        ranks = [f"{spearmanr(score, scores).statistic:+.2f}" for scores in (best_f1, ap)]
        chosen = int(score.argmax())
        size = CANDIDATES[chosen]["patch"]
        rows.append([place, name, *ranks, f"{size} px", f"{best_f1[chosen]:.3f}", f"{best_f1.max():.3f}"])
header = ["ground", "score", "rank correlation with the map's best F1", "with its AP", "it chooses",
          "whose map has F1", "best of all"]  # fmt: skip
means = [
    f"{name}: {spread([spearmanr(scores_of(p, name), scores_of(p, 'map_f1')).statistic for p in places], 2)}"
    for name in SCORES
]
parts = [
    f"{len(CANDIDATES)} candidates, each scored by {options.folds} spatial folds of one ground and mapped on another. "
    "Best F1 is that of area, of any threshold.",
    markdown(header, rows),
    f"Rank correlation with the map's best F1, mean over the grounds: {'; '.join(means)}.",
]
print("\n\n".join(parts))
if options.table:
    real = " The colour image of Iburi is real, and its polygons are weak labels." if options.real else ""
    title = "Does the score of a search rank candidates as the map does?"
    write_table(options, title, *parts, data=SIMULATED + real)
