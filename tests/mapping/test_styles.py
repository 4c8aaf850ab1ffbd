"""Maps and GeoPackages bring the styles along that QGIS opens them with."""

import shutil
import subprocess
from xml.etree import ElementTree

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.enums import Resampling
from scenes import WeightedSum, random_scene
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from small_maps import inventory_of, pixel_box, random_values, write_map

from sklandslide import BandStacker, LandslideMap, Locations, PatchSampler, SlidingWindowPredictor
from sklandslide.exceptions import OutputExistsError
from sklandslide.mapping.styles import map_style, style_of
from sklandslide.mapping.writer import write_geotiff


@pytest.fixture
def predictor():
    scene = random_scene()
    X = Locations(scene, scene.grid.xy(*np.random.RandomState(0).uniform(10, 50, (2, 20))))
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(5), WeightedSum())
    model = FixedThresholdClassifier(pipe, threshold=0.3, response_method="predict_proba")
    return SlidingWindowPredictor(model.fit(X, np.arange(20) % 2), step=4), scene


def stops(style):
    """Value and opacity along the style of a map."""
    return [(float(item.get("value")), int(item.get("alpha"))) for item in ElementTree.fromstring(style).iter("item")]


@pytest.mark.parametrize("layer", ["points", "polygons", "inventory", "map"])
def test_styles_are_those_of_qgis(layer):
    root = ElementTree.fromstring(style_of(layer))
    assert root.tag == "qgis"
    assert root.find("pipe" if layer == "map" else "renderer-v2") is not None


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_a_map_is_clear_below_its_threshold(threshold):
    values, opacity = np.transpose(stops(map_style(threshold)))
    assert (np.diff(values) >= 0).all()
    assert opacity[values < threshold].tolist() == [0] * (2 if threshold else 0)
    assert opacity[-1] == 255
    assert threshold in values


def test_a_map_comes_with_the_style_of_its_threshold(predictor, tmp_path):
    predictor[0].predict_map(predictor[1], tmp_path / "map.tif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif"]
    assert stops((tmp_path / "map.qml").read_text())[2][0] == 0.3


def test_a_style_follows_the_rules_of_the_map_that_it_belongs_to(predictor, tmp_path):
    (tmp_path / "map.qml").write_text("a user's")
    with pytest.raises(OutputExistsError, match=r"map\.qml exists"):
        predictor[0].predict_map(predictor[1], tmp_path / "map.tif")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["a user's"]
    predictor[0].predict_map(predictor[1], tmp_path / "map.tif", overwrite=True)
    assert (tmp_path / "map.qml").read_text() == map_style(0.3)


def test_a_geopackage_holds_a_style_for_each_of_its_layers(tmp_path):
    m = LandslideMap.open(write_map(tmp_path / "map.tif", random_values()))
    path = m.to_gpkg(tmp_path / "out.gpkg", inventory=inventory_of([pixel_box(m, 3, 4)], m))
    table = pyogrio.read_dataframe(path, layer="layer_styles", fid_as_index=True)
    assert table.index.name == "fid"
    # what QGIS looks a style up by
    assert table["f_table_name"].tolist() == ["points", "polygons", "inventory"]
    assert set(table["f_table_schema"]) == {""}
    for layer, style in zip(table["f_table_name"], table["styleQML"], strict=True):
        assert style == style_of(layer)
        info = pyogrio.read_info(path, layer=layer)
        assert info["geometry_name"] == "geom"
    assert table["f_geometry_column"].tolist() == ["geom"] * 3
    assert table["useAsDefault"].astype(bool).all()
    assert len(geopandas.read_file(path, layer="points")) == len(m.points())


def test_overviews_reach_down_to_a_screen(tmp_path):
    """However large a map is, there is an overview of at most 512 pixels a side, which a program opens it with."""
    grid = random_scene(shape=(5, 2500)).grid
    write_geotiff(tmp_path / "map.tif", grid, {}, [np.full((5, 2500), 0.5, np.float32)])
    with rasterio.open(tmp_path / "map.tif") as file:
        levels = file.overviews(1)
        assert 2500 / levels[-1] <= 512
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.read(1, out_shape=(1, 500), resampling=Resampling.nearest).tolist() == [[0.5] * 500]


QGIS = """
import os, sys
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
QgsApplication.setPrefixPath("/usr", True)
application = QgsApplication([], False)
application.initQgis()
folder = sys.argv[1]
raster = QgsRasterLayer(folder + "/map.tif", "map")
print(raster.renderer().type(), raster.renderer().opacity())
for name in ("points", "polygons", "inventory"):
    layer = QgsVectorLayer(f"{folder}/out.gpkg|layername={name}", name)
    symbol = layer.renderer().symbol().symbolLayer(0)
    print(name, symbol.layerType(), (symbol.color() if name == "points" else symbol.strokeColor()).name())
sys.stdout.flush()
os._exit(0)  # QGIS may stumble over what is left at its end
"""


@pytest.mark.slow
def test_qgis_itself_opens_them_in_their_styles(predictor, tmp_path):
    python = shutil.which("python3", path="/usr/bin")
    if (
        python is None
        or subprocess.run([python, "-c", "import qgis.core"], capture_output=True, check=False).returncode
    ):
        pytest.skip("QGIS's Python is not installed (Debian: apt-get install python3-qgis)")
    m = predictor[0].predict_map(predictor[1], tmp_path / "map.tif")
    m.to_gpkg(tmp_path / "out.gpkg", inventory=inventory_of([pixel_box(m, 3, 4)], m))
    environment = {"QT_QPA_PLATFORM": "offscreen", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [python, "-c", QGIS, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines() == [
        "singlebandpseudocolor 0.8",
        "points SimpleMarker #e8000b",
        "polygons SimpleFill #e8000b",
        "inventory SimpleFill #ffe800",
    ]
