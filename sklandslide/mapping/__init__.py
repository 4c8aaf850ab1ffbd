"""A pipeline and a scene in, a map out: the sliding window, and what people do with the result."""

from .estimators import fitted_parts
from .landslide_map import LandslideMap
from .predictor import SlidingWindowPredictor

__all__ = ["LandslideMap", "SlidingWindowPredictor", "fitted_parts"]
