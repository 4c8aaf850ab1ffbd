"""X in, patches out: the steps of a pipeline before its classifier, and what they demand of a scene."""

from .augmentation import AugmentedPatches, Augmenter, Ranges
from .bands import BandStacker
from .callbacks import CallbackSupportMixin, with_callbacks
from .contract import require_scene, size_text
from .local_change import LocalChange
from .patches import PatchSampler, patch_side
from .tensorflow_start import cores, start_tensorflow
from .variants import drawn_levels, drawn_maps, resampled
from .view import CompositeView, scene_behind

__all__ = [
    "AugmentedPatches",
    "Augmenter",
    "BandStacker",
    "CallbackSupportMixin",
    "CompositeView",
    "LocalChange",
    "PatchSampler",
    "Ranges",
    "cores",
    "drawn_levels",
    "drawn_maps",
    "patch_side",
    "require_scene",
    "resampled",
    "scene_behind",
    "size_text",
    "start_tensorflow",
    "with_callbacks",
]

# Pickled Locations behind a BandStacker, and patches behind an Augmenter, name these classes by the room.
for _class in (AugmentedPatches, CompositeView, Ranges):
    _class.__module__ = __name__
