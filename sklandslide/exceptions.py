"""Errors and warnings that a user can meet.

Each message says what is wrong, the value, the rule and the remedy.
"""

__all__ = [
    "ArchiveError",
    "BandError",
    "InventoryError",
    "MissingPackageError",
    "ModelFileError",
    "NoValidDataError",
    "OutputExistsError",
    "OutputFolderError",
    "SamplingWarning",
    "SceneError",
    "SceneReadError",
    "SklandslideError",
]


class SklandslideError(Exception):
    """Base class of the errors that sklandslide raises itself.

    Examples
    --------
    >>> from sklandslide.exceptions import BandError, SklandslideError
    >>> issubclass(BandError, SklandslideError)
    True
    """


class SceneError(SklandslideError, ValueError):
    """A scene cannot be built from what was given, or does not fit the request."""


class SceneReadError(SklandslideError, OSError):
    """A raster or vector file is missing, unreadable, truncated or was replaced."""


class BandError(SklandslideError, ValueError):
    """A band or composite is unknown, missing from a scene, or in other units."""


class InventoryError(SklandslideError, ValueError):
    """Polygons are missing, of the wrong kind, or do not fit the scene."""


class MissingPackageError(SklandslideError, ImportError):
    """A package is needed that is installed with one of sklandslide's extras only."""


class ArchiveError(SklandslideError, LookupError):
    """A catalogue does not answer, or holds no scenes that fit what is asked for."""


class ModelFileError(SklandslideError, ValueError):
    """A model cannot be saved, or a model file is damaged or holds what is not loaded."""


class NoValidDataError(SklandslideError, ValueError):
    """Nothing but nodata where data are needed."""


class OutputExistsError(SklandslideError, FileExistsError):
    """The output exists: a file, and ``overwrite=True`` was not given, or a folder."""


class OutputFolderError(SklandslideError, FileNotFoundError):
    """The folder that an output file is to lie in does not exist."""


class SamplingWarning(UserWarning):
    """Some polygons gave no sample, or there is less room for negatives than asked for."""
