"""TensorFlow's threads, and nothing on the console but what we say."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import joblib
import pytest

from sklandslide.features import cores, start_tensorflow


@pytest.mark.parametrize("variable, expected", [("1", 1), ("3,1", 3), ("many", None), ("0", None), (None, None)])
def test_a_workers_share_of_the_cores(monkeypatch, variable, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert cores() == (expected or joblib.cpu_count())


@pytest.mark.parametrize(
    "before, environment, expected",
    [
        (0, {}, {"intra": joblib.cpu_count()}),
        (0, {"OMP_NUM_THREADS": "1"}, {"intra": joblib.cpu_count(), "inter": 1}),
        (0, {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "3"}, {"inter": 1}),
        (5, {"OMP_NUM_THREADS": "1"}, {}),
        (None, {"OMP_NUM_THREADS": "1"}, {}),
    ],
    ids=["main process", "worker", "variable", "user's own", "started"],
)
def test_numbers_of_threads(monkeypatch, before, environment, expected):
    import tensorflow as tf

    given = {}

    def give(name, number):
        if before is None:
            raise RuntimeError("cannot be modified after initialization")
        given[name] = number

    threading = SimpleNamespace(
        get_intra_op_parallelism_threads=lambda: before or 0,
        get_inter_op_parallelism_threads=lambda: 0,
        set_intra_op_parallelism_threads=partial(give, "intra"),
        set_inter_op_parallelism_threads=partial(give, "inter"),
    )
    monkeypatch.setattr(tf.config, "threading", threading)
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    start_tensorflow()
    assert given == expected


def in_a_new_process(code, **environment):
    """What another process writes, on either stream, whose variables say nothing of TensorFlow's lines."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OMP_", "PYTHONW"))}
    command = [sys.executable, "-c", code]
    folder = Path(__file__).parents[1]
    done = subprocess.run(
        command, cwd=folder, env={**inherited, **environment}, capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, done.stderr


CONSOLE = """
import tempfile, warnings
from fitting import some_locations
from scenes import random_scene
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklandslide import Augmenter, BandStacker, LandslideCNN, PatchSampler, SlidingWindowPredictor

scene = random_scene(seed=3)
X, y = some_locations(scene, 40, 8)
cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=1, random_state=0)
pipe = make_pipeline(BandStacker(["Red", "Blue"]), PatchSampler(patch_size=8), Augmenter(), cnn)
pipe.fit(X, y)
for method in ("window", "shared"):
    mapper = SlidingWindowPredictor(pipe, method=method)
    mapper.predict_map(scene, tempfile.mkdtemp() + "/map.tif")
GridSearchCV(pipe, {"landslidecnn__dense_units": [4, 8]}, cv=2, n_jobs=2, error_score="raise").fit(X, y)
import os; os.write(2, b"heard")  # the console is there again
print("done")
"""


@pytest.mark.slow
def test_nothing_but_our_own_output_reaches_the_console():
    assert in_a_new_process(CONSOLE) == ("done\n", "heard")


@pytest.mark.slow
def test_tensorflows_lines_are_shown_to_who_asks_for_them():
    start = "from sklandslide.features import start_tensorflow; start_tensorflow()"
    assert "oneDNN" in in_a_new_process(start, TF_CPP_MIN_LOG_LEVEL="0")[1]


def test_without_a_console_tensorflow_starts_all_the_same(monkeypatch):
    from sklandslide.features.tensorflow_start import _no_console

    def closed(number):
        raise OSError("Bad file descriptor")

    monkeypatch.setattr(os, "dup", closed)
    with _no_console():
        pass
