"""LocalChange: how much a patch changed in its middle, the baseline that any network has to beat."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from .callbacks import CallbackSupportMixin, one_task


class LocalChange(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Reduce each patch of differences to one number: the change in a window about its centre.

    The two rules without training on which change detection with radar has long rested: the threshold on the log-ratio
    and the local energy of the differences. With a classifier of one feature behind it, the threshold is fitted:
    ``make_pipeline(BandStacker(["VV_after - VV_before"]), PatchSampler(7), LocalChange(), LogisticRegression())``.

    Parameters
    ----------
    size : int, default=7
        Side of the window in pixels, at most that of the patches.
    statistic : {"energy", "log_ratio"}, default="energy"
        With "energy" the root of the mean square of the differences over the window's pixels and the bands: it grows
        where backscatter rises here and falls there. With "log_ratio" the differences are averaged over the window
        first, band by band: for bands in dB the size of the log-ratio of the two dates.

    Attributes
    ----------
    n_features_in_ : int
        Number of bands.

    Raises
    ------
    ValueError
        If the patches are smaller than `size`, or have another number of bands than those fitted on.

    References
    ----------
    E. J. M. Rignot, J. J. van Zyl, "Change detection techniques for ERS-1 SAR data", IEEE Transactions on Geoscience
    and Remote Sensing 31, 1993: the log-ratio.

    Examples
    --------
    >>> import numpy as np
    >>> from sklandslide import LocalChange
    >>> patches = np.zeros((2, 5, 5, 1))
    >>> patches[1, 2, 2] = 3.0
    >>> patches[1, 2, 3] = -3.0
    >>> LocalChange(size=3).fit_transform(patches).round(2)
    array([[0.  ],
           [1.41]], dtype=float32)
    >>> LocalChange(size=3, statistic="log_ratio").fit_transform(patches)
    array([[0.],
           [0.]], dtype=float32)
    """

    _parameter_constraints: dict = {
        "size": [Interval(Integral, 1, None, closed="left")],
        "statistic": [StrOptions({"energy", "log_ratio"})],
    }

    def __init__(self, size: int = 7, *, statistic: str = "energy") -> None:
        self.size = size
        self.statistic = statistic

    @one_task
    def fit(self, X: Any, y: Any = None) -> LocalChange:
        """Note the number of bands; nothing is learnt.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, bands)
            Patches of differences.
        y : ignored

        Returns
        -------
        LocalChange
            Itself.
        """
        self._validate_params()
        self.n_features_in_ = self._patches(X).shape[3]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Give the change of each patch.

        Parameters
        ----------
        X : array-like of shape (n_samples, rows, cols, bands)

        Returns
        -------
        ndarray of shape (n_samples, 1), float32
            In the units of the differences: dB where they are of radar.
        """
        check_is_fitted(self)
        patches = self._patches(X)
        if patches.shape[3] != self.n_features_in_:
            raise ValueError(f"X has {patches.shape[3]} bands, but LocalChange was fitted on {self.n_features_in_}.")
        row, col = ((side - self.size) // 2 for side in patches.shape[1:3])
        middle = patches[:, row : row + self.size, col : col + self.size].astype(np.float64)
        if self.statistic == "log_ratio":
            middle = middle.mean(axis=(1, 2), keepdims=True)
        return np.sqrt(np.square(middle).mean(axis=(1, 2, 3)))[:, None].astype(np.float32)

    def _patches(self, X: Any) -> np.ndarray:
        patches = check_array(np.asarray(X), allow_nd=True, ensure_2d=False)
        if patches.ndim != 4 or min(patches.shape[1:3]) < self.size:
            raise ValueError(
                f"X has shape {patches.shape}; LocalChange(size={self.size}) takes patches of at least that size, "
                "(n_samples, rows, cols, bands). Put it after PatchSampler, with a patch_size that is not smaller."
            )
        return patches

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        tags.no_validation = True
        return tags
