"""The rapid-response examples run, and what they promise holds."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rasters import write
from scenes import UTM
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import LeaveOneGroupOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sklandslide
from sklandslide import BandStacker, Locations, PatchSampler, Scene, SpatialBlockKFold

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def level_and_spread(patches):
    patches = np.asarray(patches)
    return np.concatenate([patches.mean(axis=(1, 2)), patches.std(axis=(1, 2))], axis=1)


def quick_classifier(**network_options):
    """In the network's place: what is tested here does not depend on the classifier."""
    return make_pipeline(FunctionTransformer(level_and_spread), StandardScaler(), LogisticRegression())


def run_here(script, arguments, monkeypatch):
    """The variables that an example leaves behind."""
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    monkeypatch.setattr(plt, "show", lambda: None)
    names = runpy.run_path(str(EXAMPLES / script))
    plt.close("all")
    return names


def run_apart(script, *arguments):
    command = [sys.executable, EXAMPLES / script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# Calibration and threshold


@pytest.fixture(scope="module")
def night():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sklandslide, "LandslideCNN", quick_classifier)
        tiny = ["--shape", 200, 400, "--patch-size", 12, "--max-per-polygon", 4, "--step", 8]
        yield run_here("plot_calibrated_threshold.py", tiny, monkeypatch)


def test_calibration_and_threshold_share_no_pixel_with_training(night):
    asked = night["WatchedFolds"].splits
    assert len(asked) == 3 + (3 + 1) * 3  # folds of the threshold, and of a calibration on each and on everything
    width, height = night["X"].patch_extent(12)
    for xy, groups, train, test in asked:
        assert groups is not None
        assert not set(groups[train]) & set(groups[test])
        dx, dy = np.abs(xy[train][:, None] - xy[test]).transpose(2, 0, 1)
        assert not ((dx < width - 1e-6) & (dy < height - 1e-6)).any()


def test_pixels_in_common_are_counted(night):
    scene = Scene.from_arrays({"Red": np.zeros((40, 40))}, transform=UTM, crs="EPSG:32654")
    X = Locations(scene, scene.grid.xy([10.5, 10.5, 14.5, 22.5], [10.5, 22.5, 14.5, 10.5]))
    train, test = np.array([1, 2, 3]), np.array([0])
    counts = [night["share_pixels"](X.xy, train, test, X.patch_extent(size)) for size in (4, 5, 12, 13)]
    assert counts == [0, 1, 1, 3]


def test_the_held_out_region_is_held_out(night):
    columns, border, half = night["sample_col"], night["border"], 6
    assert (columns[night["train"]] + half <= border).all()
    assert (columns[night["test"]] - half >= border).all()
    left = night["scene"].grid.bounds[0] + border * night["scene"].grid.transform.a
    assert night["landslide_map"].grid.bounds[0] >= left


def test_correction_is_bayes_theorem(night):
    z = np.linspace(-4, 6, 21)
    landslide, other = np.exp(-((z - 2) ** 2) / 2), np.exp(-(z**2) / 2)  # densities of a measurement
    for share, samples in ((0.03, 0.5), (0.2, 0.7)):
        exact = share * landslide / (share * landslide + (1 - share) * other)
        learnt = samples * landslide / (samples * landslide + (1 - samples) * other)
        np.testing.assert_allclose(night["with_share"](learnt, share, samples), exact)
        assert night["with_share"](1 - share, share) == pytest.approx(0.5)


def test_share_is_found_in_a_map_of_true_probabilities(night):
    random = np.random.default_rng(0)
    z = random.normal(size=200_000) + 2 * (random.random(200_000) < 0.04)
    balanced = 1 / (1 + np.exp(-2 * (z - 1)))  # exact for equal shares
    assert night["share_from_map"](balanced) == pytest.approx(0.04, abs=0.004)


