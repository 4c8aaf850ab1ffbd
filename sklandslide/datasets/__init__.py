"""A simulated scene, so that everything runs without a download, and the paper's tables.

How the simulator is built, from the ground up: `noise` (random fields, window by window); `terrain` or `real_ground`
(relief and land cover); `landslides` and `other_ground` (polygons, and the debris under them); `viewing` (slopes as a
side-looking radar sees them), `speckle` and `radar` (VV and VH on each date); `optical`; `site` (all of it for any
window); `simulated` (`make_scene`: options, memory and files).
"""

from .paper import load_paper_table
from .simulated import make_scene

__all__ = ["load_paper_table", "make_scene"]
