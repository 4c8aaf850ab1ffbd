"""The paper's composites (Table 2) as data, and the small language of band recipes.

A recipe is a list of bands. A band is a name (``"VV_after"``), a statistic of several dates (``"mean(VV_before,
VV_before2)"``, ``median``, ``std``), the difference of two of these (``"VV_after - median(VV_before*)"``), or how many
standard deviations of the dates before the event the dates after it lie off (``"zscore(VV_after*; VV_before*)"``).
``VV_before*`` stands for all dates of a scene: ``VV_before``, ``VV_before2``, ``VV_before3`` and so on.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from .exceptions import BandError

__all__ = [
    "COMPOSITES",
    "band_inputs",
    "band_values",
    "check_band_name",
    "is_change",
    "polarisation_in",
    "resolve_composite",
]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CALL = re.compile(r"(mean|median|std|zscore)\s*\(([^()]*)\)")
_HOW = (
    "write a band name, a statistic of dates such as 'median(VV_before, VV_before2)' (mean, median, std), the "
    "difference of two of these as 'VV_after - VV_before', or 'zscore(VV_after; VV_before, VV_before2)'."
)

# Nava et al. (2021), Table 2. BAA and HHH name the after-event band twice; three dates are listed in
# Table 1, one before and two after, so the second mention is read as the second date where there is one.
COMPOSITES = MappingProxyType(
    {
        "RGB": ("Red", "Green", "Blue"),
        "SSD": ("VV_after", "VH_after", "DEM"),
        "SSS": ("VV_after", "VH_after", "Slope"),
        "BAD": ("VV_before", "VV_after", "DEM"),
        "BAS": ("VV_before", "VV_after", "Slope"),
        "HHH": ("VH_before", "VH_after", "VH_after2"),
        "BAA": ("VV_before", "VV_after", "VV_after2"),
        "BAC": ("VV_before", "VV_after", "VV_after - VV_before"),
        "BAH": ("VV_before", "VV_after", "VH_after"),
    }
)
_SECOND_DATE = {"VV_after2": "VV_after", "VH_after2": "VH_after"}


def check_band_name(name: object) -> str:
    """Return `name` if it can name a band: a string of letters, digits and underscores, no digit first."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BandError(
            f"{name!r} cannot name a band: a name has letters, digits and underscores and does not start "
            "with a digit (a minus sign writes a difference). Rename the band, for example 'VV_before'."
        )
    return name


def _terms(band: str, available: Collection[str] | None = None) -> list[tuple[str, list[list[str]]]]:
    """One term of a band, or the two of a difference: function (none for a bare name) and lists of names.

    Where `available` is given, ``NAME*`` becomes the names of all dates among these.
    """
    if not isinstance(band, str):
        raise BandError(f"{band!r} is no band: give a name such as 'VV_after' or a difference 'A - B'.")
    terms = []
    for text in band.split("-"):
        call = _CALL.fullmatch(text.strip())
        function, inside = call.groups() if call else ("", text)
        lists = [[name.strip() for name in part.split(",")] for part in inside.split(";")]
        if call and available is not None:
            lists = [[date for name in part for date in _dates(name, available)] for part in lists]
        if len(lists) != (2 if function == "zscore" else 1) or not all(
            _NAME.fullmatch(name) for part in lists for name in part
        ):
            raise BandError(f"{band!r} is no band: {_HOW}")
        terms.append((function, lists))
    if len(terms) > 2 or any(not function and len(lists[0]) > 1 for function, lists in terms):
        raise BandError(f"{band!r} is no band: {_HOW}")
    return terms


def _dates(name: str, available: Collection[str]) -> list[str]:
    """The names of all dates that ``NAME*`` stands for, in order; a name without a star is itself."""
    if not name.endswith("*"):
        return [name]
    numbered = {found: found[len(name) - 1 :] for found in available if found.startswith(name[:-1])}
    found = [date for date, number in numbered.items() if re.fullmatch("[0-9]*", number)]
    return sorted(found, key=lambda date: int(numbered[date] or 1)) or [name[:-1]]


def _text(terms: Sequence[tuple[str, list[list[str]]]]) -> str:
    """A band as it is written where it is kept."""
    texts = ["; ".join(", ".join(part) for part in lists) for _, lists in terms]
    return " - ".join(
        f"{function}({text})" if function else text for (function, _), text in zip(terms, texts, strict=True)
    )


