"""The README's Python and the example scripts run as a user would run them."""

import pickle
import re
import runpy
import subprocess
import sys
from pathlib import Path

import geopandas
import matplotlib.pyplot as plt
import numpy as np
import pandas
import pytest

from sklandslide import LandslideMap, make_scene

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
OUTPUTS = ["landslides.csv", "landslides.gpkg", "map.png", "map.qml", "map.tif", "model.pkl", "model.skops"]


def run(script, *arguments):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def run_here(monkeypatch):
    """Run an example in this process."""

    def run_here(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        monkeypatch.syspath_prepend(EXAMPLES)
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")

    return run_here


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")  # of polygons at the scene's edge
def test_python_in_the_readme(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    plt.close("all")
    assert LandslideMap.open(tmp_path / "map.tif").step == 4
    assert set(names["search"].best_params_) == {"patchsampler__patch_size", "landslidecnn__learning_rate"}


@pytest.mark.slow
def test_main_job_and_reuse(tmp_path, run_here, capsys):
    out = tmp_path / "out"
    quick = ["--patch-sizes", 12, "--learning-rates", 1e-3, "--epochs", 2, "--step", 8, "--max-per-polygon", 4]
    printed = run("map_landslides.py", *quick, "--jobs", 1, "--out", out)
    assert sorted(p.name for p in out.iterdir()) == OUTPUTS
    for word in ("samples of", "Search (average precision", "Threshold chosen", "false alarms"):
        assert word in printed
    tp, fp, fn, tn = map(int, re.findall(r"TP (\d+), FP (\d+), FN (\d+), TN (\d+)", printed)[-1])
    scores = re.findall(r"(?:accuracy|precision|recall) +([\d.]+) %", printed)[-3:]
    accuracy, precision, recall = map(float, scores)
    assert accuracy == pytest.approx(100 * (tp + tn) / (tp + fp + fn + tn), abs=0.006)
    assert recall == pytest.approx(100 * tp / (tp + fn), abs=0.006)
    assert precision == pytest.approx(100 * tp / (tp + fp) if tp + fp else 0, abs=0.006)
    layers = geopandas.list_layers(out / "landslides.gpkg")["name"].tolist()
    assert {"points", "polygons"} <= set(layers)
    model = pickle.loads((out / "model.pkl").read_bytes())
    assert len(model.estimator.estimator.steps) == 4
    landslides = LandslideMap.open(out / "map.tif")
    assert landslides.threshold == pytest.approx(model.threshold)
    table = pandas.read_csv(out / "landslides.csv")
    assert table["rank"].tolist() == list(range(1, len(table) + 1))
    assert (table["area_m2"] >= 400).all()
    assert len(table) == len(geopandas.read_file(out / "landslides.gpkg", layer="polygons"))

    make_scene(shape=(100, 120), random_state=1, directory=tmp_path / "scene")
    files = []
    for band in ("VV_before", "VV_after", "VV_after2"):
        files += ["--band", f"{band}={tmp_path / 'scene' / band}.tif", "--units", f"{band}=dB"]
    for model, name in (("model.pkl", "other.tif"), ("model.skops", "same.tif")):
        run_here("reuse_model.py", out / model, *files, "--step", 8, "--out", tmp_path / name)
        assert re.search(r"points at 0\.\d+ or more", capsys.readouterr().out)
    other, same = (LandslideMap.open(tmp_path / name) for name in ("other.tif", "same.tif"))
    assert other.patch_size == 12
    np.testing.assert_array_equal(other.probability, same.probability)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--band", "Red=a.tif"], "go together"),
        (["--band", "a.tif"], "NAME=VALUE"),
        (["--band", "Red=a.tif", "--polygons", "p.gpkg"], r"SceneReadError: .*a\.tif cannot be opened: no such file"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, run_here, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        run_here("map_landslides.py", *arguments, "--out", tmp_path)
    assert re.search(says, f"{end.value}{capsys.readouterr().err}")
    assert list(tmp_path.iterdir()) == []


def test_results_are_kept_unless_overwrite(tmp_path, run_here, capsys):
    (tmp_path / "map.tif").write_text("mine")
    with pytest.raises(SystemExit):
        run_here("map_landslides.py", "--out", tmp_path)
    assert "--overwrite" in capsys.readouterr().err
    assert (tmp_path / "map.tif").read_text() == "mine"


@pytest.mark.slow
def test_real_iburi_on_mixed_grids(tmp_path, iburi):
    """Sentinel-2 at 10 m beside a DEM at 30 m: it runs, and slope comes from the DEM."""
    quick = ["--patch-sizes", 9, "--learning-rates", 1e-3, "--epochs", 1, "--step", 64, "--max-per-polygon", 1]
    bands = ["--band", f"Red={iburi / 'Red_after.tif'}", "--band", f"DEM={iburi / 'DEM.tif'}"]
    where = ["--polygons", iburi / "polygons.gpkg", "--composite", "Red,DEM,Slope", "--out", tmp_path / "out"]
    printed = run("map_landslides.py", *bands, *where, *quick, "--jobs", 1)
    assert "EPSG:4326, bands Red, DEM, Slope" in printed
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == OUTPUTS
