"""Whole files: read without waiting or surprise, written so that they appear when they are complete."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress

from ..exceptions import ModelFileError, OutputExistsError

__all__ = ["read_whole", "write_whole"]


def read_whole(path: str, most: int) -> bytes:
    """Bytes of a regular file.

    Parameters
    ----------
    path : str
    most : int
        Bytes that it may have.

    Returns
    -------
    bytes

    Raises
    ------
    ModelFileError
        If it is a folder, a pipe or a device, or larger.
    OSError
        If it cannot be read.
    """
    # Without waiting for a writer, should it be a pipe.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise ModelFileError("it is no regular file but a folder, a pipe or a device")
        if status.st_size > most:
            raise ModelFileError(f"it has {status.st_size} bytes; a model file has at most {most}")
        with os.fdopen(file, "rb", closefd=False) as stream:
            return stream.read(status.st_size)
    finally:
        os.close(file)


def write_whole(path: str, data: bytes, overwrite: bool) -> None:
    """Write a file so that it appears under its name only when it is whole and on the disk.

    Parameters
    ----------
    path : str
        From `check_output`.
    data : bytes
    overwrite : bool

    Raises
    ------
    OutputExistsError
        If the file has appeared in the meantime and `overwrite` is false.
    ModelFileError
        If it cannot be written. Nothing is left behind.
    """
    folder = os.path.dirname(path)
    part = os.path.join(folder, f".{secrets.token_hex(8)}.part")
    try:
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with os.fdopen(file, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(file)
        _publish(part, path, overwrite)
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)
    except FileExistsError:
        raise OutputExistsError(f"{path} exists. Pass overwrite=True to replace it, or choose another name.") from None
    except OSError as error:
        raise ModelFileError(
            f"{path} could not be written: {error.strerror}. Check that the disk has room and the folder is writable."
        ) from error
    finally:
        with suppress(OSError):
            os.remove(part)


def _publish(part: str, path: str, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(part, path)  # unlike a renaming, never over a file that another process has just made
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            pass
    os.replace(part, path)
