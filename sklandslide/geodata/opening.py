"""Open a raster with GDAL and with nothing else: no network, no file that it names, no memory without bound.

GDAL recognises a file by its content, whatever it is called, and some of its formats name other places: folders,
addresses, programs. So only formats whose files hold their own pixels are opened, and what GDAL makes of a damaged
file, an error of any kind, becomes a `SceneReadError`.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from ..exceptions import SceneError, SceneReadError, SklandslideError
from .links import vrt_text
from .paths import check_beside
from .terrain import silencing

__all__ = ["FORMATS", "check_band", "faults_of", "linked_files", "open_raster"]

# GDAL's names of the formats that hold their own pixels, or have them in a file of the same name.
FORMATS = ("GTiff", "JP2OpenJPEG", "ENVI", "EHdr", "PNG", "JPEG", "AAIGrid", "GSAG", "GSBG", "GS7BG",
           "SAGA", "RST", "DTED", "SRTMHGT")  # fmt: skip
# Those that may name other files of this machine, but no address; and netCDF, whose library crashes on damaged files.
_LINKING = ("HFA", "netCDF", "HDF5", "HDF5Image")
_HDF5, _HFA = b"\x89HDF\r\n\x1a\n", b"EHFA_HEADER_TAG"
# GDAL takes a block of pixels, a tile or a strip, into memory as a whole. In bytes.
_LARGEST_BLOCK = 2**28
_DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")
# Whatever the process was given. The proxy leads nowhere: what would ask a network, in spite of all, gets no answer.
_OPTIONS = {"GDAL_VRT_ENABLE_PYTHON": "NO", "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE", "GDAL_PAM_ENABLED": "YES",
            "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,WORLDFILE", "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
            "GDAL_HTTP_PROXY": "127.0.0.1:9", "GDAL_HTTP_CONNECTTIMEOUT": "1", "GDAL_HTTP_MAX_RETRY": "0"}  # fmt: skip


@contextmanager
def faults_of(path: str, where: str = "", advice: str = "") -> Iterator[None]:
    """Whatever GDAL and rasterio raise inside becomes a SceneReadError about `path`."""
    try:
        with rasterio.Env(session=DummySession(), **_OPTIONS):
            yield
    except SklandslideError:
        raise
    except MemoryError as error:
        raise SceneReadError(
            f"{path} cannot be read{where}: that takes more memory than there is ({error}). Read a smaller window."
        ) from error
    # Errors of GDAL come out as rasterio's, as its private ones, and as those of what is done with the values.
    except Exception as error:
        what = f"read{where}" if where else "opened as a raster"
        why = str(error.__cause__ or error).strip().rstrip(".")
        raise SceneReadError(f"{path} cannot be {what}: {why}. {advice}") from error


def open_raster(path: str, *, follow_links: bool = False) -> Any:
    """Open a raster of this machine for reading.

    Parameters
    ----------
    path : str
        From `sklandslide.geodata.paths.local_file`.
    follow_links : bool, default=False
        Whether formats are opened that name other files of this machine: VRT of local GeoTIFFs, HFA, HDF5, netCDF.

    Returns
    -------
    rasterio.io.DatasetReader

    Raises
    ------
    SceneReadError
        If the file is no raster, is damaged, or refers to other files or addresses.
    """
    check_beside(path)
    start = _start(path)
    source, formats = path, [*FORMATS, *(_LINKING if follow_links else ())]
    if linking := _linking(start):
        if not follow_links:
            raise SceneReadError(
                f"{path} is {linking}. Such files may refer to other files, or crash their reader when damaged. Pass "
                "follow_links=True to Scene.from_files if you trust it, or copy its pixels into a GeoTIFF "
                "(gdal_translate)."
            )
        if linking == "a VRT":
            source, formats = vrt_text(path, _check_source)[0], ["VRT"]
    # A raster without a place is refused later, with more to say than rasterio's warning.
    with faults_of(path, advice=_advice(start)), silencing, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        _check_mask(path)
        return DatasetReader(source, driver=formats)


def linked_files(path: str, *, follow_links: bool) -> tuple[str, ...]:
    """Absolute paths of the files that a raster takes its pixels from besides its own."""
    if follow_links and _linking(_start(path)) == "a VRT":
        return vrt_text(path, _check_source)[1]
    return ()


def check_band(dataset: Any, path: str, index: Any) -> None:
    """Refuse a band that cannot serve: one that does not exist, or whose values are no amounts.

    Raises
    ------
    SceneError
        If there is no such band, or it holds complex numbers or places in a table of colours.
    SceneReadError
        If its blocks are too large, or the file ends before its last block.
    """
    if dataset.count == 0:
        inside = dataset.subdatasets
        raise SceneReadError(
            f"{path} holds {len(inside)} data sets, and no band of its own. Write the one wanted into a GeoTIFF "
            f"(gdal_translate '{inside[0] if inside else '...'}' band.tif)."
        )
    whole = isinstance(index, int | np.integer) and not isinstance(index, bool)
    if not whole or not 1 <= index <= dataset.count:
        raise SceneError(f"{path} has {dataset.count} band(s); there is no band {index!r}. Count from 1.")
    dtype = dataset.dtypes[index - 1]
    if dtype.startswith("complex"):
        raise SceneError(
            f"{path} holds complex numbers ({dtype}). Use detected intensity (sigma0 or "
            "gamma0) instead of single-look complex data."
        )
    if dtype not in _DTYPES:
        raise SceneError(f"{path} holds values of type {dtype!r}; a band holds real numbers. Write them as float32.")
    if dataset.colorinterp[index - 1] == ColorInterp.palette:
        raise SceneError(
            f"Band {index} of {path} has a table of colours: its values are places in it, no amounts. Write the "
            "colours as bands of their own (gdal_translate -expand rgb), or remove the table."
        )
    scale, offset = dataset.scales[index - 1], dataset.offsets[index - 1]
    if not np.isfinite([scale, offset]).all() or scale == 0:
        raise SceneError(
            f"Band {index} of {path} has scale {scale} and offset {offset}: value = scale * stored + offset gives no "
            "value. Correct the tags (gdal_edit -scale 1 -offset 0)."
        )
    _check_blocks(dataset, path, index, np.dtype(dtype).itemsize)


def _check_blocks(dataset: Any, path: str, index: int, itemsize: int) -> None:
    rows, cols = dataset.block_shapes[index - 1]
    together = dataset.count if dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL" else 1
    if (size := rows * cols * itemsize * together) > _LARGEST_BLOCK:
        raise SceneReadError(
            f"{path} is stored in blocks of {rows} x {cols} pixels, {size / 2**20:.0f} MiB each, and a block is read "
            f"as a whole; {_LARGEST_BLOCK >> 20} MiB are allowed. Write it in tiles (gdal_translate -co TILED=YES)."
        )
    if dataset.driver != "GTiff":
        return
    last = f"{-(-dataset.width // cols) - 1}_{-(-dataset.height // rows) - 1}"
    end = sum(int(dataset.get_tag_item(f"BLOCK_{what}_{last}", "TIFF", bidx=index) or 0) for what in ("OFFSET", "SIZE"))
    if end > (has := os.path.getsize(path)):
        raise SceneReadError(
            f"{path} is truncated: it has {has} bytes, and its last block is to end at byte {end}. Copy or download it "
            "again."
        )


def _check_mask(path: str) -> None:
    """GDAL leaves out a mask beside a raster that it cannot use, and all its pixels would be valid."""
    mask = f"{path}.msk"
    if not os.path.exists(mask):
        return
    if _start(mask)[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise SceneReadError(f"{mask}, the mask of {path}, is no GeoTIFF. Restore it, or remove it if all is valid.")
    # As a TIFF only, and not through the raster: there GDAL would take any format.
    with DatasetReader(mask, driver=["GTiff"]) as file:
        shape = file.shape
    with DatasetReader(path, driver=[*FORMATS, *_LINKING]) as file:
        wanted = file.shape
    if shape != wanted:
        raise SceneReadError(
            f"{mask} has {shape[0]} x {shape[1]} pixels and the raster {wanted[0]} x {wanted[1]}: it is not this "
            "raster's mask. Restore it, or remove it if all is valid."
        )


def _check_source(path: str) -> None:
    """A file that a VRT names must be one that nothing but GDAL's TIFF or JPEG 2000 reader takes."""
    if _start(path)[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0c"):
        raise SceneReadError(
            f"{path}, which a VRT refers to, is no GeoTIFF and no JPEG 2000; only those are followed. Write it into a "
            "GeoTIFF (gdal_translate)."
        )
    with open_raster(path) as dataset:
        for index in range(1, min(dataset.count, 100) + 1):
            _check_blocks(dataset, path, index, 8)


def _start(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1024)
    except OSError as error:
        raise SceneReadError(f"{path} cannot be opened: {error.strerror}. Check its permissions.") from error


def _linking(start: bytes) -> str:
    if b"<VRTDataset" in start.split(b"\0")[0]:  # where GDAL looks for it
        return "a VRT"
    if start.startswith((_HDF5, b"CDF")):
        return "an HDF5 or netCDF file"
    return "an Erdas Imagine file" if start.startswith(_HFA) else ""


def _advice(start: bytes) -> str:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    if start[:4] == b"PK\x03\x04" or start[:2] == b"\x1f\x8b":
        return "It is an archive: unpack it."
    if text[:1] in (b"<", b"{"):
        return "It is a text that may refer to other places; copy the pixels into a GeoTIFF (gdal_translate)."
    return "Give a file that holds its pixels, such as a GeoTIFF; check it with `rio info`."
