"""Draw the pictures of the documentation that no page's own code draws.

    python docs/make_pictures.py            # all of them, into docs/images
    python docs/make_pictures.py overlap    # one of them

Pictures made by the code of a page are renewed by ``python docs/pages.py --write``; that in QGIS by
``docs/qgis/picture.sh``.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, Rectangle
from pages import DOCS, IMAGES, save_picture

from sklandslide import SpatialBlockKFold, make_scene, sample_polygons
from sklandslide.exceptions import SamplingWarning
from sklandslide.mapping.states import axis_plan

ORANGE, GREY, BLUE = "#e66100", "0.55", "#1f77b4"


def overlap():
    """How patches overlap, and what random and spatial folds do about it."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.2), layout="constrained")
    _three_patches(axes[0])
    random = np.random.RandomState(3)
    xy, y = random.uniform(0, 4000, (420, 2)), np.arange(420) % 2
    test = np.zeros(len(xy), bool)
    test[random.choice(len(xy), 105, replace=False)] = True
    _samples(axes[1], xy, ~test, test, "Random folds")
    folds = SpatialBlockKFold(4, block_size=1000, buffer=250, random_state=1)
    train, rows = next(folds.split(xy, y))
    masks = [np.isin(np.arange(len(xy)), part) for part in (train, rows)]
    _samples(axes[2], xy, *masks, "Blocks of 1 km, buffer of one patch")
    for line in range(1000, 4000, 1000):
        axes[2].axvline(xy[:, 0].min() + line, color="0.8", zorder=0)
        axes[2].axhline(xy[:, 1].min() + line, color="0.8", zorder=0)
    return figure


def _three_patches(axis):
    for i, colour in enumerate(("#1b9e77", "#7570b3", ORANGE)):
        axis.add_patch(Rectangle((6 * i, 6 * i), 25, 25, facecolor=colour, alpha=0.35, edgecolor=colour, linewidth=2))
        axis.plot(6 * i + 12.5, 6 * i + 12.5, "o", color=colour)
    axis.set(xlim=(-2, 40), ylim=(-2, 40), aspect="equal", xlabel="pixels", title="Patches of 25 pixels, 6 apart")


def _samples(axis, xy, train, test, title):
    rest = ~(train | test)
    style = {"marker": "s", "linewidths": 0.8, "s": 26}
    axis.scatter(*xy[rest].T, facecolor="white", edgecolor="0.6", label="left out", **style)
    axis.scatter(*xy[train].T, color=GREY, label="training", **style)
    axis.scatter(*xy[test].T, color=ORANGE, label="test", **style)
    axis.set(xticks=[], yticks=[], aspect="equal", title=title, xlabel="4 km")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False)


def border_states():
    """The border states of a window of eight pixels, as the program itself derives them."""
    plan = axis_plan(8, 2, ["same", "pool", "same", "pool"])
    rows = [("input", [0] * 8, 1)]
    sizes, distance = [8, 4, 4, 2], 1
    for step, size in zip(plan.steps, sizes, strict=True):
        distance *= 2 if step.kind == "pool" else 1
        rows.append((step.kind, _states_along(step, rows[-1][1], size), distance))
    figure, axis = plt.subplots(figsize=(9, 4.4), layout="constrained")
    colours = plt.get_cmap("Set2").colors
    for level, (kind, states, apart) in enumerate(rows):
        for i, state in enumerate(states):
            colour = "white" if kind == "input" else colours[state]
            axis.add_patch(Rectangle((i * apart + 0.06, -level), apart - 0.12, 0.6, facecolor=colour, edgecolor="0.3"))
            axis.text((i + 0.5) * apart, 0.3 - level, str(i), ha="center", va="center", fontsize=9, color="0.2")
        if kind == "same":
            for x in (-apart, 8):
                axis.add_patch(Rectangle((x + 0.06, 1 - level), apart - 0.12, 0.6, facecolor="0.75", edgecolor="0.5"))
                axis.text(x + apart / 2, 1.3 - level, "0", ha="center", va="center", fontsize=9)
        n = len(set(states))
        name = {"input": "pixels", "same": "3 x 3 convolution", "pool": "2 x 2 pooling"}[kind]
        axis.text(10.3, 0.3 - level, f"{name}: {n} state{'s' if n > 1 else ''}", va="center")
    axis.set(xlim=(-2.2, 14.2), ylim=(-4.3, 0.9))
    axis.axis("off")
    return figure


