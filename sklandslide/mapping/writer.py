"""Write a map so that it appears under its name only when it is complete."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from ..exceptions import OutputExistsError, OutputFolderError, SceneError, SklandslideError
from ..geodata import Grid

# Side of the GeoTIFF's blocks. Each is written once, row by row, so that equal maps are equal files.
BLOCK = 256
# What the bands of a map say of themselves; it has the second one where an area of applicability was asked for.
BANDS = ("landslide probability", "dissimilarity over its threshold (above 1: outside the area of applicability)")
# What GDAL reads together with a raster, and would apply to whatever raster comes to have that name.
_SIDE_FILES = (".msk", ".ovr", ".aux.xml")


def check_output(path: Any, overwrite: bool, inputs: tuple[str, ...] = ()) -> str:
    """Return the absolute path of an output file, or say why it cannot be written.

    `inputs` are files that must not be overwritten, nor what belongs to them.
    """
    path = os.path.abspath(os.fspath(path))
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise OutputFolderError(f"The folder {folder} does not exist, so {path} cannot be written. Create it first.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputExistsError(f"{path} is a folder or a device; the output needs a file name. Choose another name.")
    if os.path.realpath(path) in {os.path.realpath(p + end) for p in inputs for end in ("", *_SIDE_FILES)}:
        raise SceneError(
            f"{path} is one of the scene's own rasters; writing the map there would destroy it. Choose another name."
        )
    _require_free(path, overwrite)
    return path


def _require_free(path: str, overwrite: bool) -> None:
    """Refuse to replace a file, or what GDAL would take for a part of the new one, unless that is wanted."""
    found = [path + end for end in ("", *_SIDE_FILES) if os.path.lexists(path + end)]
    if found and not overwrite:
        raise OutputExistsError(
            f"{found[0]} exists. Pass overwrite=True to replace it, with all that belongs to the file of that name, or "
            "choose another name. Finished tiles of a map are kept."
        )


@contextmanager
def clear_errors(path: str) -> Iterator[None]:
    """Turn what a disk, a folder or GDAL may answer into an error that names the map and the remedy."""
    try:
        yield
    except SklandslideError:
        raise
    except (OSError, RasterioError, CPLE_BaseError) as error:  # some of GDAL's reach us as they are, not as rasterio's
        raise SklandslideError(
            f"{path} could not be written: {error}. Check that the disk has room, the folder can be written to and the "
            "name is not too long; the tiles that are finished are kept, and the same call goes on from there."
        ) from error


def write_geotiff(path: str, grid: Grid, tags: Mapping[str, Any], *bands: Iterable[np.ndarray]) -> bool:
    """Write a tiled, compressed GeoTIFF of float32 with NaN for nodata; tell whether any value is valid.

    The rows of each band come from the first to the last, `BLOCK` of them at a time. The file is read again and
    compared with them: a disk that fills up while it is closed is not reported.
    """
    profile = {"driver": "GTiff", "count": len(bands), "dtype": "float32", "nodata": np.nan, "bigtiff": "IF_SAFER"}
    profile |= {"height": grid.shape[0], "width": grid.shape[1], "crs": grid.crs, "transform": grid.transform}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "predictor": 3}
    if len(bands) > 1:  # one after the other, as they are written
        profile |= {"interleave": "band"}
    checksums, any_valid = [], False
    with rasterio.open(path, "w", **profile) as file:
        file.update_tags(**{f"SKLANDSLIDE_{name}": str(value) for name, value in tags.items()})
        for band, rows in enumerate(bands, 1):
            file.set_band_description(band, BANDS[band - 1])
            for number, values in enumerate(rows):
                for col in range(0, values.shape[1], BLOCK):
                    block = values[:, col : col + BLOCK]
                    file.write(block, band, window=RasterioWindow(col, number * BLOCK, block.shape[1], block.shape[0]))
                checksums.append((band, number, zlib.crc32(values.data)))
                any_valid |= bool(np.isfinite(values).any())
    with rasterio.open(path) as file:
        for band, number, checksum in checksums:
            height = min(BLOCK, grid.shape[0] - number * BLOCK)
            if zlib.crc32(file.read(band, window=RasterioWindow(0, number * BLOCK, grid.shape[1], height))) != checksum:
                raise OSError(f"{path} is not what was written to it")
    return any_valid


def publish(part: str, path: str, overwrite: bool) -> None:
    """Give a file its name, in place of the one that had it."""
    with open(part, "r+b") as file:  # the bytes reach the disk before the name does: a power cut may come between
        os.fsync(file.fileno())
    _require_free(path, overwrite)  # another process may have made it since it was asked for
    for end in _SIDE_FILES:
        with suppress(FileNotFoundError):
            os.remove(path + end)
    os.replace(part, path)
