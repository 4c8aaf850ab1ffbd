"""
Patches as they are, or resampled to 32 pixels
==============================================

The paper resamples patches of 25 x 25 pixels to 32 x 32 before the network. ``LandslideCNN(input_size=32)`` does that;
``input_size=None`` takes patches as they are. The second saves arithmetic, and more than that: windows that overlap can
then share what they have in common, so a map takes a fraction of the time. Does it cost accuracy?

For each scene both are trained on the same samples, each with its own learning rate from cross-validation with spatial
folds, and tested on a region held out. Then both map the same scene in turn, and the ratio of the two times counts:
seconds depend on the machine and on what else it does.

**The radar is simulated.** An accuracy on it says nothing about real landslides. The published run takes several
seeds, each another scene with other landslides, samples and networks::

    python examples/plot_input_size.py --published --table docs/results/input_size.md
"""

import platform
import tempfile
import time
from pathlib import Path

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
    simulate,
    spatial_folds,
    spread,
    verdict,
    write_table,
)
from joblib import cpu_count
from sklearn.model_selection import GridSearchCV

from sklandslide import SlidingWindowPredictor

options = parse_settings(
    "Patches as they are beside patches resampled to 32 pixels.",
    seeds=[0],
    composites=["BAA"],
    side=600,
    stride=6,
    max_per_polygon=6,
    patch_size=25,
    learning_rates=[1e-3],
    folds=2,
    epochs=12,
    step=2,
    map_side=250,
    pairs=3,
    published={
        "seeds": [0, 1, 2, 3, 4],
        "composites": ["BAA", "RGB"],
        "side": 1000,
        "learning_rates": [3e-4, 1e-3],
        "folds": 3,
        "epochs": 20,
        "map_side": 500,
        "pairs": 7,
    },
)
INPUT_SIZES = {"as they are": None, "resampled to 32": 32}

# %%
# Accuracy on one scene
# ---------------------


def run(composite, seed, memory):
    X, y, groups = sample(seed, options.side, options.patch_size, options.stride, options.max_per_polygon)
    train, test = held_out_region(X, y, groups, options.patch_size, seed)
    record = {}
    for name, input_size in INPUT_SIZES.items():
        model = pipeline(
            composite,
            patch_size=options.patch_size,
            input_size=input_size,
            epochs=options.epochs,
            random_state=seed,
            memory=memory,
        )
        search = GridSearchCV(
            model,
            {"landslidecnn__learning_rate": options.learning_rates},
            cv=spatial_folds(X[train], options.folds, options.patch_size, seed),
        )
        search.fit(X[train], y[train], groups=groups[train])
        record[name] = {
            **scores(y[test], search.predict(X[test])),
            "learning_rate": search.best_params_["landslidecnn__learning_rate"],
        }
    return record


results = Results(options.results, options.settings)
keys = [(composite, seed) for seed in options.seeds for composite in options.composites]
records = results.complete(run, keys, options.jobs)


def column(composite, name, score):
    return np.array([record[name][score] for record in records if record["key"][0] == composite])


# %%
# Speed of maps
# -------------
# Speed depends on the network's shape and not on what it has learnt, so one epoch of training will do. The first map of
# each compiles its program and does not count.

scene, _ = simulate(options.seeds[0], options.map_side)
X, y, _ = sample(options.seeds[0], options.map_side, options.patch_size, options.stride, options.max_per_polygon)
predictors = {
    name: SlidingWindowPredictor(
        pipeline(
            options.composites[0], patch_size=options.patch_size, input_size=input_size, epochs=1, random_state=0
        ).fit(X, y),
        step=options.step,
    )
    for name, input_size in INPUT_SIZES.items()
}
seconds = {name: [] for name in INPUT_SIZES}
with tempfile.TemporaryDirectory() as folder:
    for _ in range(options.pairs + 1):
        for name, predictor in predictors.items():
            start = time.perf_counter()
            landslides = predictor.predict_map(scene, Path(folder, "map.tif"), overwrite=True)
            seconds[name].append(time.perf_counter() - start)
