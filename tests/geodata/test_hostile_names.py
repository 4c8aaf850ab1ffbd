"""Names of files, folders, bands, layers and classes: any that a file system takes works, or is refused by name."""

import os

import geopandas
import numpy as np
import pytest
import rasterio
from rasters import TRANSFORM, UTM, same, write
from shapely.geometry import box

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import BandError, SceneReadError, SklandslideError
from sklandslide.geodata.inventory import read_inventory

PIXELS = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
CRS = rasterio.crs.CRS.from_user_input(UTM)
NAMES = [
    "it's", 'a "b"', "a\nb", "a\tb", "a%20b%s{}", "ü🙂", "-p", "--help", " a ", "a:b,c", "NETCDF:x:y", "GTIFF_DIR:1:a",
    "a?b=c#d", "a!b", "a|layername=b", "a;b", "a&b", "a*", "[a]", "$HOME", "~", "a\\b", "x" * 200, "vsizip", "b.zip",
    "http:", "<VRTDataset", "a.aux.xml", "\x01\x7f",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_rasters_and_folders_of_any_name_are_read(tmp_path, name, monkeypatch):
    folder = tmp_path / name
    folder.mkdir()
    write(tmp_path / "plain.tif", PIXELS)
    path = folder / f"{name}.tif"
    os.rename(tmp_path / "plain.tif", path)
    assert same(Scene.from_files({"Red": path}).read()[..., 0], PIXELS)
    landslides = LandslideMap.open(path)
    assert landslides.path == str(path)
    assert same(landslides.read(), PIXELS)
    monkeypatch.chdir(folder)
    scene = Scene.from_files({"Red": f"{name}.tif"})  # relative
    assert scene.files == (str(path),)
    assert same(scene.read()[..., 0], PIXELS)


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "vrt", "xml", "json", "gpkg", "hdr", "img", ""])
def test_the_content_and_not_the_name_says_what_a_raster_is(tmp_path, suffix):
    write(tmp_path / "plain.tif", PIXELS)
    os.rename(tmp_path / "plain.tif", tmp_path / f"a.{suffix}")
    assert same(Scene.from_files({"Red": tmp_path / f"a.{suffix}"}).read()[..., 0], PIXELS)


@pytest.mark.parametrize("name", NAMES)
def test_polygons_of_any_name_are_read_or_refused_by_it(tmp_path, name):
    (tmp_path / name).mkdir()
    path = tmp_path / name / f"{name}.gpkg"
    frame = geopandas.GeoDataFrame({"class": ["landslide"]}, geometry=[box(6e5, 4e6, 6e5 + 9, 4e6 + 9)], crs=UTM)
    frame.to_file(tmp_path / "plain.gpkg")
    os.rename(tmp_path / "plain.gpkg", path)
    # What another reader would open in its place.
    decoy = tmp_path / name.translate({9: None, 10: None, 13: None})
    decoy.mkdir(exist_ok=True)
    if not (decoy / f"{decoy.name}.gpkg").exists():
        frame.iloc[[0, 0]].to_file(decoy / f"{decoy.name}.gpkg")
    if set(name) & set("!;\n\t"):
        with pytest.raises(SceneReadError, match=r"or line break, .* is misread: rename it"):
            read_inventory(path, CRS)
    else:
        assert len(read_inventory(path, CRS).geometries) == 1


@pytest.mark.parametrize(
    "layer", ["it's", 'a "b"', "a\nb", "a;DROP TABLE p", "ü🙂", "a%sb", " ", "sqlite", "x" * 200, "a.b:c"]
)
def test_layers_of_any_name_are_read(tmp_path, layer):
    frame = geopandas.GeoDataFrame({"class": ["landslide"]}, geometry=[box(6e5, 4e6, 6e5 + 9, 4e6 + 9)], crs=UTM)
    frame.to_file(tmp_path / "p.gpkg", layer=layer)
    assert len(read_inventory(tmp_path / "p.gpkg", CRS).geometries) == 1


