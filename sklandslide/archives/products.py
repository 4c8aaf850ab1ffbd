"""What collections of Sentinel-1 hold: which asset is which band, in what units, on which orbit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..composites import polarisation_in
from ..exceptions import ArchiveError


@dataclass(frozen=True)
class Product:
    """A collection of radiometrically terrain-corrected Sentinel-1.

    Attributes
    ----------
    units : {"linear", "dB"}
        Units of its pixels.
    radiometry : str
        ``"gamma0"`` or ``"sigma0"``.
    resolution : float
        Metres a pixel, where the items do not say it.
    """

    units: str
    radiometry: str
    resolution: float


#: The collections that are known by name. Any other is told by ``units=``.
PRODUCTS: Mapping[str, Product] = MappingProxyType(
    {
        "sentinel-1-rtc": Product("linear", "gamma0", 10.0),  # Planetary Computer
        "sentinel-s1-rtc-indigo": Product("linear", "gamma0", 20.0),  # of the United States, on AWS
        "s1_rtc": Product("linear", "gamma0", 20.0),  # Digital Earth Africa
        "OPERA_L2_RTC-S1_V1": Product("linear", "gamma0", 30.0),  # NASA
        "OPERA_L2_RTC-S1_V1_1": Product("linear", "gamma0", 30.0),
    }
)
# Kinds of files that hold pixels, by the end of their address; what else an item has are pictures and descriptions.
_RASTER = re.compile(r"\.(tiff?|jp2)$", re.I)
# A burst of OPERA's says its track in its name: OPERA_L2_RTC-S1_T046-098283-IW2_...
_TRACK_IN_NAME = re.compile(r"_T(\d{3})-\d{6}-(?:IW|EW)\d_")


def product_of(collection: str, units: str | None) -> Product:
    """What is known of a collection; ArchiveError where it is unknown and no units are given."""
    if units not in (None, "linear", "dB"):
        raise ArchiveError(f"units={units!r}: radar units are 'linear' (power) or 'dB'.")
    known = PRODUCTS.get(collection)
    if known is None and units is None:
        raise ArchiveError(
            f"The units of the collection {collection!r} are not known. Known are {', '.join(PRODUCTS)}. If it is "
            "radiometrically terrain-corrected Sentinel-1, say its units: units='linear' (power) or units='dB'."
        )
    known = known or Product(str(units), "unknown", 10.0)
    return known if units is None else Product(units, known.radiometry, known.resolution)


def bare(href: str) -> str:
    """An address without what a signing function adds to it."""
    return href.split("?", maxsplit=1)[0]


def radar_assets(item: Any) -> dict[str, Any]:
    """The assets of an item that are rasters of one polarisation, by polarisation.

    The key names it ("vv", "VV", "gamma0_vv", "..._S1A_30_v1.0_VV"), or the file does.
    """
    found: dict[str, Any] = {}
    for key, asset in item.assets.items():
        address = bare(asset.href)
        raster = "tiff" in (asset.media_type or "") or _RASTER.search(address)
        file = address.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        polarisation = polarisation_in(key) or polarisation_in(file)
        if raster and polarisation and "thumbnail" not in (asset.roles or ()):
            found.setdefault(polarisation, asset)
    return found


def named_asset(item: Any, names: Iterable[str]) -> Any:
    """The first asset of an item that there is under one of some names; None if there is none."""
    return next((item.assets[name] for name in names if name in item.assets), None)


def track_of(item: Any) -> tuple[int, str, str] | None:
    """Relative orbit, pass ("" where the item does not say it) and mode; None where the orbit is not said."""
    orbit = item.properties.get("sat:relative_orbit")
    named = _TRACK_IN_NAME.search(item.id)
    if orbit is None and named:
        orbit = named[1]
    try:
        number = int(orbit)
    except (TypeError, ValueError):
        return None
    direction = str(item.properties.get("sat:orbit_state") or "").lower()
    return number, direction, str(item.properties.get("sar:instrument_mode") or "IW")
