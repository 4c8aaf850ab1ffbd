"""Maps by shared computation: exact, and many times fewer operations than window by window.

Neighbouring windows overlap by more than nine tenths. Each feature that they share is computed once, as a map of the
whole tile for each pair of border states (see `states`); each window then gathers its own last features and goes
through the dense layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from ..augmentation import Augmenter
from ..bands import BandStacker
from ..cnn import LandslideCNN
from ..grid import Window
from ..patches import PatchSampler
from .states import AxisPlan, axis_plan
from .tiles import MapTask

__all__ = ["SharedEngine", "why_not_shared"]

# Layers and activations that act on each value or pixel by itself, so that they commute with cutting out windows.
_POINTWISE_LAYERS = ("Normalization", "Rescaling", "Activation", "ReLU", "LeakyReLU", "ELU")
_POINTWISE = frozenset({"linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid",
                        "softplus", "softsign", "hard_sigmoid", "exponential"})  # fmt: skip
_INERT = ("InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization")
# The windows' last features are gathered at once; so many bytes of them at the most.
_GATHER_BYTES = 64 << 20


@dataclass(frozen=True)
class _Chain:
    """A network taken apart: layers that are shared, and those that each window goes through by itself."""

    shared: tuple[Any, ...]
    dense: tuple[Any, ...]

    @property
    def kinds(self) -> list[str]:
        """The layers that look at neighbours, as `axis_plan` takes them."""
        names = [(type(layer).__name__, layer) for layer in self.shared]
        return [
            "pool" if name == "MaxPooling2D" else layer.padding
            for name, layer in names
            if name in ("Conv2D", "MaxPooling2D")
        ]


def why_not_shared(estimator: Any, patch_size: int) -> str | None:
    """Say why shared computation is not exact for a fitted estimator, or None if it is.

    Parameters
    ----------
    estimator : estimator
    patch_size : int
        Of the windows.

    Returns
    -------
    str or None
    """
    pipeline = _pipeline_of(estimator)
    if pipeline is None:
        return f"{type(estimator).__name__} is no Pipeline of BandStacker, PatchSampler, Augmenter and LandslideCNN"
    sampler = next(step for step in pipeline if isinstance(step, PatchSampler))
    if sampler.patch_size != patch_size:
        return f"the windows have {patch_size} pixels and the network's patches {sampler.patch_size}"
    chain = _take_apart(pipeline[-1].model_)
    return chain if isinstance(chain, str) else None


class SharedEngine:
    """Compute tiles of a map by shared computation.

    The network is evaluated in squares of one size on a lattice fixed to the scene, so that a value does not depend on
    the tile it was asked for in.

    Parameters
    ----------
    task : MapTask
        For which `why_not_shared` is None.
    """

    name = "shared"

    def __init__(self, task: MapTask) -> None:
        model = _pipeline_of(task.estimator)[-1].model_  # type: ignore[index]
        chain = _take_apart(model)
        if isinstance(chain, str):
            raise ValueError(chain)
        self.task = task
        self.plan = axis_plan(task.patch_size, task.step, chain.kinds)
        self.side = _side(self.plan, chain)
        self.before, self.length = self.plan.margins(task.patch_size, task.step, self.side)
        self._graph = _compiled(model, chain, self.plan, self.before, self.side, task)

    def tile(self, window: Window) -> np.ndarray:
        """Values of a window of the map, float32, NaN where a window of the scene touches nodata."""
        task = self.task
        part, valid = task.read(window)
        pixels = np.nan_to_num(task.views(part)[0].read(), copy=False)
        values = np.full(valid.shape, np.nan, np.float32)
        for row in range(0, window.height, self.side):
            for col in range(0, window.width, self.side):
                where = slice(row, row + self.side), slice(col, col + self.side)
                inside = valid[where]
                if inside.any():
                    square = self._square(pixels, row * task.step, col * task.step)
                    found = self._graph(square)[: inside.shape[0], : inside.shape[1]]
                    values[where] = np.where(inside, found, np.float32(np.nan))
        return values

    def _square(self, pixels: np.ndarray, row: int, col: int) -> np.ndarray:
        """The pixels of one square with its margins; zeros, which no valid window sees, beyond the part."""
        out = np.zeros((self.length, self.length, pixels.shape[-1]), np.float32)
        top, left = row - self.before, col - self.before
        rows = slice(max(top, 0), min(top + self.length, pixels.shape[0]))
        cols = slice(max(left, 0), min(left + self.length, pixels.shape[1]))
        out[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left] = pixels[rows, cols]
        return out


def _pipeline_of(estimator: Any) -> Pipeline | None:
    """The pipeline of this package's own steps that an estimator is, or that a search found."""
    pipeline = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(pipeline, Pipeline):
        return None
    kinds = [type(step) for _, step in pipeline.steps if step not in (None, "passthrough")]
    while Augmenter in kinds:
        kinds.remove(Augmenter)
    if kinds[:1] == [BandStacker]:
        kinds = kinds[1:]
    return pipeline if kinds == [PatchSampler, LandslideCNN] else None


