"""X: coordinates that scikit-learn indexes as an array, and the reading of patches about them."""

import copy
import pickle
import sys
import tracemalloc

import joblib
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from laws import law, shapes, sizes
from rasters import TRANSFORM, UTM, same, write
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, indexable, shuffle
from sklearn.utils.validation import _num_samples

from sklandslide import BandStacker, Locations, Scene
from sklandslide.exceptions import SceneError
from sklandslide.geodata.raster import FileBand
from sklandslide.sampling import regions
from sklandslide.sampling.locations import read_patches, valid_patches, windows_without

TRANSFORMS = {
    "north up": TRANSFORM,
    "south up": Affine(10, 0, 600_000, 0, 10, 4_730_000),
    "rotated": Affine(8.66, 5, 600_000, 5, -8.66, 4_740_000),
    "oblong": Affine(7, 0, 600_000, 0, -20, 4_740_000),
}


def noise_scene(shape=(60, 70), bands=2, seed=0, transform=TRANSFORM, holes=0.0, crs=UTM):
    rng = np.random.default_rng(seed)
    arrays = {f"B{i}": rng.normal(size=shape) for i in range(bands)}
    for array in arrays.values():
        array[rng.random(shape) < holes] = np.nan
    return Scene.from_arrays(arrays, transform=transform, crs=crs)


def about(scene, origin, size, jitter=0.0):
    """Coordinates of points whose patches begin at `origin`, moved off the centre by up to `jitter` pixels."""
    centre = np.asarray(origin) + size / 2
    moved = centre + np.random.default_rng(0).uniform(-jitter, jitter, centre.shape)
    return scene.grid.xy(moved[:, 0], moved[:, 1])


@pytest.fixture
def X():
    """Seven rows on two scenes, interleaved."""
    a, b = noise_scene(seed=1), noise_scene(seed=2)
    xy = np.array([600_100.25, 4_739_900.75]) + 20 * np.arange(14).reshape(7, 2) * [1, -0.5]
    return Locations.concatenate([Locations(a, xy[:4]), Locations(b, xy[4:])])[[0, 4, 1, 5, 2, 6, 3]]


def rows_of(X):
    """What identifies each row: its scene and its coordinates."""
    return [(X.scenes[i].fingerprint, *xy) for i, xy in zip(X.scene_index, X.xy.tolist(), strict=True)]


# Indexing


@pytest.mark.parametrize(
    "key",
    [
        [5, 0, 0],
        np.array([5, 0, 0]),
        [-1, 2],
        [True, False, True, False, False, False, True],
        np.zeros(7, bool),
        [],
        slice(None, None, -2),
        slice(None),
        ...,
        range(1, 4),
    ],
    ids=str,
)
def test_rows_are_locations_whatever_the_key(X, key):
    expected = [rows_of(X)[i] for i in np.arange(7)[key]]
    for wanted in (key, (key,)) if key is ... else (key, (key, ...), (key, slice(None)), (key,)):
        got = X[wanted]
        assert isinstance(got, Locations)
        assert rows_of(got) == expected
        assert got.shape == (len(got), got.ndim) == (len(expected), 2)


def test_columns_are_plain_arrays(X):
    xy = X.xy.copy()
    for key in [
        (slice(None), 0),
        (..., 1),
        ([3, 1], 0),
        (slice(None), [1, 0]),
        (slice(None), slice(0, 1)),
    ]:
        got = X[key]
        assert type(got) is np.ndarray
        assert np.array_equal(got, xy[key])
        assert got.dtype == np.float64


def test_one_row_is_its_coordinates(X):
    for i in (3, np.int64(3), -1, np.uint8(0)):
        assert type(X[i]) is np.ndarray
        assert np.array_equal(X[i], X.xy[i])
    assert X[3, 1] == X.xy[3, 1]
    assert np.array_equal(np.array(list(X)), X.xy)  # a loop over rows ends


@pytest.mark.parametrize("key", [7, [0, 7], np.ones(8, bool)])
def test_rows_that_there_are_not(X, key):
    with pytest.raises(IndexError):
        X[key]


def test_as_an_array(X):
    assert np.array_equal(np.asarray(X), X.xy)
    assert np.asarray(X, dtype=np.float32).dtype == np.float32
    copied = np.array(X)
    copied[:] = 0
    assert X.xy.min() > 0
    assert np.mean(X, axis=0) == pytest.approx(X.xy.mean(axis=0))
    with pytest.raises(ValueError, match="copy"):
        np.asarray(X, dtype=np.float32, copy=False)


