"""What is fetched, and what happens when it fails: nothing is lost, and nothing is half."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from catalogue_items import radar_item
from fitting import fitted
from local_archive import COLLECTION
from rasterio.warp import transform_geom
from scenes import WeightedSum

from sklandslide import Scene, SlidingWindowPredictor, find_sentinel1
from sklandslide.archives import reading
from sklandslide.exceptions import SceneReadError
from sklandslide.geodata import Window
from sklandslide.mapping import tiles

SIDE, BLOCK = 640, 128
EVENT = "2018-09-05T18:07Z"
DAYS = {"VV_before": -5, "VV_after": 7}


class Interrupted(WeightedSum):
    """Does something in a certain call."""

    calls_made, in_call, do = 0, 0, None

    def predict_proba(self, X):
        Interrupted.calls_made += 1
        if Interrupted.calls_made == self.in_call:
            self.do()
        return super().predict_proba(X)


class Wide:
    """Two dates of noise, 640 x 640 pixels in blocks of 128 (64 kB each), at the local archive's place."""

    def __init__(self, archive):
        self.archive, self._items = archive, []
        random = np.random.default_rng(0)
        polygon = self.polygon((0, 0), SIDE)
        for band, day in DAYS.items():
            like = radar_item(day, collection=COLLECTION)
            said = {key: like.properties[key] for key in ("sat:relative_orbit", "sat:orbit_state")}
            item = archive.item(
                band, COLLECTION, like.datetime.isoformat(), polygon, archive.transform, (SIDE, SIDE), **said
            )
            archive.items.pop()
            pixels = random.gamma(4, 0.05, (SIDE, SIDE)).astype("float32")
            archive.asset(item, "VV", pixels, archive.crs, archive.transform, nodata=np.nan)
            self._items.append(item)
        self.paths = {band: archive.folder / f"{band}_VV.tif" for band in DAYS}
        self.size = sum(path.stat().st_size for path in self.paths.values())

    def polygon(self, origin, side):
        """A square of pixels as GeoJSON in degrees."""
        (row, col) = origin
        corners = self.archive.grid.xy([row, row, row + side, row + side], [col, col + side, col + side, col])
        return transform_geom(self.archive.crs, "EPSG:4326", shapely.geometry.mapping(shapely.Polygon(corners)))

    def scene(self, signature, grid=None, origin=(20, 20), side=SIDE - 40):
        """The scene from the catalogue, with addresses of its own."""
        items = [item.clone() for item in self._items]
        for item in items:
            item.assets["VV"].href = f"{self.archive.address}/{item.id}_VV.tif?sig={signature}"
        area = shapely.geometry.shape(self.polygon(origin, side)).bounds
        found = find_sentinel1(items, COLLECTION, area, EVENT, polarisations=["VV"])
        return found.to_scene(chunk=BLOCK, grid=grid)

    @property
    def in_files(self):
        """The same pixels read from the files."""
        return Scene.from_files(self.paths, units=dict.fromkeys(DAYS, "linear"))


@pytest.fixture(scope="module")
def one_wide(one_archive):
    return Wide(one_archive)


@pytest.fixture
def wide(archive, one_wide):
    return one_wide


@pytest.fixture(scope="module")
def pipe(one_wide):
    return fitted(one_wide.in_files, 5, Interrupted(), list(DAYS))


@pytest.fixture(scope="module")
def whole(pipe, one_wide, tmp_path_factory):
    """The map of the same pixels in files, and how many calls it took."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "_LARGEST", 16)
        return map_of(pipe, one_wide.in_files, tmp_path_factory.mktemp("files") / "map.tif")


def map_of(pipe, scene, path, in_call=0, do=None):
    Interrupted.calls_made, Interrupted.in_call, Interrupted.do = 0, in_call, do and staticmethod(do)
    made = SlidingWindowPredictor(pipe, step=8).predict_map(scene, path)
    return Path(made.path).read_bytes(), Interrupted.calls_made


@pytest.fixture
def mapped(pipe, wide, tmp_path, monkeypatch):
    """Map a scene of the catalogue on the files' grid, with something to happen in some call of the classifier."""
    monkeypatch.setattr(tiles, "_LARGEST", 16)
    # What the check of the scene's values has fetched before the first tile would otherwise be all that there is.
    forgetful = {**reading.SETTINGS, "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/"}
    monkeypatch.setattr(reading, "SETTINGS", forgetful)

    def run(signature, in_call=0, do=None):
        return map_of(pipe, wide.scene(signature, wide.in_files.grid), tmp_path / "map.tif", in_call, do)

    run.path, run.tiles = tmp_path / "map.tif", tmp_path / ".map.tif.tiles"
    return run


