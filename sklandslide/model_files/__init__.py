"""Model files: a fitted estimator as data that can be loaded from strangers."""

from .card import ModelCard
from .describing import model_card
from .export import export_onnx

__all__ = ["ModelCard", "export_onnx", "model_card"]
