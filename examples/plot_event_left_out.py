"""
Another event, another orbit
============================

Spatial folds within known events tell how well a pipeline does on the next hillside. Whether it does as well on the
*next event*, with other ground, other weather and other dates, only an event that took no part in training can tell.
This example holds both against each other with :class:`~sklearn.model_selection.LeaveOneGroupOut`, a group for each
event.

A satellite passes twice, ascending and descending, and slopes that one orbit sees badly the other sees well. The same
folds compare four ways to use them:

* each orbit alone,
* *one model for both*: samples of both orbits in one training set; it serves whichever image comes first,
* *both stacked*: the bands of both orbits as one composite, which has to wait for both images.

.. note::
    The radar is **simulated**. The scores say that the software does what it should; they say nothing about accuracy
    on real landslides.
"""

# %%
# Settings
# --------
# ``python examples/plot_event_left_out.py --events 6 --side 600 --epochs 40`` is a larger run.

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    Locations,
    PatchSampler,
    Scene,
    SpatialBlockKFold,
    make_scene,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--events", type=int, default=4)
parser.add_argument("--side", type=int, default=400, help="of each event's scene, in pixels of 10 m")
parser.add_argument("--patch-size", type=int, default=25, metavar="PIXELS")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--max-per-polygon", type=int, default=6)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, help="folder for the figure as PNG; by default it is only shown")
options, _ = parser.parse_known_args()

# %%
# Events
# ------
# Each event has ground, landslides, weather and dates of its own. ``orbit="both"`` gives the bands of the ascending
# orbit by their usual names and those of the descending one with the suffix ``_descending``. For one model of both
# orbits each orbit is a scene with the usual names: with files, two calls of ``Scene.from_files``.

BANDS = ["VV_before", "VV_after", "VH_after"]
DESCENDING = [f"{band}_descending" for band in BANDS]


def one_orbit(scene, suffix):
    """One orbit's bands of a scene, by the usual names."""
    bands = {band: scene.read(band + suffix)[..., 0] for band in BANDS}
    units = {band: scene.units[band + suffix] for band in BANDS}
    return Scene.from_arrays(bands, transform=scene.grid.transform, crs=scene.grid.crs, units=units)


