"""Files and arrays in, values out: scenes of named bands on one pixel grid, and inventories of landslides.

The only room that opens rasters and polygon files. Everything comes out as float32 with NaN for nodata.
"""

from .antimeridian import beside, joined
from .grid import Grid, Window, origins, tiles
from .ground import covered_area, covered_pixels, ground_area, pixel_areas, polygon_areas
from .inventory import Inventory, read_inventory
from .nodata import evenly, require_power
from .opening import faults_of, open_raster
from .output import check_output, publish, style_beside, written_beside
from .pictures import is_local
from .raster import ArrayBand, DaskBand, FileBand, SlopeBand, free_blocks, keeping_open
from .scene import Scene
from .terrain import (
    ground_metric_at,
    metres_at_centre,
    metres_per_unit,
    per_map_unit,
    square_metres_per_unit,
)
from .xarrays import lazy_dataset

__all__ = [
    "ArrayBand",
    "DaskBand",
    "FileBand",
    "Grid",
    "Inventory",
    "Scene",
    "SlopeBand",
    "Window",
    "beside",
    "check_output",
    "covered_area",
    "covered_pixels",
    "evenly",
    "faults_of",
    "free_blocks",
    "ground_area",
    "ground_metric_at",
    "is_local",
    "joined",
    "keeping_open",
    "lazy_dataset",
    "metres_at_centre",
    "metres_per_unit",
    "open_raster",
    "origins",
    "per_map_unit",
    "pixel_areas",
    "polygon_areas",
    "publish",
    "read_inventory",
    "require_power",
    "square_metres_per_unit",
    "style_beside",
    "tiles",
    "written_beside",
]

# Pickled scenes name these classes by the room: files inside it may be moved.
for _class in (ArrayBand, DaskBand, FileBand, Grid, SlopeBand, Window):
    _class.__module__ = __name__
