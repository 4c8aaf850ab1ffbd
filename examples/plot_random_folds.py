"""
How much random folds flatter
=============================

Patches that are sampled densely overlap. If folds are drawn at random, nearly every test patch shares pixels with a
training patch, and cross-validation measures how well a network remembers. This example cross-validates one network in
three ways on the same samples, and then tests it on a region held out, a patch apart:

- **random folds**, as ``StratifiedKFold(shuffle=True)`` draws them;
- **whole polygons**: all samples of a landslide in one fold (``StratifiedGroupKFold``), though patches of neighbouring
  landslides may overlap;
- **spatial folds**: blocks with a buffer of one patch (``SpatialBlockKFold``).

What matters is the distance of each from the accuracy on the region held out, which is what a map of new ground gets.

**The radar is simulated.** An accuracy on it says nothing about real landslides. The published run takes several
seeds, each another scene with other landslides, samples and networks::

    python examples/plot_random_folds.py --published --table docs/results/random_folds.md
"""

import matplotlib.pyplot as plt
import numpy as np
from experiments import (
    Results,
    held_out_region,
    interval_text,
    markdown,
    parse_settings,
    pipeline,
    sample,
    scores,
    spatial_folds,
    spread,
    write_table,
)
from scipy.spatial import cKDTree
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

options = parse_settings(
    "Random folds beside spatial folds.",
    seeds=[0],
    composites=["BAH"],
    side=500,
    stride=3,
    patch_size=25,
    learning_rate=1e-3,
    folds=3,
    epochs=10,
    published={"seeds": [0, 1, 2], "composites": ["BAH", "RGB"], "side": 700, "epochs": 30},
)

# %%
# One composite on one scene
# --------------------------
# All three ways split the same training region; the network and its settings are the same. The share of test patches
# that overlap a training patch is counted as well: two patches share a pixel if they are closer than a patch along x
# and along y.


def overlapping(X, train, test):
    extent = X.patch_extent(options.patch_size)
    distance, _ = cKDTree(X.xy[train] / extent).query(X.xy[test] / extent, p=np.inf)
    return float((distance < 1 - 1e-9).mean())


def run(composite, seed, memory):
    X, y, groups = sample(seed, options.side, options.patch_size, options.stride)
    train, test = held_out_region(X, y, groups, options.patch_size, seed)
    model = pipeline(
        composite,
        patch_size=options.patch_size,
        learning_rate=options.learning_rate,
        epochs=options.epochs,
        random_state=seed,
        memory=memory,
    )
    ways = {
        "random folds": StratifiedKFold(options.folds, shuffle=True, random_state=seed),
        "whole polygons": StratifiedGroupKFold(options.folds),
        "spatial folds": spatial_folds(X[train], options.folds, options.patch_size, seed),
    }
    record = {}
    for way, folds in ways.items():
        polygons = None if way == "random folds" else groups[train]
        splits = [(train[a], train[b]) for a, b in folds.split(X[train], y[train], polygons)]
        record[way] = {
            "accuracy": np.mean([scores(y[b], model.fit(X[a], y[a]).predict(X[b]))["accuracy"] for a, b in splits]),
            "overlap": np.mean([overlapping(X, a, b) for a, b in splits]),
            "n_train": int(np.mean([len(a) for a, _ in splits])),
        }
    record["region held out"] = {
        "accuracy": scores(y[test], model.fit(X[train], y[train]).predict(X[test]))["accuracy"],
        "overlap": overlapping(X, train, test),
        "n_train": len(train),
    }
    return record


results = Results(options.results, options.settings)
keys = [(composite, seed) for seed in options.seeds for composite in options.composites]
records = results.complete(run, keys, options.jobs)

# %%
# What each way promises
# ----------------------
# *Flatters* is its accuracy less that on the region held out, in points, within each scene.

WAYS = ("random folds", "whole polygons", "spatial folds", "region held out")


def column(composite, way, what):
    return np.array([record[way][what] for record in records if record["key"][0] == composite])


header = ["composite", "way", "accuracy (%)", "flatters by (points, 95 % interval)"]
header += ["test patches that overlap a training patch (%)", "training samples"]
rows = []
for composite in options.composites:
    truth = column(composite, "region held out", "accuracy")
    for way in WAYS:
        accuracy = column(composite, way, "accuracy")
        flatters = "" if way == WAYS[-1] else interval_text(accuracy - truth)
        overlap = f"{100 * column(composite, way, 'overlap').mean():.0f}"
        rows.append(
            [composite, way, spread(accuracy), flatters, overlap, int(column(composite, way, "n_train").mean())]
        )
table = markdown(header, rows)
print(table)

# %%
# A line is a scene: the same samples, cross-validated in three ways, and the region held out.

fig, axes = plt.subplots(
    1, len(options.composites), figsize=(2 + 4 * len(options.composites), 4), layout="constrained", squeeze=False
)
for ax, composite in zip(axes[0], options.composites, strict=True):
    accuracy = np.array([column(composite, way, "accuracy") for way in WAYS])
    ax.plot(range(len(WAYS)), accuracy, "-", color="C0", alpha=0.4, marker=".")
    ax.plot(range(len(WAYS)), accuracy.mean(axis=1), "o", color="C0", markersize=8, label="mean over scenes")
    ax.set_xticks(range(len(WAYS)), [way.replace(" ", "\n", 1) for way in WAYS])
    ax.set(title=f"{composite} (simulated)", ylabel="Accuracy (%)")
    ax.grid(axis="y", alpha=0.3)
    ax.legend()
plt.show()

# %%
# The published run writes this to the docs.

if options.table:
    write_table(
        options,
        "Random folds beside spatial folds",
        "Mean and standard deviation over the seeds; each seed is another simulated scene, with other landslides, "
        f"samples and networks. Samples lie every {options.stride} pixels within the polygons, patches have "
        f"{options.patch_size} pixels a side. All ways of cross-validation split the same training region; the "
        "accuracy in the last row of a composite is that of the network trained on the whole training region, on a "
        "region held out a patch apart. *Flatters* is the difference from it within scenes, with a 95 % confidence "
        "interval (Student's t over the seeds). Spatial folds train on fewer samples because of their buffer, which "
        "makes them, if anything, too strict.",
        table,
    )
