"""Keras training code: the only module that imports Keras at its top, and so is imported inside functions only.

Randomness comes from explicit seeds, never from the global state of TensorFlow, Keras, NumPy or Python.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf


def random_variants(images: Any, ranges: Any, seed: Any) -> tf.Tensor:
    """Resample each image once, by an affine map drawn from `ranges`.

    Parameters
    ----------
    images : tensor or ndarray of shape (n, rows, cols, bands), float32
    ranges : sklandslide.augmentation.Ranges
    seed : pair of int
        The same seed gives the same variants.

    Returns
    -------
    tensor of shape (n, rows, cols, bands), float32
    """
    size = tf.shape(images)
    n, rows, cols = size[0], tf.cast(size[1], tf.float32), tf.cast(size[2], tf.float32)
    draw = tf.random.stateless_uniform((n, 6), tf.cast(tf.stack(seed), tf.int32), -1.0, 1.0)
    flip = ranges.flip or ""
    mirror_x = tf.sign(draw[:, 0] + 1e-9) if "horizontal" in flip else tf.ones(n)
    mirror_y = tf.sign(draw[:, 1] + 1e-9) if "vertical" in flip else tf.ones(n)
    angle = draw[:, 2] * float(np.radians(ranges.rotation))
    scale = 1.0 + draw[:, 3] * ranges.zoom
    shift_x = draw[:, 4] * ranges.translation * cols
    shift_y = draw[:, 5] * ranges.translation * rows
    cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
    # From output to input pixels, about the centre: mirror, rotate, scale, shift.
    a, b = cos * mirror_x, -sin * mirror_y
    c, d = sin * mirror_x, cos * mirror_y
    centre_x, centre_y = (cols - 1) / 2, (rows - 1) / 2
    offset_x = centre_x + shift_x - a * centre_x - b * centre_y
    offset_y = centre_y + shift_y - c * centre_x - d * centre_y
    zero = tf.zeros(n)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1),
        output_shape=size[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


class RandomAffine(keras.layers.Layer):
    """Random variants while training, the identity otherwise."""

    def __init__(self, ranges: Any, seed: int) -> None:
        super().__init__(name="random_affine")
        self.ranges = ranges
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_jit = False  # XLA has no ImageProjectiveTransform

    def call(self, images: Any, training: bool | None = None) -> Any:
        """Resample, if training."""
        if not training:
            return images
        out = random_variants(images, self.ranges, self.seed_generator.next())
        return tf.ensure_shape(out, images.shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The same."""
        return input_shape


class SeededModel(keras.Model):
    """A model whose `fit` shuffles with a generator of its own instead of TensorFlow's global one."""

    shuffle_seed: int

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        *,
        batch_size: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ):
        """As `keras.Model.fit` on arrays."""
        data = _shuffled_batches((x, y, sample_weight), batch_size, self.shuffle_seed)
        return super().fit(data, **{**kwargs, "shuffle": False})


def training_model(network: keras.Model, ranges: Any, seeds: Any) -> SeededModel:
    """Put augmentation before a network, sharing its weights.

    Parameters
    ----------
    network : keras.Model
        As `build_cnn` gives it.
    ranges : sklandslide.augmentation.Ranges or None
        None trains on the patches as they are.
    seeds : pair of int
        For the augmentation and for the order of the samples.

    Returns
    -------
    SeededModel
        Not compiled.
    """
    inputs = keras.Input(network.input_shape[1:], name="training_patches")
    patches = inputs if ranges is None else RandomAffine(ranges, int(seeds[0]))(inputs)
    model = SeededModel(inputs, network(patches), name="training")
    model.shuffle_seed = int(seeds[1])
    return model


def forward_function(network: keras.Model, patch_shape: tuple[int, ...]) -> Any:
    """The network as one graph for batches of any length, traced once.

    The graph is kept on the network, which leaves it behind when it is pickled, as Keras does with its own.
    """
    graph = getattr(network, "_forward_graph", None)
    if graph is None:

        @tf.function
        def forward(patches):
            return network(patches, training=False)

        graph = forward.get_concrete_function(tf.TensorSpec((None, *patch_shape), tf.float32))
        network._forward_graph = graph
    return lambda patches: graph(tf.convert_to_tensor(patches)).numpy()


def _shuffled_batches(arrays: tuple, batch_size: int, seed: int) -> tf.data.Dataset:
    """Batches of the rows in a new order each epoch."""
    tensors = tuple(None if a is None else tf.convert_to_tensor(a) for a in arrays)
    tensors = tensors if tensors[2] is not None else tensors[:2]
    n = len(arrays[0])
    random = np.random.default_rng(seed)

    def order():
        yield random.permutation(n)

    def gather(rows):
        return tuple(tf.gather(t, rows) for t in tensors)

    orders = tf.data.Dataset.from_generator(order, output_signature=tf.TensorSpec((n,), tf.int64))
    batches = orders.flat_map(lambda rows: tf.data.Dataset.from_tensor_slices(rows).batch(batch_size))
    data = batches.map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    data = data.apply(tf.data.experimental.assert_cardinality(-(-n // batch_size)))
    return data.prefetch(tf.data.AUTOTUNE)
