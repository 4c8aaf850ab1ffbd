"""Maps by several workers, on this machine and on a Dask cluster: the same bytes, and workers may die."""

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import joblib
import pytest
from fitting import fitted, some_locations
from scenes import WeightedSum, random_scene
from sklearn.preprocessing import FunctionTransformer

from sklandslide import BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor
from sklandslide.exceptions import SceneReadError, SklandslideError
from sklandslide.mapping import tiles, workers

HERE = Path(__file__).parents[1]


class Deadly(WeightedSum):
    """Kills the process that it is asked in, as long as a file of that name is there; takes a while otherwise."""

    def __init__(self, file=None, pause=0.0):
        self.file, self.pause = file, pause
        super().__init__()

    def predict_proba(self, X):
        try:
            Path(self.file).unlink()
        except FileNotFoundError:
            time.sleep(self.pause)
            return super().predict_proba(X)
        os.kill(os.getpid(), signal.SIGKILL)


class AlwaysDeadly(WeightedSum):
    def predict_proba(self, X):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 64)


def bytes_of(pipe, scene, path, **parameters):
    return Path(SlidingWindowPredictor(pipe, **parameters).predict_map(scene, path).path).read_bytes()


def test_any_number_of_workers_and_any_backend_give_the_same_bytes(tmp_path):
    scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5)
    one = bytes_of(pipe, scene, tmp_path / "one.tif")
    assert bytes_of(pipe, scene, tmp_path / "two.tif", n_jobs=2) == one
    with joblib.parallel_config(backend="threading", n_jobs=3):
        assert bytes_of(pipe, scene, tmp_path / "threads.tif") == one


@pytest.mark.slow
def test_networks_in_workers_give_the_same_bytes(tmp_path):
    scene = random_scene((300, 200), holes=3)
    cnn = LandslideCNN(filters=(4, 6), dense_units=8, input_size=None, epochs=1, random_state=0)
    pipe = fitted(random_scene(), 12, cnn, bands="RGB")
    one = bytes_of(pipe, scene, tmp_path / "one.tif")
    assert bytes_of(pipe, scene, tmp_path / "two.tif", n_jobs=2) == one


def test_functions_of_a_script_reach_the_workers(tmp_path):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    scene = random_scene((150, 160))
    X, y = some_locations(scene, 20, 5)
    flat = FunctionTransformer(lambda patches: patches.mean(axis=(1, 2)))
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=5), flat, LogisticRegression()).fit(X, y)
    assert bytes_of(pipe, scene, tmp_path / "two.tif", n_jobs=2) == bytes_of(pipe, scene, tmp_path / "one.tif")


def test_a_worker_that_dies_is_survived(tmp_path, caplog):
    trap = tmp_path / "trap"
    trap.touch()
    scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5, Deadly(str(trap)))
    expected = bytes_of(fitted(random_scene(), 5), scene, tmp_path / "one.tif")
    assert bytes_of(pipe, scene, tmp_path / "two.tif", n_jobs=2) == expected
    assert not trap.exists()
    assert "A worker died" in caplog.text


