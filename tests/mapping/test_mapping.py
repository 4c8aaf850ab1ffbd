"""Laws of the map: every window once, each value where it belongs, nodata kept, files whole or absent."""

import logging
import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from fitting import fitted, some_locations
from scenes import UTM, WeightedSum, probabilities, random_scene
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import (
    BandStacker,
    LandslideCNN,
    LandslideMap,
    Locations,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
)
from sklandslide.exceptions import (
    BandError,
    NoValidDataError,
    OutputExistsError,
    OutputFolderError,
    SceneError,
    SklandslideError,
)
from sklandslide.mapping import tiles, windows


def stack(scene):
    red, green, blue = np.moveaxis(scene.read(["Red", "Green", "Blue"]), -1, 0)
    return np.stack([red, blue, red - green], axis=-1)


def by_hand(scene, patch_size, step, weights):
    """The map, one window at a time."""
    pixels = stack(scene)
    rows = range(0, pixels.shape[0] - patch_size + 1, step)
    cols = range(0, pixels.shape[1] - patch_size + 1, step)
    out = np.full((len(rows), len(cols)), np.nan)
    for i, r in enumerate(rows):
        for j, c in enumerate(cols):
            patch = pixels[r : r + patch_size, c : c + patch_size]
            if np.isfinite(patch).all():
                out[i, j] = probabilities(patch[None], weights)[0, 1]
    return out


@pytest.mark.parametrize(
    ("shape", "patch_size", "step"),
    [((30, 41), 1, 1), ((33, 32), 4, 2), ((30, 41), 7, 3), ((30, 41), 30, 2)],
)
def test_map_is_every_window_that_fits_once(tmp_path, monkeypatch, shape, patch_size, step):
    monkeypatch.setattr(tiles, "_LARGEST", 16)  # several tiles
    scene = random_scene(shape, holes=2 if patch_size < 30 else 0)
    calls = []
    pipe = fitted(random_scene((60, 60)), patch_size)
    pipe[-1].set_params(calls=calls)
    m = SlidingWindowPredictor(pipe, step=step).predict_map(scene, tmp_path / "map.tif")
    expected = by_hand(scene, patch_size, step, pipe[-1].weights_)
    np.testing.assert_allclose(m.probability, expected, rtol=0, atol=1e-6)
    assert np.isnan(m.probability).tolist() == np.isnan(expected).tolist()
    assert sum(calls) == np.isfinite(expected).sum()
    assert m.probability.shape == tuple((n - patch_size) // step + 1 for n in shape)


@pytest.mark.parametrize(
    ("transform", "patch_size"),
    [(UTM, 4), (UTM, 5), (Affine(10, 0, 500_000, 0, 10, 4_700_000), 5), (Affine(8, 6, 500_000, 6, -8, 4_700_000), 4)],
    ids=["even", "odd", "south-up", "rotated"],
)
def test_map_pixel_lies_at_the_centre_of_its_window(tmp_path, transform, patch_size):
    scene = random_scene((24, 31), transform=transform)
    pipe = fitted(scene, patch_size)
    m = SlidingWindowPredictor(pipe, step=3).predict_map(scene, tmp_path / "map.tif")
    values = m.probability
    i, j = (a.ravel() for a in np.indices(values.shape))
    x, y = rasterio.transform.xy(m.grid.transform, i, j)
    at_centres = pipe.predict_proba(Locations(scene, np.column_stack([x, y])))[:, 1]
    np.testing.assert_allclose(values.ravel(), at_centres, rtol=0, atol=1e-6)
    centre = scene.grid.xy(i[-1] * 3 + patch_size / 2, j[-1] * 3 + patch_size / 2)
    np.testing.assert_allclose([x[-1], y[-1]], centre, atol=1e-6)


@pytest.mark.parametrize("patch_size", [16, 17])
def test_network_map_equals_predict_proba(tmp_path, patch_size):
    scene = random_scene((48, 53), holes=3)
    train = random_scene((90, 90), seed=5)
    cnn = LandslideCNN(filters=(4, 4), dense_units=8, input_size=32, epochs=2, random_state=0)
    pipe = fitted(train, patch_size, cnn, bands="RGB")
    m = SlidingWindowPredictor(pipe, step=2).predict_map(scene, tmp_path / "map.tif")
    points = m.points(0.0)
    X = Locations(scene, np.column_stack([points.geometry.x, points.geometry.y]))
    np.testing.assert_allclose(points["probability"], pipe.predict_proba(X)[:, 1], rtol=0, atol=1e-6)
    assert 0 < len(points) == np.isfinite(m.probability).sum() < m.probability.size


def test_tiles_equal_the_whole(tmp_path, monkeypatch):
    scene = random_scene((290, 370), holes=5)
    pipe = fitted(random_scene((60, 60)), 6)
    files = []
    for side in (32, 128, 512):
        monkeypatch.setattr(tiles, "_LARGEST", side)
        path = tmp_path / f"{side}.tif"
        SlidingWindowPredictor(pipe).predict_map(scene, path)
        files.append(path.read_bytes())
    assert len(set(files)) == 1


def test_the_size_of_what_the_estimator_is_asked_does_not_matter(tmp_path, monkeypatch):
    scene = random_scene((70, 90), holes=5)
    pipe = fitted(random_scene((60, 60)), 6)
    maps = []
    for side, square in [(256, 64), (16, 64), (32, 4)]:
        monkeypatch.setattr(tiles, "_LARGEST", side)
        monkeypatch.setattr(windows, "_SQUARE", square)
        maps.append(SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / f"{side}-{square}.tif").probability)
    np.testing.assert_allclose(maps[0], maps[1], rtol=0, atol=1e-7)
    np.testing.assert_allclose(maps[0], maps[2], rtol=0, atol=1e-7)


