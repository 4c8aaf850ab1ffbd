"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..exceptions import OutputExistsError, OutputFolderError, SceneError

# What GDAL reads together with a raster, and would apply to whatever raster comes to have that name.
_SIDE_FILES = (".msk", ".ovr", ".aux.xml")
# The style that QGIS opens a raster with: beside it, and named after it without its suffix.
_STYLE = ".qml"


def check_output(path: Any, overwrite: bool, inputs: tuple[str, ...] = ()) -> str:
    """Return the absolute path of an output file, or say why it cannot be written.

    `inputs` are files that must not be overwritten, nor what belongs to them.
    """
    path = os.path.abspath(os.fspath(path))
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise OutputFolderError(f"The folder {folder} does not exist, so {path} cannot be written. Create it first.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputExistsError(f"{path} is a folder or a device; the output needs a file name. Choose another name.")
    if os.path.realpath(path) in {os.path.realpath(p + end) for p in inputs for end in ("", *_SIDE_FILES)}:
        raise SceneError(
            f"{path} is one of the scene's own rasters; writing the map there would destroy it. Choose another name."
        )
    _require_free(path, overwrite)
    return path


@contextmanager
def written_beside(path: str | os.PathLike[str], overwrite: bool, suffix: str = ".part") -> Iterator[str]:
    """Give the name of a file to write in the same folder, and publish it when it is written."""
    # os.replace is atomic only within one folder
    part = os.path.join(os.path.dirname(os.path.abspath(path)), f".{secrets.token_hex(8)}{suffix}")
    try:
        yield part
        publish(part, os.fspath(path), overwrite)
    finally:
        with suppress(OSError):
            os.remove(part)


def publish(part: str, path: str, overwrite: bool) -> None:
    """Give a file its name, in place of the one that had it."""
    with open(part, "r+b") as file:  # the bytes reach the disk before the name does: a power cut may come between
        os.fsync(file.fileno())
    _require_free(path, overwrite)  # another process may have made it since it was asked for
    for belonging in _belonging(path):
        with suppress(FileNotFoundError):
            os.remove(belonging)
    os.replace(part, path)


def style_beside(path: str) -> str:
    """The file that QGIS looks for the style of a raster in."""
    return os.path.splitext(path)[0] + _STYLE


def _belonging(path: str) -> list[str]:
    """What other programs read together with a file of this name."""
    raster = path.lower().endswith((".tif", ".tiff"))
    return [path + end for end in _SIDE_FILES] + ([style_beside(path)] if raster else [])


def _require_free(path: str, overwrite: bool) -> None:
    """Refuse to replace a file, or what GDAL or QGIS would read with the new one, unless that is wanted."""
    found = [name for name in (path, *_belonging(path)) if os.path.lexists(name)]
    if found and not overwrite:
        raise OutputExistsError(
            f"{found[0]} exists. Pass overwrite=True to replace it, with all that belongs to the file of that name, or "
            "choose another name. Finished tiles of a map are kept."
        )