def test_workers_that_always_die_are_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_PATIENCE", 1)
    scene, pipe = random_scene((150, 160)), fitted(random_scene(), 5, AlwaysDeadly())
    with pytest.raises(SklandslideError, match=r"Workers died 1 times.*fewer workers \(n_jobs\)"):
        SlidingWindowPredictor(pipe, n_jobs=2).predict_map(scene, tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []


def test_errors_in_reading_reach_the_user(tmp_path, monkeypatch):
    scene = random_scene((300, 410))
    from sklandslide.mapping import source

    original, calls = source._Rows.scene, []

    def damaged(self, window):
        calls.append(window)
        if len(calls) == 9:
            raise SceneReadError("damaged")
        return original(self, window)

    monkeypatch.setattr(source._Rows, "scene", damaged)
    with joblib.parallel_config(backend="threading", n_jobs=2), pytest.raises(SceneReadError, match="damaged"):
        SlidingWindowPredictor(fitted(random_scene(), 5)).predict_map(scene, tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()


def test_reading_ahead_is_in_order_and_can_be_left_at_any_time():
    assert list(workers._OneAhead(number for number in range(5))) == [0, 1, 2, 3, 4]
    closed = []

    def items():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    ahead = workers._OneAhead(items())
    assert [next(ahead), next(ahead)] == [0, 1]
    ahead.close()
    ahead.close()
    assert closed == [True]
    assert list(ahead) == []


DASK = """
import os, signal, sys, threading, time
from pathlib import Path

import joblib
import numpy as np
from scenes import WeightedSum, random_scene
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from fitting import fitted
from test_search import ringed_scene
from test_workers import Deadly

from sklandslide import BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor, SpatialBlockKFold
from sklandslide.mapping import tiles


def search():
    X, y = ringed_scene()
    cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=6, random_state=0)
    pipe = make_pipeline(BandStacker(["Red"]), PatchSampler(), cnn)
    folds = SpatialBlockKFold(2, block_size=720, buffer=X.patch_extent(17), random_state=0)
    found = GridSearchCV(pipe, {"patchsampler__patch_size": [9, 17]}, cv=folds, refit=False).fit(X, y)
    return found.cv_results_["mean_test_score"]


def main(folder):
    from distributed import Client, LocalCluster

    tiles._LARGEST = 64
    scene = random_scene((300, 410), holes=3)
    one = SlidingWindowPredictor(fitted(random_scene(), 5)).predict_map(scene, folder / "one.tif").path
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, \\
            Client(cluster) as client, joblib.parallel_config(backend="dask"):
        pipe = fitted(random_scene(), 5)
        quiet = SlidingWindowPredictor(pipe).predict_map(scene, folder / "quiet.tif").path
        assert Path(quiet).read_bytes() == Path(one).read_bytes(), "other bytes on a cluster"
        slow = fitted(random_scene(), 5, Deadly(str(folder / "no trap"), pause=0.2))
        workers = client.run(os.getpid)

        def kill():
            while (finished := len(list(folder.glob(".killed.tif.tiles/*.tile")))) < 3:
                time.sleep(0.01)
            os.kill(next(iter(workers.values())), signal.SIGKILL)
            print("killed after", finished, "tiles")

        thread = threading.Thread(target=kill)
        thread.start()
        killed = SlidingWindowPredictor(slow).predict_map(scene, folder / "killed.tif").path
        thread.join()
        assert Path(killed).read_bytes() == Path(one).read_bytes(), "other bytes after a death"
        client.wait_for_workers(2)
        cnn = LandslideCNN(filters=(4, 6), dense_units=8, input_size=None, epochs=1)
        network = fitted(random_scene(), 12, cnn, bands="RGB")
        remote = SlidingWindowPredictor(network).predict_map(scene, folder / "network.tif")
        print("heavy", any(client.run(lambda: "tensorflow" in __import__("sys").modules).values()))
        remote_scores = search()
        threads = client.run(lambda: __import__("tensorflow").config.threading.get_inter_op_parallelism_threads())
        print("threads", sorted(threads.values()))
    np.testing.assert_allclose(remote_scores, search(), atol=0.05)  # one thread there, two here: other roundings
    local = SlidingWindowPredictor(network).predict_map(scene, folder / "local.tif")
    assert Path(local.path).read_bytes() == Path(remote.path).read_bytes(), "a network's other bytes on a cluster"
    print("same bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_dask_cluster_with_a_worker_killed_midway_gives_the_same_bytes(tmp_path):
    pytest.importorskip("distributed", reason="Dask is an extra")
    script = tmp_path / "cluster.py"
    script.write_text(DASK)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [HERE.parent, HERE, HERE / "mapping"]))}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "same bytes" in done.stdout
    assert "threads [1, 1]" in done.stdout
    assert "heavy False" in done.stdout or find_spec("sklandslide.mapping._sums") is None
