"""save_model and load_model: a fitted model as a file that holds data only."""

from __future__ import annotations

import logging
import os
from typing import Any

from sklearn.utils.validation import check_is_fitted

from ..exceptions import ModelFileError
from ..mapping import check_output
from .document import decoded, encoded, read_document
from .facts import versions
from .files import write_whole

__all__ = ["load_model", "save_model"]

_log = logging.getLogger("sklandslide")


def save_model(model: Any, path: Any, *, overwrite: bool = False) -> str:
    """Write a fitted model as one file that holds data only.

    The file is a zip archive of JSON and arrays with a checksum. Loading it runs nothing that is in it: unlike a pickle
    it can be taken from strangers, and it does not depend on how other versions arrange their objects. Equal models
    give equal bytes. It holds no raster, no path and no sample.

    What it can hold: pipelines of `BandStacker`, `PatchSampler`, `Augmenter` and `LandslideCNN`, of scikit-learn's
    scalers, `PCA`, `FunctionTransformer` with one of numpy's functions, `FeatureUnion`, `LogisticRegression`, and
    calibration, thresholds, votes and stacks of those. A search is saved as its ``best_estimator_``; what it found is
    kept in the attribute ``search_`` of the model that is loaded. A `TunedThresholdClassifierCV` is saved as a
    `FixedThresholdClassifier` with the threshold that it found. ``memory`` is saved as None. Everything else (trees,
    functions of your own, other classes) is refused; use a pickle for those.

    Parameters
    ----------
    model : estimator
        Fitted.
    path : path
        Of the file, such as ``"model.zip"``. It appears when it is complete.
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
    ...     path = save_model(cnn, pathlib.Path(folder) / "model.zip")
    ...     again = load_model(path)
    >>> bool((again.predict_proba(X) == cnn.predict_proba(X)).all())
    True
    """
    check_is_fitted(model)
    name = check_output(path, overwrite)
    try:
        data = encoded(model)
        again = encoded(decoded(data)[0])
    except ModelFileError as error:
        raise ModelFileError(f"The {type(model).__name__} is not saved. {error}") from error.__cause__
    if again != data:
        raise ModelFileError(
            f"The {type(model).__name__} is not saved: what would be loaded is not the same. Use a pickle, and please "
            "report this."
        )
    write_whole(name, data, overwrite)
    return name


def load_model(path: Any) -> Any:
    """Load a model that `save_model` wrote; safe with files from strangers.

    Nothing in the file is run, and nothing is imported by a name in it. Every byte is covered by a checksum; behind it
    names, types, sizes and shapes are checked against closed lists before anything is built.

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
        If the file cannot be read, is none that `save_model` wrote, is damaged, was written by a newer version, or
        holds anything but a model of known parts.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklandslide import load_model, save_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), pathlib.Path(folder) / "model.zip")
    ...     load_model(path)
    LogisticRegression()
    """
    model, document = read_document(path)
    here = versions()
    others = [f"{k} {v} (here {here[k]})" for k, v in document["versions"].items() if v != here[k]]
    if others:
        _log.info("%s was written with %s.", os.fspath(path), ", ".join(others))
    return model
