"""
The night after the event: calibrated probability and a threshold
=================================================================

The first radar image after an event is there, the classifier is trained on earlier landslides, and a map has to go out
with one threshold. This example makes the probability of a pipeline mean what it says, tunes the threshold, maps a
region that took no part in either, and shows what each threshold costs there: landslides missed against false alarms
for each square kilometre.

Three things can go wrong, and each has its cell below: calibration on pixels that the network was trained on, polygons
(``groups``) that scikit-learn does not hand on, and a share of landslides in the samples that is not the share on the
ground.

.. note::
    The radar is **simulated**. The scores say that the software does what it should; they say nothing about accuracy
    on real landslides.
"""

# %%
# Settings
# --------
# ``python examples/plot_calibrated_threshold.py --epochs 60 --shape 1200 1600 --step 2`` is a larger run.

import argparse
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import shapely
import sklearn
from rasterio.features import rasterize
from sklearn.calibration import CalibratedClassifierCV
from sklearn.metrics import brier_score_loss, log_loss, make_scorer
from sklearn.model_selection import KFold, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    make_scene,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--shape", type=int, nargs=2, default=[600, 1200], metavar=("ROWS", "COLS"), help="of the scene")
parser.add_argument("--composite", default="BAA")
parser.add_argument("--patch-size", type=int, default=25, metavar="PIXELS")
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--max-per-polygon", type=int, default=12)
parser.add_argument("--step", type=int, default=4, help="of the sliding window in pixels")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--out", type=Path, help="folder for the figure as PNG; by default it is only shown")
options, _ = parser.parse_known_args()

# %%
# A region to learn from, a region to be judged on
# ------------------------------------------------
# The left 60 % of a simulated scene is the ground of earlier landslides, the rest is the event. Samples whose patch
# would cross the border are left out, so the regions share no pixel.

scene, polygons = make_scene(shape=tuple(options.shape), random_state=options.seed)
rows, cols = scene.grid.shape
border = int(0.6 * cols)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene give no sample
    X, y, groups = sample_polygons(
        scene,
        polygons,
        patch_size=options.patch_size,
        stride=6,
        bands=options.composite,
        max_per_polygon=options.max_per_polygon,
        balance=True,
        random_state=options.seed,
    )
half_patch = options.patch_size / 2
sample_col = scene.grid.rowcol(np.asarray(X))[:, 1]
train = np.flatnonzero(sample_col + half_patch <= border)
test = np.flatnonzero(sample_col - half_patch >= border)
X_train, y_train, groups_train = X[train], y[train], groups[train]
held_out = scene.crop(((0, rows), (border, cols)))
print(f"{len(train)} samples to learn from, {len(test)} in the held-out region, half of them landslides.")

# %%
# Folds that share no pixel
# -------------------------
# A calibrator has to see probabilities of patches that the network does not know. Two patches share a pixel if their
# centres are closer than a patch along both axes: that distance is the buffer. It needs nothing but coordinates,
# which X carries through every meta-estimator. ``groups``, the polygon of each sample, adds that no landslide is
# known by half.


class WatchedFolds(SpatialBlockKFold):
    """SpatialBlockKFold that writes down what scikit-learn asks of it."""

    splits = []

    def split(self, X, y=None, groups=None):
        for train, test in super().split(X, y, groups):
            self.splits.append((np.asarray(X), groups, train, test))
            yield train, test


def share_pixels(xy, train, test, patch_extent):
    """Count the training samples whose patch has a pixel in common with a test patch."""
    patches_apart = (np.abs(xy[train][:, None] - xy[test]) / patch_extent).max(axis=-1)
    return int((patches_apart < 1 - 1e-6).any(axis=1).sum())


