"""The paper's network, as a compiled Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..features import start_tensorflow


def build_cnn(
    meta: dict[str, Any] | None = None,
    *,
    patch_shape: tuple[int, int, int] | None = None,
    n_classes: int | None = None,
    filters: Sequence[int] = (16, 32, 64),
    dense_units: int = 128,
    dropout: float = 0.2,
    padding: str = "same",
    input_size: int | None = None,
    learning_rate: float = 1e-3,
    mean: Any = None,
    variance: Any = None,
    random_state: Any = None,
) -> Any:
    """Build the paper's network (Figure 1, sections 3.2 and 3.3), compiled.

    Blocks of a 3 x 3 convolution with ReLU and 2 x 2 max pooling, dropout, a fully connected ReLU layer and a softmax;
    Adam and sparse categorical cross-entropy. Normalisation and resampling are layers of the model. The numbers that
    the paper leaves open are those of the TensorFlow tutorial that its network comes from. It is in float32 whatever
    dtype policy is set in Keras.

    Parameters
    ----------
    meta : dict, default=None
        What scikeras tells a model function (``X_shape_``, ``n_classes_``), so that ``KerasClassifier(build_cnn)``
        works.
    patch_shape : (int, int, int), default=None
        Rows, columns and bands; from `meta` by default.
    n_classes : int, default=None
        Number of classes; from `meta` by default.
    filters : sequence of int, default=(16, 32, 64)
        Filters of each convolution; their number is the number of blocks.
    dense_units : int, default=128
        Units of the fully connected layer.
    dropout : float, default=0.2
        Share of features dropped while training.
    padding : {"same", "valid"}, default="same"
        Padding of the convolutions.
    input_size : int or None, default=None
        Pixels a side that patches are resampled to (bilinear); the paper has 32. None takes them as they are.
    learning_rate : float, default=1e-3
        Of Adam.
    mean, variance : array-like of shape (n_bands,), default=None
        Normalise each band by these; no normalisation by default.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights and of dropout.

    Returns
    -------
    keras.Model
        From float32 patches (n, rows, cols, bands) to probabilities (n, n_classes).

    Raises
    ------
    ValueError
        If the network's input is too small for its pooling, or `filters` are not positive integers.

    References
    ----------
    L. Nava, O. Monserrat, F. Catani, "Improving landslide detection on SAR data through deep learning", 2021.

    Examples
    --------
    >>> from sklandslide import build_cnn
    >>> model = build_cnn(patch_shape=(25, 25, 3), n_classes=2, input_size=32, random_state=0)
    >>> model.output_shape, model.count_params()
    ((None, 2), 155042)
    """
    start_tensorflow()
    import keras

    patch_shape = tuple(meta["X_shape_"][1:]) if patch_shape is None and meta else patch_shape
    n_classes = meta["n_classes_"] if n_classes is None and meta else n_classes
    if patch_shape is None or n_classes is None:
        raise ValueError("build_cnn needs patch_shape=(rows, cols, bands) and n_classes.")
    if not len(filters) or not all(isinstance(n, Integral) and n > 0 for n in filters):
        raise ValueError(
            f"filters={filters!r}: give the number of filters of each convolution block as integers of at least 1, "
            "such as (16, 32, 64)."
        )
    size = patch_shape[:2] if input_size is None else (input_size, input_size)
    check_depth(size, filters, padding, input_size)
    seeds = iter(check_random_state(random_state).randint(np.iinfo(np.int32).max, size=len(filters) + 3).tolist())

    def initial():
        return keras.initializers.GlorotUniform(seed=next(seeds))

    # said to each layer: Keras's global settings may be those of other models
    float32 = {"dtype": "float32"}
    image = {**float32, "data_format": "channels_last"}
    layers = [keras.Input(patch_shape, name="patches", **float32)]
    if mean is not None:
        mean, variance = np.asarray(mean, np.float64).tolist(), np.asarray(variance, np.float64).tolist()
        layers.append(keras.layers.Normalization(mean=mean, variance=variance, name="normalise", **float32))
    if size != tuple(patch_shape[:2]):
        layers.append(keras.layers.Resizing(*size, name="resample", **image))
    for i, n in enumerate(filters, 1):
        convolution = {"padding": padding, "activation": "relu", "kernel_initializer": initial(), **image}
        layers.append(keras.layers.Conv2D(n, 3, name=f"convolution_{i}", **convolution))
        layers.append(keras.layers.MaxPooling2D(name=f"pooling_{i}", **image))
    layers += [
        keras.layers.Dropout(dropout, seed=next(seeds), name="dropout", **float32),
        keras.layers.Flatten(name="flatten", **image),
        keras.layers.Dense(dense_units, activation="relu", kernel_initializer=initial(), name="dense", **float32),
        keras.layers.Dense(
            n_classes, activation="softmax", kernel_initializer=initial(), name="probabilities", **float32
        ),
    ]
    model = in_float32(keras.Sequential(layers, name="landslide_cnn"))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    return model


def without_optimizer(network: Any) -> Any:
    """The same layers, ready to predict, without what only training needs."""
    import keras

    patches = keras.Input(network.input_shape[1:], name="patches", dtype="float32")
    return in_float32(keras.Sequential([patches, *network.layers], name=network.name))


def in_float32(model: Any) -> Any:
    """The model, no longer under the dtype policy that is set for models of the user's own."""
    model.dtype_policy = "float32"
    return model


def check_depth(size: tuple[int, ...], filters: Sequence[int], padding: str, input_size: int | None) -> None:
    """Raise ValueError if pooling leaves nothing of patches of that size."""
    for side in size:
        left = side
        for _ in filters:
            left = (left if padding == "same" else left - 2) // 2
        if left < 1:
            raise ValueError(
                f"An input of {size[0]} x {size[1]} pixels is too small for {len(filters)} blocks with padding="
                f"{padding!r}: pooling leaves nothing. Use a larger patch"
                f"{' or input_size' if input_size is not None else ', input_size=32,'} or fewer filters."
            )
