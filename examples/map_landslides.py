"""
From rasters and polygons to a landslide map
============================================

The main job, from end to end: sample patches on known landslides and elsewhere, search the patch size and the learning
rate with spatial folds, choose the threshold on ground held out, measure patches and map in a region that none of this
saw, and map the scene.

Without arguments it runs on a simulated scene. On your own data::

    python examples/map_landslides.py --band Red=Red.tif --band Green=Green.tif --band Blue=Blue.tif \
        --polygons landslides.gpkg --composite RGB --out out

The polygons may be landslides alone, as inventories are; the negatives are then drawn from the rest of the scene and
from the ground just outside the outlines. Where they have a column ``class``, those of the value ``landslide`` are
landslides, and samples of any other are negatives as well. ``--sampling polygons --input-size 32`` is the
paper's own way: samples of polygons of both classes alone, a search by accuracy, and a threshold of 0.5.

The folder ``--out`` gets ``map.tif`` (probability of landslide), ``landslides.gpkg`` (points and ranked objects),
``landslides.csv`` (the objects as a table), ``map.png``, ``model.skops`` (the model as data that anybody can load
safely, for ``examples/reuse_model.py``) and ``model.pkl`` (the same as a pickle, for your own use).
"""

# sphinx_gallery_thumbnail_path = 'images/map.png'

import argparse
import os
import pickle
import sys
import tempfile
import time
import warnings
from pathlib import Path

import geopandas
import numpy as np
from shapely.geometry import Polygon
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import (
    COMPOSITES,
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    cross_val_map,
    make_scene,
    map_scorer,
    sample_polygons,
    save_model,
)
from sklandslide.exceptions import SamplingWarning, SklandslideError

OUTPUTS = ("map.tif", "landslides.gpkg", "landslides.csv", "map.png", "model.skops", "model.pkl")
HELD_OUT = 0.3  # share of the samples that lie east of the border, for the test


def pair(text):
    name, separator, value = text.partition("=")
    if not (separator and name and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--band", type=pair, action="append", metavar="NAME=FILE", help="a raster; repeat for each")
    parser.add_argument(
        "--units", type=pair, action="append", default=[], metavar="NAME=dB|linear", help="units of a radar band"
    )
    parser.add_argument(
        "--nodata", type=pair, action="append", default=[], metavar="NAME=VALUE", help="further nodata value of a band"
    )
    parser.add_argument("--polygons", metavar="FILE", help="GeoPackage, shapefile or GeoJSON of landslides")
    parser.add_argument("--extent", metavar="FILE", help="polygons of the ground on which the inventory is complete")
    parser.add_argument("--class-column", default="class")
    parser.add_argument("--positive", default="landslide", help="value of the class column that is landslide")
    parser.add_argument(
        "--composite", help=f"one of {', '.join(COMPOSITES)}, or bands with commas: 'Red,DEM,Slope' (default: BAA)"
    )
    parser.add_argument(
        "--sampling", choices=["edges", "polygons"], default="edges",
        help="negatives from the rest of the scene and from the edges of landslides, or the paper's way",
    )  # fmt: skip
    parser.add_argument(
        "--background", type=float, default=4, help="negatives drawn from the rest, per landslide sample"
    )
    parser.add_argument("--edge", type=float, default=4, help="negatives drawn just outside outlines, likewise")
    parser.add_argument(
        "--brightness", type=float, default=0, metavar="STD",
        help="shift levels of bands at random in training; 0.4 for a model of radar that is to map other scenes",
    )  # fmt: skip
    parser.add_argument("--patch-sizes", type=int, nargs="+", default=[16, 25], metavar="PIXELS")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[3e-4, 1e-3], metavar="RATE")
    parser.add_argument(
        "--input-size", type=int, metavar="PIXELS",
        help="resample patches to this, as the paper does to 32; default: as they are, and maps several times faster",
    )  # fmt: skip
    parser.add_argument("--stride", type=int, default=6, help="distance of samples in pixels")
    parser.add_argument("--max-per-polygon", type=int, default=12, help="samples of one polygon at most")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--step", type=int, default=2, help="of the sliding window in pixels")
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument("--max-false-alarms", type=float, metavar="PER_KM2", help="choose the threshold by this")
    rule.add_argument("--min-hit-rate", type=float, metavar="SHARE", help="or by this; default: the best F1 of area")
    rule.add_argument("--threshold", type=float, help="or take this one")
    parser.add_argument("--min-area", type=float, default=400, metavar="M2", help="smallest landslide object")
    parser.add_argument("--join", type=float, default=0, metavar="M", help="objects closer than this are one")
    parser.add_argument("--jobs", type=int, default=2, help="processes for the search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR")
    parser.add_argument("--overwrite", action="store_true", help="replace the files of an earlier run")
    options = parser.parse_args(arguments)
    if bool(options.band) != bool(options.polygons):
        parser.error("--band and --polygons go together; without both a simulated scene is used")
    standing = [str(options.out / name) for name in OUTPUTS if (options.out / name).exists()]
    if standing and not options.overwrite:
        parser.error(f"{', '.join(standing)} exist(s): choose another --out, or pass --overwrite")
    return options