patch_extent = X.patch_extent(options.patch_size)  # metres along x and y
folds = WatchedFolds(n_splits=3, block_size=800, buffer=patch_extent, random_state=options.seed)
print(f"\n{'folds':<28} {'train':>6} {'test':>6} {'share pixels':>13} {'polygons on both sides':>23}")
for name, splitter, polygon in (
    ("random", KFold(3, shuffle=True, random_state=options.seed), None),
    ("spatial, without groups", folds, None),
    ("spatial, with groups", folds, groups_train),
):
    for a, b in splitter.split(X_train, y_train, polygon):
        both = len(np.intersect1d(groups_train[a], groups_train[b]))
        shared = share_pixels(X_train.xy, a, b, patch_extent)
        print(f"{name:<28} {len(a):>6} {len(b):>6} {shared:>13} {both:>23}")

# %%
# Calibration and threshold, both on spatial folds
# ------------------------------------------------
# :class:`~sklearn.calibration.CalibratedClassifierCV` trains the network on each fold and fits a sigmoid to what it
# says about the rest; the mean of the three is the calibrated probability.
# :class:`~sklearn.model_selection.TunedThresholdClassifierCV` around it holds further folds out and finds the
# threshold.
#
# ``groups`` reach the folds of both through scikit-learn's metadata routing, which has to be switched on. Without it
# both refuse ``groups``. With ``ensemble=False``, which calibrates one network, CalibratedClassifierCV (seen in
# scikit-learn 1.9) drops them without a word; then give ``cv=list(folds.split(X, y, groups))``.
#
# Landslides are half of the samples, but a few hundredths of the ground. A threshold that is good for the samples
# floods the map. The score below therefore weighs the errors as they occur on the ground, where a share :math:`\pi`
# of the windows lies on landslides:
#
# .. math:: \text{precision} = \frac{\pi \, \text{recall}}{\pi \, \text{recall} + (1 - \pi) \, \text{false alarm rate}}


def f1_on_the_ground(y, predicted, share):
    """F1 where `share` of all windows are landslides, from samples with any other share."""
    hit, alarm = np.mean(predicted[y == 1]), np.mean(predicted[y == 0])
    precision = share * hit / max(share * hit + (1 - share) * alarm, 1e-12)
    return 2 * precision * hit / max(precision + hit, 1e-12)


left, bottom, right, top = scene.crop(((0, rows), (0, border))).grid.bounds
landslides = polygons.loc[polygons["class"] == "landslide", "geometry"]
known_region = shapely.box(left, bottom, right, top)
known_share = landslides.union_all().intersection(known_region).area / known_region.area

pipeline = make_pipeline(
    BandStacker(options.composite),
    PatchSampler(options.patch_size),
    Augmenter(),
    LandslideCNN(input_size=None, epochs=options.epochs, random_state=options.seed),
)
plain = pipeline.fit(X_train, y_train)
with sklearn.config_context(enable_metadata_routing=True):
    tuned = TunedThresholdClassifierCV(
        CalibratedClassifierCV(sklearn.clone(pipeline), cv=folds),
        scoring=make_scorer(f1_on_the_ground, share=known_share),
        cv=folds,
    )
    WatchedFolds.splits.clear()
    tuned.fit(X_train, y_train, groups=groups_train)
asked = WatchedFolds.splits
print(
    f"\nscikit-learn asked for {len(asked)} splits, {sum(polygon is not None for _, polygon, _, _ in asked)} of them "
    f"with groups; training patches that share a pixel with the other side: "
    f"{sum(share_pixels(xy, a, b, patch_extent) for xy, _, a, b in asked)}"
)

# %%
# Does the probability mean what it says?
# ---------------------------------------
# Of the held-out samples that are given 70 %, seven in ten should be landslides. The Brier score and the logarithmic
# loss punish both kinds of error, wrong and overconfident; lower is better. The three networks are shown as they come
# and calibrated, beside one network that was trained on all samples: calibration takes samples away from training.


def reliability(y, p, n_bins=8):
    """Mean probability and observed share in bins of equal count, with 95 % intervals (Wilson) of the share."""
    parts = np.array_split(np.argsort(p, kind="stable"), n_bins)
    mean, share = (np.array([values[part].mean() for part in parts]) for values in (p, y))
    n, z = np.array([len(part) for part in parts]), 1.96
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return mean, share, np.stack([share - (centre - half), centre + half - share]).clip(0)