def _states_along(step, before, size):
    """State of each feature after a layer, from those before it."""
    known = {recipe: state for state, recipe in enumerate(step.recipes)}
    if step.kind == "pool":
        return [known[tuple(before[2 * i : 2 * i + 2])] for i in range(size)]
    ends = [None, *before, None]
    return [known[tuple(ends[i : i + 3])] for i in range(size)]


def simulator():
    """One piece of ground from both orbits, in sigma0 and gamma0, and in colour."""
    options = {"shape": (300, 300), "random_state": 3, "density": 5}
    ascending, polygons = make_scene(**options)
    descending, _ = make_scene(orbit="descending", **options)
    flat, _ = make_scene(backscatter="gamma0", **options)
    pictures = [
        ("Sigma0, ascending", ascending.read("VV_after")[..., 0]),
        ("Sigma0, descending", descending.read("VV_after")[..., 0]),
        ("Gamma0, ascending", flat.read("VV_after")[..., 0]),
        ("Red, green, blue", (ascending.read(["Red", "Green", "Blue"]) / 1800).clip(0, 1)),
    ]
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.7), layout="constrained")
    left, bottom, right, top = ascending.grid.bounds
    for axis, (title, picture) in zip(axes, pictures, strict=True):
        axis.imshow(picture, cmap="gray", vmin=-16, vmax=0, extent=(left, right, bottom, top))
        axis.set(xticks=[], yticks=[], title=title)
    slides = polygons[polygons["class"] == "landslide"]
    slides.boundary.plot(ax=axes[3], color="gold", linewidth=0.8)
    axes[3].set(xlabel="", ylabel="", xticks=[], yticks=[])
    figure.suptitle("Simulated VV after the event, -16 to 0 dB, 3 x 3 km", fontsize=11)
    return figure


def method():
    """From composite to patches to network to map."""
    scene, polygons = make_scene(shape=(260, 260), random_state=5, density=5)
    X, y, _ = sample_polygons(scene, polygons, patch_size=25, stride=8, max_per_polygon=3, random_state=0)
    figure = plt.figure(figsize=(13, 3.9))
    composite = _on(figure, 0.01, 0.26, "1. Three dates of VV")
    image = ((scene.read(["VV_before", "VV_after", "VV_after2"]) + 16) / 16).clip(0, 1)
    left, bottom, right, top = scene.grid.bounds
    composite.imshow(image, extent=(left, right, bottom, top))
    for label, colour in ((1, "gold"), (0, "deepskyblue")):
        for x, north in X.xy[y == label][::3]:
            box = Rectangle((x - 125, north - 125), 250, 250, facecolor="none", edgecolor=colour, linewidth=0.9)
            composite.add_patch(box)
    _patches(figure, scene, image, X, y)
    _network(_on(figure, 0.49, 0.23, "3. Network"))
    _sliding(_on(figure, 0.74, 0.25, "4. Sliding window"), image, scene.grid, polygons)
    for x in (0.275, 0.475, 0.725):
        arrow = FancyArrowPatch((x - 0.008, 0.47), (x + 0.012, 0.47), transform=figure.transFigure, mutation_scale=16)
        figure.add_artist(arrow)
    return figure


def _on(figure, left, width, title):
    axis = figure.add_axes((left, 0.06, width, 0.8))
    axis.set(xticks=[], yticks=[], title=title)
    return axis


def _patches(figure, scene, image, X, y):
    first = scene.grid.window_origins(X.xy, 25)
    figure.text(0.38, 0.885, "2. Patches of both classes", ha="center", fontsize=12)
    for row, (label, name) in enumerate(((1, "landslide"), (0, "other ground"))):
        for column, (r, c) in enumerate(first[y == label][[0, 7, 13]]):
            axis = figure.add_axes((0.3 + 0.056 * column, 0.5 - 0.36 * row, 0.05, 0.3))
            axis.imshow(image[r : r + 25, c : c + 25])
            axis.set(xticks=[], yticks=[])
            if column == 1:
                axis.set_xlabel(name, fontsize=9)


