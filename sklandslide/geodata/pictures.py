"""What a scene looks like, in a figure and in a notebook."""

from __future__ import annotations

from typing import Any

from .raster import ArrayBand, FileBand, SlopeBand


def is_local(scene: Any) -> bool:
    """Whether a scene is in memory or in files of this machine: cheap to look into."""
    return all(isinstance(band, ArrayBand | FileBand | SlopeBand) for _, band in scene._sources)


class DrawnScene:
    """The methods of a scene that draw it.

    They reach up to the room of plots: it is the scene that a user asks for its picture.
    """

    def plot(self, *panels: Any, ax: Any = None, width: float = 7.0) -> Any:
        """Draw the scene: bands or composites, in panels side by side.

        Parameters
        ----------
        *panels : str or sequence of str
            For each panel a band (in grey), a composite of the paper such as ``"BAA"``, a list of three bands (red,
            green and blue), or ``"hillshade"`` of the DEM. Without any: Red, Green and Blue, else the hillshade, else
            the first band.
        ax : matplotlib.axes.Axes or sequence of these, default=None
            Axes to draw on, one for each panel; by default those of a new figure.
        width : float, default=7.0
            Width of a new figure in inches.

        Returns
        -------
        matplotlib.axes.Axes, or ndarray of these if there are several panels

        Raises
        ------
        ImportError
            If matplotlib or matplotlib-scalebar is not installed.
        BandError
            If the scene has no such bands, or a panel has two bands or more than three.
        SceneReadError
            If a file cannot be read.
        ValueError
            If `ax` has not one axes for each panel.

        Notes
        -----
        Bands are drawn between the 2nd and the 98th percentile of their values, radar in dB. All dates of a
        polarisation share one range, so that panels of different dates can be compared.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> import matplotlib.pyplot as plt
        >>> from sklandslide import make_scene
        >>> scene, _ = make_scene(shape=(90, 90), random_state=0)
        >>> axes = scene.plot("VV_before", "VV_after", "BAA")
        >>> [ax.get_title() for ax in axes[:2]]
        ['VV_before', 'VV_after']
        >>> plt.close(axes[0].figure)
        """
        from ..plots import plot_scene

        return plot_scene(self, panels, ax=ax, width=width)

    def _repr_html_(self) -> str:
        from ..plots import scene_html

        return scene_html(self)
