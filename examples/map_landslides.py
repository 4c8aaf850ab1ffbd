"""
From rasters and polygons to a landslide map
============================================

The main job, from end to end: sample patches on known landslides and elsewhere, search the patch size and the learning
rate with spatial folds, measure accuracy, precision and recall on a held-out region, and map the scene.

Without arguments it runs on a simulated scene. On your own data::

    python examples/map_landslides.py --band Red=Red.tif --band Green=Green.tif --band Blue=Blue.tif \
        --polygons polygons.gpkg --composite RGB --out out

The polygons need a column ``class`` with the value ``landslide`` for landslides and any other for other ground. The
folder ``--out`` gets ``map.tif`` (probability of landslide), ``landslides.gpkg`` (points and polygons), ``map.png``,
``model.skops`` (the model as data that anybody can load safely, for ``examples/reuse_model.py``) and ``model.pkl`` (the
same as a pickle, for your own use).
"""

import argparse
import pickle
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score
from sklearn.model_selection import GridSearchCV
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
    make_scene,
    sample_polygons,
    save_model,
)
from sklandslide.exceptions import SamplingWarning, SklandslideError

OUTPUTS = ("map.tif", "landslides.gpkg", "map.png", "model.skops", "model.pkl")


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
    parser.add_argument("--polygons", metavar="FILE", help="GeoPackage, shapefile or GeoJSON of both classes")
    parser.add_argument("--class-column", default="class")
    parser.add_argument("--positive", default="landslide", help="value of the class column that is landslide")
    parser.add_argument(
        "--composite", help=f"one of {', '.join(COMPOSITES)}, or bands with commas: 'Red,DEM,Slope' (default: BAA)"
    )
    parser.add_argument("--patch-sizes", type=int, nargs="+", default=[16, 25], metavar="PIXELS")
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[3e-4, 1e-3], metavar="RATE")
    parser.add_argument("--stride", type=int, default=6, help="distance of samples in pixels")
    parser.add_argument("--max-per-polygon", type=int, default=12, help="samples of one polygon at most")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--step", type=int, default=2, help="of the sliding window in pixels")
    parser.add_argument("--threshold", type=float, default=0.5, help="probability from which a point is red")
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


def held_out_region(X, y, groups, patch_size, seed):
    """Rows for training and rows for the test: a quarter of the area in large blocks, a patch apart from the rest."""
    extent = np.ptp(np.asarray(X), axis=0)
    blocks = SpatialBlockKFold(
        n_splits=4, block_size=tuple(extent / 4), buffer=X.patch_extent(patch_size), random_state=seed
    )
    return next(blocks.split(X, y, groups))


def search(X, y, groups, composite, options):
    """Search patch size and learning rate with spatial folds."""
    pipeline = make_pipeline(
        BandStacker(composite),
        PatchSampler(),
        Augmenter(),
        LandslideCNN(epochs=options.epochs, random_state=options.seed),
    )
    extent = np.ptp(np.asarray(X), axis=0)
    folds = SpatialBlockKFold(
        n_splits=3,
        block_size=tuple(extent / 8),
        buffer=X.patch_extent(max(options.patch_sizes)),
        random_state=options.seed,
    )
    grid = {"patchsampler__patch_size": options.patch_sizes, "landslidecnn__learning_rate": options.learning_rates}
    return GridSearchCV(pipeline, grid, cv=folds, n_jobs=options.jobs).fit(X, y, groups=groups)


def print_search(results):
    print("\nSearch (accuracy over spatial folds)\n  patch size  learning rate  mean   std")
    for i in np.argsort(results["rank_test_score"]):
        print(
            f"  {results['param_patchsampler__patch_size'][i]:>10}  "
            f"{results['param_landslidecnn__learning_rate'][i]:>13g}  "
            f"{results['mean_test_score'][i]:.3f}  {results['std_test_score'][i]:.3f}"
        )


def print_scores(model, X, y):
    predicted = model.predict(X)
    (tn, fp), (fn, tp) = confusion_matrix(y, predicted, labels=[0, 1])
    print(f"\nHeld-out region: {len(y)} samples, TP {tp}, FP {fp}, FN {fn}, TN {tn}")
    print(f"  accuracy  {100 * accuracy_score(y, predicted):6.2f} %")
    print(f"  precision {100 * precision_score(y, predicted, zero_division=0):6.2f} %")
    print(f"  recall    {100 * recall_score(y, predicted, zero_division=0):6.2f} %")


def write_results(model, scene, polygons, options):
    options.out.mkdir(parents=True, exist_ok=True)
    landslides = SlidingWindowPredictor(model, step=options.step, verbose=1).predict_map(
        scene, options.out / "map.tif", overwrite=options.overwrite
    )
    inventory = {"class_column": options.class_column, "positive": options.positive}
    landslides.to_gpkg(options.out / "landslides.gpkg", threshold=options.threshold, overwrite=options.overwrite)
    axes = landslides.plot(background=scene, inventory=polygons, threshold=options.threshold, **inventory)
    axes.figure.savefig(options.out / "map.png", dpi=150, bbox_inches="tight")
    save_model(model, options.out / "model.skops", overwrite=options.overwrite)
    (options.out / "model.pkl").write_bytes(pickle.dumps(model))
    print("\nMap against the inventory (which the model was partly trained on)")
    for name, value in landslides.score(polygons, threshold=options.threshold, **inventory).items():
        print(f"  {name:<24} {value:.3f}")
    print("\nLandslides hit, by size")
    print(landslides.hit_rates(polygons, threshold=options.threshold, **inventory).to_string(index=False))
    print("\nWritten: " + ", ".join(str(options.out / name) for name in OUTPUTS))


def main(arguments=None):
    options = parse_arguments(arguments)
    start = time.perf_counter()
    warnings.simplefilter("ignore", SamplingWarning)  # the report below says the same
    scene, polygons, composite = load(options)
    print(scene)
    X, y, groups, report = sample_polygons(
        scene,
        polygons,
        class_column=options.class_column,
        positive=options.positive,
        patch_size=options.patch_sizes,
        stride=options.stride,
        bands=composite,
        max_per_polygon=options.max_per_polygon,
        balance=True,
        random_state=options.seed,
        return_report=True,
    )
    print(report)
    train, test = held_out_region(X, y, groups, max(options.patch_sizes), options.seed)
    print(f"Training on {len(train)} samples, testing on {len(test)}, {len(X) - len(train) - len(test)} in between.")
    found = search(X[train], y[train], groups[train], composite, options)
    print_search(found.cv_results_)
    print_scores(found.best_estimator_, X[test], y[test])
    write_results(found.best_estimator_, scene, polygons, options)
    print(f"Done in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except SklandslideError as error:
        sys.exit(f"{type(error).__name__}: {error}")
