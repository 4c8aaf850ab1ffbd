"""BandStacker and PatchSampler: composites of a scene, and the pixels about each location, against slices by hand."""

import copy
import pickle
import subprocess
import sys
import time

import joblib
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from laws import law
from rasters import write
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import Pipeline, make_pipeline

from sklandslide import BandStacker, Locations, PatchSampler, Scene
from sklandslide.composites import band_inputs
from sklandslide.exceptions import BandError, NoValidDataError, SceneReadError
from sklandslide.geodata import raster
from sklandslide.geodata.grid import Window

ALL = "VV_before", "VH_before", "VV_after", "VH_after", "VV_after2", "VH_after2", "Red", "Green", "Blue", "DEM"


def constant_scene(*names, units="linear", shape=(12, 12)):
    """A scene of bands of one value; radar in these units."""
    radar = [name for name in names if name.startswith("V")]
    return Scene.from_arrays(
        {name: np.full(shape, 0.1) for name in names},
        transform=Affine(10, 0, 1000, 0, -10, 5000),
        units=dict.fromkeys(radar, units) if units else None,
    )


def middle(scene, n=1):
    rows, cols = scene.grid.shape
    return Locations(scene, np.repeat(scene.grid.xy(rows // 2 + 0.5, cols // 2 + 0.5)[None], n, axis=0))


# ---------------------------------------------------------------------------------------------------- BandStacker

NAMES = st.sampled_from(["VV_before", "VV_after", "VH_after", "DEM", "Red"])
RECIPES = st.lists(
    NAMES | st.tuples(NAMES, NAMES).map(" - ".join) | st.tuples(NAMES, NAMES).map("-".join), min_size=1, max_size=5
)
RADAR = ("VV_before", "VV_after", "VH_after")


def radar_scene(units):
    random = np.random.RandomState(5)
    values = {name: random.gamma(4, 0.02, (9, 11)) for name in (*RADAR, "DEM", "Red")}
    for name in RADAR:
        if units.get(name) == "dB":
            values[name] = 10 * np.log10(values[name])
        values[name].flat[random.choice(99, 4)] = 0.0 if units.get(name) else np.nan
    return Scene.from_arrays(
        values, transform=Affine(10, 0, 500_000, 0, -10, 4_700_000), crs="EPSG:32654", units=units
    ), values


@given(RECIPES, st.fixed_dictionaries({}, optional=dict.fromkeys(RADAR, st.sampled_from(["dB", "linear"]))))
@law(100)
def test_a_composite_is_its_arithmetic(recipe, units):
    scene, values = radar_scene(units)
    X = Locations(scene, scene.grid.xy([4.5], [5.5]))
    stacker = BandStacker(recipe)
    declared = {name: name in units for name in values}
    if any(len({declared[n] for n in band_inputs(band)}) > 1 for band in recipe):
        with pytest.raises(BandError, match=r"different units \(.*undeclared"):
            stacker.fit(X)
        return
    view = stacker.fit_transform(X).scenes[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        real = {
            name: {"linear": 10 * np.log10(v.astype("float32")), None: v, "dB": np.where(v == 0, np.nan, v)}[
                units.get(name)
            ]
            for name, v in values.items()
        }
    real = {name: np.where(np.isfinite(v), v, np.nan).astype("float32") for name, v in real.items()}
    for window in (None, ((2, 7), (1, 6))):
        got = view.read(window=window)
        assert got.dtype == np.float32 and got.shape[2] == len(recipe)
        for i, band in enumerate(recipe):
            plus, *minus = band_inputs(band)
            expected = real[plus] - real[minus[0]] if minus else real[plus]
            if window:
                expected = expected[2:7, 1:6]
            np.testing.assert_allclose(got[..., i], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("units", ["dB", "linear"])
def test_a_stack_of_dates_is_its_statistics(units):
    stack = np.random.RandomState(0).gamma(4, 0.02, (5, 6, 7))
    stack[3, 2, 2] = np.nan
    stack[:4, 4, 4] = stack[0, 4, 4]  # no spread before the event
    decibels = 10 * np.log10(stack)
    names = ["VV_before", "VV_before2", "VV_before3", "VV_before4", "VV_after"]
    scene = Scene.from_arrays(
        dict(zip(names, stack if units == "linear" else decibels, strict=True)),
        transform=Affine(10, 0, 0, 0, -10, 60),
        units=dict.fromkeys(names, units),
    )
    before, after = decibels[:4].astype("float32"), decibels[4]
    spread = before.std(axis=0, ddof=1)
    expected = {
        "mean(VV_before*)": before.mean(axis=0),
        "median(VV_before*)": np.median(before, axis=0),
        "std(VV_before*)": spread,
        "VV_after - median(VV_before*)": after - np.median(before, axis=0),
        "zscore(VV_after*; VV_before*)": (after - before.mean(axis=0)) / np.where(spread > 0, spread, np.nan),
    }
    view = BandStacker(list(expected)).fit_transform(middle(scene)).scenes[0]
    got = view.read()
    np.testing.assert_allclose(got, np.stack(list(expected.values()), axis=-1), rtol=1e-4, atol=1e-4)
    assert np.isnan(got[2, 2]).all()
    assert np.isnan(got[4, 4]).tolist() == [False, False, False, False, True]
    assert set(view.units.values()) == {"dB"}
    some = view.read([view.bands[4], view.bands[1]], ((1, 4), (2, 6)))
    np.testing.assert_array_equal(some, got[1:4, 2:6][..., [4, 1]])


def test_power_of_zero_or_less_becomes_nodata_and_no_warning():
    power = np.array([[0.0, -1.0, 0.1, np.nan]])
    scene = Scene.from_arrays(
        {"VV_before": power, "VV_after": np.ones((1, 4))},
        transform=Affine(1, 0, 0, 0, -1, 1),
        units={"VV_before": "linear", "VV_after": "linear"},
    )
    pixels = BandStacker("BAC").fit_transform(middle(scene)).scenes[0].read()  # warnings are errors
    np.testing.assert_array_equal(np.isnan(pixels[0, :, 0]), [True, True, False, True])
    np.testing.assert_array_equal(np.isnan(pixels[0, :, 2]), [True, True, False, True])  # and in the difference
    np.testing.assert_allclose(pixels[0, 2], [-10, 0, 10], atol=1e-5)
    assert np.isfinite(pixels[..., 1]).all()


@pytest.mark.parametrize("fitted, later", [("linear", None), (None, "dB")])
def test_other_units_than_when_fitted_are_refused(fitted, later):
    stacker = BandStacker("BAC").fit(middle(constant_scene("VV_before", "VV_after", units=fitted)))
    with pytest.raises(BandError, match=r"'VV_before' was in .*undeclared.*Declare the units"):
        stacker.transform(middle(constant_scene("VV_before", "VV_after", units=later)))


def test_several_scenes_share_their_bands_and_units():
    one = constant_scene("VV_before", "VV_after", "VV_after2")
    two = constant_scene("VV_before", "VV_after", shape=(20, 8))
    X = Locations.concatenate([middle(one, 2), middle(two, 3)])
    stacker = BandStacker("BAA").fit(X)
    assert stacker.bands_ == ("VV_before", "VV_after", "VV_after")  # what both have
    out = stacker.transform(X)
    assert isinstance(out, Locations) and len(out.scenes) == 2
    np.testing.assert_array_equal(out.xy, X.xy)
    np.testing.assert_array_equal(out.scene_index, [0, 0, 1, 1, 1])
    assert [view.grid.shape for view in out.scenes] == [(12, 12), (20, 8)]


def test_scenes_that_share_too_little_or_differ_in_units_are_refused():
    one = constant_scene("VV_before", "VV_after")
    other = constant_scene("VV_before", "VH_after")
    with pytest.raises(BandError, match="VV_after"):
        BandStacker("BAC").fit(Locations.concatenate([middle(one), middle(other)]))
    undeclared = constant_scene("VV_before", "VV_after", units=None)
    with pytest.raises(BandError, match="undeclared units here"):
        BandStacker("BAC").fit(Locations.concatenate([middle(one), middle(undeclared)]))


@pytest.mark.parametrize(
    "estimator, name, value",
    [
        (BandStacker(), "composite", 3),
        (PatchSampler(), "patch_size", 2.5),
        (PatchSampler(), "memory", 3),
    ],
)
def test_wrong_parameters_are_refused_when_fitted(estimator, name, value):
    estimator = clone(estimator).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of {type(estimator).__name__} must be"):
        estimator.fit(middle(constant_scene(*ALL)))


@pytest.mark.parametrize("estimator", [BandStacker("RGB"), PatchSampler(patch_size=3)], ids=["stacker", "sampler"])
def test_plain_arrays_are_refused_with_the_remedy(estimator):
    plain = np.zeros((3, 2))
    fitted = clone(estimator).fit(middle(constant_scene(*ALL)))
    for use in (estimator.fit, fitted.transform):
        with pytest.raises(TypeError, match=r"takes Locations.*ndarray.*sample_polygons\(scene.*\) or Locations\("):
            use(plain)


def test_unfitted_stacker_is_refused():
    X = middle(constant_scene(*ALL))
    with pytest.raises(NotFittedError):
        BandStacker().transform(X)
    with pytest.raises(NotFittedError):
        BandStacker().view(X.scenes[0])


def test_stacker_reads_no_pixels(monkeypatch):
    X, windows, read = middle(constant_scene(*ALL), 50), [], Scene.read
    monkeypatch.setattr(Scene, "read", lambda scene, bands, w: windows.append(w) or read(scene, bands, w))
    stacked = BandStacker("BAC").fit_transform(X)
    assert windows == []
    stacked.scenes[0].read(window=Window(5, 5, 2, 2))
    assert windows == [Window(5, 5, 2, 2)]  # all bands of the composite in one call, and only the window


def test_fitted_stacker_holds_no_scene():
    scene = constant_scene("VV_before", "VV_after", "VV_after2", shape=(300, 300))
    stacker = BandStacker("BAA").fit(middle(scene))
    stacker.transform(middle(scene))
    for state in (stacker, clone(stacker), PatchSampler(patch_size=3).fit(middle(scene))):
        assert len(pickle.dumps(state)) < 500
        assert not any(isinstance(v, np.ndarray | Scene | Locations) for v in vars(state).values())
    for again in (pickle.loads(pickle.dumps(stacker)), copy.deepcopy(stacker)):
        assert vars(again) == vars(stacker)
    assert not hasattr(clone(stacker), "bands_")


# --------------------------------------------------------------------------------------------------- PatchSampler


def random_scene():
    pixels = np.random.default_rng(0).random((40, 50, 3), np.float32)
    arrays = dict(zip(("Red", "Green", "Blue"), np.moveaxis(pixels, -1, 0), strict=True))
    return Scene.from_arrays(arrays, transform=Affine(10, 0, 5e5, 0, -10, 4.7e6), crs="EPSG:32654"), pixels


@pytest.mark.parametrize("size", [1, 4, 7, np.int64(25)])
def test_patches_are_slices(size):
    scene, pixels = random_scene()
    rng = np.random.default_rng(size)
    row, col = rng.integers(13, 27, 20), rng.integers(13, 37, 20)
    patches = PatchSampler(patch_size=size).fit_transform(Locations(scene, scene.grid.xy(row + 0.5, col + 0.5)))
    # an odd patch is centred on the pixel; an even one on the pixel's lower right corner
    before = size // 2 if size % 2 else size // 2 - 1
    expected = [
        pixels[r - before : r - before + size, c - before : c - before + size] for r, c in zip(row, col, strict=True)
    ]
    assert patches.shape == (20, size, size, 3) and patches.dtype == np.float32
    np.testing.assert_array_equal(patches, expected)


def test_a_patch_with_nodata_is_refused_with_its_place():
    _, pixels = random_scene()
    bands = {name: pixels[..., i].copy() for i, name in enumerate(("Red", "Green"))}
    bands["Green"][20, 20] = np.nan
    scene = Scene.from_arrays(bands, transform=Affine(10, 0, 0, 0, -10, 400))
    X = Locations(scene, scene.grid.xy([10.5, 20.5, 22.5], [10.5, 20.5, 22.5]))
    with pytest.raises(NoValidDataError, match=r"2 of 3 patches of 5 pixels.*\[205\.0, 195\.0\] \(row 1\)"):
        PatchSampler(patch_size=5).fit_transform(X)
    # three pixels about (22, 22) do not reach the hole, nor do the bands without it
    assert PatchSampler(patch_size=3).fit_transform(X[[0, 2]]).shape == (2, 3, 3, 2)
    assert make_pipeline(BandStacker(["Red"]), PatchSampler(patch_size=5)).fit_transform(X).shape == (3, 5, 5, 1)


# ------------------------------------------------------------------------------------------------ PatchSampler(memory)


@pytest.fixture
def on_file(tmp_path):
    """Locations on a composite of one raster file, and the function that writes the file anew."""
    path = tmp_path / "red.tif"

    def rewrite(seed):
        write(path, np.random.default_rng(seed).random((60, 70), np.float32))
        scene = Scene.from_files({"Red": path})
        rows, cols = np.random.default_rng(0).integers(15, 45, (2, 20)) + 0.5
        return Locations(scene, scene.grid.xy(rows, cols))

    return rewrite


@pytest.fixture
def openings(monkeypatch):
    """How often raster files were opened: once in each reading of a set of patches from one file."""
    paths, real = [], raster.open_raster

    def counting(path, *args, **kwargs):
        paths.append(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(raster, "open_raster", counting)
    return paths


class Mean(ClassifierMixin, BaseEstimator):
    """A classifier of patches by their mean, with a parameter that only a search looks at."""

    def __init__(self, learning_rate=1.0):
        self.learning_rate = learning_rate

    def fit(self, X, y):
        self.classes_, self.middle_ = np.unique(y), np.mean(X)
        return self

    def predict(self, X):
        return self.classes_[(X.mean(axis=(1, 2, 3)) > self.middle_).astype(int)]


def test_a_search_reads_each_set_of_patches_once(on_file, openings, tmp_path):
    X, y = on_file(seed=0), np.arange(20) % 2
    grid = {"sampler__patch_size": [5, 8], "classifier__learning_rate": [1.0, 2.0, 3.0]}
    scores = []
    for memory, pipeline_memory in [(None, None), ("a", None), ("b", "c")]:
        steps = [
            ("stacker", BandStacker(["Red"])),
            ("sampler", PatchSampler(memory=memory and str(tmp_path / memory))),
            ("classifier", Mean()),
        ]
        pipe = Pipeline(steps, memory=pipeline_memory and str(tmp_path / pipeline_memory))
        openings.clear()
        search = GridSearchCV(pipe, grid, cv=KFold(3), refit=False).fit(X, y)
        scores.append(search.cv_results_["mean_test_score"].tolist())
        # of 2 sizes and 3 folds, training and test patches; without memory for each of 3 learning rates
        assert len(openings) == (12 if memory else 36)
    assert scores[0] == scores[1] == scores[2]


def test_cached_patches_are_those_that_would_be_read(on_file, openings, tmp_path):
    X = BandStacker(["Red"]).fit_transform(on_file(seed=0))
    expected = PatchSampler(patch_size=9).fit_transform(X)
    sampler = PatchSampler(patch_size=np.int64(9), memory=joblib.Memory(tmp_path / "cache", verbose=0)).fit(X)
    openings.clear()
    for _ in range(2):
        np.testing.assert_array_equal(sampler.transform(X), expected)
        np.testing.assert_array_equal(clone(sampler).transform(X[::-1]), expected[::-1])
    assert len(openings) == 2


@pytest.mark.parametrize("cached", ["sampler", "pipeline"])
def test_patches_of_a_rewritten_raster_never_come_from_the_cache(on_file, tmp_path, cached):
    memory = str(tmp_path / "cache")
    sampler = PatchSampler(patch_size=5, memory=memory if cached == "sampler" else None)
    # the last step of a pipeline is not cached
    pipe = make_pipeline(BandStacker(["Red"]), sampler, "passthrough", memory=memory if cached == "pipeline" else None)
    old = on_file(seed=0)
    first = pipe.fit_transform(old)
    np.testing.assert_array_equal(pipe.fit_transform(old), first)
    time.sleep(0.02)  # clocks of file systems tick every few milliseconds
    new = on_file(seed=1)
    for X in (old, pickle.loads(pickle.dumps(old))):
        with pytest.raises(SceneReadError, match="was changed or removed since it was opened"):
            pipe.fit_transform(X)
    second = pipe.fit_transform(new)
    assert not (second == first).any()
    np.testing.assert_array_equal(second, PatchSampler(patch_size=5).fit_transform(new))


def test_equal_locations_of_two_processes_share_a_cache(on_file, tmp_path):
    X = BandStacker(["Red"]).fit_transform(on_file(seed=0))
    code = """if True:
    import sys, joblib
    import numpy as np
    from sklandslide import BandStacker, Locations, Scene
    scene = Scene.from_files({"Red": sys.argv[1]})
    rows, cols = np.random.default_rng(0).integers(15, 45, (2, 20)) + 0.5
    print(joblib.hash(BandStacker(["Red"]).fit_transform(Locations(scene, scene.grid.xy(rows, cols)))))
    """
    command = [sys.executable, "-c", code, str(tmp_path / "red.tif")]
    other = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert other == joblib.hash(X)
    before = joblib.hash(X.scenes[0]), joblib.hash(X)
    time.sleep(0.02)
    on_file(seed=1)
    assert joblib.hash(X.scenes[0]) != before[0] and joblib.hash(X) != before[1]


def test_patches_of_scenes_in_memory_are_not_cached(tmp_path):
    X = middle(random_scene()[0], 3)
    sampler = PatchSampler(patch_size=5, memory=str(tmp_path / "cache"))
    np.testing.assert_array_equal(sampler.fit_transform(X), PatchSampler(patch_size=5).fit_transform(X))
    assert not (tmp_path / "cache").exists()
