"""Free-response ROC and precision-recall of area, as drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from small_maps import inventory_of, pixel_box, random_values, write_map

from sklandslide import AreaPrecisionRecallDisplay, FROCDisplay, LandslideMap


@pytest.fixture(autouse=True)
def _no_figure_left():
    yield
    plt.close("all")


@pytest.fixture
def scored(tmp_path):
    """A map with a threshold of its own, and an inventory."""
    m = LandslideMap.open(write_map(tmp_path / "m.tif", random_values(), tags={"SKLANDSLIDE_THRESHOLD": "0.7"}))
    return m, inventory_of([pixel_box(m, 3, 4, 3, 3), pixel_box(m, 15, 20, 2, 2)], m, ["slide", "slide"])


def test_froc_is_the_curve_of_the_map_up_to_the_most_false_alarms(scored):
    m, inventory = scored
    display = FROCDisplay.from_map(m, inventory, positive="slide", name="first", line_kw={"color": "red"})
    curve = m.froc(inventory, positive="slide")
    end = curve["false_alarms_per_km2"].idxmax() + 1
    assert end < len(curve)
    np.testing.assert_array_equal(display.line_.get_xydata(), curve[["false_alarms_per_km2", "hit_rate"]][:end])
    scores = m.score(inventory, positive="slide")
    assert display.point_.get_xydata().tolist() == [[scores["false_alarms_per_km2"], scores["hit_rate"]]]
    assert display.line_.get_color() == "red"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["first", "the map's threshold"]
    assert "km" in display.ax_.get_xlabel()


def test_precision_and_recall_are_those_of_the_map(scored):
    m, inventory = scored
    display = AreaPrecisionRecallDisplay.from_map(m, inventory, positive="slide")
    curve = m.precision_recall(inventory, positive="slide")
    np.testing.assert_array_equal(display.line_.get_xydata(), curve[["area_recall", "area_precision"]])
    scores = m.score(inventory, positive="slide")
    assert display.point_.get_xydata().tolist() == [[scores["area_recall"], scores["area_precision"]]]
    share = scores["landslide_km2"] / scores["valid_km2"]
    assert display.chance_level_.get_ydata() == pytest.approx([share, share])
    assert display.line_.get_label() == f"average precision {m.average_precision(inventory, positive='slide'):.2f}"


def test_displays_share_axes_and_need_neither_threshold_nor_name(scored):
    _, ax = plt.subplots()
    for rate in (0.5, 0.7):
        display = FROCDisplay(false_alarms_per_km2=[0, 1], hit_rate=[0, rate]).plot(ax=ax)
        assert display.point_ is None
        assert display.ax_ is ax
    assert len(ax.lines) == 2
    assert ax.get_legend() is None
    assert AreaPrecisionRecallDisplay(precision=[0.5], recall=[1]).plot().chance_level_ is None
