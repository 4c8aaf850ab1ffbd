"""Polygons in, X, y and groups out: places on scenes that carry their scene."""

from .from_polygons import SamplingReport, sample_polygons
from .locations import Locations, read_patches, valid_patches, windows_without

__all__ = ["Locations", "SamplingReport", "read_patches", "sample_polygons", "valid_patches", "windows_without"]
