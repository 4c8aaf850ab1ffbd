"""Scores of a map, against counts done by hand and by scikit-learn."""

import math

import numpy as np
import pytest
from sklearn import metrics as reference

from sklandslide.metrics import (
    area_scores,
    confusion_counts,
    confusion_scores,
    false_alarm_areas,
    hits_by_size,
    landslide_hits,
    map_scores,
    on_map_and_hit,
)


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    return tuple(rng.random((30, 40)) < share for share in (0.2, 0.3, 0.8))


def test_every_valid_pixel_is_counted_once(masks):
    assert sum(confusion_counts(*masks).values()) == masks[2].sum()


def test_scores_agree_with_scikit_learn(masks):
    truth, predicted, valid = masks
    scores = confusion_scores(**confusion_counts(truth, predicted, valid))
    y, p = truth[valid], predicted[valid]
    assert scores == pytest.approx(
        {
            "accuracy": reference.accuracy_score(y, p),
            "precision": reference.precision_score(y, p),
            "recall": reference.recall_score(y, p),
            "f1": reference.f1_score(y, p),
        }
    )


def test_a_share_of_nothing_is_nan():
    scores = confusion_scores(tp=0, fp=0, fn=0, tn=0)
    assert all(math.isnan(value) for value in scores.values())
    assert confusion_scores(tp=0, fp=1, fn=1, tn=0)["f1"] == 0


def test_masks_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"truth \(1, 2\), predicted \(2,\)"):
        confusion_counts([[1, 0]], [1, 0])


def test_hits_of_overlapping_invalid_and_outside_landslides():
    assert landslide_hits([], [], 0, [[1, 0]]) == {"n_landslides": 0, "n_hit": 0, "n_outside": 0}
    # 0 and 1 share pixel 2, which is red; 2 has a red pixel that is not valid; 3 has no pixel.
    pixels, owners = [1, 2, 2, 3, 5, 6], [0, 0, 1, 1, 2, 4]
    predicted, valid = [0, 0, 1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 0, 1, 1]
    counts = landslide_hits(pixels, owners, 5, predicted, valid)
    assert counts == {"n_landslides": 3, "n_hit": 2, "n_outside": 2}
    on_map, hit = on_map_and_hit(pixels, owners, 5, predicted, valid)
    assert on_map.tolist() == [True, True, False, False, True]
    assert hit.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("edges", [(), np.linspace(0.5, 20, 30)])
def test_sizes_part_the_landslides(edges):
    rng = np.random.default_rng(0)
    areas, on_map = rng.lognormal(1, 1, 200), rng.random(200) < 0.8
    hit = on_map & (rng.random(200) < 0.5)
    table = hits_by_size(areas, on_map, hit, edges)
    assert table["n_landslides"].sum() == on_map.sum()
    assert table["n_hit"].sum() == hit.sum()
    np.testing.assert_array_equal(table["area_from_m2"][1:], table["area_to_m2"][:-1])
    for low, high, n, n_hit in zip(*(table[name] for name in list(table)[:4]), strict=True):
        in_class = (low <= areas) & (areas < high)
        assert n == (in_class & on_map).sum()
        assert n_hit == (in_class & hit).sum()


def test_shares_of_area():
    scores = area_scores(red_m2=4e6, landslide_m2=3e6, both_m2=1e6)
    assert (scores["area_precision"], scores["area_recall"]) == (1 / 4, 1 / 3)
    assert (scores["red_km2"], scores["landslide_km2"], scores["hit_km2"]) == (4, 3, 1)
    assert all(math.isnan(area_scores(0.0, 0.0, 0.0)[name]) for name in ("area_precision", "area_recall"))


def test_false_alarms_are_areas_joined_by_edges():
    predicted = np.array([[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]], bool)
    nothing = np.zeros_like(predicted)
    assert false_alarm_areas(nothing, predicted) == 4
    truth = nothing.copy()
    truth[0, 1] = True  # spares the area of two pixels, not its diagonal neighbour
    truth[1, 3] = True  # beside an area is not on it
    assert false_alarm_areas(truth, predicted) == 3
    assert false_alarm_areas(truth, predicted, valid=predicted & truth) == 0


def test_map_scores_by_hand():
    # truth  1 1 . .     red  1 . . 1     pixel 3 is red off a landslide, pixel 5 is not valid
    #        . 1 . .          . 1 . .
    scores = map_scores(
        [0, 1, 5],
        [0, 0, 1],
        2,
        predicted=[[1, 0, 0, 1], [0, 1, 0, 0]],
        valid=[[1, 1, 1, 1], [1, 0, 1, 1]],
        valid_km2=4.0,
    )
    assert scores == pytest.approx(
        {
            "accuracy": 5 / 7,
            "precision": 1 / 2,
            "recall": 1 / 2,
            "f1": 1 / 2,
            "hit_rate": 1.0,
            "false_alarms_per_km2": 0.25,
            "n_points": 2,
            "n_landslides": 1,
            "n_hit": 1,
            "n_outside": 1,
            "n_false_alarms": 1,
            "valid_km2": 4.0,
            "tp": 1,
            "fp": 1,
            "fn": 1,
            "tn": 4,
        }
    )
