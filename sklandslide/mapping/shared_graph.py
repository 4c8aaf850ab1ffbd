"""The TensorFlow graph of shared computation. Imported inside functions only.

Every map of features is a tensor (rows, cols, channels) on one lattice of stored positions, and shrinks where a layer
would need pixels beyond it: nothing is padded inside the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

import tensorflow as tf

from .states import AxisPlan, Step

Maps = Mapping[tuple[int, int], Any]


def square_probabilities(
    image: Any, shared: tuple, dense: tuple, plan: AxisPlan, before: int, side: int, step: int
) -> Any:
    """Probabilities of a square of windows.

    Parameters
    ----------
    image : tensor of shape (length, length, bands), float32
        Its pixel (`before`, `before`) is the first pixel of the first window.
    shared, dense : tuple of keras.layers.Layer
        Before and behind the flattening.
    plan : AxisPlan
        Of either axis.
    before, side, step : int

    Returns
    -------
    tensor of shape (side, side, n_classes), float32
    """
    maps: Maps = {(0, 0): image}
    start = -before
    steps = iter(plan.steps)
    for layer in shared:
        kind = type(layer).__name__
        if kind == "Conv2D":
            step_ = next(steps)
            maps = _convolution(maps, layer, step_)
            start -= min(step_.offsets)
        elif kind == "MaxPooling2D":
            step_ = next(steps)
            start -= min(step_.offsets)
            skip = -start % step_.stride
            maps = _pooling(maps, step_, skip)
            start = (start + skip) // step_.stride
        else:
            maps = {pair: layer(values[None], training=False)[0] for pair, values in maps.items()}
    features = _gather(maps, plan, -start, side, step // plan.grid)
    for layer in dense:
        features = layer(features, training=False)
    return tf.reshape(features, (side, side, -1))


def _shrunk(values: Any, offsets: tuple[int, ...], row_tap: int, col_tap: int) -> Any:
    """The values that lie at two taps' offsets from each position where all taps have some."""
    low, span = min(offsets), max(offsets) - min(offsets)
    rows, cols = values.shape[0] - span, values.shape[1] - span
    row, col = offsets[row_tap] - low, offsets[col_tap] - low
    return values[row : row + rows, col : col + cols]


def _pooling(maps: Maps, step: Step, skip: int) -> Maps:
    kept = slice(skip, None, step.stride)
    out = {}
    for i, rows in enumerate(step.recipes):
        for j, cols in enumerate(step.recipes):
            taps = [
                _shrunk(maps[row, col], step.offsets, a, b)[kept, kept]  # type: ignore[index]
                for a, row in enumerate(rows)
                for b, col in enumerate(cols)
            ]
            out[i, j] = reduce(tf.maximum, taps)
    return out


def _convolution(maps: Maps, layer: Any, step: Step) -> Maps:
    sums = _masked_kernels(maps[0, 0], layer, step) if len(maps) == 1 else _sums_of_products(maps, layer, step)
    if layer.use_bias:
        sums = {pair: values + layer.bias for pair, values in sums.items()}
    return {pair: layer.activation(values) for pair, values in sums.items()}


def _masked_kernels(image: Any, layer: Any, step: Step) -> Maps:
    """From one input state: one convolution with the kernels of all output states side by side.

    A tap outside the window is a zero in the kernel.
    """
    pairs, kernels = [], []
    for i, rows in enumerate(step.recipes):
        for j, cols in enumerate(step.recipes):
            inside = [[float(r is not None and c is not None) for c in cols] for r in rows]
            pairs.append((i, j))
            kernels.append(layer.kernel * tf.constant(inside)[:, :, None, None])
    near = step.offsets[1] - step.offsets[0]
    values = tf.nn.conv2d(image[None], tf.concat(kernels, axis=-1), 1, "VALID", dilations=near)[0]
    return dict(zip(pairs, tf.split(values, len(pairs), axis=-1), strict=True))


def _sums_of_products(maps: Maps, layer: Any, step: Step) -> Maps:
    """From several input states: the product of each with each tap it stands at, once, added up shifted."""
    taps_of: dict[int, set[int]] = {}
    for recipe in step.recipes:
        for tap, state in enumerate(recipe):
            if state is not None:
                taps_of.setdefault(state, set()).add(tap)
    products = {}
    for row, row_taps in taps_of.items():
        for col, col_taps in taps_of.items():
            taps = [(a, b) for a in sorted(row_taps) for b in sorted(col_taps)]
            weights = tf.concat([layer.kernel[a, b] for a, b in taps], axis=-1)
            values = maps[row, col]
            flat = tf.reshape(values, (-1, values.shape[-1]))
            product = tf.reshape(flat @ weights, (*values.shape[:2], -1))
            for (a, b), part in zip(taps, tf.split(product, len(taps), axis=-1), strict=True):
                products[row, a, col, b] = part
    return {
        (i, j): tf.add_n(
            [
                _shrunk(products[row, a, col, b], step.offsets, a, b)
                for a, row in enumerate(rows)
                for b, col in enumerate(cols)
                if row is not None and col is not None
            ]
        )
        for i, rows in enumerate(step.recipes)
        for j, cols in enumerate(step.recipes)
    }


def _gather(maps: Maps, plan: AxisPlan, first: int, side: int, stride: int) -> Any:
    """Each window's last features, in the order of its flattening: (side * side, features)."""
    span = (side - 1) * stride + 1
    parts = []
    for i, row in enumerate(plan.states):
        for j, col in enumerate(plan.states):
            top, left = first + i * plan.spacing, first + j * plan.spacing
            parts.append(maps[row, col][top : top + span : stride, left : left + span : stride])
    return tf.reshape(tf.concat(parts, axis=-1), (side * side, -1))
