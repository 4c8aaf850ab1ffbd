"""An embedded scene, so that everything runs without a download."""

from ._make_scene import make_scene

__all__ = ["make_scene"]
