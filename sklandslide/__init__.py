"""Landslide maps from satellite rasters and landslide polygons, in scikit-learn pipelines.

The house: a room is a folder or a file, and imports only rooms below it::

    rasters ──► Scene ─┐
                       ├─► sample_polygons ─► X (Locations), y, groups
    polygons ──────────┘                             │
          Pipeline( BandStacker ─► PatchSampler ─► Augmenter ─► LandslideCNN )
                                                     │  GridSearchCV(cv=SpatialBlockKFold)
                                                     ▼
          save_model ─► load_model ─► SlidingWindowPredictor.predict_map(scene) ─► LandslideMap
                                                     GeoTIFF · points · polygons · figure

    exceptions, metrics, composites   values: errors, scores, what a band's name says
    geodata                           files and arrays -> values: Scene, Grid, inventories
    archives                          a date and a box -> Scene, from a catalogue
    sampling                          polygons -> X, y, groups
    model_selection                   X -> folds, and the score of a search
    features                          X -> patches: BandStacker, PatchSampler, Augmenter, the contract
    network                           patches -> probabilities: build_cnn, LandslideCNN
    plots                             values -> pictures
    mapping                           pipeline x scene -> map
    datasets                          a simulated scene, the paper's tables
    persistence                       model files, model cards, ONNX

X is `Locations`: map coordinates that carry the scene they lie on. Data stay in X and never in an estimator, so a
saved pipeline holds no raster and no path, and maps any scene that has the same bands.

Importing this package loads neither TensorFlow nor matplotlib nor geopandas; they come when they are first needed.
"""

from ._version import __version__
from .archives import find_sentinel1
from .composites import COMPOSITES
from .datasets import make_scene
from .features import Augmenter, BandStacker, LocalChange, PatchSampler
from .geodata import Scene
from .mapping import ApplicabilityArea, LandslideMap, SlidingWindowPredictor, cross_val_map
from .model_selection import SpatialBlockKFold, map_scorer
from .network import LandslideCNN, build_cnn
from .persistence import export_onnx, load_model, model_card, save_model
from .plots import (
    AreaPrecisionRecallDisplay,
    FoldsDisplay,
    FROCDisplay,
    HistoryDisplay,
    PatchesDisplay,
    PatchSizeDisplay,
)
from .sampling import Locations, sample_polygons

__all__ = [
    "COMPOSITES",
    "ApplicabilityArea",
    "AreaPrecisionRecallDisplay",
    "Augmenter",
    "BandStacker",
    "FROCDisplay",
    "FoldsDisplay",
    "HistoryDisplay",
    "LandslideCNN",
    "LandslideMap",
    "LocalChange",
    "Locations",
    "PatchSampler",
    "PatchSizeDisplay",
    "PatchesDisplay",
    "Scene",
    "SlidingWindowPredictor",
    "SpatialBlockKFold",
    "__version__",
    "build_cnn",
    "cross_val_map",
    "export_onnx",
    "find_sentinel1",
    "load_model",
    "make_scene",
    "map_scorer",
    "model_card",
    "sample_polygons",
    "save_model",
]

# Pickles and model files name what is public by its public path, so that moving a room breaks none of them.
for _name in __all__:
    if hasattr(_thing := globals()[_name], "__module__"):
        _thing.__module__ = __name__
del _name, _thing
