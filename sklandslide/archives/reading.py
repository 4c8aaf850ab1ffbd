"""Pixels over the network: the only place of the package that fetches any. Through odc-stac, by GDAL."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..exceptions import ArchiveError, SceneReadError
from .products import bare

# Of GDAL, for Cloud Optimised GeoTIFFs that a server has. An Env of the user's goes before these.
SETTINGS = {
    # Nothing lies beside a COG: without these GDAL asks for lists of folders, masks, overviews and descriptions.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    # The header with all its tables of blocks in one request.
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    # A block that lies in two chunks is fetched once, as long as 128 MiB have not been fetched since. (Otherwise
    # several blocks at once go by GDAL's memory: 2.7 times the bytes with chunks of the blocks' size.)
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "CPL_VSIL_CURL_CACHE_SIZE": str(2**27),
    # A busy server (429, 5xx) is asked again after 0.5, 1, 2, ... s; one that is silent or slow is given up.
    "GDAL_HTTP_MAX_RETRY": "6",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    # What a server gives is no program.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
# A connection that breaks off is tried anew. (What the server refuses GDAL has tried by then, where it may help.)
_TRIES = 3
# How often an address has failed in this process. GDAL keeps what it got, a half answer or that there is nothing, by
# name: what is tried again gets another name, by a fragment, which no server sees.
_failed: Counter[str] = Counter()
# One thread at a time reads a file. A second one that wants the same bytes would wait for them within GDAL, at times
# with Python's lock, which the first one needs to say that the server is busy: both would stand still.
_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True)
class Layer:
    """A band to be: rasters of one date, by the items that name them, and what is added to their values."""

    band: str
    parts: tuple[tuple[Any, Any], ...]  # item, asset
    offset: float = 0.0

    def identity(self, *more: Any) -> str:
        """The same for the same pixels, whatever the addresses are signed with today."""
        files = [(item.id, bare(asset.href), item.properties.get("updated")) for item, asset in self.parts]
        return hashlib.sha256(repr((self.band, self.offset, files, *more)).encode()).hexdigest()[:32]


def load(layers: Sequence[Layer], geobox: Any, chunk: int, resampling: str) -> Any:
    """A dataset of lazy bands on one grid, float32 with NaN for nodata; within a band the first item's pixels count."""
    import xarray

    return xarray.merge([_lazy(layer, geobox, chunk, resampling) for layer in layers], compat="override", join="exact")


def _lazy(layer: Layer, geobox: Any, chunk: int, resampling: str) -> Any:
    import odc.stac
    from dask.array import blockwise

    with _settings():
        data = odc.stac.load(
            [_plain(item, asset) for item, asset in layer.parts],
            bands=["pixels"],
            geobox=geobox,
            groupby=lambda *_: 0,
            chunks={"x": chunk, "y": chunk},
            resampling=resampling,
            dtype="float32",
            nodata=np.nan,
            driver=_Reader(),
        )["pixels"].isel(time=0, drop=True)
    # Dask would name the data by the addresses as they are signed today, and a map would not be gone on with tomorrow.
    name = f"{layer.band}-{layer.identity(repr(geobox), chunk, resampling)}"
    offset = np.float32(layer.offset)
    pixels = blockwise(np.add, "yx", data.data, "yx", offset, None, dtype=np.float32, name=name)
    return data.copy(data=pixels).rename(layer.band)


def _plain(item: Any, asset: Any) -> Any:
    """An item with one asset, of one name for all: what else it has (links, pictures) odc-stac need not look at."""
    from pystac import Asset, Item

    placed = {key: value for key, value in item.properties.items() if key.startswith("proj:")}
    plain = Item(item.id, item.geometry, item.bbox, item.datetime or item.common_metadata.start_datetime, placed)
    plain.stac_extensions = list(item.stac_extensions)
    plain.add_asset(
        "pixels", Asset(asset.href, media_type=asset.media_type, roles=["data"], extra_fields=asset.extra_fields)
    )
    return plain


@contextmanager
def _settings() -> Iterator[None]:
    """GDAL's settings, which odc-stac takes along to where it reads."""
    import rasterio
    from rasterio.env import getenv, hasenv

    own = {key: value for key, value in (getenv() if hasenv() else {}).items() if key != "GDAL_DATA"}
    with rasterio.Env(**{**SETTINGS, **own}):
        yield


def _is_no_failure(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Failed to load")


class _Reader:
    """odc-stac's own way of reading rasters; what fails says which file, why, and what to do."""

    def __init__(self) -> None:
        from odc.loader import reader_driver

        self._own: Any = reader_driver("rio")
        logging.getLogger("odc.loader._rio").addFilter(_is_no_failure)  # our error says it, without the signature
        self.md_parser = self.dask_reader = self.aux_reader = None
        self.new_load, self.finalise_load = self._own.new_load, self._own.finalise_load
        self.capture_env, self.restore_env = self._own.capture_env, self._own.restore_env

    def open(self, source: Any, context: Any) -> _Source:
        return _Source(self._own, source, context)


@dataclass
class _Source:
    """One file, opened for each chunk."""

    _own: Any
    _source: Any
    _context: Any

    def read(self, *args: Any, **more: Any) -> Any:
        with _turns[self._source.uri]:
            return self._read(*args, **more)

    def _read(self, *args: Any, **more: Any) -> Any:
        from rasterio.errors import RasterioError

        uri = self._source.uri
        for _ in range(_TRIES):
            name = f"/vsicurl/{uri}#{_failed[uri]}" if _failed[uri] and uri.startswith("http") else uri
            try:
                return self._own.open(replace(self._source, uri=name), self._context).read(*args, **more)
            except RasterioError as error:
                _failed[uri] += 1
                why = str(error.__cause__ or error)
            if answer := re.search(r"HTTP response code: (\d+)", why):
                break
        raise SceneReadError(
            f"{bare(uri)} cannot be read over the network: {_clean(why)}. {_remedy(answer and answer[1])} Then make "
            "the same call again: a map goes on with the tiles that are finished."
        )


def _clean(why: str) -> str:
    """What GDAL says, without signatures and our names of addresses."""
    return re.sub(r"\?[^\s,']+|#\d+|/vsicurl/", "", why).strip().rstrip(".")


def _remedy(answer: str | None) -> str:
    if answer in ("401", "403"):
        return "The server refuses: search again for addresses that are signed anew (modifier=)."
    if answer == "404":
        return "If the file is gone from the archive, choose another date (choose), else try later."
    return "Check the network, and whether the server is up."


def grid_of(
    layers: Sequence[Layer], bounds: tuple[float, float, float, float], crs: Any, resolution: Any, usual: float
) -> Any:
    """The grid about a box in degrees: the rasters' own where they say it, else UTM with pixels of the usual size."""
    import odc.stac

    parsed = list(odc.stac.parse_items(_plain(item, asset) for layer in layers for item, asset in layer.parts))
    about: Any = partial(odc.stac.output_geobox, parsed, bands=["pixels"], bbox=bounds)
    try:
        found = about(crs=crs, resolution=resolution)
        return about(crs=crs or "utm", resolution=resolution or usual) if found is None else found
    except (ValueError, RuntimeError) as error:  # pyproj's are the latter
        raise ArchiveError(f"There is no grid with crs={crs!r} and resolution={resolution!r}: {error}.") from error
