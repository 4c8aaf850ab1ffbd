"""One band of one raster: read a window of it on its own grid, as float32 with NaN for nodata in whatever form.

No dataset outlives a call: an open one can be neither pickled nor shared between threads.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window as RasterioWindow

from ..composites import polarisation_in
from ..exceptions import BandError, SceneError, SceneReadError
from .grid import Grid, Window
from .opening import check_band, faults_of, files_behind, open_raster, raster_name, stamp_of
from .terrain import slope_degrees

# Bytes of blocks that GDAL may keep for us between the parts of a scene.
_KEPT = 2**28
# No measurement is as large: software writes the largest float32 and the like for nodata, and loses the tag.
_LARGEST = 1e38
# Tags of a band in which GDAL's drivers for radar products (SAFE, RS2) give its polarisation.
_POLARISATION_TAGS = ("POLARISATION", "POLARIZATION", "POLARIMETRIC_INTERP")
# What GDAL says of a band whose nodata is its tag or nothing: then there is no mask to be read besides.
_NO_MASK = ([MaskFlags.all_valid], [MaskFlags.nodata])


class _Files(threading.local):
    """The datasets that this thread keeps open, the bytes read from them, and chunks that dask computed."""

    keeping = False
    bytes_read = 0

    def __init__(self) -> None:
        self.datasets: dict[Any, Any] = {}
        self.chunks: dict[tuple[str, int, int], np.ndarray] = {}  # by name of the dask array and place in it

    def dataset(self, band: FileBand) -> Any:
        key = band.path, band.stamp
        if key not in self.datasets:
            self.datasets[key] = open_raster(band.path)
        return self.datasets[key]

    def close(self) -> None:
        while self.datasets:
            self.datasets.popitem()[1].close()
        self.bytes_read = 0


_files = _Files()


@contextmanager
def keeping_open() -> Iterator[None]:
    """Open each file once, in this thread, for all that is read inside; close them all at the end.

    GDAL keeps the blocks of an open dataset for a while, so that a block that two windows share (at the seams of warped
    bands, of slope, of the bands of one file) is not read again. The chunks of dask arrays that the last window touched
    are kept too.
    """
    if _files.keeping:
        yield
        return
    _files.keeping = True
    try:
        yield
    finally:
        _files.keeping = False
        _files.close()
        _files.chunks.clear()


def free_blocks() -> None:
    """Let GDAL forget the blocks that it keeps (up to a twentieth of the machine's memory) where they are many."""
    if _files.bytes_read > _KEPT:
        _files.close()


@dataclass(frozen=True)
class FileBand:
    """A band of a raster file: a path and what the file was like when it was first seen.

    As every band it has its own `grid`, an `identity` that changes when the content does, and reads windows of it.
    """

    path: str  # or a data set in a file, as `raster_name` writes it
    index: int
    grid: Grid
    nodata: tuple[float, ...]
    files: tuple[str, ...]
    stamp: tuple[int, ...]
    block_shape: tuple[int, int]

    @classmethod
    def open(cls, path: Any, index: int = 1, nodata: tuple[float, ...] = (), name: str = "") -> FileBand:
        """Look at the file's header; raise SceneReadError or SceneError if it cannot serve as a band of this name."""
        path = raster_name(path)
        files = files_behind(path)
        stamp = stamp_of(files)
        with faults_of(path), open_raster(path) as dataset:
            check_band(dataset, files[0], index)
            # rasterio's stand-in for none, also where there are ground control points (Sentinel-1 GRD).
            if dataset.transform.is_identity:
                raise SceneError(
                    f"{path} has no geotransform, so its pixels have no place on the map. Terrain-correct or "
                    "georeference it first (SNAP: Terrain Correction; GDAL: gdalwarp), or use Scene.from_arrays."
                )
            grid = Grid(dataset.crs, dataset.transform, dataset.shape)
            block_shape = tuple(dataset.block_shapes[index - 1])
            tags = dataset.tags(index)
            said = polarisation_in(dataset.descriptions[index - 1], *(tags.get(tag) for tag in _POLARISATION_TAGS))
        wanted = polarisation_in(name)
        if wanted and said and said != wanted:
            raise BandError(
                f"Band {name!r} is to be {wanted}, but band {index} of {path} says of itself that it is {said}. "
                "Swapped polarisations give a map that looks right and is not. Give the right file or number of the "
                "band; if the file is wrong about itself, pass check_polarisation=False."
            )
        return cls(path, int(index), grid, nodata, files, stamp, block_shape)

    def __getstate__(self) -> dict[str, Any]:
        # A cache (joblib's, a Pipeline's) knows a scene by its pickle. Once the file was changed that must be another
        # one, or the cache would hand out what `read` refuses.
        now = stamp_of(self.files)
        return self.__dict__ if now == self.stamp else {**self.__dict__, "changed": now}

    @property
    def identity(self) -> str:
        return repr((self.path, self.index, self.nodata, self.stamp))

    def read(self, window: Window) -> np.ndarray:
        self._check_unchanged()
        where = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        advice = "The file may be truncated or damaged; copy or download it again."
        with faults_of(self.path, f" at {window}", advice), keeping_open():
            dataset = _files.dataset(self)
            values = dataset.read(self.index, window=where)
            _files.bytes_read += values.nbytes
            tag = dataset.nodatavals[self.index - 1]
            # Where a file has a mask and a tag, GDAL's mask is the mask band alone and the tag is left out.
            masks = [] if tag is None else [differ(values, tag)]
            if dataset.mask_flag_enums[self.index - 1] not in _NO_MASK:
                masks.append(dataset.read_masks(self.index, window=where) != 0)
            scale = dataset.scales[self.index - 1], dataset.offsets[self.index - 1]
        self._check_unchanged()  # while it was read
        return as_float(values, self.nodata, masks, scale)

    def _check_unchanged(self) -> None:
        if stamp_of(self.files) != self.stamp:
            raise SceneReadError(
                f"{self.path} was changed or removed since it was opened, or a file that belongs to it. Build the "
                "scene, or open the map, again, so that old and new pixels are not mixed."
            )


@dataclass(frozen=True, eq=False)
class ArrayBand:
    """A band held in memory, read-only."""

    array: np.ndarray = field(repr=False)
    grid: Grid
    nodata: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        self.array.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.array.flags.writeable = False

    @property
    def identity(self) -> str:
        content = np.ascontiguousarray(self.array)
        digest = hashlib.sha256(content.view(np.uint8).data).hexdigest()
        return repr((content.shape, content.dtype.str, self.nodata, digest))

    def read(self, window: Window) -> np.ndarray:
        return as_float(self.array[window.slices].copy(), self.nodata)


@dataclass(frozen=True, eq=False)
class DaskBand:
    """A band in chunks that dask computes, in this process, when they are read."""

    name: str
    array: Any = field(repr=False)  # dask.array.Array of shape grid.shape
    grid: Grid
    nodata: tuple[float, ...] = ()
    tags: tuple[float, ...] = ()  # as the nodata tag of a file
    scale: tuple[float, float] = (1, 0)

    @property
    def block_shape(self) -> tuple[int, int]:
        return max(self.array.chunks[0]), max(self.array.chunks[1])

    @property
    def identity(self) -> str:
        return repr((self.array.name, self.array.dtype.str, self.nodata, self.tags, self.scale))

    def read(self, window: Window) -> np.ndarray:
        out = np.empty((window.height, window.width), self.array.dtype)
        with keeping_open():
            try:
                compute_chunks([(self, window)])
            except SceneReadError:  # says more itself
                raise
            except Exception as error:  # whatever is behind the array: a network, a file, code of the user's
                raise SceneReadError(
                    f"Band {self.name!r} cannot be computed by dask at {window}: {type(error).__name__}: {error}. What "
                    "is behind it may be missing or out of reach. Where a map is made its finished tiles are kept, and "
                    "the same call goes on from there."
                ) from error
            for place, (into, part) in self.chunks_in(window).items():
                out[into] = _files.chunks[self.array.name, *place][part]
            # Slope needs a pixel more on each side.
            near = self.chunks_in(Window(window.row_off - 1, window.col_off - 1, window.height + 2, window.width + 2))
            for key in [key for key in _files.chunks if key[0] == self.array.name and key[1:] not in near]:
                del _files.chunks[key]
        return as_float(out, self.nodata, [differ(out, tag) for tag in self.tags], self.scale)

    def chunks_in(self, window: Window) -> dict[tuple[int, int], tuple[tuple[slice, ...], tuple[slice, ...]]]:
        """The chunks that a window touches: where each lies in the window, and what part of it."""
        rows, cols = (_cut(lengths, part) for lengths, part in zip(self.array.chunks, window.slices, strict=True))
        return {(i, j): ((y, x), (v, u)) for i, y, v in rows for j, x, u in cols}


def compute_chunks(parts: Iterable[tuple[DaskBand, Window]]) -> None:
    """Compute the chunks of these windows that this thread does not hold, all at once: what they share is done once."""
    import dask

    lacking = {
        (band.array.name, *place): band.array.blocks[place]
        for band, window in parts
        for place in band.chunks_in(window)
        if (band.array.name, *place) not in _files.chunks
    }
    _files.chunks.update(zip(lacking, dask.compute(*lacking.values(), scheduler="threads"), strict=True))


def _cut(lengths: Sequence[int], part: slice) -> list[tuple[int, slice, slice]]:
    """The chunks along an axis that a part of it touches: number, place in the part, and what part of the chunk."""
    ends = np.cumsum(lengths)
    touched = np.flatnonzero((ends > part.start) & (ends - lengths < part.stop)).tolist()
    cuts = []
    for i in touched:
        start, stop = int(ends[i]) - lengths[i], int(ends[i])
        low, high = max(start, part.start), min(stop, part.stop)
        cuts.append((i, slice(low - part.start, high - part.start), slice(low - start, high - start)))
    return cuts


@dataclass(frozen=True)
class SlopeBand:
    """Slope in degrees, computed from a DEM on the DEM's own grid."""

    dem: Band

    @property
    def grid(self) -> Grid:
        return self.dem.grid

    @property
    def identity(self) -> str:
        return f"slope of {self.dem.identity}"

    def read(self, window: Window) -> np.ndarray:
        ring = self.with_ring(window)
        top, left = window.row_off - ring.row_off, window.col_off - ring.col_off
        below, right = ring.height - window.height - top, ring.width - window.width - left
        missing = (1 - top, 1 - below), (1 - left, 1 - right)
        return slope_degrees(self.dem.read(ring), self.grid, window, missing)

    def with_ring(self, window: Window) -> Window:
        """The pixels of the DEM that a window needs: one more on each side, where there is one."""
        (top, bottom), (left, right) = (
            (max(0, part.start - 1), min(length, part.stop + 1))
            for part, length in zip(window.slices, self.grid.shape, strict=True)
        )
        return Window(top, left, bottom - top, right - left)


Band: TypeAlias = FileBand | ArrayBand | DaskBand | SlopeBand


def compute_together(bands: Iterable[Band], window: Window) -> None:
    """Compute what dask bands have in a window of their grid at once, as they may share more than their chunks."""
    needs = [(b.dem, b.with_ring(window)) if isinstance(b, SlopeBand) else (b, window) for b in bands]
    parts = [(band, where) for band, where in needs if isinstance(band, DaskBand)]
    if len(parts) > 1:
        with suppress(Exception):  # the band that fails says so when it is read
            compute_chunks(parts)


def as_float(
    values: np.ndarray,
    nodata: tuple[float, ...],
    masks: Sequence[np.ndarray] = (),
    scale: tuple[float, float] = (1, 0),
) -> np.ndarray:
    """Float32 with NaN for what is nodata, not finite, or too large (-3.4e38 and -1.8e308 are written for nodata).

    The masks are True where values are valid. `scale` is a factor, and what is added then; nodata are values as they
    are stored. Float32 `values` are written to.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        real = values if scale == (1, 0) else values.astype(np.float64) * scale[0] + scale[1]
        out = real.astype(np.float32, copy=False)
        valid = np.abs(out) < _LARGEST
        for mask in (*masks, *(values != value for value in nodata)):
            valid &= mask
    if not valid.all():
        out[~valid] = np.nan
    return out


def differ(values: np.ndarray, tag: float) -> np.ndarray:
    """Where values are not the nodata tag, which GDAL compares to the last few places of floating-point numbers."""
    differ = values != tag
    if values.dtype.kind == "f" and abs(tag) <= np.finfo(values.dtype).max:
        with np.errstate(over="ignore", invalid="ignore"):
            differ &= ~(np.abs(values - tag) < 2 * np.finfo(values.dtype).eps * np.abs(values + tag))
    return differ
