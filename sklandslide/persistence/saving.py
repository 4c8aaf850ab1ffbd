"""save_model and load_model: a fitted model as a file of data, by skops."""

from __future__ import annotations

import io
import json
import logging
import os
import zipfile
from copy import deepcopy
from importlib.metadata import version
from typing import Any

from sklearn.utils.validation import check_is_fitted

from .._version import __version__
from ..exceptions import ModelFileError, OutputExistsError
from ..geodata import check_output, written_beside
from .trusted import TRUSTED, callers_in, check_parts, places_in

_log = logging.getLogger("sklandslide")

# What is read into memory has a bound. A forest of a thousand deep trees has about 200 MiB; its text, 30.
_MOST_BYTES, _MOST_TEXT = 512 * 2**20, 64 * 2**20
_TEXT = "schema.json"
_KEYS = {"model", "search", "versions"}


def save_model(model: Any, path: Any, *, overwrite: bool = False) -> str:
    """Write a fitted model as one file that holds data only.

    The file is skops's: a zip archive of JSON and arrays. Loading it runs nothing that is in it, so unlike a pickle it
    can be taken from strangers. It holds no raster, no path and no sample.

    It holds pipelines of this package's steps with scikit-learn's estimators: scalers, `PCA`, linear models, forests,
    `HistGradientBoostingClassifier`, calibration, thresholds, votes and stacks, and `FunctionTransformer` with one of
    NumPy's functions. A search is saved as its ``best_estimator_``; its model card tells what it found. ``memory`` is
    saved as None, and without callbacks. Functions and classes of your own, support vectors, neighbours and
    `GradientBoostingClassifier` are refused; use a pickle for those.

    Parameters
    ----------
    model : estimator
        Fitted.
    path : path
        Of the file, such as ``"model.skops"``. It appears when it is complete.
    overwrite : bool, default=False
        Whether an existing file may be replaced.

    Returns
    -------
    str
        The absolute path.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    ModelFileError
        If the model has a part that a model file cannot hold, or the file cannot be written.
    OutputExistsError
        If the file exists and `overwrite` is false.
    OutputFolderError
        If the folder of the file does not exist.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sklandslide import LandslideCNN, load_model, save_model
    >>> random = np.random.RandomState(0)
    >>> y = np.repeat(["forest", "landslide"], 40)
    >>> X = random.normal(size=(80, 8, 8, 1)) + (y == "landslide")[:, None, None, None]
    >>> cnn = LandslideCNN(filters=(4,), dense_units=8, input_size=None, epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(cnn, pathlib.Path(folder) / "model.skops")
    ...     again = load_model(path)
    >>> bool((again.predict_proba(X) == cnn.predict_proba(X)).all())
    True
    """
    check_is_fitted(model)
    name = check_output(path, overwrite)
    try:
        data = _encoded(model)
        _decoded(data)
    except Exception as error:  # skops, Keras and constructors have many
        raise ModelFileError(
            f"The {type(model).__name__} is not saved: {error}. A model file holds fitted steps of this package and of "
            "scikit-learn, and functions of NumPy. Use a pickle for others."
        ) from error
    write_whole(name, data, overwrite)
    return name


def load_model(path: Any) -> Any:
    """Load a model that `save_model` wrote; safe with files from strangers.

    Nothing in the file is run, and nothing is imported but what stands in a fixed list. Checksums find damage.

    Parameters
    ----------
    path : path
        Of the file.

    Returns
    -------
    estimator
        Fitted, as it was saved.

    Raises
    ------
    ModelFileError
        If the file cannot be read, is none that `save_model` wrote, is damaged, or holds what is not on the list.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklandslide import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), pathlib.Path(folder) / "model.skops")
    ...     load_model(path)
    LogisticRegression()
    """
    content = read_file(path)
    here = versions()
    others = [f"{k} {v} (here {here.get(k)})" for k, v in content["versions"].items() if v != here.get(k)]
    if others:
        _log.info("%s was written with %s.", os.fspath(path), ", ".join(others))
    return content["model"]


