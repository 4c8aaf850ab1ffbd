"""Items sorted into passes: what a satellite took of the area on one track within minutes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from .area import Area
from .catalogue import time_of
from .products import radar_assets, track_of

# A track is flown again after six days at the earliest, and an orbit takes 98 minutes.
_ONE_PASS = timedelta(hours=1)
# Two items of one pass may show the same when they begin together; bursts along the track are 2.7 s apart.
_TOGETHER = timedelta(seconds=1)
# The same, when their footprints coincide to this part.
_SAME_GROUND = 0.9


@dataclass(frozen=True, eq=False)
class Pass:
    """One date: the items of one track that were taken within minutes.

    `items` are by name, so that a mosaic of them does not depend on the order in which they were found.
    """

    track: str
    items: tuple[Any, ...]
    area: Area = field(repr=False)

    @cached_property
    def begin(self) -> datetime:
        return min(time_of(item) for item in self.items)

    @cached_property
    def end(self) -> datetime:
        return max(time_of(item) for item in self.items)

    @cached_property
    def coverage(self) -> float:
        """The share of the area that the items cover together."""
        return self.area.coverage([item.geometry for item in self.items])

    @property
    def platforms(self) -> str:
        names = {str(item.properties.get("platform") or "").upper().replace("SENTINEL-", "S") for item in self.items}
        return ", ".join(sorted(name for name in names if name))

    @cached_property
    def polarisations(self) -> frozenset[str]:
        """Those that all items have."""
        return frozenset.intersection(*(frozenset(radar_assets(item)) for item in self.items))

    def __str__(self) -> str:
        return f"{self.begin:%Y-%m-%d %H:%M}"


def tracks_named(items: Iterable[Any]) -> tuple[dict[str, list[Any]], list[tuple[Any, str]]]:
    """Items by track ("46 descending"), and those that belong to none, with the reason."""
    by_track: dict[tuple[int, str, str], list[Any]] = {}
    left = []
    for item in items:
        if item.geometry is None:
            left.append((item, "has no footprint"))
        elif (track := track_of(item)) is None:
            left.append((item, "says no relative orbit"))
        else:
            by_track.setdefault(track, []).append(item)
    names = {
        track: " ".join(part for part in (str(track[0]), track[1], "" if track[2] == "IW" else track[2]) if part)
        for track in by_track
    }
    return {names[track]: of_track for track, of_track in sorted(by_track.items())}, left


def passes_of(items: Sequence[Any], area: Area) -> tuple[list[Pass], list[tuple[Any, str]]]:
    """Passes by track and time, and the items that are in none, with the reason."""
    by_track, left = tracks_named(items)
    passes = []
    for track, of_track in by_track.items():
        for together in _split_by_time(of_track):
            kept, doubles = _without_doubles(together)
            passes.append(Pass(track, tuple(sorted(kept, key=lambda item: item.id)), area))
            left += doubles
    return passes, left


def _split_by_time(items: Sequence[Any]) -> list[list[Any]]:
    groups: list[list[Any]] = []
    for item in sorted(items, key=lambda item: (time_of(item), item.id)):
        if groups and time_of(item) - time_of(groups[-1][-1]) <= _ONE_PASS:
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def _without_doubles(items: Sequence[Any]) -> tuple[list[Any], list[tuple[Any, str]]]:
    """The items of a pass without those that a newer one of the same data stands for."""
    kept: list[Any] = []
    doubles = []
    for item in sorted(items, key=_newest_first, reverse=True):
        same = next((other for other in kept if _is_double(item, other)), None)
        if same is None:
            kept.append(item)
        else:
            doubles.append((item, f"the same as {same.id}, which is newer"))
    return kept, doubles


def _newest_first(item: Any) -> tuple[str, str]:
    made = item.common_metadata.updated or item.common_metadata.created
    return (made.isoformat() if made else ""), item.id


def _is_double(one: Any, other: Any) -> bool:
    import shapely

    if abs(time_of(one) - time_of(other)) > _TOGETHER:
        return False
    first, second = (shapely.make_valid(shapely.geometry.shape(item.geometry)) for item in (one, other))
    return first.intersection(second).area > _SAME_GROUND * max(first.area, second.area)
