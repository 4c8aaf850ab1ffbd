"""Values in, pictures out: scenes, samples, folds, maps as the paper's Figure 2, scores, the worst errors.

Matplotlib is imported in functions only.
"""

from .figure import PALETTES, Palette, plot_map
from .folds import FoldsDisplay
from .history import HistoryDisplay
from .notebook import locations_html, map_html, probability_colours, scene_html
from .operating import AreaPrecisionRecallDisplay, FROCDisplay
from .patch_size import PatchSizeDisplay
from .patches import PatchesDisplay
from .scenes import plot_locations, plot_scene

__all__ = [
    "PALETTES",
    "AreaPrecisionRecallDisplay",
    "FROCDisplay",
    "FoldsDisplay",
    "HistoryDisplay",
    "Palette",
    "PatchSizeDisplay",
    "PatchesDisplay",
    "locations_html",
    "map_html",
    "plot_locations",
    "plot_map",
    "plot_scene",
    "probability_colours",
    "scene_html",
]
