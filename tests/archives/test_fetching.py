"""What is fetched, and what happens when it fails: nothing is lost, and nothing is half."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from catalogue_items import radar_item
from fitting import fitted
from local_archive import BANDS, COLLECTION, EVENT
from rasterio.warp import transform_geom
from scenes import WeightedSum, random_scene

from sklandslide import Scene, SlidingWindowPredictor, find_sentinel1
from sklandslide.exceptions import SceneReadError
from sklandslide.mapping import tiles

SIDE = 640


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 16)


class Interrupted(WeightedSum):
    """Calls what `at` says in the given call."""

    at: dict = {}
    calls_made = 0

    def predict_proba(self, X):
        Interrupted.calls_made += 1
        self.at.get(Interrupted.calls_made, lambda: None)()
        return super().predict_proba(X)


@pytest.fixture(scope="module")
def pipe():
    bands = ["VV_before", "VV_after", "VH_after2 - VH_before"]
    train = random_scene(bands=BANDS)
    power = Scene.from_arrays(
        {band: np.exp(train.read(band)[..., 0]) for band in BANDS},
        transform=train.grid.transform, crs=train.grid.crs, units=dict.fromkeys(BANDS, "linear"),
    )  # fmt: skip
    return fitted(power, 5, Interrupted(), bands)


@pytest.fixture
def mapped(pipe, tmp_path, monkeypatch):
    """Map a scene, with something to happen in some call of the classifier."""
    pipe[0].set_params(pixel_size_tolerance=10)

    def run(scene, name="map.tif", **at):
        monkeypatch.setattr(Interrupted, "at", {int(key[1:]): do for key, do in at.items()})
        monkeypatch.setattr(Interrupted, "calls_made", 0)
        predictor = SlidingWindowPredictor(pipe, step=1)
        return Path(predictor.predict_map(scene, tmp_path / name).path).read_bytes(), Interrupted.calls_made

    run.folder = tmp_path
    return run


def scene_of(archive, signature):
    items = archive.signed(signature)
    return find_sentinel1(items, COLLECTION, archive.area, EVENT, within_days=365).to_scene(chunk=16)


def in_files(scene, folder):
    """The same scene from GeoTIFFs."""
    rows, cols = scene.grid.shape
    paths = {band: folder / f"{band}.tif" for band in scene.bands}
    for band, path in paths.items():
        with rasterio.open(path, "w", driver="GTiff", width=cols, height=rows, count=1, dtype="float32",
                           crs=scene.grid.crs, transform=scene.grid.transform, nodata=np.nan) as out:  # fmt: skip
            out.write(scene.read(band)[..., 0], 1)
    return Scene.from_files(paths, units=dict(scene.units))


def test_the_map_is_that_of_the_same_pixels_in_files_byte_for_byte(archive, mapped):
    scene = scene_of(archive, "files")
    own, _ = mapped(scene)
    assert own == mapped(in_files(scene, mapped.folder), "of_files.tif")[0]


def test_a_server_killed_midway_and_started_again(archive, mapped):
    whole, calls = mapped(scene_of(archive, "whole"), "whole.tif")
    scene = scene_of(archive, "killed")
    with pytest.raises(SceneReadError, match=r"cannot be read over the network: .*Check the network") as error:
        mapped(scene, _7=archive.web.kill)
    assert "sig=" not in str(error.value)
    assert not (mapped.folder / "map.tif").exists()
    assert any((mapped.folder / ".map.tif.tiles").iterdir())
    archive.web.start()
    again, calls_again = mapped(scene)
    assert again == whole
    assert 0 < calls_again < calls


def test_addresses_that_run_out_midway_and_are_signed_anew(archive, mapped):
    whole, calls = mapped(scene_of(archive, "whole"), "whole.tif")
    names = [path.name for path in archive.folder.iterdir()]
    with pytest.raises(SceneReadError, match=r"403.*search again for addresses that are signed anew"):
        mapped(scene_of(archive, "monday"), _7=lambda: archive.web.faults(refused=names))
    archive.web.faults()
    again, calls_again = mapped(scene_of(archive, "tuesday"))
    assert again == whole
    assert 0 < calls_again < calls


def test_five_per_cent_of_answers_that_the_server_is_busy(archive, mapped):
    whole, _ = mapped(scene_of(archive, "whole"), "whole.tif")
    archive.web.faults(busy=0.05)
    archive.web.forget()
    assert mapped(scene_of(archive, "busy"))[0] == whole
    assert 503 in {status for status, _, _ in archive.web.log}


def test_connections_that_break_off_are_tried_anew(archive):
    """And no half of a block is taken for pixels."""
    scene = scene_of(archive, "cut")
    archive.web.faults(cut=0.1)
    np.testing.assert_array_equal(scene.read(), archive.expected(BANDS, scene.grid))


def test_an_asset_that_is_gone_is_named_and_read_when_it_is_back(archive, mapped):
    scene = scene_of(archive, "gone")
    archive.web.faults(gone=["2023-10-04_1_VV.tif"])
    with pytest.raises(SceneReadError, match=r"2023-10-04_1_VV\.tif .*404.*choose another date"):
        mapped(scene)
    assert not (mapped.folder / "map.tif").exists()
    archive.web.faults()
    np.testing.assert_array_equal(scene.read(), archive.expected(BANDS, scene.grid))


def test_a_server_that_does_not_answer_is_given_up(archive, monkeypatch):
    from sklandslide.archives import reading

    quick = {"GDAL_HTTP_LOW_SPEED_TIME": "1", "GDAL_HTTP_MAX_RETRY": "0"}
    monkeypatch.setattr(reading, "SETTINGS", {**reading.SETTINGS, **quick})
    monkeypatch.setattr(reading, "_TRIES", 1)
    scene = scene_of(archive, "slow")
    archive.web.faults(slow=5)
    with pytest.raises(SceneReadError, match="Check the network"):
        scene.read("VV_before", ((0, 5), (0, 5)))


def test_what_the_user_says_to_gdal_goes_first(archive):
    from odc.loader import reader_driver

    from sklandslide.archives import reading

    with rasterio.Env(GDAL_HTTP_MAX_RETRY=3, GDAL_HTTP_USERAGENT="me"), reading._settings():
        said = reader_driver("rio").capture_env()
    assert str(said["GDAL_HTTP_MAX_RETRY"]) == "3"
    assert said["GDAL_HTTP_USERAGENT"] == "me"
    assert said["GDAL_DISABLE_READDIR_ON_OPEN"] == "EMPTY_DIR"


@pytest.fixture(scope="module")
def wide(one_archive):
    """Two dates of noise, 640 x 640 pixels in blocks of 128, and the bytes that they have."""
    archive, items = one_archive, []
    corners = archive.grid.xy([0, 0, SIDE, SIDE], [0, SIDE, SIDE, 0])
    polygon = transform_geom(archive.crs, "EPSG:4326", shapely.geometry.mapping(shapely.Polygon(corners)))
    pixels = np.random.default_rng(0).gamma(4, 0.05, (SIDE, SIDE)).astype("float32")
    for day in (-5, 7):
        item = archive.item(f"wide{day}", COLLECTION, "2023-01-15T00:00:00Z", polygon, archive.transform, (SIDE, SIDE))
        archive.items.pop()
        like = radar_item(day, collection=COLLECTION)
        item.properties |= {key: like.properties[key] for key in ("sat:relative_orbit", "sat:orbit_state")}
        item.datetime = like.datetime
        archive.asset(item, "VV", pixels, archive.crs, archive.transform, nodata=np.nan)
        items.append(item)
    return items, sum((archive.folder / f"wide{day}_VV.tif").stat().st_size for day in (-5, 7))


def test_a_map_of_a_tenth_of_the_area_fetches_little_more_than_that(archive, wide):
    items, size = wide
    part = int(SIDE * 0.1**0.5)
    corners = archive.grid.xy([200, 200 + part], [150, 150 + part])
    box = transform_geom(archive.crs, "EPSG:4326", shapely.geometry.mapping(shapely.box(*corners[0], *corners[1])))
    area = shapely.geometry.shape(box).bounds
    found = find_sentinel1(items, COLLECTION, area, "2018-09-05T18:07Z", polarisations=["VV"])
    assert found.track == "46 descending"
    scene = found.to_scene(chunk=128)
    assert archive.web.fetched == 0
    bands = ["VV_before", "VV_after"]
    SlidingWindowPredictor(fitted(scene, 5, bands=bands), step=8).predict_map(scene, archive.folder / "tenth.tif")
    assert 0.1 * size < archive.web.fetched < 0.45 * size  # blocks of 128 pixels that a square of 202 touches, twice
    archive.web.forget()
    scene.read("VV_before", ((0, 5), (0, 5)))
    assert archive.web.fetched < 0.06 * size