def _network(axis):
    axis.set(xlim=(0, 10), ylim=(0, 10))
    axis.spines[:].set_visible(False)
    for i, (height, name) in enumerate(((7.6, "16"), (5.6, "32"), (3.8, "64"))):
        x = 0.4 + 2.2 * i
        axis.add_patch(Rectangle((x, 5 - height / 2), 1.1, height, facecolor=BLUE, alpha=0.75, edgecolor="black"))
        axis.text(x + 0.55, 5, name, ha="center", va="center", color="white", fontsize=9)
    axis.add_patch(Rectangle((7.0, 2.8), 0.5, 4.4, facecolor="0.7", edgecolor="black"))
    axis.text(7.25, 7.5, "128", ha="center", fontsize=9)
    for north, name in ((5.9, "landslide"), (4.1, "other")):
        axis.add_patch(plt.Circle((8.45, north), 0.35, facecolor=ORANGE if north > 5 else "white", edgecolor="black"))
        axis.text(8.45, north + (0.55 if north > 5 else -1.0), name, ha="center", fontsize=8)
    axis.text(3.1, 0.2, "convolution and pooling, three times;\nfully connected; softmax", ha="center", fontsize=9)


def _sliding(axis, image, grid, polygons):
    """Windows over the largest landslide, and the points that a perfect classifier would make."""
    import shapely

    slides = polygons[polygons["class"] == "landslide"]
    largest = slides.geometry.iloc[slides.area.argmax()]
    row, col = (int(n) for n in np.clip(grid.rowcol([largest.centroid.coords[0]])[0] - 40, 0, 180))
    axis.imshow(image[row : row + 80, col : col + 80])
    centres = np.stack(np.meshgrid(np.arange(2, 80, 2), np.arange(2, 80, 2)), axis=-1).reshape(-1, 2)
    xy = grid.xy(row + centres[:, 1], col + centres[:, 0])
    red = centres[shapely.contains_xy(largest, xy[:, 0], xy[:, 1])]
    axis.scatter(*red.T, s=7, color="#e8000b", linewidths=0)
    for i, offset in enumerate((0, 2, 4)):
        box = Rectangle((6 + offset, 28), 25, 25, facecolor="none", edgecolor="white", linewidth=2.4 - 0.6 * i)
        axis.add_patch(box)
    axis.annotate("", (52, 40.5), (36, 40.5), arrowprops={"arrowstyle": "->", "color": "white", "linewidth": 2})
    axis.set_xlabel("steps of 2 pixels; a red point for each landslide window", fontsize=9)


def program():
    """Stand for a program that the gallery shows and does not run."""
    figure, axis = plt.subplots(figsize=(4, 2.8))
    random = np.random.RandomState(4)
    for line, indent in enumerate((0, 1, 1, 2, 2, 1, 0, 1, 2, 2, 1)):
        words = np.cumsum(random.uniform(0.6, 2.2, random.randint(2, 4)))
        starts = [0, *(words[:-1] + 0.15)]
        for start, end in zip(starts, words, strict=True):
            axis.plot([start + 0.8 * indent, end + 0.8 * indent], [-line, -line], color="0.6", linewidth=5)
    axis.set(xlim=(-1, 9), ylim=(-11.5, 1.5))
    axis.axis("off")
    return figure


PICTURES = {
    "program": program,
    "overlap": overlap,
    "border_states": border_states,
    "simulator": simulator,
    "method": method,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="all by default")
    warnings.simplefilter("ignore", SamplingWarning)  # of polygons at the edge
    names = parser.parse_args().names or list(PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            figure = PICTURES[name]()
            made = Path(folder) / f"{name}.png"
            figure.savefig(made, dpi=110, bbox_inches="tight")
            plt.close(figure)
            place = (DOCS / "_static" if name == "program" else IMAGES) / f"{name}.png"
            save_picture(made, place)
            print(place)


if __name__ == "__main__":
    main()
