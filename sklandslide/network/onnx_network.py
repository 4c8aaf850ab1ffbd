"""The network in ONNX Runtime: faster than TensorFlow on processors, the same to 1e-5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .onnx_messages import described, node, tensor, whole_file
from .state import pairs_of, scale_of

# Patches in one call: the features of so many stay in the processor's caches.
_BATCH = 64


class OnnxNetwork:
    """Prediction with a network, given by its `state_of`."""

    def __init__(self, state: dict[str, Any], *, features: bool = False) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # one thread a call: several calls at once use the cores better than several threads a call
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        graph = to_onnx(state, features=features)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def predict(self, patches: np.ndarray) -> list[np.ndarray]:
        """Probabilities of each class, shape (n, n_classes), for patches of shape (n, bands, rows, cols), float32.

        With `features` a second array: those of `LandslideCNN.predict_proba_and_features`.
        """
        parts = [self._session.run(None, {"patches": patches[i : i + _BATCH]}) for i in range(0, len(patches), _BATCH)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]


def to_onnx(
    state: dict[str, Any],
    *,
    bands_last: bool = False,
    features: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """A network, given by its `state_of`, as an ONNX model, from (n, bands, rows, cols) to (n, n_classes).

    Bands come first, as ONNX Runtime computes. The weights behind the flattening are put into the order of the
    features, so that nothing is transposed between. With `bands_last` patches come as (n, rows, cols, bands) and are
    transposed in the graph. With `features` there is a second output, those of
    `LandslideCNN.predict_proba_and_features`.
    """
    graph = _Graph()
    if bands_last:
        graph.add("Transpose", perm=[0, 3, 1, 2])
    if (scale := scale_of(state)) is not None:
        # as Keras does: subtracted, then divided
        mean, deviation = (values.reshape(1, -1, 1, 1) for values in scale)
        graph.add("Sub", graph.constant("mean", mean))
        graph.add("Div", graph.constant("deviation", deviation))
    if state["input_size"] is not None:
        sizes = graph.constant("sizes", np.array([state["input_size"]] * 2))
        graph.add("Resize", "", "", sizes, mode="linear", axes=[2, 3])
    *convolutions, (kernel, bias), last = pairs_of(state)
    padding = {"same": "SAME_UPPER", "valid": "VALID"}[state["padding"]]
    for i, (weights, shift) in enumerate(convolutions, 1):
        graph.weighted("Conv", f"convolution_{i}", weights.transpose(3, 2, 0, 1), shift, "Relu", auto_pad=padding)
        graph.add("MaxPool", kernel_shape=(2, 2), strides=(2, 2))
    graph.add("Flatten", axis=1)
    # of the last maps only the channels are known, and the order of the places stays
    channels = len(convolutions[-1][1])
    kernel = kernel.reshape(-1, channels, kernel.shape[-1]).transpose(1, 0, 2).reshape(len(kernel), -1)
    graph.weighted("Gemm", "dense", kernel, bias, "Relu")
    graph.weighted("Gemm", "probabilities", *last, "Softmax")
    rows, cols, bands = state["patch_shape"]
    taken = (rows, cols, bands) if bands_last else (bands, rows, cols)
    outputs = {"probabilities": state["n_classes"]}
    if features:
        outputs["dense"] = state["dense_units"]
    return graph.finished(taken, outputs, metadata or {})


class _Graph:
    """A chain of ONNX nodes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.at = "patches"

    def constant(self, name: str, values: np.ndarray) -> str:
        self.constants.append(tensor(name, values))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> None:
        name = f"{kind} {len(self.nodes)}"
        self.nodes.append(node(kind, [self.at, *inputs], name, **attributes))
        self.at = name

    def weighted(
        self, kind: str, name: str, kernel: np.ndarray, bias: np.ndarray, activation: str, **attributes: Any
    ) -> None:
        """A node with weights, and its activation."""
        weights = self.constant(f"{name} kernel", kernel), self.constant(f"{name} bias", bias)
        self.add(kind, *weights, **attributes)
        self.add(activation)
        self.nodes[-1].output[0] = self.at = name

    def finished(self, shape: tuple, outputs: Mapping[str, int], metadata: Mapping[str, str]) -> bytes:
        given = [described(name, ["n", n]) for name, n in outputs.items()]
        return whole_file(self.nodes, self.constants, described("patches", ["n", *shape]), given, metadata)
