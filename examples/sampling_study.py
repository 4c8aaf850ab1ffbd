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
that was stopped goes on with the same command.
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/sampling_study.png'

import sys
import tempfile
import warnings
from pathlib import Path

import geopandas
import numpy as np
from affine import Affine
from experiments import Results, markdown, parse_settings, simulate, spread, write_table
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
    Scene,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    cross_val_map,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

REAL = Path(sys.argv[sys.argv.index("--real") + 1]) if "--real" in sys.argv else None
options = parse_settings(
    "Where the negatives stand.",
    pairs=1,
    side=300,
    epochs=4,
    step=3,
    patch_size=25,
    real="",
    published={"pairs": 4, "side": 900, "epochs": 15},
)

# Samples: background and edge are negatives per landslide sample; the distances of edges are in metres.
WAYS = {
    "polygons of both classes": {"polygons": True},
    "background 1": {"background": 1},
    "background 2": {"background": 2},
    "background 1, edge 1": {"background": 1, "edge": 1},
    "background 2, edge 2": {"background": 2, "edge": 2},
    "background 1, edge 3": {"background": 1, "edge": 3},
    "background 3, edge 1": {"background": 3, "edge": 1},
    "background 2, edge 2 at 15 to 50 m": {"background": 2, "edge": 2, "edge_distance": (15, 50)},
    "background 2, edge 2 at 30 to 250 m": {"background": 2, "edge": 2, "edge_distance": (30, 250)},
    "polygons of both classes, edge 2": {"polygons": True, "edge": 2},
    "edge as a third class": {"background": 2, "edge": 2, "third": True},
    "label by the share of landslide in 9 pixels": {"background": 2, "edge": 2, "share": 9},
    "background 2, edge 2, then hard negatives 2": {"background": 2, "edge": 2, "hard": 2},
    "background 1, then hard negatives 2": {"background": 1, "hard": 2},
    "background 2, edge 2, input resampled to 32": {"background": 2, "edge": 2, "cnn": {"input_size": 32}},
    "background 2, edge 2, padding valid": {"background": 2, "edge": 2, "cnn": {"padding": "valid"}},
    "background 2, edge 2, patch of 17": {"background": 2, "edge": 2, "patch_size": 17},
    "background 2, edge 2, patch of 33": {"background": 2, "edge": 2, "patch_size": 33},
    "background 2, edge 2, two seeds averaged": {"background": 2, "edge": 2, "seeds": 2},
}
TODAY, BEST = "polygons of both classes", "background 2, edge 2"
SOME = [TODAY, "background 2", BEST]  # on the second composite


# %%
# Grounds
# -------


def ground(name):
    """Training scene and polygons, mapped scene and polygons."""
    if name.startswith("simulated"):
        number = 20 + 2 * int(name.split()[1])
        return (*simulate(number, options.side), *simulate(number + 1, options.side))
    scene = Scene.from_files({band: REAL / f"{band}_after.tif" for band in ("Red", "Green", "Blue")})
    polygons = geopandas.read_file(REAL / "polygons.gpkg").to_crs(scene.grid.crs.to_wkt())
    halves = [half(scene, polygons, 0), half(scene, polygons, 1)]
    return (*halves[0], *halves[1]) if name.endswith("west to east") else (*halves[1], *halves[0])


