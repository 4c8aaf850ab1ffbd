"""Maps of xarray's datasets: byte for byte those of GeoTIFFs, every chunk computed about once; and maps as datasets."""

from collections import Counter

import dask.array
import numpy as np
import pytest
import rasterio
import rioxarray
from fitting import GEOTIFF, fitted
from scenes import UTM, random_scene
from shapely.geometry import box

from sklandslide import LandslideMap, Scene, SlidingWindowPredictor
from sklandslide.exceptions import SceneReadError
from sklandslide.mapping import source, tiles
from sklandslide.mapping.writer import BANDS

NAMES = ["Red", "Green", "Blue"]
SHAPE = (300, 220)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "_LARGEST", 32)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """One GeoTIFF, as a dataset."""
    path = tmp_path_factory.mktemp("event") / "event.tif"
    values = random_scene(SHAPE, holes=20).read(NAMES)
    with rasterio.open(path, "w", **{**GEOTIFF, "count": 3}, width=SHAPE[1], height=SHAPE[0]) as file:
        file.write(np.moveaxis(values, -1, 0))
        file.descriptions = NAMES
    return path, rioxarray.open_rasterio(path)


@pytest.fixture(scope="module")
def pipe():
    return fitted(random_scene(), 9)


def mapped(pipe, scene, path, **options):
    return SlidingWindowPredictor(pipe, step=3, **options).predict_map(scene, path)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_map_is_byte_for_byte_that_of_geotiffs(tmp_path, small_tiles, data, pipe, n_jobs):
    path, dataset = data
    mapped(pipe, Scene.from_files(path), tmp_path / "files.tif")
    givers = {"memory": dataset, "dask": dataset.chunk(y=64, x=50), "south_up": dataset.chunk(y=64)[:, ::-1]}
    for name, given in givers.items():
        mapped(pipe, Scene.from_xarray(given), tmp_path / f"{name}.tif", n_jobs=n_jobs)
        assert (tmp_path / f"{name}.tif").read_bytes() == (tmp_path / "files.tif").read_bytes(), name


def counted(dataset, chunks):
    """The dataset in chunks, and how often each was computed."""
    counts = Counter()

    def value(block, block_info=None):
        counts[tuple(block_info[0]["chunk-location"])] += 1
        return block

    lazy = dask.array.from_array(dataset.values, chunks=chunks)
    return dataset.copy(data=lazy.map_blocks(value, dtype=lazy.dtype)), counts


@pytest.mark.parametrize("chunks", [(1, 64, 50), (1, 150, 220), (3, 100, 100), (1, 37, 41)])
def test_each_chunk_is_computed_once_for_a_map(tmp_path, small_tiles, data, pipe, chunks):
    """Besides those of 64 pixels, which are held against what the pipeline was fitted on before anything is mapped."""
    given, counts = counted(data[1], chunks)
    pipe = pipe.set_params(patchsampler__check_values=False)
    mapped(pipe, Scene.from_xarray(given), tmp_path / "map.tif")
    assert len(counts) == np.prod([-(-n // size) for n, size in zip(given.shape, chunks, strict=True)])
    assert set(counts.values()) == {1}
    counts.clear()
    pipe = pipe.set_params(patchsampler__check_values=True)
    mapped(pipe, Scene.from_xarray(given), tmp_path / "checked.tif")
    assert max(counts.values()) == 2


def test_chunks_at_the_seams_of_panels_are_computed_twice(tmp_path, small_tiles, monkeypatch, data, pipe):
    monkeypatch.setattr(source, "_BAND_BYTES", 200_000)  # a scene so wide that it is read in panels
    given, counts = counted(data[1], (1, 64, 50))
    mapped(pipe.set_params(patchsampler__check_values=False), Scene.from_xarray(given), tmp_path / "map.tif")
    assert max(counts.values()) == 2
    pipe.set_params(patchsampler__check_values=True)


def test_a_map_goes_on_after_a_chunk_that_could_not_be_computed(tmp_path, small_tiles, data, pipe):
    gone = True

    def sometimes(block, block_info=None):
        if gone and block_info[0]["chunk-location"][1] == 3:
            raise TimeoutError("no answer")
        return block

    lazy = data[1].chunk(y=64)
    lazy = lazy.copy(data=lazy.data.map_blocks(sometimes, dtype=lazy.dtype, token="sometimes"))
    pipe.set_params(patchsampler__check_values=False)
    with pytest.raises(SceneReadError, match=r"Band 'Red' cannot be computed by dask .*TimeoutError: no answer"):
        mapped(pipe, Scene.from_xarray(lazy), tmp_path / "map.tif")
    assert list(tmp_path.glob(".map.tif.tiles/*.tile"))
    gone = False
    mapped(pipe, Scene.from_xarray(lazy), tmp_path / "map.tif")
    mapped(pipe, Scene.from_files(data[0]), tmp_path / "files.tif")
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "files.tif").read_bytes()
    pipe.set_params(patchsampler__check_values=True)


def test_a_map_as_a_dataset(tmp_path, small_tiles, data, pipe):
    landslides = mapped(pipe, Scene.from_files(data[0]), tmp_path / "map.tif")
    given = landslides.to_xarray()
    assert given.probability.chunks is not None
    np.testing.assert_array_equal(given.probability, landslides.probability)
    assert given.attrs == {"patch_size": 9, "step": 3, "positive": "1"}
    assert Scene.from_xarray(given).grid == landslides.grid
    east, north = landslides.grid.xy(5.5, 7.5)
    assert given.probability.sel(x=east, y=north) == landslides.read(((5, 6), (7, 8))).item()


def test_a_part_of_a_map_with_two_bands_as_a_dataset(tmp_path):
    values = np.random.RandomState(0).rand(2, 20, 30).astype("float32")
    with rasterio.open(tmp_path / "map.tif", "w", **{**GEOTIFF, "count": 2}, width=30, height=20) as file:
        file.write(values)
        file.descriptions = BANDS
    whole = LandslideMap.open(tmp_path / "map.tif")
    part = whole.within(box(UTM.c, UTM.f - 100, UTM.c + 100, UTM.f))
    for landslides in (whole, part):
        given = landslides.to_xarray()
        np.testing.assert_array_equal(given.probability, landslides.probability)
        np.testing.assert_array_equal(given.dissimilarity, landslides.dissimilarity)
    assert int(part.to_xarray().probability.notnull().sum()) == 100
    assert whole.to_xarray().probability.data.name != part.to_xarray().probability.data.name
