"""PatchSampler: from locations to the pixels about them."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_memory

from ..exceptions import NoValidDataError, SklandslideError
from ..geodata import evenly
from ..sampling import Locations, read_patches, valid_patches
from .callbacks import CallbackSupportMixin, one_task
from .contract import ENOUGH, explain_nodata, quantiles_of, require_bands, require_like, require_values
from .view import require_locations, units_of, was_checked

# Pixels of a patch along each side that its values are known by.
_ACROSS = 7


class PatchSampler(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Cut a square patch about each location.

    The number of samples never changes, so the patch size is a parameter like any other and can be searched, as the
    paper does (section 3.1: 25 x 25 pixels, the best by cross-validation). Pixels are read in blocks.

    Parameters
    ----------
    patch_size : int, default=25
        Pixels a side. An odd patch is centred on the pixel that holds the location; the centre of an even one is the
        pixel corner next to it.
    memory : None, str or object with the joblib.Memory interface, default=None
        Used to cache the patches of scenes read from files, as in `sklearn.pipeline.Pipeline`: a folder, or a
        `joblib.Memory`. In a search each set of patches is then read once, for training and for testing, whatever the
        other parameters; a file that was changed is another scene. A `Pipeline`'s own memory caches training patches
        only. Patches of scenes in memory are not cached.
    check_values : bool, default=True
        Whether to refuse scenes whose values cannot be what the sampler was fitted on, such as power that is declared
        as dB. It is looked at when a scene is seen, so it can be set on a fitted pipeline:
        ``pipe.set_params(patchsampler__check_values=False)``.

    Attributes
    ----------
    patch_size_ : int
        The patch size when fitted.
    bands_ : tuple of str
        The bands of the patches, in order. Every later scene must have the same.
    units_ : tuple of (str or None)
        Their units, where they are declared.
    value_quantiles_ : tuple of (float, float, float), or None
        The 5, 50 and 95 % quantiles of each band's values in the patches fitted on (in some of them, taken evenly).
        None where these are too few to tell (fewer than 16).
    n_features_in_ : int
        2, the coordinates.

    Raises
    ------
    SceneError
        If a patch does not fit its scene.
    NoValidDataError
        If a patch holds nodata: it never becomes a training value.
    BandError
        If the bands of a scene are not those that the sampler was fitted on, in order, units or values.

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide import Locations, PatchSampler, Scene
    >>> scene = Scene.from_arrays({"Red": np.arange(25.0).reshape(5, 5)}, transform=Affine(1, 0, 0, 0, -1, 5))
    >>> PatchSampler(patch_size=3).fit_transform(Locations(scene, [[1.5, 3.5]]))[0, :, :, 0]
    array([[ 0.,  1.,  2.],
           [ 5.,  6.,  7.],
           [10., 11., 12.]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "patch_size": [Interval(Integral, 1, None, closed="left")],
        "memory": [None, str, HasMethods(["cache"])],
        "check_values": ["boolean"],
    }

    def __init__(self, patch_size: int = 25, *, memory: Any = None, check_values: bool = True) -> None:
        self.patch_size = patch_size
        self.memory = memory
        self.check_values = check_values

    @one_task
    def fit(self, X: Locations, y: Any = None) -> PatchSampler:
        """Learn what the patches are like: their bands, and some of their values.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)
        y : ignored

        Returns
        -------
        PatchSampler
            Itself.
        """
        self._begin(X)
        if len(X) >= ENOUGH:
            some = X[np.concatenate([rows[evenly(len(rows))] for _, rows in _by_scene(X)])]
            some = some[valid_patches(some, self.patch_size_)[1]]
            self._learn(some, read_patches(some, self.patch_size_))
        return self

    @one_task
    def fit_transform(self, X: Locations, y: Any = None) -> np.ndarray:
        """Read the patches, and learn what they are like without reading anything again.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)
        y : ignored

        Returns
        -------
        ndarray of shape (n_samples, patch_size, patch_size, n_bands), float32
        """
        self._begin(X)
        patches = self.transform(X)
        self._learn(X, patches)
        return patches

    def _begin(self, X: Locations) -> None:
        """Check the parameters, and learn what needs no pixels."""
        self._validate_params()
        scene = require_locations(X, self).scenes[0]
        bands, units = tuple(scene.bands), units_of(scene)
        for other in X.scenes[1:]:
            require_bands(bands, units, other)
        self.n_features_in_, self.patch_size_ = 2, int(self.patch_size)
        self.bands_, self.units_ = bands, units
        self.value_quantiles_: tuple[tuple[float, ...], ...] | None = None

    def _learn(self, X: Locations, patches: np.ndarray) -> None:
        """Learn what the values are like; scenes whose decibels contradict each other are refused."""
        if len(X) < ENOUGH:
            return
        some = [(scene, len(rows), _some_values(patches, rows)) for scene, rows in _by_scene(X)]
        self.value_quantiles_ = quantiles_of(np.concatenate([values for *_, values in some]))
        decibels = [i for i, unit in enumerate(self.units_) if unit == "dB"]
        if not self.check_values or not decibels:
            return
        bands = [self.bands_[i] for i in decibels]
        several = [(scene, values[:, decibels]) for scene, n, values in some if n >= ENOUGH]
        for scene, values in several[1:]:
            known = quantiles_of(several[0][1])
            require_like(bands, ["dB"] * len(bands), known, values, scene, "that of another scene of X")

    def transform(self, X: Locations) -> np.ndarray:
        """Read the patches.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)

        Returns
        -------
        ndarray of shape (n_samples, patch_size, patch_size, n_bands), float32
        """
        X, size = require_locations(X, self), patch_side(self)
        fitted = hasattr(self, "bands_")
        for scene in X.scenes if fitted else ():
            require_bands(self.bands_, self.units_, scene)
        read = read_patches
        if self.memory is not None and any(scene.files for scene in X.scenes):
            read = check_memory(self.memory).cache(read_patches)
        patches = read(X, size)
        self._refuse_holes(X, patches)
        if fitted:
            for scene, rows in _by_scene(X):
                if not was_checked(scene) and len(rows) >= ENOUGH:
                    require_values(self, scene, _some_values(patches, rows))
        return patches

    def _refuse_holes(self, X: Locations, patches: np.ndarray) -> None:
        holes = np.isnan(patches.reshape(len(patches), -1).max(axis=1))  # the largest of numbers and NaN is NaN
        if not holes.any():
            return
        for scene, rows in _by_scene(X[holes]):
            explain_nodata(scene, scene.grid.rowcol(X[holes].xy[rows[evenly(len(rows))]]))
        row = int(np.flatnonzero(holes)[0])
        raise NoValidDataError(
            f"{holes.sum()} of {len(X)} patches of {self.patch_size} pixels hold nodata, the first at x, y = "
            f"{X.xy[row].tolist()} (row {row}). Drop these locations; sample_polygons(..., patch_size=the largest "
            "to be searched) refuses them itself."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # Locations, which carry their scene
        tags.no_validation = True
        tags.requires_fit = False
        return tags


def patch_side(sampler: PatchSampler) -> int:
    """The patch size of a sampler, which is still the one that it was fitted with; else raise SklandslideError."""
    size = int(sampler.patch_size)
    fitted = getattr(sampler, "patch_size_", size)
    if size != fitted:
        raise SklandslideError(
            f"The PatchSampler was fitted with patch_size={fitted}, and patch_size={size} was set afterwards: what "
            "follows it was trained on the former. Fit the pipeline again, or set the former."
        )
    return size


def _some_values(patches: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some of the values of some of these patches, shape (n, bands)."""
    step = -(-patches.shape[1] // _ACROSS)
    return patches[rows[evenly(len(rows))], ::step, ::step].reshape(-1, patches.shape[-1])


def _by_scene(X: Locations) -> Iterator[tuple[Any, np.ndarray]]:
    """The scenes that rows of X lie on, and these rows."""
    for i in np.unique(X.scene_index):
        yield X.scenes[i], np.flatnonzero(X.scene_index == i)
