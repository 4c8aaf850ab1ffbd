"""Write a map so that it appears under its name only when it is complete."""

from __future__ import annotations

import logging
import os
import secrets
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from ..exceptions import OutputExistsError, OutputFolderError, SceneError, SceneReadError, SklandslideError
from ..geodata import Grid

__all__ = ["MapWriter", "check_complete", "check_output", "is_unfinished"]

_log = logging.getLogger("sklandslide")

# Side of the GeoTIFF's blocks. Each is written once, row by row, so that equal maps are equal files.
BLOCK = 256
# What a disk, a folder or GDAL may answer. Some of GDAL's errors reach us as they are, not as rasterio's.
_FAULTS = (OSError, RasterioError, CPLE_BaseError)
# What GDAL reads together with a raster, and would apply to whatever raster comes to have that name.
_SIDE_FILES = (".msk", ".ovr", ".aux.xml")


def check_output(path: Any, overwrite: bool, inputs: tuple[str, ...] = ()) -> str:
    """Return the absolute path of an output file, or say why it cannot be written.

    Raises
    ------
    OutputExistsError
        If the file, or a file that GDAL would read together with it, exists and `overwrite` is false, or is a folder or
        a device.
    OutputFolderError
        If the folder of the file does not exist.
    SceneError
        If the file is one of the `inputs` or belongs to one, or has the name of an unfinished map.
    """
    path = os.path.abspath(os.fspath(path))
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise OutputFolderError(f"The folder {folder} does not exist, so {path} cannot be written. Create it first.")
    if os.path.isdir(path):
        raise OutputExistsError(f"{path} is a folder; the output needs a file name in it. Choose another name.")
    if os.path.realpath(path) in {os.path.realpath(p + end) for p in inputs for end in ("", *_SIDE_FILES)}:
        raise SceneError(
            f"{path} is one of the scene's own rasters; writing the map there would destroy it. Choose another name."
        )
    if is_unfinished(name):
        raise SceneError(f"{path} has the name of an unfinished map ({name}). Choose one without the dot in front.")
    if os.path.lexists(path):
        if not (os.path.islink(path) or os.path.isfile(path)):
            raise OutputExistsError(f"{path} is no file but a device or a pipe. Choose another name.")
        if not overwrite:
            raise OutputExistsError(f"{path} exists. Pass overwrite=True to replace it, or choose another name.")
    beside = [path + end for end in _SIDE_FILES if os.path.lexists(path + end)]
    if beside and not overwrite:
        raise OutputExistsError(
            f"{beside[0]} exists, left by a raster that had this name; it would be taken for a part of the new file. "
            "Remove it, or pass overwrite=True."
        )
    return path


def is_unfinished(name: str) -> bool:
    """Whether a file has a name that unfinished maps have.

    Examples
    --------
    >>> from sklandslide.mapping.writer import is_unfinished
    >>> [is_unfinished(name) for name in (".map.tif.part", ".map.tif.journal", "map.tif")]
    [True, True, False]
    """
    return name.startswith(".") and name.endswith((".part", ".journal"))