def load(options):
    """The scene, the polygons and the composite."""
    composite = options.composite or "BAA"
    if "," in composite:
        composite = [band.strip() for band in composite.split(",")]
    if not options.band:
        print("Simulated scene (no --band given).")
        return (*make_scene(random_state=options.seed), composite)
    nodata = {name: float(value) for name, value in options.nodata}
    scene = Scene.from_files(dict(options.band), units=dict(options.units), nodata=nodata)
    return scene, options.polygons, composite


def samples(scene, polygons, composite, options):
    """X, y, groups and the report: as many negatives as asked for, or as many as the paper has."""
    paper = options.sampling == "polygons"
    drawn = {"balance": True} if paper else {"background": options.background, "edge": options.edge}
    return sample_polygons(
        scene,
        polygons,
        class_column=options.class_column,
        positive=options.positive,
        extent=options.extent,
        patch_size=options.patch_sizes,
        stride=options.stride,
        bands=composite,
        max_per_polygon=options.max_per_polygon,
        random_state=options.seed,
        return_report=True,
        **drawn,
    )


def held_out_region(X, groups, patch_size, share=HELD_OUT):
    """Rows for training, west of a border, and rows for the test, east of it and a patch apart; and the border's x."""
    border = np.quantile(X[:, 0], 1 - share)
    east = X[:, 0] >= border
    west = (X[:, 0] < border - X.patch_extent(patch_size)[0]) & ~np.isin(groups, groups[east])
    return np.flatnonzero(west), np.flatnonzero(east), border


def halves(scene, border):
    """The ground west and east of the border, as polygons to restrict a map to."""
    left, bottom, right, top = scene.grid.bounds
    boxes = [Polygon.from_bounds(left, bottom, border, top), Polygon.from_bounds(border, bottom, right, top)]
    return [geopandas.GeoDataFrame(geometry=[box], crs=scene.grid.crs) for box in boxes]


def folds_of(X, options):
    return SpatialBlockKFold(
        n_splits=3,
        block_size=tuple(np.ptp(np.asarray(X), axis=0) / 8),
        buffer=X.patch_extent(max(options.patch_sizes)),
        random_state=options.seed,
    )


def augmenter(options):
    """The paper's augmentation, or the one for maps, in which a patch stays where it is."""
    if options.sampling == "polygons":
        return Augmenter()
    return Augmenter(translation=0, brightness=options.brightness)


def search(X, y, groups, composite, options):
    """Search patch size and learning rate with spatial folds, for the map or, as in the paper, for the patches."""
    pipeline = make_pipeline(
        BandStacker(composite),
        PatchSampler(),
        augmenter(options),
        LandslideCNN(input_size=options.input_size, epochs=options.epochs, random_state=options.seed),
    )
    grid = {"patchsampler__patch_size": options.patch_sizes, "landslidecnn__learning_rate": options.learning_rates}
    scoring = "accuracy" if options.sampling == "polygons" else map_scorer()
    found = GridSearchCV(pipeline, grid, cv=folds_of(X, options), scoring=scoring, n_jobs=options.jobs)
    return found.fit(X, y, groups=groups)


def print_search(results, options):
    score = "accuracy" if options.sampling == "polygons" else "average precision, samples weighted by their ground"
    print(f"\nSearch ({score}, over spatial folds)\n  patch size  learning rate  mean   std")
    for i in np.argsort(results["rank_test_score"]):
        print(
            f"  {results['param_patchsampler__patch_size'][i]:>10}  "
            f"{results['param_landslidecnn__learning_rate'][i]:>13g}  "
            f"{results['mean_test_score'][i]:.3f}  {results['std_test_score'][i]:.3f}"
        )


def chosen_threshold(model, X, y, groups, polygons, west, options):
    """The threshold that the rule chooses on the training ground, mapped by models that did not see what they map."""
    if options.threshold is not None or options.sampling == "polygons":
        return 0.5 if options.threshold is None else options.threshold
    with tempfile.TemporaryDirectory() as folder:
        held_out = cross_val_map(
            clone(model), X, y, Path(folder, "held_out.tif"), cv=folds_of(X, options), groups=groups, step=options.step
        )
        threshold = held_out.within(west).choose_threshold(
            polygons,
            max_false_alarms_per_km2=options.max_false_alarms,
            min_hit_rate=options.min_hit_rate,
            class_column=options.class_column,
            positive=options.positive,
        )
    print(f"\nThreshold chosen on the training ground, mapped by cross-validation: {threshold:.3f}")
    return threshold


