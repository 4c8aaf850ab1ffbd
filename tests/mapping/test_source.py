"""Reading for maps: what each tile needs, every block of a raster about once."""

from collections import Counter

import numpy as np
import pytest
import rasterio
from fitting import GEOTIFF, fitted
from scenes import random_scene

from sklandslide import Scene, SlidingWindowPredictor
from sklandslide.geodata.grid import Window
from sklandslide.geodata.raster import FileBand
from sklandslide.mapping import source, tiles
from sklandslide.mapping.source import TileSource
from sklandslide.mapping.tiles import MapTask, TileLayout, tile_side

STORED = {
    "tiles of 64": {"tiled": True, "blockxsize": 64, "blockysize": 64},
    "tiles of 256": {"tiled": True, "blockxsize": 256, "blockysize": 256},
    "strips of one row": {"blockysize": 1},
    "strips of 37 rows": {"blockysize": 37},
}


def stored(folder, how, shape=(400, 310)):
    image = np.random.RandomState(0).rand(1, *shape).astype("float32")
    with rasterio.open(folder / "Red.tif", "w", width=shape[1], height=shape[0], **GEOTIFF, **STORED[how]) as f:
        f.write(image)
    return Scene.from_files({"Red": folder / "Red.tif"})


def blocks_read(monkeypatch):
    """Counts how often each block of a file is read, and under "pixels" how many pixels by themselves."""
    counts = Counter()
    original = FileBand.read

    def read(self, window):
        if window.height * window.width == 1:
            counts["pixels"] += 1
            return original(self, window)
        with rasterio.open(self.path) as f:
            height, width = f.block_shapes[0]
        for row in range(window.row_off // height, -(-(window.row_off + window.height) // height)):
            for col in range(window.col_off // width, -(-(window.col_off + window.width) // width)):
                counts[row, col] += 1
        return original(self, window)

    monkeypatch.setattr(FileBand, "read", read)
    return counts


@pytest.mark.parametrize(("how", "patch_size", "step"), [*((how, 25, 2) for how in STORED), ("tiles of 64", 8, 3)])
def test_each_block_is_read_once_for_a_map(tmp_path, monkeypatch, how, patch_size, step):
    monkeypatch.setattr(tiles, "_LARGEST", 64)
    scene = stored(tmp_path, how)
    pipe = fitted(random_scene(), patch_size, bands=["Red"])
    counts = blocks_read(monkeypatch)
    SlidingWindowPredictor(pipe, step=step).predict_map(scene, tmp_path / "map.tif")
    assert counts.pop("pixels") == 64  # the scene's values are held against those of training
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("wanted", ["all", "some"])
@pytest.mark.parametrize("budget", [10**9, 150_000])
def test_parts_are_what_the_tiles_see(tmp_path, monkeypatch, wanted, budget):
    monkeypatch.setattr(source, "_BAND_BYTES", budget)  # whole rows, or several panels side by side
    scene = stored(tmp_path, "tiles of 64")
    task = MapTask(None, [], 9, 2, 1)
    layout = TileLayout(scene.grid.map_grid(9, 2).shape, 32)
    numbers = list(range(len(layout.windows)))
    if wanted == "some":
        numbers = np.random.RandomState(1).permutation(numbers)[:40].tolist()
    seen = []
    for number, part in TileSource(scene, task, layout).parts(numbers):
        where = task.source(layout.windows[number])
        np.testing.assert_array_equal(part.read(), scene.read(window=where))
        assert part.grid == scene.grid.crop(where)
        seen.append(number)
    assert sorted(seen) == sorted(numbers)
    panels = [layout.windows[number].row_off for number in seen]
    assert (panels == sorted(panels)) == (budget == 10**9)


def test_parts_keep_units_and_derived_bands():
    arrays = {"VV_before": np.full((40, 50), 0.1), "DEM": np.add.outer(np.arange(40.0), np.zeros(50)) * 10}
    base = random_scene((40, 50))
    scene = Scene.from_arrays(arrays, transform=base.grid.transform, crs="EPSG:32654", units={"VV_before": "linear"})
    task = MapTask(None, [], 5, 1, 1)
    layout = TileLayout(scene.grid.map_grid(5, 1).shape, 16)
    for number, part in TileSource(scene, task, layout).parts(range(len(layout.windows))):
        assert part.units == {"VV_before": "linear"}
        window = task.source(layout.windows[number])
        np.testing.assert_array_equal(part.read("Slope"), scene.read("Slope", window))


@pytest.mark.parametrize("step", [1, 2, 5, 25, 200])
def test_a_tile_sees_little_whatever_the_step(step):
    side = tile_side(step, 4)
    source_ = MapTask(None, [], 25, step, 1).source(Window(0, 0, side, side))
    assert source_.height <= 1024 + 25
    assert side & (side - 1) == 0
