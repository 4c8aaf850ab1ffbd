"""Laws of the journal and of the writer of maps: whole tiles in their own places, bytes before names."""

import json
import os
import struct

import numpy as np
import pytest
import rasterio
from fitting import fitted
from rasterio.windows import Window
from rasters import centres, same
from scenes import random_scene

from sklandslide import SlidingWindowPredictor
from sklandslide.exceptions import SklandslideError
from sklandslide.mapping.journal import Journal
from sklandslide.mapping.tiles import TileLayout
from sklandslide.mapping.writer import BLOCK, MapWriter


def journal_of(folder, n=4):
    """The layout, values and file of a journal with `n` tiles of one shape."""
    layout = TileLayout((32, 16 * n // 2), 16)
    values = [np.full((16, 16), number + 1, np.float32) for number in range(n)]
    with Journal(str(folder / "map.tif"), layout, {"scene": "a"}) as record:
        for number, tile in enumerate(values):
            record.add(number, tile)
    return layout, values, folder / ".map.tif.journal"


def test_whatever_bit_of_a_record_is_wrong_each_tile_that_counts_is_the_right_one(tmp_path):
    """The number of a tile is as good as its values: tiles of one shape could take each other's place."""
    layout, values, path = journal_of(tmp_path)
    whole = path.read_bytes()
    length = 16 + 4 * 16 * 16
    header = len(whole) - len(values) * length
    for record in range(len(values)):
        for bit in [*range(8 * 16), 8 * 16 + 5, 8 * (length - 1)]:
            damaged = bytearray(whole)
            damaged[header + record * length + bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as kept:
                assert kept.missing == list(range(record, len(values)))
                assert all(same(kept.read(number), values[number]) for number in range(record))
                kept.add(record, values[record])  # or it would be removed on leaving


def test_a_tile_that_was_changed_after_it_was_recorded_is_not_used(tmp_path):
    layout, values, path = journal_of(tmp_path)
    with Journal(str(tmp_path / "map.tif"), layout, {"scene": "a"}) as record:
        with open(path, "r+b") as file:
            file.seek(-5, os.SEEK_END)
            file.write(struct.pack("<f", 0.5)[:1])
        assert same(record.read(0), values[0])
        with pytest.raises(SklandslideError, match="tile 3 is not what was recorded"):
            record.read(3)


def test_a_record_of_another_map_is_known_by_any_part_of_its_key(tmp_path):
    layout, _, _ = journal_of(tmp_path)
    key = {"scene": "a", "step": 2}
    with Journal(str(tmp_path / "map.tif"), layout, key) as record:
        assert len(record) == 0
        record.add(0, np.zeros((16, 16), np.float32))
    for other in ({**key, "scene": "b"}, {**key, "step": 3}, {"scene": "a"}):
        assert json.dumps(other) != json.dumps(key)
        with Journal(str(tmp_path / "map.tif"), layout, key) as record:
            record.add(0, np.zeros((16, 16), np.float32))
        with Journal(str(tmp_path / "map.tif"), layout, other) as record:
            assert len(record) == 0


@pytest.fixture
def done(monkeypatch):
    """What reached the disk, and what got its name, in order."""
    done, fsync, named = [], os.fsync, {name: getattr(os, name) for name in ("replace", "link")}

    def synced(file):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    def naming(name):
        def function(source, target):
            named[name](source, target)
            done.append((os.path.basename(source), os.path.basename(target)))

        return function

    monkeypatch.setattr(os, "fsync", synced)
    for name in named:
        monkeypatch.setattr(os, name, naming(name))
    return done


def assert_bytes_before_name(done, name, folder):
    """In this order, or a power cut leaves a file of zeros or none under the name."""
    ((part, _),) = (pair for pair in done if pair[1:] == (name,))
    assert done == [part, (part, name), folder]


def test_a_map_has_its_name_when_its_bytes_are_on_the_disk_and_the_name_follows(tmp_path, done):
    scene = random_scene((30, 30))
    SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, tmp_path / "map.tif")
    assert_bytes_before_name(done, "map.tif", tmp_path.name)


def test_a_file_that_is_not_what_was_written_gets_no_name(tmp_path):
    """Whatever happened to it: one value that differs is enough."""
    grid = random_scene((BLOCK + 40, 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)

    def write_map(changed):
        with MapWriter(str(tmp_path / "map.tif"), grid, {}) as writer:
            for row in range(0, grid.shape[0], BLOCK):
                writer.write_rows(values[row : row + BLOCK], row)
            if changed:
                rows = values[:BLOCK].copy()
                rows[100, 20] += 1e-3
                writer._dataset.write(rows, 1, window=Window(0, 0, grid.shape[1], BLOCK))

    with pytest.raises(SklandslideError, match="not what was written"):
        write_map(changed=True)
    assert os.listdir(tmp_path) == []
    write_map(changed=False)
    assert os.listdir(tmp_path) == ["map.tif"]


def test_a_map_of_several_blocks_is_written_as_it_is(tmp_path):
    grid = random_scene((2 * BLOCK + 70, BLOCK + 50)).grid
    values = np.random.RandomState(0).rand(*grid.shape).astype(np.float32)
    with MapWriter(str(tmp_path / "map.tif"), grid, {}) as writer:
        for row in range(0, grid.shape[0], BLOCK):
            writer.write_rows(values[row : row + BLOCK], row)
    with rasterio.open(tmp_path / "map.tif") as file:
        assert same(file.read(1), values)
        x, y = rasterio.transform.xy(file.transform, *np.indices(grid.shape).reshape(2, -1))
    for found, expected in zip((x, y), centres(grid), strict=True):
        np.testing.assert_allclose(found, expected.ravel(), rtol=0, atol=1e-6)
