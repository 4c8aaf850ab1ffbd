"""A VRT that names local files, written anew from the parts of it that are known to be harmless."""

from __future__ import annotations

import os
from collections.abc import Callable
from xml.etree import ElementTree

from ..exceptions import SceneReadError
from .paths import local_file

__all__ = ["vrt_text"]

_LARGEST = 2**24
# Elements of the VRT format that neither name a place nor run code. A source does name one, and is looked at.
_KNOWN = {
    "VRTDataset": ("rasterXSize", "rasterYSize"),
    "SRS": ("dataAxisToSRSAxisMapping", "coordinateEpoch"),
    "GeoTransform": (),
    "VRTRasterBand": ("dataType", "band", "blockXSize", "blockYSize"),
    "MaskBand": (),
    "NoDataValue": (),
    "HideNoDataValue": (),
    "Description": (),
    "UnitType": (),
    "ColorInterp": (),
    "Scale": (),
    "Offset": (),
    "SimpleSource": ("name",),
    "ComplexSource": ("name",),
    "SourceFilename": ("relativeToVRT", "shared"),
    "SourceBand": (),
    "SourceProperties": ("RasterXSize", "RasterYSize", "DataType", "BlockXSize", "BlockYSize"),
    "SrcRect": ("xOff", "yOff", "xSize", "ySize"),
    "DstRect": ("xOff", "yOff", "xSize", "ySize"),
    "NODATA": (),
    "ScaleOffset": (),
    "ScaleRatio": (),
    "UseMaskBand": (),
}
# Left out of what GDAL is given: they change no pixel.
_LEFT_OUT = {"Metadata", "Histograms", "OverviewList", "CategoryNames", "BlockXSize", "BlockYSize"}


def vrt_text(path: str, check_source: Callable[[str], None]) -> tuple[str, tuple[str, ...]]:
    """Read a VRT, and write it again with absolute paths of local files and without anything else.

    What GDAL is given is the text returned, never the file: so nothing depends on how two readers of XML differ.

    Parameters
    ----------
    path : str
    check_source : callable
        Called with each file that the VRT names; raises for one that must not be opened.

    Returns
    -------
    text : str
    sources : tuple of str

    Raises
    ------
    SceneReadError
        If the VRT is damaged, or holds a part that is not known to be harmless.
    """
    root = _parsed(path)
    if os.path.exists(f"{path}.msk"):
        raise _refused(path, "a mask lies beside it")
    sources: dict[str, None] = {}
    if root.tag != "VRTDataset":
        raise _refused(path, f"its first element is <{root.tag}>")
    for element in list(root.iter()):
        for child in [child for child in element if child.tag in _LEFT_OUT]:
            element.remove(child)
    for element in root.iter():
        _check_element(element, path)
        if element.tag == "SourceFilename":
            name = (element.text or "").strip()
            if element.get("relativeToVRT", "0").strip() == "1":
                name = os.path.join(os.path.dirname(path), name)
            element.text = local_file(name)
            element.attrib.clear()
            sources[element.text] = None
    for source in sources:
        check_source(source)
    try:
        return ElementTree.tostring(root, encoding="unicode"), tuple(sources)
    except RecursionError:
        raise _refused(path, "its elements lie a thousand deep") from None


def _parsed(path: str) -> ElementTree.Element:
    if os.path.getsize(path) > _LARGEST:
        raise _refused(path, f"it has more than {_LARGEST} bytes")
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST)
        if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise _refused(path, "it declares a document type")
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        if isinstance(error, SceneReadError):
            raise
        raise SceneReadError(f"{path} is a damaged VRT: {error}. Make it again (gdalbuildvrt).") from error


def _check_element(element: ElementTree.Element, path: str) -> None:
    if element.tag not in _KNOWN:
        raise _refused(path, f"it has an element <{element.tag}>")
    if strange := set(element.attrib) - set(_KNOWN[element.tag]):
        raise _refused(path, f"its element <{element.tag}> has an attribute {sorted(strange)[0]!r}")
    rectangles = [part for part in element if part.tag in ("SrcRect", "DstRect")]
    if len({(part.get("xSize"), part.get("ySize")) for part in rectangles}) > 1:
        # Reading at another resolution asks for overviews, which a file may say lie elsewhere.
        raise _refused(path, "it resamples a source")


def _refused(path: str, why: str) -> SceneReadError:
    return SceneReadError(
        f"{path} is a VRT that is not followed: {why}. Followed are mosaics and stacks of local GeoTIFFs "
        "(gdalbuildvrt); copy the pixels of any other into a GeoTIFF (gdal_translate)."
    )
