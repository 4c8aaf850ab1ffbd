"""The catalogue: asked by pystac-client, and what goes wrong said in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..exceptions import ArchiveError, MissingPackageError
from .area import Area

# Seconds without an answer; pystac-client tries five times.
_PATIENCE = 60.0


def require_archives(name: str) -> None:
    """Raise MissingPackageError unless the packages of the extra are there."""
    import importlib.util

    for package in ("pystac_client", "odc.stac"):
        try:
            found = importlib.util.find_spec(package)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise MissingPackageError(
                f"{name} needs pystac-client and odc-stac, of the extra archives: pip install 'sklandslide[archives]'."
            )


@dataclass(frozen=True)
class Catalogue:
    """A STAC API, or items at hand."""

    client: Any = None
    items: tuple[Any, ...] = ()

    @classmethod
    def of(cls, api: Any, modifier: Callable[..., Any] | None = None) -> Catalogue:
        """From an address, a `pystac_client.Client`, or items."""
        if not isinstance(api, str):
            if modifier is not None:
                raise ArchiveError(
                    "modifier= goes with an address, which is opened with it. Give it to pystac_client.Client.open, or "
                    "to the items, yourself."
                )
            return cls(client=api) if hasattr(api, "search") else cls(items=_items_of(api))
        from pystac_client import Client

        with _faults_of(api):
            return cls(client=Client.open(api, modifier=modifier, timeout=_PATIENCE))

    def search(self, collection: str, area: Area, interval: tuple[datetime, datetime] | None) -> list[Any]:
        """The items of a collection that touch an area, within an interval, by time and name."""
        if self.client is None:
            found = [one for one in self.items if _fits(one, collection, area, interval)]
        else:
            with _faults_of(self.client.get_self_href()):
                search = self.client.search(collections=[collection], intersects=area.geojson, datetime=interval)
                found = list(search.items())
        return sorted(found, key=lambda item: (time_of(item), item.id))

    def holdings(self, collection: str) -> str:
        """What a collection holds, in words, for the message of a search that finds nothing."""
        if self.client is None:
            there = sorted({str(one.collection_id) for one in self.items})
            return f"The items given are of {', '.join(there) or 'no collection'}."
        with _faults_of(self.client.get_self_href()):
            there = sorted(one.id for one in self.client.get_collections())
            if collection not in there:
                some = ", ".join(there[:20])
                return f"The catalogue has no such collection; it has {some}{', ...' if len(there) > 20 else ''}."
            first, last = self.client.get_collection(collection).extent.temporal.intervals[0]
        begin, end = (f"{one:%Y-%m-%d}" if one else "now" for one in (first, last))
        return f"The collection holds {begin} to {end}."


def time_of(item: Any) -> datetime:
    """When an item was taken: the time it says, or the beginning of its span."""
    moment = item.datetime or item.common_metadata.start_datetime
    if moment is None:
        raise ArchiveError(f"The item {item.id} says no time. It is no acquisition; leave it out.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _items_of(items: Any) -> tuple[Any, ...]:
    from pystac import Item

    found = tuple(items) if isinstance(items, Iterable) else ()
    if not found or not all(isinstance(one, Item) for one in found):
        raise ArchiveError(
            f"api={str(items)[:200]!r} is no catalogue. Give the address of a STAC API, a pystac_client.Client, or "
            "pystac items."
        )
    return found


def _fits(item: Any, collection: str, area: Area, interval: tuple[datetime, datetime] | None) -> bool:
    if item.collection_id != collection or item.geometry is None or area.coverage([item.geometry]) == 0:
        return False
    return interval is None or interval[0] <= time_of(item) <= interval[1]


@contextmanager
def _faults_of(address: str) -> Iterator[None]:
    """Whatever pystac-client and what it stands on raise inside becomes an ArchiveError about the address."""
    from pystac import STACError, STACTypeError
    from pystac_client.exceptions import APIError

    try:
        yield
    # Requests' errors are OSErrors; an answer that is no JSON, or not STAC's, gives the last three.
    except (APIError, STACError, STACTypeError, OSError, ValueError, KeyError, TypeError) as error:
        why = str(error).strip().rstrip(".")[:300] or type(error).__name__
        raise ArchiveError(
            f"The catalogue {address} does not answer as a STAC API: {why}. Check the address and the network, and "
            "whether it asks for a key (modifier=); then search again."
        ) from error