n_windows = int(np.prod(landslides.grid.shape))
seconds = {name: np.array(values[1:]) for name, values in seconds.items()}
ratios = seconds["resampled to 32"] / seconds["as they are"]
for name, predictor in predictors.items():
    reason = f" ({predictor.engine_reason_})" if predictor.engine_reason_ else ""
    print(f"{name}: {n_windows / np.median(seconds[name]):,.0f} windows a second, engine {predictor.engine_}{reason}")
speed = (
    f"Patches as they are map {np.median(ratios):.1f} times as fast (median of {len(ratios)} pairs, "
    f"{ratios.min():.1f} to {ratios.max():.1f})."
)
print(speed)

# %%
# To choose by
# ------------

header = ["composite", "patches", "accuracy (%)", "precision (%)", "recall (%)", "windows a second"]
rows, differences = [], []
for composite in options.composites:
    for name in INPUT_SIZES:
        cells = [spread(column(composite, name, score)) for score in ("accuracy", "precision", "recall")]
        rows.append([composite, name, *cells, f"{n_windows / np.median(seconds[name]):,.0f}"])
    difference = column(composite, "as they are", "accuracy") - column(composite, "resampled to 32", "accuracy")
    shown = verdict(difference, "as they are is better", "resampled is better")
    differences.append(f"{composite}: as they are less resampled {interval_text(difference)} points; {shown}.")
table = markdown(header, rows)
print(table, *differences, sep="\n")

# %%
# Left: dots are scenes, bars one standard deviation over them. Right: each dot is a map, the bar their median.

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for i, name in enumerate(INPUT_SIZES):
    places = np.arange(len(options.composites)) + 0.15 * (2 * i - 1)
    values = np.array([column(composite, name, "accuracy") for composite in options.composites])
    deviation = values.std(axis=1, ddof=1) if values.shape[1] > 1 else None
    left.plot(np.repeat(places, values.shape[1]), values.ravel(), ".", color=f"C{i}", alpha=0.5)
    left.errorbar(places, values.mean(axis=1), deviation, fmt="o", color=f"C{i}", capsize=3, label=name)
    right.barh(i, n_windows / np.median(seconds[name]), height=0.5, color=f"C{i}", alpha=0.5)
    right.plot(n_windows / seconds[name], np.full(len(ratios), i), ".", color=f"C{i}")
left.set_xticks(range(len(options.composites)), options.composites)
left.set(title="Held-out region, simulated scenes", ylabel="Accuracy (%)", xlim=(-0.6, len(options.composites) - 0.4))
left.set_ylim(left.get_ylim()[0] - 3, 100.5)
left.legend(title="patches", fontsize="small")
right.set(title="Speed of the map", xlabel="Windows a second", ylim=(-0.6, 1.6))
right.set_yticks(range(len(INPUT_SIZES)), list(INPUT_SIZES))
right.grid(axis="x", alpha=0.3)
plt.show()

# %%
# The published run writes this to the docs.

if options.table:
    engines = ", ".join(f"{name}: engine `{predictor.engine_}`" for name, predictor in predictors.items())
    write_table(
        options,
        "Patches as they are, or resampled to 32 pixels",
        "Mean and standard deviation over the seeds; each seed is another simulated scene, with other landslides, "
        "samples and networks. Both train on the same samples, each with the learning rate that spatial folds chose "
        "for it, and are tested on a region held out. Differences of accuracy are within scenes, with a 95 % "
        "confidence interval (Student's t over the seeds).",
        table,
        "\n".join(f"- {difference}" for difference in differences),
        f"{speed} Step {options.step}, {n_windows:,} windows, in turn in one process on {cpu_count()} cores "
        f"({platform.machine()}); {engines}.",
    )
