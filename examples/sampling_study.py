"""
Where the negatives stand, and what it does to the map
======================================================

Accuracy on patches is not the map. This study trains the same network on samples that are drawn in different ways, maps
ground that it was not trained on, and scores the *map*: average precision and the best F1 of area against the landslide
polygons, and the share of landslides hit at 0.25, 0.5 and 1 false alarm per km2. Grounds are pairs of simulated scenes
(train on one, map the other) and, with ``--real``, the two halves of Iburi's optical image (train on one, map the
other), whose polygons are weak labels::

    python examples/sampling_study.py --published --real iburi --table docs/results/sampling.md

``--real`` names a folder with ``Red_after.tif``, ``Green_after.tif``, ``Blue_after.tif`` and ``polygons.gpkg``. A run
that was stopped goes on with the same command. The published run takes hours.
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/sampling_study.png'

import tempfile
import warnings
from pathlib import Path

import numpy as np
from experiments import Results, markdown, pair_of_grounds, parse_settings, spread, write_table
from rasterio.features import geometry_mask
from scipy import ndimage
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    cross_val_map,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

options = parse_settings(
    "Where the negatives stand.",
    pairs=1,
    pairs_of_others=1,
    side=300,
    epochs=4,
    step=2,
    patch_size=25,
    real="",
    published={"pairs": 4, "pairs_of_others": 2, "side": 900, "epochs": 15},
)

# Samples: background and edge are negatives per landslide sample; the distances of edges are in metres.
BASE = {"background": 2, "edge": 2, "edge_distance": (15, 125)}
CHOSEN = {"background": 4, "edge": 4, "edge_distance": (5, 125)}
PAPER = {"translation": 0.1, "brightness": 0}
WAYS = {
    "polygons of both classes": {"polygons": True, "augmenter": PAPER},
    "background 1": {"background": 1},
    "background 2": {"background": 2},
    "background 1, edge 1": {"background": 1, "edge": 1},
    "background 2, edge 2": BASE,
    "background 1, edge 3": {"background": 1, "edge": 3},
    "background 4, edge 4": {"background": 4, "edge": 4},
    "edge at 5 to 125 m": {**BASE, "edge_distance": (5, 125)},
    "edge at 15 to 60 m": {**BASE, "edge_distance": (15, 60)},
    "edge as a third class": {**BASE, "third": True},
    "label by the share of landslide in 9 pixels": {**BASE, "share": 9},
    "then hard negatives 1": {**BASE, "hard": 1},
    "background 1, then hard negatives 1": {"background": 1, "hard": 1},
    "half as dense": {**BASE, "stride": 6},
    "the paper's augmentation": {**BASE, "augmenter": PAPER},
    "brightness 0": {**BASE, "augmenter": {"translation": 0}},
    "brightness 0.8": {**BASE, "augmenter": {"translation": 0, "brightness": 0.8}},
    "input resampled to 32": {**BASE, "cnn": {"input_size": 32}},
    "padding valid": {**BASE, "cnn": {"padding": "valid"}},
    "40 epochs": {**BASE, "cnn": {"epochs": 40}},
    "patch of 17": {**BASE, "patch_size": 17},
    "patch of 33": {**BASE, "patch_size": 33},
    "three seeds averaged": {**BASE, "seeds": 3},
    "background 4, edge 4 at 5 to 125 m": CHOSEN,
    "the same, three seeds averaged": {**CHOSEN, "seeds": 3},
}
TODAY, FIRST, BEST = "polygons of both classes", "background 2, edge 2", "background 4, edge 4 at 5 to 125 m"
# Of these the threshold is chosen without the mapped ground, and they are run on more pairs of scenes.
OPERATED = {"BAA": [TODAY, FIRST, BEST], "BAH": [TODAY, FIRST], "RGB": [TODAY, FIRST, BEST]}
# Levels of radar are shifted at random, since weather shifts them between dates; those of one optical image are not.
AUGMENTER = {"RGB": {"translation": 0}, "radar": {"translation": 0, "brightness": 0.4}}


# %%
# Grounds
# -------


def ground(name):
    """Training scene and polygons, mapped scene and polygons."""
    return pair_of_grounds(name, options.side, options.real)


# %%
# Samples and networks
# --------------------


def pipeline(composite, way, seed):
    cnn = {"input_size": None, "epochs": options.epochs, **way.get("cnn", {})}
    return make_pipeline(
        BandStacker(composite),
        PatchSampler(way.get("patch_size", options.patch_size)),
        Augmenter(**way.get("augmenter", AUGMENTER.get(composite, AUGMENTER["radar"]))),
        LandslideCNN(random_state=seed, **cnn),
    )


def samples(scene, polygons, composite, way):
    """Samples drawn in one of the ways."""
    both = way.get("polygons", False)
    drawn = {name: way[name] for name in ("background", "edge", "edge_distance") if name in way}
    drawn = {"background": 0, "edge": 0, **drawn} if drawn else {}  # None would mean the defaults
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene
        X, y, groups, report = sample_polygons(
            scene,
            polygons if both else polygons[polygons["class"] == "landslide"],
            patch_size=max(33, options.patch_size),  # the same places for each patch size
            stride=way.get("stride", 4),
            bands=composite,
            balance=both and not drawn,
            random_state=0,
            return_report=True,
            **drawn,
        )
    if way.get("third"):
        y = np.where(y == 1, 1, np.where(report.kind == "edge", 2, 0))
    if "share" in way:
        y = (share_of_landslide(scene, polygons, X, way["share"]) >= 0.5).astype(int)
    return X, y, groups


def landslide_mask(grid, polygons, buffer_m=0.0):
    """Pixels on landslides, or within a distance of them."""
    slides = polygons[polygons["class"] == "landslide"]
    if buffer_m:
        slides = slides.to_crs(slides.estimate_utm_crs()).buffer(buffer_m).to_crs(slides.crs)
    return geometry_mask(slides.geometry, grid.shape, grid.transform, invert=True)


def share_of_landslide(scene, polygons, X, side):
    """Share of landslide in a window about each sample."""
    share = ndimage.uniform_filter(landslide_mask(scene.grid, polygons).astype(float), side)
    return share[tuple(np.floor(scene.grid.rowcol(X.xy)).astype(int).T)]


def with_hard_negatives(X, y, scene, polygons, model, ratio):
    """The samples and, as further negatives, places on the training ground that a first map holds to be landslide."""
    probability, grid = mapped(model, scene)
    wrong = (probability > 0.5) & ~landslide_mask(grid, polygons, buffer_m=15)
    rows, cols = np.nonzero(wrong)
    count = min(len(rows), ratio * int((y == 1).sum()))
    keep = np.random.RandomState(0).choice(len(rows), count, replace=False)
    hard = Locations(scene, grid.xy(rows[keep] + 0.5, cols[keep] + 0.5))
    return Locations.concatenate([X, hard]), np.append(y, np.zeros(count, int))


def mapped(model, scene):
    with tempfile.TemporaryDirectory() as folder:
        found = SlidingWindowPredictor(model, step=options.step, positive=1).predict_map(scene, Path(folder, "map.tif"))
        return found.probability, found.grid


def estimator(composite, way):
    if "seeds" not in way:
        return pipeline(composite, way, 0)
    voters = [(str(seed), pipeline(composite, way, seed)) for seed in range(way["seeds"])]
    return VotingClassifier(voters, voting="soft")


# %%
# The map's scores
# ----------------
# The threshold that a user would have is chosen on the training ground, on a map by cross-validation.


def hits_at(froc, rate):
    """Highest share of landslides hit with at most so many false alarms per km2, at thresholds where red is not all."""
    few = froc[(froc["false_alarms_per_km2"] <= rate).cummin()]
    return float(few["hit_rate"].max()) if len(few) else 0.0


def run(place, composite, name, memory):
    way = WAYS[name]
    scene, polygons, other, truth = ground(place)
    X, y, groups = samples(scene, polygons, composite, way)
    model = estimator(composite, way).fit(X, y)
    if "hard" in way:
        X, y = with_hard_negatives(X, y, scene, polygons, model, way["hard"])
        model = estimator(composite, way).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        found = SlidingWindowPredictor(model, step=options.step, positive=1).predict_map(other, Path(folder, "map.tif"))
        curve, froc = found.precision_recall(truth), found.froc(truth)
        record = {
            "ap": found.average_precision(truth),
            "best_f1": float(curve["area_f1"].max()),
            **{f"hits_{rate}": hits_at(froc, rate) for rate in (0.25, 0.5, 1)},
            "n_train": len(X),
            **at(found, truth, 0.5, "half"),
        }
        if name in OPERATED[composite]:
            threshold = chosen(composite, way, X, y, groups, polygons, folder)
            record |= {"threshold": threshold, **at(found, truth, threshold, "chosen")}
    return record


def at(found, truth, threshold, name):
    score = found.score(truth, threshold=threshold)
    precision, recall = score["area_precision"], score["area_recall"]
    return {
        f"f1_{name}": 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0,
        f"red_{name}": score["red_km2"] / score["valid_km2"],
        "truth": score["landslide_km2"] / score["valid_km2"],
        f"hits_{name}": score["hit_rate"],
        f"alarms_{name}": score["false_alarms_per_km2"],
    }


def chosen(composite, way, X, y, groups, polygons, folder):
    """The threshold of the best F1 by area on ground held out, all of it in the training scene."""
    size = way.get("patch_size", options.patch_size)
    block = tuple(np.ptp(np.asarray(X), axis=0) / 6)
    folds = SpatialBlockKFold(3, block_size=block, buffer=X.patch_extent(size), random_state=0)
    held_out = cross_val_map(
        estimator(composite, way), X, y, Path(folder, "held_out.tif"),
        cv=folds, groups=groups, step=options.step, positive=1,
    )  # fmt: skip
    return held_out.choose_threshold(polygons)


places = [f"simulated {number}" for number in range(options.pairs)]
grounds = {"BAA": places, "BAH": places}
if options.real:
    grounds = {"RGB": [f"Iburi {way}" for way in ("west to east", "east to west")], **grounds}
few = [*places[: options.pairs_of_others], *grounds.get("RGB", [])]
keys = [(place, composite, name) for name in WAYS for composite in grounds for place in grounds[composite]]
keys = [key for key in keys if key[2] in OPERATED[key[1]] or (key[1] != "BAH" and key[0] in few)]
keys.sort(key=lambda key: key[2] not in OPERATED[key[1]])  # the main ones first, if a run is stopped
results = Results(options.results, options.settings)
records = {tuple(record["key"]): record for record in results.complete(run, keys, options.jobs)}

# %%
# Tables
# ------


def column(composite, name, score, places=None):
    return [
        record[score]
        for key, record in records.items()
        if key[1:] == (composite, name) and score in record and (places is None or key[0] in places)
    ]


def table(composite, names, places=None):
    header = ["samples", "AP", "best F1", "hits at 0.25", "0.5", "1 per km2", "at 0.5: F1", "red (%)", "truth (%)"]
    rows = []
    for name in names:
        cells = [spread(column(composite, name, score, places), 2) for score in ("ap", "best_f1")]
        cells += [spread(column(composite, name, f"hits_{rate}", places), 2) for rate in (0.25, 0.5, 1)]
        cells += [spread(column(composite, name, "f1_half", places), 2)]
        cells += [spread(100 * np.array(column(composite, name, score, places)), 1) for score in ("red_half", "truth")]
        rows.append([name, *cells])
    return markdown(header, rows)


def thresholds(composites):
    header = ["ground", "samples", "threshold chosen", "F1", "F1 / today's at 0.5", "hits", "false alarms per km2",
              "red (%)", "truth (%)"]  # fmt: skip
    rows = []
    for composite in composites:
        today = np.mean(column(composite, TODAY, "f1_half"))
        for name in OPERATED[composite]:
            f1 = column(composite, name, "f1_chosen")
            cells = [spread(column(composite, name, "threshold"), 2), spread(f1, 2), f"{np.mean(f1) / today:.2f}"]
            cells += [spread(column(composite, name, score), 2) for score in ("hits_chosen", "alarms_chosen")]
            cells += [spread(100 * np.array(column(composite, name, score)), 1) for score in ("red_chosen", "truth")]
            rows.append([composite, name, *cells])
    return markdown(header, rows)


ratio = np.mean(column("BAA", BEST, "ap")) / np.mean(column("BAA", TODAY, "ap"))
parts = [
    "All scores are of maps of ground that the network was not trained on, against the landslide polygons by area; "
    "mean and standard deviation over the grounds. AP is the average precision of area. Hits are landslides with at "
    "least one red window, at thresholds with at most so many false alarms per km2. Red is the share of the ground at "
    "a threshold of 0.5, truth that of the landslides.",
    f"**Simulated radar, BAA**: trained on one scene, mapped another; {options.pairs} pairs.",
    table("BAA", OPERATED["BAA"]),
    f"The AP of '{BEST}' is {ratio:.2f} times that of '{TODAY}'. It is the default of `sample_polygons` where an "
    "inventory holds landslides only.",
    "**Simulated radar, BAH**",
    table("BAH", OPERATED["BAH"]),
    f"**All ways, BAA**, the first {options.pairs_of_others} of these pairs. Where nothing else is said, they are "
    f"'{FIRST}', at 15 to 125 m.",
    table("BAA", WAYS, few),
]
if options.real:
    parts += ["**Real optical image of Iburi**, RGB, one half trained on and the other mapped; the polygons are weak "
              "labels, drawn by a rule on this image.", table("RGB", WAYS)]  # fmt: skip
parts += [
    "**The threshold chosen without the mapped ground**: the best F1 by area on a map by cross-validation of the "
    "training ground (3 folds of spatial blocks).",
    thresholds(["BAA", "BAH", *(["RGB"] if options.real else [])]),
]
print("\n\n".join(parts))
if options.table:
    data = (
        "The radar and its landslides are **simulated**, the colour image of Iburi is real and its polygons are weak "
        "labels. These figures compare ways of working; they are no accuracy on real landslides."
    )
    write_table(options, "Where the negatives stand, and what it does to the map", *parts, data=data)