def check_complete(dataset: Any, size: int, *, sparse: bool = True) -> None:
    """Refuse a GeoTIFF that ends before its last block does: GDAL opens it without complaint.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
    size : int
        Of the file, in bytes.
    sparse : bool, default=True
        Whether blocks may be absent.

    Raises
    ------
    SceneReadError
        If a block is missing or reaches beyond the file's end.
    """
    if dataset.driver != "GTiff":
        return
    height, width = dataset.block_shapes[0]
    for row in range(-(-dataset.height // height)):
        for col in range(-(-dataset.width // width)):
            offset = int(dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=1) or 0)
            length = int(dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=1) or 0)
            if offset + length > size or not (sparse or (offset and length)):
                raise SceneReadError(
                    f"{dataset.name} is truncated: it has {size} bytes, and its block in row {row}, column {col} is to "
                    f"end at byte {offset + length}. Copy it again, or make the map again."
                )


class MapWriter:
    """A tiled, compressed GeoTIFF of float32 with NaN for nodata, moved to its name when it is whole.

    Before it is moved it is read again and compared with what was written. A file that another process put in its
    place, or changed, is not taken for it.

    Parameters
    ----------
    path : str
        From `check_output`.
    grid : Grid
    tags : dict of str to str
        Metadata of the data set.
    overwrite : bool, default=True
        Whether a file of that name may be replaced that is there at the end.
    alone : bool, default=True
        Whether nobody else makes the same map; else the unfinished file gets a name of its own.

    Attributes
    ----------
    published : bool
        Whether the file has its name.
    """

    def __init__(
        self, path: str, grid: Grid, tags: dict[str, Any], *, overwrite: bool = True, alone: bool = True
    ) -> None:
        self.path, self.grid, self.tags, self.overwrite = path, grid, tags, overwrite
        folder, name = os.path.split(path)
        self._part = os.path.join(folder, f".{name}.part" if alone else f".{name}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> MapWriter:
        self.published = False
        self._dataset: Any = None
        self._made: os.stat_result | None = None
        self._sums: list[tuple[int, int, int]] = []  # first row, rows, checksum of their values
        self._check_name()  # another process may have made the map since it was asked for
        try:
            # What a killed process left: GDAL would look into it before it replaces it, and may stumble over it.
            with suppress(FileNotFoundError):
                os.remove(self._part)
            self._create()
        except BaseException as error:
            self._give_up()
            if isinstance(error, _FAULTS):
                raise self._failed(error) from error
            raise
        return self

    def _create(self) -> None:
        self._dataset = rasterio.open(
            self._part,
            "w",
            driver="GTiff",
            width=self.grid.shape[1],
            height=self.grid.shape[0],
            count=1,
            dtype="float32",
            crs=self.grid.crs,
            transform=self.grid.transform,
            nodata=np.nan,
            tiled=True,
            blockxsize=BLOCK,
            blockysize=BLOCK,
            compress="deflate",
            predictor=3,
            bigtiff="IF_SAFER",
        )
        self._made = os.stat(self._part)
        self._dataset.set_band_description(1, "landslide probability")
        self._dataset.update_tags(**{f"SKLANDSLIDE_{k}": str(v) for k, v in self.tags.items()})

    def write_rows(self, values: np.ndarray, first: int) -> None:
        """Write rows of blocks, from the map's row `first` on."""
        for col in range(0, values.shape[1], BLOCK):
            block = values[:, col : col + BLOCK]
            try:
                self._dataset.write(block, 1, window=RasterioWindow(col, first, block.shape[1], block.shape[0]))
            except _FAULTS as error:
                raise self._failed(error) from error
        self._sums.append((first, len(values), zlib.crc32(np.ascontiguousarray(values).data)))

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._dataset.close()
            if kind is None:
                self._check()
                self._publish()
        except OutputExistsError:
            raise
        except (*_FAULTS, SceneReadError) as failure:
            if kind is None:
                raise self._failed(failure) from failure
        finally:
            self._give_up()

    def _check(self) -> None:
        """Compare the file with what was written: a disk that fills up while it is closed is not reported."""
        with rasterio.open(self._part) as dataset:
            check_complete(dataset, os.path.getsize(self._part), sparse=False)
            for first, rows, checksum in self._sums:
                values = dataset.read(1, window=RasterioWindow(0, first, dataset.width, rows))
                if zlib.crc32(values) != checksum:
                    raise SceneReadError(f"rows {first} to {first + rows - 1} of {self._part} are not what was written")

    def _publish(self) -> None:
        # The name must not reach the disk before the bytes do: a power cut may come between.
        _to_disk(self._part)
        if not self._is_ours():
            raise SceneReadError(f"{self._part} was replaced by another process")
        self._check_name()
        for end in _SIDE_FILES:
            with suppress(FileNotFoundError):
                os.remove(self.path + end)
        os.replace(self._part, self.path)
        self.published = True
        try:
            _to_disk(os.path.dirname(self.path))
        except OSError as error:  # some file systems cannot; the map is there and whole
            _log.warning(
                "%s is made, but its folder could not be written to the disk (%s): it may be gone after a power cut.",
                self.path,
                error.strerror,
            )

    def _check_name(self) -> None:
        found = [self.path + end for end in ("", *_SIDE_FILES) if os.path.lexists(self.path + end)]
        if found and not self.overwrite:
            raise OutputExistsError(
                f"{found[0]} was made by someone else in the meantime. The tiles that are finished are kept: pass "
                "overwrite=True to replace that file, or move it away, and the same call goes on from there."
            )

    def _is_ours(self) -> bool:
        """Whether the unfinished file is the one that was made here."""
        return self._made is None or os.path.samestat(os.stat(self._part), self._made)

    def _give_up(self) -> None:
        """Close and remove the unfinished file, if that is still ours."""
        if self._dataset is not None:
            with suppress(*_FAULTS):
                self._dataset.close()
        try:
            if not self.published and self._is_ours():
                os.remove(self._part)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.warning("%s is left, and could not be removed: %s.", self._part, error.strerror)

    def _failed(self, error: Exception) -> SklandslideError:
        return SklandslideError(
            f"{self.path} could not be written: {error}. Check that the disk has room, the folder is writable and "
            "nothing else writes there; the tiles that are finished are kept, and the same call goes on from there."
        )


def _to_disk(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
