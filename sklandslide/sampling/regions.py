"""Which parts of a scene to read for a set of windows, so that each block of its rasters is read once.

A scene is gone through in bands of whole rows of blocks. Of each band only the blocks that a window touches are
read; the last rows of the band above are kept, because windows reach into it. So no block is read twice, blocks that no
window touches are not read at all, and what is held at a time is one band, however large the scene is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..geodata import Window, free_blocks

# Rows of a band, in pixels: enough that the rows kept from the band above are few, little enough to stay in memory.
_BAND = 512
# Pixels of a band at most, where scenes are so wide that 512 rows would be more (but one row of blocks at least).
_BAND_PIXELS = 2**23
# Pixels read at a time: few calls, and what is read is still in the processor's cache when it is put in its place.
_AT_ONCE = 2**19


def regions(
    scene: Any, first: np.ndarray, patch_size: int, bands: Sequence[str] | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Read what a set of windows covers, part by part.

    `first` is the first row and column of each window, shape (n, 2); all fit the scene. Yields, for each part, which
    windows lie in it (each comes once), its pixels (height, width, bands), and first row and column of these windows
    in them. The pixels are valid until the next part is asked for, and only where the windows are.
    """
    if not len(first):
        return
    p = patch_size
    block = getattr(scene, "block_shape", (256, 256))
    order = np.argsort(first[:, 0], kind="stable")
    rows, cols = first[order].T
    left, right = int(cols.min()), int(cols.max()) + p
    # a raster of a single huge block cannot be held whole for each band of a composite
    block = min(block[0], max(1, 4 * _BAND_PIXELS // (right - left))), block[1]
    height = max(1, min(_BAND, _BAND_PIXELS // (right - left)) // block[0]) * block[0]
    buffer = None
    for top in _tops(rows, p, height):
        # Windows that touch the band are order[low:high]; those that end in it, order[low:done].
        low, done, high = np.searchsorted(rows, [top - p + 1, top + height - p + 1, top + height])
        touched = np.stack([rows[low:high], cols[low:high]], axis=1)
        free_blocks()
        if buffer is not None:
            buffer[: p - 1] = buffer[height:]
        for window in _windows(touched, p, top, height, block):
            pixels = scene.read(bands, window)
            if buffer is None:
                buffer = np.empty((height + p - 1, right - left, pixels.shape[-1]), np.float32)
            row, col = window.row_off - top + p - 1, window.col_off - left
            buffer[row : row + window.height, col : col + window.width] = pixels
        if done > low and buffer is not None:
            place = touched[: done - low] - [top - p + 1, left]
            for start, stop, some in _apart(place[:, 1], p):
                yield order[low:done][some], buffer[:, start:stop], place[some] - [0, start]


def _tops(rows: np.ndarray, p: int, height: int) -> list[int]:
    """First rows of the bands that windows touch."""
    touched = np.zeros(int(rows[-1] + p - 1) // height + 2, np.int64)
    np.add.at(touched, rows // height, 1)
    np.add.at(touched, (rows + p - 1) // height + 1, -1)
    return (np.flatnonzero(np.cumsum(touched)) * height).tolist()


def _windows(first: np.ndarray, p: int, top: int, height: int, block: tuple[int, int]) -> Iterator[Window]:
    """Rectangles of blocks that hold the pixels of the windows in a band, no block in two.

    Blocks on the outside are read as far as windows reach.
    """
    low, high = first.copy(), first + p
    low[:, 0], high[:, 0] = np.maximum(low[:, 0], top), np.minimum(high[:, 0], top + height)
    corner, end = low.min(axis=0), high.max(axis=0)
    origin = corner // block
    a, b = low // block - origin, (high - 1) // block - origin + 1
    change = np.zeros(b.max(axis=0) + 1, np.int64)
    for sign, i, j in ((1, a[:, 0], a[:, 1]), (-1, b[:, 0], a[:, 1]), (-1, a[:, 0], b[:, 1]), (1, b[:, 0], b[:, 1])):
        np.add.at(change, (i, j), sign)
    needed = change.cumsum(axis=0).cumsum(axis=1)[:-1, :-1] > 0
    same_as_above = np.r_[False, (needed[1:] == needed[:-1]).all(axis=1)]
    starts = np.flatnonzero(~same_as_above)
    for start, stop in zip(starts, np.r_[starts[1:], len(needed)], strict=True):
        edges = np.flatnonzero(np.diff(np.r_[0, needed[start].astype(np.int8), 0]))
        for left, right in edges.reshape(-1, 2):
            upper = np.maximum((np.array([start, left]) + origin) * block, corner)
            lower = np.minimum((np.array([stop, right]) + origin) * block, end)
            yield from _parts(upper.tolist(), lower.tolist(), block)


def _parts(upper: list[int], lower: list[int], block: tuple[int, int]) -> Iterator[Window]:
    """Cut a rectangle between blocks into parts that are small enough to be read at once."""
    (top, left), (bottom, right) = upper, lower
    tall = max(1, _AT_ONCE // (right - left) // block[0]) * block[0]
    if (right - left) * min(tall, bottom - top) <= _AT_ONCE:
        wide = right
    else:
        wide = max(1, _AT_ONCE // min(tall, bottom - top) // block[1]) * block[1]
    for row in _cuts(top, bottom, tall):
        for col in _cuts(left, right, wide):
            yield Window(row[0], col[0], row[1] - row[0], col[1] - col[0])


def _cuts(start: int, stop: int, step: int) -> list[tuple[int, int]]:
    """The parts of a range between the multiples of a step."""
    at = [start, *range((start // step + 1) * step, stop, step), stop]
    return list(pairwise(at))


def _apart(cols: np.ndarray, p: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Groups of windows that share no column with those of another, with the columns that they cover."""
    order = np.argsort(cols, kind="stable")
    breaks = np.flatnonzero(np.diff(cols[order]) >= p) + 1
    for some in np.split(order, breaks):
        yield int(cols[some[0]]), int(cols[some[-1]]) + p, some
