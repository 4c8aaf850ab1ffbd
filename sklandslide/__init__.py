"""Landslide maps from satellite rasters and landslide polygons, in scikit-learn pipelines.

The house, one floor a line; a file imports only from floors below its own::

    rasters ──► Scene ─┐
                       ├─► sample_polygons ─► X (Locations), y, groups
    polygons ──────────┘                             │
          Pipeline( BandStacker ─► PatchSampler ─► Augmenter ─► LandslideCNN )
                                                     │  GridSearchCV(cv=SpatialBlockKFold)
                                                     ▼
          save_model ─► load_model ─► SlidingWindowPredictor.predict_map(scene) ─► LandslideMap
                                                     GeoTIFF · points · polygons · figure

    0 values      exceptions, grid, composites, metrics, terrain
    1 files       raster, scene, inventory
    2 samples     locations, sampling, model_selection, plotting
    3 estimators  bands, patches, augmentation, network, cnn
    4 maps        mapping
    5 faces       model_files, persistence, datasets, searches, display, this file

X is `Locations`: map coordinates that carry the scene they lie on. Data stay in X and never in an estimator, so a
saved pipeline holds no raster and no path, and maps any scene that has the same bands.

Importing this package loads neither TensorFlow nor matplotlib nor geopandas; they come when they are first needed.
"""

from ._version import __version__
from .augmentation import Augmenter
from .bands import BandStacker
from .cnn import LandslideCNN
from .composites import COMPOSITES
from .datasets import make_scene
from .display import PatchSizeDisplay
from .locations import Locations
from .mapping import LandslideMap, SlidingWindowPredictor
from .model_files import export_onnx, model_card
from .model_selection import SpatialBlockKFold
from .network import build_cnn
from .patches import PatchSampler
from .persistence import load_model, save_model
from .sampling import sample_polygons
from .scene import Scene

__all__ = [
    "COMPOSITES",
    "Augmenter",
    "BandStacker",
    "LandslideCNN",
    "LandslideMap",
    "Locations",
    "PatchSampler",
    "PatchSizeDisplay",
    "Scene",
    "SlidingWindowPredictor",
    "SpatialBlockKFold",
    "__version__",
    "build_cnn",
    "export_onnx",
    "load_model",
    "make_scene",
    "model_card",
    "sample_polygons",
    "save_model",
]
