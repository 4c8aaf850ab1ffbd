"""From a date and a box to the dates of Sentinel-1 that make a scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..exceptions import ArchiveError
from .area import Area, Event
from .catalogue import Catalogue, require_archives
from .choice import Rules, best_track, pick
from .passes import passes_of
from .products import product_of
from .sentinel1 import Sentinel1Choice


def find_sentinel1(
    api: Any,
    collection: str,
    area: Any,
    event: Any,
    *,
    within_days: float = 48,
    min_coverage: float = 0.99,
    polarisations: Sequence[str] = ("VV", "VH"),
    units: str | None = None,
    modifier: Callable[..., Any] | None = None,
) -> Sentinel1Choice:
    """Search a catalogue for Sentinel-1 before and after an event, and choose dates.

    Items are sorted into tracks (relative orbit, pass and mode: the same look of the same ground) and passes (what was
    taken on a track within an hour). Of each track the last date before the event and the first two after it are
    chosen that cover the area and have the polarisations. The track that is used has two dates after the event, if
    there is one, and the least time between before and after.

    Needs the extra: ``pip install 'sklandslide[archives]'``. The catalogue is asked here, pixels are fetched when the
    scene is read.

    Parameters
    ----------
    api : str, pystac_client.Client or iterable of pystac.Item
        Address of a STAC API, the API, or items found in another way.
    collection : str
        Radiometrically terrain-corrected Sentinel-1, such as ``"sentinel-1-rtc"`` of the Planetary Computer.
    area : (float, float, float, float) or GeoDataFrame
        West, south, east and north in degrees, west > east across 180 degrees; or what has such bounds.
    event : str, datetime or date
        When it happened. A time without a zone is UTC. With a date alone, what was taken while it was that date
        anywhere on Earth is left out: it may be from before or after.
    within_days : float, default=48
        How long before and after the event is searched.
    min_coverage : float, default=0.99
        Share of the area that the footprints of a date must cover together.
    polarisations : sequence of {"VV", "VH", "HH", "HV"}, default=("VV", "VH")
        What each date must have.
    units : {"linear", "dB"}, default=None
        Units of the pixels; needed where the collection is not in `archives.PRODUCTS`.
    modifier : callable, default=None
        Signs the addresses of what is found, such as ``planetary_computer.sign_inplace``: handed to
        `pystac_client.Client.open`.

    Returns
    -------
    Sentinel1Choice

    Raises
    ------
    ArchiveError
        If the catalogue does not answer, has no such collection or nothing of the area and time; if the area is no
        box, or the event no time.
    MissingPackageError
        If the extra is not installed.

    Examples
    --------
    Items made by hand stand in for those of a catalogue.

    >>> from datetime import datetime, timedelta
    >>> from pystac import Asset, Item
    >>> from shapely.geometry import box, mapping
    >>> from sklandslide import find_sentinel1
    >>> items = []
    >>> for day in (-17, -5, 7, 19, 31):
    ...     time = datetime(2018, 9, 6, 20, 42) + timedelta(days=day)
    ...     orbit = {"sat:relative_orbit": 46, "sat:orbit_state": "descending", "platform": "sentinel-1b"}
    ...     item = Item(f"S1B_{time:%Y%m%d}", mapping(box(140, 42, 143, 44)), [140, 42, 143, 44], time, orbit,
    ...                 collection="sentinel-1-rtc")
    ...     for key in ("vv", "vh"):
    ...         item.add_asset(key, Asset(f"https://example.org/{item.id}_{key}.tif"))
    ...     items.append(item)
    >>> found = find_sentinel1(items, "sentinel-1-rtc", (141.9, 42.6, 142.1, 42.8), "2018-09-06T03:07+09:00")
    >>> found
    <Sentinel1Choice of sentinel-1-rtc, event 2018-09-05 18:07 UTC: track 46 descending,
    before 2018-09-01, after 2018-09-13, after2 2018-09-25>
    >>> found.table[["role", "date", "reason"]]
    role                date                               reason
    0          2018-08-20 20:42                  2018-09-01 is chosen
    1  before  2018-09-01 20:42
    2   after  2018-09-13 20:42
    3  after2  2018-09-25 20:42
    4          2018-10-07 20:42  2018-09-13 and 2018-09-25 are chosen
    >>> found.choose("46 descending", before="2018-08-20", after2=None)
    <Sentinel1Choice of sentinel-1-rtc, event 2018-09-05 18:07 UTC: track 46 descending,
    before 2018-08-20, after 2018-09-13>
    """
    require_archives("find_sentinel1")
    product = product_of(collection, units)
    box, when = Area.of(area), Event.of(event)
    catalogue = Catalogue.of(api, modifier)
    items = catalogue.search(collection, box, when.interval(within_days))
    if not items:
        raise ArchiveError(
            f"{collection!r} has nothing of the area {box} within {within_days:g} days of the event ({when}). "
            f"{catalogue.holdings(collection)} Check the order west, south, east, north, and the date; or search "
            "longer (within_days=)."
        )
    passes, left = passes_of(items, box)
    rules = Rules(when, min_coverage, tuple(polarisations))
    tracks = dict.fromkeys(one.track for one in passes)
    dates = {track: pick([one for one in passes if one.track == track], rules) for track in tracks}
    return Sentinel1Choice(
        collection, product, box, rules, catalogue, tuple(passes), tuple(left), dates, best_track(dates), within_days
    )
