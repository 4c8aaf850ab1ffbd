"""Nothing of one system only: a map is made, stopped and gone on with where Python offers no more than on Windows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "sklandslide"

MODULES = {"fcntl", "grp", "pwd", "resource", "termios", "posix"}
NAMES = {
    "os": {"O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "chown", "fchmod", "fchown", "fdatasync", "fork"}
    | {"geteuid", "getuid", "killpg", "link", "mkfifo", "pread", "preadv", "pwrite", "pwritev", "statvfs", "uname"},
    "signal": {"SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "alarm"},
}


def of_one_system(text):
    """What a source imports or names that Windows lacks."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & MODULES
            found |= {alias.name for alias in node.names} & NAMES.get(node.module, set())
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {node.attr} & NAMES.get(node.value.id, set())
    return found


@pytest.mark.parametrize("file", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")))
def test_no_file_names_what_other_systems_lack(file):
    assert of_one_system((ROOT / file).read_text()) == set()


def test_what_other_systems_lack_is_found():
    assert of_one_system("import fcntl, os\nfrom os import link\nos.open(p, os.O_NOFOLLOW)") == {
        "fcntl",
        "link",
        "O_NOFOLLOW",
    }


ELSEWHERE = """
import logging, os, sys, warnings

for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
warnings.filterwarnings("ignore", "only soft file lock is available")  # filelock's own words; Windows has another lock

import joblib, numpy as np, pyproj, rasterio, sklearn.pipeline
from affine import Affine

for name in ("O_CLOEXEC", "O_NOFOLLOW", "chown", "fchmod", "fchown", "fork", "geteuid", "getuid", "link", "mkfifo",
             "pread", "preadv", "pwrite", "pwritev", "statvfs", "uname"):
    delattr(os, name)

from fitting import fitted
from rasters import write
from scenes import UTM, WeightedSum, random_scene

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.mapping import tiles

tiles._LARGEST = 32
folder = sys.argv[1]


class Stopping(WeightedSum):
    stop_after = 3

    def predict_proba(self, X):
        Stopping.stop_after -= 1
        if Stopping.stop_after == 0:
            raise KeyboardInterrupt
        return super().predict_proba(X)


path = write(os.path.join(folder, "Red.tif"), np.random.RandomState(0).normal(size=(70, 80)).astype("float32"),
             transform=UTM, crs="EPSG:32654")
scene = Scene.from_files({"Red": path})
predictor = SlidingWindowPredictor(fitted(random_scene(), 5, Stopping(), bands=["Red"]))
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
try:
    predictor.predict_map(scene, os.path.join(folder, "map.tif"))
except KeyboardInterrupt:
    print("stopped")
resumed = predictor.predict_map(scene, os.path.join(folder, "map.tif"))
whole = predictor.predict_map(scene, os.path.join(folder, "whole.tif"))
print("the same", open(resumed.path, "rb").read() == open(whole.path, "rb").read())
print("in range", np.ptp(whole.probability) > 0.1)
print(sorted(os.listdir(folder)))
"""


def test_a_map_is_made_and_gone_on_with_where_there_is_no_more_than_on_windows(tmp_path):
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "stopped" in done.stdout
    assert "2 of 4 tiles are finished" in done.stdout
    assert "the same True\nin range True" in done.stdout
    assert done.stdout.endswith("['Red.tif', 'map.tif', 'whole.tif']\n")
