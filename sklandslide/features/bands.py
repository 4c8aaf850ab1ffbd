"""BandStacker: from the bands of a scene to the bands of a composite."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ..composites import band_inputs, resolve_composite
from ..exceptions import BandError, SceneError
from ..sampling import Locations
from .callbacks import CallbackSupportMixin, one_task
from .contract import pixel_size, size_text, sizes_agree
from .view import CompositeView, declared, require_locations, units_of, was_checked


class BandStacker(CallbackSupportMixin, TransformerMixin, BaseEstimator):
    """Stack the bands of a composite, as in Table 2 of the paper.

    Takes `Locations` on a scene and gives `Locations` on the composite of that scene; pixels are read later, when
    patches are cut. Radar bands declared as linear power are converted to dB (power of zero or less becomes
    nodata).

    Parameters
    ----------
    composite : str or list of str, default="BAA"
        A name in `COMPOSITES`, or a list of bands: names, differences such as ``"VV_after - VV_before"``, and
        statistics of a stack of dates, ``"mean(VV_before, VV_before2)"``, ``"median(VV_before*)"``,
        ``"std(VV_before*)"`` (with n - 1) and ``"zscore(VV_after*; VV_before*)"``: how many standard deviations of the
        dates before the event the mean after it lies off. The star stands for all dates of a scene: ``VV_before``,
        ``VV_before2``, ... A pixel without data on one of the dates is nodata.
    pixel_size_tolerance : float or None, default=0.15
        By what share the pixels of a scene may be larger or smaller on the ground (in the root of their area) than
        those of the scenes that the stacker was fitted on. None takes any. It is looked at when a scene is seen, so it
        can be set on a fitted pipeline: ``pipe.set_params(bandstacker__pixel_size_tolerance=None)``.

    Attributes
    ----------
    bands_ : tuple of str
        The bands that the composite was resolved to when fitted: where a scene has no second after-event date,
        the first stands in its place in BAA and HHH. Every later scene must have them.
    units_ : tuple of (str or None)
        Units of each band after conversion (``"dB"`` or None if undeclared). Every later scene must have them.
    pixel_size_ : (float, float)
        Metres on the ground of a pixel's two sides, along a row and along a column: the geometric mean over the scenes
        fitted on. Without a CRS a map unit counts as a metre.
    n_features_in_ : int
        2, the coordinates.

    Raises
    ------
    BandError
        If the composite is unknown, or a scene lacks one of its bands or has it in other units.
    SceneError
        If the pixels of a scene are of another size than those of the scenes fitted on.

    References
    ----------
    L. Nava, O. Monserrat, F. Catani, "Improving landslide detection on SAR data through deep learning", 2021,
    Table 2.

    Examples
    --------
    >>> import numpy as np
    >>> from affine import Affine
    >>> from sklandslide import BandStacker, Locations, Scene
    >>> scene = Scene.from_arrays({"VV_before": np.full((5, 5), 0.1), "VV_after": np.full((5, 5), 0.01)},
    ...                           transform=Affine(1, 0, 0, 0, -1, 5),
    ...                           units={"VV_before": "linear", "VV_after": "linear"})
    >>> X = BandStacker("BAC").fit_transform(Locations(scene, [[2.5, 2.5]]))
    >>> X.scenes[0].read()[0, 0].round(3)
    array([-10., -20., -10.], dtype=float32)
    """

    _parameter_constraints: dict = {
        "composite": [str, "array-like"],
        "pixel_size_tolerance": [Interval(Real, 0, None, closed="left"), None],
    }

    def __init__(self, composite: Any = "BAA", *, pixel_size_tolerance: float | None = 0.15) -> None:
        self.composite = composite
        self.pixel_size_tolerance = pixel_size_tolerance

    @one_task
    def fit(self, X: Locations, y: Any = None) -> BandStacker:
        """Resolve the composite on the scenes of X.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)
        y : ignored

        Returns
        -------
        BandStacker
            Itself.
        """
        self._validate_params()
        scenes = require_locations(X, self).scenes
        shared = [b for b in scenes[0].bands if all(b in s.bands for s in scenes)]
        bands = resolve_composite(self.composite, shared)
        units = _converted_units(scenes[0], bands)
        for scene in scenes[1:]:
            _check_units(scene, bands, units)
        used = [scenes[i] for i in np.unique(X.scene_index)] or list(scenes)
        self.pixel_size_ = self._common_size([scene.grid for scene in used])
        self.bands_, self.units_, self.n_features_in_ = bands, units, 2
        return self

    def _common_size(self, grids: list[Any]) -> tuple[float, float]:
        """Size of the pixels of all scenes fitted on."""
        sizes = [pixel_size(grid) for grid in grids]
        for size in sizes:
            if self.pixel_size_tolerance is not None and not sizes_agree(sizes[0], size, self.pixel_size_tolerance):
                raise SceneError(
                    f"The scenes of X have pixels of {size_text(sizes[0])} and of {size_text(size)} on the ground; the "
                    f"same patch would show more ground in one than in the other (pixel_size_tolerance="
                    f"{self.pixel_size_tolerance}). Put them on pixels of one size (gdalwarp -tr, or the argument grid "
                    "of Scene.from_files), or allow it with BandStacker(pixel_size_tolerance=None)."
                )
        width, height = np.exp(np.mean(np.log(sizes), axis=0)).tolist()
        return width, height

    def transform(self, X: Locations) -> Locations:
        """See the scenes of X through the composite.

        Parameters
        ----------
        X : Locations of shape (n_samples, 2)

        Returns
        -------
        Locations of shape (n_samples, 2)
            The same rows; ``scenes`` have the bands of the composite.
        """
        check_is_fitted(self)
        return require_locations(X, self).map_scenes(self.view)

    def view(self, scene: Any) -> CompositeView:
        """See one scene through the composite, checked against what the stacker was fitted on.

        Parameters
        ----------
        scene : Scene

        Returns
        -------
        CompositeView
            With the scene's grid and the bands of the composite.
        """
        check_is_fitted(self)
        self._check_bands(scene)
        _check_units(scene, self.bands_, self.units_)
        if not was_checked(scene):
            self._check_pixels(scene.grid)
        return CompositeView(scene, self.bands_)

    def _check_bands(self, scene: Any) -> None:
        missing = sorted({name for band in self.bands_ for name in band_inputs(band)} - set(scene.bands))
        if missing:
            raise BandError(
                f"The model was fitted on the bands {', '.join(self.bands_)} and needs the band(s) "
                f"{', '.join(missing)}, which the scene does not have; it has {', '.join(scene.bands)}. Add what is "
                "missing to the scene, under the same name, or train a model without it."
            )

    def _check_pixels(self, grid: Any) -> None:
        self._validate_params()  # the tolerance may have been set since
        size, tolerance = pixel_size(grid), self.pixel_size_tolerance
        if tolerance is None or sizes_agree(self.pixel_size_, size, tolerance):
            return
        place = "" if grid.crs else " (it has no CRS, so that a map unit counts as a metre)"
        raise SceneError(
            f"The model was fitted on pixels of {size_text(self.pixel_size_)} on the ground, and the scene has pixels "
            f"of {size_text(size)}{place}: a patch would show another stretch of ground "
            f"(pixel_size_tolerance={tolerance}). Put the scene on such pixels (gdalwarp -tr, or the argument grid "
            "of Scene.from_files), or train on scenes like it. To use it as it is, set pixel_size_tolerance=None "
            "on the BandStacker: pipe.set_params(bandstacker__pixel_size_tolerance=None)."
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False  # Locations, which carry their scene
        tags.no_validation = True
        return tags


def _converted_units(scene: Any, bands: tuple[str, ...]) -> tuple[str | None, ...]:
    for band in bands:
        if len({name in scene.units for name in band_inputs(band)}) > 1:
            raise BandError(
                f"{band!r} is made of bands in different units ({declared(scene, band)}). Declare the "
                "units of both: units={'VV_before': 'dB', ...}."
            )
    return units_of(CompositeView(scene, bands))


def _check_units(scene: Any, bands: tuple[str, ...], units: tuple[str | None, ...]) -> None:
    for band, expected, found in zip(bands, units, _converted_units(scene, bands), strict=True):
        if expected != found:
            raise BandError(
                f"Band {band!r} was in {expected or 'undeclared units'} where the stacker was fitted and is in "
                f"{found or 'undeclared units'} here ({declared(scene, band)}). Declare the units of the scene's "
                "bands, 'dB' or 'linear', in the same way for training and for use."
            )
