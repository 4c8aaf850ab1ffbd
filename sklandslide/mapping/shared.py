"""Maps by shared computation: exact, and many times fewer operations than window by window.

Neighbouring windows overlap by more than nine tenths. Each feature that they share is computed once, as a map of the
whole tile for each pair of border states (see `states`); each window then gathers its own last features and goes
through the dense layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from ..features import PatchSampler, cores
from ..network import pairs_of, scale_of, state_of
from .applicability import parts_of
from .estimators import own_pipeline
from .states import AxisPlan, axis_plan
from .tiles import Crew, MapTask

# The maps that are alive at once take so many bytes at the most. More of them fall out of the processor's caches.
_LIVE_BYTES = 36 << 20
# What a call of the graph costs by itself, in multiply-adds; and so many windows that this hardly counts.
_CALL = 20_000_000
_ENOUGH = 1024


@dataclass(frozen=True)
class _Chain:
    """A network taken apart: layers that are shared, and those that each window goes through by itself."""

    bands: int
    padding: str
    convolutions: tuple[Any, ...]  # pairs of weights and bias, each with its pooling
    dense: tuple[Any, ...]

    @property
    def kinds(self) -> list[str]:
        """The layers that look at neighbours, as `axis_plan` takes them."""
        return [self.padding, "pool"] * len(self.convolutions)

    @property
    def units(self) -> int:
        """Of the hidden layer."""
        return len(self.dense[0][1])


def why_not_shared(estimator: Any, patch_size: int) -> str | None:
    """Why shared computation is not exact for a fitted estimator and windows of that size, or None if it is."""
    pipeline = own_pipeline(estimator)
    if pipeline is None:
        return f"{type(estimator).__name__} has other steps than BandStacker, PatchSampler, Augmenter and LandslideCNN"
    sampler = next(step for step in pipeline if isinstance(step, PatchSampler))
    if sampler.patch_size != patch_size:
        return f"the windows have {patch_size} pixels and the network's patches {sampler.patch_size}"
    if state_of(pipeline[-1])["input_size"] is not None:
        return (
            "patches are resampled to the network's input size (LandslideCNN(input_size=None) takes them as they are)"
        )
    return None


class SharedEngine:
    """Compute tiles of a map by shared computation, of a task for which `why_not_shared` is None.

    The network is evaluated in squares of one size on a lattice fixed to the scene, so that a value does not depend on
    the tile it was asked for in. A kernel in C makes the sums.
    """

    name = "shared"
    _products = False  # whether they are kept

    def __init__(self, task: MapTask) -> None:
        cnn = own_pipeline(task.estimator)[-1]  # type: ignore[index]
        state = state_of(cnn)
        chain = _take_apart(state)
        self.task = task
        self.side, self.batch = _cheapest(task.patch_size, task.step, chain, self._products)
        self.plan = axis_plan(task.patch_size, task.step, chain.kinds, self.side)
        self._prepare(cnn, chain, scale_of(state))

    def _prepare(self, cnn: Any, chain: _Chain, scale: Any) -> None:
        from .shared_kernel import KINDS, Kernel

        kernel = Kernel(scale, chain.convolutions, chain.dense, self.plan, self.side, self.task.step)
        self.runtime: str = f"C, {KINDS[kernel.kind]}"
        self.batch, self._crew = 1, Crew(cores())
        task, length = self.task, self.plan.length
        area: Any = None if task.area is None else _compiled_area(cnn.model_, chain, self.plan, self.side, task)

        def compute(images: np.ndarray) -> np.ndarray:
            probabilities, *hidden = kernel(images[:, :length, :length], hidden=task.area is not None)
            more = [area(images, one) for one in hidden]
            return np.stack([probabilities[..., task.column], *more], axis=1)

        self._compute = compute

    def tile(self, part: Any) -> np.ndarray:
        """Values of the tile that sees a part of the scene, as `WindowEngine.tile` gives them."""
        task = self.task
        composites = task.pixels(part)
        valid = task.valid(composites)
        pixels = np.nan_to_num(composites[0], copy=False)
        return self._values(pixels, valid)

    def _values(self, pixels: np.ndarray, valid: np.ndarray) -> np.ndarray:
        """Values of the valid windows, some squares of windows at a time."""
        side, step, length = self.side, self.task.step, _length(self.task, self.plan, self.side)
        values = np.full((self.task.n_bands, *valid.shape), np.nan, np.float32)
        corners = [(row, col) for row in range(0, valid.shape[0], side) for col in range(0, valid.shape[1], side)]
        corners = [(row, col) for row, col in corners if valid[row : row + side, col : col + side].any()]

        def fill(first: int) -> None:
            part = corners[first : first + self.batch]
            # zeros, which no valid window sees, beyond the pixels, and for the squares that the last batch lacks
            squares = np.zeros((self.batch, length, length, pixels.shape[-1]), np.float32)
            for square, (row, col) in zip(squares, part, strict=False):
                seen = pixels[row * step : row * step + length, col * step : col * step + length]
                square[: seen.shape[0], : seen.shape[1]] = seen
            for found, (row, col) in zip(self._compute(squares), part, strict=False):
                where = slice(row, row + side), slice(col, col + side)
                inside = valid[where]
                values[:, *where] = np.where(inside, found[:, : inside.shape[0], : inside.shape[1]], np.float32(np.nan))

        self._crew.do(fill, range(0, len(corners), self.batch))
        return values


class SharedGraphEngine(SharedEngine):
    """The same in TensorFlow, for where the kernel was not built: no compiler, or none that knows vectors."""

    name = "shared-graph"
    _products = True

    def _prepare(self, cnn: Any, chain: _Chain, scale: Any) -> None:
        self.runtime = "TensorFlow"
        # one call of the graph leaves the cores idle between its many small loops
        self._crew = Crew(cores() + 1 if cores() > 1 else 1)
        self._compute = _compiled(cnn.model_, chain.bands, self.plan, self.side, self.batch, self.task)


def shared_engine() -> type[SharedEngine]:
    """The faster of the two that there is."""
    return SharedGraphEngine if find_spec("._sums", __package__) is None else SharedEngine


def _take_apart(state: dict[str, Any]) -> _Chain:
    *convolutions, hidden, last = pairs_of(state)
    return _Chain(state["patch_shape"][-1], state["padding"], tuple(convolutions), (hidden, last))


def _length(task: MapTask, plan: AxisPlan, side: int) -> int:
    """Pixels a side that a square of windows sees; the network may leave out a window's last ones."""
    return plan.length if task.area is None else (side - 1) * task.step + task.patch_size


