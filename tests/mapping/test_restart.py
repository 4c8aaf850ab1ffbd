"""A map that was interrupted goes on where it stopped, and is the same file in the end."""

import json
import logging
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fitting import fitted
from scenes import WeightedSum, random_scene

from sklandslide import SlidingWindowPredictor
from sklandslide.exceptions import SklandslideError
from sklandslide.mapping import tiles
from sklandslide.mapping.tiles import TileLayout
from sklandslide.mapping.unfinished import UnfinishedMap

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
    assert sorted(os.listdir(tmp_path)) == [".map.tif.tiles", "whole.qml", "whole.tif"]
    stopped(pickle.loads(pickle.dumps(pipe)), scene, path, after=3)
    with caplog.at_level(logging.INFO, "sklandslide"):
        left = counted(pickle.loads(pickle.dumps(pipe)), scene, path)
    assert "Going on with" in caplog.text
    assert "8 of 12 tiles are finished" in caplog.text
    assert left < everything / 2
    assert path.read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["map.qml", "map.tif", "whole.qml", "whole.tif"]


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


# ------------------------------------------------------------------------------------------------------- kept tiles

KEY = {"scene": "a", "step": 2}


def some_tiles(folder, n=6):
    """A layout, values of its tiles, and an unfinished map with the first of them, closed."""
    layout = TileLayout((130, 200), 64)
    random = np.random.RandomState(0)
    values = [random.rand(w.height, w.width).astype("float32") for w in layout.windows]
    with UnfinishedMap(str(folder / "map.tif"), layout, KEY) as unfinished:
        for number in range(n):
            unfinished.add(number, values[number])
    return layout, values, folder / ".map.tif.tiles"


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole, place: whole[:place],
        lambda whole, place: whole + b"\0",
        lambda whole, place: whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :],
        lambda whole, place: bytes(len(whole)),
    ],
    ids=["cut", "longer", "a bit", "zeros"],
)
def test_only_tiles_that_are_whole_count_and_the_others_are_computed_again(tmp_path, monkeypatch, damage):
    monkeypatch.setattr("sklandslide.mapping.unfinished.BLOCK", 128)  # two rows of tiles at a time
    layout, values, folder = some_tiles(tmp_path)
    tile = folder / "000003.tile"
    whole = tile.read_bytes()
    for place in [0, 1, 4, 700, len(whole) - 5, len(whole) - 4, len(whole) - 1]:
        tile.write_bytes(damage(whole, place))
        with UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY) as unfinished:
            assert unfinished.missing == [3, *range(6, len(values))]
            for number in unfinished.missing:
                unfinished.add(number, values[number])
            assert unfinished.missing == []
            rows = list(unfinished._rows())
        assert [len(row) for row in rows] == [128, 2]
        by_hand = np.vstack([np.hstack(values[4 * i : 4 * i + 4]) for i in range(3)])
        assert np.array_equal(np.vstack(rows), by_hand)
        for number in range(6, len(values)):
            os.remove(folder / f"{number:06d}.tile")


def test_a_tile_counts_in_its_own_place_of_its_own_map(tmp_path):
    """Tiles of one shape could take each other's place; without locks another map's could come in between."""
    layout, _, folder = some_tiles(tmp_path)
    os.replace(folder / "000001.tile", folder / "000002.tile")
    with UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY) as unfinished:
        assert unfinished.missing[:2] == [1, 2]
    for other in ({**KEY, "scene": "b"}, {**KEY, "step": 3}, {"scene": "a"}):
        layout, values, folder = some_tiles(tmp_path)
        os.remove(folder / "key.json")  # the tiles themselves tell
        with UnfinishedMap(str(tmp_path / "map.tif"), layout, other) as unfinished:
            assert len(unfinished.missing) == len(values)


def test_a_damaged_key_begins_anew(tmp_path, caplog):
    layout, values, folder = some_tiles(tmp_path)
    (folder / "key.json").write_bytes(b"\0" * 40)
    with UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY) as unfinished:
        assert "Starting over" in caplog.text
        for number in unfinished.missing:
            unfinished.add(number, values[number])
    assert json.loads((folder / "key.json").read_text())["scene"] == "a"


def test_one_process_at_a_time(tmp_path):
    layout, values, _ = some_tiles(tmp_path)
    with UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY) as unfinished:
        with pytest.raises(SklandslideError, match=r"map\.tif is being made by another process.*Wait for it"):
            UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY).__enter__()
        unfinished.add(6, values[6])
    with UnfinishedMap(str(tmp_path / "map.tif"), layout, KEY) as unfinished:
        assert unfinished.missing == list(range(7, len(values)))


# ---------------------------------------------------------------------------------------------------- ends and disks

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
    for name in ("map.tif", "map.qml"):
        (tmp_path / name).unlink()
    # a tile has 16 kB; GDAL does not tell that the last bytes, written when the file is closed, were lost
    limits = [0, 300, 16_000, 17_000, len(whole) // 2, len(whole) - 5000, len(whole) - 100, len(whole) - 1]
    *refused, made = run(*limits, 10**9)
    for line in refused:
        assert re.match(r"refused: .*map\.tif could not be written: .*disk has room", line), line
    assert len(refused) == len(limits)
    assert made == "made"
    assert (tmp_path / "map.tif").read_bytes() == whole
    assert sorted(os.listdir(tmp_path)) == ["map.qml", "map.tif"]


def killed(folder, kills, n_jobs):
    command = [sys.executable, str(HERE / "killing.py"), str(folder), str(kills), str(n_jobs)]
    done = subprocess.run(command, check=False, cwd=HERE, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"{kills} kills" in done.stdout
    return int(re.search(r"(\d+) of them", done.stdout)[1])


@pytest.mark.slow
def test_kill_9_at_twenty_random_moments(tmp_path):
    assert killed(tmp_path, 20, 1) >= 6


@pytest.mark.slow
def test_kill_9_with_two_workers(tmp_path):
    assert killed(tmp_path, 2, 2) >= 1


def test_bytes_do_not_depend_on_how_much_gdal_keeps_in_memory(tmp_path):
    code = """
import sys
import numpy as np
from scenes import random_scene
from sklandslide.mapping.writer import BLOCK, write_geotiff
values = np.random.default_rng(0).random((700, 900), dtype=np.float32)
grid = random_scene(values.shape, ["Red"]).grid
write_geotiff(sys.argv[1], grid, {"STEP": 1}, (values[row : row + BLOCK] for row in range(0, 700, BLOCK)))
"""
    for name, cache in {"little.tif": "1", "much.tif": "512"}.items():
        environment = {**os.environ, "GDAL_CACHEMAX": cache}
        command = [sys.executable, "-c", code, str(tmp_path / name)]
        subprocess.run(command, cwd=HERE, env=environment, check=True)
    assert (tmp_path / "little.tif").read_bytes() == (tmp_path / "much.tif").read_bytes()
