"""A trained network as numbers and arrays, and back: what pickles, model files and the memory hold of it.

Keras's own deserialisation is never called: it imports what a file names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .build import build_cnn, check_depth, without_optimizer

_SIZES = ("patch_shape", "n_classes", "filters", "dense_units", "padding", "input_size")
_OTHERS = ("dropout", "mean", "variance", "weights")


def require_own(network: Any) -> None:
    """Refuse a network of other layers than those of `build_cnn`, with a ValueError."""
    layers = [layer.name for layer in network.layers]
    blocks = range(1, 1 + sum(name.startswith("convolution_") for name in layers))
    inner = [name for i in blocks for name in (f"convolution_{i}", f"pooling_{i}")]
    first = [name for name in ("normalise", "resample") if name in layers]
    if layers != [*first, *inner, "dropout", "flatten", "dense", "probabilities"]:
        raise ValueError(
            f"model_ has the layers {', '.join(layers)}: only a network of build_cnn can stand there. Use your own by "
            "itself, or train a LandslideCNN."
        )


def state_of(cnn: Any) -> dict[str, Any]:
    """What `packed` gives of a fitted `LandslideCNN`; one that was loaded needs no Keras for it."""
    return packed(cnn.model_) if "model_" in vars(cnn) else cnn._kept


def scale_of(state: dict[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """What Keras's normalisation subtracts from each band and then divides by, float32; None where there is none."""
    if state["mean"] is None:
        return None
    return state["mean"], np.maximum(np.sqrt(state["variance"]), np.float32(1e-7))


def pairs_of(state: dict[str, Any]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and bias of each layer: the convolutions, the hidden layer, the last."""
    return list(zip(state["weights"][::2], state["weights"][1::2], strict=True))


def packed(network: Any) -> dict[str, Any]:
    """What rebuilds a network of `build_cnn`: its arguments and its weights; no configuration of Keras."""
    require_own(network)
    layers = {layer.name: layer for layer in network.layers}
    scale = layers.get("normalise")
    blocks = range(1, 1 + sum(name.startswith("convolution_") for name in layers))
    return {
        "patch_shape": tuple(network.input_shape[1:]),
        "n_classes": network.output_shape[-1],
        "filters": [int(layers[f"convolution_{i}"].filters) for i in blocks],
        "dense_units": int(layers["dense"].units),
        "dropout": float(layers["dropout"].rate),
        "padding": layers["convolution_1"].padding,
        "input_size": int(layers["resample"].height) if "resample" in layers else None,
        "mean": None if scale is None else np.array(scale.mean, np.float32).ravel(),
        "variance": None if scale is None else np.array(scale.variance, np.float32).ravel(),
        "weights": network.get_weights(),
    }


def checked(state: Any) -> dict[str, Any]:
    """What `packed` gave, if its numbers and arrays can be a network; else a ValueError."""
    if not isinstance(state, dict) or set(state) != {*_SIZES, *_OTHERS}:
        raise ValueError(
            "The network is not kept as numbers and arrays: it was written by an earlier version of sklandslide, or by "
            "somebody else. Use the version that wrote it, or train again."
        )
    patch_shape, padding, dropout = (state[name] for name in ("patch_shape", "padding", "dropout"))
    if not isinstance(patch_shape, tuple) or padding not in ("same", "valid") or not 0 <= dropout < 1:
        raise ValueError(f"The network cannot have {patch_shape=}, {padding=} and {dropout=}. Train again.")
    size = patch_shape[:2] if state["input_size"] is None else (state["input_size"],) * 2
    check_depth(size, state["filters"], padding, state["input_size"])
    shapes, weights = _shapes(**{name: state[name] for name in _SIZES}), state["weights"]
    if state["mean"] is not None:
        shapes += [patch_shape[2:]] * 2
        weights = [*weights, state["mean"], state["variance"]]
    found = [w.shape for w in weights]
    if found != shapes:
        raise ValueError(
            f"The network's arrays have the shapes {found}, and its numbers ask for {shapes}. Train again."
        )
    if not all(w.dtype == np.float32 and np.isfinite(w).all() for w in weights):
        raise ValueError("The network's arrays hold NaN or infinity, or are not float32. Train again.")
    return state


def unpacked(state: dict[str, Any]) -> Any:
    """The network of `packed`, built by `build_cnn`."""
    arguments = {name: value for name, value in state.items() if name != "weights"}
    network = without_optimizer(build_cnn(**arguments, random_state=0))
    network.set_weights(state["weights"])
    return network


def _shapes(
    patch_shape: Sequence[int],
    n_classes: int,
    filters: Sequence[int],
    dense_units: int,
    padding: str,
    input_size: int | None,
) -> list[tuple[int, ...]]:
    """Shapes of the weights of `build_cnn`, told before anything is allocated for them."""
    *size, channels = patch_shape
    size = size if input_size is None else [input_size, input_size]
    shapes: list[tuple[int, ...]] = []
    for n in filters:
        shapes += [(3, 3, channels, n), (n,)]
        size = [(side if padding == "same" else side - 2) // 2 for side in size]
        channels = n
    features = size[0] * size[1] * channels
    return [*shapes, (features, dense_units), (dense_units,), (dense_units, n_classes), (n_classes,)]
