"""PatchSampler: from locations to the pixels about them."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_memory

from .bands import require_locations
from .exceptions import NoValidDataError
from .locations import Locations, read_patches

__all__ = ["PatchSampler"]


class PatchSampler(TransformerMixin, BaseEstimator):
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

    Attributes
    ----------
    n_features_in_ : int
        2, the coordinates.

    Raises
    ------
    SceneError
        If a patch does not fit its scene.
    NoValidDataError
        If a patch holds nodata: it never becomes a training value.

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
    }

    def __init__(self, patch_size: int = 25, *, memory: Any = None) -> None:
        self.patch_size = patch_size
        self.memory = memory

    def fit(self, X: Locations, y: Any = None) -> PatchSampler:
        """Check the parameters; there is nothing to learn.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)
        y : ignored

        Returns
        -------
        PatchSampler
            Itself.
        """
        self._validate_params()
        require_locations(X, self)
        self.n_features_in_ = 2
        return self

    def transform(self, X: Locations) -> np.ndarray:
        """Read the patches.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)

        Returns
        -------
        ndarray of shape (n_samples, patch_size, patch_size, n_bands), float32
        """
        read, X = read_patches, require_locations(X, self)
        if self.memory is not None and any(scene.files for scene in X.scenes):
            read = check_memory(self.memory).cache(read_patches)
        patches = read(X, int(self.patch_size))
        holes = np.isnan(patches.reshape(len(patches), -1).max(axis=1))  # the largest of numbers and NaN is NaN
        if holes.any():
            row = int(np.flatnonzero(holes)[0])
            raise NoValidDataError(
                f"{holes.sum()} of {len(X)} patches of {self.patch_size} pixels hold nodata, the first at x, y = "
                f"{X.xy[row].tolist()} (row {row}). Drop these locations; sample_polygons(..., patch_size=the largest "
                "to be searched) refuses them itself."
            )
        return patches

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # Locations, which carry their scene
        tags.no_validation = True
        tags.requires_fit = False
        return tags
