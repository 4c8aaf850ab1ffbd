"""A map that was interrupted goes on where it stopped, and is the same file in the end."""

import logging
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from fitting import GEOTIFF, fitted
from scenes import WeightedSum, random_scene

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.exceptions import SklandslideError
from sklandslide.mapping import assembly, journal, tiles, writer
from sklandslide.mapping.journal import Journal
from sklandslide.mapping.tiles import TileLayout

HERE = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 64)


class Stopping(WeightedSum):
    """Counts the patches that it is asked about, and stops after a number of calls; neither is part of the model."""

    counted = 0
    stop_after = None

    def predict_proba(self, X):
        cls = type(self)
        cls.counted += len(X)
        if cls.stop_after is not None:
            cls.stop_after -= 1
            if cls.stop_after < 0:
                raise KeyboardInterrupt
        return super().predict_proba(X)


def stopped(pipe, scene, path, after, **parameters):
    """Map until the estimator was asked so many times."""
    Stopping.stop_after = after
    with pytest.raises(KeyboardInterrupt):
        SlidingWindowPredictor(pipe, **parameters).predict_map(scene, path)
    Stopping.stop_after = None


def counted(pipe, scene, path, **parameters):
    """Map, and tell how many windows were computed."""
    Stopping.counted = 0
    SlidingWindowPredictor(pipe, **parameters).predict_map(scene, path)
    return Stopping.counted


def test_goes_on_where_it_stopped_with_the_same_bytes(tmp_path, caplog):
    scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5, Stopping())
    whole, path = tmp_path / "whole.tif", tmp_path / "map.tif"
    everything = counted(pipe, scene, whole)
    stopped(pipe, scene, path, after=5)
    assert sorted(os.listdir(tmp_path)) == [".map.tif.journal", "whole.tif"]
    stopped(pickle.loads(pickle.dumps(pipe)), scene, path, after=3)
    with caplog.at_level(logging.INFO, "sklandslide"):
        left = counted(pickle.loads(pickle.dumps(pipe)), scene, path)
    assert "Going on with" in caplog.text
    assert "8 of 12 tiles are finished" in caplog.text
    assert left < everything / 2
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["map.tif", "whole.tif"]


def other_model(pipe, scene):
    return fitted(random_scene(seed=1), 5, Stopping(), y=np.arange(20) % 3 == 1), scene, {}


def other_scene(pipe, scene):
    return pipe, random_scene((300, 410), seed=9), {}


def other_step(pipe, scene):
    return pipe, scene, {"step": 3}


def other_class(pipe, scene):
    return pipe, scene, {"positive": 0}


@pytest.mark.parametrize(
    ("change", "word"),
    [(other_model, "estimator"), (other_scene, "scene"), (other_step, "step"), (other_class, "class")],
)
def test_with_anything_else_it_starts_over_and_says_so(tmp_path, caplog, change, word):
    scene, pipe = random_scene((300, 410)), fitted(random_scene(), 5, Stopping())
    stopped(pipe, scene, tmp_path / "map.tif", after=5)
    pipe, scene, parameters = change(pipe, scene)
    everything = counted(pipe, scene, tmp_path / "whole.tif", **parameters)
    with caplog.at_level(logging.WARNING, "sklandslide"):
        assert counted(pipe, scene, tmp_path / "map.tif", **parameters) == everything
    assert re.search(rf"Starting over with .*map\.tif: .* with another [^:]*{word}", caplog.text)
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_a_scene_file_that_changed_starts_it_over(tmp_path, caplog):
    def write(seed):
        with rasterio.open(tmp_path / "Red.tif", "w", width=300, height=300, **GEOTIFF) as f:
            f.write(np.random.RandomState(seed).rand(1, 300, 300).astype("float32"))
        os.utime(tmp_path / "Red.tif", (seed, seed))
        return Scene.from_files({"Red": tmp_path / "Red.tif"})

    pipe = fitted(random_scene(), 5, Stopping(), bands=["Red"])
    stopped(pipe, write(1), tmp_path / "map.tif", after=3)
    scene = write(2)
    with caplog.at_level(logging.WARNING, "sklandslide"):
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert "with another scene" in caplog.text
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "whole.tif")
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def some_journal(folder, n=6):
    """A layout, and a journal of it with finished tiles, closed."""
    layout = TileLayout((130, 200), 64)
    random = np.random.RandomState(0)
    values = [random.rand(w.height, w.width).astype("float32") for w in layout.windows]
    with Journal(str(folder / "map.tif"), layout, {"scene": "a"}) as record:
        for number in range(n):
            record.add(number, values[number])
    return layout, values


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_end_of_a_journal_holds_only_whole_tiles_count(tmp_path, seed):
    layout, values = some_journal(tmp_path)
    path = tmp_path / ".map.tif.journal"
    whole, random = path.read_bytes(), np.random.RandomState(seed)
    for _ in range(25):
        cut = random.randint(len(whole))
        tail = random.bytes(random.randint(300)) if random.rand() < 0.5 else b"\0" * random.randint(100_000)
        damaged = bytearray(whole[:cut] + tail)
        if random.rand() < 0.3:
            damaged[random.randint(len(damaged))] ^= 1 << random.randint(8)
        path.write_bytes(damaged)
        with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as record:
            assert list(record.missing) == [n for n in range(len(values)) if n not in record]
            for number in set(range(len(values))) - set(record.missing):
                assert np.array_equal(record.read(number), values[number])
            for number in record.missing:
                record.add(number, values[number])
            for first, last in [(0, 130), (60, 70), (128, 130)]:
                rows = record.rows(first, last)
                by_hand = np.vstack([np.hstack(values[4 * i : 4 * i + 4]) for i in range(3)])
                assert np.array_equal(rows, by_hand[first:last])


