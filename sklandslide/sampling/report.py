"""What became of the candidates for samples."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class NegativesReport:
    """What was drawn of negatives of one kind.

    Attributes
    ----------
    asked, drawn : int
        `drawn` is what is left after `balance`.
    refused : dict of str to int
        Places that were looked at and not taken, by the first reason found.
    """

    asked: int
    drawn: int
    refused: dict[str, int]

    def __str__(self) -> str:
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.refused.items() if count)
        return f"{self.drawn} of {self.asked} asked for" + (f" (refused: {reasons})" if reasons else "")


@dataclass(frozen=True)
class SamplingReport:
    """How many candidates became samples, and why the others did not.

    Attributes
    ----------
    candidates, accepted : int
        Of the polygons.
    outside : int
        The patch does not fit the scene.
    nodata : int
        The patch holds nodata.
    surplus : int
        Left out by `max_per_polygon` or `balance`.
    empty_polygons : tuple
        Ids of the polygons that gave no sample because all their candidates lay outside or held nodata.
    off_extent : int
        The centre lies outside `extent`.
    excluded : int
        The centre lies on polygons of `exclude`.
    ambiguous : int
        The centre lies on a landslide and on a polygon of another class, whose candidate it was.
    negatives : dict of str to NegativesReport
        Under ``"edge"`` and ``"background"``, where these were asked for.
    kind : ndarray of shape (n_samples,), str
        Of each sample: ``"landslide"`` or ``"other"`` from the polygons, ``"edge"`` or ``"background"``.
    """

    candidates: int
    accepted: int
    outside: int
    nodata: int
    surplus: int
    empty_polygons: tuple
    off_extent: int = 0
    excluded: int = 0
    ambiguous: int = 0
    negatives: dict[str, NegativesReport] = field(default_factory=dict)
    kind: np.ndarray = field(default_factory=lambda: np.empty(0, "<U10"), repr=False, compare=False)

    def __str__(self) -> str:
        reasons = [f"{self.outside} whose patch does not fit the scene", f"{self.nodata} with nodata"]
        further = {
            "outside the extent": self.off_extent,
            "on what is excluded": self.excluded,
            "of other ground on a landslide": self.ambiguous,
        }
        reasons += [f"{count} {reason}" for reason, count in further.items() if count]
        negatives = "".join(f"; {kind}: {report}" for kind, report in self.negatives.items())
        return (
            f"{self.accepted} samples of {self.candidates} candidates; refused: {', '.join(reasons)}, "
            f"{self.surplus} over the limits asked for; {len(self.empty_polygons)} polygons gave none{negatives}"
        )
