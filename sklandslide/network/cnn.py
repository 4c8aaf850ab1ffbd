"""LandslideCNN: the paper's network as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, check_memory

from .._version import __version__
from ..features import AugmentedPatches, CallbackSupportMixin, start_tensorflow, with_callbacks
from .build import build_cnn, without_optimizer
from .epochs import Epochs, shifted
from .state import checked, packed, state_of, unpacked
from .targets import checked_labels, checked_patches, combined_weights, prevalence_shift

# Patches in one call of the network at predict time: large enough to fill the cores, small enough to bound memory.
_PREDICT_BATCH = 1024


class LandslideCNN(CallbackSupportMixin, ClassifierMixin, BaseEstimator):
    """The paper's convolutional network as a scikit-learn classifier of patches.

    Patches go in as arrays of shape (n_samples, rows, cols, n_bands), or as the `AugmentedPatches` of an `Augmenter`. X
    of two dimensions, (n_samples, n_bands), is taken as patches of one pixel. Each band is normalised by the mean and
    variance of the training patches; that and the resampling are part of the model.

    Parameters
    ----------
    filters : sequence of int, default=(16, 32, 64)
        Filters of each convolution block.
    dense_units : int, default=128
        Units of the fully connected layer.
    dropout : float, default=0.2
        Share of features dropped while training.
    padding : {"same", "valid"}, default="same"
        Padding of the convolutions.
    input_size : int or None, default=None
        Pixels a side that patches are resampled to; the paper resamples 25 to 32 (section 3.3). None takes patches as
        they are, which maps many times faster. A search may try both.
    learning_rate : float, default=1e-3
        Of Adam. The paper tunes it for each data set.
    batch_size : int, default=32
        Patches in a training step.
    epochs : int, default=50
        Largest number of passes over the training patches.
    early_stopping : bool, default=False
        Whether to set aside `validation_fraction` of the training patches, stop when their loss has not fallen for
        `n_iter_no_change` epochs, and keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the training patches set aside, drawn by class. Only used with `early_stopping`.
    n_iter_no_change : int, default=10
        Epochs without improvement before training stops. Only used with `early_stopping`.
    class_weight : dict, "balanced" or None, default=None
        Weights by class label, as in scikit-learn.
    prevalence : float or None, default=None
        Share of landslides (class 1, True or ``"landslide"``) on the ground that is mapped. The probabilities are then
        right for it, though landslides be half of the training samples: after training, the odds are multiplied by
        those of this share over those of the training share, in which weights count [2]_. None leaves them.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the order of samples, dropout, the validation split and, unless the `Augmenter` has its
        own, the augmentation. The same seed gives the same weights on the same machine, in one process or in the
        workers of a search; no global state is changed.
    memory : None, str or joblib.Memory, default=None
        Where fits are kept, as in `sklearn.pipeline.Pipeline`: one with the same patches, labels, weights and
        parameters is not made again. So a search that was killed goes on where it stopped. Needs an integer
        `random_state`.
    verbose : int, default=0
        As in `keras.Model.fit`: 0 is silent, 1 a progress bar, 2 a line for each epoch. With scikit-learn 1.9 and later
        callbacks hear of the epochs as well (``set_callbacks``): its `ProgressBar`, its `ScoringMonitor`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    model_ : keras.Model
        The network, with normalisation and resampling inside. A loaded model builds it when it is asked for.
    history_ : dict of str to list of float
        Loss and accuracy of each epoch (``loss``, ``accuracy``; ``val_loss``, ``val_accuracy`` with `early_stopping`).
    n_iter_ : int
        Epochs run.
    patch_shape_ : (int, int, int)
        Rows, columns and bands of the training patches.
    class_count_ : ndarray of shape (n_classes,)
        Training samples of each class, those set aside by `early_stopping` among them.
    n_features_in_ : int
        Number of bands.

    References
    ----------
    .. [1] L. Nava, O. Monserrat, F. Catani, "Improving landslide detection on SAR data through deep learning", 2021.
    .. [2] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the outputs of a classifier to new a priori
       probabilities: a simple procedure", Neural Computation 14, 2002.

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide import LandslideCNN
    >>> random = np.random.RandomState(0)
    >>> y = np.repeat(["forest", "landslide"], 40)
    >>> X = random.normal(size=(80, 8, 8, 1)) + (y == "landslide")[:, None, None, None]
    >>> cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=20, random_state=0).fit(X, y)
    >>> cnn.score(X, y) > 0.9, cnn.predict_proba(X).shape
    (True, (80, 2))
    """

    _parameter_constraints: dict = {
        "filters": ["array-like"],
        "dense_units": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "padding": [StrOptions({"same", "valid"})],
        "input_size": [Interval(Integral, 1, None, closed="left"), None],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "prevalence": [Interval(Real, 0, 1, closed="neither"), None],
        "random_state": ["random_state"],
        "memory": [None, str, HasMethods(["cache"])],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        filters: Sequence[int] = (16, 32, 64),
        dense_units: int = 128,
        dropout: float = 0.2,
        padding: str = "same",
        input_size: int | None = None,
        learning_rate: float = 1e-3,
        batch_size: int = 32,
        epochs: int = 50,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        prevalence: float | None = None,
        random_state: Any = None,
        memory: Any = None,
        verbose: int = 0,
    ) -> None:
        self.filters = filters
        self.dense_units = dense_units
        self.dropout = dropout
        self.padding = padding
        self.input_size = input_size
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.epochs = epochs
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.prevalence = prevalence
        self.random_state = random_state
        self.memory = memory
        self.verbose = verbose

    @with_callbacks
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LandslideCNN:
        """Train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands) or (n_samples, n_bands), or AugmentedPatches
        y : array-like of shape (n_samples,)
            Labels, of any type.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        LandslideCNN
            Itself.

        Raises
        ------
        ValueError
            If X or y has NaN, another shape, or fewer than two classes, or `memory` is given without an integer
            `random_state`, or `prevalence` without a class 1, True or ``"landslide"``.
        """
        self._validate_params()
        ranges, seed = (X.ranges, X.seed) if isinstance(X, AugmentedPatches) else (None, None)
        patches = checked_patches(self, X.patches if ranges is not None else X, reset=True)
        classes, codes = checked_labels(self, patches, y)
        weights = combined_weights(patches, classes, codes, self.class_weight, sample_weight)
        shift = None if self.prevalence is None else prevalence_shift(classes, codes, weights, self.prevalence)
        random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=4)
        if seed is not None:
            seeds[2] = seed
        fitted: dict[str, Any] = {
            "classes_": classes,
            "patch_shape_": patches.shape[1:],
            "class_count_": np.bincount(codes, minlength=len(classes)),
        }
        told = None
        if hasattr(self, "_skl_callbacks"):
            told = Epochs(self, fitted, shift, patches, classes[codes], sample_weight)
        make = self._make if self.memory is None else self._make_or_recall
        network, self.history_ = make(patches, codes, weights, len(classes), ranges, seeds, told=told)
        self.model_ = shifted(network, shift)
        self.n_iter_ = len(self.history_["loss"])
        self.classes_, self.patch_shape_, self.class_count_ = fitted.values()
        if told is not None:
            told.close()
        return self

    def _make(self, patches, codes, weights, n_classes, ranges, seeds, told) -> tuple[Any, dict[str, list[float]]]:
        """Build and train a network."""
        train, held_out = slice(None), None  # no copy of the patches
        if self.early_stopping:
            train, held_out = train_test_split(
                np.arange(len(codes)), test_size=self.validation_fraction, stratify=codes, random_state=int(seeds[1])
            )
        band_axes = tuple(range(patches.ndim - 1))
        variance = patches[train].var(axis=band_axes, dtype=np.float64)
        network = build_cnn(
            patch_shape=patches.shape[1:],
            n_classes=n_classes,
            filters=tuple(self.filters),
            dense_units=self.dense_units,
            dropout=self.dropout,
            padding=self.padding,
            input_size=self.input_size,
            learning_rate=self.learning_rate,
            mean=patches[train].mean(axis=band_axes, dtype=np.float64),
            # a band that is constant in training is left at its scale, not blown up
            variance=np.where(variance > 0, variance, 1.0),
            random_state=int(seeds[0]),
        )
        history = self._train(network, ranges, seeds[2:], patches, codes, weights, train, held_out, told)
        return without_optimizer(network), history

    def _make_or_recall(self, *data: Any, told: Epochs | None) -> tuple[Any, dict[str, list[float]]]:
        """As `_make`, unless the memory holds what it made before."""
        if not isinstance(self.random_state, Integral):
            raise ValueError(
                f"memory={self.memory!r} with random_state={self.random_state!r}: only a fit with a fixed seed can "
                "stand for another. Give an integer random_state, or no memory."
            )
        cached = check_memory(self.memory).cache(_made, ignore=["told", "memory", "verbose"])
        versions = __version__, *(version(package) for package in ("tensorflow", "keras"))
        # the prevalence changes what is made of the fit, and not the fit
        options = {**self.get_params(deep=False), "prevalence": None}
        network, history = cached(type(self), versions, data, told=told, **options)
        return unpacked(network), history

    def _train(self, network, ranges, seeds, patches, codes, weights, train, held_out, told) -> dict[str, list[float]]:
        """Fit through scikeras's KerasClassifier: the one place that knows scikeras."""
        import keras
        from scikeras.wrappers import KerasClassifier

        from .training import EpochsTold, training_model

        def part(rows):
            return patches[rows], codes[rows], None if weights is None else weights[rows]

        callbacks, validation = [] if told is None else [EpochsTold(told, network)], {}
        if held_out is not None:
            callbacks.append(
                keras.callbacks.EarlyStopping("val_loss", patience=self.n_iter_no_change, restore_best_weights=True)
            )
            x, y, w = part(held_out)
            validation["validation_data"] = (x, y) if w is None else (x, y, w)
        classifier = KerasClassifier(
            model=lambda: training_model(network, ranges, seeds),
            loss="sparse_categorical_crossentropy",
            optimizer=keras.optimizers.Adam(self.learning_rate),
            metrics=["accuracy"],
            batch_size=self.batch_size,
            epochs=self.epochs,
            callbacks=callbacks,
            verbose=int(self.verbose),
            # scikeras's own random_state would switch on op determinism for the whole process while it trains
            random_state=None,
        )
        x, y, w = part(train)
        classifier.fit(x, y, sample_weight=w, **validation)
        return {name: [float(v) for v in values] for name, values in classifier.history_.items()}

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands) or (n_samples, n_bands)
            Patches of the shape that the network was trained on.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            In the order of ``classes_``.

        Raises
        ------
        ValueError
            If the patches have another shape or hold NaN.
        """
        (probabilities,) = self._forward(X, features=False)
        return probabilities

    def predict_proba_and_features(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Probability of each class, and the features that they are made of: the last hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands) or (n_samples, n_bands)
            As for `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float32
            Probabilities.
        ndarray of shape (n_samples, dense_units), float32
            Activations of the fully connected layer, after ReLU.

        Raises
        ------
        ValueError
            As in `predict_proba`.
        """
        probabilities, features = self._forward(X, features=True)
        return probabilities, features

    def _forward(self, X: Any, features: bool) -> list[np.ndarray]:
        check_is_fitted(self)
        patches = checked_patches(self, X, reset=False)
        start_tensorflow()
        from .programs import forward_function

        forward = forward_function(self.model_, features)
        parts = [forward(patches[i : i + _PREDICT_BATCH]) for i in range(0, len(patches), _PREDICT_BATCH)]
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

    def decision_function(self, X: Any) -> np.ndarray:
        """Log-odds of the second class; with more than two classes, the logarithm of each probability.

        Calibration takes it where there is one: Platt's sigmoid is meant for unbounded scores, and of probabilities
        it cannot make any that are close to 0 or 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands) or (n_samples, n_bands)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes), float64
            Greater than 0 where the second class is more probable.
        """
        smallest = np.finfo(np.float32).tiny  # a softmax that underflows
        logarithm = np.log(np.maximum(self.predict_proba(X), smallest), dtype=np.float64)
        return logarithm[:, 1] - logarithm[:, 0] if len(self.classes_) == 2 else logarithm

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands) or (n_samples, n_bands)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if state.pop("_kept", None) is not None or "model_" in state:
            # Numbers and arrays alone: the same model always gives the same bytes, and loading it runs nothing of
            # Keras's or scikeras's own ways to read a model.
            state["model_"] = state_of(self)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = {"prevalence": None, **state}  # models of 0.2.0.dev0 have none
        network = state.pop("model_", None)
        super().__setstate__(state)
        if network is not None:
            self._kept = checked(network)

    def __getattr__(self, name: str) -> Any:
        """Build the network of a loaded model when it is asked for: a map needs its numbers only, and no TensorFlow."""
        if name != "model_" or "_kept" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.__dict__.setdefault("model_", unpacked(self._kept))


def _made(kind, versions, data, memory=None, verbose=0, told=None, **parameters):
    """What `LandslideCNN._make` gives, as data: the function whose results the memory keeps."""
    model, history = kind(verbose=verbose, **parameters)._make(*data, told)
    return packed(model), history
