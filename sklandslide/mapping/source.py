"""Read what the tiles of a map need of a scene: each block of a raster about once, whatever the tiles."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import groupby
from typing import Any

import numpy as np

from ..geodata import Scene, Window, free_blocks, keeping_open
from .tiles import MapTask, TileLayout

# A band of rows, over all bands of the scene, may take so many bytes; a scene that is wider is read in several panels
# side by side.
_BAND_BYTES = 256 << 20
# Rows are read in multiples of the rasters' own blocks, up to this height.
_HIGHEST_BLOCK = 1024


class TileSource:
    """The scene as small scenes in memory, one for each tile.

    Tiles overlap by a margin, and rasters are stored in blocks that need not fit them. So rows are read once, in bands
    as high as the rasters' blocks, and kept until the last tile that needs them.
    """

    def __init__(self, scene: Any, task: MapTask, layout: TileLayout) -> None:
        self.scene, self.task, self.layout = scene, task, layout
        self.bands = task.bands(scene)
        height = scene.block_shape[0]
        self._block = height if height <= _HIGHEST_BLOCK else 1
        row_bytes = (task.source(layout.windows[0]).height + self._block) * len(self.bands) * 4
        tile_columns = max(1, _BAND_BYTES // row_bytes // (layout.side * task.step))
        self._panel = tile_columns * layout.side  # map columns

    def parts(self, numbers: Iterable[int]) -> Generator[tuple[int, Scene], None, None]:
        """Read the parts of the scene that tiles see: pairs of the tile's number and a scene of the bands in use."""
        windows = self.layout.windows

        def place(number: int) -> tuple[int, int]:
            return windows[number].col_off // self._panel, windows[number].row_off

        rows = _Rows(self.scene, self.bands, self._block)
        with keeping_open():
            for _, group in groupby(sorted(numbers, key=lambda n: (*place(n), n)), key=place):
                row = [(number, self.task.source(windows[number])) for number in group]
                first, last = row[0][1], row[-1][1]
                rows.load(first.row_off, first.row_off + first.height, first.col_off, last.col_off + last.width)
                for number, window in row:
                    yield number, rows.scene(window)


class _Part(Scene):
    """A part of a scene. The scene was held against the model's contract as a whole; a lake in it is no wrong scene."""

    checked = True


class _Rows:
    """A moving band of a scene's rows in memory."""

    def __init__(self, scene: Any, bands: tuple[str, ...], block: int) -> None:
        self._scene, self._bands, self._block = scene, bands, block
        self._chunks: list[tuple[int, np.ndarray]] = []  # first row, pixels
        self._columns = (0, 0)

    def load(self, top: int, bottom: int, left: int, right: int) -> None:
        """Hold these rows and columns; forget the rows above."""
        if self._columns != (left, right):
            self._chunks, self._columns = [], (left, right)
        self._chunks = [(row, pixels) for row, pixels in self._chunks if row + len(pixels) > top]
        start = self._chunks[-1][0] + len(self._chunks[-1][1]) if self._chunks else top
        if start < bottom:
            free_blocks()
            stop = min(-(-bottom // self._block) * self._block, self._scene.grid.shape[0])
            self._chunks.append((start, self._scene.read(self._bands, Window(start, left, stop - start, right - left))))

    def scene(self, window: Window) -> Scene:
        """A part of the rows held, as a scene."""
        columns = slice(window.col_off - self._columns[0], window.col_off - self._columns[0] + window.width)
        bottom = window.row_off + window.height
        pixels = np.concatenate(
            [chunk[max(window.row_off - row, 0) : max(bottom - row, 0), columns] for row, chunk in self._chunks]
        )
        grid = self._scene.grid.crop(window)
        units = {name: unit for name, unit in self._scene.units.items() if name in self._bands}
        return _Part.from_arrays(
            {name: pixels[..., i] for i, name in enumerate(self._bands)},
            transform=grid.transform,
            crs=grid.crs,
            units=units,
        )
