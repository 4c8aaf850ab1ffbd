"""The scene of what was chosen: right pixels, on one grid, fetched when they are read. No catalogue is asked."""

import pickle

import numpy as np
import pytest
from local_archive import BANDS, COLLECTION, DATES, EVENT
from rasterio.crs import CRS

from sklandslide import Scene, find_sentinel1
from sklandslide.exceptions import ArchiveError
from sklandslide.geodata import Grid, Window


def find(archive, items=None, **options):
    return find_sentinel1(
        archive.items if items is None else items, COLLECTION, archive.area, EVENT, within_days=365, **options
    )


def test_the_scene_holds_the_pixels_of_the_dates_chosen_mosaicked_on_their_own_grid(archive):
    scene = find(archive, archive.signed("first")).to_scene()  # GDAL keeps nothing of these
    assert scene.bands == tuple(BANDS)
    assert dict(scene.units) == dict.fromkeys(BANDS, "linear")
    assert scene.grid.crs == archive.crs
    assert 75 <= min(scene.grid.shape) <= max(scene.grid.shape) <= 100
    assert archive.web.log == []
    pixels = scene.read()
    np.testing.assert_array_equal(pixels, archive.expected(BANDS, scene.grid))
    assert np.isfinite(pixels).mean() > 0.99
    asked = {path.split("?")[0].strip("/") for _, _, path in archive.web.log}
    assert asked == {f"{date}_{i}_{pol}.tif" for role, date in DATES.items() if role != "before2"
                     for i in (0, 1) for pol in ("VV", "VH")}  # fmt: skip


def test_it_is_the_same_scene_whatever_the_addresses_are_signed_with(archive):
    """So that a map that was interrupted goes on with new signatures."""
    first, second = (find(archive, archive.signed(sign)).to_scene() for sign in ("monday", "tuesday"))
    assert first == second
    assert pickle.loads(pickle.dumps(first)) == first
    assert first != find(archive).choose("137 descending", before=DATES["before2"]).to_scene()
    assert first != find(archive).to_scene(resolution=60)


def test_a_pickled_scene_reads_the_same(archive):
    scene = find(archive).to_scene()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scene)).read("VH_after"), scene.read("VH_after"))


def test_other_dates_and_a_second_track(archive):
    found = find(archive)
    scene = found.choose("137 descending", before=DATES["before2"], after2=None).to_scene(
        ["137 descending", "64 ascending"]
    )
    own = ("VV_before", "VH_before", "VV_after", "VH_after")
    assert scene.bands == (*own, *(f"{band}_ascending" for band in own))
    np.testing.assert_array_equal(scene.read("VV_before"), archive.expected(["VV_before2"], scene.grid))
    assert (scene.read("VV_before_ascending") == 9).all()


def test_further_tracks_of_the_same_pass_are_told_by_their_numbers(archive):
    ending = type(find(archive))._ending
    tracks = ["46 descending", "68 ascending", "119 descending"]
    assert [ending(track, tracks, i) for i, track in enumerate(tracks)] == ["", "_ascending", "_track119"]
    assert ending("46", ["46", "68"], 1) == "_track46"


def test_optical_bands_and_heights_lie_on_the_same_grid(archive):
    found = find(archive).with_optical(clouds=20).with_dem()
    assert "Red, Green, Blue of sentinel-2-l2a, 2023-01-22, DEM of cop-dem-glo-30" in repr(found)
    scene = found.to_scene()
    assert scene.bands == (*BANDS, "Red", "Green", "Blue", "DEM", "Slope")
    assert set(scene.units) == set(BANDS)
    assert np.unique(scene.read("Red")).tolist() == [300]  # without the 1,000 of baseline 04.00
    assert np.unique(scene.read("Blue")).tolist() == [302]
    heights = scene.read("DEM")[..., 0]
    assert np.isfinite(heights).all()
    assert (np.diff(heights, axis=0) > 0).mean() > 0.99  # a plane that rises to the south
    assert np.ptp(heights) > 200


def test_optical_dates_with_too_many_clouds_are_named(archive):
    with pytest.raises(ArchiveError, match=r"2023-01-17 \(100% covered, 80 % clouds\), 2023-01-22"):
        find(archive).with_optical(clouds=1)
    with pytest.raises(ArchiveError, match="has no heights of the area"):
        find(archive).with_dem("no-dem")
    with pytest.raises(ArchiveError, match="has no asset red or B04 for Red; it has VV, VH"):
        find(archive).with_optical(COLLECTION, clouds=100)


class TestGrid:
    def test_another_scenes_grid(self, archive):
        own = find(archive).to_scene()
        crop = own.grid.crop(Window(10, 20, 20, 40))
        scene = find(archive).to_scene(grid=crop)
        assert scene.grid.shape == (20, 40)
        np.testing.assert_array_equal(scene.read("VV_after"), own.read("VV_after", ((10, 30), (20, 60))))
        assert find(archive).to_scene(grid=scene).grid == scene.grid

    def test_another_coordinate_system_and_resolution(self, archive):
        own = find(archive).to_scene()
        scene = find(archive).to_scene(crs="EPSG:3857", resolution=own.grid.pixel_extent[0] * 1.4)
        assert scene.grid.crs == CRS.from_epsg(3857)
        np.testing.assert_allclose(scene.grid.pixel_extent, np.array(own.grid.pixel_extent) * 1.4)
        inside = scene.read("VV_before")[3:-3, 3:-3]
        assert np.isfinite(inside).mean() > 0.9
        np.testing.assert_allclose(np.nanmedian(inside), np.nanmedian(own.read("VV_before")), rtol=0.1)

    def test_items_that_say_nothing_of_their_grid_come_in_utm(self, archive):
        items = [item.clone() for item in archive.items]
        for item in items:
            item.stac_extensions = []
            for key in [key for key in item.properties if key.startswith("proj:")]:
                del item.properties[key]
        scene = find(archive, items).to_scene()
        assert scene.grid.crs == archive.crs
        assert scene.grid.pixel_extent == (30, 30)

    @pytest.mark.parametrize("crs", ["EPSG:999999", "Iburi"])
    def test_what_is_no_coordinate_system_is_refused(self, archive, crs):
        with pytest.raises(ArchiveError, match="There is no grid"):
            find(archive).to_scene(crs=crs)

    def test_a_grid_without_a_coordinate_system_is_refused(self, archive):
        with pytest.raises(ArchiveError, match="no coordinate system"):
            find(archive).to_scene(grid=Grid(None, archive.transform, (5, 5)))


def test_what_is_read_elsewhere_fetches_nothing(archive):
    """A scene may be made, described, pickled and compared without a byte."""
    scene = find(archive).with_optical().with_dem().to_scene()
    assert isinstance(scene, Scene)
    assert all([scene.fingerprint, repr(scene), pickle.dumps(scene), scene.block_shape, hash(scene)])
    assert archive.web.log == []
