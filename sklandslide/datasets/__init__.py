"""An embedded scene, so that everything runs without a download, and the paper's tables."""

from ._make_scene import make_scene
from ._paper import load_paper_table

__all__ = ["load_paper_table", "make_scene"]
