"""Nothing of one system only: a map is made, stopped and gone on with where Python offers no more than on Windows."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "sklandslide"
MODULES = r"import (fcntl|grp|pwd|resource|termios|posix)\b"
NAMES = (
    r"\bos\.(O_CLOEXEC|O_DIRECTORY|O_NOFOLLOW|O_NONBLOCK|f?chown|fchmod|fdatasync|fork|gete?uid|killpg|link|mkfifo|"
    r"p(read|write)v?|statvfs|uname)\b|\bsignal\.(SIGALRM|SIGHUP|SIGKILL|SIGUSR1|alarm)\b"
)


@pytest.mark.parametrize("file", sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py")))
def test_no_file_names_what_other_systems_lack(file):
    assert not re.search(f"{MODULES}|{NAMES}", (ROOT / file).read_text())


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
    assert done.stdout.endswith("['Red.tif', 'map.qml', 'map.tif', 'whole.qml', 'whole.tif']\n")