def band_inputs(band: str) -> tuple[str, ...]:
    """The scene's bands that a recipe's band is computed from, in the order of their mention."""
    return tuple(name for _, lists in _terms(band) for part in lists for name in part)


def is_change(band: str) -> bool:
    """Whether a band measures how dates differ, and has not the level of a date."""
    terms = _terms(band)
    return len(terms) > 1 or terms[0][0] in ("std", "zscore")


def band_values(band: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """A recipe's band from the values of its inputs; NaN where one of them is, or where a z-score divides by zero."""
    plus, *minus = (_term_values(function, lists, values) for function, lists in _terms(band))
    return plus - minus[0] if minus else plus


def _term_values(function: str, lists: list[list[str]], values: Mapping[str, np.ndarray]) -> np.ndarray:
    first, *base = (np.stack([values[name] for name in part]) for part in lists)
    if function == "zscore":
        spread = base[0].std(axis=0, ddof=1)
        return (first.mean(axis=0) - base[0].mean(axis=0)) / np.where(spread > 0, spread, np.nan)
    if function == "std":
        return first.std(axis=0, ddof=1)
    if function:
        return np.mean(first, axis=0) if function == "mean" else np.median(first, axis=0)
    return first[0]


def _check_counts(band: str) -> None:
    for function, lists in _terms(band):
        if function in ("std", "zscore") and len(lists[-1]) < 2:
            raise BandError(
                f"{band!r} is a spread over one date, {lists[-1][0]}; it takes two at least. Add dates to the scene "
                "(VV_before, VV_before2, ...), or take mean or median."
            )


def resolve_composite(composite: str | Sequence[str], available: Collection[str]) -> tuple[str, ...]:
    """Turn a composite into the bands to read, given the bands that a scene has.

    Parameters
    ----------
    composite : str or sequence of str
        A name in `COMPOSITES`, or a list of band names, differences and statistics of dates.
    available : collection of str
        The scene's bands.

    Returns
    -------
    tuple of str
        Bands, in order. In the paper's BAA and HHH a missing second after-event date is replaced by the
        first; in a list given by the user nothing is replaced.

    Raises
    ------
    BandError
        If the composite is unknown, empty, or needs a band that the scene does not have.

    Examples
    --------
    >>> from sklandslide.composites import resolve_composite
    >>> resolve_composite("BAA", ["VV_before", "VV_after"])
    ('VV_before', 'VV_after', 'VV_after')
    >>> resolve_composite(["Red", "VV_after-VV_before"], ["Red", "VV_before", "VV_after"])
    ('Red', 'VV_after - VV_before')
    >>> resolve_composite(["zscore(VV_after; VV_before*)"], ["VV_after", "VV_before", "VV_before2", "VV_before3"])
    ('zscore(VV_after; VV_before, VV_before2, VV_before3)',)
    """
    if isinstance(composite, str):
        if composite not in COMPOSITES:
            raise BandError(
                f"There is no composite {composite!r}. The paper's are {', '.join(COMPOSITES)}; any other is "
                "given as a list of bands, for example ['VV_before', 'VV_after', 'DEM']."
            )
        recipe = tuple(
            _SECOND_DATE[band] if band in _SECOND_DATE and band not in available else band
            for band in COMPOSITES[composite]
        )
    else:
        recipe = tuple(_text(_terms(band, available)) for band in composite)
    if not recipe:
        raise BandError("The composite has no band. Give at least one, for example ['VV_after'].")
    missing = sorted({name for band in recipe for name in band_inputs(band)} - set(available))
    if missing:
        raise BandError(
            f"The composite {composite!r} needs the band(s) {', '.join(missing)}, which the scene does not "
            f"have; it has {', '.join(available)}. Add the band to the scene or choose another composite."
        )
    for band in recipe:
        _check_counts(band)
    return recipe


def polarisation_in(*texts: str | None) -> str:
    """The polarisation that texts name as a word of its own; nothing where they name none, or several."""
    words = {word for text in texts if text for word in re.split(r"[^A-Z0-9]+", text.upper())}
    found = words & {"VV", "VH", "HV", "HH"}
    return found.pop() if len(found) == 1 else ""