def test_the_map_is_that_of_the_same_pixels_in_files_byte_for_byte(mapped, whole):
    assert mapped("files") == whole


def test_a_server_killed_midway_and_started_again(archive, mapped, whole):
    with pytest.raises(SceneReadError, match=r"cannot be read over the network: .*Check the network") as error:
        mapped("killed", 7, archive.web.kill)
    assert "sig=" not in str(error.value)
    assert not mapped.path.exists()
    assert any(mapped.tiles.iterdir())
    archive.web.start()
    again, calls = mapped("killed")
    assert again == whole[0]
    assert 0 < calls < whole[1]


def test_addresses_that_run_out_midway_and_are_signed_anew(archive, mapped, whole):
    refused = [f"{band}_VV.tif" for band in DAYS]
    with pytest.raises(SceneReadError, match=r"403.*search again for addresses that are signed anew") as error:
        mapped("monday", 7, lambda: archive.web.faults(refused=refused))
    assert "monday" not in str(error.value)
    archive.web.faults()
    again, calls = mapped("tuesday")
    assert again == whole[0]
    assert 0 < calls < whole[1]


def test_five_per_cent_of_answers_that_the_server_is_busy(archive, mapped, whole):
    archive.web.faults(busy=20)
    assert mapped("busy") == whole
    assert 503 in {status for status, _, _ in archive.web.log}


def test_threads_that_are_told_that_the_server_is_busy_do_not_stand_still(archive, wide, monkeypatch, in_time):
    """Not in step with the blocks, so that neighbouring chunks want the same bytes."""
    monkeypatch.setattr(reading, "SETTINGS", {**reading.SETTINGS, "GDAL_HTTP_RETRY_DELAY": "0.01"})
    archive.web.faults(busy=3)
    assert np.isfinite(wide.scene("still").read()).mean() > 0.9


def test_connections_that_break_off_are_tried_anew(archive, wide):
    """And no half of a block is taken for pixels."""
    scene = wide.scene("cut", wide.in_files.grid)
    archive.web.faults(cut=10)
    np.testing.assert_array_equal(scene.read(), wide.in_files.read())


def test_an_asset_that_is_gone_is_named_and_read_when_it_is_back(archive, wide, mapped, whole):
    archive.web.faults(gone=["VV_after_VV.tif"])
    with pytest.raises(SceneReadError, match=r"VV_after_VV\.tif .*404.*choose another date"):
        mapped("gone")
    assert not mapped.path.exists()
    archive.web.faults()
    assert mapped("gone") == whole


def test_a_server_that_does_not_answer_is_given_up(archive, wide, monkeypatch):
    quick = {"GDAL_HTTP_LOW_SPEED_TIME": "1", "GDAL_HTTP_MAX_RETRY": "0"}
    monkeypatch.setattr(reading, "SETTINGS", {**reading.SETTINGS, **quick})
    monkeypatch.setattr(reading, "_TRIES", 1)
    scene = wide.scene("slow")
    archive.web.faults(slow=6)
    with pytest.raises(SceneReadError, match="Check the network"):
        scene.read("VV_before", ((0, 5), (0, 5)))


def test_what_the_user_says_to_gdal_goes_first():
    from odc.loader import reader_driver

    with rasterio.Env(GDAL_HTTP_MAX_RETRY=3, GDAL_HTTP_USERAGENT="me"), reading._settings():
        said = reader_driver("rio").capture_env()
    assert str(said["GDAL_HTTP_MAX_RETRY"]) == "3"
    assert said["GDAL_HTTP_USERAGENT"] == "me"
    assert said["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"


def test_a_map_of_a_tenth_of_the_area_fetches_little_more_than_that(archive, wide, tmp_path):
    side = int(SIDE * 0.1**0.5)
    scene = wide.scene("tenth", origin=(150, 200), side=side)
    assert archive.web.fetched == 0
    SlidingWindowPredictor(fitted(wide.in_files, 5, bands=list(DAYS)), step=8).predict_map(
        scene, tmp_path / "tenth.tif"
    )
    # a square of some 205 pixels touches 6 blocks of 25 or 9, also those that two chunks touch fetched once
    assert 0.1 * wide.size < archive.web.fetched < 0.4 * wide.size
    archive.web.forget()
    again = wide.scene("window", wide.in_files.grid)
    again.read("VV_before", Window(10, 10, 20, 20))
    assert archive.web.fetched < 0.06 * wide.size