def test_all_windows_are_never_held_at_once(tmp_path):
    scene, calls = random_scene((300, 300)), []
    pipe = fitted(scene, 5, WeightedSum(calls=calls))
    SlidingWindowPredictor(pipe, step=1).predict_map(scene, tmp_path / "map.tif")
    assert max(calls) == 4096
    assert sum(calls) == 296 * 296


def test_nan_exactly_where_a_window_touches_nodata_of_a_band_in_use(tmp_path):
    arrays = {band: np.zeros((20, 20)) for band in ("Red", "Green", "Blue", "DEM")}
    arrays["Green"][9, 12] = np.nan
    arrays["DEM"][:] = np.nan  # not in use
    scene = Scene.from_arrays(arrays, transform=UTM, crs="EPSG:32654")
    pipe = fitted(random_scene((60, 60)), 4)
    m = SlidingWindowPredictor(pipe, step=1).predict_map(scene, tmp_path / "map.tif")
    expected = np.zeros((17, 17), bool)
    expected[6:10, 9:13] = True
    assert np.isnan(m.probability).tolist() == expected.tolist()


def test_linear_power_of_zero_is_nodata_in_the_map(tmp_path):
    power = np.full((20, 20), 0.1)
    power[3, 5] = 0
    units = {"VV_before": "linear"}
    scene = Scene.from_arrays({"VV_before": power}, transform=UTM, units=units)
    train = Scene.from_arrays({"VV_before": np.full((60, 60), 0.1)}, transform=UTM, units=units)
    pipe = fitted(train, 3, bands=["VV_before"])
    m = SlidingWindowPredictor(pipe, step=1).predict_map(scene, tmp_path / "map.tif")
    assert np.isnan(m.probability).sum() == 9


