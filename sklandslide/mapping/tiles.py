"""The tiles of a map, and what every engine needs of the scene for one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..composites import band_inputs
from ..features import BandStacker
from ..geodata import Window, origins, tiles
from ..sampling import windows_without

# Pixels of the scene along a tile, besides its margin: enough that margins cost little, few enough that a tile with
# its composite takes some megabytes.
_SOURCE_SIDE = 1024
# Map pixels a side of a tile at the most.
_LARGEST = 256


def tile_side(step: int, square: int) -> int:
    """Map pixels a side of a tile: a power of two, at least the engine's square, whose source is of bounded size."""
    side = _LARGEST
    while side > square and side * step > _SOURCE_SIDE:
        side //= 2
    return side


@dataclass(frozen=True)
class TileLayout:
    """A map cut into tiles, numbered row by row."""

    shape: tuple[int, int]  # rows and columns of the map
    side: int  # map pixels a side of a tile; those at the far edges are smaller

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The part of the map that each tile covers."""
        return tuple(tiles(self.shape, self.side))

    def touching(self, first: int, last: int) -> range:
        """Numbers of the tiles that hold the map's rows `first` to `last` - 1."""
        columns = -(-self.shape[1] // self.side)
        return range(first // self.side * columns, (-(-last // self.side)) * columns)


class Crew:
    """Threads that work on the parts of one tile at the same time; a crew of one is the calling thread.

    Compiled code runs outside Python's lock, and what one call leaves idle of the processor another one takes.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="sklandslide-engine") if size > 1 else None

    def do(self, work: Callable[[Any], None], parts: Iterable[Any]) -> None:
        """Work on each part; raise the first error."""
        for _ in map(work, parts) if self._pool is None else self._pool.map(work, parts):
            pass


@dataclass(frozen=True)
class MapTask:
    """How values of the map come from pixels of the scene. Holds no scene, so that it can be sent to workers."""

    estimator: Any
    stackers: list[BandStacker]  # those inside the estimator; a window is nodata where any of their bands is
    patch_size: int
    step: int
    column: int  # of predict_proba
    area: Any = None  # an ApplicabilityArea, for a second band

    @property
    def n_bands(self) -> int:
        """Of the map."""
        return 1 if self.area is None else 2

    def bands(self, scene: Any) -> tuple[str, ...]:
        """The scene's bands that are read, checked against what the stackers were fitted on."""
        return tuple(
            dict.fromkeys(name for view in self.views(scene) for band in view.bands for name in band_inputs(band))
        )

    def views(self, scene: Any) -> list[Any]:
        """A scene, or a part of one, through each composite, or as it is if there is none."""
        return [stacker.view(scene) for stacker in self.stackers] or [scene]

    def source(self, window: Window) -> Window:
        """The part of the scene that a window of the map sees."""
        p, step = self.patch_size, self.step
        return Window(
            window.row_off * step,
            window.col_off * step,
            (window.height - 1) * step + p,
            (window.width - 1) * step + p,
        )

    def pixels(self, part: Any) -> list[np.ndarray]:
        """Pixels of a part of the scene through each composite, or as they are if there is none."""
        return [view.read() for view in self.views(part)]

    def valid(self, pixels: list[np.ndarray]) -> np.ndarray:
        """Which windows hold no nodata in any of these, bool, shape (rows, cols) of the tile."""
        missing: np.ndarray = np.zeros(pixels[0].shape[:2], bool)
        for composite in pixels:
            for band in np.moveaxis(composite, -1, 0):
                missing |= np.isnan(band)
        rows, cols = (list(origins(n, self.patch_size, self.step)) for n in missing.shape)
        return windows_without(missing, self.patch_size)[np.ix_(rows, cols)]
