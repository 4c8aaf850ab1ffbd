"""What goes beside the radar: optical bands of one date after the event, and heights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any

from ..exceptions import ArchiveError
from .area import Area, Event
from .catalogue import Catalogue, time_of
from .products import named_asset
from .reading import Layer

# Keys of Sentinel-2's bands in Element 84's catalogue and in the Planetary Computer's.
_OPTICAL = {"Red": ("red", "B04"), "Green": ("green", "B03"), "Blue": ("blue", "B02")}
_HEIGHTS = ("data", "elevation", "DEM", "dem")
# From processing baseline 04.00 on Sentinel-2's numbers are 10,000 x reflectance + 1,000.
_SHIFTED, _SHIFT = 4.0, -1000.0


def optical_layers(
    catalogue: Catalogue, collection: str, area: Area, event: Event, *, days: float, clouds: float, min_coverage: float
) -> tuple[list[Layer], str]:
    """Red, Green and Blue of the first date after the event with few clouds, and which date that is."""
    items = catalogue.search(collection, area, (event.last, event.interval(days)[1]))
    by_date: dict[date, list[Any]] = defaultdict(list)
    for item in items:
        by_date[time_of(item).date()].append(item)
    tried = []
    for day, of_day in sorted(by_date.items()):
        newest = _newest(of_day)
        cover = area.coverage([item.geometry for item in newest])
        cloudy = max(float(item.properties.get("eo:cloud_cover") or 0) for item in newest)
        if cover >= min_coverage and cloudy <= clouds:
            layers = [Layer(band, _parts(newest, band, keys), _offset(newest)) for band, keys in _OPTICAL.items()]
            return layers, f"{day}"
        tried.append(f"{day} ({cover:.0%} covered, {cloudy:.0f} % clouds)")
    raise ArchiveError(
        f"No date of {collection!r} within {days:g} days after the event ({event}) covers the area and has at most "
        f"{clouds:g} % clouds: {', '.join(tried) or 'there is none'}. Search longer (within_days=), or allow more."
    )


def height_layers(catalogue: Catalogue, collection: str, area: Area) -> list[Layer]:
    """The DEM, of all tiles that touch the area."""
    items = catalogue.search(collection, area, None)
    if not items:
        raise ArchiveError(f"{collection!r} has no heights of the area {area}. {catalogue.holdings(collection)}")
    return [Layer("DEM", _parts(items, "DEM", _HEIGHTS))]


def _newest(items: Sequence[Any]) -> list[Any]:
    """The items of a day, of each tile that was processed twice the later one."""
    tiles = {}
    for item in sorted(items, key=lambda item: (str(item.properties.get("s2:processing_baseline") or ""), item.id)):
        tile = item.properties.get("s2:mgrs_tile") or item.properties.get("grid:code") or item.id
        tiles[tile, time_of(item)] = item
    return sorted(tiles.values(), key=lambda item: item.id)


def _parts(items: Sequence[Any], band: str, keys: Sequence[str]) -> tuple[tuple[Any, Any], ...]:
    parts = []
    for item in items:
        asset = named_asset(item, keys)
        if asset is None:
            raise ArchiveError(
                f"The item {item.id} has no asset {' or '.join(keys)} for {band}; it has {', '.join(item.assets)}. "
                "Choose a collection of Sentinel-2 L2A, or of Copernicus' DEM."
            )
        parts.append((item, asset))
    return tuple(parts)


def _offset(items: Sequence[Any]) -> float:
    """What is added, so that numbers before and after baseline 04.00 mean the same: 10,000 x reflectance."""
    offsets = set()
    for item in items:
        baseline = float(item.properties.get("s2:processing_baseline") or 0)
        done = item.properties.get("earthsearch:boa_offset_applied")
        offsets.add(_SHIFT if baseline >= _SHIFTED and not done else 0.0)
    if len(offsets) > 1:
        raise ArchiveError(
            f"The items {', '.join(item.id for item in items)} of one date are partly of processing baseline 04.00, "
            "whose numbers are shifted by 1000. Choose another date."
        )
    return offsets.pop()
