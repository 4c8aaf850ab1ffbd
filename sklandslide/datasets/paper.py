"""Tables 2 and 3 of the paper as data."""

from __future__ import annotations

from typing import Any

from ..composites import COMPOSITES

__all__ = ["load_paper_table"]

_VV = "VV before-event", "VV after-event"
# Table 2, in the paper's words.
_TABLE_2 = {
    "RGB": ("Red", "Green", "Blue"),
    "SSD": ("VV after-event", "VH after-event", "DEM"),
    "SSS": ("VV after-event", "VH after-event", "Slope"),
    "BAD": (*_VV, "DEM"),
    "BAS": (*_VV, "Slope"),
    "HHH": ("VH before-event", "VH after-event", "VH after-event"),
    "BAA": (*_VV, "VV after-event"),
    "BAC": (*_VV, "VV after-event - VV before-event"),
    "BAH": (*_VV, "VH after-event"),
}
# Table 3: accuracy, precision and recall in per cent, as printed.
_TABLE_3 = {
    "RGB": (99.20, 99.60, 98.81),
    "SSD": (86.63, 92.24, 80.16),
    "SSS": (80.84, 82.77, 78.17),
    "BAD": (89.96, 95.83, 83.47),
    "BAS": (88.55, 96.58, 79.84),
    "HHH": (81.87, 93.22, 68.75),
    "BAA": (94.17, 97.32, 90.83),
    "BAC": (90.83, 93.36, 87.92),
    "BAH": (93.33, 95.22, 91.25),
}
# Not printed: positives, negatives, true positives, false positives that give Table 3 (tests/test_paper.py).
_COUNTS = {
    "RGB": (252, 249, 249, 1),
    "SSD": (252, 249, 202, 17),
    "SSS": (252, 249, 197, 41),
    "BAD": (248, 250, 207, 9),
    "BAS": (248, 250, 198, 7),
    "HHH": (240, 240, 165, 12),
    "BAA": (240, 240, 218, 6),
    "BAC": (240, 240, 211, 15),
    "BAH": (240, 240, 219, 11),
}
_NOT_EXACT = {"RGB"}


def load_paper_table() -> Any:
    """Load Tables 2 and 3 of the paper, with the test counts behind its percentages.

    Returns
    -------
    pandas.DataFrame
        One row for each composite, in the paper's order, indexed by its name. Columns:

        ``band_1``, ``band_2``, ``band_3``
            Table 2, in the paper's words.
        ``recipe``
            The same as `COMPOSITES` has it, a tuple of band names.
        ``accuracy``, ``precision``, ``recall``
            Table 3 in per cent, as printed.
        ``positives``, ``negatives``, ``true_positives``, ``false_positives``
            Samples in the test set and how the network classified them, derived from the
            percentages. The paper does not print them.
        ``exact``
            Whether the percentages leave one solution for the counts. False for RGB.

    Notes
    -----
    Accuracy, precision and recall are three ratios of four whole numbers. For each row but RGB, one
    solution has between 230 and 260 samples of each class, and all solutions for up to 400 are that
    one or, for HHH and BAA, about a third, two thirds, four thirds or three halves of it. The
    precision of BAS is cut (96.585 to 96.58) where the others are rounded.

    RGB made four errors at most, which fixes the number of samples only roughly: with 252 positives
    any number of negatives from 245 to 251 gives the percentages. 249 is in the table, the number
    in the test sets of SSD and SSS, which have 252 positives as well.

    These are the paper's figures for the real landslides of Iburi. What a simulated scene gives can
    stand beside them, but neither confirms nor refutes them.

    References
    ----------
    L. Nava, O. Monserrat, F. Catani, "Improving landslide detection on SAR data through deep
    learning", 2021, Tables 2 and 3.

    Examples
    --------
    >>> from sklandslide.datasets import load_paper_table
    >>> table = load_paper_table()
    >>> table.loc["BAA", ["band_1", "band_2", "band_3"]].tolist()
    ['VV before-event', 'VV after-event', 'VV after-event']
    >>> table.loc["BAA", ["accuracy", "precision", "recall"]].tolist()
    [94.17, 97.32, 90.83]
    >>> table.loc["BAA", ["positives", "negatives", "true_positives", "false_positives"]].tolist()
    [240, 240, 218, 6]
    """
    import pandas as pd

    records = [
        {
            **dict(zip(("band_1", "band_2", "band_3"), _TABLE_2[name], strict=True)),
            "recipe": recipe,
            **dict(zip(("accuracy", "precision", "recall"), _TABLE_3[name], strict=True)),
            **dict(zip(("positives", "negatives", "true_positives", "false_positives"), _COUNTS[name], strict=True)),
            "exact": name not in _NOT_EXACT,
        }
        for name, recipe in COMPOSITES.items()
    ]
    return pd.DataFrame(records, index=pd.Index(COMPOSITES, name="composite"))
