"""A pipeline and a scene in, a map out: the sliding window, and what people do with the result."""

from .applicability import ApplicabilityArea
from .cross_val import cross_val_map
from .estimators import bare, fitted_parts, threshold_of
from .landslide_map import LandslideMap
from .predictor import SlidingWindowPredictor

__all__ = [
    "ApplicabilityArea",
    "LandslideMap",
    "SlidingWindowPredictor",
    "bare",
    "cross_val_map",
    "fitted_parts",
    "threshold_of",
]
