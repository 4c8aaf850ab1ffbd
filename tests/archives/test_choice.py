"""Which dates of which track are chosen, and what is said of the others; no catalogue is asked."""

import sys
from datetime import date, datetime

import geopandas
import pytest
import shapely
from catalogue_items import AREA, EVENT, FRAME, archive, radar_item

from sklandslide import find_sentinel1
from sklandslide.exceptions import ArchiveError, MissingPackageError


def find(items, area=AREA, event=EVENT, **options):
    return find_sentinel1(items, "sentinel-1-rtc", area, event, **options)


def roles(found):
    """Date of each role, by track."""
    return {
        track: {role: f"{one.begin:%m-%d}" for role, one in chosen.items()} for track, chosen in found.dates.items()
    }


def reasons(found):
    return dict(
        zip(found.table["date"].str[5:10] + " " + found.table["track"].str[:3], found.table["reason"], strict=True)
    )


def test_last_date_before_and_first_two_after_of_each_track():
    found = find(archive())
    assert roles(found) == {
        "46 descending": {"before": "08-31", "after": "09-12", "after2": "09-24"},
        "68 ascending": {"before": "09-02", "after": "09-14"},
        "141 ascending": {"after": "09-08"},
    }
    assert found.track == "46 descending"


def test_each_item_is_in_the_table_once_with_a_reason_unless_it_is_used():
    table = find(archive()).table
    assert table["items"].sum() == len(archive())
    used = table[table["reason"] == ""]
    assert list(used["role"]) == ["before", "after", "after2"]
    assert set(used["track"]) == {"46 descending"}
    assert list(table["track"])[:1] == ["46 descending"]


def test_what_is_left_out_says_why():
    said = reasons(find(archive()))
    assert said["08-19 46 "] == "2018-08-31 is chosen"
    assert said["10-06 46 "] == "2018-09-12 and 2018-09-24 are chosen"
    assert said["09-18 46 "] == "covers 50% of the area; min_coverage=0.99"
    assert said["09-14 68 "] == "the track 46 descending is used; choose('68 ascending') takes this one"
    assert said["09-08 141"] == "the track has no date before the event that can be used"
    assert said["08-31 "] == "S1B_once the same as S1B_again, which is newer"
    assert said["09-04 "] == "S1_of_no_orbit says no relative orbit"


def test_the_order_in_which_items_are_found_does_not_matter():
    items = archive()
    tables = [find(order).table for order in (items, items[::-1], sorted(items, key=lambda item: item.id))]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_the_same_orbit_flown_by_another_satellite_is_the_same_geometry():
    found = find([radar_item(-5), radar_item(1, platform="SENTINEL-1A"), radar_item(7)])
    assert roles(found) == {"46 descending": {"before": "08-31", "after": "09-06", "after2": "09-12"}}
    assert list(found.table["platform"]) == ["S1B", "S1A", "S1B"]


def test_another_mode_or_pass_is_another_track():
    items = [radar_item(-5), radar_item(7), radar_item(1, mode="EW"), radar_item(2, direction="ascending")]
    assert set(find(items).dates) == {"46 descending", "46 descending EW", "46 ascending"}


def test_frames_of_one_pass_are_one_date_also_across_midnight():
    halves = [(140.5, 41.9, 142.0, 43.6), (142.0, 41.9, 143.5, 43.6)]
    items = [
        radar_item(day, box=box, hour=23.999, seconds=25 * i, name=f"{day}_{i}")
        for day in (-5, 7)
        for i, box in enumerate(halves)
    ]
    found = find(items)
    assert {len(one.items) for one in found.passes} == {2}
    assert list(found.table["covers"]) == [1, 1]
    assert set(found.dates["46 descending"]) == {"before", "after"}


def test_neighbouring_frames_are_no_doubles():
    items = [radar_item(day, name=f"{day}_{i}", box=box) for day in (-5, 7)
             for i, box in enumerate([(140, 42, 142.05, 43), (141.95, 42, 143, 43)])]  # fmt: skip
    assert [len(one.items) for one in find(items).passes] == [2, 2]


class TestEvent:
    """A date alone is that date anywhere on Earth."""

    def test_a_date_alone_leaves_out_what_may_be_either(self):
        items = [radar_item(day) for day in (-12, 0, 12)]  # the third hour after the event, and still the 5th in UTC
        assert roles(find(items, event="2018-09-06"))["46 descending"] == {"before": "08-24", "after": "09-17"}
        assert roles(find(items, event=date(2018, 9, 6))) == roles(find(items, event="2018-09-06"))
        said = reasons(find(items, event="2018-09-06"))
        assert said["09-05 46 "] == "before or after the event? Give the event with its time"

    @pytest.mark.parametrize(
        "event", [EVENT, "2018-09-06T03:07+09:00", "2018-09-05 18:07", datetime(2018, 9, 5, 18, 7)]
    )
    def test_a_time_decides(self, event):
        items = [radar_item(day) for day in (-12, 0, 12)]
        assert roles(find(items, event=event))["46 descending"] == {
            "before": "08-24",
            "after": "09-05",
            "after2": "09-17",
        }

    def test_the_other_side_of_the_pass(self):
        items = [radar_item(day) for day in (-12, 0, 12)]
        assert roles(find(items, event="2018-09-05T23:00Z"))["46 descending"] == {"before": "09-05", "after": "09-17"}

    @pytest.mark.parametrize("event", ["yesterday", "06.09.2018", 20180906, None, ""])
    def test_what_is_no_time_is_refused(self, event):
        with pytest.raises(ArchiveError, match="is no time"):
            find(archive(), event=event)