def test_locations_keep_every_bit_and_do_not_change():
    xy = np.array([[600_000.123456789, 4_739_999.987654321], [1 / 3, 2 / 3]])
    X, before = Locations(noise_scene(), xy), xy.copy()
    xy[:] = 0
    assert same(X.xy, before)
    assert same(pickle.loads(pickle.dumps(X)).xy, before)
    assert Locations(noise_scene(), [[600_001, 4_739_999]]).dtype == np.float64
    for Y in (X, X[:1], X[[1, 0]], pickle.loads(pickle.dumps(X)), copy.deepcopy(X)):
        with pytest.raises(ValueError, match="read-only"):
            Y.xy[0, 0] = 5
        with pytest.raises(ValueError, match="read-only"):
            Y.scene_index[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            Y[:, 0][0] = 5


# In scikit-learn


def test_scikit_learn_takes_rows(X):
    assert _num_samples(X) == 7
    assert rows_of(_safe_indexing(X, [4, 2])) == [rows_of(X)[4], rows_of(X)[2]]
    assert rows_of(_safe_indexing(X, np.arange(7) % 2 == 0)) == rows_of(X)[::2]
    assert rows_of(_safe_indexing(X, slice(1, 3))) == rows_of(X)[1:3]
    assert np.array_equal(_safe_indexing(X, 1, axis=1), X.xy[:, 1])
    assert indexable(X, np.zeros(7))[0] is X
    assert rows_of(clone(X, safe=False)) == rows_of(X)
    shuffled, order = shuffle(X, np.arange(7), random_state=0)
    assert rows_of(shuffled) == [rows_of(X)[i] for i in order]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        indexable(X, np.zeros(6))


def test_splits_keep_every_row_with_its_label_and_scene(X):
    y = np.arange(7)
    train, test, y_train, y_test = train_test_split(X, y, test_size=3, random_state=0)
    assert isinstance(train, Locations)
    assert isinstance(test, Locations)
    found = dict(zip([*y_train, *y_test], rows_of(train) + rows_of(test), strict=True))
    assert [found[i] for i in range(7)] == rows_of(X)


# Several scenes


def test_concatenation_keeps_rows_in_order_on_their_scenes():
    scenes = [noise_scene(seed=i) for i in range(3)]
    rng = np.random.default_rng(0)
    parts = [Locations(scenes[i], rng.normal(size=(n, 2))) for i, n in [(0, 3), (1, 2), (0, 0), (2, 1), (0, 4)]]
    joined = Locations.concatenate(parts)
    assert rows_of(joined) == [row for part in parts for row in rows_of(part)]
    assert joined.scenes == tuple(scenes)
    assert joined.scene_index.tolist() == [0, 0, 0, 1, 1, 2, 0, 0, 0, 0]


def test_equal_scenes_are_one():
    a, twin, other = noise_scene(seed=0), noise_scene(seed=0), noise_scene(seed=1)
    assert a is not twin
    X = Locations.concatenate([Locations(s, [[i, i]]) for i, s in enumerate([a, other, twin])])
    assert len(X.scenes) == 2
    assert X.scene_index.tolist() == [0, 1, 0]
    assert X.xy[:, 0].tolist() == [0, 1, 2]


def test_pickling_keeps_rows_and_scenes(X):
    assert repr(X).startswith("<7 Locations on 2 scene(s)\n <Scene 60 x 70 pixels, EPSG:32654, bands B0, B1>")
    again = pickle.loads(pickle.dumps(X))
    assert rows_of(again) == rows_of(X)
    assert again.scenes == X.scenes
    assert joblib.hash(again) == joblib.hash(X)
    assert joblib.hash(X[::-1]) != joblib.hash(X)


def test_areas_go_with_their_rows():
    scenes = [noise_scene(seed=i) for i in range(2)]
    X, more = (Locations(s, [[i, i] for i in range(5)], np.arange(5.0) + 10 * k) for k, s in enumerate(scenes))
    assert X.area.dtype == np.float64
    assert Locations(scenes[0], [[0, 0]]).area is None
    for key in ([3, 0], slice(None, None, -1), np.arange(5) % 2 == 0, ([1, 2], ...)):
        assert X[key].area.tolist() == X[key].xy[:, 0].tolist()
    assert _safe_indexing(X, [4, 2]).area.tolist() == [4, 2]
    both = Locations.concatenate([X, more[:2]])
    assert both.area.tolist() == [0, 1, 2, 3, 4, 10, 11]
    assert Locations.concatenate([X, Locations(scenes[1], more.xy)]).area is None
    assert both.map_scenes(lambda scene: scene).area.tolist() == both.area.tolist()
    again = pickle.loads(pickle.dumps(both))
    assert again.area.tolist() == both.area.tolist()
    assert joblib.hash(again) == joblib.hash(both) != joblib.hash(Locations.concatenate([X, more[1:3]]))
    for some in (X, X[1:], again):
        with pytest.raises(ValueError, match="read-only"):
            some.area[0] = 1
    for area in ([1.0], [1, 2, 3, 4, -1], [1, 2, 3, 4, np.nan], np.ones((5, 1))):
        with pytest.raises(SceneError, match=r"area has shape .*each of the 5 rows"):
            Locations(scenes[0], X.xy, area)


def test_locations_without_areas_are_what_they_were():
    X = Locations(noise_scene(), [[1, 2], [3, 4]])
    assert set(vars(X)) == set(vars(X[:1])) == {"scenes", "scene_index", "xy"}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
def test_patch_extent_holds_a_patch(transform):
    scene = noise_scene((9, 9), transform=transform)
    left, bottom, right, top = scene.grid.bounds
    assert Locations(scene, [[0, 0]]).patch_extent(9) == pytest.approx((right - left, top - bottom))
    coarse = noise_scene((9, 9), transform=Affine(30, 0, 0, 0, -40, 0))
    both = Locations.concatenate([Locations(scene, [[0, 0]]), Locations(coarse, [[0, 0]])])
    assert both.patch_extent(2) == (60, 80)


def test_what_cannot_be_located_is_refused():
    with pytest.raises(SceneError, match=r"xy has shape \(1, 3\).*have shape \(n_samples, 2\)"):
        Locations(noise_scene(), [[1.0, 2.0, 3.0]])
    with pytest.raises(SceneError, match=r"xy holds \[.*nan\] at row 2; .*must be finite\. Drop"):
        Locations(noise_scene(), [[1, 2], [3, 4], [5, np.nan], [np.inf, 6]])
    with pytest.raises(SceneError, match=r"need the Scene .*not str: Locations\(scene, xy\)"):
        Locations("scene.tif", [[1, 2]])
    with pytest.raises(SceneError, match=r"no Locations to concatenate\. Give at least one"):
        Locations.concatenate([])


def test_no_rows_will_do():
    X = Locations(noise_scene(), np.zeros((0, 2)))
    assert len(X) == 0
    assert read_patches(X, 5).shape == (0, 5, 5, 2)
    assert [a.shape for a in valid_patches(X, 5)] == [(0,), (0,)]


# Patches


def random_sites(rng, scene, size, n):
    rows, cols = scene.grid.shape
    first = np.stack([rng.integers(0, rows - size + 1, n), rng.integers(0, cols - size + 1, n)], axis=1)
    return np.vstack([first, [[0, 0], [rows - size, cols - size], [0, cols - size], [rows - size, 0]]])


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
@pytest.mark.parametrize("size", [1, 8, 25])
def test_a_patch_is_that_part_of_the_scene(transform, size):
    scene = noise_scene((60, 70), transform=transform, holes=0.01)
    whole = scene.read()
    first = random_sites(np.random.default_rng(0), scene, size, 60)
    patches = read_patches(Locations(scene, about(scene, first, size, jitter=0.49)), size)
    expected = np.stack([whole[r : r + size, c : c + size] for r, c in first])
    assert same(patches, expected)


# What is read of files

LAYOUTS = {
    "tiles of 64 x 256": {"tiled": True, "blockxsize": 256, "blockysize": 64},
    "strips of 7 rows": {"blockysize": 7, "compress": "deflate"},
    "two strips": {"blockysize": 350},
}


@pytest.fixture
def blocks(monkeypatch):
    """How often each block of each file was asked for."""
    read, times = FileBand.read, {}

    def counting(band, window):
        shape = -(-np.array(band.grid.shape) // band.block_shape)
        count = times.setdefault((band.path, band.index), np.zeros(shape, int))
        pairs = zip(window.slices, band.block_shape, strict=True)
        count[tuple(slice(s.start // n, -(-s.stop // n)) for s, n in pairs)] += 1
        return read(band, window)

    monkeypatch.setattr(FileBand, "read", counting)
    return times


def touched(first, size, scene):
    """The blocks that patches touch, looked at one by one."""
    block = scene.block_shape
    out = np.zeros(-(-np.array(scene.grid.shape) // block), int)
    for r, c in first:
        out[r // block[0] : (r + size - 1) // block[0] + 1, c // block[1] : (c + size - 1) // block[1] + 1] = 1
    return out


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("n", [4, 400])
@pytest.mark.parametrize("function", [read_patches, valid_patches])
def test_each_block_that_a_patch_touches_is_read_once_and_no_other(tmp_path, blocks, layout, n, function):
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(2, 700, 900)).astype(np.float32)
    files = {f"B{i}": write(tmp_path / f"{i}.tif", pixels[i], **layout) for i in range(2)}
    scene = Scene.from_files(files)
    assert scene.block_shape == (layout["blockysize"], layout.get("blockxsize", 900))
    for size in (25, 130):  # larger than some blocks
        first = rng.integers(0, [701 - size, 901 - size], (n, 2))
        blocks.clear()
        got = function(Locations(scene, about(scene, first, size)), size)
        assert len(blocks) == 2
        for times in blocks.values():
            assert np.array_equal(times, touched(first, size, scene))
        if function is read_patches:
            for patch, (r, c) in zip(got[:40], first[:40], strict=False):
                assert same(patch, np.moveaxis(pixels[:, r : r + size, c : c + size], 0, -1))
        else:
            assert got[1].all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts the bytes that the process read, from /proc")
@pytest.mark.parametrize("kind", ["several bands of a file", "shifted", "slope", "warped slope"])
def test_no_more_is_read_than_the_files_hold(tmp_path, kind):
    rng = np.random.default_rng(0)
    layout = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    red = write(tmp_path / "red.tif", np.zeros((1500, 1500), np.uint8), compress="deflate")
    pixels = rng.normal(size=(3, 1500, 1500)).astype(np.float32)
    place = {"shifted": Affine(10, 0, 600_130, 0, -10, 4_739_910)}
    place["warped slope"] = Affine(10, 0, 600_003, 0, -10, 4_739_996)
    stored = pixels if kind == "several bands of a file" else pixels[0]
    path = write(tmp_path / "a.tif", stored, transform=place.get(kind, TRANSFORM), interleave="pixel", **layout)
    bands = {"VV_before": (path, 1), "VV_after": (path, 3)} if stored.ndim == 3 else {"DEM": path}
    wanted = {"slope": ["DEM", "Slope", "DEM"], "warped slope": ["Slope", "DEM"]}.get(kind, list(bands))
    scene = Scene.from_files({"Red": red, **bands})
    view = BandStacker(wanted).fit(Locations(scene, [[0, 0]])).view(scene)
    X = Locations(view, about(scene, rng.integers(20, 1400, (3000, 2)), 25))
    read_patches(X[:3], 25)  # what PROJ and GDAL read at the first use
    before = bytes_read()
    read_patches(X, 25)
    assert path.stat().st_size * 0.8 < bytes_read() - before < path.stat().st_size * 1.05 + 300_000


def bytes_read():
    with open("/proc/self/io") as file:
        return int(file.readline().removeprefix("rchar:"))


def test_a_sparse_sample_of_a_large_raster_takes_little_memory(tmp_path, blocks):
    # 12,000 x 12,000 pixels of nothing: 0.6 GB a band if it were read whole
    sparse = {"SPARSE_OK": True, "tiled": True, "blockxsize": 256, "blockysize": 256}
    with rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", width=12_000, height=12_000, count=1, dtype="float32", crs=UTM,
        transform=TRANSFORM, **sparse,
    ) as dataset:  # fmt: skip
        dataset.write(np.ones((30, 30), np.float32), 1, window=((5000, 5030), (6000, 6030)))
    scene = Scene.from_files({"B0": tmp_path / "a.tif"})
    first = np.vstack([np.random.default_rng(0).integers(0, 11_900, (300, 2)), [[5000, 6000]]])
    X = Locations(scene, about(scene, first, 25))
    tracemalloc.start()
    patches = read_patches(X, 25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert patches[-1].all() and not patches[0].any()
    (times,) = blocks.values()
    assert np.array_equal(times, touched(first, 25, scene))
    assert times.sum() < 450  # of 2209
    assert peak < 60e6


def test_patches_come_each_from_its_own_scene():
    # grids of other pixel size, place and shape, rows interleaved
    scenes = [
        noise_scene((40, 50), seed=0),
        noise_scene((70, 30), seed=1, transform=Affine(20, 0, 590_000, 0, -20, 4_700_000)),
        noise_scene((33, 34), seed=2, transform=TRANSFORMS["rotated"], crs="EPSG:32653"),
    ]
    rng = np.random.default_rng(0)
    sites = [random_sites(rng, scene, 7, 26) for scene in scenes]
    X = Locations.concatenate([Locations(s, about(s, f, 7)) for s, f in zip(scenes, sites, strict=True)])
    expected = np.concatenate(
        [[s.read()[r : r + 7, c : c + 7] for r, c in f] for s, f in zip(scenes, sites, strict=True)]
    )
    order = rng.permutation(len(X))
    assert same(read_patches(X[order], 7), expected[order])
    assert same(read_patches(X[order[:5]], 7), expected[order[:5]])


def test_patches_that_do_not_fit_are_counted_and_shown():
    scene = noise_scene((20, 30))
    fitting, outside = [[0, 0], [15, 25]], [[-1, 5], [16, 5], [5, -1], [5, 26], [-500, 5000]]
    X = Locations(scene, about(scene, [[0, 0]], 20))
    assert [valid_patches(X, size)[0].all() for size in (20, 21)] == [True, False]  # as large as the scene, and larger
    X = Locations(scene, about(scene, [*fitting, *outside], 5))
    assert valid_patches(X, 5)[0].tolist() == [True] * 2 + [False] * 5
    x, y = X.xy[2].tolist()
    told = rf"5 of 7 patches of 5 pixels do not .*first at x, y = \[{x}, {y}\] \(row 2\)\. Drop .*smaller patch_size"
    with pytest.raises(SceneError, match=told):
        read_patches(X, 5)


def test_scenes_with_other_numbers_of_bands_cannot_be_stacked():
    X = Locations.concatenate([Locations(noise_scene(bands=n), [[600_300, 4_739_700]]) for n in (2, 3)])
    with pytest.raises(SceneError, match=r"have \[2, 3\] bands.*Put a BandStacker before"):
        read_patches(X, 5)


@pytest.mark.parametrize("size, bands", [(1, ["B1"]), (4, None), (9, ["B0"])])
def test_valid_patches_are_those_without_a_hole(size, bands):
    scenes = [noise_scene((50, 60), seed=s, holes=0.03) for s in (0, 1)]
    rng = np.random.default_rng(0)
    first = rng.integers(-3, 60, (2, 80, 2))
    X = Locations.concatenate([Locations(s, about(s, f, size)) for s, f in zip(scenes, first, strict=True)])
    fits, valid = [], []
    for scene, sites in zip(scenes, first, strict=True):
        whole = scene.read(bands)
        for r, c in sites:
            fits.append(0 <= r <= 50 - size and 0 <= c <= 60 - size)
            valid.append(fits[-1] and bool(np.isfinite(whole[r : r + size, c : c + size]).all()))
    assert 0 < sum(valid) < sum(fits) < len(X)
    order = rng.permutation(len(X))
    found = valid_patches(X[order], size, bands)
    assert [f.dtype for f in found] == [bool, bool]
    assert np.array_equal(found[0], np.array(fits)[order])
    assert np.array_equal(found[1], np.array(valid)[order])


@given(arrays.arrays(bool, shapes, elements=st.sampled_from([False] * 9 + [True])), sizes)
@law(150)
def test_windows_without_is_a_look_at_each(mask, size):
    assume(size <= min(mask.shape))
    got = windows_without(mask, size)
    assert got.shape == (mask.shape[0] - size + 1, mask.shape[1] - size + 1)
    for r, c in np.ndindex(got.shape):
        assert got[r, c] == (not mask[r : r + size, c : c + size].any())


class Read:
    """A view of nothing but numbers that remembers which windows were read."""

    block_shape = (16, 32)

    def __init__(self, shape):
        self.pixels, self.windows = np.arange(np.prod(shape), dtype=np.float32).reshape(*shape, 1), []

    def read(self, bands, window):
        self.windows.append(window)
        return self.pixels[window.slices]


@pytest.mark.parametrize("at_once", [1, 2_000, 2**19])
@pytest.mark.parametrize("band", [1, 64])
def test_what_is_read_at_once_begins_and_ends_between_blocks(monkeypatch, band, at_once):
    """However little that is: no block is read twice."""
    monkeypatch.setattr(regions, "_BAND", band)
    monkeypatch.setattr(regions, "_AT_ONCE", at_once)
    scene, size = Read((300, 400)), 9
    first = np.random.default_rng(0).integers([3, 5], [280, 380], (300, 2))
    for which, pixels, place in regions.regions(scene, first, size):
        for (row, col), (r, c) in zip(place, first[which], strict=True):
            assert same(pixels[row : row + size, col : col + size], scene.pixels[r : r + size, c : c + size])
    times = np.zeros((-(-300 // 16), -(-400 // 32)), int)
    for window in scene.windows:
        pairs = zip(window.slices, scene.block_shape, strict=True)
        times[tuple(slice(s.start // n, -(-s.stop // n)) for s, n in pairs)] += 1
    assert times.max() == 1
    assert (len(scene.windows) > 100) == (at_once == 1)
