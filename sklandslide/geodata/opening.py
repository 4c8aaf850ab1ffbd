"""Rasters are opened here and nowhere else: files of this machine, in formats that hold their own pixels.

GDAL recognises a file by its content, whatever it is called, and some of its formats only name other places: map
servers, addresses, programs. So there is a list of the formats that are opened, and GDAL is told to ask no network and
to run nothing. Whatever it makes of a damaged file becomes a `SceneReadError`.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree
from zlib import crc32

import numpy as np
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from ..exceptions import SceneError, SceneReadError, SklandslideError
from .terrain import silencing

# GDAL's names of the formats. Of those that are left out some are no more than the address of a server.
_FORMATS = ("GTiff", "VRT", "netCDF", "HDF5", "HDF5Image", "HFA", "ENVI", "EHdr", "JP2OpenJPEG", "PNG", "JPEG",
            "AAIGrid", "GSAG", "GSBG", "GS7BG", "SAGA", "RST", "ILWIS", "DTED", "SRTMHGT", "GRIB")  # fmt: skip
# The proxy leads nowhere: what a file asks a network for, in spite of all, gets no answer.
NO_NETWORK = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none", "GDAL_HTTP_PROXY": "127.0.0.1:9",
              "GDAL_HTTP_CONNECTTIMEOUT": "1", "GDAL_HTTP_MAX_RETRY": "0", "GML_DOWNLOAD_SCHEMA": "NO"}  # fmt: skip
# Whatever the process was given, no Python of a VRT is run, and what lies beside a file counts (masks, nodata, place).
_OPTIONS = {**NO_NETWORK, "GDAL_VRT_ENABLE_PYTHON": "NO", "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
            "GDAL_PAM_ENABLED": "YES", "GDAL_GEOREF_SOURCES": "PAM,INTERNAL,WORLDFILE"}  # fmt: skip
# GDAL takes a block of pixels, a tile or a strip, into memory as a whole. In bytes.
_LARGEST_BLOCK = 2**28
# A data set in a file, as GDAL names it: NETCDF:"file.nc":variable
_INSIDE = re.compile(r'(NETCDF|HDF5):"?(.+?)"?:(/*[^:"]+)', re.IGNORECASE)
# What an .aux.xml says, but for statistics and histograms, which QGIS writes there.
_HISTOGRAMS = re.compile(rb"<Histograms>.*?</Histograms>", re.DOTALL)
_SAID = re.compile(rb'<(?!MDI key="STATISTICS_)[^<>]+>[^<>]*[^<>\s][^<>]*</')


def local_file(path: Any, folder: str = "") -> str:
    """The absolute path of a file of this machine; SceneReadError where there is none."""
    try:
        text = os.fsdecode(path)
    except TypeError as error:
        raise SceneReadError(f"{path!r} is no path: {error}. Give a string or pathlib.Path.") from None
    if "://" in text or text.startswith("/vsi"):
        raise SceneReadError(f"{text} names no file on this machine. Download or unpack it, and give the file's path.")
    full = os.path.abspath(os.path.join(folder, text))
    if os.path.isfile(full):
        return full
    why = "is a folder" if os.path.isdir(full) else "cannot be opened: no such file"
    raise SceneReadError(f"{full} {why}. Check the path; only files on this machine are read.")


def raster_name(path: Any, folder: str = "") -> str:
    """What GDAL is to open: an absolute path, or with one a data set in a netCDF or HDF5 file."""
    path = path.name if isinstance(path, DatasetReader) else path
    inside = _INSIDE.fullmatch(path) if isinstance(path, str) and not os.path.isfile(path) else None
    if inside is None:
        return local_file(path, folder)
    return f'{inside[1].upper()}:"{local_file(inside[2], folder)}":{inside[3]}'


@contextmanager
def faults_of(path: str, where: str = "", advice: str = "") -> Iterator[None]:
    """Whatever GDAL and rasterio raise inside becomes a SceneReadError about `path`."""
    try:
        with rasterio.Env(session=DummySession(), **_OPTIONS):
            yield
    except SklandslideError:
        raise
    # Errors of GDAL come out as rasterio's, as its private ones, and as those of what is done with the values.
    except Exception as error:
        what = f"read{where}" if where else "opened as a raster"
        why = str(error.__cause__ or error).strip().rstrip(".")
        raise SceneReadError(f"{path} cannot be {what}: {why}. {advice}") from error


def open_raster(name: str, formats: Sequence[str] = _FORMATS) -> Any:
    """Open what `raster_name` gave for reading; SceneReadError if it is no raster of these formats."""
    advice = "Give a file that holds its pixels, such as a GeoTIFF; unpack archives, download what a server has."
    # A raster without a place is refused later, with more to say than rasterio's warning.
    with faults_of(name, advice=advice), silencing, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return DatasetReader(name, driver=list(formats))


def files_behind(name: str, known: dict[str, None] | None = None) -> tuple[str, ...]:
    """Paths of all files that a raster's pixels and their place come from, its own first, at any depth of VRTs.

    What a VRT names is looked at before GDAL is given the VRT.
    """
    inside = _INSIDE.fullmatch(name)
    path = inside[2] if inside else name
    known = {} if known is None else known
    known[path] = None
    for source, folder, raw in _sources(path):
        if raw:
            known[local_file(source, folder)] = None
        elif (source := raster_name(source, folder)) not in known:
            files_behind(source, known)
    with faults_of(path), open_raster(name) as dataset:
        _check_mask(path, dataset.shape)
        known.update(dict.fromkeys(dataset.files))
    # No pixel is read from overviews; an .aux.xml is looked into by `stamp_of`.
    return tuple(file for file in known if not file.endswith((".aux.xml", ".ovr")))


def _sources(path: str) -> list[tuple[str, str, bool]]:
    """What a VRT takes its pixels from, the folder that this is relative to, and whether it is raw bytes."""
    with faults_of(path, advice="A damaged VRT is to be made again (gdalbuildvrt)."):
        with open(path, "rb") as file:
            if b"<VRTDataset" not in file.read(1024):  # where GDAL looks for it
                return []
        root = ElementTree.parse(path).getroot()
    raw = {part for band in root.iter() if band.get("subClass") == "VRTRawRasterBand" for part in band.iter()}
    sources = []
    for element in root.iter():
        # To GDAL an attribute is the same as an element, and capitals do not count.
        for key, value in {element.tag: "".join(element.itertext()), **element.attrib}.items():
            if key.lower() in ("sourcefilename", "sourcedataset"):
                folder = os.path.dirname(path) if element.get("relativeToVRT") == "1" else ""
                sources.append((value.strip(), folder, element in raw))
    return sources


def _check_mask(path: str, shape: tuple[int, int]) -> None:
    """GDAL leaves out a mask beside a raster that it cannot use, and all its pixels would be valid."""
    mask = f"{path}.msk"
    if not os.path.isfile(mask):
        return
    with faults_of(mask), open_raster(mask, ["GTiff"]) as dataset:
        if dataset.shape != shape:
            raise SceneReadError(
                f"{mask} has {dataset.shape} pixels, and the raster {shape}: it is not this raster's mask. Restore it, "
                "or remove it if all is valid."
            )


def check_band(dataset: Any, path: str, index: Any) -> None:
    """Refuse a band that cannot serve: that does not exist, is cut off, or whose values are no amounts."""
    if dataset.count == 0:
        inside = dataset.subdatasets
        raise SceneReadError(
            f"{path} holds {len(inside)} data sets, and no band of its own. Give one of them as the path: "
            f"{', '.join(map(repr, inside[:10]))}."
        )
    whole = isinstance(index, int | np.integer) and not isinstance(index, bool)
    if not whole or not 1 <= index <= dataset.count:
        raise SceneError(f"{path} has {dataset.count} band(s); there is no band {index!r}. Count from 1.")
    dtype = dataset.dtypes[index - 1]
    if dtype.startswith("complex"):
        raise SceneError(f"{path} holds complex numbers ({dtype}). Use detected intensity (sigma0 or gamma0).")
    if dataset.colorinterp[index - 1] == ColorInterp.palette:
        raise SceneError(
            f"Band {index} of {path} has a table of colours: its values are places in it, no amounts. Write the "
            "colours as bands of their own (gdal_translate -expand rgb), or remove the table."
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
    end = 0
    if dataset.driver == "GTiff":
        last = f"{-(-dataset.width // cols) - 1}_{-(-dataset.height // rows) - 1}"
        tags = [dataset.get_tag_item(f"BLOCK_{what}_{last}", "TIFF", bidx=index) for what in ("OFFSET", "SIZE")]
        end = sum(int(tag or 0) for tag in tags)
    elif dataset.driver == "ENVI":  # GDAL gives zeros for pixels that are cut off
        end = dataset.width * dataset.height * dataset.count * itemsize
    if end > (has := os.path.getsize(path)):
        raise SceneReadError(
            f"{path} is truncated: it has {has} bytes, and its pixels end at byte {end}. Copy or download it again."
        )


def stamp_of(files: Iterable[str]) -> tuple[int, ...]:
    """Sizes and modification times of files, with masks and what is said beside them; the first file's come first."""
    stamp: list[int] = []
    for name in files:
        own, mask, beside = (_size_and_time(f"{name}{suffix}") for suffix in ("", ".msk", ".aux.xml"))
        stamp += [*own, *mask, _said_beside(f"{name}.aux.xml", *beside)]
    return tuple(stamp)


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _said_beside(path: str, size: int, modified: int) -> int:
    if size < 0:
        return 0
    with open(path, "rb") as file:
        return crc32(b"".join(_SAID.findall(_HISTOGRAMS.sub(b"", file.read()))))
