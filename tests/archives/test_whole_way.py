"""From an event and a box to the page for a browser: the gallery's example as a notebook and as a script."""

import os
import subprocess
import sys
from pathlib import Path

import pystac
import pytest
from range_server import RangeServer
from stac_server import StacServer

from sklandslide import LandslideMap, Scene, SlidingWindowPredictor, load_model

pytestmark = pytest.mark.slow
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plot_event_to_map.py"
BANDS = {"VV_before": "08-31_VV", "VV_after": "09-12_VV", "VV_after2": "09-24_VV"}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """What the gallery offers to take home, run by Jupyter's kernel on items in memory; and what it wrote."""
    py2jupyter = pytest.importorskip("sphinx_gallery.notebook", reason="pip install .[docs]").python_to_jupyter_cli
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    folder = tmp_path_factory.mktemp("notebook")
    copy = folder / EXAMPLE.name
    copy.write_text(EXAMPLE.read_text())
    py2jupyter([str(copy)])
    read = nbformat.read(copy.with_suffix(".ipynb"), as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKLANDSLIDE_OUT", str(folder / "out"))
        nbclient.NotebookClient(read, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    return read, folder / "out"


def test_a_notebook_shows_the_choice_pictures_and_the_page(notebook):
    shown = [output for cell in notebook[0].cells for output in cell.get("outputs", ())]
    views = [output["data"]["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert "46 descending" in views[0]
    assert "leaflet" in views[-1]
    assert sum("image/png" in output.get("data", {}) for output in shown) >= 3


def test_the_map_is_that_of_the_same_files(notebook, tmp_path):
    _, out = notebook
    found = LandslideMap.open(out / "map.tif")
    paths = {band: out / "archive" / f"S1A_2018-{ending}.tif" for band, ending in BANDS.items()}
    scene = Scene.from_files(paths, units=dict.fromkeys(BANDS, "linear"))
    # the part that the box holds, on the same pixels
    model = load_model(out / "model.skops")
    part = scene.crop(window_of(found, scene), list(BANDS))
    SlidingWindowPredictor(model, step=2).predict_map(part, tmp_path / "map.tif")
    assert (tmp_path / "map.tif").read_bytes() == (out / "map.tif").read_bytes()


def window_of(found, scene):
    """Where the scene of a map lies in a larger one: its first window is half a patch from its corner."""
    half, step = found.patch_size / 2, found.step
    rows, cols = ((n - 1) * step + found.patch_size for n in found.grid.shape)
    row, col = scene.grid.rowcol(found.grid.xy(0.5, 0.5))
    row, col = round(row - half), round(col - half)
    return (row, row + rows), (col, col + cols)


@pytest.mark.stac_server
def test_from_a_stac_api_the_same_map(notebook, tmp_path):
    """As a script, with a real server of the catalogue and one of the files."""
    files, web = notebook[1] / "archive", None
    items = pystac.ItemCollection.from_file(files / "items.json").items
    (tmp_path / "state").mkdir()
    server = StacServer()
    try:
        web = RangeServer(files, tmp_path / "state")
        for item in items:
            for asset in item.assets.values():
                asset.href = f"{web.address}/{Path(asset.href).name}"
        server.load(("sentinel-1-rtc", "2014-10-10T00:00:00Z"), items)
        about = {"SKLANDSLIDE_STAC": server.address, "SKLANDSLIDE_OUT": str(tmp_path / "api"), "MPLBACKEND": "agg"}
        command = [sys.executable, EXAMPLE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=os.environ | about)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {path.strip("/") for _, _, path in web.log} <= {path.name for path in files.glob("*.tif")}
        assert web.fetched > 0
    finally:
        server.close()
        if web is not None:
            web.kill()
    assert (tmp_path / "api" / "map.tif").read_bytes() == (notebook[1] / "map.tif").read_bytes()
    page = (tmp_path / "api" / "map.html").read_text()
    assert "Inventory (" in page
    assert "Objects (" in page
