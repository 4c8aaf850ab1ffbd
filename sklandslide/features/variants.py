"""Random variants of patches, drawn by TensorFlow, for the augmenter and inside the network's programs."""

from __future__ import annotations

from typing import Any


def drawn_maps(shape: Any, reach: Any, seed: Any) -> Any:
    """Affine maps for images of a shape (n, rows, cols, bands), one a row, as TensorFlow's resampling takes them.

    They are drawn from `Ranges.reach` with a pair of integers.
    """
    import tensorflow as tf

    reach = tf.convert_to_tensor(reach, tf.float32)
    n, rows, cols = shape[0], tf.cast(shape[1], tf.float32), tf.cast(shape[2], tf.float32)
    draw = tf.random.stateless_uniform((n, 6), tf.cast(tf.stack(seed), tf.int32), -1.0, 1.0)
    mirror_x = tf.where(reach[0] > 0, tf.sign(draw[:, 0] + 1e-9), tf.ones(n))
    mirror_y = tf.where(reach[1] > 0, tf.sign(draw[:, 1] + 1e-9), tf.ones(n))
    angle = draw[:, 2] * reach[2]
    scale = 1.0 + draw[:, 3] * reach[3]
    shift_x = draw[:, 4] * reach[4] * cols
    shift_y = draw[:, 5] * reach[5] * rows
    cos, sin = tf.cos(angle) * scale, tf.sin(angle) * scale
    # From output to input pixels, about the centre: mirror, rotate, scale, shift.
    a, b = cos * mirror_x, -sin * mirror_y
    c, d = sin * mirror_x, cos * mirror_y
    centre_x, centre_y = (cols - 1) / 2, (rows - 1) / 2
    offset_x = centre_x + shift_x - a * centre_x - b * centre_y
    offset_y = centre_y + shift_y - c * centre_x - d * centre_y
    zero = tf.zeros(n)
    return tf.stack([a, b, offset_x, c, d, offset_y, zero, zero], axis=1)


def drawn_levels(shape: Any, reach: Any, seed: Any) -> Any:
    """What is added to each band of each image, in the band's standard deviations: shape (n, 1, 1, bands).

    They are drawn from the last of `Ranges.reach`, apart from the maps of the same seed.
    """
    import tensorflow as tf

    own = tf.random.fold_in(tf.cast(tf.stack(seed), tf.int32), 1)
    return tf.random.stateless_uniform((shape[0], 1, 1, shape[3]), own, -1.0, 1.0) * tf.cast(reach, tf.float32)[6]


def resampled(images: Any, maps: Any) -> Any:
    """Images seen through affine maps: bilinear, edges mirrored."""
    import tensorflow as tf

    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=maps,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
