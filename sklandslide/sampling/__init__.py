"""Polygons in, X, y and groups out: places on scenes that carry their scene."""

from .from_polygons import sample_polygons
from .locations import Locations, read_patches, valid_patches, windows_without
from .report import NegativesReport, SamplingReport

__all__ = [
    "Locations",
    "NegativesReport",
    "SamplingReport",
    "read_patches",
    "sample_polygons",
    "valid_patches",
    "windows_without",
]
