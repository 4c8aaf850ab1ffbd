"""Draw the thumbnails of the gallery's programs that are shown and not run.

    python docs/make_thumbnails.py

Each shows what its program is about, by a quick classifier on a small simulated scene.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from pages import DOCS, save_picture
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklandslide import BandStacker, PatchSampler, SlidingWindowPredictor, make_scene, sample_polygons
from sklandslide.plots import plot_map

PLACE = DOCS / "_static" / "thumbnails"
PLAIN = {"legend": False, "scale_bar": False, "north_arrow": False}


def _bare(ax):
    ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
    return ax.figure


def _mapped(folder, seed, bands=("VV_after - VV_before", "VH_after - VH_before"), **options):
    """A map of one scene by a classifier that learned on another, the scene and its polygons."""
    scene, polygons = make_scene(shape=(300, 360), random_state=0)
    X, y, _ = sample_polygons(scene, polygons, patch_size=15, max_per_polygon=8, balance=True, random_state=0)
    spread = FunctionTransformer(lambda patches: np.concatenate([patches.mean((1, 2)), patches.std((1, 2))], axis=1))
    model = make_pipeline(BandStacker(list(bands)), PatchSampler(15), spread, StandardScaler(), LogisticRegression())
    other, truth = make_scene(shape=(300, 360), random_state=seed, **options)
    path = Path(folder) / f"{seed}.tif"
    return SlidingWindowPredictor(model.fit(X, y), step=4).predict_map(other, path), other, truth


def reuse_model(folder):
    """The map of another scene."""
    m, scene, polygons = _mapped(folder, 5)
    return _bare(m.plot(background=(scene, "BAA"), inventory=polygons, palette="colorblind", threshold=0.6, **PLAIN))


def false_alarms(folder):
    """Red points on radar, without an inventory to compare them with."""
    m, scene, _ = _mapped(folder, 7)
    return _bare(m.plot(background=(scene, "VV_after"), threshold=0.7, **PLAIN))


def applicability(folder):
    """Ground that is greyed: the valleys, in place of ground unlike that of training."""
    m, scene, _ = _mapped(folder, 9)
    heights = scene.read("DEM")[..., 0]
    rows, cols = (np.linspace(0, size - 1, n).astype(int) for size, n in zip(heights.shape, m.grid.shape, strict=True))
    low = heights[np.ix_(rows, cols)] < np.percentile(heights, 35)
    red = (m.probability >= 0.6) & ~low
    return _bare(plot_map(m.grid, m.probability, red, background=(scene, "hillshade"), outside=low, **PLAIN))


def sampling_study(folder):
    """Negatives from the background and from the edges of landslides."""
    scene, polygons = make_scene(shape=(300, 360), random_state=0)
    slides = polygons[polygons["class"] == "landslide"]
    X, y, _ = sample_polygons(scene, slides, patch_size=15, max_per_polygon=6, random_state=0)
    ax = X.plot(y, bands="RGB", patch_size=15)
    ax.get_legend().remove()
    ax.set_title("")
    return _bare(ax)


def experiments(folder):
    """A sign for repeated runs with their spread; the numbers are drawn at random."""
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    random = np.random.RandomState(3)
    for place in range(5):
        values = 0.7 + 0.04 * place + 0.05 * random.normal(size=6)
        ax.plot(np.full(6, place), values, ".", color="0.6")
        ax.errorbar(place, values.mean(), values.std(), fmt="o", color="C0", capsize=4)
    ax.set(xticks=[], yticks=[], xlabel="experiment", ylabel="score of each seed")
    return figure


def input_size_maps(folder):
    """A patch of 25 pixels, and the same resampled to 32."""
    from scipy.ndimage import zoom

    scene, _ = make_scene(shape=(300, 360), random_state=0)
    patch = scene.read(["Red", "Green", "Blue"], ((60, 85), (150, 175)))
    low, high = np.percentile(patch, [2, 98], axis=(0, 1))
    figure, axes = plt.subplots(1, 2, figsize=(4, 2.2), layout="constrained")
    for ax, size in zip(axes, (25, 32), strict=True):
        shown = zoom(np.clip((patch - low) / (high - low), 0, 1), (size / 25, size / 25, 1), order=1)
        ax.imshow(np.clip(shown, 0, 1))
        ax.set(xticks=[], yticks=[], title=f"{size} pixels")
    return figure


def scorer_ranks(folder):
    """Rank correlations, those of the page of results."""
    page = (DOCS / "results" / "scorer_ranks.md").read_text()
    found = re.findall(r"^\| simulated \d+ \| ([^|]+) \| ([+-][0-9.]+) \|", page, re.M)
    figure, ax = plt.subplots(figsize=(4, 3), layout="constrained")
    for place, name in enumerate(dict.fromkeys(name for name, _ in found)):
        ax.plot([float(value) for each, value in found if each == name], [place] * 2, "o", ms=12, color=f"C{place}")
        ax.text(0.02, place, name, va="center", size=14)
    ax.set(xlim=(0, 1), ylim=(2.6, -0.6), yticks=[], xlabel="rank correlation with the map")
    return figure


def main() -> None:
    warnings.simplefilter("ignore")
    PLACE.mkdir(exist_ok=True)
    for draw in (
        reuse_model, false_alarms, applicability, sampling_study, scorer_ranks, input_size_maps, experiments,
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            figure = draw(folder)
            made = Path(folder) / "made.png"
            figure.savefig(made, dpi=60, bbox_inches="tight")
            plt.close(figure)
            save_picture(made, PLACE / f"{draw.__name__}.png")
            print(PLACE / f"{draw.__name__}.png")


if __name__ == "__main__":
    main()
