"""Curves of a map over all thresholds, and the threshold that a rule chooses: laws, and small maps by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import rasterio
from matplotlib.text import Text
from sklearn.metrics import average_precision_score
from small_maps import PLACES, inventory_of, pixel_box, random_landslides, random_values, write_map

from sklandslide import LandslideMap
from sklandslide.exceptions import InventoryError, SceneReadError


@pytest.fixture(params=PLACES, ids=["utm", "rotated", "geographic", "no crs"])
def noisy(request, tmp_path):
    return LandslideMap.open(write_map(tmp_path / "map.tif", random_values(), *request.param))


@pytest.fixture
def row(tmp_path):
    """One row of pixels of 400 m2: landslides on the first and the third, at different probabilities."""
    values = [[0.75, 0.125, 0.375, 0.25, 0.5, 0.0625, 0.875, np.nan]]
    return LandslideMap.open(write_map(tmp_path / "row.tif", values))


@pytest.fixture
def two(row):
    return inventory_of([pixel_box(row, 0, 0), pixel_box(row, 0, 2)], row)


def test_each_point_of_the_curves_is_the_score_at_its_threshold(noisy):
    inventory = inventory_of(random_landslides(noisy), noisy)
    froc, curve = noisy.froc(inventory), noisy.precision_recall(inventory)
    names = ["n_hit", "hit_rate", "n_false_alarms", "false_alarms_per_km2"]
    for _, point in froc[::9].iterrows():
        scores = noisy.score(inventory, threshold=float(point["threshold"]))
        assert [scores[name] for name in names] == pytest.approx(point[names].tolist())
    for _, point in curve[:: len(curve) // 9].iterrows():
        scores = noisy.score(inventory, threshold=float(point["threshold"]))
        assert scores["area_precision"] == pytest.approx(point["area_precision"], rel=1e-9)
        assert scores["area_recall"] == pytest.approx(point["area_recall"], rel=1e-9)


def test_hits_and_recall_never_fall_with_the_threshold(noisy):
    inventory = inventory_of(random_landslides(noisy), noisy)
    froc, curve = noisy.froc(inventory), noisy.precision_recall(inventory)
    assert froc["threshold"].is_monotonic_decreasing
    assert froc["hit_rate"].is_monotonic_increasing
    assert froc["hit_rate"].iloc[-1] == 1
    assert curve["threshold"].is_monotonic_increasing
    assert curve["area_recall"].is_monotonic_decreasing
    assert curve["area_recall"][0] == pytest.approx(1)


def test_average_precision_is_that_of_pixels_where_landslides_are_whole_pixels(noisy):
    rows, cols = np.array([[3, 5], [8, 20], [15, 2]]).T
    inventory = inventory_of([pixel_box(noisy, r, c, 3, 4) for r, c in zip(rows, cols, strict=True)], noisy)
    truth = np.zeros(noisy.grid.shape, bool)
    for r, c in zip(rows, cols, strict=True):
        truth[r : r + 3, c : c + 4] = True
    p = noisy.probability
    valid = ~np.isnan(p)
    expected = average_precision_score(truth[valid], p[valid])
    assert noisy.average_precision(inventory) == pytest.approx(expected, rel=1e-3)  # pixels of degrees differ in area


def test_half_a_pixel_counts_half(row):
    half = inventory_of([pixel_box(row, 0, 6, 1, 0.5)], row)
    curve = row.precision_recall(half).set_index("threshold")
    assert curve.loc[0.875, ["area_precision", "area_recall"]].tolist() == pytest.approx([0.5, 1.0])
    assert row.average_precision(half) == pytest.approx(0.5)


def test_froc_by_hand(row, two):
    curve = row.froc(two, thresholds=[0.0625, 0.25, 0.375, 0.5, 0.75, 0.875, 1])
    assert curve["threshold"].tolist() == [1, 0.875, 0.75, 0.5, 0.375, 0.25, 0.0625]
    assert curve["hit_rate"].tolist() == [0, 0, 0.5, 0.5, 1, 1, 1]
    # at 0.25 the third landslide, the fourth and the fifth pixel are one area; at 0.0625 everything is
    assert curve["n_false_alarms"].tolist() == [0, 1, 1, 2, 2, 1, 0]
    assert curve["false_alarms_per_km2"][3] == pytest.approx(2 / (7 * 400e-6), rel=1e-3)


def test_reliability_by_hand(row, two):
    table = row.reliability(two, n_bins=4)
    assert table["probability_from"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["mean_probability"].tolist() == pytest.approx([0.09375, 0.3125, 0.5, 0.8125])
    assert table["landslide_share"].tolist() == pytest.approx([0, 0.5, 0, 0.5])
    assert table["ground_km2"].tolist() == pytest.approx([800e-6, 800e-6, 400e-6, 800e-6], rel=1e-3)


def test_a_calibrated_map_is_reliable(tmp_path):
    m = LandslideMap.open(write_map(tmp_path / "m.tif", np.full((4, 5), 0.25)))
    table = m.reliability(inventory_of([pixel_box(m, 0, 0, 1, 5)], m))
    assert table["mean_probability"][2] == table["landslide_share"].round(9)[2] == 0.25
    assert np.isnan(table["landslide_share"][[0, 1, *range(3, 10)]]).all()


class TestThreshold:
    def test_the_best_f1_is_no_worse_than_any(self, noisy):
        inventory = inventory_of(random_landslides(noisy), noisy)

        def f1(threshold):
            scores = noisy.score(inventory, threshold=threshold)
            precision, recall = scores["area_precision"], scores["area_recall"]
            return 2 * precision * recall / (precision + recall)

        best = f1(noisy.choose_threshold(inventory))
        assert best >= max(f1(t) for t in np.linspace(0.05, 0.95, 19)) - 1e-9

    def test_by_hand(self, row, two):
        assert row.choose_threshold(two) == 0.375  # precision 1/2, recall 1; at 0.75 both are 1/2
        km2 = 7 * 400e-6
        assert row.choose_threshold(two, max_false_alarms_per_km2=1.1 / km2) == 0.75
        assert row.choose_threshold(two, max_false_alarms_per_km2=2.1 / km2) == 0.375
        assert row.choose_threshold(two, min_hit_rate=0.5) == 0.75
        assert row.choose_threshold(two, min_hit_rate=0.51) == 0.375

    @pytest.mark.parametrize("most", [0.5, 5, 50, 500])
    def test_false_alarms_stay_below_down_to_the_threshold(self, tmp_path, most):
        m = LandslideMap.open(write_map(tmp_path / "map.tif", random_values((60, 60))))
        inventory = inventory_of([pixel_box(m, 20, 20, 3, 3)], m)
        whole = m.froc(inventory)
        if whole["false_alarms_per_km2"][0] > most:
            with pytest.raises(ValueError, match=rf"fulfils max_false_alarms_per_km2={most}: the highest one"):
                m.choose_threshold(inventory, max_false_alarms_per_km2=most)
            return
        threshold = m.choose_threshold(inventory, max_false_alarms_per_km2=most)
        assert (whole["false_alarms_per_km2"][whole["threshold"] >= threshold] <= most).all()

    def test_rules_that_nothing_fulfils(self, row, two):
        with pytest.raises(ValueError, match=r"max_false_alarms_per_km2=1: the highest one of the map has 357"):
            row.choose_threshold(two, max_false_alarms_per_km2=1)
        with pytest.raises(ValueError, match=r"min_hit_rate=1.5: the lowest one of the map hits 1 of"):
            row.choose_threshold(two, min_hit_rate=1.5)
        with pytest.raises(ValueError, match="are two rules"):
            row.choose_threshold(two, min_hit_rate=0.5, max_false_alarms_per_km2=1)

    def test_the_maps_own_is_taken_where_none_is_given(self, tmp_path, row, two):
        path = write_map(tmp_path / "own.tif", row.probability, tags={"SKLANDSLIDE_THRESHOLD": "0.3"})
        m = LandslideMap.open(path)
        assert (row.threshold, m.threshold) == (None, 0.3)
        for ours, theirs in ((m, 0.3), (row, 0.5)):
            assert len(ours.points()) == len(row.points(theirs))
            assert len(ours.polygons()) == len(row.polygons(theirs))
            assert ours.score(two) == row.score(two, threshold=theirs)
            assert ours.hit_rates(two).equals(row.hit_rates(two, threshold=theirs))
            axes = ours.plot()
            assert any(f"\u2265 {theirs}" in text.get_text() for text in axes.figure.findobj(Text))
            plt.close(axes.figure)
        assert len(m.points()) == 4
        assert len(m.points(0.8)) == 1

    @pytest.mark.parametrize("text", ["high", "1.5", "nan"])
    def test_a_tag_that_is_no_probability(self, tmp_path, text):
        path = write_map(tmp_path / "map.tif", np.ones((2, 2)), tags={"SKLANDSLIDE_THRESHOLD": text})
        with pytest.raises(SceneReadError, match=f"SKLANDSLIDE_THRESHOLD='{text}'"):
            LandslideMap.open(path)


@pytest.mark.parametrize("method", ["froc", "precision_recall", "average_precision", "reliability", "choose_threshold"])
def test_an_inventory_of_other_ground(row, method):
    with pytest.raises(InventoryError, match="None of the 1 landslides lies on the valid part"):
        getattr(row, method)(inventory_of([pixel_box(row, 0, 7)], row))


def test_no_bins(row, two):
    with pytest.raises(ValueError, match="n_bins=0"):
        row.reliability(two, n_bins=0)


def test_what_is_written_to_the_tag_is_read_as_it_was(tmp_path):
    threshold = float(np.float32(0.1) + np.float32(0.2))
    path = write_map(tmp_path / "map.tif", [[threshold]], tags={"SKLANDSLIDE_THRESHOLD": str(threshold)})
    with rasterio.open(path) as file:
        assert float(file.tags()["SKLANDSLIDE_THRESHOLD"]) == threshold
    assert len(LandslideMap.open(path).points()) == 1
