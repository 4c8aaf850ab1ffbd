"""Values in, pictures out: the paper's Figure 2, and scores by patch size. Matplotlib is imported in functions only."""

from .figure import PALETTES, Palette, plot_map
from .operating import AreaPrecisionRecallDisplay, FROCDisplay
from .patch_size import PatchSizeDisplay

__all__ = ["PALETTES", "AreaPrecisionRecallDisplay", "FROCDisplay", "Palette", "PatchSizeDisplay", "plot_map"]
