"""Compiled programs of the network: an epoch of training, and prediction. Imported inside functions only.

TensorFlow compiles a graph in a second or more and never gives all of its memory back. So one program serves every
network of one architecture in this process: whatever differs from fit to fit (weights, state of the optimizer, learning
rate, normalisation, ranges of the augmentation, seeds) is its input, and nothing of a fit is left in it for the next.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..features import drawn_levels, drawn_maps, resampled
from .build import in_float32
from .state import require_own

# Kept of each kind; those used least recently are dropped. A search seldom mixes more architectures.
_KEPT = 8
_NOT_ARCHITECTURE = ("_initializer", "_regularizer", "_constraint", "seed")
_NUMBER = tf.TensorSpec((), tf.int64)
_SCALING = (tf.TensorSpec((1, 1, 1, None), tf.float32),) * 2

_lock = threading.Lock()
_idle: list[tuple[str, TrainingProgram]] = []
_forward: OrderedDict[str, Any] = OrderedDict()


class TrainingProgram:
    """Passes of training and validation over samples, as two compiled graphs.

    Its weights and the state of its optimizer are those of the fit that is running; `start` sets them.
    """

    def __init__(self, network: keras.Sequential, optimizer: keras.optimizers.Optimizer, augmented: bool) -> None:
        self.augmented = augmented
        self.layers = _copied(network)
        self.optimizer = type(optimizer).from_config(optimizer.get_config())
        self.optimizer.build(self.layers.trainable_variables)
        self._fresh = [variable.numpy() for variable in self.optimizer.variables]
        self._samples = (
            tf.TensorSpec((None, *network.input_shape[1:]), tf.float32),
            tf.TensorSpec((None,), tf.int64),
            tf.TensorSpec((None,), tf.float32),
        )

    @cached_property
    def train(self) -> Any:
        """`_train`, compiled."""
        reach, order = tf.TensorSpec((7,), tf.float32), tf.TensorSpec((None,), tf.int64)
        traced = tf.function(self._train, autograph=False)
        return traced.get_concrete_function(self._samples, _SCALING, reach, order, _NUMBER, _NUMBER, _NUMBER)

    @cached_property
    def validate(self) -> Any:
        """`_validate`, compiled."""
        traced = tf.function(self._validate, autograph=False)
        return traced.get_concrete_function(self._samples, _SCALING, _NUMBER)

    def start(self, network: keras.Sequential, learning_rate: Any) -> None:
        """Forget the fit before: a fresh optimizer, and a network's weights and states of dropout."""
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self.optimizer.learning_rate.assign(learning_rate)
        for ours, theirs in zip(_state(self.layers), _state(network), strict=True):
            ours.assign(theirs)

    def give(self, network: keras.Sequential) -> None:
        """Hand weights and states of dropout to a network."""
        for ours, theirs in zip(_state(self.layers), _state(network), strict=True):
            theirs.assign(ours)

    def _train(self, samples, scaling, reach, order, batch_size, seed, first_step):
        """Sums of loss and of hits over one pass in the given order, a step of the optimizer for each batch."""
        variables, n = self.layers.trainable_variables, tf.size(order, tf.int64)
        (centre, scale), shape = scaling, (n, *samples[0].shape[1:])
        # drawn for all batches at once: many small operations
        if self.augmented:
            maps, levels = (draw(shape, reach, (seed, first_step)) for draw in (drawn_maps, drawn_levels))

        def batch(start):
            patches, codes, weights = (tf.gather(a, order[start : start + batch_size]) for a in samples)
            if not self.augmented:
                return (patches - centre) / scale, codes, weights
            rows = slice(start, start + batch_size)
            patches = tf.ensure_shape(resampled(patches, maps[rows]), patches.shape)
            return (patches - centre) / scale + levels[rows], codes, weights

        def step(start, part, loss_sum, hits):
            following = batch(start + batch_size)  # while this one trains
            with tf.GradientTape() as tape:
                losses, right = self._judged(part, training=True)
                loss = tf.reduce_mean(losses)
            # `Optimizer.apply` would keep the graph in memory for ever
            rate = tf.convert_to_tensor(self.optimizer.learning_rate)
            for gradient, variable in zip(tape.gradient(loss, variables), variables, strict=True):
                self.optimizer.update_step(gradient, variable, rate)
            self.optimizer.iterations.assign_add(1)
            return start + batch_size, following, loss_sum + tf.reduce_sum(losses), hits + right

        first = tf.constant(0, tf.int64)
        state = (first, batch(first), tf.constant(0.0), first)
        return tf.while_loop(lambda start, *_: start < n, step, state, parallel_iterations=1)[2:]

    def _validate(self, samples, scaling, batch_size):
        """Sums of loss and of hits, nothing learnt."""

        def step(start, loss_sum, hits):
            patches, codes, weights = (a[start : start + batch_size] for a in samples)
            losses, right = self._judged(((patches - centre) / scale, codes, weights), training=False)
            return start + batch_size, loss_sum + tf.reduce_sum(losses), hits + right

        (centre, scale), n = scaling, tf.size(samples[1], tf.int64)
        state = (tf.constant(0, tf.int64), tf.constant(0.0), tf.constant(0, tf.int64))
        return tf.while_loop(lambda start, *_: start < n, step, state)[1:]

    def _judged(self, part, training):
        """Weighted loss of each sample, and how many are right."""
        patches, codes, weights = part
        probabilities = self.layers(patches, training=training)
        losses = weights * keras.losses.sparse_categorical_crossentropy(codes, probabilities)
        right = tf.math.count_nonzero(tf.argmax(probabilities, axis=1) == codes)
        return losses, right