class TestArea:
    @pytest.mark.parametrize(
        "area",
        [
            (42.6, 141.9, 42.8, 142.1),  # latitude first
            (141.9, 42.8, 142.1, 42.6),
            (141.9, 42.6, 141.9, 42.8),
            (141.9, 42.6, 142.1),
            (141.9, 42.6, float("nan"), 42.8),
            (500_000, 4_700_000, 510_000, 4_710_000),
            "Iburi",
            None,
        ],
    )
    def test_what_is_no_box_is_refused(self, area):
        with pytest.raises(ArchiveError, match="is no box"):
            find(archive(), area=area)

    def test_bounds_of_an_inventory(self):
        polygons = geopandas.GeoSeries([shapely.box(*AREA)], crs="EPSG:4326").to_crs("EPSG:32654")
        assert roles(find(archive(), area=polygons)) == roles(find(archive()))

    def test_an_inventory_without_a_coordinate_system_is_refused(self):
        with pytest.raises(ArchiveError, match="no coordinate system"):
            find(archive(), area=geopandas.GeoSeries([shapely.box(*AREA)]))

    def test_an_area_across_180_degrees(self):
        """Footprints are cut at the meridian, jump over it, or count on."""
        cut = radar_item(-5)
        parts = [shapely.box(178, -18, 180, -16), shapely.box(-180, -18, -178, -16)]
        cut.geometry = shapely.geometry.mapping(shapely.multipolygons(parts))
        jumps = radar_item(7)
        jumps.geometry = shapely.geometry.mapping(shapely.Polygon([(178, -18), (-178, -18), (-178, -16), (178, -16)]))
        counts_on = radar_item(19, box=(178, -18, 182, -16))
        half = radar_item(13, box=(178, -18, 180, -16))
        found = find([cut, jumps, counts_on, half], area=(179.5, -17.5, -179.5, -16.5))
        assert roles(found)["46 descending"] == {"before": "08-31", "after": "09-12", "after2": "09-24"}
        assert list(found.table["covers"]) == [1, 1, 0.5, 1]
        assert str(found.area) == "179.5, -17.5, -179.5, -16.5"
        assert found.area.geojson["type"] == "MultiPolygon"

    def test_an_area_of_most_of_the_earth_is_refused(self):
        with pytest.raises(ArchiveError, match="degrees wide"):
            find(archive(), area=(-179.5, -17.5, 179.5, -16.5))


class TestOverrides:
    def test_another_track(self):
        found = find(archive()).choose("68 ascending")
        assert found.track == "68 ascending"
        assert list(found.table.loc[found.table["reason"] == "", "track"].unique()) == ["68 ascending"]

    def test_other_dates_also_one_that_covers_half(self):
        found = find(archive())
        other = found.choose("46 descending", before="2018-08-19", after="2018-09-18", after2=None)
        assert roles(other)["46 descending"] == {"before": "08-19", "after": "09-18"}
        assert roles(found) == roles(find(archive()))
        assert reasons(other)["08-31 46 "] == "2018-08-19 is chosen"

    def test_a_date_of_the_events_day_can_be_named(self):
        found = find([radar_item(day) for day in (-12, 0, 12)], event="2018-09-06")
        assert roles(found.choose("46 descending", after="2018-09-05"))["46 descending"]["after"] == "09-05"

    @pytest.mark.parametrize(
        ("track", "dates", "message"),
        [
            ("47 descending", {}, "no track '47 descending'"),
            ("46 descending", {"before": "2018-09-12"}, "other side of the event"),
            ("46 descending", {"after2": "2018-08-31"}, "other side of the event"),
            ("46 descending", {"before": "2018-08-30"}, "names 0 dates"),
            ("46 descending", {"before": "2018-08"}, "names 2 dates"),
            ("46 descending", {"after": "2018-09-24"}, "two bands"),
        ],
    )
    def test_what_cannot_be_chosen_is_refused(self, track, dates, message):
        with pytest.raises(ArchiveError, match=message):
            find(archive()).choose(track, **dates)