networks = [part.estimator for part in tuned.estimator_.calibrated_classifiers_]
p_one = plain.predict_proba(X[test])[:, 1].astype(float)
p_before = np.mean([network.predict_proba(X[test])[:, 1] for network in networks], axis=0, dtype=float)
p_after = tuned.predict_proba(X[test])[:, 1]
print(f"\n{'held-out samples':<30} {'Brier score':>11} {'log loss':>9} {'accuracy at 0.5':>16}")
for name, p in (
    ("one network, all samples", p_one),
    ("three networks, as they come", p_before),
    ("three networks, calibrated", p_after),
):
    right = np.mean((p >= 0.5) == y[test])
    print(f"{name:<30} {brier_score_loss(y[test], p):>11.3f} {log_loss(y[test], p):>9.3f} {right:>16.3f}")

# %%
# The map
# -------
# SlidingWindowPredictor takes any fitted classifier of Locations, this one as well. It asks the three networks about
# each window, so the map takes three times as long as that of one network, and what windows share is computed again
# each time: with large scenes, ``ensemble=False`` or a wider step.

folder = tempfile.TemporaryDirectory()
predictor = SlidingWindowPredictor(tuned, step=options.step)
landslide_map = predictor.predict_map(held_out, Path(folder.name) / "map.tif")
print(f"\nMap of {landslide_map.grid.shape} windows, computed by {predictor.engine_!r}: {predictor.engine_reason_}.")

# %%
# The share of landslides is not that of the samples
# --------------------------------------------------
# The samples are balanced, so the network expects a landslide in every second window. If landslides look on the ground
# as they do in the samples and only their share differs, from :math:`\pi_0` to :math:`\pi`, the probability becomes
#
# .. math:: p' = \frac{p \, \pi / \pi_0}{p \, \pi / \pi_0 + (1 - p) (1 - \pi) / (1 - \pi_0)}
#
# (Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities", Neural
# Computation 14, 2002, equation 2.4; Elkan, "The foundations of cost-sensitive learning", IJCAI 2001, theorem 2). With
# balanced samples, "more likely than not" on the ground, :math:`p' \geq 1/2`, means :math:`p \geq 1 - \pi` in the map.
#
# The order of the windows stays as it is: the correction changes what a number means and what threshold one picks,
# not which maps can be had. The share has to come from somewhere: here from the ground of earlier landslides, or from
# the map itself, by applying the formula with the mean of its own result until that stands still (Saerens et al.,
# equation 2.9).


def with_share(p, share, sample_share=0.5):
    """Correct probabilities from the share of landslides among the samples to another."""
    landslide, other = p * share / sample_share, (1 - p) * (1 - share) / (1 - sample_share)
    return landslide / (landslide + other)


def share_from_map(p, n_iter=500):
    """Estimate the share of landslides from the probabilities of all windows (expectation maximisation)."""
    share = 0.5
    for _ in range(n_iter):
        share = with_share(p, share).mean()
    return share


probability = landslide_map.probability.astype(float)
on_landslide = rasterize(landslides, landslide_map.grid.shape, transform=landslide_map.grid.transform).astype(bool)
valid = ~np.isnan(probability)
p_map, truth = probability[valid], on_landslide[valid]
p_corrected = with_share(p_map, known_share)
print("\nShare of the held-out region's windows that lie on landslides")
for name, value in (
    ("by the inventory", truth.mean()),
    ("mean calibrated probability", p_map.mean()),
    ("mean corrected probability", p_corrected.mean()),
    ("in the region of earlier landslides", known_share),
    ("estimated from the map alone", share_from_map(p_map)),
):
    print(f"  {name:<38} {value:.3f}")

