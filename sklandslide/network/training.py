"""Training of the network: a Keras model whose `fit` runs a program. Imported inside functions only.

Randomness comes from explicit seeds, never from the global state of TensorFlow, Keras, NumPy or Python.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .build import in_float32
from .epochs import Epochs
from .programs import TrainingProgram, scaling_of, training_program

# Batches in one call of the program: between calls, progress is shown and an interrupt from the keyboard is heard.
_SPAN = 256
# No change at all: the program for plain patches leaves it aside.
_NO_REACH = np.zeros(7, np.float32)


class SeededModel(keras.Model):
    """A model whose `fit` runs a compiled program of whole epochs, with seeds of its own.

    What Keras's own `fit` would do in Python for each batch takes as long as the kernels for networks of this size, and
    it would compile the graph anew for each fit.
    """

    network: keras.Sequential
    ranges: Any
    seeds: tuple[int, int]

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: int = 32,
        epochs: int = 1,
        verbose: Any = 0,
        callbacks: Any = None,
        validation_data: Any = None,
        sample_weight: Any = None,
        **others: Any,
    ) -> Any:
        """As `keras.Model.fit` on arrays, with sparse categorical cross-entropy; callbacks hear of spans of batches.

        The other options are not used: scikeras passes Keras's defaults.
        """
        samples = _samples(x, y, sample_weight)
        held_out = None if validation_data is None else _samples(*validation_data)
        reach = _NO_REACH if self.ranges is None else np.asarray(self.ranges.reach, np.float32)
        inputs = scaling_of(self.network), tf.constant(reach), _number(self.seeds[0]), batch_size
        steps = -(-len(x) // batch_size)
        heard = keras.callbacks.CallbackList(
            callbacks,
            add_history=True,
            add_progbar=verbose != 0,
            model=self,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
        )
        random = np.random.default_rng(self.seeds[1])
        self.stop_training, logs = False, {}
        heard.on_train_begin()
        with training_program(self.network, self.optimizer, self.ranges is not None) as program:
            program.start(self.network, self.optimizer.learning_rate)
            for epoch in range(epochs):
                heard.on_epoch_begin(epoch)
                order = random.permutation(len(x))
                logs = _trained(program, samples, order, epoch * steps, inputs, heard)
                program.give(self.network)
                if held_out is not None:
                    heard.on_test_begin()
                    logs |= _validated(program, held_out, inputs)
                    heard.on_test_end(logs)
                heard.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
        heard.on_train_end(logs)
        return self.history


class EpochsTold(keras.callbacks.Callback):
    """Hands each epoch on to callbacks of scikit-learn, which may end the training."""

    def __init__(self, epochs: Epochs, network: keras.Sequential) -> None:
        super().__init__()
        self.epochs, self.network = epochs, network

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Begin an epoch."""
        self.epochs.begin()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """End it."""
        if self.epochs.end(self.network):
            self.model.stop_training = True


def training_model(network: keras.Sequential, ranges: Any, seeds: Any) -> SeededModel:
    """A network of `build_cnn` made trainable by seeds (of the augmentation, of the order), sharing its weights."""
    model = in_float32(SeededModel(network.inputs, network.outputs, name="training"))
    model.network, model.ranges, model.seeds = network, ranges, seeds
    return model


def _samples(x: Any, y: Any, weight: Any = None) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Patches, codes and weights as tensors."""
    weight = np.ones(len(x), np.float32) if weight is None else np.asarray(weight, np.float32)
    return tf.convert_to_tensor(x, tf.float32), tf.constant(np.asarray(y, np.int64).ravel()), tf.constant(weight)


def _number(value: int) -> tf.Tensor:
    return tf.constant(value, tf.int64)


def _trained(
    program: TrainingProgram, samples: tuple, order: np.ndarray, first_step: int, inputs: tuple, heard: Any
) -> dict[str, float]:
    """Train for one epoch: mean loss and accuracy."""
    scaling, reach, seed, batch_size = inputs
    loss, hits, done = 0.0, 0, 0
    while done < len(order):
        part = order[done : done + _SPAN * batch_size]
        step = done // batch_size
        heard.on_train_batch_begin(step)
        sums = program.train(
            samples, scaling, reach, tf.constant(part), _number(batch_size), seed, _number(first_step + step)
        )
        loss, hits, done = loss + float(sums[0]), hits + int(sums[1]), done + len(part)
        logs = {"accuracy": hits / done, "loss": loss / done}
        heard.on_train_batch_end(-(-done // batch_size) - 1, logs)
    return logs


def _validated(program: TrainingProgram, samples: tuple, inputs: tuple) -> dict[str, float]:
    loss, hits = program.validate(samples, inputs[0], _number(inputs[-1]))
    n = len(samples[1])
    return {"val_accuracy": int(hits) / n, "val_loss": float(loss) / n}