@pytest.mark.parametrize(
    "path",
    [
        "a\0b.tif",
        "a\udcffb.tif",
        b"a\xffb.tif",
        "\ud800",
        "",
        "x" * 300,
        "a/" * 3000,
        5,
        None,
        1.5,
        ["a.tif"],
        ...,
    ],
    ids=repr,
)
def test_what_cannot_be_a_path_is_refused(path):
    with pytest.raises(SceneReadError, match=r"is no path|cannot be opened|is a folder"):
        Scene.from_files({"Red": path})
    with pytest.raises(SceneReadError, match=r"is no path|cannot be opened|is a folder"):
        LandslideMap.open(path)
    if isinstance(path, str | bytes):
        with pytest.raises(SceneReadError, match=r"is no path|cannot be opened|is a folder"):
            read_inventory(path, CRS)


def test_paths_of_bytes_and_path_objects_are_paths(tmp_path):
    path = write(tmp_path / "a.tif", PIXELS)
    scenes = [Scene.from_files({"Red": place}) for place in (path, str(path), os.fsencode(path))]
    assert len(set(scenes)) == 1


@pytest.mark.parametrize("place", [(), ("a.tif",), ("a.tif", 1, 2), {"a": 1}])
def test_what_is_no_place_of_a_band_is_refused(place):
    with pytest.raises(SceneReadError, match="is no path"):
        Scene.from_files({"Red": place})


@pytest.mark.parametrize(
    "name", ["it's", "a\nb", "a/b", "../a", "a%b", "", " ", "-a", "a-b", "1a", "a\0", "ü b", "\ud800", 5, None, b"a"]
)
def test_names_of_bands_are_plain_words(tmp_path, name):
    path = write(tmp_path / "a.tif", PIXELS)
    with pytest.raises(BandError, match="cannot name a band"):
        Scene.from_files({name: path})
    with pytest.raises(BandError, match="cannot name a band"):
        Scene.from_arrays({name: PIXELS}, transform=TRANSFORM)


def test_a_link_to_a_raster_is_the_raster_and_its_change_is_noticed(tmp_path):
    first, second = write(tmp_path / "a.tif", PIXELS), write(tmp_path / "b.tif", PIXELS[:, ::-1].copy())
    link = tmp_path / "link.tif"
    link.symlink_to(first)
    scene = Scene.from_files({"Red": link})
    assert same(scene.read()[..., 0], PIXELS)
    link.unlink()
    link.symlink_to(second)
    with pytest.raises(SceneReadError, match="was changed"):
        scene.read()


@pytest.mark.parametrize("tag", ["0", "-5", "1.5", "five", "9" * 10, "9" * 5000, "٣", " 5", "5\n", "1e3"])
@pytest.mark.parametrize("name", ["SKLANDSLIDE_PATCH_SIZE", "SKLANDSLIDE_STEP"])
def test_a_maps_tag_that_is_no_number_of_pixels_is_refused(tmp_path, name, tag):
    path = write(tmp_path / "a.tif", PIXELS)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{name: tag})
    with rasterio.open(path) as dataset:
        stored = dataset.tags()[name]
    if stored.isascii() and stored.isdecimal() and len(stored) < 10 and int(stored) > 0:  # GDAL trims
        assert LandslideMap.open(path)
    else:
        with pytest.raises(SceneReadError, match=f"has the tag {name}=.*records a number of pixels") as caught:
            LandslideMap.open(path)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("label", ["it's", 'a "b" <c> & d', "a\nb", "ü🙂", "a/b", "%s{}", "x" * 5000, "=1", "]]>"])
def test_a_class_of_any_name_is_read_from_a_map(tmp_path, label):
    path = write(tmp_path / "a.tif", PIXELS)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(SKLANDSLIDE_POSITIVE=label)
    assert LandslideMap.open(path).positive == label


@pytest.mark.parametrize("name", NAMES)
def test_a_geopackage_of_any_name_is_written_whole_or_not_at_all(tmp_path, name):
    landslides = LandslideMap.open(write(tmp_path / "map.tif", PIXELS))
    folder = tmp_path / name
    folder.mkdir()
    path = folder / f"{name}.gpkg"
    before = sorted(tmp_path.rglob("*"))
    try:
        landslides.to_gpkg(path)
    except (SklandslideError, ValueError) as error:
        assert "rename" in str(error) or "name" in str(error)
        assert sorted(tmp_path.rglob("*")) == before
    else:
        assert sorted(tmp_path.rglob("*")) == sorted([*before, path])
        os.rename(path, tmp_path / "plain.gpkg")
        assert len(geopandas.read_file(tmp_path / "plain.gpkg", layer="points")) == (PIXELS >= 0.5).sum()