def half(scene, polygons, east):
    """The western or the eastern half of a scene, and the polygons that lie in it."""
    rows, cols = scene.grid.shape
    first, last = (cols // 2, cols) if east else (0, cols // 2)
    bands = {band: scene.read(band, ((0, rows), (first, last)))[..., 0] for band in scene.bands}
    corner = scene.grid.xy(0, first)
    transform = Affine(*scene.grid.transform[:2], corner[0], *scene.grid.transform[3:5], corner[1])
    part = Scene.from_arrays(bands, transform=transform, crs=scene.grid.crs)
    left, bottom, right, top = part.grid.bounds
    return part, polygons.cx[left:right, bottom:top]


# %%
# Samples and networks
# --------------------


def pipeline(composite, way, seed):
    cnn = {"input_size": None, **way.get("cnn", {})}
    return make_pipeline(
        BandStacker(composite),
        PatchSampler(way.get("patch_size", options.patch_size)),
        Augmenter(),
        LandslideCNN(epochs=options.epochs, random_state=seed, **cnn),
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
            stride=6,
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


def fitted(composite, way, X, y):
    if way.get("seeds", 1) == 1:
        return pipeline(composite, way, 0).fit(X, y)
    voters = [(str(seed), pipeline(composite, way, seed)) for seed in range(way["seeds"])]
    return VotingClassifier(voters, voting="soft").fit(X, y)


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
    model = fitted(composite, way, X, y)
    if "hard" in way:
        X, y = with_hard_negatives(X, y, scene, polygons, model, way["hard"])
        model = fitted(composite, way, X, y)
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
        if name in SOME:
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
        pipeline(composite, way, 0), X, y, Path(folder, "held_out.tif"),
        cv=folds, groups=groups, step=options.step, positive=1,
    )  # fmt: skip
    return held_out.choose_threshold(polygons)


places = [f"simulated {number}" for number in range(options.pairs)]
keys = [(place, composite, name) for name in SOME for composite in ("BAA", "BAH") for place in places]
keys += [(place, "BAA", name) for name in WAYS if name not in SOME for place in places]
if REAL:
    halves = [f"Iburi {way}" for way in ("west to east", "east to west")]
    keys = [(place, "RGB", name) for name in SOME for place in halves] + keys
    keys += [(place, "RGB", name) for name in WAYS if name not in SOME for place in halves]
options.settings["real"] = REAL.name if REAL else ""
results = Results(options.results, {name: value for name, value in options.settings.items() if name != "real"})
records = {tuple(record["key"]): record for record in results.complete(run, keys, options.jobs)}

# %%
# Tables
# ------


def column(composite, name, score):
    return [record[score] for key, record in records.items() if key[1:] == (composite, name) and score in record]


def table(composite, names):
    header = ["samples", "AP", "best F1", "hits at 0.25", "0.5", "1 per km2", "at 0.5: F1", "red (%)", "truth (%)"]
    rows = []
    for name in names:
        cells = [spread(column(composite, name, score), 2) for score in ("ap", "best_f1")]
        cells += [spread(column(composite, name, f"hits_{rate}"), 2) for rate in (0.25, 0.5, 1)]
        cells += [spread(column(composite, name, "f1_half"), 2)]
        cells += [spread(100 * np.array(column(composite, name, score)), 1) for score in ("red_half", "truth")]
        rows.append([name, *cells])
    return markdown(header, rows)


def thresholds(composites):
    header = ["ground", "samples", "threshold chosen", "F1", "F1 / today's at 0.5", "hits", "false alarms per km2",
              "red (%)", "truth (%)"]  # fmt: skip
    rows = []
    for composite in composites:
        today = np.mean(column(composite, TODAY, "f1_half"))
        for name in SOME:
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
    "**Simulated radar, BAA**: trained on one scene, mapped another.",
    table("BAA", WAYS),
    f"The AP of '{BEST}' is {ratio:.2f} times that of '{TODAY}'.",
    "**Simulated radar, BAH**",
    table("BAH", SOME),
]
if REAL:
    parts += ["**Real optical image of Iburi**, RGB, one half trained on and the other mapped; the polygons are weak "
              "labels, drawn by a rule on this image.", table("RGB", WAYS)]  # fmt: skip
parts += [
    "**The threshold chosen without the mapped ground**: the best F1 by area on a map by cross-validation of the "
    "training ground (3 folds of spatial blocks).",
    thresholds(["BAA", "BAH", *(["RGB"] if REAL else [])]),
]
print("\n\n".join(parts))
if options.table:
    write_table(options, "Where the negatives stand, and what it does to the map", *parts)
