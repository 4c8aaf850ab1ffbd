"""What was found of Sentinel-1, which dates are chosen and why, and the scene of them."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..exceptions import ArchiveError
from ..geodata import Grid, Scene
from .area import Area
from .catalogue import Catalogue, time_of
from .choice import ROLES, Rules, named, reason_of
from .others import height_layers, optical_layers
from .passes import Pass
from .products import Product, radar_assets
from .reading import Layer, grid_of, load


@dataclass(frozen=True, eq=False, repr=False)
class Sentinel1Choice:
    """What `find_sentinel1` found, which dates of which track are chosen, and why.

    A notebook shows `table`. `choose` takes another track or other dates, `with_optical` and `with_dem` add bands, and
    `to_scene` makes the scene. Each returns something new and changes nothing.

    Attributes
    ----------
    table : DataFrame
        A row for each date of each track, and for what belongs to none: track, role (before, after, after2), date in
        UTC, days from the event, platform, number of items, share of the area covered, and why it is not used.
    track : str or None
        The track that is used, such as ``"46 descending"``; None where none has a date before and one after the event.
    dates : mapping of str to mapping of str to Pass
        What is chosen, by track and role.

    Examples
    --------
    See `find_sentinel1`.
    """

    collection: str
    product: Product
    area: Area
    rules: Rules
    _catalogue: Catalogue
    passes: tuple[Pass, ...]
    _left: tuple[tuple[Any, str], ...]
    dates: Mapping[str, Mapping[str, Pass]]
    track: str | None
    _within_days: float
    _beside: tuple[tuple[Layer, ...], ...] = ()
    _notes: tuple[str, ...] = field(default=())

    @property
    def table(self) -> Any:
        """A row for each date, with the reason where it is not used."""
        import pandas

        rows = [self._row(one) for one in self.passes]
        rows += [
            {"date": f"{time_of(item):%Y-%m-%d %H:%M}", "items": 1, "reason": f"{item.id} {why}"}
            for item, why in self._left
        ]
        columns = ["track", "role", "date", "days", "platform", "items", "covers", "reason"]
        made = pandas.DataFrame(rows, columns=columns)
        made = made.fillna({"track": "", "role": "", "platform": "", "reason": ""})
        first = made["track"].map(lambda track: (track != self.track, not track, track))
        return made.assign(_first=first).sort_values(["_first", "date"], ignore_index=True).drop(columns="_first")

    def _row(self, one: Pass) -> dict[str, Any]:
        role = next((role for role, chosen in self.dates[one.track].items() if chosen is one), "")
        event = self.rules.event
        middle = event.first + (event.last - event.first) / 2
        return {
            "track": one.track,
            "role": role,
            "date": str(one),
            "days": round((one.begin - middle).total_seconds() / 86400, 1),
            "platform": one.platforms,
            "items": len(one.items),
            "covers": round(one.coverage, 3),
            "reason": reason_of(one, role, self.dates, self.track, self.rules),
        }

    def choose(
        self,
        track: str,
        *,
        before: Any = "chosen",
        after: Any = "chosen",
        after2: Any = "chosen",
    ) -> Sentinel1Choice:
        """Use a track, with the dates chosen or with others.

        Parameters
        ----------
        track : str
            As in `table`.
        before, after, after2 : str or date, default="chosen"
            A date of that track (UTC, with the time if there are two on one day), whatever it covers; None for none.

        Returns
        -------
        Sentinel1Choice

        Raises
        ------
        ArchiveError
            If there is no such track or date, or the date lies on the other side of the event.
        """
        self._require(track)
        dates = dict(self.dates[track])
        there = [one for one in self.passes if one.track == track]
        for role, date in zip(ROLES, (before, after, after2), strict=True):
            if date is None:
                dates.pop(role, None)
            elif date != "chosen":
                dates[role] = named(there, date, role, self.rules)
        if len(set(dates.values())) < len(dates):
            raise ArchiveError(
                "One date is to be two bands. Name different dates, or None for the second after the event."
            )
        return replace(self, dates={**self.dates, track: dates}, track=track)

    def with_optical(
        self,
        collection: str = "sentinel-2-l2a",
        *,
        api: Any = None,
        clouds: float = 20,
        modifier: Callable[..., Any] | None = None,
    ) -> Sentinel1Choice:
        """Add Red, Green and Blue of Sentinel-2: the first date after the event that covers the area with few clouds.

        Values are 10,000 x reflectance, whichever baseline they were processed with.

        Parameters
        ----------
        collection : str, default="sentinel-2-l2a"
            Of Sentinel-2 L2A, in the Planetary Computer's or Element 84's layout.
        api, modifier : default=None
            As in `find_sentinel1`; the same catalogue by default.
        clouds : float, default=20
            Per cent that each item may say it has.

        Returns
        -------
        Sentinel1Choice

        Raises
        ------
        ArchiveError
            If there is no such date, or an item lacks a band.
        """
        catalogue = self._catalogue if api is None else Catalogue.of(api, modifier)
        layers, day = optical_layers(
            catalogue,
            collection,
            self.area,
            self.rules.event,
            days=self._within_days,
            clouds=clouds,
            min_coverage=self.rules.min_coverage,
        )
        return self._with(layers, f"Red, Green, Blue of {collection}, {day}")

    def with_dem(
        self,
        collection: str = "cop-dem-glo-30",
        *,
        api: Any = None,
        modifier: Callable[..., Any] | None = None,
    ) -> Sentinel1Choice:
        """Add heights as ``DEM``, resampled onto the radar's grid; the scene derives ``Slope`` from them.

        Parameters
        ----------
        collection : str, default="cop-dem-glo-30"
            Copernicus' DEM, or another whose items have an asset ``data``, ``elevation`` or ``dem``.
        api, modifier : default=None
            As in `find_sentinel1`; the same catalogue by default.

        Returns
        -------
        Sentinel1Choice

        Raises
        ------
        ArchiveError
            If there are no heights of the area.
        """
        catalogue = self._catalogue if api is None else Catalogue.of(api, modifier)
        return self._with(height_layers(catalogue, collection, self.area), f"DEM of {collection}")

    def _with(self, layers: Sequence[Layer], note: str) -> Sentinel1Choice:
        return replace(self, _beside=(*self._beside, tuple(layers)), _notes=(*self._notes, note))

    def to_scene(
        self,
        tracks: str | Sequence[str] | None = None,
        *,
        grid: Grid | Scene | None = None,
        crs: Any = None,
        resolution: float | None = None,
        resampling: str = "bilinear",
        chunk: int = 1024,
    ) -> Scene:
        """The scene of the dates chosen, read when it is asked for pixels.

        Bands are VV_before, VH_before, VV_after, VH_after and, where there is a second date after the event, VV_after2
        and VH_after2. Of further tracks they end in the pass, such as VV_before_ascending. The items of a date are
        mosaicked; where they overlap, the first by name counts.

        Parameters
        ----------
        tracks : str or sequence of str, default=None
            Tracks as in `table`; the one that is used by default.
        grid : Grid or Scene, default=None
            The grid to read on. By default about the area, on the pixels that the rasters have.
        crs, resolution : default=None
            Of that grid, where they are to be others than the rasters'.
        resampling : str, default="bilinear"
            How rasters on other grids are resampled, nodata left out.
        chunk : int, default=1024
            Pixels a side of what is fetched at once.

        Returns
        -------
        Scene
            With the units of the collection declared.

        Raises
        ------
        ArchiveError
            If a track has no date before or none after the event, or there is no such track.
        SceneReadError
            When it is read: if a file is refused, gone, or the network fails.
        """
        names: Sequence[str | None] = [tracks] if isinstance(tracks, str) else tracks or [self.track]
        radar = [layer for i, name in enumerate(names) for layer in self._radar(name, self._ending(name, names, i))]
        layers = [*radar, *(layer for group in self._beside for layer in group)]
        geobox = self._geobox(radar, grid, crs, resolution)
        units = {layer.band: self.product.units for layer in radar}
        return Scene.from_xarray(load(layers, geobox, chunk, resampling), units=units)

    def _radar(self, track: str | None, ending: str) -> list[Layer]:
        self._require(track)
        chosen = self.dates[str(track)]
        if not {"before", "after"} <= set(chosen):
            raise ArchiveError(f"{self._why_none(track)} Use another track or other dates (choose), or search longer.")
        return [
            Layer(f"{name}_{role}{ending}", tuple((item, radar_assets(item)[name]) for item in chosen[role].items))
            for role in ROLES
            if role in chosen
            for name in self.rules.polarisations
        ]

    @staticmethod
    def _ending(track: str | None, tracks: Sequence[str | None], position: int) -> str:
        """What the bands of a further track end in: its pass, or its number where others have the same pass."""
        if position == 0:
            return ""
        number, *rest = str(track).split()
        alone = rest and sum(str(other).split()[1:] == rest for other in tracks) == 1
        return f"_{'_'.join(rest)}" if alone else f"_track{number}"

    def _geobox(self, radar: Sequence[Layer], grid: Grid | Scene | None, crs: Any, resolution: float | None) -> Any:
        if grid is None:
            area = self.area
            bounds = (area.west, area.south, area.east, area.north)
            return grid_of(radar, bounds, crs, resolution, self.product.resolution)
        from odc.geo.geobox import GeoBox

        grid = grid.grid if isinstance(grid, Scene) else grid
        if grid.crs is None:
            raise ArchiveError(
                "The grid has no coordinate system, so that nothing can be placed on it. Give one that has."
            )
        return GeoBox(grid.shape, grid.transform, grid.crs.to_wkt())

    def _require(self, track: str | None) -> None:
        if track is None:
            raise ArchiveError(f"{self._why_none(None)} See the table, choose dates (choose), or search longer.")
        if track not in self.dates:
            raise ArchiveError(f"There is no track {track!r}. Choose one of {', '.join(map(repr, self.dates))}.")

    def _why_none(self, track: str | None) -> str:
        table = self.table if track is None else self.table[self.table["track"] == track]
        lines = table[["track", "date", "covers", "reason"]].to_string(index=False, max_rows=20)
        what = "No track has" if track is None else f"The track {track!r} does not have"
        return f"{what} a date before the event ({self.rules.event}) and one after it to make a scene of:\n{lines}\n"

    def __repr__(self) -> str:
        return f"<{self._summary()}>"

    def _summary(self) -> str:
        head = f"Sentinel1Choice of {self.collection}, event {self.rules.event}: "
        if self.track is None:
            return f"{head}no track has a date before and one after it"
        dates = [f"{role} {one.begin:%Y-%m-%d}" for role, one in self.dates[self.track].items()]
        return head + ", ".join([f"track {self.track}", *dates, *self._notes])

    def _repr_html_(self) -> str:
        """The summary and the table; names are text."""
        table = self.table.to_html(index=False, border=0, max_rows=40, justify="left", na_rep="")
        return f"<div><p>{html.escape(self._summary())}</p>{table}</div>"
