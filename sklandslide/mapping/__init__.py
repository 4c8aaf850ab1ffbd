"""Maps: the sliding window, and what people do with the result."""

from .landslide_map import LandslideMap
from .predictor import SlidingWindowPredictor

__all__ = ["LandslideMap", "SlidingWindowPredictor"]