def test_f1_on_the_ground_is_f1_of_samples_weighted_as_the_ground(night):
    random = np.random.default_rng(0)
    y, predicted = random.integers(0, 2, size=(2, 200))
    share = 0.07
    weight = np.where(y == 1, share / y.mean(), (1 - share) / (1 - y.mean()))
    expected = f1_score(y, predicted, sample_weight=weight)
    assert night["f1_on_the_ground"](y, predicted, share) == pytest.approx(expected)
    assert night["f1_on_the_ground"](y, 0 * y, share) == 0


def test_reliability_of_true_probabilities_is_the_diagonal(night):
    random = np.random.default_rng(0)
    p = random.random(40_000)
    mean, share, error = night["reliability"]((random.random(40_000) < p).astype(int), p, 10)
    assert np.abs(mean - share).max() < 0.03
    assert (error > 0).all()
    inside = (share - error[0] <= mean) & (mean <= share + error[1])
    assert inside.sum() >= 8


def test_costs_fall_with_the_threshold(night):
    threshold, hit, _, _, red = np.array(night["costs"]).T
    assert (np.diff(threshold) > 0).all()
    assert (np.diff(hit) <= 0).all()
    assert (np.diff(red) <= 0).all()
    assert night["tuned_threshold"] in threshold


# Another event


@pytest.fixture(scope="module")
def left_out():
    """The example without its networks; `calls` is what they would have been trained and tested on."""
    calls = []

    def predict(estimator, X, y, *, groups, cv, method):
        assert method == "predict_proba"
        calls.append((estimator, X, groups, cv, list(cv.split(X, y, groups))))
        p = np.random.default_rng(len(calls)).random(len(X))
        return np.stack([1 - p, p], axis=1)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("sklearn.model_selection.cross_val_predict", predict)
        tiny = ["--events", 3, "--side", 200, "--patch-size", 12, "--max-per-polygon", 2]
        yield {**run_here("plot_event_left_out.py", tiny, monkeypatch), "calls": calls}


def test_no_sample_of_the_event_left_out_is_trained_on(left_out):
    calls = [call for call in left_out["calls"] if isinstance(call[3], LeaveOneGroupOut)]
    assert len(calls) == 4
    for _, X, _, _, splits in calls:
        assert len(splits) == 3
        n_orbits = len(X) // len(left_out["y"])
        for train, test in splits:
            assert not set(X.scene_index[train]) & set(X.scene_index[test])
            assert len(set(X.scene_index[test])) == n_orbits  # every orbit of the one event
            assert len(train) + len(test) == len(X)


def test_spatial_folds_share_no_pixel_whatever_the_orbit(left_out):
    calls = [call for call in left_out["calls"] if isinstance(call[3], SpatialBlockKFold)]
    assert len(calls) == 4
    for _, X, groups, _, splits in calls:
        for train, test in splits:
            assert np.abs(X.xy[train][:, None] - X.xy[test]).max(axis=-1).min() >= 120 - 1e-6
            assert not set(groups[train]) & set(groups[test])
        assert sorted(np.concatenate([test for _, test in splits])) == list(range(len(X)))


def test_orbits_are_the_same_places_seen_from_two_sides(left_out):
    X = left_out["X_of"]
    for other in ("descending", "both stacked"):
        np.testing.assert_array_equal(X["ascending"].xy, X[other].xy)
    up, down, both = (X[name].scenes[1] for name in ("ascending", "descending", "both stacked"))
    np.testing.assert_array_equal(up.read("VV_after"), both.read("VV_after"))
    np.testing.assert_array_equal(down.read("VV_after"), both.read("VV_after_descending"))
    assert not np.array_equal(up.read("VV_after"), down.read("VV_after"))
    assert up.units == down.units


# False alarms


