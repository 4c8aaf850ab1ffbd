"""
Patch size by cross-validation
==============================

The paper takes patches of 25 x 25 pixels, "the best size based on a cross-validation for our study area". This is how
to choose the size for another area: :class:`~sklandslide.PatchSizeDisplay` cross-validates the pipeline at each size,
with other parameters searched along, and draws the curve with its spread.

Two things keep the comparison fair. All sizes see the same samples: ``sample_polygons(patch_size=[...])`` takes only
places where the largest patch fits. And the folds have the *largest* patch as their buffer: with less, the large sizes
would be tested on pixels that they were trained on, and look better for it.

**The radar is simulated.** Which size is best here depends on the size of the simulated landslides, and neither
confirms nor refutes the paper's. The published run takes several seeds, each another scene with other landslides,
samples and networks::

    python examples/plot_patch_size.py --published --table docs/results/patch_size.md
"""

import matplotlib.pyplot as plt
import numpy as np
from experiments import (
    Results,
    balanced,
    interval_text,
    markdown,
    parse_settings,
    pipeline,
    sample,
    spatial_folds,
    spread,
    write_table,
)
from matplotlib.figure import Figure

from sklandslide import PatchSizeDisplay

options = parse_settings(
    "Patch size by cross-validation.",
    seeds=[0],
    composites=["BAA", "RGB"],
    side=600,
    stride=6,
    max_per_polygon=6,
    patch_sizes=[9, 17, 25, 33],
    learning_rates=[1e-3],
    folds=3,
    epochs=10,
    published={
        "seeds": [0, 1, 2],
        "side": 800,
        "patch_sizes": [9, 13, 17, 21, 25, 29, 33],
        "epochs": 20,
    },
)
PAPER = 25

# %%
# One composite on one scene
# --------------------------
# With one scene of your own this cell is all there is to do, and the figure is in ``display.figure_``. If there is a
# search already, ``PatchSizeDisplay.from_search(search, X)`` draws what it found.


def run(composite, seed, memory):
    sizes = options.patch_sizes
    X, y, groups = sample(seed, options.side, sizes, options.stride, options.max_per_polygon)
    rows = balanced(np.arange(len(X)), y, seed)
    X, y, groups = X[rows], y[rows], groups[rows]
    display = PatchSizeDisplay.from_estimator(
        pipeline(composite, epochs=options.epochs, random_state=seed, memory=memory),
        X,
        y,
        patch_sizes=sizes,
        param_grid={"landslidecnn__learning_rate": options.learning_rates},
        groups=groups,
        cv=spatial_folds(X, options.folds, max(sizes), seed),
        ax=Figure().subplots(),
    )
    return {"scores": display.scores.tolist(), "pixel_size": display.pixel_size, "n_samples": len(X)}


results = Results(options.results, options.settings)
keys = [(composite, seed) for seed in options.seeds for composite in options.composites]
records = results.complete(run, keys, options.jobs)

# %%
# The curve
# ---------
# The points are folds (of all scenes, if there are several), the bars their standard deviation. The filled mark is the
# highest mean; the hollow one is the smallest size within one standard error of it, which maps faster and says more
# exactly where the landslide is.


def displays(composite):
    """A display for each scene."""
    return [
        PatchSizeDisplay(
            patch_sizes=options.patch_sizes,
            scores=record["scores"],
            score_name="Accuracy in spatial folds",
            pixel_size=record["pixel_size"],
        )
        for record in records
        if record["key"][0] == composite
    ]


n = len(options.composites)
fig, axes = plt.subplots(1, n, figsize=(1 + 4.5 * n, 4.5), layout="constrained", squeeze=False)
together = {}
for ax, composite in zip(axes[0], options.composites, strict=True):
    scenes = displays(composite)
    together[composite] = PatchSizeDisplay(
        patch_sizes=scenes[0].patch_sizes,
        scores=np.concatenate([scene.scores for scene in scenes], axis=1),
        score_name=scenes[0].score_name,
        pixel_size=scenes[0].pixel_size,
    ).plot(ax)
    ax.set_title(f"{composite}, {len(scenes)} simulated scene{'s' * (len(scenes) > 1)}")
    ax.grid(axis="y", alpha=0.3)
plt.show()

# %%
# What was chosen
# ---------------

rows, remarks = [], []
for composite in options.composites:
    scenes, pooled = displays(composite), together[composite]
    means = 100 * np.array([scene.scores.mean(axis=1) for scene in scenes])
    rows.append([composite, *(spread(column) for column in means.T)])
    chosen = [scene.best_patch_size_ for scene in scenes]
    remark = (
        f"{composite}: highest mean at {pooled.best_patch_size_} pixels, smallest within one standard error "
        f"{pooled.one_standard_error_patch_size_}; by scene, highest at {', '.join(map(str, chosen))}."
    )
    if PAPER in options.patch_sizes and pooled.best_patch_size_ != PAPER:
        best, theirs = (list(pooled.patch_sizes).index(size) for size in (pooled.best_patch_size_, PAPER))
        remark += (
            f" {pooled.best_patch_size_} less the paper's {PAPER}: {interval_text(means[:, best] - means[:, theirs])} "
            "points."
        )
    remarks.append(remark)
table = markdown(["accuracy (%)", *(f"{size} pixels" for size in together[options.composites[0]].patch_sizes)], rows)
print(table, *remarks, sep="\n")

# %%
# The published run writes this to the docs.

if options.table:
    counts = [record["n_samples"] for record in records]
    write_table(
        options,
        "Patch size by cross-validation",
        f"Accuracy in {options.folds} spatial folds: mean and standard deviation over the seeds; each seed is another "
        f"simulated scene, with other landslides, samples and networks ({min(counts)} to {max(counts)} samples, as "
        "many of each class). The learning rate was searched along, for each size. All sizes have the same samples, "
        "and the folds have the largest patch as their buffer. Differences are within scenes, with a 95 % confidence "
        "interval (Student's t over the seeds). It does not allow for the best being the best of several.",
        table,
        "\n".join(f"- {remark}" for remark in remarks),
    )
