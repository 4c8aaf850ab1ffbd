"""The paper's tables, against its text and against arithmetic."""

import re

import numpy as np
import pytest
from conftest import SHARED

from sklandslide import COMPOSITES
from sklandslide.datasets import load_paper_table

COUNTS = ["positives", "negatives", "true_positives", "false_positives"]
SIZES = range(230, 261)  # samples of a class in the paper's test sets


@pytest.fixture(scope="module")
def table():
    return load_paper_table()


def is_printed_as(part, whole, printed, *, cut):
    """Whether 100 * part / whole is `printed` to two decimals: rounded, or cut off. In whole numbers."""
    hundredths, times_whole = round(100 * printed), 10_000 * part
    if cut:
        return (hundredths * whole <= times_whole) & (times_whole < (hundredths + 1) * whole)
    return np.abs(2 * (times_whole - hundredths * whole)) <= whole  # a half may go either way


def solutions(row, *, cut_precision=False, sizes=SIZES):
    """All counts that give the percentages of a row of Table 3."""
    found = []
    fp, negatives = np.meshgrid(np.arange(sizes[-1] + 1), sizes)
    for positives in sizes:
        for tp in np.flatnonzero(is_printed_as(np.arange(positives + 1), positives, row.recall, cut=False)).tolist():
            fits = (fp <= negatives) & (tp + fp > 0)
            fits &= is_printed_as(tp, tp + fp, row.precision, cut=cut_precision)
            fits &= is_printed_as(tp + negatives - fp, positives + negatives, row.accuracy, cut=False)
            found += [(positives, n, tp, f) for n, f in zip(negatives[fits].tolist(), fp[fits].tolist(), strict=True)]
    return found


@pytest.mark.parametrize("name", [name for name in COMPOSITES if name not in ("RGB", "BAS")])
def test_percentages_leave_one_solution(table, name):
    row = table.loc[name]
    assert row.exact
    assert solutions(row) == [tuple(row[COUNTS])]


def test_bas_has_no_solution_unless_its_precision_was_cut(table):
    row = table.loc["BAS"]
    assert row.exact
    assert solutions(row) == []
    assert solutions(row, cut_precision=True) == [tuple(row[COUNTS])]


def test_rgb_fixes_its_counts_roughly(table):
    row = table.loc["RGB"]
    assert not row.exact
    found = solutions(row)
    assert [s for s in found if s[0] == 252] == [(252, negatives, 249, 1) for negatives in range(245, 252)]
    assert tuple(row[COUNTS]) in found
    assert {s[0] for s in found} == {252, 253}


def test_multiples_are_the_only_other_solutions(table):
    """As the docstring says: up to 400 samples of a class, only HHH and BAA have others."""
    wide = range(1, 401)
    for name, row in table.drop(index="RGB").iterrows():
        other = set(solutions(row, cut_precision=name == "BAS", sizes=wide)) - {tuple(row[COUNTS])}
        assert {round(s[0] / row.positives, 1) for s in other} == {
            "HHH": {0.3, 0.7, 1.3, 1.7},
            "BAA": {0.5, 1.5},
        }.get(name, set())


def test_bands_are_the_composites(table):
    """The paper's words beside our names; the second mention of a band after the event is a second date."""
    assert list(table.index) == list(COMPOSITES)
    for name, row in table.iterrows():
        assert row.recipe == COMPOSITES[name]
        words = row[["band_1", "band_2", "band_3"]]
        printed = [w.replace(" before-event", "_before").replace(" after-event", "_after") for w in words]
        assert printed == [band.replace("_after2", "_after") for band in row.recipe]


def test_figures_are_those_of_the_text(table):
    paper = SHARED / "paper" / "nava_2021_sar_landslides.txt"
    if not paper.is_file():
        pytest.skip(f"the paper's text is not in {paper.parent}")
    text = paper.read_text()
    bands = re.search(r"^Dataset Name\tBand1.*?\n((?:.+\t.+\n)+)", text, re.M)[1]
    figures = re.search(r"^Dataset Name\tAccuracy.*?\n((?:.+\t.+\n)+)", text, re.M)[1]
    rows = [line.split("\t") for line in bands.splitlines()]
    assert rows == [[name, *table.loc[name, ["band_1", "band_2", "band_3"]]] for name in table.index]
    rows = [re.sub("</?b>", "", line).split("\t") for line in figures.splitlines()]
    assert rows == [
        [name, *(f"{v:.2f}" for v in table.loc[name, ["accuracy", "precision", "recall"]])] for name in table.index
    ]
