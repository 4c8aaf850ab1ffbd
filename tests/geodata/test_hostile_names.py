"""Names of bands, tags of maps and files to be written: any that serve work, others are refused by name."""

import os

import geopandas
import numpy as np
import pytest
import rasterio
from rasters import TRANSFORM, write

from sklandslide import LandslideMap, Scene
from sklandslide.exceptions import BandError, SceneReadError, SklandslideError

PIXELS = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)


@pytest.mark.parametrize("name", ["it's", "a/b", "../a", "", "1a", "ü b", 5, None])
def test_names_of_bands_are_plain_words(tmp_path, name):
    path = write(tmp_path / "a.tif", PIXELS)
    with pytest.raises(BandError, match="cannot name a band"):
        Scene.from_files({name: path})
    with pytest.raises(BandError, match="cannot name a band"):
        Scene.from_arrays({name: PIXELS}, transform=TRANSFORM)


@pytest.mark.parametrize("place", [(), ("a.tif",), ("a.tif", 1, 2), {"a": 1}])
def test_what_is_no_place_of_a_band_is_refused(place):
    with pytest.raises(SceneReadError, match="is no path"):
        Scene.from_files({"Red": place})


@pytest.mark.parametrize(
    ("name", "tag"), [("PATCH_SIZE", "0"), ("PATCH_SIZE", "1.5"), ("STEP", "-5"), ("STEP", "9" * 10)]
)
def test_a_maps_tag_that_is_no_number_of_pixels_is_refused(tmp_path, name, tag):
    name = f"SKLANDSLIDE_{name}"
    path = write(tmp_path / "a.tif", PIXELS)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**{name: tag})
    with pytest.raises(SceneReadError, match=f"has the tag {name}=.*records a number of pixels"):
        LandslideMap.open(path)


@pytest.mark.parametrize("name", ["it's", "a\nb", "a%20b", "ü🙂", "-p", "a:b,c", "a!b", "a;b", "b.zip", "http:"])
def test_a_geopackage_of_any_name_is_written_whole_or_not_at_all(tmp_path, name):
    landslides = LandslideMap.open(write(tmp_path / "map.tif", PIXELS))
    (tmp_path / name).mkdir()
    path = tmp_path / name / f"{name}.gpkg"
    before = sorted(tmp_path.rglob("*"))
    try:
        landslides.to_gpkg(path)
    except (SklandslideError, ValueError) as error:
        assert "name" in str(error)
        assert sorted(tmp_path.rglob("*")) == before
    else:
        assert sorted(tmp_path.rglob("*")) == sorted([*before, path])
        os.rename(path, tmp_path / "plain.gpkg")
        assert len(geopandas.read_file(tmp_path / "plain.gpkg", layer="points")) == (PIXELS >= 0.5).sum()