def _cheapest(patch_size: int, step: int, chain: _Chain, products: bool = True) -> tuple[int, int]:
    """Windows a side of the squares, a power of two so that squares fill tiles, and squares that are computed at once.

    Large squares share more and small ones need less memory: the cheapest size whose maps fit in `_LIVE_BYTES`, counted
    in multiply-adds. Where windows lie far apart, that is one window.
    """
    costs = {}
    for side in (1, 2, 4, 8, 16, 32, 64):
        operations, size = _expense(axis_plan(patch_size, step, chain.kinds, side), side, chain, products)
        batch = max(1, min(_LIVE_BYTES // size, _ENOUGH // side**2))
        if side == 1 or size <= _LIVE_BYTES:
            costs[(operations + _CALL / batch) / side**2] = side, batch
    return costs[min(costs)]


def _expense(plan: AxisPlan, side: int, chain: _Chain, products: bool = True) -> tuple[int, int]:
    """Multiply-adds of a square, and the bytes of its maps while they are most, with products or only all poolings."""
    channels = chain.bands
    size = largest = total = plan.length**2 * channels
    operations = 0
    filters = iter([len(bias) for _, bias in chain.convolutions])
    for step in plan.steps:
        made = 0
        if step.kind != "pool":
            inputs, channels = channels, next(filters)
            made = sum(step.inputs[state].count * len(taps) for state, taps in step.uses.items()) ** 2 * channels
            operations += made * inputs
        before, size = size, sum(lattice.count for lattice in step.outputs) ** 2 * channels
        # sums of products are not kept, only their maxima
        largest = max(largest, before + made + size)
        total += size * (step.kind == "pool")
    units = chain.units
    features = (side * len(plan.states)) ** 2 * channels
    most = max(largest, size + features + side**2 * units) if products else total + side**2 * units
    return operations + features * units, 4 * most


def _compiled(model: Any, bands: int, plan: AxisPlan, side: int, batch: int, task: MapTask) -> Any:
    """The whole computation of some squares as one compiled graph, which reads the network's weights when it runs."""
    import tensorflow as tf

    from .shared_graph import square_dissimilarities, square_outputs

    normalise, convolutions, dense = _layers(model)

    def squares(images, *area):
        images = normalise(images)
        seen = images[:, : plan.length, : plan.length]
        probabilities, hidden = square_outputs(seen, convolutions, dense, plan, side)
        bands = [probabilities[..., task.column]]
        if area:
            bands.append(square_dissimilarities(images, hidden, area, task.patch_size, task.step))
        return tf.stack(bands, axis=1)

    length = _length(task, plan, side)
    return _graph(model, squares, [(batch, length, length, bands)], task, (side, batch, task.column))


def _layers(model: Any) -> tuple[Any, tuple, tuple]:
    """Keras's layers: what normalises, the convolutions, the dense ones."""
    layers = {layer.name: layer for layer in model.layers}
    convolutions = tuple(layer for name, layer in layers.items() if name.startswith("convolution_"))
    return layers.get("normalise", lambda images: images), convolutions, (layers["dense"], layers["probabilities"])


def _compiled_area(model: Any, chain: _Chain, plan: AxisPlan, side: int, task: MapTask) -> Any:
    """The dissimilarities of one square, from its image and its hidden layer, as a compiled graph."""
    from .shared_graph import square_dissimilarities

    normalise = _layers(model)[0]

    def squares(images, hidden, *area):
        return square_dissimilarities(normalise(images), hidden, area, task.patch_size, task.step)

    length = _length(task, plan, side)
    shapes = [(1, length, length, chain.bands), (1, side, side, chain.units)]
    return _graph(model, squares, shapes, task, (side, "area"))


def _graph(model: Any, function: Any, shapes: Sequence[tuple[int, ...]], task: MapTask, key: tuple) -> Any:
    """A function of arrays of these shapes, and of the parts of the task's area, as a compiled graph.

    Compiling takes seconds, so the graph is kept on the network (which leaves it behind when it is pickled) and serves
    the next map of the same kind.
    """
    import tensorflow as tf

    area = () if task.area is None else tuple(tf.constant(part) for part in parts_of(task.area))
    graphs = model.__dict__.setdefault("_shared_graphs", {})
    key = (*key, task.patch_size, task.step, tuple(tuple(part.shape) for part in area))
    if key not in graphs:
        specs = [tf.TensorSpec(shape, tf.float32) for shape in (*shapes, *(part.shape for part in area))]
        graphs[key] = tf.function(function, jit_compile=True, autograph=False).get_concrete_function(*specs)
    return lambda *arrays: graphs[key](*(tf.constant(array) for array in arrays), *area).numpy()
