"""Write a map so that it appears under its name only when it is complete."""

from __future__ import annotations

import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from ..exceptions import SklandslideError
from ..geodata import Grid, publish, style_beside
from .styles import map_style

# Rows of the map that are written at a time.
BLOCK = 256
# Overviews average what is valid: they are probabilities too, of more ground.
_COG = {"compress": "deflate", "predictor": "floating_point", "overview_predictor": "floating_point"}
_COG |= {"blocksize": "512", "resampling": "average", "bigtiff": "if_safer"}
# What the bands of a map say of themselves; it has the second one where an area of applicability was asked for.
BANDS = ("landslide probability", "dissimilarity over its threshold (above 1: outside the area of applicability)")


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


def write_geotiff(
    path: str | os.PathLike[str], grid: Grid, tags: Mapping[str, Any], *bands: Iterable[np.ndarray]
) -> bool:
    """Write a Cloud Optimised GeoTIFF of float32 with NaN for nodata; tell whether any value is valid.

    The rows of each band come from the first to the last, `BLOCK` of them at a time. The overviews stand before the map
    in the file, so GDAL makes it of a plain one. It is read again and compared with the rows: a disk that fills up
    while a file is closed is not reported.
    """
    plain = f"{path}.plain"
    profile = {"driver": "GTiff", "count": len(bands), "dtype": "float32", "nodata": np.nan, "bigtiff": "IF_SAFER"}
    profile |= {"height": grid.shape[0], "width": grid.shape[1], "crs": grid.crs, "transform": grid.transform}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1}
    if len(bands) > 1:  # one after the other, as they are written
        profile |= {"interleave": "band"}
    checksums, any_valid = [], False
    with rasterio.open(plain, "w", **profile) as file:
        file.update_tags(**{f"SKLANDSLIDE_{name}": str(value) for name, value in tags.items()})
        for band, rows in enumerate(bands, 1):
            file.set_band_description(band, BANDS[band - 1])
            for number, values in enumerate(rows):
                # each block once, row by row, so that the file does not depend on what GDAL keeps in memory
                for col in range(0, values.shape[1], BLOCK):
                    block = values[:, col : col + BLOCK]
                    file.write(block, band, window=RasterioWindow(col, number * BLOCK, block.shape[1], block.shape[0]))
                checksums.append((band, number, zlib.crc32(values.data)))
                any_valid |= bool(np.isfinite(values).any())
    if any_valid:
        rasterio.shutil.copy(plain, path, driver="COG", **_COG)
        _check(path, checksums)
    os.remove(plain)
    return any_valid


def publish_map(part: str, path: str, tags: Mapping[str, Any], overwrite: bool) -> None:
    """Give a map that is written its name, and QGIS a style beside it to open it with."""
    style = f"{part}.qml"
    with open(style, "w", encoding="utf-8") as file:
        file.write(map_style(float(tags.get("THRESHOLD", 0.5))))
    publish(part, path, overwrite)
    publish(style, style_beside(path), overwrite)


def _check(path: str | os.PathLike[str], checksums: list[tuple[int, int, int]]) -> None:
    """Read a map and its overviews, and compare the map with what was to be written, `BLOCK` rows at a time."""
    with rasterio.open(path) as file:
        bands = file.indexes
        found = [
            (band, number, zlib.crc32(rows.data)) for band in bands for number, rows in enumerate(_rows_of(file, band))
        ]
        levels = len(file.overviews(1))
    if found != checksums:
        raise OSError(f"{path} is not what was written to it")
    for level in range(levels):
        with rasterio.open(path, overview_level=level) as file:
            for band in bands:
                deque(_rows_of(file, band), maxlen=0)


def _rows_of(file: Any, band: int) -> Iterator[np.ndarray]:
    for row in range(0, file.height, BLOCK):
        yield file.read(band, window=RasterioWindow(0, row, file.width, min(BLOCK, file.height - row)))
