"""
Reuse a model on another scene
==============================

``examples/map_landslides.py`` leaves ``model.skops``, a fitted pipeline without any raster or path in it. This script
maps another scene with it::

    python examples/reuse_model.py out/model.skops --band VV_before=a.tif --band VV_after=b.tif --out other_map.tif

Without bands it maps another simulated scene. A file named ``.pkl`` is taken for a pickle. Load only pickles that you
trust: loading one can run any code. A model file holds data only and can come from anybody.
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/reuse_model.png'

import argparse
import pickle
import sys
from pathlib import Path

from map_landslides import pair

from sklandslide import Scene, SlidingWindowPredictor, load_model, make_scene
from sklandslide.exceptions import SklandslideError


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, metavar="MODEL", help="a model file, or a pickle (.pkl)")
    parser.add_argument("--band", type=pair, action="append", metavar="NAME=FILE", help="a raster; repeat for each")
    parser.add_argument("--units", type=pair, action="append", default=[], metavar="NAME=dB|linear")
    parser.add_argument("--nodata", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--step", type=int, default=2, help="of the sliding window in pixels")
    parser.add_argument("--threshold", type=float, help="default: the model's own")
    parser.add_argument("--seed", type=int, default=1, help="of the simulated scene")
    parser.add_argument("--out", type=Path, default=Path("other_map.tif"), metavar="FILE")
    parser.add_argument("--overwrite", action="store_true")
    options = parser.parse_args(arguments)
    pickled = options.model.suffix == ".pkl"
    model = pickle.loads(options.model.read_bytes()) if pickled else load_model(options.model)
    if options.band:
        nodata = {name: float(value) for name, value in options.nodata}
        scene = Scene.from_files(dict(options.band), units=dict(options.units), nodata=nodata)
    else:
        scene, _ = make_scene(random_state=options.seed)
    predictor = SlidingWindowPredictor(model, step=options.step, verbose=1)
    landslides = predictor.predict_map(scene, options.out, overwrite=options.overwrite)
    threshold = options.threshold or landslides.threshold or 0.5
    print(f"{options.out}: {len(landslides.points(threshold))} points at {threshold:.3g} or more.")


if __name__ == "__main__":
    try:
        main()
    except SklandslideError as error:
        sys.exit(f"{type(error).__name__}: {error}")