# %%
# What a threshold costs
# ----------------------
# Each line is one map. *Hit* is the share of landslides with at least one red point; *false alarms* are connected red
# areas that touch no landslide (with low thresholds they grow together, so look at the red share as well);
# *precision* is the share of red points on a landslide.

tuned_threshold = round(float(np.clip(tuned.best_threshold_, 0, 1)), 3)
named = {0.5: "usual", tuned_threshold: "tuned on spatial folds", 1 - known_share: "even odds on the ground"}
print(f"\n{'threshold':>9} {'corrected':>9} {'hit':>6} {'false alarms / km2':>19} {'precision':>9} {'red share':>9}")
costs = []
for threshold in sorted({0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, *named}):
    scores = landslide_map.score(polygons, threshold=threshold)
    red = scores["n_points"] / valid.sum()
    costs.append((threshold, scores["hit_rate"], scores["false_alarms_per_km2"], scores["precision"], red))
    print(
        f"{threshold:>9.3f} {with_share(threshold, known_share):>9.3f} {scores['hit_rate']:>6.2f} "
        f"{scores['false_alarms_per_km2']:>19.2f} {scores['precision']:>9.2f} {red:>9.3f}  {named.get(threshold, '')}"
    )

# %%
# Top left: a calibrated classifier lies on the diagonal; bars are 95 % intervals. Top middle: on the ground the
# calibrated probability is far too high, because landslides are rarer there than among the samples; the correction
# brings it down. It cannot help where the ground has what the samples lack: those of other ground keep 80 m away from
# landslides, so windows at the edge of one are like neither class. Right: what a threshold finds and what it costs.

figure, axes = plt.subplots(2, 3, figsize=(15, 9.5), layout="constrained")
figure.suptitle("Simulated radar, region held out from training, calibration and threshold tuning")
samples, ground, hits, picture, histogram, alarms = axes.ravel()
before_after = (("as they come", y[test], p_before), ("calibrated", y[test], p_after))
on_the_ground = (("calibrated", truth, p_map), ("corrected for the share", truth, p_corrected))
for ax, curves, n_bins, title in (
    (samples, before_after, 8, "Held-out samples, half landslides"),
    (ground, on_the_ground, 12, "All windows of the map"),
):
    ax.plot([0, 1], [0, 1], color="0.6", lw=1)
    for (name, true, p), marker in zip(curves, "os", strict=True):
        mean, share, error = reliability(true, p, n_bins)
        ax.errorbar(mean, share, error, marker=marker, ms=4, lw=1.2, elinewidth=0.7, label=name)
    ax.set(xlabel="probability of landslide", ylabel="share that lies on landslides", title=f"{title}: reliability")
    ax.legend()
threshold, hit, alarm, precision, red = np.array(costs).T
hits.plot(threshold, hit, "o-", ms=4, label="landslides hit")
hits.plot(threshold, precision, "s-", ms=4, label="precision of red points")
hits.set(ylabel="share", ylim=(0, 1.02), title="What a threshold finds")
alarms.plot(threshold, alarm, "o-", ms=4, color="C3")
alarms.set(ylabel="false alarms per km$^2$", title="What a threshold costs")
for ax in (hits, alarms):
    for value, style in zip(named, ("-", "--", ":"), strict=True):
        ax.axvline(value, color="0.5", lw=1, ls=style, label=named[value] if ax is hits else None)
    ax.set(xlabel="threshold on the calibrated probability")
hits.legend(fontsize="small")
bins = np.linspace(0, 1, 26)
histogram.hist([p_map[truth], p_map[~truth]], bins, density=True, label=["on landslides", "elsewhere"])
histogram.set(xlabel="calibrated probability", ylabel="density", title="Windows of the map")
histogram.legend()
landslide_map.plot(background=held_out, inventory=polygons, threshold=tuned_threshold, ax=picture)
picture.set_title(f"Map at the tuned threshold, {tuned_threshold:.2f}")
if options.out:
    options.out.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out / "calibrated_threshold.png", dpi=100)
plt.show()

# %%
folder.cleanup()