class TestNothingFits:
    def test_a_catalogue_without_matches_says_what_was_asked(self):
        with pytest.raises(ArchiveError, match=r"nothing of the area 10, 50, 10.2, 50.2 within 48 days") as error:
            find(archive(), area=(10, 50, 10.2, 50.2))
        assert "sentinel-1-rtc" in str(error.value)

    def test_an_event_outside_the_archive(self):
        with pytest.raises(ArchiveError, match=r"of the event \(1999-09-21\)"):
            find(archive(), event="1999-09-21")

    def test_an_event_that_no_date_follows_yet(self):
        found = find([radar_item(-17), radar_item(-5)])
        assert found.track is None
        with pytest.raises(ArchiveError, match="No track has a date before the event") as error:
            found.to_scene()
        assert "no date after the event that can be used" in str(error.value)
        with pytest.raises(ArchiveError, match="'46 descending' does not have"):
            found.to_scene("46 descending")

    def test_dates_that_cover_half_the_area_make_no_scene_unless_they_are_chosen(self):
        half = (140.5, 41.9, 142.0, 43.6)
        found = find([radar_item(day, box=half) for day in (-5, 7)])
        assert found.track is None
        with pytest.raises(ArchiveError, match=r"covers 50% of the area; min_coverage=0\.99"):
            found.to_scene()
        assert find([radar_item(day, box=half) for day in (-5, 7)], min_coverage=0.5).track == "46 descending"
        assert found.choose("46 descending", before="2018-08-31", after="2018-09-12").track == "46 descending"

    def test_a_date_without_a_polarisation_is_not_chosen(self):
        items = [radar_item(-17), radar_item(-5, keys=("vv",)), radar_item(7)]
        assert roles(find(items))["46 descending"]["before"] == "08-19"
        assert reasons(find(items))["08-31 46 "] == "has no VH"
        assert roles(find(items, polarisations=["VV"]))["46 descending"]["before"] == "08-31"
        with pytest.raises(ArchiveError, match="has no VH"):
            find(items).choose("46 descending", before="2018-08-31")


class TestCollections:
    def test_units_of_an_unknown_collection_have_to_be_told(self):
        items = [radar_item(day, collection="my-rtc") for day in (-5, 7)]
        with pytest.raises(ArchiveError, match="units of the collection 'my-rtc' are not known"):
            find_sentinel1(items, "my-rtc", AREA, EVENT)
        assert find_sentinel1(items, "my-rtc", AREA, EVENT, units="dB").product.units == "dB"
        with pytest.raises(ArchiveError, match="'amplitude'"):
            find_sentinel1(items, "my-rtc", AREA, EVENT, units="amplitude")

    def test_bursts_of_opera_say_the_track_in_their_names(self):
        """Three bursts of a swath a date, with assets named after the file."""
        items = []
        for day in (-5, 7):
            for i in range(3):
                box = (141.5, 42.55 + 0.1 * i, 142.5, 42.7 + 0.1 * i)
                name = f"OPERA_L2_RTC-S1_T046-09828{i}-IW2_201809{day + 10:02}T204200Z_S1A_30_v1.0"
                keys = (f"{name}_VV", f"{name}_VH", f"{name}_mask")
                items.append(radar_item(day, orbit=None, direction=None, name=name, keys=keys, box=box, seconds=3 * i,
                                        collection="OPERA_L2_RTC-S1_V1", hour=20.7))  # fmt: skip
        found = find_sentinel1(items, "OPERA_L2_RTC-S1_V1", AREA, EVENT)
        assert list(found.dates) == ["46"]
        assert [len(one.items) for one in found.passes] == [3, 3]
        assert found.passes[0].polarisations == {"VV", "VH"}

    @pytest.mark.parametrize("keys", [("VV", "VH"), ("gamma0_vv", "gamma0_vh"), ("0_VV", "0_VH")])
    def test_names_of_assets_differ(self, keys):
        assert find([radar_item(day, keys=keys) for day in (-5, 7)]).track == "46 descending"


def test_names_are_text_in_a_notebook():
    found = find([radar_item(-5), radar_item(7), radar_item(3, orbit=None, name="<script>alert(1)</script>")])
    shown = found._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)" in shown
    assert "46 descending" in shown


def test_what_is_no_catalogue_is_refused():
    for api in ([], 5, ["https://example.org"]):
        with pytest.raises(ArchiveError, match="is no catalogue"):
            find(api)
    with pytest.raises(ArchiveError, match="modifier= goes with an address"):
        find(archive(), modifier=print)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "odc", None)
    monkeypatch.delitem(sys.modules, "odc.stac", raising=False)
    with pytest.raises(MissingPackageError, match=r"sklandslide\[archives\]"):
        find(archive())


def test_footprints_that_are_not_valid_are_repaired():
    bow_tie = radar_item(-5)
    west, south, east, north = FRAME
    bow_tie.geometry = shapely.geometry.mapping(
        shapely.Polygon([(west, south), (east, south), (west, north), (east, north)])
    )
    assert find([bow_tie, radar_item(7)]).passes[0].coverage < 1