ascending, descending, stacked, labels, events, polygon_ids = [], [], [], [], [], []
for event in range(options.events):
    seed = options.seed + event
    side = (options.side, options.side)
    both, polygons = make_scene(shape=side, n_dates=2, orbit="both", event=event, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene give no sample
        X, y, groups = sample_polygons(
            both,
            polygons,
            patch_size=options.patch_size,
            stride=6,
            bands=BANDS + DESCENDING,
            max_per_polygon=options.max_per_polygon,
            balance=True,
            random_state=seed,
        )
    stacked.append(X)
    ascending.append(Locations(one_orbit(both, ""), X.xy))
    descending.append(Locations(one_orbit(both, "_descending"), X.xy))
    labels.append(y)
    events.append(np.full(len(y), event))
    polygon_ids.append(groups)
    print(f"Event {event + 1}: {len(y)} samples of {len(np.unique(groups))} polygons, half of them landslides")

# %%
# X of several events is one ``Locations`` that knows which scene each row lies on; the event is the group. Polygons are
# numbered from 1 in each event, so for spatial folds, which keep polygons whole, the event has to be part of the name.

y, events, polygon_ids = (np.concatenate(parts) for parts in (labels, events, polygon_ids))
polygon_names = np.char.add(np.char.add(events.astype(str), "-"), polygon_ids.astype(str))
everything = {"ascending": ascending, "descending": descending, "both stacked": stacked}
X_of = {name: Locations.concatenate(parts) for name, parts in everything.items()}
X_of["one model for both"] = Locations.concatenate([X_of["ascending"], X_of["descending"]])

# %%
# Two ways to test
# ----------------
# Both leave out about the same share of the samples. Spatial folds train on blocks of all events and test on other
# blocks of the same events, a patch apart (blocks at one place of the map are left out in all events at once, because
# scenes in one coordinate system may show the same ground). The other trains on all events but one.
#
# Probabilities of both are scored event by event, so that the same samples are judged by the same measure. A search
# works alike: ``GridSearchCV(pipeline, grid, cv=LeaveOneGroupOut()).fit(X, y, groups=events)`` picks what does best
# on events left out.

buffer = X_of["ascending"].patch_extent(options.patch_size)
spatial = SpatialBlockKFold(options.events, block_size=10 * options.side / 5, buffer=buffer, random_state=options.seed)


def pipeline(bands):
    return make_pipeline(
        BandStacker(bands),
        PatchSampler(options.patch_size),
        Augmenter(),
        LandslideCNN(input_size=None, epochs=options.epochs, random_state=options.seed),
    )


def probabilities(bands, X, y, folds, groups):
    """What models that have not seen the fold say about each sample."""
    return cross_val_predict(pipeline(bands), X, y, groups=groups, cv=folds, method="predict_proba")[:, 1]


def by_event(p):
    """Accuracy and area under the ROC curve of each event."""
    rows = [events == event for event in range(options.events)]
    return np.array([(accuracy_score(y[r], p[r] >= 0.5), roc_auc_score(y[r], p[r])) for r in rows])


scores = {}
for test, folds, groups in (
    ("spatial folds within events", spatial, polygon_names),
    ("event left out", LeaveOneGroupOut(), events),
):
    for name, bands in (("ascending", BANDS), ("descending", BANDS), ("both stacked", BANDS + DESCENDING)):
        scores[test, name] = by_event(probabilities(bands, X_of[name], y, folds, groups))
    # both orbits of an event, of a block and of a polygon are left out together
    p = probabilities(BANDS, X_of["one model for both"], np.tile(y, 2), folds, np.tile(groups, 2)).reshape(2, -1)
    scores[test, "one model, ascending image"] = by_event(p[0])
    scores[test, "one model, descending image"] = by_event(p[1])
    scores[test, "one model, mean of both images"] = by_event(p.mean(axis=0))

# %%
# The difference between the two columns is what a score within known events promises too much (or too little).

ways = list(dict.fromkeys(name for _, name in scores))
tests = list(dict.fromkeys(test for test, _ in scores))
for k, measure in enumerate(("Accuracy at 0.5", "Area under the ROC curve")):
    print(f"\n{measure + ', mean over events':<42} {tests[0]:>28} {tests[1]:>16} {'difference':>12}")
    for way in ways:
        within, left_out = (scores[test, way][:, k] for test in tests)
        change = left_out - within
        print(
            f"{way:<42} {within.mean():>18.3f} +- {within.std():.3f} {left_out.mean():>7.3f} +- {left_out.std():.3f} "
            f"{change.mean():>+12.3f}"
        )
print("+- is the standard deviation over events")

print(f"\n{'Accuracy of each event left out':<32}" + "".join(f" {event + 1:>6}" for event in range(options.events)))
for way in ways:
    print(f"{way:<32}" + "".join(f" {value:>6.3f}" for value in scores[tests[1], way][:, 0]))

# %%
# Each dot is one event.

figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), sharey=True, layout="constrained")
figure.suptitle(f"Simulated radar, {options.events} events: tested within known events and on an event left out")
place = np.arange(len(ways))[::-1]
for k, (ax, measure) in enumerate(zip(axes, ("accuracy at 0.5", "area under the ROC curve"), strict=True)):
    for test, colour, shift in zip(tests, ("C0", "C3"), (0.12, -0.12), strict=True):
        values = np.array([scores[test, way][:, k] for way in ways])
        ax.plot(values, np.repeat(place[:, None] + shift, options.events, 1), "o", color=colour, ms=4, alpha=0.5)
        ax.plot(values.mean(axis=1), place + shift, "|", color=colour, ms=16, mew=2, label=f"{test} (bar: mean)")
    ax.set(xlabel=measure, yticks=place, yticklabels=ways)
    ax.grid(axis="x", alpha=0.3)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
if options.out:
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "event_left_out.png", dpi=100)
plt.show()
