"""Write a map so that it appears under its name only when it is complete."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from ..exceptions import SklandslideError
from ..geodata import Grid

# Side of the GeoTIFF's blocks. Each is written once, row by row, so that equal maps are equal files.
BLOCK = 256


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


def write_geotiff(path: str, grid: Grid, tags: Mapping[str, Any], rows: Iterable[np.ndarray]) -> bool:
    """Write a tiled, compressed GeoTIFF of float32 with NaN for nodata; tell whether any value is valid.

    `rows` come from the first to the last, `BLOCK` of them at a time. The file is read again and compared with them: a
    disk that fills up while it is closed is not reported.
    """
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "nodata": np.nan, "bigtiff": "IF_SAFER"}
    profile |= {"height": grid.shape[0], "width": grid.shape[1], "crs": grid.crs, "transform": grid.transform}
    profile |= {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "predictor": 3}
    checksums, any_valid = [], False
    with rasterio.open(path, "w", **profile) as file:
        file.set_band_description(1, "landslide probability")
        file.update_tags(**{f"SKLANDSLIDE_{name}": str(value) for name, value in tags.items()})
        for number, values in enumerate(rows):
            for col in range(0, values.shape[1], BLOCK):
                block = values[:, col : col + BLOCK]
                file.write(block, 1, window=RasterioWindow(col, number * BLOCK, block.shape[1], block.shape[0]))
            checksums.append(zlib.crc32(values.data))
            any_valid |= bool(np.isfinite(values).any())
    with rasterio.open(path) as file:
        for number, checksum in enumerate(checksums):
            height = min(BLOCK, grid.shape[0] - number * BLOCK)
            if zlib.crc32(file.read(1, window=RasterioWindow(0, number * BLOCK, grid.shape[1], height))) != checksum:
                raise OSError(f"{path} is not what was written to it")
    return any_valid
