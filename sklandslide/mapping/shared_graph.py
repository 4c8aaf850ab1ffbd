"""The TensorFlow graph of shared computation. Imported inside functions only.

For each pair of a row state and a column state there is one tensor (squares, rows, cols, channels), over the positions
that the two states' lattices hold (see `states`). Nothing is padded: a tap outside the window is absent from the sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import tensorflow as tf

from .applicability import FLAT
from .states import AxisPlan, Step

Maps = Mapping[tuple[int, int], Any]


def square_outputs(images: Any, convolutions: tuple, dense: tuple, plan: AxisPlan, side: int) -> list[Any]:
    """Of squares of `side` x `side` windows the probabilities, (squares, side, side, n_classes), and the hidden layer.

    The images are (squares, length, length, bands), from the first pixel of a square's first window; the layers are
    those before (each followed by a pooling) and behind the flattening, the plan is that of either axis.
    """
    maps: Maps = {(0, 0): images}
    steps = iter(plan.steps)
    for layer in convolutions:
        maps = _pooling(_convolution(maps, layer, next(steps)), next(steps))
        # after pooling, as a quarter of the values is left then: the largest ReLU is the ReLU of the largest
        maps = {pair: layer.activation(values + layer.bias) for pair, values in maps.items()}
    hidden = dense[0](_gather(maps, plan), training=False)
    outputs = dense[1](hidden, training=False), hidden
    return [tf.reshape(values, (-1, side, side, values.shape[-1])) for values in outputs]


def square_dissimilarities(images: Any, hidden: Any, area: tuple, patch_size: int, step: int) -> Any:
    """Dissimilarity over its threshold, (squares, side, side): `relative_dissimilarity` of all windows.

    The images are normalised; sums over windows are products with a matrix of ones where a window is.
    """
    side, length = hidden.shape[1], images.shape[1]

    def mean(values, rows, cols):
        """Over each window, of `rows` x `cols` values."""
        along = [
            np.array([(i * step <= np.arange(n)) & (np.arange(n) < i * step + k) for i in range(side)], np.float32) / k
            for n, k in ((length - patch_size + rows, rows), (length - patch_size + cols, cols))
        ]
        return tf.einsum("ir,srcb,jc->sijb", along[0], values, along[1])

    average = mean(images, patch_size, patch_size)
    variance = tf.maximum(mean(images**2, patch_size, patch_size) - average**2, 0)
    down, right = images[:, 1:] - images[:, :-1], images[:, :, 1:] - images[:, :, :-1]
    differences = (mean(down**2, patch_size - 1, patch_size) + mean(right**2, patch_size, patch_size - 1)) / 2
    texture = 1 - differences / (2 * tf.maximum(variance, FLAT))
    features = tf.concat([hidden, average, tf.sqrt(variance), texture], axis=-1)

    centre, axes, references, unit = area
    places = tf.reshape(features - centre, (-1, features.shape[-1])) @ axes
    squares = places @ (-2 * tf.transpose(references)) + tf.reduce_sum(references**2, axis=1)
    nearest = tf.reduce_min(squares, axis=1) + tf.reduce_sum(places**2, axis=1)
    return tf.reshape(tf.sqrt(tf.maximum(nearest, 0)) / unit, hidden.shape[:-1])


def _pooling(maps: Maps, step: Step) -> Maps:
    return {
        (i, j): _combined(
            tf.maximum, [(maps[row, col], rows, cols) for _, row, rows in step.taps(i) for _, col, cols in step.taps(j)]
        )
        for i in range(len(step.outputs))
        for j in range(len(step.outputs))
    }


def _combined(operation: Callable, parts: Sequence[tuple[Any, slice, slice]]) -> Any:
    """Combine shifted maps, position by position.

    Where no position is skipped, columns and channels are one axis meanwhile: the loops that are compiled are longer.
    """
    channels = parts[0][0].shape[-1]
    if any(cols.step != 1 for _, _, cols in parts):
        return reduce(operation, [values[:, rows, cols] for values, rows, cols in parts])
    flat = [
        tf.reshape(values, (*values.shape[:2], -1))[:, rows, cols.start * channels : cols.stop * channels]
        for values, rows, cols in parts
    ]
    out = reduce(operation, flat)
    return tf.reshape(out, (*out.shape[:2], -1, channels))


def _convolution(maps: Maps, layer: Any, step: Step) -> Maps:
    kernel = tf.convert_to_tensor(layer.kernel)
    return _from_one_state(maps[0, 0], kernel, step) if len(maps) == 1 else _from_many_states(maps, kernel, step)


def _from_one_state(values: Any, kernel: Any, step: Step) -> Maps:
    """From one input state: for each output state of the columns, one product with the taps of a row side by side.

    The products are those of the three rows of the kernel, summed shifted: K = taps * channels, N = 3 * filters.
    """
    sums = {}
    for j in range(len(step.outputs)):
        taps = step.taps(j)
        near = tf.concat([values[:, :, cols] for _, _, cols in taps], axis=-1)
        weights = tf.concat([tf.concat([kernel[a, b] for b, _, _ in taps], axis=0) for a in range(3)], axis=-1)
        products = tf.split(_product(near, weights), 3, axis=-1)
        for i in range(len(step.outputs)):
            sums[i, j] = reduce(tf.add, [products[a][:, rows] for a, _, rows in step.taps(i)])
    return sums


def _from_many_states(maps: Maps, kernel: Any, step: Step) -> Maps:
    """From several input states: the product of each with each tap it stands at, once, summed shifted.

    One product for each tap, although wider ones are faster by themselves: their sums are, where each tap's values lie
    together.
    """
    products = {
        (row, a, col, b): _product(maps[row, col], kernel[a, b])
        for row, row_taps in step.uses.items()
        for col, col_taps in step.uses.items()
        for a in row_taps
        for b in col_taps
    }
    return {
        (i, j): _combined(
            tf.add,
            [(products[row, a, col, b], rows, cols) for a, row, rows in step.taps(i) for b, col, cols in step.taps(j)],
        )
        for i in range(len(step.outputs))
        for j in range(len(step.outputs))
    }


def _product(values: Any, weights: Any) -> Any:
    """One matrix product over all positions."""
    flat = tf.reshape(values, (-1, values.shape[-1])) @ weights
    return tf.reshape(flat, (*values.shape[:-1], weights.shape[-1]))


def _gather(maps: Maps, plan: AxisPlan) -> Any:
    """Each window's last features, in the order of its flattening: (windows, features)."""
    places = list(zip(plan.states, plan.takes, strict=True))
    parts = [maps[row, col][:, rows, cols] for row, rows in places for col, cols in places]
    features = tf.concat(parts, axis=-1)
    return tf.reshape(features, (-1, features.shape[-1]))
