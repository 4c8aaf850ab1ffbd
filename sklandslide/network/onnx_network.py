"""The network in ONNX Runtime, where that is installed: faster than TensorFlow on processors, the same to 1e-5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["OnnxNetwork", "to_onnx"]

# Patches in one call: the features of so many stay in the processor's caches.
_BATCH = 64


class OnnxNetwork:
    """Prediction with a network of `build_cnn`; other layers are refused."""

    def __init__(self, model: Any) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # one thread a call: several calls at once use the cores better than several threads a call
        options.intra_op_num_threads, options.inter_op_num_threads = 1, 1
        self._session = onnxruntime.InferenceSession(to_onnx(model), options, providers=["CPUExecutionProvider"])

    def predict(self, patches: np.ndarray) -> np.ndarray:
        """Probabilities of each class, shape (n, n_classes), for patches of shape (n, bands, rows, cols), float32."""
        parts = [
            self._session.run(None, {"patches": patches[i : i + _BATCH]})[0] for i in range(0, len(patches), _BATCH)
        ]
        return np.concatenate(parts)


def to_onnx(model: Any, *, bands_last: bool = False, metadata: Mapping[str, str] | None = None) -> bytes:
    """A network of `build_cnn` as an ONNX model, from (n, bands, rows, cols) to (n, n_classes).

    Bands come first, as ONNX Runtime computes. The weights behind the flattening are put into the order of the
    features, so that nothing is transposed between. With `bands_last` patches come as (n, rows, cols, bands) and are
    transposed in the graph. Raises a ValueError if the network holds other layers.
    """
    graph = _Graph()
    if bands_last:
        graph.add("Transpose", perm=[0, 3, 1, 2])
    shape: tuple[int, ...] | None = None
    flat = False
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Normalization" and tuple(layer.axis) in ((-1,), (3,)) and not layer.invert:
            # as Keras does: subtracted, then divided
            mean, variance = (
                np.reshape(np.asarray(v, np.float32), (1, -1, 1, 1)) for v in (layer.mean, layer.variance)
            )
            graph.add("Sub", graph.constant("mean", mean))
            graph.add("Div", graph.constant("deviation", np.maximum(np.sqrt(variance), np.float32(1e-7))))
        elif kind == "Resizing" and _stretches(layer):
            sizes = graph.constant("sizes", np.array([layer.height, layer.width]))
            graph.add("Resize", "", "", sizes, mode="linear", axes=[2, 3])
        elif kind == "Conv2D" and layer.groups == 1:
            kernel, bias = _weights(layer)
            padding = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
            weights = graph.constant(f"{layer.name} kernel", kernel.transpose(3, 2, 0, 1))
            bias_ = graph.constant(f"{layer.name} bias", bias)
            options = {"kernel_shape": layer.kernel_size, "strides": layer.strides, "dilations": layer.dilation_rate}
            graph.add("Conv", weights, bias_, auto_pad=padding, **options)
            graph.activate(layer)
        elif kind == "MaxPooling2D" and layer.padding == "valid":
            graph.add("MaxPool", kernel_shape=layer.pool_size, strides=layer.strides)
        elif kind == "Flatten":
            graph.add("Flatten", axis=1)
            shape, flat = tuple(layer.input.shape[1:]), True
        elif kind == "Dense" and flat:
            kernel, bias = _weights(layer)
            if shape is not None:
                kernel = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
                shape = None
            graph.add(
                "Gemm", graph.constant(f"{layer.name} kernel", kernel), graph.constant(f"{layer.name} bias", bias)
            )
            graph.activate(layer)
        elif kind != "Dropout":
            raise ValueError(f"The layer {layer.name!r} ({kind}) has no counterpart in ONNX here.")
    rows, cols, bands = model.input_shape[1:]
    taken = (rows, cols, bands) if bands_last else (bands, rows, cols)
    return graph.finished(taken, model.output_shape[-1], metadata or {})


class _Graph:
    """A chain of ONNX nodes."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.at = "patches"

    def constant(self, name: str, values: np.ndarray) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> None:
        from onnx import helper

        name = f"{kind} {len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self.at, *inputs], [name], **attributes))
        self.at = name

    def activate(self, layer: Any) -> None:
        name = layer.activation.__name__
        if name not in ("relu", "softmax", "linear"):
            raise ValueError(f"The activation {name!r} of layer {layer.name!r} has no counterpart in ONNX here.")
        if name != "linear":
            self.add({"relu": "Relu", "softmax": "Softmax"}[name])

    def finished(self, shape: tuple, n_classes: int, metadata: Mapping[str, str]) -> bytes:
        import onnx
        from onnx import TensorProto, helper

        patches = helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", *shape])
        self.nodes[-1].output[0] = "probabilities"
        out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", n_classes])
        graph = helper.make_graph(self.nodes, "landslide_cnn", [patches], [out], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        model.producer_name = "sklandslide"
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model)
        return model.SerializeToString()


def _stretches(layer: Any) -> bool:
    """Whether a layer resamples bilinearly and does nothing else."""
    others = ("crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias")
    return layer.interpolation == "bilinear" and not any(getattr(layer, name, False) for name in others)


def _weights(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    kernel, *bias = (np.asarray(w) for w in layer.get_weights())
    return kernel, bias[0] if bias else np.zeros(kernel.shape[-1], np.float32)