def test_planted_blob_is_found_within_one_step(tmp_path):
    random = np.random.RandomState(0)
    sites = [(r, c) for r in range(15, 110, 12) for c in range(15, 110, 12)]
    image = random.normal(scale=0.3, size=(125, 125))
    for k, (r, c) in enumerate(sites):
        if k % 2:
            image[r - 1 : r + 2, c - 1 : c + 2] += 5
    train = Scene.from_arrays({"Red": image}, transform=UTM, crs="EPSG:32654")
    X = Locations(train, train.grid.xy(*(np.array(sites).T + 0.5)))
    cnn = LandslideCNN(filters=(8,), dense_units=16, input_size=None, epochs=40, random_state=0)
    pipe = make_pipeline(BandStacker(["Red"]), PatchSampler(patch_size=9), cnn)
    pipe.fit(X, np.arange(len(sites)) % 2)

    image = random.normal(scale=0.3, size=(60, 80))
    image[40:43, 22:25] += 5  # centre at row 41.5, column 23.5
    scene = Scene.from_arrays({"Red": image}, transform=UTM, crs="EPSG:32654")
    m = SlidingWindowPredictor(pipe, step=2).predict_map(scene, tmp_path / "map.tif")
    probability = m.probability
    red = np.argwhere(probability >= 0.5)
    weights = probability[tuple(red.T)]
    row, col = scene.grid.rowcol(m.grid.xy(*(np.average(red, axis=0, weights=weights) + 0.5)))
    assert abs(row - 41.5) <= 2
    assert abs(col - 23.5) <= 2


def test_file_is_a_cloud_optimised_compressed_geotiff_with_nan_nodata(tmp_path):
    scene = random_scene((300, 320))
    SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, tmp_path / "map.tif")
    with rasterio.open(tmp_path / "map.tif") as f:
        assert (f.count, f.dtypes, f.crs.to_epsg()) == (1, ("float32",), 32654)
        assert np.isnan(f.nodata)
        assert f.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert f.block_shapes == [(512, 512)]
        assert f.compression.name == "deflate"
        assert f.transform.almost_equals(Affine(20, 0, 500_015, 0, -20, 4_699_985))
        assert f.tags()["SKLANDSLIDE_PATCH_SIZE"] == "5"
    m = LandslideMap.open(tmp_path / "map.tif")
    assert (m.patch_size, m.step) == (5, 2)


def test_progress_is_shown_if_asked(tmp_path, capsys):
    scene = random_scene((40, 40))
    pipe = fitted(scene, 5)
    SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "silent.tif")
    assert capsys.readouterr().err == ""
    SlidingWindowPredictor(pipe, verbose=1).predict_map(scene, tmp_path / "map.tif")
    assert "324/324" in capsys.readouterr().err


