"""Where, and when: an area in degrees and the time of an event, as a user gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from ..exceptions import ArchiveError
from ..geodata import Grid, beside, joined

# A date begins first at UTC+14 and ends last at UTC-12.
_FIRST, _LAST = timedelta(hours=14), timedelta(hours=12)


@dataclass(frozen=True)
class Area:
    """A box in degrees. Where it crosses the meridian of 180 degrees, `east` counts on beyond 180."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def of(cls, area: Any) -> Area:
        """From four numbers, or from the bounds of a GeoDataFrame in any coordinate system."""
        if hasattr(area, "total_bounds"):
            if area.crs is None:
                raise ArchiveError("The area has no coordinate system. Set it (GeoDataFrame.set_crs), or give a box.")
            area = area.to_crs("EPSG:4326").total_bounds
        try:
            west, south, east, north = (float(value) for value in area)
        except (TypeError, ValueError):
            west = south = east = north = np.nan
        longitudes = -180 <= west <= 180 and -180 <= east <= 180 and west != east
        if not (longitudes and -90 <= south < north <= 90):
            raise ArchiveError(
                f"area={area!r} is no box. Give west, south, east, north in degrees, as in (141.9, 42.6, 142.1, 42.8), "
                "with west > east where it crosses 180 degrees; or a GeoDataFrame, whose bounds count."
            )
        east += 360.0 if west > east else 0.0
        if east - west > 90:
            raise ArchiveError(
                f"area={area!r} is {east - west:.0f} degrees wide, and no scene is. Give west, south, east, north; of "
                "an area that crosses 180 degrees, with west > east."
            )
        return cls(west, south, east, north)

    @property
    def polygon(self) -> Any:
        """The box as a shapely polygon."""
        import shapely

        return shapely.box(self.west, self.south, self.east, self.north)

    @property
    def geojson(self) -> dict[str, Any]:
        """What a catalogue is asked for; cut at 180 degrees."""
        import shapely

        if self.east <= 180:
            return shapely.geometry.mapping(self.polygon)
        parts = [
            shapely.box(self.west, self.south, 180, self.north),
            shapely.box(-180, self.south, self.east - 360, self.north),
        ]
        return shapely.geometry.mapping(shapely.multipolygons(parts))

    def coverage(self, footprints: Sequence[Any]) -> float:
        """The share of the box that footprints (GeoJSON in degrees) cover together."""
        import shapely
        from affine import Affine
        from rasterio.crs import CRS

        crs = CRS.from_epsg(4326)
        width, height = self.east - self.west, self.north - self.south
        grid = Grid(crs, Affine(width, 0, self.west, 0, -height, self.north), (1, 1))
        shapes = np.array([shapely.make_valid(shapely.geometry.shape(one)) for one in footprints], dtype=object)
        whole = shapely.union_all(beside(joined(shapes, crs), grid))
        return float(whole.intersection(self.polygon).area / self.polygon.area)

    def __str__(self) -> str:
        east = self.east - 360 if self.east > 180 else self.east
        return f"{self.west:g}, {self.south:g}, {east:g}, {self.north:g}"


@dataclass(frozen=True)
class Event:
    """When something happened: what ended by `first` was before it, what began at `last` or later was after it."""

    first: datetime
    last: datetime

    @classmethod
    def of(cls, event: Any) -> Event:
        """From a time (UTC where it names no zone), or a date, which holds wherever on Earth it was that date."""
        given = event
        try:
            if isinstance(event, str):
                event = date.fromisoformat(event) if len(event) <= 10 else datetime.fromisoformat(event)
            if isinstance(event, datetime):
                moment = event.replace(tzinfo=event.tzinfo or UTC).astimezone(UTC)
                return cls(moment, moment)
            begin = datetime.combine(event, time(), UTC)
        except (TypeError, ValueError, AttributeError):
            raise ArchiveError(
                f"event={given!r} is no time. Give one such as '2018-09-06T03:07+09:00', a datetime, or a date."
            ) from None
        return cls(begin - _FIRST, begin + timedelta(days=1) + _LAST)

    def interval(self, days: float) -> tuple[datetime, datetime]:
        """From so many days before the event to as many after it."""
        return self.first - timedelta(days=days), self.last + timedelta(days=days)

    def __str__(self) -> str:
        if self.first == self.last:
            return f"{self.first:%Y-%m-%d %H:%M} UTC"
        return f"{self.first + _FIRST:%Y-%m-%d}"
