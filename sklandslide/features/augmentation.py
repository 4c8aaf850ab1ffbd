"""Augmenter: random variants of the training patches, drawn anew each epoch."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .callbacks import CallbackSupportMixin, one_task
from .tensorflow_start import start_tensorflow
from .variants import drawn_levels, drawn_maps, resampled


@dataclass(frozen=True)
class Ranges:
    """How far a random variant may differ from its patch; see `Augmenter`."""

    flip: str | None
    rotation: float
    zoom: float
    translation: float
    brightness: float

    @property
    def reach(self) -> tuple[float, ...]:
        """Mirrored along x and y or not (1 or 0), radians, scale, shift along x and y; and the level of bands."""
        mirrored = (float(axis in (self.flip or "")) for axis in ("horizontal", "vertical"))
        shift = self.translation
        return *mirrored, float(np.radians(self.rotation)), self.zoom, shift, shift, self.brightness


class AugmentedPatches:
    """Training patches with the ranges that variants of them are drawn from.

    `LandslideCNN` draws a new variant of each patch in each epoch. Anything else sees an array: one random variant
    of each patch.

    Parameters
    ----------
    patches : ndarray of shape (n_samples, rows, cols, n_bands), float32
    ranges : Ranges
    seed : int or None
        Seed of the one variant; None takes a fresh one each time. `LandslideCNN` takes its own where it is None.
    """

    def __init__(self, patches: np.ndarray, ranges: Ranges, seed: int | None) -> None:
        self.patches, self.ranges, self.seed = patches, ranges, seed

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_samples, rows, cols, n_bands)."""
        return self.patches.shape

    @property
    def ndim(self) -> int:
        """4."""
        return self.patches.ndim

    @property
    def dtype(self) -> np.dtype:
        """Float32."""
        return self.patches.dtype

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, key: Any) -> AugmentedPatches:
        return AugmentedPatches(np.asarray(self.patches[key]), self.ranges, self.seed)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        start_tensorflow()
        seed = (check_random_state(self.seed).randint(np.iinfo(np.int32).max), 0)
        out = resampled(self.patches, drawn_maps(self.shape, self.ranges.reach, seed)).numpy()
        if self.ranges.brightness:
            spread = self.patches.std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
            out += spread * drawn_levels(self.shape, self.ranges.reach, seed).numpy()
        return out if dtype is None else out.astype(dtype)


class Augmenter(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Flip, rotate, zoom and shift training patches at random, as the paper does (section 3.2), and change their level.

    In a pipeline the patches of `fit` are augmented, those of `predict` never: `fit_transform` gives
    `AugmentedPatches`, `transform` gives its input. The paper's four changes are one affine resampling (bilinear, edges
    mirrored) of each patch, drawn anew each epoch by `LandslideCNN`.

    Parameters
    ----------
    flip : {"horizontal", "vertical", "horizontal_and_vertical"} or None, default="horizontal_and_vertical"
        Axes along which half of the patches are mirrored. The paper names both.
    rotation : float, default=36.0
        Largest angle in degrees, to either side. The paper gives no ranges; those of rotation and zoom are from the
        TensorFlow tutorial that its network comes from (a tenth of a turn, of the size), which has no translation.
        It is pixels that are turned: where they are not square on the ground, the ground is sheared.
    zoom : float, default=0.1
        Largest change of scale, as a fraction.
    translation : float, default=0.1
        Largest shift along each axis, as a fraction of the patch.
    brightness : float, default=0.0
        Largest change of a band's level, in standard deviations of that band over all training patches, drawn for each
        band by itself: rain, season and calibration shift whole scenes of radar by some dB from date to date. The
        paper has none.
    random_state : int, RandomState instance or None, default=None
        Seed of the variants. With None `LandslideCNN` draws them from its own `random_state`.

    References
    ----------
    TensorFlow Core tutorials, "Image classification", https://www.tensorflow.org/tutorials/images/classification

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide import Augmenter
    >>> patches = np.random.RandomState(0).normal(size=(4, 9, 9, 3))
    >>> Augmenter(random_state=0).fit_transform(patches).shape
    (4, 9, 9, 3)
    >>> Augmenter().fit(patches).transform(patches) is patches
    True
    """

    _parameter_constraints: dict = {
        "flip": [StrOptions({"horizontal", "vertical", "horizontal_and_vertical"}), None],
        "rotation": [Interval(Real, 0, 180, closed="both")],
        "zoom": [Interval(Real, 0, 1, closed="left")],
        "translation": [Interval(Real, 0, 1, closed="left")],
        "brightness": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        *,
        flip: str | None = "horizontal_and_vertical",
        rotation: float = 36.0,
        zoom: float = 0.1,
        translation: float = 0.1,
        brightness: float = 0.0,
        random_state: Any = None,
    ) -> None:
        self.flip = flip
        self.rotation = rotation
        self.zoom = zoom
        self.translation = translation
        self.brightness = brightness
        self.random_state = random_state

    @one_task
    def fit(self, X: Any, y: Any = None) -> Augmenter:
        """Check the parameters; there is nothing to learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands)
        y : ignored

        Returns
        -------
        Augmenter
            Itself.
        """
        self._validate_params()
        self.n_features_in_ = _check_patches(X).shape[-1]
        return self

    def fit_transform(self, X: Any, y: Any = None) -> AugmentedPatches:
        """Hand on training patches with the ranges to draw variants from.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands)
        y : ignored

        Returns
        -------
        AugmentedPatches of shape (n_samples, rows, cols, n_bands)
        """
        self.fit(X)
        seed = None
        if self.random_state is not None:
            seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        changes = (float(value) for value in (self.rotation, self.zoom, self.translation, self.brightness))
        return AugmentedPatches(_check_patches(X), Ranges(self.flip, *changes), seed)

    def transform(self, X: Any) -> Any:
        """Return X unchanged: patches to be classified are never augmented.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, n_bands)

        Returns
        -------
        array-like
            X itself.
        """
        return X

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__({"brightness": 0.0, **state})  # models of 0.2.0.dev0 have none

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # patches have four dimensions
        tags.requires_fit = False
        tags.no_validation = True
        return tags


def _check_patches(X: Any) -> np.ndarray:
    patches = check_array(X, dtype=np.float32, allow_nd=True, ensure_2d=False)
    if patches.ndim != 4:
        raise ValueError(
            f"Patches have shape (n_samples, rows, cols, n_bands); X has shape {patches.shape}. Put a PatchSampler "
            "before this step."
        )
    return patches
