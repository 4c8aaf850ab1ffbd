"""
Where a model is not to be trusted
==================================

A network is trained on one simulated scene of radar (gamma0, 30 m), and its area of applicability found by spatial
folds. Printed is the share of windows outside it, and how well the dissimilarity index tells them from windows of other
scenes of the same landscape (area under the ROC curve), for

- the same landscape with other seeds,
- the same with 3 dB added to, or taken from, all bands after the event: another season, or another calibration,
- real Sentinel-1, if there is any: GeoTIFFs named as ``examples/false_alarms.py`` takes them.

::

    python examples/applicability.py --pairs rtc_s1
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/applicability.png'

import argparse
import sys
import warnings
from pathlib import Path

import false_alarms
import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline

from sklandslide import (
    ApplicabilityArea,
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
from sklandslide.exceptions import SamplingWarning, SklandslideError


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="folder of <window>_<date>_<polarisation>.tif")
    parser.add_argument("--composite", default="BAA")
    parser.add_argument("--patch-size", type=int, default=9, metavar="PIXELS")
    parser.add_argument("--side", type=int, default=400, help="of the simulated scenes, in pixels of 30 m")
    parser.add_argument("--others", type=int, default=4, help="scenes of other seeds")
    parser.add_argument("--windows", type=int, default=1000, help="looked at in each simulated scene")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def trained(options):
    """A fitted pipeline and its area of applicability."""
    scene, polygons = make_scene(shape=(options.side, options.side), random_state=options.seed, **false_alarms.PRODUCT)
    size = options.patch_size
    X, y, _ = sample_polygons(
        scene, polygons, patch_size=size, stride=2, bands=options.composite, random_state=options.seed
    )
    cnn = LandslideCNN(input_size=None, epochs=options.epochs, random_state=options.seed)
    pipe = make_pipeline(BandStacker(options.composite), PatchSampler(size), Augmenter(), cnn).fit(X, y)
    folds = SpatialBlockKFold(5, block_size=2000, buffer=X.patch_extent(size), random_state=options.seed)
    return pipe, ApplicabilityArea(pipe, cv=folds, random_state=options.seed).fit(X, y)


def windows(scene, size, n, seed):
    """Centres of windows without nodata, drawn at random."""
    random = np.random.RandomState(seed)
    pixels = scene.read([band for band in scene.bands if band.startswith(false_alarms.POLARISATIONS)])
    corners = np.array([random.randint(0, side - size + 1, 4 * n) for side in scene.grid.shape]).T
    whole = [np.isfinite(pixels[row : row + size, col : col + size]).all() for row, col in corners]
    corners = corners[whole][:n]
    return Locations(scene, scene.grid.xy(*(corners.T + size / 2)))


def shifted(scene, decibels):
    """The radar of a scene, with all dates after the event brighter or darker."""
    factor = 10 ** (decibels / 10)
    bands = {
        band: scene.read(band)[..., 0] * (factor if "after" in band else 1)
        for band in scene.bands
        if band.startswith(false_alarms.POLARISATIONS)
    }
    units = dict.fromkeys(bands, false_alarms.PRODUCT["units"])
    return Scene.from_arrays(bands, transform=scene.grid.transform, crs=scene.grid.crs, units=units)


def dissimilarities(area, scenes, size, n):
    """Of all windows of all scenes, over the threshold. That a scene is unlike training is what is asked here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = [area.dissimilarity(windows(scene, size, n, seed)) for seed, scene in enumerate(scenes)]
    return np.concatenate(parts) / area.threshold_


def main(arguments=None):
    options = parse_arguments(arguments)
    warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene give no sample
    _, area = trained(options)
    seeds = range(options.seed + 1, options.seed + 1 + options.others)
    shape = (options.side, options.side)
    others = [make_scene(shape=shape, random_state=seed, **false_alarms.PRODUCT)[0] for seed in seeds]
    found = {"other seeds": dissimilarities(area, others, options.patch_size, options.windows)}
    for decibels in (3, -3):
        scenes = [shifted(scene, decibels) for scene in others]
        name = f"after the event {decibels:+d} dB"
        found[name] = dissimilarities(area, scenes, options.patch_size, options.windows)
    if options.pairs:
        scenes = [scene for *_, scene in false_alarms.real_pairs(options.pairs)]
        found["real Sentinel-1"] = dissimilarities(area, scenes, options.patch_size, max(options.windows // 10, 1))
    inside = found["other seeds"]
    print(f"threshold {area.threshold_:.3f}\n\n| windows | n | outside | median index over threshold | AUC |")
    print("| --- | --- | --- | --- | --- |")
    for name, values in found.items():
        out = np.concatenate([np.zeros(len(inside)), np.ones(len(values))])
        auc = "" if name == "other seeds" else f"{roc_auc_score(out, np.concatenate([inside, values])):.3f}"
        print(f"| {name} | {len(values)} | {100 * np.mean(values > 1):.1f} % | {np.median(values):.2f} | {auc} |")
    return found


if __name__ == "__main__":
    try:
        main()
    except SklandslideError as error:
        sys.exit(f"{type(error).__name__}: {error}")
