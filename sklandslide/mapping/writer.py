"""Write a map so that it appears under its name only when it is complete."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from ..exceptions import OutputExistsError, OutputFolderError, SceneError, SceneReadError, SklandslideError
from ..grid import Grid

__all__ = ["MapWriter", "check_complete", "check_output"]

# Side of the GeoTIFF's blocks. Each is written once, row by row, so that equal maps are equal files.
BLOCK = 256


def check_output(path: Any, overwrite: bool, inputs: tuple[str, ...] = ()) -> str:
    """Return the absolute path of an output file, or say why it cannot be written.

    Raises
    ------
    OutputExistsError
        If the file exists and `overwrite` is false, or is a folder.
    OutputFolderError
        If the file is to lie in a folder that does not exist.
    SceneError
        If the file is one of the `inputs`.
    """
    path = os.path.abspath(os.fspath(path))
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise OutputFolderError(f"The folder {folder} does not exist, so {path} cannot be written. Create it first.")
    if os.path.isdir(path):
        raise OutputExistsError(f"{path} is a folder; the output needs a file name in it. Choose another name.")
    if os.path.realpath(path) in {os.path.realpath(p) for p in inputs}:
        raise SceneError(
            f"{path} is one of the scene's own rasters; writing the map there would destroy it. Choose another name."
        )
    if os.path.exists(path) and not overwrite:
        raise OutputExistsError(f"{path} exists. Pass overwrite=True to replace it, or choose another name.")
    return path


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

    Parameters
    ----------
    path : str
        From `check_output`.
    grid : Grid
    tags : dict of str to str
        Metadata of the data set.
    """

    def __init__(self, path: str, grid: Grid, tags: dict[str, Any]) -> None:
        self.path, self.grid, self.tags = path, grid, tags

    def __enter__(self) -> MapWriter:
        folder, name = os.path.split(self.path)
        self._part = os.path.join(folder, f".{name}.part")
        try:
            # What a killed process left: GDAL would look into it before it replaces it, and may stumble over it.
            self._remove()
            self._dataset = self._create()
        except (OSError, RasterioError) as error:
            self._remove()
            raise self._failed(error) from error
        return self

    def _create(self) -> Any:
        dataset = rasterio.open(
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
        dataset.set_band_description(1, "landslide probability")
        dataset.update_tags(**{f"SKLANDSLIDE_{k}": str(v) for k, v in self.tags.items()})
        return dataset

    def write_rows(self, values: np.ndarray, first: int) -> None:
        """Write rows of blocks, from the map's row `first` on."""
        for col in range(0, values.shape[1], BLOCK):
            block = values[:, col : col + BLOCK]
            try:
                self._dataset.write(block, 1, window=RasterioWindow(col, first, block.shape[1], block.shape[0]))
            except RasterioError as error:
                raise self._failed(error) from error

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._dataset.close()
            if kind is None:
                self._check_and_publish()
        except (OSError, RasterioError, SceneReadError) as failure:
            if kind is None:
                raise self._failed(failure) from failure
        finally:
            self._remove()

    def _check_and_publish(self) -> None:
        # A disk that fills up while the file is closed is not reported: look whether everything is there.
        with rasterio.open(self._part) as dataset:
            check_complete(dataset, os.path.getsize(self._part), sparse=False)
        # The name must not reach the disk before the bytes do: a power cut may come between.
        _to_disk(self._part)
        os.replace(self._part, self.path)
        _to_disk(os.path.dirname(self.path))

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            os.remove(self._part)

    def _failed(self, error: Exception) -> SklandslideError:
        return SklandslideError(
            f"{self.path} could not be written: {error}. Check that the disk has room and the folder is writable; the "
            "tiles that are finished are kept, and the same call goes on from there."
        )


def _to_disk(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
