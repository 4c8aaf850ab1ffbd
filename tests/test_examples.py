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
import pytest

from sklandslide import LandslideMap

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
OUTPUTS = ["landslides.gpkg", "map.png", "map.tif", "model.pkl", "model.skops"]


def run(script, *arguments, ok=True):
    done = subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


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
def test_main_job_and_reuse(tmp_path):
    out = tmp_path / "out"
    quick = ["--patch-sizes", 12, "--learning-rates", 1e-3, "--epochs", 2, "--step", 8, "--max-per-polygon", 4]
    printed = run("map_landslides.py", *quick, "--jobs", 1, "--out", out)
    assert sorted(p.name for p in out.iterdir()) == OUTPUTS
    for word in ("samples of", "Search (accuracy over spatial folds)", "Held-out region", "accuracy", "recall"):
        assert word in printed
    tp, fp, fn, tn = map(int, re.search(r"TP (\d+), FP (\d+), FN (\d+), TN (\d+)", printed).groups())
    accuracy, precision, recall = (float(v) for v in re.findall(r"(?:accuracy|precision|recall) +([\d.]+) %", printed))
    assert accuracy == pytest.approx(100 * (tp + tn) / (tp + fp + fn + tn), abs=0.006)
    assert recall == pytest.approx(100 * tp / (tp + fn), abs=0.006)
    assert precision == pytest.approx(100 * tp / (tp + fp) if tp + fp else 0, abs=0.006)
    layers = geopandas.list_layers(out / "landslides.gpkg")["name"].tolist()
    assert {"points", "polygons"} <= set(layers)
    assert len(pickle.loads((out / "model.pkl").read_bytes()).steps) == 4

    assert "--overwrite" in run("map_landslides.py", "--out", out, ok=False)
    printed = run("reuse_model.py", out / "model.pkl", "--step", 16, "--out", tmp_path / "other.tif")
    assert "points at 0.5 or more" in printed
    assert LandslideMap.open(tmp_path / "other.tif").patch_size == 12
    run("reuse_model.py", out / "model.skops", "--step", 16, "--out", tmp_path / "same.tif")
    same = [LandslideMap.open(tmp_path / name).probability for name in ("other.tif", "same.tif")]
    np.testing.assert_array_equal(*same)


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--band", "Red=a.tif"], "go together"),
        (["--band", "a.tif"], "NAME=VALUE"),
        (["--band", "Red=a.tif", "--polygons", "p.gpkg"], r"SceneReadError: .*a\.tif cannot be opened: no such file"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, monkeypatch, capsys, arguments, says):
    monkeypatch.setattr(sys, "argv", ["map_landslides.py", *arguments, "--out", str(tmp_path)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(EXAMPLES / "map_landslides.py"), run_name="__main__")
    assert re.search(says, f"{end.value}{capsys.readouterr().err}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_real_iburi_on_mixed_grids(tmp_path, iburi):
    """Sentinel-2 at 10 m beside a DEM at 30 m: it runs, and slope comes from the DEM."""
    quick = ["--patch-sizes", 16, "--learning-rates", 1e-3, "--epochs", 3, "--step", 16, "--max-per-polygon", 4]
    bands = ["--band", f"Red={iburi / 'Red_after.tif'}", "--band", f"DEM={iburi / 'DEM.tif'}"]
    where = ["--polygons", iburi / "polygons.gpkg", "--composite", "Red,DEM,Slope", "--out", tmp_path / "out"]
    printed = run("map_landslides.py", *bands, *where, *quick, "--jobs", 1)
    assert "EPSG:4326, bands Red, DEM, Slope" in printed
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == OUTPUTS
