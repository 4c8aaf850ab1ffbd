"""The page for a browser: what is on it, where, that it is whole, and that names on it stay text."""

import re
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from rasterio.warp import transform as transform_points
from scenes import random_scene
from shapely.geometry import box
from small_maps import NAN, PLACES, inventory_of, pixel_box, random_values, write_map

from sklandslide import LandslideMap
from sklandslide.exceptions import InventoryError, MissingPackageError, OutputExistsError, SceneError
from sklandslide.mapping import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs"))
import check_site

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
DRIVER = shutil.which("chromedriver")
# Where the page has its map, and a place on the ground on the screen.
PLACE = """
const map = Object.values(window).find(value => value instanceof L.Map);
map._fadeAnimated = false;
map.closePopup();
map.stop();
const point = map.latLngToContainerPoint([arguments[0], arguments[1]]);
return [point.x, point.y];
"""


def corners_of(page):
    """Image corners: south, west, north, east."""
    image = next(child for child in page._children.values() if child._name == "ImageOverlay")
    return np.ravel(image.bounds)


@pytest.fixture
def small(tmp_path):
    """One object of six pixels, one of one, apart; nodata at the right."""
    values = np.full((12, 16), 0.1)
    values[2:4, 2:5] = 0.9
    values[8, 9] = 0.6
    values[:, 15] = NAN
    return LandslideMap.open(write_map(tmp_path / "map.tif", values))


@pytest.mark.parametrize("place", PLACES[:3], ids=["utm", "rotated", "geographic"])
def test_the_image_lies_on_the_map(tmp_path, place):
    m = LandslideMap.open(write_map(tmp_path / "map.tif", random_values(), *place))
    rows, cols = m.grid.shape
    # all over it, as the map's outline is bent on a web map
    side = np.linspace(0, 1, 21)
    row, col = (
        np.concatenate([0 * side, side, 0 * side + 1, side]),
        np.concatenate([side, 0 * side, side, 0 * side + 1]),
    )
    longitude, latitude = transform_points(m.grid.crs, "EPSG:4326", *m.grid.xy(row * rows, col * cols).T)
    ground = [min(latitude), min(longitude), max(latitude), max(longitude)]
    np.testing.assert_allclose(corners_of(m.explore(tiles=None)), ground, atol=1e-6)


def test_the_image_is_the_probability_where_it_belongs(small):
    probability, grid = small._preview(100)
    values, ((south, west), (north, east)) = web._projected(probability, grid)
    y, x = np.argwhere(values > 0.85).mean(axis=0) + 0.5
    # the middle of the object, by the rows of a Mercator map
    stretched = np.interp(y, [0, len(values)], np.arcsinh(np.tan(np.radians([north, south]))))
    longitude = west + (east - west) * x / values.shape[1]
    ((wanted_x,), (wanted_y,)) = transform_points(small.grid.crs, "EPSG:4326", *small.grid.xy([3.0], [3.5]).T)
    assert longitude == pytest.approx(wanted_x, abs=2e-4)
    assert np.degrees(np.arctan(np.sinh(stretched))) == pytest.approx(wanted_y, abs=2e-4)
    assert np.isnan(values).any()


def test_a_map_across_180_degrees_is_in_one_piece(tmp_path):
    values = np.full((10, 20), 0.1)
    values[4:6, 4:16] = 0.9
    place = Affine(0.01, 0, 179.9, 0, -0.01, -16)
    m = LandslideMap.open(write_map(tmp_path / "map.tif", values, place, "EPSG:4326"))
    inventory = inventory_of([box(-179.99, -16.05, -179.97, -16.03)], m)
    page = m.explore(inventory=inventory, tiles=None)
    south, west, north, east = corners_of(page)
    assert (west, east) == (pytest.approx(179.9, abs=0.01), pytest.approx(180.1, abs=0.01))
    assert (south, north) == (pytest.approx(-16.1, abs=0.01), pytest.approx(-16, abs=0.01))
    layers = [child for child in page._children.values() if child._name == "GeoJson"]
    bounds = [np.array(layer.get_bounds())[:, 1] for layer in layers]
    np.testing.assert_allclose(bounds, [[179.94, 180.06], [180.01, 180.03]], atol=1e-6)


def test_a_preview_is_the_average_with_its_place_and_its_part(tmp_path):
    m = LandslideMap.open(write_map(tmp_path / "map.tif", np.arange(35).reshape(5, 7) / 100))
    values, grid = m._preview(7)
    np.testing.assert_array_equal(values, m.probability)
    values, grid = m._preview(4)
    assert values.shape == grid.shape == (3, 4)
    np.testing.assert_allclose(grid.bounds, m.grid.bounds)
    assert np.nanmean(values) == pytest.approx(m.probability.mean(), abs=0.01)
    left = inventory_of([pixel_box(m, 0, 0, 5, 3)], m)
    values, grid = m.within(left)._preview(7)
    assert np.isnan(values).any(axis=0).tolist() == [False] * 3 + [True] * 4


