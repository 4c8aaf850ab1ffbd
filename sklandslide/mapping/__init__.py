"""A pipeline and a scene in, a map out: the sliding window, and what people do with the result."""

from .applicability import ApplicabilityArea
from .estimators import fitted_parts
from .landslide_map import LandslideMap
from .predictor import SlidingWindowPredictor
from .writer import check_output

__all__ = ["ApplicabilityArea", "LandslideMap", "SlidingWindowPredictor", "check_output", "fitted_parts"]
