"""Paths that a user gives: which of them name a file on this machine, and what GDAL reads beside it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from ..exceptions import SceneReadError

__all__ = ["check_beside", "local_file", "misread", "stamp_of"]

# Texts beside a raster are read into memory whole.
_LARGEST_TEXT = 2**26
_ADDRESSES = ("://", "/vsi", ":/vsi")


def local_file(path: Any) -> str:
    """Return the absolute path of an ordinary file of this machine, or say why there is none.

    Nothing is opened: a pipe or a device would be waited for.

    Parameters
    ----------
    path : path

    Raises
    ------
    SceneReadError
        If the path is none, names nothing, an address, a folder, a pipe or a device.

    Examples
    --------
    >>> from sklandslide.geodata.paths import local_file
    >>> local_file("https://example.org/dem.tif")
    Traceback (most recent call last):
        ...
    sklandslide.exceptions.SceneReadError: https://example.org/dem.tif names no file on this machine. ...
    """
    try:
        text = os.fsdecode(path)
        text.encode("utf-8")
        if "\0" in text:
            raise ValueError("it holds a zero byte")
    except (TypeError, ValueError) as error:
        raise SceneReadError(
            f"{path!r} is no path: {error}. Give a string or pathlib.Path, its name in valid UTF-8."
        ) from None
    full = os.path.abspath(text)
    try:
        mode = os.stat(full).st_mode
    except OSError as error:
        if any(part in text for part in _ADDRESSES):
            raise SceneReadError(
                f"{text} names no file on this machine. Addresses of networks and archives are not followed: download "
                "or unpack the file, and give its path."
            ) from None
        raise SceneReadError(
            f"{full} cannot be opened: {error.strerror}. Check the path; only files on this machine are read."
        ) from error
    if not stat.S_ISREG(mode) or full.startswith("/vsi"):
        kind = "a folder" if stat.S_ISDIR(mode) else "no ordinary file but a device, a pipe or a socket"
        raise SceneReadError(f"{full} is {kind}. Give the path of the file itself.")
    return full


def misread(path: str) -> bool:
    """Whether pyogrio, which takes a path for an address, would go to another file than the one named.

    Examples
    --------
    >>> from sklandslide.geodata.paths import misread
    >>> misread("/data/it's here.gpkg"), misread("/data/north;south.gpkg"), misread("/data/a.zip")
    (False, True, True)
    """
    return bool(set(path) & set("!;\n\r\t")) or path.lower().endswith(".zip")


def check_beside(path: str) -> None:
    """Refuse what GDAL would wait for, or read whole into memory, beside a file: it tries names with the same stem.

    Raises
    ------
    SceneReadError
        If such a name is a pipe or a device, or a text of more than 64 MiB.
    """
    folder, name = os.path.split(path)
    stem = name.rpartition(".")[0] or name
    try:
        entries = [entry for entry in os.scandir(folder) if entry.name.startswith(stem) and entry.name != name]
    except OSError:  # a folder that can be entered but not listed; GDAL cannot list it either
        return
    texts = {os.path.basename(beside) for beside in (*_beside(path), f"{path}.aux.xml")} - {f"{name}.msk"}
    for entry in entries:
        try:
            status = entry.stat()
        except OSError:  # a broken link
            continue
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            raise SceneReadError(f"{entry.path}, beside {name}, is a device, a pipe or a socket. Remove it.")
        if entry.name in texts and status.st_size > _LARGEST_TEXT:
            raise SceneReadError(
                f"{entry.path}, which belongs to {name}, has {status.st_size} bytes; a text of that kind has a few "
                "thousand. Remove it or write it again."
            )


def stamp_of(path: str, links: tuple[str, ...] = ()) -> tuple[int, ...]:
    """What a raster is like now: sizes and modification times of it and of what GDAL reads with it.

    The first two numbers are the file's own. Of an ``.aux.xml`` only what changes pixels or their place counts: looking
    at a raster in QGIS writes one with statistics.

    Parameters
    ----------
    path : str
    links : tuple of str
        Other files that the raster refers to.

    Raises
    ------
    SceneReadError
        If there is no such file.
    """
    stamp: list[int] = []
    for name in (path, *links):
        try:
            status = os.stat(name)
        except OSError as error:
            raise SceneReadError(
                f"{name} cannot be opened: {error.strerror}. Check the path; only files on this machine are read."
            ) from error
        stamp += [status.st_size, status.st_mtime_ns]
        for beside in _beside(name):
            try:
                status = os.stat(beside)
            except OSError:
                stamp += [-1, -1]
            else:
                stamp += [status.st_size, status.st_mtime_ns]
        stamp.append(_said_beside(f"{name}.aux.xml"))
    return tuple(stamp)


def _beside(path: str) -> Iterator[str]:
    """Mask, header and world files that belong to a raster."""
    yield f"{path}.msk"
    stem, dot, suffix = path.rpartition(".")
    if os.sep in suffix or not dot:
        stem, suffix = path, ""
    yield f"{path}.hdr"
    for end in ("hdr", "prj", "wld", suffix[:1] + suffix[-1:] + "w", suffix + "w"):
        yield f"{stem}.{end}"
        yield f"{stem}.{end.upper()}"


def _said_beside(path: str) -> int:
    """A number for what an ``.aux.xml`` says of pixels; -1 where there is none, or it says nothing."""
    try:
        status = os.stat(path)
    except OSError:
        return -1
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_TEXT:  # to be refused by `check_beside`
        return -1
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest(path: str, size: int, modified: int) -> int:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_TEXT)
    except OSError:
        return -1
    try:
        said: Any = [] if b"<!DOCTYPE" in content else list(_leaves(ElementTree.fromstring(content)))
    except (ElementTree.ParseError, ValueError, LookupError):
        said = content
    if said == []:
        said = content if b"<!DOCTYPE" in content else None
    if said is None:
        return -1
    return int.from_bytes(hashlib.sha256(repr(said).encode()).digest()[:7], "big")


def _leaves(root: ElementTree.Element) -> Iterator[tuple[Any, ...]]:
    """What a PAM file says, but for statistics and histograms."""
    waiting: list[tuple[tuple[Any, ...], ElementTree.Element]] = [((), root)]
    while waiting:
        above, element = waiting.pop()
        here = (*above, element.tag, sorted(element.attrib.items()))
        if element.tag == "Histograms" or element.get("key", "").startswith("STATISTICS_"):
            continue
        waiting += [(here, child) for child in element]
        text = (element.text or "").strip()
        if text or (not len(element) and element.tag not in ("PAMDataset", "PAMRasterBand", "Metadata")):
            yield (*here, text)