@pytest.fixture(scope="module")
def alarms():
    spec = importlib.util.spec_from_file_location("false_alarms", EXAMPLES / "false_alarms.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scene_in_two_parts():
    """Valid on the left and on the right of a strip of nodata."""
    power = np.random.default_rng(0).uniform(0.05, 0.2, size=(60, 80, 2))
    power[:, 38:42] = np.nan
    bands = {"VV_before": power[..., 0], "VV_after": power[..., 1]}
    return Scene.from_arrays(bands, transform=UTM, crs="EPSG:32654", units=dict.fromkeys(bands, "linear"))


@pytest.mark.parametrize(("label", "areas"), [(0, 0), (1, 2)])
def test_a_classifier_that_always_says_the_same(alarms, label, areas):
    scene = scene_in_two_parts()
    X = Locations(scene, scene.grid.xy([20.5, 30.5], [10.5, 60.5]))
    model = make_pipeline(
        BandStacker("BAC"), PatchSampler(9), DummyClassifier(strategy="constant", constant=label)
    ).fit(X, [0, 1])
    (record,) = alarms.false_alarms(model, [("somewhere", "", scene)], [0.5], 2)
    assert record["areas"] == areas
    assert record["red_km2"] == (record["km2"] if areas else 0)
    # windows of 9 pixels, 2 apart, in 60 x 38 pixels on either side; a map pixel is 20 m, on the ground nearly so
    rows, left, right = (60 - 9) // 2 + 1, (38 - 9) // 2 + 1, (38 - 9) // 2 + 1
    assert record["km2"] == pytest.approx(rows * (left + right) * 20**2 / 1e6, rel=2e-3)


def test_pairs_have_a_later_date(alarms):
    dates = ["20211119", "20211207", "20221102", "20221208", "20231004", "20231109", "20231215"]
    found = alarms.sequences(reversed(dates))
    assert len(found) == len(set(found)) == 15
    for before, after, after2 in found:
        assert before < after < after2
        assert dates.index(after2) == dates.index(after) + 1


def test_files_become_pairs(alarms, tmp_path):
    random = np.random.default_rng(0)
    dates = ("20200101", "20200113", "20210601", "20230601")
    pixels = {
        (date, pol): random.uniform(0.05, 0.2, (40, 40)).astype("float32") * (2 if date == dates[2] else 1)
        for date in dates
        for pol in ("VV", "VH")
    }
    for (date, pol), values in pixels.items():
        write(tmp_path / f"Some_hills_{date}_{pol}.tif", values)
    write(tmp_path / "Some_hills_20220101_VV.tif", pixels[dates[0], "VV"])  # VH is missing: no date
    write(tmp_path / "dem.tif", pixels[dates[0], "VV"])
    found = list(alarms.real_pairs(tmp_path))
    assert [(window, gap) for window, gap, _ in found] == [
        ("Some_hills", "up to 3 months"),
        ("Some_hills", "about 1 year"),
        ("Some_hills", "about 1 year"),
    ]
    scene = found[0][2]
    for band, key in (("VV_before", (dates[0], "VV")), ("VH_after", (dates[1], "VH")), ("VV_after2", (dates[2], "VV"))):
        np.testing.assert_array_equal(scene.read(band)[..., 0], pixels[key])
    assert set(scene.units.values()) == {"linear"}
    assert alarms.change_of_vv(found[1][2]) == pytest.approx(10 * np.log10(2), abs=0.3)


def test_simulated_pairs_hold_no_landslide(alarms):
    found = [scene for _, _, scene in alarms.simulated_pairs(1, seed=0, side=70, n_dates=3)]
    assert len(found) == 1
    clean = [
        sklandslide.make_scene(shape=(70, 70), event=event, n_dates=2, random_state=100, **alarms.PRODUCT)[0]
        for event in range(3)
    ]
    for event, band in enumerate(("before", "after", "after2")):
        for pol in ("VV", "VH"):
            np.testing.assert_array_equal(found[0].read(f"{pol}_{band}"), clean[event].read(f"{pol}_before"))


def test_rates_are_sums_over_sums(alarms):
    records = pd.DataFrame(
        [
            {"ground": "a", "threshold": 0.5, "areas": 3, "red_km2": 0.5, "km2": 1.0},
            {"ground": "a", "threshold": 0.5, "areas": 0, "red_km2": 0.0, "km2": 9.0},
            {"ground": "b", "threshold": 0.5, "areas": 2, "red_km2": 0.1, "km2": 4.0},
        ]
    )
    table = alarms.rates(records, ["ground"])
    assert table.to_dict("records") == [
        {"ground": "a", "pairs": 2, 0.5: "0.30 (5.0 %)"},
        {"ground": "b", "pairs": 1, 0.5: "0.50 (2.5 %)"},
    ]
    assert alarms.as_markdown(table).splitlines()[2] == "| a | 2 | 0.30 (5.0 %) |"


# The scripts as a user runs them


@pytest.mark.slow
def test_calibrated_threshold_with_the_network(tmp_path):
    tiny = ["--shape", 200, 400, "--patch-size", 12, "--max-per-polygon", 2, "--epochs", 1, "--step", 16]
    printed = run_apart("plot_calibrated_threshold.py", *tiny, "--out", tmp_path)
    assert re.search(r"asked for 15 splits, 15 of them with groups; .* other side: 0\n", printed)
    assert (tmp_path / "calibrated_threshold.png").stat().st_size > 10_000


@pytest.mark.slow
def test_event_left_out_with_the_network(tmp_path):
    tiny = ["--events", 2, "--side", 200, "--patch-size", 12, "--max-per-polygon", 2, "--epochs", 1]
    printed = run_apart("plot_event_left_out.py", *tiny, "--out", tmp_path)
    for way in ("ascending", "descending", "both stacked", "one model, mean of both images"):
        assert re.search(rf"^{way} +0\.\d", printed, re.M)
    assert (tmp_path / "event_left_out.png").stat().st_size > 10_000


TINY = ["--side", 128, "--grounds", 1, "--epochs", 1, "--patch-sizes", 9, "--step", 8, "--thresholds", 0.5]


@pytest.mark.slow
def test_false_alarms_with_the_network(tmp_path):
    printed = run_apart("false_alarms.py", *TINY, "--composites", "BAC", "--table", tmp_path / "table.md")
    text = (tmp_path / "table.md").read_text()
    assert text in printed
    assert re.search(r"^\| BAC \| simulated, no change \| 3 \| \d+\.\d\d \(\d+\.\d %\) \|$", text, re.M)
    assert "Real pairs" not in text


@pytest.mark.slow
def test_false_alarms_on_real_pairs(alarms, tmp_path):
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "rtc_s1"
    if not folder.is_dir():
        pytest.skip(f"the real Sentinel-1 pairs are not in {folder}")
    found = list(alarms.real_pairs(folder))
    assert len(found) == 3 * 15
    for path in folder.glob("292320-IW2_202[13]*.tif"):
        (tmp_path / path.name).symlink_to(path)
    printed = run_apart("false_alarms.py", *TINY, "--composites", "BAH", "--pairs", tmp_path)
    assert re.search(r"^\| BAH \| real pairs \| 6 \| \d+\.\d\d \(\d+\.\d %\) \|$", printed, re.M)
    assert str(tmp_path) not in printed


# The area of applicability


@pytest.mark.slow
def test_applicability_tells_other_ground_from_that_of_training():
    """On real pairs too, where there are any; docs/explanations/trust.md has the figures of a longer run."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "rtc_s1"
    pairs = ["--pairs", folder] if folder.is_dir() else []
    small = ["--side", 250, "--others", 2, "--windows", 200, "--epochs", 3]
    printed = run_apart("applicability.py", *small, *pairs)
    outside = {name: float(share) for name, share in re.findall(r"^\| (.+?) \| \d+ \| ([\d.]+) % \|", printed, re.M)}
    assert outside["other seeds"] < 20
    assert outside["after the event +3 dB"] > 60
    if not pairs:
        pytest.skip(f"the real Sentinel-1 pairs are not in {folder}: simulated scenes alone were looked at")
    assert outside["real Sentinel-1"] > 25
