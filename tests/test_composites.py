"""The paper's composites and the small language of band recipes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from laws import anything, law

from sklandslide import COMPOSITES
from sklandslide.composites import band_inputs, check_band_name, resolve_composite
from sklandslide.exceptions import BandError

# Nava et al. (2021), Table 2, copied from the paper's text with the paper's own words for the bands.
TABLE_2 = """\
RGB	Red	Green	Blue
SSD	VV after-event	VH after-event	DEM
SSS	VV after-event	VH after-event	Slope
BAD	VV before-event	VV after-event	DEM
BAS	VV before-event	VV after-event	Slope
HHH	VH before-event	VH after-event	VH after-event
BAA	VV before-event	VV after-event	VV after-event
BAC	VV before-event	VV after-event	VV after-event - VV before-event
BAH	VV before-event	VV after-event	VH after-event
"""
ROWS = {
    name: tuple(b.replace(" after-event", "_after").replace(" before-event", "_before") for b in bands)
    for name, *bands in (line.split("\t") for line in TABLE_2.splitlines())
}
ONE_DATE = ["Red", "Green", "Blue", "VV_before", "VH_before", "VV_after", "VH_after", "DEM", "Slope"]
TWO_DATES = [*ONE_DATE, "VV_after2", "VH_after2"]


def test_the_names_are_the_papers_in_its_order():
    assert tuple(COMPOSITES) == tuple(ROWS)
    assert len(COMPOSITES) == 9


@pytest.mark.parametrize("name", ROWS)
def test_with_one_date_after_the_event_a_composite_is_its_row_in_table_2(name):
    assert resolve_composite(name, ONE_DATE) == ROWS[name]


@pytest.mark.parametrize("name", ROWS)
def test_with_two_dates_only_the_second_mention_changes(name):
    expected = {"HHH": ("VH_before", "VH_after", "VH_after2"), "BAA": ("VV_before", "VV_after", "VV_after2")}
    assert resolve_composite(name, TWO_DATES) == expected.get(name, ROWS[name])


def test_the_second_date_of_the_other_polarisation_is_not_taken():
    assert resolve_composite("BAA", [*ONE_DATE, "VH_after2"]) == ("VV_before", "VV_after", "VV_after")


@pytest.mark.parametrize("name", ROWS)
def test_a_composite_needs_only_its_own_bands(name):
    inputs = {b for band in ROWS[name] for b in band_inputs(band)}
    assert resolve_composite(name, sorted(inputs)) == ROWS[name]
    for left_out in inputs:
        rest = sorted(inputs - {left_out}) or ["Other"]
        with pytest.raises(BandError, match=rf"{name!r} needs the band\(s\) {left_out}, .*it has .*Add the band"):
            resolve_composite(name, rest)


def test_composites_are_read_only():
    with pytest.raises(TypeError):
        COMPOSITES["BAA"] = ("Red",)
    with pytest.raises(TypeError):
        del COMPOSITES["BAA"]
    assert all(type(bands) is tuple for bands in COMPOSITES.values())


def test_a_users_list_is_taken_as_it_is():
    bands = ["Slope", "VV_after2", "DEM", "DEM", "Red - Blue"]
    assert resolve_composite(bands, TWO_DATES) == tuple(bands)
    assert resolve_composite(("Red",), ONE_DATE) == ("Red",)
    assert resolve_composite(["VV_after-\tVV_before"], ONE_DATE) == ("VV_after - VV_before",)
    with pytest.raises(BandError, match=r"needs the band\(s\) VV_after2"):  # no date is replaced
        resolve_composite(["VV_before", "VV_after", "VV_after2"], ONE_DATE)


def test_an_unknown_composite_lists_the_known_and_the_way_out():
    with pytest.raises(BandError, match=r"no composite 'BBB'.*RGB, SSD, .*BAH.*list of bands"):
        resolve_composite("BBB", ONE_DATE)


@pytest.mark.parametrize("band", ["A - B - C", "A -", "", "2A"])
def test_what_is_no_recipe_is_refused(band):
    with pytest.raises(BandError, match=r"is no band: write a band name, .* the difference of two"):
        resolve_composite([band], ONE_DATE)


DATES = ["VV_before", "VV_before10", "VV_before2", "VV_before_descending", "VV_after", "VV_after2", "VH_before"]


@pytest.mark.parametrize(
    "band, resolved",
    [
        ("mean( VV_before ,VV_before2)", "mean(VV_before, VV_before2)"),
        ("median(VV_before*)", "median(VV_before, VV_before2, VV_before10)"),
        ("VV_after-mean(VV_before*)", "VV_after - mean(VV_before, VV_before2, VV_before10)"),
        ("zscore(VV_after*;VV_before*)", "zscore(VV_after, VV_after2; VV_before, VV_before2, VV_before10)"),
        ("mean(VH_before*)", "mean(VH_before)"),
    ],
)
def test_a_stack_of_dates_is_named_in_full(band, resolved):
    assert resolve_composite([band], DATES) == (resolved,)
    assert resolve_composite([resolved], DATES) == (resolved,)


@pytest.mark.parametrize(
    "band", ["mean()", "max(A)", "zscore(A)", "mean(A; B)", "zscore(A; B; C)", "A, B", "mean(mean(A))", "mean(A - B)"]
)
def test_what_is_no_statistic_of_dates_is_refused(band):
    with pytest.raises(BandError, match=r"is no band: .*zscore\(VV_after; VV_before, VV_before2\)"):
        resolve_composite([band], ["A", "B", "C"])


@pytest.mark.parametrize("band", ["std(VH_before*)", "zscore(VV_after*; VH_before)"])
def test_a_spread_takes_two_dates(band):
    with pytest.raises(BandError, match=r"is a spread over one date, VH_before; it takes two at least\. Add dates"):
        resolve_composite([band], DATES)


def test_a_star_for_dates_that_a_scene_does_not_have():
    with pytest.raises(BandError, match=r"needs the band\(s\) HH_before, which"):
        resolve_composite(["mean(HH_before*)"], DATES)


def test_an_empty_recipe_and_bands_that_are_no_text_are_refused():
    with pytest.raises(BandError, match=r"no band\. Give at least one"):
        resolve_composite([], ONE_DATE)
    with pytest.raises(BandError, match="is no band: give a name such as 'VV_after'"):
        band_inputs(("VV_after", "VV_before"))


@pytest.mark.parametrize("name", ["", "8A", "VV-VH", "é", "VV\n", None])
def test_what_cannot_name_a_band_is_refused(name):
    with pytest.raises(BandError, match=r"cannot name a band: .*Rename the band"):
        check_band_name(name)


texts = st.text(max_size=12) | st.text("AB_ -\t12", max_size=9) | st.sampled_from(sorted(COMPOSITES))


@given(texts | st.lists(texts | anything, max_size=4))
@law(250)
def test_any_recipe_is_resolved_or_refused(recipe):
    available = ("VV_before", "VV_after", "A", "B", "AB", "Red")
    try:
        bands = resolve_composite(recipe, available)
    except BandError:
        return
    assert bands and all(set(band_inputs(band)) <= set(available) for band in bands)
    assert resolve_composite(bands, available) == bands
    if not isinstance(recipe, str):
        assert len(bands) == len(recipe)