def print_patch_scores(model, X, y, which):
    predicted = model.predict(X)
    (tn, fp), (fn, tp) = confusion_matrix(y, predicted, labels=[0, 1])
    print(f"\nPatches in the held-out region, {which}: {len(y)} samples, TP {tp}, FP {fp}, FN {fn}, TN {tn}")
    print(f"  accuracy  {100 * accuracy_score(y, predicted):6.2f} %")
    print(f"  precision {100 * precision_score(y, predicted, zero_division=0):6.2f} %")
    print(f"  recall    {100 * recall_score(y, predicted, zero_division=0):6.2f} %")


def print_map_scores(landslides, polygons, **inventory):
    """What stands in the map: the figures that a user of it needs."""
    score = landslides.score(polygons, **inventory)
    ap = landslides.average_precision(polygons, **inventory)
    f1 = 2 * score["hit_km2"] / (score["red_km2"] + score["landslide_km2"])
    red, truth = (100 * score[name] / score["valid_km2"] for name in ("red_km2", "landslide_km2"))
    print(f"\nMap of the held-out region, at the threshold {landslides.threshold:.3f}")
    print(f"  of area: average precision {ap:.3f}, F1 {f1:.3f}")
    print(f"  red {red:.1f} %, landslide {truth:.1f} % of the ground")
    print(f"  landslides hit: {score['n_hit']} of {score['n_landslides']} ({100 * score['hit_rate']:.0f} %)")
    print(f"  false alarms: {score['false_alarms_per_km2']:.2f} per km2")
    print("\nLandslides hit, by size")
    print(landslides.hit_rates(polygons, **inventory).to_string(index=False))


def write_results(model, scene, polygons, east, options):
    options.out.mkdir(parents=True, exist_ok=True)
    landslides = SlidingWindowPredictor(model, step=options.step, verbose=1).predict_map(
        scene, options.out / "map.tif", overwrite=options.overwrite
    )
    inventory = {"class_column": options.class_column, "positive": options.positive}
    objects = {"join_m": options.join, "min_area_m2": options.min_area, "overwrite": options.overwrite}
    if {"DEM", "Slope"} & set(scene.bands):
        objects["scene"] = scene
    landslides.to_gpkg(options.out / "landslides.gpkg", **objects)
    landslides.to_csv(options.out / "landslides.csv", **objects)
    axes = landslides.plot(background=scene, inventory=polygons, **inventory)
    axes.figure.savefig(options.out / "map.png", dpi=150, bbox_inches="tight")
    save_model(model, options.out / "model.skops", overwrite=options.overwrite)
    (options.out / "model.pkl").write_bytes(pickle.dumps(model))
    print_map_scores(landslides.within(east), polygons, **inventory)
    print("\nWritten: " + ", ".join(str(options.out / name) for name in OUTPUTS))


def main(arguments=None):
    options = parse_arguments(arguments)
    start = time.perf_counter()
    warnings.simplefilter("ignore", SamplingWarning)  # the report below says the same
    scene, polygons, composite = load(options)
    print(scene)
    X, y, groups, report = samples(scene, polygons, composite, options)
    print(report)
    train, test, border = held_out_region(X, groups, max(options.patch_sizes))
    print(f"Training on {len(train)} samples, testing on {len(test)}, {len(X) - len(train) - len(test)} in between.")
    found = search(X[train], y[train], groups[train], composite, options)
    print_search(found.cv_results_, options)
    west, east = halves(scene, border)
    best = found.best_estimator_
    threshold = chosen_threshold(best, X[train], y[train], groups[train], polygons, west, options)
    model = FixedThresholdClassifier(FrozenEstimator(best), threshold=threshold).fit(X[train], y[train])
    of_polygons = test[np.isin(report.kind[test], ["landslide", "other"])]
    if len(np.unique(y[of_polygons])) == 2:
        print_patch_scores(best, X[of_polygons], y[of_polygons], "in polygons of both classes, at 0.5")
    print_patch_scores(model, X[test], y[test], "all")
    write_results(model, scene, polygons, east, options)
    print(f"Done in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    # A search runs faster so, and gives the same on machines with more cores. TensorFlow reads it when it starts.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    try:
        main()
    except SklandslideError as error:
        sys.exit(f"{type(error).__name__}: {error}")
