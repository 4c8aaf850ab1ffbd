"""The network of a `LandslideCNN` as numbers, and back.

Nothing of Keras's own deserialisation is used: the layers of `build_cnn` are built by their constructors from checked
numbers, and a network that cannot be described in this way is not saved.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..exceptions import ModelFileError
from ..features import start_tensorflow
from .arrays import shown

__all__ = ["built_network", "described_network"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_LARGEST_SIDE = 4096
_LARGEST_LAYER = 2**24  # features of one patch in one layer: 64 MB
_MOST_LAYERS = 64
_KEYS = {
    "Normalization": ("name", "mean", "variance"),
    "Resizing": ("name", "height", "width"),
    "Conv2D": ("name", "filters", "padding", "activation", "seed"),
    "MaxPooling2D": ("name",),
    "Dropout": ("name", "rate", "seed"),
    "Flatten": ("name",),
    "Dense": ("name", "units", "activation", "seed"),
}
_ACTIVATIONS = ("relu", "softmax", "linear")


def described_network(network: Any) -> tuple[dict[str, Any], list[np.ndarray]]:
    """A network as JSON and weights.

    Parameters
    ----------
    network : keras.Sequential

    Returns
    -------
    description : dict
    weights : list of ndarray

    Raises
    ------
    ModelFileError
        If it has layers or options that `build_cnn` does not make.
    """
    document = json.loads(network.to_json())
    first, *others = document["config"]["layers"]
    description = {
        "name": document["config"]["name"],
        "input": first["config"]["name"],
        "patch_shape": list(first["config"]["batch_shape"][1:]),
        "layers": [_described_layer(layer) for layer in others],
    }
    weights = network.get_weights()
    if json.loads(built_network(description, weights).to_json()) != document:
        raise ModelFileError(
            f"The network {document['config']['name']!r} has options that build_cnn does not make, so a model file "
            "cannot hold it. Use a pickle."
        )
    return description, weights


def _described_layer(layer: dict[str, Any]) -> dict[str, Any]:
    kind, config = layer["class_name"], layer["config"]
    if kind not in _KEYS or layer["module"] != "keras.layers" or layer["registered_name"]:
        raise ModelFileError(
            f"The network has the layer {config.get('name', kind)!r} ({layer['module']}.{kind}), which a model file "
            f"cannot hold: it holds the layers of build_cnn ({', '.join(_KEYS)}). Use a pickle."
        )
    seed = (config.get("kernel_initializer") or {}).get("config", {}).get("seed")
    values = {"seed": seed, **config}
    return {"layer": kind, **{key: values[key] for key in _KEYS[kind]}}


def built_network(description: Any, weights: list[np.ndarray]) -> Any:
    """A network from its description, after everything in it was checked.

    Parameters
    ----------
    description : dict
        As `described_network` gives it.
    weights : list of ndarray

    Returns
    -------
    keras.Sequential

    Raises
    ------
    ModelFileError
        If the description names anything but layers of `build_cnn`, or its weights have other shapes.
    """
    shapes = _checked(description)
    found = [(w.shape, str(w.dtype)) for w in weights]
    if found != [(shape, "float32") for shape in shapes]:
        raise ModelFileError(
            f"the network needs weights of the shapes {shown(shapes, 200)}, and the file has {shown(found, 200)}"
        )
    if not all(np.isfinite(w).all() for w in weights):
        raise ModelFileError("the network's weights hold NaN or infinity. Train it again, with a smaller learning rate")
    start_tensorflow()
    return _built(description, weights)


def _built(description: dict[str, Any], weights: list[np.ndarray]) -> Any:
    import keras

    layers = [keras.Input(tuple(description["patch_shape"]), name=description["input"])]
    layers += [_built_layer(keras, layer) for layer in description["layers"]]
    network = keras.Sequential(layers, name=description["name"])
    network.set_weights(weights)
    return network


def _built_layer(keras: Any, layer: dict[str, Any]) -> Any:
    options = {key: value for key, value in layer.items() if key != "layer"}
    made = {
        "Normalization": keras.layers.Normalization,
        "Resizing": keras.layers.Resizing,
        "Conv2D": keras.layers.Conv2D,
        "MaxPooling2D": keras.layers.MaxPooling2D,
        "Dropout": keras.layers.Dropout,
        "Flatten": keras.layers.Flatten,
        "Dense": keras.layers.Dense,
    }[layer["layer"]]
    if layer["layer"] == "Conv2D":
        options["kernel_size"] = 3
    if layer["layer"] in ("Conv2D", "Dense"):
        options["kernel_initializer"] = keras.initializers.GlorotUniform(seed=options.pop("seed"))
    return made(**options)


def _checked(description: Any) -> list[tuple[int, ...]]:
    """Check a description; return the shapes of its weights."""
    _has_keys(description, ("name", "input", "patch_shape", "layers"), "the network")
    shape = description["patch_shape"]
    if not (isinstance(shape, list) and len(shape) == 3 and all(_whole(n, 1, _LARGEST_SIDE) for n in shape)):
        raise ModelFileError(
            f"the network takes patches of the shape {shown(shape)}; three sizes up to {_LARGEST_SIDE} are read"
        )
    layers = description["layers"]
    if not isinstance(layers, list) or not 1 <= len(layers) <= _MOST_LAYERS:
        raise ModelFileError(f"the network is to have a list of 1 to {_MOST_LAYERS} layers")
    names = [description["name"], description["input"]]
    at, weights = tuple(shape), []
    for layer in layers:
        kind = layer.get("layer") if isinstance(layer, dict) else None
        if not isinstance(kind, str) or kind not in _KEYS:
            raise ModelFileError(
                f"the network has the layer {shown(kind)}, which is not read; build_cnn has {', '.join(_KEYS)}"
            )
        _has_keys(layer, ("layer", *_KEYS[kind]), f"the layer {kind}")
        names.append(layer["name"])
        at, kernel = _STEPS[kind](layer, at)
        if math.prod(at) > _LARGEST_LAYER:
            raise ModelFileError(
                f"the layer {shown(layer['name'])} has {math.prod(at)} features; {_LARGEST_LAYER} are read"
            )
        weights += [kernel, kernel[-1:]] if kernel else []
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names) or len(set(names)) < len(names):
        raise ModelFileError(f"the names {shown(names, 200)} of the network's layers are not all different names")
    if layers[-1]["layer"] != "Dense" or layers[-1]["activation"] != "softmax":
        raise ModelFileError("the network does not end with a softmax")
    return weights


def _has_keys(node: Any, keys: tuple[str, ...], what: str) -> None:
    if not isinstance(node, dict) or tuple(node) != keys:
        found = shown(sorted(set(node) ^ set(keys)) or list(node), 200) if isinstance(node, dict) else shown(node)
        raise ModelFileError(f"{what} is to have {', '.join(keys)} and nothing else; not so with {found}")


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _number(value: Any, low: float = -math.inf, high: float = math.inf) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def _demand(right: bool, layer: dict[str, Any], key: str) -> None:
    if not right:
        raise ModelFileError(
            f"the layer {shown(layer['name'])} ({layer['layer']}) has {key}={shown(layer.get(key))}, which does not fit"
        )


def _normalised(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    for key, low in (("mean", -math.inf), ("variance", 0)):
        values = layer[key]
        right = isinstance(values, list) and len(values) == at[-1] and all(_number(v, low) for v in values)
        _demand(right and len(at) == 3, layer, key)
    return at, ()


def _resized(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    for key in ("height", "width"):
        _demand(_whole(layer[key], 1, _LARGEST_SIDE) and len(at) == 3, layer, key)
    return (layer["height"], layer["width"], at[-1]), ()


def _convolved(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    _demand(_whole(layer["filters"], 1, _LARGEST_LAYER) and len(at) == 3, layer, "filters")
    _demand(layer["padding"] in ("same", "valid"), layer, "padding")
    _check_trained(layer)
    lost = 2 if layer["padding"] == "valid" else 0
    _demand(min(at[:2]) > lost, layer, "padding")
    return (at[0] - lost, at[1] - lost, layer["filters"]), (3, 3, at[-1], layer["filters"])


def _pooled(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    _demand(len(at) == 3 and min(at[:2]) >= 2, layer, "name")
    return (at[0] // 2, at[1] // 2, at[2]), ()


def _dropped(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    _demand(_number(layer["rate"], 0, 1) and layer["rate"] < 1, layer, "rate")
    _demand(_whole(layer["seed"], 0, 2**32 - 1), layer, "seed")
    return at, ()


def _flattened(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    return (math.prod(at),), ()


def _dense(layer: dict[str, Any], at: tuple) -> tuple[tuple, tuple]:
    _demand(_whole(layer["units"], 1, _LARGEST_LAYER) and len(at) == 1, layer, "units")
    _check_trained(layer)
    return (layer["units"],), (at[0], layer["units"])


def _check_trained(layer: dict[str, Any]) -> None:
    _demand(layer["activation"] in _ACTIVATIONS, layer, "activation")
    _demand(_whole(layer["seed"], 0, 2**32 - 1), layer, "seed")


# From a layer and the shape before it: the shape behind it, and that of its kernel.
_STEPS: dict[str, Callable[[dict[str, Any], tuple], tuple[tuple, tuple]]] = {
    "Normalization": _normalised,
    "Resizing": _resized,
    "Conv2D": _convolved,
    "MaxPooling2D": _pooled,
    "Dropout": _dropped,
    "Flatten": _flattened,
    "Dense": _dense,
}
