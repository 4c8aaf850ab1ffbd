"""The paper's composites (Table 2) as data, and the small language of band recipes.

A recipe is a list of bands; a band is a name (``"VV_after"``) or a difference (``"VV_after - VV_before"``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from types import MappingProxyType

from .exceptions import BandError

__all__ = ["COMPOSITES", "band_inputs", "check_band_name", "polarisation_in", "resolve_composite"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

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


def band_inputs(band: str) -> tuple[str, ...]:
    """The scene's bands that a recipe's band is computed from: one, or two for a difference."""
    if not isinstance(band, str):
        raise BandError(f"{band!r} is no band: give a name such as 'VV_after' or a difference 'A - B'.")
    parts = tuple(part.strip() for part in band.split("-"))
    if len(parts) > 2 or not all(_NAME.fullmatch(part) for part in parts):
        raise BandError(f"{band!r} is no band: write a band name, or the difference of two as 'VV_after - VV_before'.")
    return parts


def resolve_composite(composite: str | Sequence[str], available: Collection[str]) -> tuple[str, ...]:
    """Turn a composite into the bands to read, given the bands that a scene has.

    Parameters
    ----------
    composite : str or sequence of str
        A name in `COMPOSITES`, or a list of band names and differences.
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
        recipe = tuple(" - ".join(band_inputs(band)) for band in composite)
    if not recipe:
        raise BandError("The composite has no band. Give at least one, for example ['VV_after'].")
    missing = sorted({name for band in recipe for name in band_inputs(band)} - set(available))
    if missing:
        raise BandError(
            f"The composite {composite!r} needs the band(s) {', '.join(missing)}, which the scene does not "
            f"have; it has {', '.join(available)}. Add the band to the scene or choose another composite."
        )
    return recipe


def polarisation_in(*texts: str | None) -> str:
    """The polarisation that texts name as a word of its own; nothing where they name none, or several."""
    words = {word for text in texts if text for word in re.split(r"[^A-Z0-9]+", text.upper())}
    found = words & {"VV", "VH", "HV", "HH"}
    return found.pop() if len(found) == 1 else ""
