"""Searches over whole pipelines find what was planted."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import UTM
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import Augmenter, BandStacker, LandslideCNN, Locations, PatchSampler, Scene, SpatialBlockKFold

SITES, SPACING = 14, 36


def ringed_scene():
    """Sites whose class shows in the level of a ring at 5 to 8 pixels, and nowhere else.

    Patches of 9 pixels do not reach the ring. Beyond it lies noise a thousand times as strong, which drowns the ring in
    patches of 33 pixels. Only 17 pixels hold the ring and nothing else.
    """
    random = np.random.RandomState(0)
    size = SITES * SPACING
    image = random.normal(scale=1000, size=(size, size))
    centres = np.arange(SITES) * SPACING + SPACING // 2
    rows, cols = (a.ravel() for a in np.meshgrid(centres, centres, indexing="ij"))
    y = random.permutation(len(rows)) % 2
    for r, c, label in zip(rows, cols, y, strict=True):
        patch = random.normal(scale=0.5, size=(17, 17)) + (2 if label else -2)
        patch[4:13, 4:13] = random.normal(scale=0.5, size=(9, 9))
        image[r - 8 : r + 9, c - 8 : c + 9] = patch
    scene = Scene.from_arrays({"Red": image}, transform=UTM, crs="EPSG:32654")
    return Locations(scene, scene.grid.xy(rows + 0.5, cols + 0.5)), y


def test_grid_search_finds_the_planted_patch_size():
    X, y = ringed_scene()
    cnn = LandslideCNN(filters=(8,), dense_units=16, input_size=None, epochs=12, random_state=0)
    pipe = make_pipeline(BandStacker(["Red"]), PatchSampler(), Augmenter(translation=0.0, zoom=0.0), cnn)
    folds = SpatialBlockKFold(2, block_size=720, buffer=X.patch_extent(33), random_state=0)
    search = GridSearchCV(pipe, {"patchsampler__patch_size": [9, 17, 33]}, cv=folds).fit(X, y)
    small, right, large = search.cv_results_["mean_test_score"]
    assert search.best_params_ == {"patchsampler__patch_size": 17}
    assert right > 0.95
    assert max(small, large) < 0.7
    assert search.predict(X[:5]).shape == (5,)


def test_memory_needs_a_fixed_seed(tmp_path):
    X, y = np.random.RandomState(0).rand(20, 6, 6, 1), np.arange(20) % 2
    with pytest.raises(ValueError, match="random_state=None: only a fit with a fixed seed"):
        LandslideCNN(filters=(2,), input_size=None, epochs=1, memory=str(tmp_path)).fit(X, y)


def test_a_remembered_fit_is_the_fit(tmp_path, monkeypatch):
    random = np.random.RandomState(0)
    X, y = random.rand(60, 6, 6, 1).astype("float32"), np.arange(60) % 2
    options = {"filters": (2,), "dense_units": 4, "input_size": None, "epochs": 2, "random_state": 0}
    plain = LandslideCNN(**options).fit(X, y)
    fits = []

    def train(self, *args, original=LandslideCNN._train):
        fits.append(self.learning_rate)
        return original(self, *args)

    monkeypatch.setattr(LandslideCNN, "_train", train)
    for _ in range(2):
        remembered = LandslideCNN(**options, memory=str(tmp_path)).fit(X, y)
        assert remembered.predict_proba(X).tobytes() == plain.predict_proba(X).tobytes()
        assert remembered.history_ == plain.history_
    assert len(fits) == 1
    others = [
        (LandslideCNN(**{**options, "learning_rate": 0.1}, memory=str(tmp_path)), X, y, None),
        (LandslideCNN(**{**options, "random_state": 1}, memory=str(tmp_path)), X, y, None),
        (LandslideCNN(**options, memory=str(tmp_path)), X + np.float32(1e-3), y, None),
        (LandslideCNN(**options, memory=str(tmp_path)), X, 1 - y, None),
        (LandslideCNN(**options, memory=str(tmp_path)), X, y, np.linspace(0.5, 1.5, 60)),
        (LandslideCNN(**options, memory=str(tmp_path)), Augmenter().fit_transform(X), y, None),
        (LandslideCNN(**options, memory=str(tmp_path)), Augmenter(random_state=1).fit_transform(X), y, None),
    ]
    for cnn, *data in others:
        cnn.fit(data[0], data[1], sample_weight=data[2])
    assert len(fits) == 1 + len(others)


SEARCH = """
import os, signal, sys
from test_search import ringed_scene
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklandslide import Augmenter, BandStacker, LandslideCNN, PatchSampler, SpatialBlockKFold

folder, killed_after, n_jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
fits = []

def train(self, *args, original=LandslideCNN._train):
    if len(fits) == killed_after:
        os.kill(os.getpid(), signal.SIGKILL)
    fits.append(1)
    return original(self, *args)

LandslideCNN._train = train
X, y = ringed_scene()
cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, random_state=0, memory=folder)
pipe = make_pipeline(BandStacker(["Red"]), PatchSampler(), Augmenter(), cnn)
folds = SpatialBlockKFold(2, block_size=720, buffer=X.patch_extent(17), random_state=0)
grid = {"patchsampler__patch_size": [9, 17], "landslidecnn__learning_rate": [1e-3, 1e-2]}
search = GridSearchCV(pipe, grid, cv=folds, n_jobs=n_jobs).fit(X, y)
print(len(fits), search.cv_results_["mean_test_score"].tolist(), search.best_params_)
"""


@pytest.mark.slow
def test_a_killed_search_goes_on_without_making_finished_fits_again(tmp_path):
    def search(folder, killed_after=99):
        command = [sys.executable, "-c", SEARCH, str(tmp_path / folder), str(killed_after), "1"]
        here = Path(__file__).parent
        done = subprocess.run(command, check=False, cwd=here, env=dict(os.environ), capture_output=True, text=True)
        assert (done.returncode == 0) == (killed_after == 99), done.stderr[-2000:]
        return done.stdout.strip().split(" ", 1) if done.returncode == 0 else None

    search("killed", killed_after=5)
    fits, found = search("killed")
    all_fits, expected = search("whole")
    assert (int(fits), int(all_fits)) == (4, 9)  # eight fits and the best again
    assert found == expected
