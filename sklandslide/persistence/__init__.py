"""A fitted model kept, described, and handed on: model files, model cards, ONNX."""

from .card import ModelCard, model_card
from .export import export_onnx
from .saving import load_model, save_model

__all__ = ["ModelCard", "export_onnx", "load_model", "model_card", "save_model"]