def test_objects_to_look_at_first_are_on_the_page(small):
    page = small.explore(tiles=None, max_objects=1)
    layer = next(child for child in page._children.values() if child._name == "GeoJson")
    assert layer.layer_name == "Objects (1 of 2)"
    assert "Mean probability" in page.get_root().render()
    scene = random_scene(bands=("DEM",))
    assert "Mean slope" in small.explore(tiles=None, scene=scene).get_root().render()


def test_a_map_without_objects_is_a_page(small):
    page = small.explore(tiles=None, threshold=1)
    assert [child._name for child in page._children.values()] == ["ImageOverlay", "FitBounds", "LayerControl"]


def test_the_page_is_one_file_that_replaces_none(small, tmp_path):
    path = tmp_path / "map.html"
    small.explore(path, tiles=None)
    text = path.read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=", text)
    assert "leaflet" in text.lower()
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        small.explore(path)
    path.write_text("old")
    small.explore(path, overwrite=True)
    assert path.read_text() != "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["map.html", "map.tif"]


def test_what_has_no_place_and_what_is_no_inventory_are_refused(small, tmp_path):
    nowhere = LandslideMap.open(write_map(tmp_path / "nowhere.tif", np.zeros((3, 3)), crs=None))
    with pytest.raises(SceneError, match="no coordinate system"):
        nowhere.explore()
    with pytest.raises(InventoryError):
        small.explore(inventory=inventory_of([], small))


def test_without_folium_what_to_install_is_said(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "folium", None)
    with pytest.raises(MissingPackageError, match=r"folium.*sklandslide\[explore\]"):
        small.explore()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    if DRIVER is None:
        pytest.skip("chromedriver is not installed (Debian: apt-get install chromium chromium-driver)")
    driver = check_site.browser(str(tmp_path_factory.mktemp("profile")), DRIVER, None)
    yield driver
    driver.quit()


def click(driver, m, row, col):
    """Click on a place of the map, and give the words that come up."""
    ((x,), (y,)) = transform_points(m.grid.crs, "EPSG:4326", *m.grid.xy([row], [col]).T)
    left, top = driver.execute_script(PLACE, y, x)
    for kind in ("mousePressed", "mouseReleased"):
        about = {"type": kind, "x": left, "y": top, "button": "left", "clickCount": 1}
        driver.execute_cdp_cmd("Input.dispatchMouseEvent", about)
    for _ in range(50):
        if texts := [popup.text for popup in driver.find_elements("css selector", ".leaflet-popup-content")]:
            return " ".join(texts)
        time.sleep(0.1)
    return ""


def test_in_a_browser_a_click_shows_the_facts_and_names_are_text(small, tmp_path, driver):
    inventory = inventory_of([pixel_box(small, 6, 2, 3, 3)], small)
    inventory["name"], inventory[HOSTILE] = HOSTILE, "</script>"
    path = tmp_path / "map.html"
    small.explore(path, inventory=inventory, tiles=None)
    driver.get(path.as_uri())
    assert check_site.faults_of_requests(driver, path.as_uri()) == []
    layers = [label.text for label in driver.find_elements("css selector", ".leaflet-control-layers-overlays label")]
    assert layers == ["Probability (yellow 0.5, red 1)", "Objects (2)", "Inventory (1)"]
    (image,) = driver.find_elements("css selector", ".leaflet-image-layer")
    assert image.size["width"] > 300
    facts = click(driver, small, 3, 3.5)
    for words in ("Rank 1", "Mean probability 0.90", "Area (m2) 2,4", "Length (m) 60"):
        assert words in facts
    named = click(driver, small, 7.5, 3.5)
    assert f"name {HOSTILE}" in named
    assert f"{HOSTILE} </script>" in named
    assert driver.title != "taken"
    assert check_site.faults_of_requests(driver, path.as_uri()) == []


def test_in_a_browser_a_notebook_view_runs_no_names(tmp_path, driver):
    folder = tmp_path / HOSTILE.replace("/", "_")
    folder.mkdir()
    m = LandslideMap.open(write_map(folder / "m.tif", random_values(), tags={"SKLANDSLIDE_POSITIVE": HOSTILE}))
    (tmp_path / "view.html").write_text(f"<title>mine</title><meta charset=utf-8>{m._repr_html_()}")
    driver.get((tmp_path / "view.html").as_uri())
    assert driver.title == "mine"
    assert HOSTILE[:50] in driver.find_element("css selector", "body").text
    assert check_site.faults_of_requests(driver, (tmp_path / "view.html").as_uri()) == []
    (image,) = driver.find_elements("css selector", "img")
    assert driver.execute_script("return [arguments[0].naturalHeight, arguments[0].naturalWidth]", image) == [23, 31]
