"""Patches in, probabilities out: the paper's network as a scikit-learn classifier.

Keras and TensorFlow are imported inside functions only.
"""

from .build import build_cnn
from .cnn import LandslideCNN
from .onnx_network import OnnxNetwork, to_onnx
from .state import pairs_of, scale_of, state_of

__all__ = ["LandslideCNN", "OnnxNetwork", "build_cnn", "pairs_of", "scale_of", "state_of", "to_onnx"]