@contextmanager
def training_program(network: keras.Sequential, optimizer: Any, augmented: bool) -> Iterator[TrainingProgram]:
    """Lend a program to one fit; another fit at the same time gets another."""
    # Keras numbers the names of optimizers
    settings = {n: value for n, value in optimizer.get_config().items() if n not in ("name", "learning_rate")}
    key = json.dumps([_architecture(network), settings, augmented], sort_keys=True)
    with _lock:
        place = next((i for i, (kept, _) in enumerate(_idle) if kept == key), None)
        program = None if place is None else _idle.pop(place)[1]
    program = program or TrainingProgram(network, optimizer, augmented)
    try:
        yield program
    finally:
        with _lock:
            _idle.append((key, program))
            del _idle[:-_KEPT]


def forward_function(network: keras.Sequential, features: bool = False) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The network as one graph for batches of any length, compiled once for all networks of one architecture.

    It gives the probabilities and, if they are asked for, the features that they are made of.


    It is kept on the network, which leaves it behind when it is pickled, as Keras does with its own.
    """
    kept = network.__dict__.setdefault("_forward", {})
    if features not in kept:
        require_own(network)
        kept[features] = _forward_of(network, features)
    return kept[features]


def _forward_of(network: keras.Sequential, features: bool) -> Callable[[np.ndarray], list[np.ndarray]]:
    key = json.dumps([features, _architecture(network)], sort_keys=True)
    with _lock:
        graph = _forward.pop(key, None) or _compiled_forward(network, features)
        _forward[key] = graph
        while len(_forward) > _KEPT:
            _forward.popitem(last=False)
    scaling, variables = scaling_of(network), network.trainable_variables  # freezing the layers must change nothing

    def forward(patches: np.ndarray) -> list[np.ndarray]:
        weights = [variable.value for variable in variables]
        return [out.numpy() for out in graph(tf.convert_to_tensor(patches), scaling, weights)]

    return forward


def scaling_of(network: keras.Sequential) -> tuple[tf.Tensor, tf.Tensor]:
    """What normalisation subtracts from each band, and what it divides by: shapes (1, 1, 1, bands)."""
    first = network.layers[0]
    if not isinstance(first, keras.layers.Normalization):
        bands = network.input_shape[-1]
        return tf.zeros((1, 1, 1, bands)), tf.ones((1, 1, 1, bands))
    mean, variance = (keras.ops.convert_to_tensor(values) for values in (first.mean, first.variance))
    return mean, tf.maximum(tf.sqrt(variance), keras.config.epsilon())


def _trunk(network: keras.Sequential) -> list[keras.layers.Layer]:
    """The layers behind normalisation."""
    first, *others = network.layers
    return others if isinstance(first, keras.layers.Normalization) else [first, *others]


def _state(network: keras.Sequential) -> list[keras.Variable]:
    return [variable for layer in _trunk(network) for variable in layer.variables]


def _architecture(network: keras.Sequential) -> list:
    """Layers with their options, but for what their first weights and dropout are drawn from."""
    configs = [layer.get_config() for layer in _trunk(network)]
    kept = [{k: v for k, v in config.items() if not k.endswith(_NOT_ARCHITECTURE)} for config in configs]
    return [network.input_shape[1:], *kept]


def _copied(network: keras.Sequential) -> keras.Sequential:
    """Layers of the same architecture, without normalisation."""
    layers = [type(layer).from_config(layer.get_config()) for layer in _trunk(network)]
    return in_float32(keras.Sequential([keras.Input(network.input_shape[1:], dtype="float32"), *layers]))


def _compiled_forward(network: keras.Sequential, features: bool) -> Any:
    layers = _copied(network)
    if features:
        layers = in_float32(keras.Model(layers.inputs, [layers.outputs[0], layers.get_layer("dense").output]))
    states = [variable.value for variable in layers.non_trainable_variables]

    def forward(patches, scaling, weights):
        centre, scale = scaling
        out, _ = layers.stateless_call(weights, states, (patches - centre) / scale, training=False)
        return out if features else [out]

    patches = tf.TensorSpec((None, *network.input_shape[1:]), tf.float32)
    weights = [tf.TensorSpec(variable.shape, tf.float32) for variable in layers.trainable_variables]
    return tf.function(forward, autograph=False).get_concrete_function(patches, _SCALING, weights)
