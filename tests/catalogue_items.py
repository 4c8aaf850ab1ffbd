"""Items as catalogues of Sentinel-1 have them, made by hand."""

from datetime import UTC, datetime, timedelta

import shapely
from pystac import Asset, Item

EVENT = "2018-09-05T18:07Z"
AREA = (141.90, 42.60, 142.10, 42.80)
FRAME = (140.5, 41.9, 143.5, 43.6)
# Hours of the day at which the tracks of Iburi are flown, UTC.
_HOURS = {46: 20.7, 68: 8.7, 141: 8.6}


def radar_item(day, *, orbit=46, direction="descending", box=FRAME, name=None, keys=("vv", "vh"), hour=None,
               collection="sentinel-1-rtc", platform="SENTINEL-1B", mode="IW", seconds=0, **properties):  # fmt: skip
    """An item so many days from the event's day."""
    hour = _HOURS.get(orbit, 12) if hour is None else hour
    time = datetime(2018, 9, 5, tzinfo=UTC) + timedelta(days=day, hours=hour, seconds=seconds)
    name = name or f"S1B_{time:%Y%m%dT%H%M%S}_{orbit}"
    said = {
        "sat:relative_orbit": orbit,
        "sat:orbit_state": direction,
        "platform": platform,
        "sar:instrument_mode": mode,
    }
    said = {key: value for key, value in {**said, **properties}.items() if value is not None}
    geometry = shapely.box(*box)
    item = Item(name, shapely.geometry.mapping(geometry), list(geometry.bounds), time, said, collection=collection)
    for key in keys:
        item.add_asset(key, Asset(f"https://example.org/{name}_{key}.tif?sig=once", media_type="image/tiff"))
    item.add_asset("rendered_preview", Asset("https://example.org/preview.png?bands=vv", media_type="image/png"))
    return item


def archive():
    """Three dates around the event on one track and two on another, and what must not be taken."""
    return [
        radar_item(-17),
        radar_item(-5, name="S1B_once", updated="2018-09-01T00:00:00Z"),
        radar_item(-5, name="S1B_again", updated="2019-05-01T00:00:00Z"),  # the same, processed again
        radar_item(7),
        radar_item(13, box=(140.5, 41.9, 142.0, 43.6)),  # covers half
        radar_item(19),
        radar_item(31),
        radar_item(-3, orbit=68, direction="ascending"),
        radar_item(9, orbit=68, direction="ascending"),
        radar_item(3, orbit=141, direction="ascending"),  # no date before the event
        radar_item(-1, orbit=None, name="S1_of_no_orbit"),
    ]
