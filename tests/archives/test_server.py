"""The whole way against a real STAC API on this machine, which is started for these tests and ends with them."""

import numpy as np
import pystac_client
import pytest
import shapely
from catalogue_items import radar_item
from local_archive import BANDS, COLLECTION, EVENT
from stac_server import StacServer, free_port

from sklandslide import find_sentinel1
from sklandslide.exceptions import ArchiveError

pytestmark = [pytest.mark.stac_server, pytest.mark.slow]
FIJI = (179.5, -17.5, -179.5, -16.5)


@pytest.fixture(scope="module")
def api(one_archive):
    server = StacServer()
    try:
        for collection in (COLLECTION, "sentinel-2-l2a", "cop-dem-glo-30"):
            items = [item for item in one_archive.items if item.collection_id == collection]
            server.load((collection, "2014-10-10T00:00:00Z"), items)
        parts = [shapely.box(178, -18, 180, -16), shapely.box(-180, -18, -178, -16)]
        fiji = [radar_item(day, name=f"fiji{day}") for day in (-5, 7)]
        for item in fiji:
            item.geometry = shapely.geometry.mapping(shapely.multipolygons(parts))
        many = [radar_item(6 * i + 1, name=f"S1B_{i}_{frame}", box=(140, 42 + frame / 2, 143, 43 + frame / 2),
                           seconds=25 * frame) for i in range(-7, 7) for frame in (0, 1)]  # fmt: skip
        server.load(("sentinel-1-rtc", "2014-10-10T00:00:00Z"), [*fiji, *many])
        yield server
    finally:
        server.close()


def find(api, archive, **options):
    return find_sentinel1(api.address, COLLECTION, archive.area, EVENT, within_days=365, **options)


def test_from_a_date_and_a_box_to_the_pixels(api, archive):
    found = find(api, archive)
    own = find_sentinel1(archive.items, COLLECTION, archive.area, EVENT, within_days=365)
    assert found.table.equals(own.table)
    scene = found.with_optical().with_dem().to_scene()
    assert scene.bands == (*BANDS, "Red", "Green", "Blue", "DEM", "Slope")
    np.testing.assert_array_equal(scene.read(BANDS), archive.expected(BANDS, scene.grid))
    assert found.to_scene() == own.to_scene()


def test_a_client_that_the_user_opened(api, archive):
    client = pystac_client.Client.open(api.address)
    found = find_sentinel1(client, COLLECTION, archive.area, EVENT, within_days=365)
    assert found.table.equals(find(api, archive).table)


def test_addresses_are_signed_by_the_users_function(api, archive):
    def modifier(found):
        """Catalogue, collections and answers of a search all come here."""
        for item in found.get("features", ()):
            for asset in item["assets"].values():
                asset["href"] = asset["href"].split("?")[0] + "?sig=signed"

    find(api, archive, modifier=modifier).to_scene().read("VV_before")
    assert archive.web.log
    assert all(path.endswith("?sig=signed") for _, _, path in archive.web.log)


def test_all_pages_of_an_answer_are_read(api):
    found = find_sentinel1(api.address, "sentinel-1-rtc", (141.5, 42.2, 142.5, 43.2), "2018-09-05T18:07Z")
    assert len(found.passes) == 14
    assert {len(one.items) for one in found.passes} == {2}


def test_an_area_across_180_degrees(api):
    found = find_sentinel1(api.address, "sentinel-1-rtc", FIJI, "2018-09-05T18:07Z")
    assert list(found.table["covers"]) == [1, 1]
    assert found.track == "46 descending"


def test_a_catalogue_without_matches_says_what_there_is(api, archive):
    with pytest.raises(ArchiveError, match=r"nothing of the area 10, 50, 10\.2, 50\.2") as error:
        find_sentinel1(api.address, COLLECTION, (10, 50, 10.2, 50.2), EVENT)
    assert "The collection holds 2014-10-10 to now." in str(error.value)


def test_an_event_before_the_archive_begins(api, archive):
    with pytest.raises(ArchiveError, match=r"\(1999-09-21\)\. The collection holds 2014-10-10 to now\."):
        find_sentinel1(api.address, COLLECTION, archive.area, "1999-09-21")


def test_a_collection_that_there_is_not(api, archive):
    with pytest.raises(ArchiveError, match="no such collection; it has OPERA_L2_RTC-S1_V1, cop-dem-glo-30"):
        find_sentinel1(api.address, "sentinel-1-grd", archive.area, EVENT, units="linear")


def test_the_catalogue_is_found_again_after_it_was_away(api, archive):
    client = pystac_client.Client.open(api.address)
    api.stop()
    with pytest.raises(ArchiveError, match="does not answer as a STAC API"):
        find(api, archive)
    with pytest.raises(ArchiveError, match="does not answer"):
        find_sentinel1(client, COLLECTION, archive.area, EVENT)
    api.start()
    assert find(api, archive).track == "137 descending"


def test_addresses_that_are_no_catalogue(archive):
    for address in (archive.address, f"http://127.0.0.1:{free_port()}", "ftp://example.org", "catalogue.json"):
        with pytest.raises(ArchiveError, match="does not answer as a STAC API"):
            find_sentinel1(address, COLLECTION, archive.area, EVENT)