def read_file(path: Any) -> dict[str, Any]:
    """What a model file holds: ``model``, ``search`` (what one found, or None), ``versions``."""
    name = os.fspath(path)
    try:
        if os.path.getsize(name) > _MOST_BYTES:
            raise ModelFileError(f"{name} is not loaded: it is larger than {_MOST_BYTES >> 20} MiB. Use a pickle.")
        with open(name, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ModelFileError(f"{name} cannot be read: {error.strerror}. Check the path.") from error
    try:
        return _decoded(data)
    except Exception as error:  # whatever a damaged or crafted file makes of zipfile, skops, NumPy or a constructor
        raise ModelFileError(
            f"{name} is not loaded: {error or type(error).__name__}. Give a file that save_model wrote, whole and "
            "unchanged; copy or download it again if it may be damaged."
        ) from error


def versions() -> dict[str, str]:
    """Versions of what a model depends on."""
    packages = ("scikit-learn", "keras", "tensorflow", "numpy", "skops")
    return {"sklandslide": __version__, **{package: version(package) for package in packages}}


def _encoded(model: Any) -> bytes:
    from skops.io import dumps, get_untrusted_types

    search = None
    if hasattr(model, "best_estimator_"):
        search, model = found_by(model), model.best_estimator_
    if places_in(model) or callers_in(model):
        model = deepcopy(model)
        for part in places_in(model):
            part.memory = None
        for part in callers_in(model):
            part.set_callbacks()
    data = dumps({"model": model, "search": search, "versions": versions()})
    others = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED))
    if others:
        raise ModelFileError(f"it has {', '.join(others)}, which a model file does not hold")
    return data


def found_by(search: Any) -> dict[str, Any]:
    """What a search found, in words and numbers."""
    found = {
        name: value if isinstance(value, int | float) else str(value) for name, value in search.best_params_.items()
    }
    return {
        "search": type(search).__name__,
        "candidates": len(search.cv_results_["params"]),
        "folds": int(search.n_splits_),
        "best_params": found,
        "best_score": float(getattr(search, "best_score_", float("nan"))),
    }


def _decoded(data: bytes) -> dict[str, Any]:
    """What a model file's bytes hold, after everything in them was checked."""
    from skops.io import loads

    _check_archive(data)
    content = loads(data, trusted=TRUSTED)
    if not isinstance(content, dict) or set(content) != _KEYS or not isinstance(content["versions"], dict):
        raise ModelFileError("it is a file of skops that save_model did not write. Load it with skops.io.load")
    model = content["model"]
    check_parts(model)
    check_is_fitted(model)
    if not hasattr(model, "predict"):
        raise ModelFileError(f"a {type(model).__name__} classifies nothing")
    return content


def _check_archive(data: bytes) -> None:
    """Refuse damage, and members that unfold to more than the file has, or are no plain arrays."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ModelFileError("it is compressed, and what it unfolds to has no bound")
        if sum(member.file_size for member in members) > len(data):
            raise ModelFileError("its members are declared larger than the file")
        for member in members:
            content = archive.read(member)  # and compare its checksum
            if member.filename == _TEXT:
                _check_text(content, {member.filename: member.file_size for member in members})
            elif not content.startswith(b"\x93NUMPY"):
                raise ModelFileError(f"its member {member.filename!r} is no array")


def _check_text(text: bytes, sizes: dict[str, int]) -> None:
    """Refuse a text that names a few arrays so often that they fill the memory; a shared one is named a few times."""
    if len(text) > _MOST_TEXT:
        raise ModelFileError(f"its {_TEXT} is larger than {_MOST_TEXT >> 20} MiB")
    named: list[int] = []
    json.loads(
        text, object_pairs_hook=lambda pairs: named.extend(sizes.get(str(v), 0) for k, v in pairs if k == "file")
    )
    if sum(named) > 4 * sum(sizes.values()):
        raise ModelFileError("it names its arrays again and again")


def write_whole(path: str, data: bytes, overwrite: bool) -> None:
    """Write a file that is there when it is whole."""
    try:
        with written_beside(path, overwrite) as part, open(part, "xb") as file:
            file.write(data)
    except OutputExistsError:
        raise
    except OSError as error:
        raise ModelFileError(
            f"{path} could not be written: {error.strerror}. Check that the disk has room and the folder is writable."
        ) from error
