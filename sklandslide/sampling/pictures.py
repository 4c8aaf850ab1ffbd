"""What samples look like, in a figure and in a notebook."""

from __future__ import annotations

from typing import Any


class DrawnLocations:
    """The methods of samples that draw them. They reach up to the room of plots, as those of a scene do."""

    def plot(
        self, y: Any = None, *, bands: Any = None, patch_size: int | None = None, ax: Any = None, width: float = 7.0
    ) -> Any:
        """Draw the samples by class on their scenes, a panel for each scene.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Class of each sample, for its colour.
        bands : str or sequence of str, default=None
            The image beneath, as a panel of `Scene.plot`.
        patch_size : int, default=None
            Pixels a side of the patches, whose outlines are then drawn.
        ax : matplotlib.axes.Axes or sequence of these, default=None
            Axes to draw on, one for each scene that has samples; by default those of a new figure.
        width : float, default=7.0
            Width of a new figure in inches.

        Returns
        -------
        matplotlib.axes.Axes, or ndarray of these if there are several scenes
            The points are collections, labelled with the class and its number of samples.

        Raises
        ------
        ImportError, BandError, SceneReadError
            As in `Scene.plot`.
        ValueError
            If `y` has not one class for each sample, or `ax` not one axes for each scene.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> import matplotlib.pyplot as plt
        >>> from sklandslide import make_scene, sample_polygons
        >>> scene, polygons = make_scene(shape=(150, 150), random_state=0)
        >>> X, y, groups = sample_polygons(scene, polygons, patch_size=9, stride=5)
        >>> ax = X.plot(y, bands="hillshade")
        >>> [points.get_label().split(" (")[0] for points in ax.collections]
        ['class 0', 'class 1']
        >>> plt.close(ax.figure)
        """
        from ..plots import plot_locations

        locations: Any = self
        return plot_locations(locations, y, bands=bands, patch_size=patch_size, ax=ax, width=width)

    def _repr_html_(self) -> str:
        from ..plots import locations_html

        return locations_html(self)