def test_meta_estimators_are_mapped(tmp_path):
    scene = random_scene((40, 40))
    X, y = some_locations(scene, 60, 9)

    def pipe(size, bands="RGB"):
        flat = FunctionTransformer(np.mean, kw_args={"axis": (1, 2)})
        return make_pipeline(BandStacker(bands), PatchSampler(patch_size=size), flat, LogisticRegression())

    estimators = {
        9: GridSearchCV(pipe(5), {"patchsampler__patch_size": [9]}, cv=2),
        5: CalibratedClassifierCV(pipe(5), cv=2),
        7: TunedThresholdClassifierCV(pipe(7), cv=2),
        8: StackingClassifier([("a", pipe(3)), ("b", pipe(8, ["Blue"]))], cv=2),
    }
    for size, estimator in estimators.items():
        m = SlidingWindowPredictor(estimator.fit(X, y), step=2).predict_map(scene, tmp_path / f"{size}.tif")
        assert m.probability.shape == ((40 - size) // 2 + 1,) * 2
        points = m.points(0.0)
        at = Locations(scene, np.column_stack([points.geometry.x, points.geometry.y]))
        np.testing.assert_allclose(points["probability"], estimator.predict_proba(at)[:, 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("labels", "positive", "column"),
    [(["landslide", "other"], None, 0), (["a", "b"], "a", 0), ([False, True], None, 1)],
)
def test_the_landslide_class_is_mapped(tmp_path, labels, positive, column):
    scene = random_scene((30, 30))
    pipe = fitted(scene, 5, y=np.array(labels)[np.arange(20) % 2])
    m = SlidingWindowPredictor(pipe, positive=positive).predict_map(scene, tmp_path / "map.tif")
    expected = by_hand(scene, 5, 2, pipe[-1].weights_)
    np.testing.assert_allclose(m.probability, expected if column else 1 - expected, atol=1e-6)


def test_unclear_class_is_refused(tmp_path):
    scene = random_scene((30, 30))
    pipe = fitted(scene, 5, y=np.array(["slide", "other"])[np.arange(20) % 2])
    with pytest.raises(SklandslideError, match=r"'other', 'slide'.*Pass positive="):
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")


def test_engine_is_told(tmp_path, caplog):
    scene = random_scene((30, 30))
    auto = SlidingWindowPredictor(fitted(scene, 5))
    with caplog.at_level(logging.INFO, "sklandslide"):
        auto.predict_map(scene, tmp_path / "map.tif")
    assert auto.engine_ == "window"
    assert "window by window" in caplog.text
    assert auto.engine_reason_ in caplog.text
    with pytest.raises(SklandslideError, match="method='shared' would not be exact: Pipeline has other steps"):
        SlidingWindowPredictor(fitted(scene, 5), method="shared").predict_map(scene, tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


# ---- bad input: a clear error, and nothing lost ----


def test_unfitted(tmp_path):
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(), LandslideCNN())
    with pytest.raises(NotFittedError):
        SlidingWindowPredictor(pipe).predict_map(random_scene(), tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []


def test_failure_at_once_leaves_nothing(tmp_path, monkeypatch):
    scene, path = random_scene((60, 60)), tmp_path / "map.tif"
    pipe = fitted(scene, 5)
    monkeypatch.setattr(pipe[-1], "predict_proba", lambda X: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        SlidingWindowPredictor(pipe).predict_map(scene, path)
    assert os.listdir(tmp_path) == []


def test_all_nodata_writes_no_file(tmp_path):
    scene = Scene.from_arrays({b: np.full((30, 30), np.nan) for b in ("Red", "Green", "Blue")}, transform=UTM)
    with pytest.raises(NoValidDataError, match=r"Every window of 5 pixels touches nodata.*Red, Blue, Green"):
        SlidingWindowPredictor(fitted(random_scene(), 5)).predict_map(scene, tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []


def test_patch_larger_than_the_scene(tmp_path):
    with pytest.raises(SceneError, match="25 x 25 pixels does not fit the scene of 20 x 90"):
        SlidingWindowPredictor(fitted(random_scene(), 25)).predict_map(random_scene((20, 90)), tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []


def test_missing_band_and_other_units(tmp_path):
    pipe = fitted(random_scene(), 5, bands=["Red"])
    with pytest.raises(BandError, match=r"needs the band\(s\) Red"):
        SlidingWindowPredictor(pipe).predict_map(random_scene(bands=("Green",)), tmp_path / "map.tif")
    other = Scene.from_arrays({"Red": np.zeros((30, 30))}, transform=UTM, units={"Red": "dB"})
    with pytest.raises(BandError, match="undeclared units where the stacker was fitted and is in dB"):
        SlidingWindowPredictor(pipe).predict_map(other, tmp_path / "map.tif")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["no/such/folder/map.tif", "."])
def test_output_that_cannot_be_written(tmp_path, name):
    scene = random_scene((30, 30))
    with pytest.raises((OutputFolderError, OutputExistsError), match=r"does not exist|is a folder"):
        SlidingWindowPredictor(fitted(scene, 5)).predict_map(scene, tmp_path / name)


def test_estimator_without_patches(tmp_path):
    scene = random_scene((30, 30))
    X, y = some_locations(scene, 20, 5)
    pipe = make_pipeline(FunctionTransformer(np.asarray), LogisticRegression()).fit(X, y)
    with pytest.raises(SklandslideError, match=r"no fitted PatchSampler.*patch_size="):
        SlidingWindowPredictor(pipe).predict_map(scene, tmp_path / "map.tif")
    m = SlidingWindowPredictor(pipe, patch_size=3).predict_map(scene, tmp_path / "map.tif")
    assert m.probability.shape == (14, 14)


@pytest.mark.parametrize("parameters", [{"step": 0}, {"method": "fast"}, {"patch_size": 0}])
def test_parameters_are_checked(tmp_path, parameters):
    scene = random_scene((30, 30))
    with pytest.raises(ValueError, match=next(iter(parameters))):
        SlidingWindowPredictor(fitted(scene, 5), **parameters).predict_map(scene, tmp_path / "map.tif")