def test_one_process_at_a_time(tmp_path):
    layout, _ = some_journal(tmp_path)
    with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as record:
        with pytest.raises(SklandslideError, match=r"map\.tif is being made by another process"):
            Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}).__enter__()
        assert len(record) == 6
    with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as record:
        assert len(record) == 6
        record.forget()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (writer.os, "replace"),
        (writer, "check_complete"),
        (writer.MapWriter, "write_rows"),
        (writer, "_to_disk"),
        (journal.Journal, "forget"),
        (assembly.Journal, "rows"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_end_at_any_step_of_writing_is_made_good(tmp_path, monkeypatch, where, name, when):
    scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5)
    predictor = SlidingWindowPredictor(pipe)
    whole = predictor.predict_map(scene, tmp_path / "whole.tif").path
    original = getattr(where, name)

    def interrupted(*args, **kwargs):
        if when == "after":
            original(*args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            predictor.predict_map(scene, tmp_path / "map.tif")
    assert set(os.listdir(tmp_path)) <= {"whole.tif", ".map.tif.journal", "map.tif"}
    predictor.predict_map(scene, tmp_path / "map.tif", overwrite=True)
    assert (tmp_path / "map.tif").read_bytes() == Path(whole).read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["map.tif", "whole.tif"]


LIMITED = """
import resource, signal, sys
from scenes import WeightedSum, random_scene
from fitting import fitted
from sklandslide import SlidingWindowPredictor
from sklandslide.mapping import tiles
from sklandslide.exceptions import SklandslideError

tiles._LARGEST = 64
scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5)
for limit in map(int, sys.argv[2:]):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit then fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        SlidingWindowPredictor(pipe).predict_map(scene, sys.argv[1])
        print("made")
    except SklandslideError as error:
        print("refused:", error)
"""


def test_full_disk_gives_a_clear_error_and_it_goes_on_after_space_is_made(tmp_path):
    def run(*limits):
        command = [sys.executable, "-c", LIMITED, str(tmp_path / "map.tif"), *map(str, limits)]
        done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert run(10**9) == ["made"]
    whole = (tmp_path / "map.tif").read_bytes()
    (tmp_path / "map.tif").unlink()
    *refused, made = run(0, 300, 17_000, 66_000, 100_000, 10**9)  # one tile has 16 kB
    for line in refused:
        assert re.match(r"refused: .*map\.tif (could not|cannot) be written: .*[Dd]isk has room", line), line
    assert made == "made"
    assert (tmp_path / "map.tif").read_bytes() == whole
    assert os.listdir(tmp_path) == ["map.tif"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_really_full(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine mounts no small disk")
    try:
        scene, pipe = random_scene((300, 410), holes=3), fitted(random_scene(), 5)
        filler = tmp_path / "filler"
        filler.write_bytes(b"0" * 150_000)
        with pytest.raises(SklandslideError, match=r"map\.tif could not be written: No space left on device"):
            SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
        assert sorted(os.listdir(tmp_path)) == [".map.tif.journal", "filler"]
        filler.unlink()
        subprocess.run(["mount", "-o", "remount,size=4m", str(tmp_path)], check=True)
        m = SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
        expected = SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "whole.tif")
        assert Path(m.path).read_bytes() == Path(expected.path).read_bytes()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize(
    "rest", [b"", b"II*\0", b"II*\0\x08\0\0\0" + bytes(300), "half a map"], ids=["empty", "8", "zeros", "half"]
)
def test_what_a_killed_process_left_of_the_file_is_no_obstacle(tmp_path, rest):
    scene, pipe = random_scene((150, 160)), fitted(random_scene(), 5)
    whole = SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "whole.tif")
    expected = Path(whole.path).read_bytes()
    (tmp_path / ".map.tif.part").write_bytes(expected[: len(expected) // 2] if isinstance(rest, str) else rest)
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    assert (tmp_path / "map.tif").read_bytes() == expected
    assert sorted(os.listdir(tmp_path)) == ["map.tif", "whole.tif"]


def killed(folder, kills, n_jobs):
    command = [sys.executable, str(HERE / "killing.py"), str(folder), str(kills), str(n_jobs)]
    done = subprocess.run(command, check=False, cwd=HERE, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{kills} kills" in done.stdout
    return int(re.search(r"(\d+) of them", done.stdout)[1])


@pytest.mark.slow
def test_kill_9_at_twenty_random_moments(tmp_path):
    assert killed(tmp_path, 20, 1) >= 8


@pytest.mark.slow
def test_kill_9_with_two_workers(tmp_path):
    assert killed(tmp_path, 2, 2) >= 1


def test_bytes_do_not_depend_on_how_much_gdal_keeps_in_memory(tmp_path):
    code = """
import sys
from scenes import random_scene
from fitting import fitted
from sklandslide import SlidingWindowPredictor
SlidingWindowPredictor(fitted(random_scene(), 5), step=1).predict_map(random_scene((700, 900)), sys.argv[1])
"""
    for name, cache in {"little.tif": "1", "much.tif": "512"}.items():
        environment = {**os.environ, "GDAL_CACHEMAX": cache}
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        subprocess.run(command, cwd=HERE, env=environment, check=True)
    assert (tmp_path / "little.tif").read_bytes() == (tmp_path / "much.tif").read_bytes()
