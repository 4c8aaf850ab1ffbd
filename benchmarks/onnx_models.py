"""The network in ONNX Runtime, the rival of the engines: written by hand, and converted by tf2onnx, the faster counts.

The hand-written graph is what ONNX Runtime likes best: rows and columns last (one transposition at the start), ReLU
fused into the convolutions by its optimiser, and the weights of the first dense layer put in the order of the features,
so that nothing is transposed back.
"""

import statistics
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def written_by_hand(model):
    """An ONNX model of a network of `build_cnn`, from (n, rows, cols, bands) to (n, classes)."""
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(kind, inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [f"{kind}_{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    at, shape = node("Transpose", ["patches"], perm=[0, 3, 1, 2]), None
    for layer in model.layers:
        kind = type(layer).__name__
        if kind == "Normalization":
            mean, variance = (
                np.reshape(np.asarray(v, np.float32), (1, -1, 1, 1)) for v in (layer.mean, layer.variance)
            )
            at = node("Sub", [at, constant("mean", mean)])
            at = node("Mul", [at, constant("scale", 1 / np.sqrt(variance))])
        elif kind == "Resizing":
            sizes = constant("sizes", np.array([layer.height, layer.width]))
            at = node("Resize", [at, "", "", sizes], mode="linear", axes=[2, 3])
        elif kind == "Conv2D":
            kernel, bias = (np.asarray(w) for w in layer.get_weights())
            padding = {"same": "SAME_UPPER", "valid": "VALID"}[layer.padding]
            weights = [constant(layer.name, kernel.transpose(3, 2, 0, 1)), constant(f"{layer.name}_bias", bias)]
            at = node("Relu", [node("Conv", [at, *weights], auto_pad=padding, kernel_shape=[3, 3])])
        elif kind == "MaxPooling2D":
            at, shape = node("MaxPool", [at], kernel_shape=[2, 2], strides=[2, 2]), layer.output.shape[1:]
        elif kind == "Flatten":
            at = node("Flatten", [at], axis=1)
        elif kind == "Dense":
            kernel, bias = (np.asarray(w) for w in layer.get_weights())
            if shape is not None:
                kernel = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
                shape = None
            at = node("Gemm", [at, constant(layer.name, kernel), constant(f"{layer.name}_bias", bias)])
            at = node({"relu": "Relu", "softmax": "Softmax"}[layer.activation.__name__], [at])
        elif kind != "Dropout":
            raise ValueError(f"{kind} is no layer of build_cnn.")
    patches = helper.make_tensor_value_info("patches", TensorProto.FLOAT, [None, *model.input_shape[1:]])
    out = helper.make_tensor_value_info(at, TensorProto.FLOAT, [None, model.output_shape[-1]])
    graph = helper.make_graph(nodes, "landslide_cnn", [patches], [out], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def converted(model):
    """The same network through Keras's own export (tf2onnx), or None where this environment cannot."""
    import keras

    # tf2onnx loses the constants of Normalization, so that is put in front of what it makes of the other layers
    layers = [layer for layer in model.layers if type(layer).__name__ != "Normalization"]
    plain = keras.Sequential([keras.Input(model.input_shape[1:], name="patches"), *layers])
    plain(np.zeros((1, *model.input_shape[1:]), np.float32))  # Keras exports what was called
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        try:
            plain.export(path, format="onnx", verbose=False)
        except Exception as error:  # whatever stops tf2onnx here: the hand-written graph is there
            print(f"(no conversion by tf2onnx: {type(error).__name__}: {str(error)[:80]})")
            return None
        made = onnx.load(path)
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            _normalise_first(made.graph, np.asarray(layer.mean), np.asarray(layer.variance))
    return made.SerializeToString()


def _normalise_first(graph, mean, variance):
    name = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["normalised" if i == name else i for i in node.input]
    constants = {"mean": mean, "scale": 1 / np.sqrt(variance)}
    graph.initializer.extend(numpy_helper.from_array(v.astype(np.float32).ravel(), k) for k, v in constants.items())
    graph.node.insert(0, helper.make_node("Mul", ["centred", "scale"], ["normalised"]))
    graph.node.insert(0, helper.make_node("Sub", [name, "mean"], ["centred"]))


def session(content, threads, spinning):
    """An inference session of so many threads, that wait for work busily or not."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def predictor(running, batch):
    """From patches to the probabilities of the second class, in batches."""
    name = running.get_inputs()[0].name

    def predict(patches):
        parts = [running.run(None, {name: patches[i : i + batch]})[0] for i in range(0, len(patches), batch)]
        return np.concatenate(parts)[:, 1]

    return predict


def as_exported(model, batch):
    """What `model.export(format="onnx")` gives, in a session with ONNX Runtime's own defaults."""
    content = converted(model)
    return predictor(onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]), batch)


def strongest(model, patches, threads, batches=(64, 256, 1024)):
    """The fastest of the ways to predict these patches with ONNX Runtime, and its name."""
    contents = {"hand-written": written_by_hand(model), "tf2onnx": converted(model)}
    trials = {
        f"{name}, batch {batch}{'' if spinning else ', threads that do not spin'}": predictor(
            session(content, threads, spinning), batch
        )
        for name, content in contents.items()
        if content
        for batch in batches
        for spinning in ((True, False) if threads > 1 else (True,))
    }
    times: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(4):  # in turn, as the machine's speed drifts; the first does not count
        for name, predict in trials.items():
            start = time.perf_counter()
            predict(patches)
            times[name].append(time.perf_counter() - start)
    best = min(trials, key=lambda name: statistics.median(times[name][1:]))
    return trials[best], best