def _take_apart(model: Any) -> _Chain | str:
    """Split a network at its Flatten layer, or say which layer cannot be shared."""
    names = [type(layer).__name__ for layer in model.layers]
    if "Flatten" not in names:
        return "the network has no Flatten layer"
    cut = names.index("Flatten")
    shared = []
    for name, layer in zip(names[:cut], model.layers[:cut], strict=True):
        if name in _INERT:
            continue
        reason = _not_shareable(name, layer)
        if reason:
            return reason
        shared.append(layer)
    dense = (layer for layer in model.layers[cut + 1 :] if type(layer).__name__ not in _INERT)
    return _Chain(tuple(shared), tuple(dense))


def _not_shareable(name: str, layer: Any) -> str | None:
    activation = getattr(getattr(layer, "activation", None), "__name__", "linear")
    reason = None
    if name == "Resizing":
        reason = (
            "patches are resampled to the network's input size (LandslideCNN(input_size=None) takes them as they are)"
        )
    elif activation not in _POINTWISE:
        reason = f"the activation {activation!r} of layer {layer.name!r} is not pointwise"
    elif name == "Conv2D":
        plain = layer.kernel_size == (3, 3) and layer.strides == (1, 1) and layer.dilation_rate == (1, 1)
        if not plain or layer.groups != 1 or layer.padding not in ("same", "valid"):
            reason = f"the convolution {layer.name!r} is not a plain one of 3 x 3 with stride 1"
    elif name == "MaxPooling2D":
        if layer.pool_size != (2, 2) or layer.strides != (2, 2) or layer.padding != "valid":
            reason = f"the pooling {layer.name!r} is not of 2 x 2 with stride 2"
    elif name not in _POINTWISE_LAYERS or not _same_at_each_pixel(name, layer):
        reason = f"the layer {layer.name!r} ({name}) does not commute with cutting out windows"
    return reason


def _same_at_each_pixel(name: str, layer: Any) -> bool:
    """Whether the numbers that a pixelwise layer works with are the same for all pixels of a window."""
    if name == "Normalization":
        return tuple(layer.axis) in ((-1,), (3,)) and not layer.invert
    if name == "Rescaling":
        return max(np.ndim(layer.scale), np.ndim(layer.offset)) <= 1
    return True


def _side(plan: AxisPlan, chain: _Chain) -> int:
    """Windows a side of the squares that are computed at once: a power of two, so that squares fill tiles."""
    channels = next((c.filters for c in reversed(chain.shared) if type(c).__name__ == "Conv2D"), 4)
    side = 128
    while side > 8 and side * side * len(plan.states) ** 2 * channels * 4 > _GATHER_BYTES:
        side //= 2
    return side


def _compiled(model: Any, chain: _Chain, plan: AxisPlan, before: int, side: int, task: MapTask) -> Any:
    """The whole computation of one square as one compiled graph.

    Compiling takes seconds, so the graph is kept on the network (which leaves it behind when it is pickled) and serves
    the next map of the same kind. It reads the network's weights when it runs.
    """
    import tensorflow as tf

    from .shared_graph import square_probabilities

    graphs = model.__dict__.setdefault("_shared_graphs", {})
    key = task.patch_size, task.step, side, task.column
    if key not in graphs:

        def square(image):
            found = square_probabilities(image, chain.shared, chain.dense, plan, before, side, task.step)
            return found[..., task.column]

        graphs[key] = tf.function(square, jit_compile=True, autograph=False)
    return lambda image: graphs[key](tf.constant(image)).numpy()
